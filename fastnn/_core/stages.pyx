"""The stages of a step's row phase: between two of them all members wait for each other.

There is one for tiles of rows through all layers, unless a layer's weights are so many for so few rows
that its units are shared out instead: each member then reads a part of the weights, and has more rows
for each of them. How it is cut does not show in the bits.
"""
from fastnn._core.geometry cimport (
    Geometry,
    LayerPlan,
    Pass,
    Rows,
    Stage,
    Units,
    all_units,
    n_unit_tiles,
    needs_gathering,
    unit_tile,
)
from fastnn._core.rows cimport finish_derivative, forward, gather, sum_losses

# Rows, at most, for which units are shared out, and bytes of a layer's weights, at least: reading what
# another core has just written costs more then than another barrier. And tiles for each thread, so that
# their shares are about the same.
cdef size_t FEW_ROWS = 64
cdef size_t MANY_BYTES = 128 << 10
cdef size_t TILES_A_THREAD = 2
# Of a layer that mixes rows: its mean, its variance, what it puts out; its means, what it hands back.
cdef int FORWARD_PARTS = 3
cdef int BACKWARD_PARTS = 2


cdef size_t most_stages(const Geometry *g) noexcept nogil:
    """How many `make_stages` makes, at most."""
    return 7 * g.n_layers + 4  # one is begun at the end


cdef bint is_cut(const Geometry *g, size_t layer, size_t n_units, size_t rows,
                 int n_threads) noexcept nogil:
    """Whether `n_units` units that a layer's weights lead to, or come from, are shared out."""
    cdef const LayerPlan *plan = &g.layers[layer]
    if plan.operations.mixes_rows:
        return True
    return (n_threads > 1 and rows <= FEW_ROWS and plan.operations.is_product
            and n_unit_tiles(g, n_units) >= TILES_A_THREAD * n_threads
            and plan.n_in * plan.n_out * g.itemsize >= MANY_BYTES)


cdef void begin(Stage *stage, size_t layer) noexcept nogil:
    """An empty one, after all layers before `layer` forward."""
    stage.gathers = False
    stage.catches_up = False
    stage.by_units = False
    stage.part = 0
    stage.has_sums = False
    stage.has_loss = False
    stage.forward_first = layer
    stage.forward_end = layer
    stage.backward_first = 0
    stage.backward_end = 0


cdef Stage *after(Stage *stage, size_t layer) noexcept nogil:
    """Begins another stage, behind this one if there is anything in it."""
    if (stage.gathers or stage.catches_up or stage.has_loss or stage.forward_end > stage.forward_first
            or stage.backward_end > stage.backward_first):
        stage += 1
    begin(stage, layer)
    return stage


cdef Stage *in_parts(Stage *stage, int n_parts) noexcept nogil:
    """A stage of one layer's units, again for each of its parts; all but the last have sums."""
    cdef int number
    for number in range(1, n_parts + 1):
        if number > 1:
            stage[1] = stage[0]
            stage += 1
        stage.part = number
        stage.has_sums = number < n_parts
    return stage


cdef size_t make_stages(const Geometry *g, Stage *stages, size_t rows, bint gathers,
                        int n_threads, size_t first_trainable, bint with_others,
                        bint catches_up) noexcept nogil:
    """For mini-batches of `rows` samples; returns how many. The way back ends at `first_trainable`.

    `with_others`: others have a part of each mini-batch. `catches_up`: weights that have missed steps
    are brought up to date once it is known which.
    """
    cdef Stage *stage = stages
    cdef size_t layer
    begin(stage, 0)
    stage.gathers = gathers
    if catches_up:
        stage = after(stage, 0)
        stage.catches_up = True
        stage = after(stage, 0)
    for layer in range(g.n_layers):  # the output is needed in rows
        if layer < g.n_layers - 1 and is_cut(g, layer, g.layers[layer].n_out, rows, n_threads):
            stage = after(stage, layer)
            stage.by_units = True
            stage.forward_end = layer + 1
            if with_others and g.layers[layer].operations.mixes_rows:
                stage = in_parts(stage, FORWARD_PARTS)
            stage = after(stage, layer + 1)
        else:
            stage.forward_end = layer + 1
    stage.has_loss = True
    stage.backward_first = g.n_layers
    stage.backward_end = g.n_layers
    for layer in range(g.n_layers - 1, first_trainable, -1):
        if is_cut(g, layer, g.layers[layer].n_in, rows, n_threads):
            stage = after(stage, g.n_layers)
            stage.by_units = True
            stage.backward_end = layer + 1
            stage.backward_first = layer
            if with_others and g.layers[layer].operations.mixes_rows:
                stage = in_parts(stage, BACKWARD_PARTS)
            stage = after(stage, g.n_layers)
            stage.backward_end = layer
        stage.backward_first = layer
    return after(stage, g.n_layers) - stages


cdef size_t units_of(const Geometry *g, const Stage *stage) noexcept nogil:
    if stage.forward_end > stage.forward_first:
        return g.layers[stage.forward_first].n_out
    return g.layers[stage.backward_first].n_in


cdef size_t n_tiles_of_units(const Geometry *g, const Stage *stage) noexcept nogil:
    """Tiles of a stage whose units are shared out."""
    return n_unit_tiles(g, units_of(g, stage))


cdef void run_units(const Pass *net, const Stage *stage, const Rows *rows,
                    size_t tile) noexcept nogil:
    """A tile of units of a stage's only layer."""
    cdef const Geometry *g = net.geometry
    cdef Units units = unit_tile(g, units_of(g, stage), tile)
    if stage.part > 0:
        run_part(net, stage, rows, &units)
    elif stage.forward_end > stage.forward_first:
        g.layers[stage.forward_first].operations.forward(net, stage.forward_first, rows, &units)
    else:
        backward(net, stage.backward_first, rows, &units)


cdef void run_part(const Pass *net, const Stage *stage, const Rows *rows,
                   const Units *units) noexcept nogil:
    """The same of one part of what the layer does."""
    cdef const LayerPlan *layers = net.geometry.layers
    cdef size_t layer = stage.forward_first
    if stage.forward_end > stage.forward_first:
        layers[layer].operations.forward_part(net, layer, rows, units, stage.part)
        return
    layer = stage.backward_first
    layers[layer].operations.backward_part(net, layer, rows, units, stage.part)
    if not stage.has_sums:
        layers[layer - 1].operations.derivative(net, layer - 1, rows, units)


cdef void backward(const Pass *net, size_t layer, const Rows *rows, const Units *units) noexcept nogil:
    """From d of a layer to d by z of the one before."""
    net.geometry.layers[layer].operations.backward(net, layer, rows, units)
    net.geometry.layers[layer - 1].operations.derivative(net, layer - 1, rows, units)


cdef void run_rows(const Pass *net, const Stage *stage, const Rows *rows, size_t block_rows,
                   double scale, double *losses, double *hits) noexcept nogil:
    """A tile of rows; `losses` receives the sum of each block's, if they are in this stage, and
    `hits` their right predictions, unless it is NULL.
    """
    cdef size_t layer = stage.backward_end
    cdef Units units
    if stage.gathers and needs_gathering(&net.batch) and not rows.gathered:
        gather(net, rows)
    forward(net, rows, stage.forward_first, stage.forward_end)
    if stage.has_loss:
        sum_losses(net, rows, block_rows, scale, losses, hits)
        finish_derivative(net, rows)
    while layer > max(stage.backward_first, <size_t> 1):
        layer -= 1
        units = all_units(net.geometry.layers[layer].n_in)
        backward(net, layer, rows, &units)
