from fastnn._core.geometry cimport Geometry, WeightTile
from fastnn._core.regularization cimport Regularization

# Neighbours in the block of the gradient, which are summed up over all at once: the weights and biases of
# whole layers, or some rows of tiles of one layer's weights, with its bias behind the last of them.
cdef struct Bucket:
    size_t first  # in the block, in elements
    size_t end
    size_t first_layer
    size_t end_layer
    size_t first_row  # rows of tiles, [first_row, end_row), of a bucket of one layer
    size_t end_row

cdef size_t most_buckets(const Geometry *g) noexcept nogil
cdef size_t make_buckets(const Geometry *g, const Regularization *regularization, size_t n_bytes,
                         Bucket *buckets) noexcept nogil
cdef size_t n_tiles_of_bucket(const Geometry *g, const Bucket *bucket) noexcept nogil
cdef WeightTile tile_of_bucket(const Geometry *g, const Bucket *bucket, size_t number) noexcept nogil
