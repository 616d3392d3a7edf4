/* NPY: a header that is a Python dictionary literal, then the elements.
 * Rests on elements.h and streams. The literal is read by a scanner for exactly the three keys numpy writes.
 * Nothing is evaluated or unpickled: what the scanner does not know is an error with its byte. */
#include "formats/npy.h"

#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

enum { NPY_MAGIC = 6, NPY_MAX_HEADER = 1 << 20, NPY_ALIGN = 64 };

/* NumPy's type letter and size to a dtype, both ways; unsigned ones are read as signed first, see elements_unsigned. */
static const struct {
    char kind;
    int size;
    soma_dtype dtype;
} npy_dtypes[] = {{'f', 4, SOMA_F32},  {'f', 8, SOMA_F64}, {'f', 2, SOMA_F16}, {'i', 1, SOMA_I8},
                  {'i', 2, SOMA_I16},  {'i', 4, SOMA_I32}, {'i', 8, SOMA_I64}, {'u', 1, SOMA_U8},
                  {'b', 1, SOMA_BOOL}, {'u', 2, SOMA_I16}, {'u', 4, SOMA_I32}, {'u', 8, SOMA_I64}};
enum { NPY_DTYPES = sizeof npy_dtypes / sizeof *npy_dtypes };

/* ---- the header ---- */

typedef struct scanner {
    soma_context *context;
    const char *path;
    const char *text;  /* ends in a zero byte */
    size_t at, offset; /* place in text; byte of text[0] in the file */
} scanner;

typedef struct header {
    elements *array;
    bool swap, fortran, is_unsigned;
    bool has_descr, has_order, has_shape;
} header;

static soma_status unexpected(const scanner *s, const char *expected) {
    return error_set(s->context, SOMA_FORMAT, "%s: byte %zu: malformed NPY header: expected %s", s->path,
                     s->offset + s->at, expected);
}

static void skip_space(scanner *s) {
    s->at += strspn(s->text + s->at, " \t\r\n");
}

static bool accept(scanner *s, const char *token) {
    skip_space(s);
    const size_t n = strlen(token);
    if (strncmp(s->text + s->at, token, n)) return false;
    s->at += n;
    return true;
}

/* A quoted string without escapes, cut to size. */
static soma_status scan_string(scanner *s, char *out, size_t size) {
    skip_space(s);
    const char quote = s->text[s->at];
    if (quote != '\'' && quote != '"') return unexpected(s, "a string");
    const char *begin = s->text + s->at + 1, *end = strchr(begin, quote);
    if (!end || memchr(begin, '\\', (size_t)(end - begin))) return unexpected(s, "a plain string");
    const size_t n = (size_t)(end - begin) < size - 1 ? (size_t)(end - begin) : size - 1;
    memcpy(out, begin, n);
    out[n] = '\0';
    s->at += (size_t)(end - begin) + 2;
    return SOMA_OK;
}

/* '<f4': byte order, kind, bytes. */
static soma_status scan_descr(scanner *s, header *h) {
    char descr[32];
    skip_space(s);
    const size_t at = s->at;
    RETURN_IF(s->context, s->text[at] == '[', SOMA_DTYPE,
              "%s: byte %zu: a structured NPY array; save its fields one by one", s->path, s->offset + at);
    TRY(scan_string(s, descr, sizeof descr));
    RETURN_IF(s->context, strchr(descr, 'O'), SOMA_FORMAT,
              "%s: byte %zu: the array holds Python objects, which are never unpickled; save it with a number dtype",
              s->path, s->offset + at);
    const char order = descr[0];
    const char *type = descr + (strchr("<>|=", order) && order ? 1 : 0);
    for (int i = 0; i < NPY_DTYPES; i++) {
        if (type[0] != npy_dtypes[i].kind || type[1] != (char)('0' + npy_dtypes[i].size) || type[2]) continue;
        h->array->dtype = npy_dtypes[i].dtype;
        h->swap = order == '>' && npy_dtypes[i].size > 1;
        h->is_unsigned = type[0] == 'u' && npy_dtypes[i].size > 1;
        return SOMA_OK;
    }
    return error_set(s->context, SOMA_DTYPE,
                     "%s: byte %zu: NumPy dtype '%s' is not supported; save it as float32, float64, float16, int8 to "
                     "int64, uint8 to uint64 or bool",
                     s->path, s->offset + at, descr);
}

