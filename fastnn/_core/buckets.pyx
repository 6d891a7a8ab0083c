"""The gradient in buckets, the last layers first: what is summed up over all while the rest is computed.

They follow from the network alone, so that they are the same wherever it is trained.
"""
from fastnn._core.geometry cimport Geometry, LayerPlan, WeightTile
from fastnn._core.regularization cimport Regularization, is_trained
from fastnn._core.weights cimport find_weight_tile


cdef size_t most_buckets(const Geometry *g) noexcept nogil:
    """How many `make_buckets` makes, at most."""
    cdef size_t n = 0, layer
    for layer in range(g.n_layers):
        n += g.layers[layer].n_tiles_down
    return n + 1


cdef size_t end_of(const LayerPlan *layer) noexcept nogil:
    return layer.bias + layer.n_bias


cdef size_t make_buckets(const Geometry *g, const Regularization *regularization, size_t n_bytes,
                         Bucket *buckets) noexcept nogil:
    """Of at least `n_bytes`, where their layers are so large; returns how many. Layers that are not
    trained are in none."""
    cdef size_t n = 0, layer = g.n_layers, rows, row
    cdef const LayerPlan *plan
    cdef Bucket *open_ = NULL  # small layers, to which the one before may be added
    while layer > 0:
        layer -= 1
        plan = &g.layers[layer]
        if plan.n_tiles == 0 or not is_trained(regularization, layer):
            if plan.n_tiles > 0:
                open_ = NULL
            continue
        rows = max(<size_t> 1, n_bytes // (plan.tile_rows * plan.n_out * g.itemsize))
        if rows < plan.n_tiles_down:
            open_ = NULL
            row = 0
            while row < plan.n_tiles_down:
                buckets[n].first_layer = layer
                buckets[n].end_layer = layer + 1
                buckets[n].first_row = row
                buckets[n].end_row = min(row + rows, plan.n_tiles_down)
                buckets[n].first = plan.weights + row * plan.tile_rows * plan.n_out
                row = buckets[n].end_row
                buckets[n].end = plan.weights + row * plan.tile_rows * plan.n_out
                if row == plan.n_tiles_down:
                    buckets[n].end = end_of(plan)
                n += 1
            continue
        if open_ == NULL:
            open_ = &buckets[n]
            n += 1
            open_.end_layer = layer + 1
            open_.end = end_of(plan)
        open_.first_layer = layer
        open_.first = plan.weights
        open_.first_row = 0
        open_.end_row = plan.n_tiles_down
        if (open_.end - open_.first) * g.itemsize >= n_bytes:
            open_ = NULL
    return n


cdef size_t n_tiles_of_bucket(const Geometry *g, const Bucket *bucket) noexcept nogil:
    cdef const LayerPlan *plan = &g.layers[bucket.first_layer]
    cdef size_t n = 0, layer
    if bucket.end_layer == bucket.first_layer + 1:
        return plan.n_tiles // plan.n_tiles_down * (bucket.end_row - bucket.first_row)
    for layer in range(bucket.first_layer, bucket.end_layer):
        n += g.layers[layer].n_tiles
    return n


cdef WeightTile tile_of_bucket(const Geometry *g, const Bucket *bucket, size_t number) noexcept nogil:
    cdef const LayerPlan *plan = &g.layers[bucket.first_layer]
    cdef size_t layer, rows = bucket.end_row - bucket.first_row
    if bucket.end_layer == bucket.first_layer + 1:
        number = number // rows * plan.n_tiles_down + bucket.first_row + number % rows
    for layer in range(bucket.first_layer):
        number += g.layers[layer].n_tiles
    return find_weight_tile(g, number)
