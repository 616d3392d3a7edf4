/* Reads the header of a safetensors file: a length of 8 bytes, then JSON.
 * Rests on safetensors_header.h.
 * Every number is checked against the size of the file before it is used. */
#include "safetensors_header.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LONGEST_HEADER = 100000000 };

static bool whole(const json_value *value, double high, int64_t *out) {
    double number;
    if (!json_in_number(value, &number) || number < 0 || number > high || number != trunc(number)) return false;
    *out = (int64_t)number;
    return true;
}

static int read_tensor(cli *c, const char *path, int64_t data, int64_t room, const json_value *value,
                       stored_tensor *t) {
    const json_value *shape = json_in_find(value, "shape"), *offsets = json_in_find(value, "data_offsets");
    const size_t rank = json_in_count(shape);
    int64_t begin = 0, end = 0;
    t->dtype = json_in_text(json_in_find(value, "dtype"));
    bool valid = t->dtype && rank <= SOMA_MAX_RANK && whole(json_in_at(offsets, 0), 9e15, &begin) &&
                 whole(json_in_at(offsets, 1), 9e15, &end);
    for (size_t i = 0; valid && i < rank; i++)
        valid = whole(json_in_at(shape, i), 9e15, &t->shape[i]);
    if (!valid)
        return cli_fail(c, EXIT_INPUT, "%s: byte 8: tensor '%s' is not described as it should be", path, t->name);
    if (end < begin || end > room)
        return cli_fail(c, EXIT_INPUT, "%s: tensor '%s' ends at byte %lld, the file has %lld", path, t->name,
                        (long long)(data + end), (long long)(data + room));
    t->rank = (int)rank;
    t->begin = data + begin;
    t->end = data + end;
    return EXIT_DONE;
}

static int by_place(const void *a, const void *b) {
    const stored_tensor *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

static int read_members(cli *c, const char *path, int64_t data, safetensors_header *out) {
    if (!json_in_is_object(out->root)) return cli_fail(c, EXIT_INPUT, "%s: byte 8: the header is no JSON object", path);
    out->tensors = cli_alloc(c, json_in_count(out->root) + 1, sizeof *out->tensors);
    void *cursor = NULL;
    const char *key;
    const json_value *value;
    while (json_in_next(out->root, &cursor, &key, &value)) {
        if (strcmp(key, "__metadata__") == 0) {
            out->metadata = value;
            continue;
        }
        out->tensors[out->n].name = key;
        const int code = read_tensor(c, path, data, out->bytes - data, value, &out->tensors[out->n]);
        if (code != EXIT_DONE) return code;
        out->n++;
    }
    qsort(out->tensors, (size_t)out->n, sizeof *out->tensors, by_place);
    return EXIT_DONE;
}

int safetensors_look(cli *c, const char *path, safetensors_header *out) {
    *out = (safetensors_header){.root = NULL};
    struct stat about;
    FILE *file = fopen(path, "rb");
    if (!file || fstat(fileno(file), &about) != 0) {
        const int reason = errno;
        if (file) (void)fclose(file);
        return cli_fail(c, EXIT_INPUT, "%s: cannot be opened: %s", path, strerror(reason));
    }
    unsigned char b[8];
    uint64_t length = 0;
    const bool has_length = fread(b, 1, 8, file) == 8;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | b[i];
    out->bytes = about.st_size;
    char *text = NULL;
    if (has_length && length <= LONGEST_HEADER && (int64_t)length <= out->bytes - 8) {
        text = cli_alloc(c, (size_t)length + 1, 1);
        if (fread(text, 1, (size_t)length, file) != length) text = NULL;
    }
    (void)fclose(file);
    if (!text) return cli_fail(c, EXIT_INPUT, "%s: byte 0: the header is longer than the file, or than may be", path);
    out->root = json_in_parse(c, cli_text(c, "%s: header", path), text, (size_t)length, true);
    if (!out->root) return EXIT_INPUT;
    const int code = read_members(c, path, 8 + (int64_t)length, out);
    if (code != EXIT_DONE) safetensors_close(out);
    return code;
}

void safetensors_close(safetensors_header *header) {
    if (header->root) json_in_free(header->root);
    header->root = NULL;
}
