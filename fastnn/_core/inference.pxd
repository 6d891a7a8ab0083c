from fastnn._core.geometry cimport Pass, Rows

cdef enum:
    ALL_FINITE = 0
    INPUT_NOT_FINITE = 1
    OUTPUT_NOT_FINITE = 2

cdef int infer_tile(const Pass *net, const Rows *rows) noexcept nogil
