/* The context: what is the same for everything one caller does.
 * Rests on pthreads. The default context is the one mutable global of the library, filled in once, never destroyed.
 * The environment is read when a context is made; a bad value there is an error of that context, not a guess. */
#define _GNU_SOURCE 1
#include "base/context_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/number.h"
#include "base/text.h"

enum { HUGE_PAGE = 2 << 20, HUGE_FROM = 4 << 20, ZEROS_FROM = 64 << 10 };

static soma_context default_context;
static pthread_once_t default_once = PTHREAD_ONCE_INIT;

/* Big blocks ask for huge pages: data sets and weights are then faulted in and found by a five-hundredth of the page
 * table entries. Where the system grants none, nothing is lost. */
static void ask_for_huge_pages(void *block, size_t size) {
    const size_t skip = (size_t)(-(uintptr_t)block & (HUGE_PAGE - 1));
    if (skip + HUGE_PAGE > size) return;
    (void)madvise((char *)block + skip, (size - skip) & ~(size_t)(HUGE_PAGE - 1), MADV_HUGEPAGE);
}

static void *allocate_huge(size_t size) {
    void *block;
    if (posix_memalign(&block, HUGE_PAGE, size) != 0) return NULL;
    ask_for_huge_pages(block, size);
    return block;
}

static void *allocate_default(void *user, void *pointer, size_t old_size, size_t new_size) {
    (void)user;
    (void)old_size;
    if (!pointer && new_size >= HUGE_FROM) return allocate_huge(new_size);
    if (new_size) return realloc(pointer, new_size);
    free(pointer);
    return NULL;
}

/* Small blocks are sooner written than asked for: malloc keeps some at hand, calloc does not. */
void *context_allocate_zeros(const soma_context *c, size_t size) {
    const bool system = c->allocate == allocate_default && size >= ZEROS_FROM;
    void *block = system ? calloc(1, size) : c->allocate(c->allocate_user, NULL, 0, size);
    if (block && !system) memset(block, 0, size);
    if (block && system && size >= HUGE_FROM) ask_for_huge_pages(block, size);
    return block;
}

static void log_default(void *user, const char *topic, const char *line) {
    (void)user;
    fprintf(stderr, "[%s] %s\n", topic, line);
}

static soma_status choose_threads(soma_context *c, int asked) {
    RETURN_IF(c, asked < 0 || asked > CONTEXT_MAX_THREADS, SOMA_INVALID, "[context] threads %d: expected 0 to %d",
              asked, CONTEXT_MAX_THREADS);
    const char *words = asked ? NULL : getenv("SOMA_THREADS");
    if (words && *words) {
        char *end;
        const long n = strtol(words, &end, 10);
        c->threads = 1; /* what holds if the error is ignored */
        RETURN_IF(c, *end || n < 1 || n > CONTEXT_MAX_THREADS, SOMA_INVALID,
                  "[context] SOMA_THREADS=%s: expected a number from 1 to %d", words, CONTEXT_MAX_THREADS);
        asked = (int)n;
    }
    if (!asked) asked = team_cpus();
    c->threads = asked < CONTEXT_MAX_THREADS ? asked : CONTEXT_MAX_THREADS;
    return SOMA_OK;
}

static soma_status choose_memory(soma_context *c, size_t asked) {
    const char *words = asked ? NULL : getenv("SOMA_MEMORY");
    c->memory = asked;
    if (!words || !*words || size_parse(words, &c->memory)) return SOMA_OK;
    return error_set(c, SOMA_INVALID, "[context] SOMA_MEMORY=%s: expected a size such as 500MB or 2GiB", words);
}