static soma_status scan_extent(scanner *s, int64_t *out) {
    int64_t n = 0;
    const size_t at = s->at;
    for (; s->text[s->at] >= '0' && s->text[s->at] <= '9'; s->at++)
        if (!int64_mul_checked(n, 10, &n) || !int64_add_checked(n, s->text[s->at] - '0', &n))
            return unexpected(s, "an extent below 2^63");
    if (s->at == at) return unexpected(s, "an extent");
    if (s->text[s->at] == 'L') s->at++; /* Python 2 wrote (2L, 3L) */
    *out = n;
    return SOMA_OK;
}

/* (), (3,), (2, 3). */
static soma_status scan_shape(scanner *s, elements *array) {
    if (!accept(s, "(")) return unexpected(s, "'('");
    array->rank = 0;
    while (!accept(s, ")")) {
        RETURN_IF(s->context, array->rank == SOMA_MAX_RANK, SOMA_SHAPE, "%s: byte %zu: more than %d axes", s->path,
                  s->offset + s->at, SOMA_MAX_RANK);
        TRY(scan_extent(s, &array->shape[array->rank++]));
        if (accept(s, ",")) continue;
        if (array->rank == 1 || !accept(s, ")")) return unexpected(s, "','");
        break;
    }
    return SOMA_OK;
}

static soma_status scan_pair(scanner *s, header *h) {
    char key[32];
    const size_t at = s->at;
    TRY(scan_string(s, key, sizeof key));
    if (!accept(s, ":")) return unexpected(s, "':'");
    bool *seen = !strcmp(key, "descr")           ? &h->has_descr
                 : !strcmp(key, "fortran_order") ? &h->has_order
                 : !strcmp(key, "shape")         ? &h->has_shape
                                                 : NULL;
    if (!seen || *seen) {
        s->at = at;
        return unexpected(s, "one each of 'descr', 'fortran_order', 'shape'");
    }
    *seen = true;
    if (seen == &h->has_descr) return scan_descr(s, h);
    if (seen == &h->has_shape) return scan_shape(s, h->array);
    h->fortran = accept(s, "True");
    return h->fortran || accept(s, "False") ? SOMA_OK : unexpected(s, "True or False");
}

static soma_status scan_header(scanner *s, header *h) {
    if (!accept(s, "{")) return unexpected(s, "'{'");
    while (!accept(s, "}")) {
        TRY(scan_pair(s, h));
        if (accept(s, ",")) continue;
        if (!accept(s, "}")) return unexpected(s, "',' or '}'");
        break;
    }
    skip_space(s);
    if (s->text[s->at]) return unexpected(s, "the header's end");
    return h->has_descr && h->has_order && h->has_shape ? SOMA_OK
                                                        : unexpected(s, "'descr', 'fortran_order' and 'shape'");
}

/* ---- reading ---- */

static soma_status read_exactly(soma_context *context, file_stream *stream, void *data, size_t n) {
    size_t got;
    TRY(file_stream_read(stream, data, n, &got));
    RETURN_IF(context, got < n, SOMA_FORMAT, "%s: truncated: ends at byte %llu, %zu bytes are missing",
              file_stream_path(stream), (unsigned long long)file_stream_position(stream), n - got);
    return SOMA_OK;
}

/* Magic, version, header length: 2 bytes in version 1, 4 later. */
static soma_status read_preamble(soma_context *context, file_stream *stream, size_t *length) {
    unsigned char b[12];
    TRY(read_exactly(context, stream, b, NPY_MAGIC + 2));
    RETURN_IF(context, memcmp(b, "\x93NUMPY", NPY_MAGIC) != 0, SOMA_FORMAT,
              "%s: byte 0: not an NPY file (it begins with \\x93NUMPY)", file_stream_path(stream));
    const int major = b[NPY_MAGIC];
    RETURN_IF(context, major < 1 || major > 3, SOMA_FORMAT, "%s: byte 6: NPY version %d is not known (1, 2, 3 are)",
              file_stream_path(stream), major);
    const size_t digits = major == 1 ? 2 : 4;
    TRY(read_exactly(context, stream, b, digits));
    *length = (size_t)b[0] | (size_t)b[1] << 8;
    if (digits == 4) *length |= (size_t)b[2] << 16 | (size_t)b[3] << 24;
    RETURN_IF(context, *length > NPY_MAX_HEADER, SOMA_FORMAT, "%s: byte 8: a header of %zu bytes (at most %d)",
              file_stream_path(stream), *length, NPY_MAX_HEADER);
    return SOMA_OK;
}

