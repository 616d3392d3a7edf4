/* Runs a fuzz target once over every file of a folder, in the order of their names: what the fuzzer once found stays
 * found. Rests on the entry point that libFuzzer defines, so the targets are the same text in both builds. */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *folder, const char *name) {
    char path[4096];
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = length < (int)sizeof path ? fopen(path, "rb") : NULL;
    if (!file) {
        fprintf(stderr, "replay: cannot open %s/%s\n", folder, name);
        return -1;
    }
    enum { MOST = 1 << 20 };
    uint8_t *data = malloc(MOST);
    size_t size = data ? fread(data, 1, MOST, file) : 0;
    fclose(file);
    if (!data) return -1;
    /* A block of the exact size, so that reading past the end is seen by the sanitizers. */
    uint8_t *exact = realloc(data, size ? size : 1);
    int status = exact ? LLVMFuzzerTestOneInput(exact, size) : -1;
    free(exact ? exact : data);
    return status;
}

int main(int argc, char **argv) {
    struct dirent **entries = NULL;
    int count = argc == 2 ? scandir(argv[1], &entries, NULL, alphasort) : -1;
    if (count < 0) {
        fprintf(stderr, "usage: replay FOLDER\n");
        return 2;
    }
    int files = 0, failures = 0;
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            files++;
            failures += run_file(argv[1], entries[i]->d_name) != 0;
        }
        free(entries[i]);
    }
    free(entries);
    printf("%d files, %d failures\n", files, failures);
    return files == 0 || failures != 0;
}
