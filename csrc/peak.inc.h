/* The machine's limit, to be timed: fused multiply-adds that depend on nothing but themselves.
 * 12 chains: two pipes with a latency of 4 or 5 cycles need 8 to 10. */
#ifndef FASTNN_PEAK_INC_H
#define FASTNN_PEAK_INC_H

#include "vector.inc.h"

#define PEAK_CHAINS 12

static double NAME(fma_burst)(size_t repeats)
{
    vector sums[PEAK_CHAINS] = {0};
    vector factor = {0}, addend = {0};
    for (size_t r = 0; r < repeats; r++) {
        __asm__ volatile("" : "+m"(factor), "+m"(addend)); /* not known to the compiler */
        const vector f = factor, a = addend;
        for (int i = 0; i < 64; i++) {
            for (int c = 0; c < PEAK_CHAINS; c++)
                sums[c] = FMA(sums[c], f, a);
        }
    }
    vector total = {0};
    for (int c = 0; c < PEAK_CHAINS; c++)
        total += sums[c];
    __asm__ volatile("" : : "m"(total)); /* used */
    return 2.0 * 64.0 * PEAK_CHAINS * VECTOR_LANES * (double)repeats;
}

#endif
