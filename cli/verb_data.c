/* soma data: which data sets are there, what is in them, and how to get them.
 * Rests on sources.h; fetching is scripts/get-data.sh's work, which verifies every file.
 * Shows counts a class: the first thing to know of labels. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "json_out.h"
#include "options.h"
#include "sources.h"

typedef struct data_values {
    const char *from;
} data_values;

static const option data_options[] = {
    {.name = "from",
     .kind = OPTION_TEXT,
     .offset = offsetof(data_values, from),
     .argument = "FOLDER",
     .help = "fetch: take the files from there"},
    {.name = NULL},
};

static const char *const part_names[] = {"train", "test"};

/* ---- list ---- */

static void list_json(const known_data *k, const char *folder) {
    json_out j = {.file = stdout};
    json_open(&j, NULL, '{');
    json_text(&j, "name", k->name);
    json_text(&j, "title", k->title);
    json_text(&j, "folder", folder);
    json_close(&j, '}');
    json_end(&j);
}

static int list(cli *c) {
    for (const known_data *k = known_datasets; k->name; k++) {
        const char *folder = data_find(c, k->name);
        if (c->json) {
            list_json(k, folder);
        } else if (folder) {
            printf("%-14s %-20s %s\n", k->name, k->title, folder);
        } else {
            printf("%-14s %-20s not here: soma data fetch %s\n", k->name, k->title, k->name);
        }
    }
    return EXIT_DONE;
}

/* ---- describe ---- */

typedef struct description {
    const char *name;
    data_source parts[2];
} description;

static void count_classes(const soma_dataset *data, int64_t classes, int64_t *counts) {
    for (int64_t i = 0; i < soma_dataset_samples(data); i++) {
        const int64_t label = source_label(data, i);
        if (label >= 0 && label < classes) counts[label]++;
    }
}

static void range(soma_array_data x, double *low, double *high, double *mean) {
    const int64_t n = x.shape[0] * array_sample_size(x);
    double sum = 0;
    *low = INFINITY;
    *high = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        const double value = array_item(x, i);
        *low = fmin(*low, value);
        *high = fmax(*high, value);
        sum += value;
    }
    *mean = sum / (double)n;
}

static void describe_json(cli *c, const description *d) {
    json_out j = {.file = stdout};
    json_open(&j, NULL, '{');
    json_text(&j, "name", d->name);
    for (int part = 0; part < 2; part++) {
        const soma_dataset *data = d->parts[part].data;
        if (!data) continue;
        const soma_array_data x = soma_dataset_x(data), y = soma_dataset_y(data);
        double low, high, mean;
        range(x, &low, &high, &mean);
        json_open(&j, part_names[part], '{');
        json_integer(&j, "samples", soma_dataset_samples(data));
        json_open(&j, "x", '{');
        json_shape(&j, "shape", x.rank, x.shape);
        json_text(&j, "dtype", soma_dtype_name(x.dtype));
        json_double(&j, "min", low);
        json_double(&j, "max", high);
        json_double(&j, "mean", mean);
        json_close(&j, '}');
        json_open(&j, "y", '{');
        json_shape(&j, "shape", y.rank, y.shape);
        json_text(&j, "dtype", soma_dtype_name(y.dtype));
        json_close(&j, '}');
        const int64_t classes = source_classes(data);
        int64_t *counts = cli_alloc(c, (size_t)classes + 1, sizeof *counts);
        count_classes(data, classes, counts);
        json_open(&j, "classes", '{');
        for (int64_t i = 0; i < classes; i++)
            json_integer(&j, class_name(c, NULL, data, i), counts[i]);
        json_close(&j, '}');
        json_close(&j, '}');
    }
    json_close(&j, '}');
    json_end(&j);
}

static void describe_text(cli *c, const description *d) {
    int64_t classes = 0, *counts[2] = {NULL, NULL};
    for (int part = 0; part < 2; part++) {
        const soma_dataset *data = d->parts[part].data;
        if (data && source_classes(data) > classes) classes = source_classes(data);
    }
    printf("%s\n", d->name);
    for (int part = 0; part < 2; part++) {
        const soma_dataset *data = d->parts[part].data;
        counts[part] = cli_alloc(c, (size_t)classes + 1, sizeof(int64_t));
        if (!data) continue;
        const soma_array_data x = soma_dataset_x(data), y = soma_dataset_y(data);
        double low, high, mean;
        range(x, &low, &high, &mean);
        count_classes(data, classes, counts[part]);
        printf("  %s: %s samples\n", part_names[part], text_thousands(c, soma_dataset_samples(data)));
        printf("    x %s %s", text_shape(c, x.rank, x.shape), soma_dtype_name(x.dtype));
        if (low <= high) printf(", from %.6g to %.6g, mean %.4f", low, high, mean);
        printf("\n");
        printf("    y %s %s\n", text_shape(c, y.rank, y.shape), soma_dtype_name(y.dtype));
    }
    if (!classes) return;
    printf("  %lld classes:\n    %-14s", (long long)classes, "");
    for (int part = 0; part < 2; part++) {
        if (d->parts[part].data) printf(" %8s", part_names[part]);
    }
    printf("\n");
    const soma_dataset *named = d->parts[0].data ? d->parts[0].data : d->parts[1].data;
    for (int64_t i = 0; i < classes; i++) {
        printf("    %-14s", class_name(c, NULL, named, i));
        for (int part = 0; part < 2; part++) {
            if (d->parts[part].data) printf(" %8s", text_thousands(c, counts[part][i]));
        }
        printf("\n");
    }
}

