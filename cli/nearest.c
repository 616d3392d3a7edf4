/* The known word that is nearest to an unknown one: for "Did you mean".
 * Rests on the optimal string alignment distance: letters changed, left out, put in, or swapped with their neighbour.
 * Words are short, so the plain quadratic recurrence over three rows is enough. */
#include <string.h>

#include "cli.h"

enum { LONGEST_WORD = 64 };

static int smaller(int a, int b) {
    return a < b ? a : b;
}

/* Upper case and lower case are one letter, and so are '_' and '-'. */
static char plain(char letter) {
    if (letter >= 'A' && letter <= 'Z') return (char)(letter - 'A' + 'a');
    return letter == '_' ? '-' : letter;
}

int word_distance(const char *a, const char *b, int limit) {
    const int n = (int)strnlen(a, LONGEST_WORD + 1), m = (int)strnlen(b, LONGEST_WORD + 1);
    if (n > LONGEST_WORD || m > LONGEST_WORD) return limit + 1;
    int rows[3][LONGEST_WORD + 1];
    for (int j = 0; j <= m; j++)
        rows[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            const bool same = plain(a[i - 1]) == plain(b[j - 1]);
            row[j] = smaller(smaller(row[j - 1], above[j]) + 1, above[j - 1] + !same);
            if (i > 1 && j > 1 && plain(a[i - 1]) == plain(b[j - 2]) && plain(a[i - 2]) == plain(b[j - 1]))
                row[j] = smaller(row[j], above2[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

const char *nearest_name(const char *word, const char *const *names) {
    const int length = (int)strnlen(word, LONGEST_WORD);
    int best = 1 + (length < 4 ? 1 : length < 8 ? 2 : 3);
    const char *name = NULL;
    for (; *names; names++) {
        const int distance = word_distance(word, *names, best);
        if (distance < best && distance < (int)strlen(*names)) {
            best = distance;
            name = *names;
        }
    }
    return name;
}
