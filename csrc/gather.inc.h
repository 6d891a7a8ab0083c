/* Rows of a user's array, gathered, converted and rescaled in one pass: the body for one element type,
 * included once for each. SUFFIX is its name, SOURCE its C type, VALUE(x) the number that an x stands for. */
#define OF_SOURCE(name) NAME(WITH(name, SUFFIX))
#define WITH(name, suffix) WITH_(name, suffix)
#define WITH_(name, suffix) name##_##suffix

/* `rescales` is a constant where this is inlined. */
ALWAYS_INLINE void OF_SOURCE(read)(real *restrict to, const SOURCE *restrict from, size_t n,
                                   const int rescales, real scale, real offset)
{
    for (size_t j = 0; j < n; j++)
        to[j] = rescales ? scale * VALUE(from[j]) + offset : VALUE(from[j]);
}

/* Rows of a narrow batch in single columns: gathered some at a time, then transposed. */
static __attribute__((noinline)) void OF_SOURCE(gather_columns)(
    const fnn_matrix *batch, const SOURCE *data, size_t row_elements, const int64_t *order, size_t rows,
    size_t n_features, const fnn_rescaling *rescaling)
{
    real block[GATHERED_NUMBERS] __attribute__((aligned(64)));
    const size_t height = GATHERED_NUMBERS / n_features / VECTOR_LANES * VECTOR_LANES;
    size_t width;
    real *to = NAME(panel_at)(batch, 0, &width);
    for (size_t first = 0; first < rows; first += height) {
        const size_t n = rows - first < height ? rows - first : height;
        real *next = block;
        for (size_t i = first; i < first + n; i++, next += n_features) {
            const SOURCE *row = data + (order != NULL ? (size_t)order[i] : i) * row_elements;
            if (rescaling != NULL)
                OF_SOURCE(read)(next, row, n_features, 1, (real)rescaling->scale, (real)rescaling->offset);
            else
                OF_SOURCE(read)(next, row, n_features, 0, 1, 0);
        }
        NAME(transpose)(to + first, batch->panel, block, n_features, n, n_features);
    }
}

/* Row after row, as the user's rows may come from memory; each is spread over the panels. */
ALWAYS_INLINE void OF_SOURCE(gather_rows)(const fnn_matrix *batch, const SOURCE *data, size_t row_elements,
                                          const int64_t *order, size_t rows, size_t n_features,
                                          const int rescales, real scale, real offset)
{
    for (size_t i = 0; i < rows; i++) {
        const SOURCE *row = data + (order != NULL ? (size_t)order[i] : i) * row_elements;
        for (size_t first = 0, columns; first < n_features; first += columns) {
            const size_t left = n_features - first;
            size_t width;
            real *to = NAME(panel_at)(batch, first, &width) + i * width;
            columns = left < batch->width ? left : batch->width;
            OF_SOURCE(read)(to, row + first, columns, rescales, scale, offset);
        }
    }
}

static void OF_SOURCE(gather)(const fnn_matrix *batch, const void *data, size_t row_elements,
                              const int64_t *order, size_t rows, size_t n_features,
                              const fnn_rescaling *rescaling)
{
    if (batch->width == 1 && n_features > 1 && n_features <= CACHE_LINE)
        OF_SOURCE(gather_columns)(batch, data, row_elements, order, rows, n_features, rescaling);
    else if (rescaling != NULL)
        OF_SOURCE(gather_rows)(batch, data, row_elements, order, rows, n_features, 1,
                               (real)rescaling->scale, (real)rescaling->offset);
    else
        OF_SOURCE(gather_rows)(batch, data, row_elements, order, rows, n_features, 0, 1, 0);
}

#undef OF_SOURCE
#undef WITH
#undef WITH_
#undef SUFFIX
#undef SOURCE
#undef VALUE
