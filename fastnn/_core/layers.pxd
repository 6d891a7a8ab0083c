from fastnn._core.geometry cimport LayerOperations, Pass, Rows, Units

cdef const LayerOperations *find_layer(str name) except NULL
cdef void activate(const Pass *net, size_t layer, const Rows *rows,
                   const Units *units) noexcept nogil
