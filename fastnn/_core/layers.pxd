from fastnn._core.geometry cimport LayerOperations, Operand, Pass

cdef const LayerOperations *find_layer(str name) except NULL
cdef Operand input_rows(const Pass *net, size_t layer, size_t first, size_t sample) noexcept nogil
