/* The kernels and the thread team without Python. Prints what must be the same on every platform: a
 * digest of what each kind of kernel computes, and whether the team does its work. Exit code 1 if it
 * does not. */
#include "system.h"

#include <stdio.h>
#include <string.h>

#include "fastnn.h"

enum { MOST = 1 << 14, N_RUNS = 2000, MOST_MEMBERS = 9, N_TILES = 23, N_ROUNDS = 3 };

static _Alignas(64) double a_memory[MOST], b_memory[MOST], c_memory[MOST];
static _Alignas(64) unsigned char scratch[1 << 20];

/* ---- kernels -------------------------------------------------------------------------------- */

static uint64_t digest;

static void add_to_digest(const void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        digest = (digest ^ ((const unsigned char *)bytes)[i]) * UINT64_C(0x100000001b3);
}

static uint64_t random_state;

static double uniform(double low, double high)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return low + (high - low) * (double)(random_state >> 11) / 9007199254740992.0; /* 2^53 */
}

static void fill(void *memory, size_t itemsize, size_t n, double low, double high)
{
    for (size_t i = 0; i < n; i++) {
        const double x = uniform(low, high);
        if (itemsize == sizeof(float))
            ((float *)memory)[i] = (float)x;
        else
            ((double *)memory)[i] = x;
    }
}

static void begin(void)
{
    digest = UINT64_C(0xcbf29ce484222325);
    random_state = 1;
}

static void print_digest(const fnn_kernels *kernels, const char *of)
{
    printf("%s %s %s %016llx\n", kernels->isa, kernels->dtype, of, (unsigned long long)digest);
}

static void run_products(const fnn_kernels *kernels)
{
    static const size_t sizes[][3] = {
        {1, 1, 1}, {1, 64, 50}, {7, 13, 5}, {33, 64, 65}, {64, 3, 100}, {5, 100, 31}, {97, 37, 61},
    };
    begin();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t m = sizes[i][0], n = sizes[i][1], k = sizes[i][2];
        for (int transpose = 0; transpose < 2; transpose++) {
            const size_t a_columns = transpose ? m : k;
            const fnn_matrix a = {a_memory, 0, a_columns, a_columns, 0};
            const fnn_matrix b = {b_memory, 0, n, n, 0}, c = {c_memory, 0, n, n, 0};
            fill(a_memory, kernels->itemsize, m * k, -1, 1);
            fill(b_memory, kernels->itemsize, k * n, -1, 1);
            if (kernels->gemm_scratch(transpose, m, n, k) > sizeof scratch)
                continue;
            kernels->gemm(transpose, m, n, k, &a, &b, NULL, 0, &c, NULL, scratch);
            add_to_digest(c_memory, m * n * kernels->itemsize);
        }
    }
    print_digest(kernels, "products");
}

static void run_elements(const fnn_kernels *kernels)
{
    begin();
    for (const fnn_activation *f = kernels->activations; f->name != NULL; f++) {
        fill(a_memory, kernels->itemsize, 990, -20, 20);
        fill(c_memory, kernels->itemsize, 990, -1, 1);
        f->forward(b_memory, a_memory, 99, 10);
        if (f->backward != NULL)
            f->backward(c_memory, b_memory, a_memory, 990);
        add_to_digest(b_memory, 990 * kernels->itemsize);
        add_to_digest(c_memory, 990 * kernels->itemsize);
    }
    for (const fnn_function *f = kernels->functions; f->name != NULL; f++) {
        const int is_log = strcmp(f->name, "log") == 0, is_log1p = strcmp(f->name, "log1p") == 0;
        fill(a_memory, kernels->itemsize, 1001, is_log ? 1 : is_log1p ? 0 : -20, is_log1p ? 1 : 20);
        f->apply(b_memory, a_memory, 1001);
        add_to_digest(b_memory, 1001 * kernels->itemsize);
    }
    print_digest(kernels, "elements");
}

/* ---- the team ------------------------------------------------------------------------------- */

typedef struct work {
    int taken[N_ROUNDS][N_TILES];
    int verdicts[MOST_MEMBERS];
    int n_members;
    int lets_wait; /* longer than the others spin */
} work;

static void take_tiles(void *context, fnn_team *team, int member)
{
    work *const w = context;
    if (member == 0)
        w->n_members = fnn_team_size(team);
    w->verdicts[member] = 0;
    for (int round = 0; round < N_ROUNDS; round++) {
        size_t tile;
        while ((tile = fnn_team_next_tile(team, member, N_TILES)) < N_TILES)
            w->taken[round][tile]++;
        if (member == 0 && w->lets_wait)
            fnn_sleep(2000);
        w->verdicts[member] |= fnn_team_barrier(team, 1 << member);
    }
}

/* 1 if every tile was taken once, and every member knows of all. */
static int runs_well(const work *w)
{
    int well = 1;
    for (int round = 0; round < N_ROUNDS; round++) {
        for (int tile = 0; tile < N_TILES; tile++)
            well &= w->taken[round][tile] == 1;
    }
    for (int member = 0; member < w->n_members; member++)
        well &= w->verdicts[member] == (1 << w->n_members) - 1;
    return well;
}

static int run_team(void)
{
    int most = 0;
    for (int run = 0; run < N_RUNS; run++) {
        work w = {.lets_wait = run % 100 == 0};
        fnn_team_run(take_tiles, &w, 1 + run % MOST_MEMBERS);
        if (w.n_members > most)
            most = w.n_members;
        if (!runs_well(&w)) {
            printf("team: run %d of %d members is wrong\n", run, w.n_members);
            return 1;
        }
    }
    printf("team of %d\n", most);
    return most < MOST_MEMBERS;
}

/* ---- the rest ------------------------------------------------------------------------------- */

/* 1 if denormals are flushed where they are to be, and only there. */
static int flushes_denormals(void)
{
    volatile double tiny = 1e-300;
    const uint64_t before = fnn_flush_denormals();
    const volatile double flushed = tiny * 1e-10;
    fnn_set_float_state(before);
    return flushed == 0 && tiny * 1e-10 != 0;
}

int main(void)
{
    const double start = fnn_now();
    for (const char *const *isa = fnn_isa_names; *isa != NULL; isa++) {
        if (!fnn_isa_supported(*isa))
            continue;
        run_products(fnn_find_kernels(*isa, "f32"));
        run_elements(fnn_find_kernels(*isa, "f32"));
        run_products(fnn_find_kernels(*isa, "f64"));
        run_elements(fnn_find_kernels(*isa, "f64"));
    }
    const fnn_caches *const caches = fnn_find_caches();
    const int flushes = flushes_denormals(), fails = run_team();
    printf("denormals %s\n", flushes ? "flushed" : "kept");
    fprintf(stderr, "process %d; caches %zu, %zu, %zu bytes; %.1f s\n", fnn_process(), caches->l1_data,
            caches->l2, caches->l3, fnn_now() - start);
    return fails || !flushes;
}
