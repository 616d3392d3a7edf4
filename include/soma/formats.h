/* Files that other programs read and write: NumPy's NPY. (A model's own file is in train.h.)
 * Every reader treats its file as hostile; errors name the file and the byte where it went wrong. */
#ifndef SOMA_FORMATS_H
#define SOMA_FORMATS_H

#include <soma/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Reads one array written by numpy.save: versions 1 to 3, either byte order, C or Fortran order (made row-major).
 *  uint16 and uint32 become int32 and int64, uint64 int64.
 *  path: the .npy file. -> a constant of the array's shape and dtype; NULL after an error.
 *  Errors: SOMA_IO; SOMA_FORMAT for a malformed or truncated file and for Python objects, which are never unpickled;
 *  SOMA_DTYPE for dtypes Soma lacks (complex, strings, dates) and for uint64 beyond 2^63 - 1; SOMA_SHAPE beyond rank 8.
 *  Source: NumPy enhancement proposal 1 and numpy.lib.format. */
SOMA_API soma_tensor *soma_npy_load(soma_graph *graph, const char *path);

/** Writes the tensor (evaluated if need be) as numpy.save would, so numpy.load gives the same elements.
 *  Version 1.0, little-endian, C order; the file is replaced whole or left as it was.
 *  Errors: SOMA_IO; SOMA_DTYPE for bfloat16, which NumPy lacks; what evaluating gives. */
SOMA_API SOMA_MUST_CHECK soma_status soma_npy_save(soma_tensor *tensor, const char *path);

#ifdef __cplusplus
}
#endif
#endif
