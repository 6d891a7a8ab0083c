/* The floating-point state of the calling thread: denormals flushed to zero, and back. */
#include "fastnn.h"

#if defined(__x86_64__)
#include <xmmintrin.h>

uint64_t fnn_flush_denormals(void)
{
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040); /* flush results to zero (bit 15), read denormals as zero (bit 6) */
    return before;
}

void fnn_set_float_state(uint64_t state) { _mm_setcsr((unsigned)state); }

#elif defined(__aarch64__)

uint64_t fnn_flush_denormals(void)
{
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    fnn_set_float_state(before | (UINT64_C(1) << 24)); /* FZ: flush inputs and results */
    return before;
}

void fnn_set_float_state(uint64_t state) { __asm__ volatile("msr fpcr, %0" : : "r"(state)); }

#else /* no such state known: denormals are slow there, not wrong */

uint64_t fnn_flush_denormals(void) { return 0; }

void fnn_set_float_state(uint64_t state) { (void)state; }

#endif
