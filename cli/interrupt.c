/* Signals that stop a training.
 * Rests on interrupt.h and POSIX.
 * The handler does only what a handler may: an atomic store inside the library, write and _exit. */
#include "interrupt.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static soma_model *volatile guarded;
static volatile sig_atomic_t received;

static void on_signal(int number) {
    static const char text[] = "\nStopping after this batch; once more to leave at once, without saving.\n";
    if (received && number == SIGHUP) return; /* the terminal's and the shell's: they mean the same end */
    if (received) _exit(128 + number);
    received = 1;
    const int reason = errno;
    soma_model_request_stop(guarded);
    const ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written;
    errno = reason;
}

void interrupt_guard(soma_model *model) {
    guarded = model;
    received = 0;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = model ? on_signal : SIG_DFL;
    (void)sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    struct sigaction before; /* nohup has a closed terminal change nothing */
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN) (void)sigaction(SIGHUP, &action, NULL);
}

bool interrupt_came(void) {
    return received;
}
