/* Which kernels this CPU can run: the only file that asks it anything. */
#include <string.h>

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