/* Only the name is checked here; whether this machine has it is known to the floor that owns the kernels. */
static soma_status choose_isa(soma_context *c, const char *asked) {
    static const char *const names[] = {"baseline", "avx2", "avx512", "neon"};
    enum { NAMES = sizeof names / sizeof *names };
    const char *source = asked ? "isa " : "SOMA_ISA=";
    if (!asked) asked = getenv("SOMA_ISA");
    if (!asked || !*asked) return SOMA_OK;
    for (int i = 0; i < NAMES; i++) {
        if (strcmp(asked, names[i])) continue;
        memcpy(c->isa, asked, strlen(asked) + 1);
        return SOMA_OK;
    }
    const char *nearest = text_nearest(asked, names, NAMES);
    return error_set(c, SOMA_INVALID, "[context] %s%s: expected baseline, avx2, avx512 or neon%s%s%s", source, asked,
                     nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

/* Everything but memory for itself. Errors are recorded in c, which is usable in any case. */
static soma_status context_init(soma_context *c, const soma_context_options *o) {
    *c = (soma_context){.allocate = o->allocate ? o->allocate : allocate_default,
                        .allocate_user = o->allocate_user,
                        .log = o->log,
                        .log_user = o->log_user,
                        .seed = o->seed};
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&c->lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
    pthread_mutex_init(&c->error_lock, NULL);
    const soma_status threads = choose_threads(c, o->threads), isa = choose_isa(c, o->isa);
    const soma_status memory = choose_memory(c, o->memory);
    return threads != SOMA_OK ? threads : isa != SOMA_OK ? isa : memory;
}

static void context_deinit(soma_context *c) {
    for (int i = CONTEXT_SLOTS - 1; i >= 0; i--)
        if (c->slots[i].destroy && c->slots[i].data) c->slots[i].destroy(c, c->slots[i].data);
    team_destroy(c->team);
    pthread_mutex_destroy(&c->lock);
    pthread_mutex_destroy(&c->error_lock);
}

static void default_init(void) {
    (void)context_init(&default_context, &(soma_context_options){0});
}

soma_context *context_of(const soma_context *context) {
    if (context) return (soma_context *)(uintptr_t)context;
    pthread_once(&default_once, default_init);
    return &default_context;
}

soma_context *soma_context_create(const soma_context_options *options) {
    const soma_context_options o = options ? *options : (soma_context_options){0};
    const soma_allocate_fn allocate = o.allocate ? o.allocate : allocate_default;
    soma_context *c = allocate(o.allocate_user, NULL, 0, sizeof *c);
    if (!c) {
        (void)error_set(NULL, SOMA_NO_MEMORY, "[context] out of memory: %zu bytes were refused", sizeof *c);
        return NULL;
    }
    const soma_status status = context_init(c, &o);
    if (status == SOMA_OK) return c;
    (void)error_set(NULL, status, "%s", soma_last_error(c)); /* c is about to go: the default context tells */
    soma_context_destroy(c);
    return NULL;
}

void soma_context_destroy(soma_context *context) {
    if (!context || context == &default_context) return;
    context_deinit(context);
    context->allocate(context->allocate_user, context, sizeof *context, 0);
}

int soma_threads(const soma_context *context) {
    return context_of(context)->threads;
}

size_t soma_memory_limit(const soma_context *context) {
    return context_of(context)->memory;
}

void soma_set_random_seed(soma_context *context, uint64_t seed) {
    context_of(context)->seed = seed;
}

uint64_t soma_random_seed(const soma_context *context) {
    return context_of(context)->seed;
}

const char *soma_version(void) {
    return SOMA_VERSION;
}

const char *context_isa_name(const soma_context *context) {
    const soma_context *c = context_of(context);
    return c->isa[0] ? c->isa : NULL;
}

void context_lock(soma_context *context) {
    pthread_mutex_lock(&context_of(context)->lock);
}

void context_unlock(soma_context *context) {
    pthread_mutex_unlock(&context_of(context)->lock);
}

context_slot *context_get_slot(soma_context *context, context_slot_name name) {
    return &context_of(context)->slots[name];
}

team *context_team(soma_context *context) {
    soma_context *c = context_of(context);
    context_lock(c);
    if (!c->team) c->team = team_create(c, c->threads);
    team *made = c->team;
    context_unlock(c);
    return made;
}

/* ---- log ---- */

/* Is word among the comma separated words of list? */
static bool listed(const char *list, const char *word) {
    const size_t length = strlen(word);
    for (const char *p = list; p; p = strchr(p, ',')) {
        if (*p == ',') p++;
        if (!strncmp(p, word, length) && (p[length] == ',' || !p[length])) return true;
    }
    return false;
}

bool context_log_enabled(const soma_context *context, const char *topic) {
    if (context_of(context)->log) return true;
    const char *topics = getenv("SOMA_LOG");
    return topics && (listed(topics, topic) || listed(topics, "all"));
}

void context_log(soma_context *context, const char *topic, const char *format, ...) {
    if (!context_log_enabled(context, topic)) return;
    soma_context *c = context_of(context);
    text t;
    text_init(&t, c);
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(&t, format, arguments);
    va_end(arguments);
    const soma_log_fn log = c->log ? c->log : log_default;
    char *line = t.failed || !t.data ? NULL : t.data;
    while (line && *line) {
        char *end = strchr(line, '\n');
        if (end) *end = '\0';
        log(c->log_user, topic, line);
        line = end ? end + 1 : NULL;
    }
    text_deinit(&t);
}