static soma_status read_header(soma_context *context, file_stream *stream, header *h) {
    size_t length = 0;
    TRY(read_preamble(context, stream, &length));
    const size_t offset = (size_t)file_stream_position(stream);
    char *words = mem_alloc(context, length + 1);
    if (!words) return SOMA_NO_MEMORY;
    soma_status status = read_exactly(context, stream, words, length);
    words[length] = '\0';
    scanner s = {.context = context, .path = file_stream_path(stream), .text = words, .offset = offset};
    if (status == SOMA_OK && strlen(words) != length) {
        s.at = strlen(words);
        status = unexpected(&s, "no zero byte");
    }
    if (status == SOMA_OK) status = scan_header(&s, h);
    mem_free(context, words, length + 1);
    return status;
}

static soma_status read_elements(soma_context *context, file_stream *stream, const header *h) {
    elements *e = h->array;
    TRY(elements_measure(e, file_stream_path(stream), file_stream_limit(stream)));
    TRY(elements_alloc(e));
    TRY(read_exactly(context, stream, e->data, e->bytes));
    char more;
    size_t got;
    const unsigned long long end = (unsigned long long)file_stream_position(stream);
    TRY(file_stream_read(stream, &more, 1, &got));
    RETURN_IF(context, got, SOMA_FORMAT, "%s: byte %llu: more bytes than the header tells of", file_stream_path(stream),
              end);
    if (h->swap) elements_swap(e);
    if (h->fortran) TRY(elements_transpose(e));
    return h->is_unsigned ? elements_unsigned(e, file_stream_path(stream)) : SOMA_OK;
}

soma_status npy_read(soma_context *context, file_stream *stream, elements *out) {
    *out = (elements){.context = context};
    header h = {.array = out};
    soma_status status = read_header(context, stream, &h);
    if (status == SOMA_OK) status = read_elements(context, stream, &h);
    if (status != SOMA_OK) elements_free(out);
    return status;
}

/* ---- writing ---- */

/* The whole of a version 1.0 preamble, padded so that the elements begin at a multiple of 64. */
static void write_header(text *t, int type, int rank, const int64_t *shape) {
    text_append_bytes(t, "\x93NUMPY\x01\x00\x00\x00", NPY_MAGIC + 4);
    text_printf(t, "{'descr': '%c%c%d', 'fortran_order': False, 'shape': (", npy_dtypes[type].size > 1 ? '<' : '|',
                npy_dtypes[type].kind, npy_dtypes[type].size);
    for (int i = 0; i < rank; i++)
        text_printf(t, "%s%lld", i ? ", " : "", (long long)shape[i]);
    text_append(t, rank == 1 ? ",), }" : "), }");
    while ((t->length + 1) % NPY_ALIGN && !t->failed)
        text_append(t, " ");
    text_append(t, "\n");
    if (t->failed) return;
    const size_t length = t->length - NPY_MAGIC - 4;
    t->data[NPY_MAGIC + 2] = (char)(length & 0xff);
    t->data[NPY_MAGIC + 3] = (char)(length >> 8);
}

soma_status npy_write(soma_context *context, const char *path, soma_dtype dtype, int rank, const int64_t *shape,
                      const void *data, size_t bytes) {
    int type = 0;
    while (type < NPY_DTYPES && npy_dtypes[type].dtype != dtype)
        type++;
    RETURN_IF(context, type == NPY_DTYPES, SOMA_DTYPE, "%s: NumPy has no %s; cast it to float32 first", path,
              soma_dtype_name(dtype));
    text head;
    text_init(&head, context);
    write_header(&head, type, rank, shape);
    soma_status status = head.failed ? SOMA_NO_MEMORY : SOMA_OK;
    file_writer *w = status == SOMA_OK ? file_writer_open(context, path) : NULL;
    if (w) {
        status = file_writer_write(w, head.data, head.length);
        if (status == SOMA_OK) status = file_writer_write(w, data, bytes);
        if (status == SOMA_OK)
            status = file_writer_commit(w);
        else
            file_writer_abort(w);
    } else if (status == SOMA_OK) {
        status = error_get(context);
    }
    text_deinit(&head);
    return status;
}
