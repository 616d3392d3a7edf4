/* Growing strings, and the distance between words.
 * Rests on the boxes of memory.h, so that a string can be freed by its pointer alone.
 * Capacity doubles: adding n bytes one by one costs O(n). */
#include "base/text.h"

#include <string.h>

#include "base/memory.h"
#include "base/number.h"

void text_init(text *t, soma_context *context) {
    *t = (text){.ctx = context};
}

void text_deinit(text *t) {
    mem_box_free(t->data);
    text_init(t, t->ctx);
}

/* Room for n more bytes and the zero byte. */
static bool reserve(text *t, size_t n) {
    if (t->failed) return false;
    size_t need;
    if (!size_add(t->length, n, &need) || !size_add(need, 1, &need)) {
        t->failed = true;
        return false;
    }
    if (need <= t->capacity) return true;
    size_t capacity = t->capacity < 64 ? 64 : t->capacity;
    while (capacity < need && capacity <= SIZE_MAX / 2)
        capacity *= 2;
    if (capacity < need) capacity = need;
    char *data = mem_box_realloc(t->ctx, t->data, capacity);
    if (!data) {
        t->failed = true;
        return false;
    }
    t->data = data;
    t->capacity = capacity;
    return true;
}

void text_append_bytes(text *t, const void *bytes, size_t n) {
    if (!reserve(t, n)) return;
    if (n) memcpy(t->data + t->length, bytes, n);
    t->length += n;
    t->data[t->length] = '\0';
}

void text_append(text *t, const char *string) {
    text_append_bytes(t, string, strlen(string));
}

void text_vprintf(text *t, const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    const int length = number_vformat(NULL, 0, format, arguments);
    if (length < 0) t->failed = true;
    if (length >= 0 && reserve(t, (size_t)length)) {
        (void)number_vformat(t->data + t->length, (size_t)length + 1, format, again);
        t->length += (size_t)length;
    }
    va_end(again);
}

void text_printf(text *t, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(t, format, arguments);
    va_end(arguments);
}

void text_truncate(text *t, size_t length) {
    if (length >= t->length) return;
    t->length = length;
    t->data[length] = '\0';
}

const char *text_string(const text *t) {
    return t->data ? t->data : "";
}

char *text_take(text *t) {
    if (!t->data) text_append(t, "");
    if (t->failed) {
        text_deinit(t);
        return NULL;
    }
    char *taken = t->data;
    text_init(t, t->ctx);
    return taken;
}

void text_free(char *taken) {
    mem_box_free(taken);
}

/* ---- distance ---- */

enum { WORD_MAX = 63 };

static int least(int a, int b) {
    return a < b ? a : b;
}

/* Optimal string alignment, three rows at a time; words longer than WORD_MAX count by length alone from there on. */
int text_distance(const char *a, const char *b) {
    const size_t full_a = strlen(a), full_b = strlen(b);
    const int m = full_a < WORD_MAX ? (int)full_a : WORD_MAX, n = full_b < WORD_MAX ? (int)full_b : WORD_MAX;
    int rows[3][WORD_MAX + 1];
    for (int j = 0; j <= n; j++)
        rows[0][j] = j;
    for (int i = 1; i <= m; i++) {
        int *row = rows[i % 3];
        const int *above = rows[(i - 1) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            const int cost = a[i - 1] != b[j - 1];
            row[j] = least(least(above[j] + 1, row[j - 1] + 1), above[j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], above2[j - 2] + 1);
        }
    }
    const size_t rest_a = full_a - (size_t)m, rest_b = full_b - (size_t)n;
    const size_t rest = rest_a > rest_b ? rest_a - rest_b : rest_b - rest_a;
    return rows[m % 3][n] + (rest > 1000000 ? 1000000 : (int)rest);
}

const char *text_nearest(const char *word, const char *const *names, int n) {
    const char *nearest = NULL;
    const int length = (int)strlen(word);
    int best = least(length / 3 + 1, 4) + 1; /* more changes than this and something else was meant */
    for (int i = 0; i < n; i++) {
        if (!names[i]) continue;
        const int distance = text_distance(word, names[i]);
        if (distance >= best || distance >= length) continue;
        best = distance;
        nearest = names[i];
    }
    return nearest;
}