static int describe(cli *c, const char *name) {
    description d = {.name = name};
    int code = source_open(c, name, "train", true, &d.parts[0]);
    if (code == EXIT_DONE) code = source_open(c, name, "test", false, &d.parts[1]);
    if (code == EXIT_DONE) (c->json ? describe_json : describe_text)(c, &d);
    source_close(&d.parts[0]);
    source_close(&d.parts[1]);
    return code;
}

/* ---- fetch ---- */

/* The script in the repository that this command was built in or is called from; NULL when there is none. */
static const char *find_script(cli *c) {
    static const char local[] = "scripts/get-data.sh";
    if (access(local, X_OK) == 0) return local;
    char self[4096];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0) return NULL;
    self[length] = '\0';
    char *slash = strrchr(self, '/');
    if (slash) *slash = '\0';
    const char *path = cli_text(c, "%s/../%s", self, local);
    return access(path, X_OK) == 0 ? path : NULL;
}

static void report_fetched(cli *c, const char *name, const char *folder) {
    if (!c->json) {
        printf("%s\n", folder ? folder : name);
        return;
    }
    json_out j = {.file = stdout};
    json_open(&j, NULL, '{');
    json_text(&j, "name", name);
    json_text(&j, "folder", folder);
    json_close(&j, '}');
    json_end(&j);
}

static int fetch(cli *c, const data_values *v, char *name) {
    const char *names[16] = {NULL};
    bool found = false;
    for (int i = 0; known_datasets[i].name; i++) {
        names[i] = known_datasets[i].name;
        found = found || strcmp(names[i], name) == 0;
    }
    if (!found) return cli_fail_usage(c, nearest_name(name, names), "no data set '%s' is known", name);
    const char *script = find_script(c);
    if (!script) return cli_fail(c, EXIT_FAILED, "scripts/get-data.sh is not here: run this in Soma's source folder");
    (void)fflush(stdout);
    const pid_t child = fork();
    if (child < 0) return cli_fail(c, EXIT_FAILED, "cannot start %s: %s", script, strerror(errno));
    if (child == 0) {
        (void)dup2(STDERR_FILENO, STDOUT_FILENO); /* how it goes is no result */
        if (v->from) {
            execl(script, script, name, "--from", v->from, (char *)NULL);
        } else {
            execl(script, script, name, (char *)NULL);
        }
        _exit(127);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        report_fetched(c, name, data_find(c, name));
        return EXIT_DONE;
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == 2) return EXIT_INTERRUPT;
    return cli_fail(c, EXIT_FAILED, "%s could not be fetched", name);
}

static int run_data(cli *c, void *values, option_table tables[OPTION_TABLES], int n, char **arguments) {
    (void)tables;
    static const char *const actions[] = {"list", "describe", "fetch", NULL};
    if (n == 0 || strcmp(arguments[0], "list") == 0) {
        const int code = need_arguments(c, n, 0, 1, "list");
        return code == EXIT_DONE ? list(c) : code;
    }
    const bool fetching = strcmp(arguments[0], "fetch") == 0;
    if (!fetching && strcmp(arguments[0], "describe") != 0)
        return cli_fail_usage(c, nearest_name(arguments[0], actions), "unknown action '%s'", arguments[0]);
    const int code = need_arguments(c, n, 2, 2, "a data set");
    if (code != EXIT_DONE) return code;
    return fetching ? fetch(c, values, arguments[1]) : describe(c, arguments[1]);
}

const verb verb_data = {
    .name = "data",
    .summary = "List, describe and fetch data sets",
    .usage = "[list]\ndescribe NAME|FOLDER|PREFIX\nfetch NAME [--from FOLDER]",
    .examples = "soma data\nsoma data describe mnist\nsoma data fetch fashion-mnist",
    .notes = "Data sets are looked for in the folder that SOMA_DATA names, else in ./data.",
    .options = data_options,
    .size = sizeof(data_values),
    .run = run_data,
};
