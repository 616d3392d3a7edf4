/* What a test needs of the build: the test is skipped, and said to be, where an optional library is absent.
 * Rests on cmocka's skip and on HAVE_<LIBRARY>, 0 or 1, which tests/CMakeLists.txt defines for each library of the
 * build's table. */
#ifndef SUPPORT_NEEDS_H
#define SUPPORT_NEEDS_H

#define NEEDS(library)                                                                                                 \
    do {                                                                                                               \
        if (!HAVE_##library) skip();                                                                                   \
    } while (0)

#endif
