/* Which kernels this machine can run: the levels of kernels.def, asked of the processor and the operating system.
 * Rests on the cpuid and xgetbv instructions, since a level whose registers the system doesn't save is no use.
 * Asked anew each time: there is no state, and no one asks often. */
#include <string.h>

#include "cpu/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>

#define CPU_ON_x86(x) x
#define CPU_ON_arm(x)
#define CPU_ON_other(x)

/* The registers that the system saves: bit 1 SSE, 2 AVX, 5 to 7 AVX-512. 0 if it says nothing. */
static unsigned saved_registers(void) {
    unsigned a, b, c, d;
    const unsigned osxsave = 1u << 27;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & osxsave)) return 0;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return a;
}
/* Leaf 1's ecx has all of ecx, and leaf 7's ebx all of ebx. */
static bool has_features(unsigned ecx, unsigned ebx) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & ecx) != ecx) return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & ebx) == ebx;
}
static bool cpu_has_baseline(void) {
    return true;
}
static bool cpu_has_avx2(void) {
    const unsigned fma = 1u << 12, avx = 1u << 28, f16c = 1u << 29, avx2 = 1u << 5, registers = 0x6;
    return has_features(fma | avx | f16c, avx2) && (saved_registers() & registers) == registers;
}
static bool cpu_has_avx512(void) {
    const unsigned f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31, registers = 0xe6;
    return cpu_has_avx2() && has_features(0, f | dq | bw | vl) && (saved_registers() & registers) == registers;
}

#elif defined(__aarch64__)
#define CPU_ON_x86(x)
#define CPU_ON_arm(x) x
#define CPU_ON_other(x)
static bool cpu_has_neon(void) {
    return true;
}

#else
#define CPU_ON_x86(x)
#define CPU_ON_arm(x)
#define CPU_ON_other(x) x
static bool cpu_has_baseline(void) {
    return true;
}
#endif

#define CPU_LEVEL(processor, name, flags) CPU_ON_##processor(extern const cpu_kernels cpu_kernels_##name;)
#include "cpu/kernels.def"
#undef CPU_LEVEL

static const struct level {
    const cpu_kernels *kernels;
    bool (*here)(void);
} levels[] = {
#define CPU_ENTRY(name) {&cpu_kernels_##name, cpu_has_##name},
#define CPU_LEVEL(processor, name, flags) CPU_ON_##processor(CPU_ENTRY(name))
#include "cpu/kernels.def"
#undef CPU_LEVEL
};
enum { LEVELS = sizeof(levels) / sizeof(*levels) };

const cpu_kernels *cpu_level(int i) {
    for (int k = 0; k < LEVELS; k++)
        if (levels[k].here() && i-- == 0) return levels[k].kernels;
    return NULL;
}

const cpu_kernels *cpu_find(const char *name) {
    for (int k = LEVELS - 1; k >= 0; k--)
        if ((!name || strcmp(levels[k].kernels->name, name) == 0) && levels[k].here()) return levels[k].kernels;
    return NULL;
}
