/* Which kernels this CPU can run, and its caches: the only file that asks it anything. */
#include "system.h"

#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "fastnn.h"

extern const fnn_kernels fnn_kernels_f32_baseline, fnn_kernels_f64_baseline;
#if defined(__x86_64__)
extern const fnn_kernels fnn_kernels_f32_avx2, fnn_kernels_f64_avx2;
extern const fnn_kernels fnn_kernels_f32_avx512, fnn_kernels_f64_avx512;
#endif

static const fnn_kernels *const tables[] = {
    &fnn_kernels_f32_baseline, &fnn_kernels_f64_baseline,
#if defined(__x86_64__)
    &fnn_kernels_f32_avx2,     &fnn_kernels_f64_avx2,
    &fnn_kernels_f32_avx512,   &fnn_kernels_f64_avx512,
#endif
    NULL,
};

const char *const fnn_isa_names[] = {
    "baseline",
#if defined(__x86_64__)
    "avx2",
    "avx512",
#endif
    NULL,
};

int fnn_isa_supported(const char *isa)
{
    if (strcmp(isa, "baseline") == 0)
        return 1;
#if defined(__x86_64__)
    /* The builtins ask the operating system too (XGETBV): it must save the wide registers. */
    __builtin_cpu_init();
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (strcmp(isa, "avx2") == 0)
        return avx2;
    if (strcmp(isa, "avx512") == 0)
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
               && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    return 0;
}

const fnn_kernels *fnn_find_kernels(const char *isa, const char *dtype)
{
    for (const fnn_kernels *const *table = tables; *table != NULL; table++) {
        if (strcmp((*table)->isa, isa) == 0 && strcmp((*table)->dtype, dtype) == 0)
            return *table;
    }
    return NULL;
}

/* ---- caches -------------------------------------------------------------------------------- */

static const struct {
    size_t least, most; /* what lies outside is a hypervisor's invention */
    size_t usual;       /* where the size is unknown */
} limits[] = {
    {(size_t)1 << 12, (size_t)1 << 20, (size_t)1 << 15},
    {(size_t)1 << 16, (size_t)1 << 27, (size_t)1 << 20},
    {(size_t)1 << 19, (size_t)1 << 31, (size_t)1 << 23},
};

/* The data or unified cache of a level (from 1 on) in bytes; 0: the CPU does not say. */
static size_t ask_cpu(unsigned level)
{
#if defined(__x86_64__)
    static const unsigned leaves[] = {4, 0x8000001D}; /* Intel's and AMD's, of one format */
    for (int i = 0; i < 2; i++) {
        unsigned eax, ebx, ecx, edx;
        for (unsigned cache = 0; cache < 16; cache++) {
            if (!__get_cpuid_count(leaves[i], cache, &eax, &ebx, &ecx, &edx) || (eax & 31) == 0)
                break;
            const int holds_data = (eax & 31) != 2;
            if (holds_data && (eax >> 5 & 7) == level) {
                const size_t ways = (ebx >> 22) + 1, partitions = (ebx >> 12 & 1023) + 1;
                return ways * partitions * ((ebx & 4095) + 1) * ((size_t)ecx + 1);
            }
        }
    }
#else
    (void)level;
#endif
    return 0;
}

static size_t find_cache(unsigned level, size_t least)
{
    const size_t answers[] = {ask_cpu(level), fnn_system_cache(level), limits[level - 1].usual};
    size_t i = 0;
    while (answers[i] < limits[level - 1].least || answers[i] > limits[level - 1].most)
        i++; /* the usual size is within the limits */
    return answers[i] > least ? answers[i] : least;
}

static fnn_caches caches;

void fnn_set_caches(const fnn_caches *sizes)
{
    caches = *sizes;
}

const fnn_caches *fnn_find_caches(void)
{
    if (caches.l1_data == 0) {
        caches.l1_data = find_cache(1, 0);
        caches.l2 = find_cache(2, caches.l1_data);
        caches.l3 = find_cache(3, caches.l2);
    }
    return &caches;
}
