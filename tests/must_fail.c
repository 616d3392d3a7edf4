/* The test that must fail: the build marks it so, and a runner that runs nothing, or sees no failure, turns red here.
 * Rests on cmocka as the other tests do.
 * It asserts through the same macro as they do, so that a macro compiled away would be noticed too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void one_is_two(void **state) {
    (void)state;
    assert_int_equal(1, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_is_two)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
