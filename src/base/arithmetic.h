/* How this thread's processor computes with floats while a plan runs: round to nearest, nothing trapped, and numbers
 * too small for a whole mantissa (below 1.2e-38 in float32, 2.2e-308 in float64) are zeros. Rests on the control
 * registers of x86-64 and aarch64; elsewhere all stays as it is. An Intel core takes 100 cycles and more for one
 * instruction that meets such a number, and training makes them without end: averages of what no longer changes, slopes
 * of what is saturated, and what lies in the padding of panels. */
#ifndef BASE_ARITHMETIC_H
#define BASE_ARITHMETIC_H

#include <stdint.h>

#if defined(__x86_64__)

enum { ARITHMETIC_OURS = 0x1F80 /* nothing trapped */ | 1 << 15 /* results */ | 1 << 6 /* operands */ };

static inline uint64_t arithmetic_get(void) {
    return __builtin_ia32_stmxcsr();
}

static inline void arithmetic_set(uint64_t mode) {
    __builtin_ia32_ldmxcsr((unsigned)mode);
}

#elif defined(__aarch64__)

enum { ARITHMETIC_OURS = 1 << 24 /* operands and results */ };

static inline uint64_t arithmetic_get(void) {
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}

static inline void arithmetic_set(uint64_t mode) {
    __asm__ volatile("msr fpcr, %0" : : "r"(mode) : "memory");
}

#else

enum { ARITHMETIC_OURS = 0 };

static inline uint64_t arithmetic_get(void) {
    return 0;
}

static inline void arithmetic_set(uint64_t mode) {
    (void)mode;
}

#endif

/* Returns what was, for arithmetic_end. */
static inline uint64_t arithmetic_begin(void) {
    const uint64_t before = arithmetic_get();
    arithmetic_set(ARITHMETIC_OURS);
    return before;
}

static inline void arithmetic_end(uint64_t before) {
    arithmetic_set(before);
}

#endif
