/* Progress: bar, line or JSON.
 * Rests on progress.h. The bar redraws itself with backspaces, so it only goes where something can take them back;
 * a log gets one clean line an epoch. */
#include "train/progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/number.h"
#include "formats/json.h"

enum { BAR = 20, TIMES = 22 }; /* columns of the bar, and at most of the times behind it */
static const double REDRAW = 0.05;

static void to_stderr(void *user, const char *string, size_t n) {
    (void)user;
    fwrite(string, 1, n, stderr);
    fflush(stderr);
}

static int columns_of_stderr(void) {
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

void progress_init(progress *p, soma_context *context, int verbose, soma_write_fn *write, void *user) {
    *p = (progress){.mode = verbose, .write = write ? write : to_stderr, .user = user};
    if (verbose == SOMA_VERBOSE_AUTO) p->mode = !write && isatty(STDERR_FILENO) ? SOMA_VERBOSE_BAR : SOMA_VERBOSE_LINE;
    text_init(&p->out, context);
}

void progress_deinit(progress *p) {
    text_deinit(&p->out);
}

static void flush(progress *p) {
    if (!p->out.failed && p->out.length > 0) p->write(p->user, p->out.data, p->out.length);
    text_truncate(&p->out, 0);
}

void progress_begin(progress *p, int64_t epoch, int64_t epochs, int64_t target, double now) {
    p->target = target;
    p->current = 0;
    p->start = now;
    p->first_done = p->last_drawn = -1;
    p->width = 0;
    p->columns = p->write == to_stderr && p->mode == SOMA_VERBOSE_BAR ? columns_of_stderr() : 0;
    if (p->mode == SOMA_VERBOSE_NONE || p->mode == SOMA_VERBOSE_JSON || epochs <= 1) return;
    text_printf(&p->out, "Epoch %lld/%lld\n", (long long)epoch + 1, (long long)epochs);
    flush(p);
}

/* ---- parts of a line ---- */

/* The time of a step; the first one, in which plans are made, is left out as soon as there is another. */
static double step_seconds(const progress *p, double now) {
    if (p->current == 0) return 0;
    if (p->first_done >= 0 && p->current > 1) return (now - p->first_done) / (double)(p->current - 1);
    return (now - p->start) / (double)p->current;
}

static void add_step_time(text *out, double seconds) {
    if (seconds >= 1 || seconds == 0) {
        text_printf(out, " %.0fs/step", seconds);
    } else if (seconds >= 1e-3) {
        text_printf(out, " %.0fms/step", seconds * 1e3);
    } else {
        text_printf(out, " %.0fus/step", seconds * 1e6);
    }
}

static void add_eta(text *out, double seconds) {
    long long s = (long long)seconds;
    if (seconds > 3600) {
        text_printf(out, " %lld:%02lld:%02lld", s / 3600, s % 3600 / 60, s % 60);
    } else if (seconds > 60) {
        text_printf(out, " %lld:%02lld", s / 60, s % 60);
    } else {
        text_printf(out, " %llds", s);
    }
}

/* As many as fit into a text of this length. */
static void add_values(text *out, size_t most, const char *const *names, const double *values, int n) {
    for (int i = 0; i < n; i++) {
        size_t before = out->length;
        text_printf(out, fabs(values[i]) > 1e-3 ? " - %s: %.4f" : " - %s: %.4e", names[i], values[i]);
        if (out->length <= most) continue;
        text_truncate(out, before);
        return;
    }
}

/* " 12/469", as wide as it will get; returns its width. */
static int add_counter(text *out, const progress *p) {
    size_t before = out->length;
    if (p->target > 0) {
        char target[24];
        int digits = number_format(target, sizeof target, "%lld", (long long)p->target);
        text_printf(out, "%*lld/%s", digits, (long long)p->current, target);
    } else {
        text_printf(out, "%7lld/Unknown", (long long)p->current);
    }
    return (int)(out->length - before);
}

static void add_cells(text *out, const char *colour, int n) {
    if (n > 0 || colour[3] == '7') text_append(out, colour); /* the rest is coloured even when nothing is left */
    for (int i = 0; i < n; i++)
        text_append(out, "━");
    if (n > 0 || colour[3] == '7') text_append(out, "\033[0m");
}

/* Counter in bold, then the bar; returns the columns they take. */
static int add_bar(text *out, const progress *p) {
    if (p->target <= 0) return add_counter(out, p);
    text_append(out, "\033[1m");
    int width = add_counter(out, p);
    text_append(out, "\033[0m ");
    int done = (int)((double)BAR * (double)p->current / (double)p->target);
    if (done > BAR) done = BAR;
    add_cells(out, "\033[32m", done);
    add_cells(out, "\033[37m", BAR - done);
    return width + 1 + BAR;
}

/* A line that is wider than the terminal can't be taken back: while it moves it is cut, or not drawn. */
static void draw(progress *p, double now, bool last, const char *const *names, const double *values, int n) {
    text *out = &p->out;
    const bool cut = !last && p->columns > 0;
    for (int i = 0; i < p->width; i++)
        text_append(out, "\b");
    text_append(out, "\r");
    int width = add_bar(out, p);
    size_t before = out->length;
    if (cut && p->columns < width + TIMES) {
        text_truncate(out, 0);
        return;
    }
    double step = step_seconds(p, now);
    if (p->target > 0 && !last) {
        add_eta(out, step * (double)(p->target - p->current));
    } else {
        text_printf(out, " %.0fs", now - p->start);
    }
    add_step_time(out, step);
    add_values(out, cut ? before + (size_t)(p->columns - 1 - width) : SIZE_MAX, names, values, n);
    width += (int)(out->length - before);
    for (int i = width; i < p->width; i++)
        text_append(out, " ");
    if (last) text_append(out, "\n");
    p->width = width;
    p->last_drawn = now;
    flush(p);
}

/* ---- events ---- */

void progress_step(progress *p, int64_t current, double now, const char *const *names, const double *values, int n) {
    p->current = current;
    if (p->first_done < 0) p->first_done = now;
    if (p->mode != SOMA_VERBOSE_BAR) return;
    if (p->last_drawn >= 0 && now - p->last_drawn < REDRAW) return;
    draw(p, now, false, names, values, n);
}

static void add_json(text *out, int64_t epoch, double seconds, const char *const *names, const double *values, int n) {
    text_printf(out, "{\"epoch\": %lld", (long long)epoch + 1);
    for (int i = 0; i < n; i++) {
        text_append(out, ", ");
        json_write_string(out, names[i]);
        text_append(out, ": ");
        json_write_number(out, values[i]);
    }
    text_printf(out, ", \"seconds\": %.6g}\n", seconds);
}

void progress_end(progress *p, int64_t epoch, double now, const char *const *names, const double *values, int n) {
    if (p->mode == SOMA_VERBOSE_BAR) {
        draw(p, now, true, names, values, n);
    } else if (p->mode == SOMA_VERBOSE_LINE) {
        (void)add_counter(&p->out, p);
        text_printf(&p->out, " - %.0fs -", now - p->start);
        add_step_time(&p->out, step_seconds(p, now));
        add_values(&p->out, SIZE_MAX, names, values, n);
        text_append(&p->out, "\n");
        flush(p);
    } else if (p->mode == SOMA_VERBOSE_JSON) {
        add_json(&p->out, epoch, now - p->start, names, values, n);
        flush(p);
    }
}
