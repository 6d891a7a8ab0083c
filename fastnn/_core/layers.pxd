from fastnn._core.geometry cimport LayerOperations

cdef const LayerOperations *find_layer(str name) except NULL
