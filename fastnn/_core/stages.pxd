from fastnn._core.geometry cimport Geometry, Pass, Rows, Stage

cdef size_t most_stages(const Geometry *g) noexcept nogil
cdef size_t make_stages(const Geometry *g, Stage *stages, size_t rows, bint gathers,
                        int n_threads, size_t first_trainable, bint with_others,
                        bint catches_up) noexcept nogil
cdef size_t n_tiles_of_units(const Geometry *g, const Stage *stage) noexcept nogil
cdef void run_rows(const Pass *net, const Stage *stage, const Rows *rows, size_t block_rows,
                   double scale, double *losses, double *hits) noexcept nogil
cdef void run_units(const Pass *net, const Stage *stage, const Rows *rows,
                    size_t tile) noexcept nogil
