/* Remote monitor: what an epoch measured, posted to a server.
 * Rests on callback.h and POSIX sockets; HTTP/1.0 over one connection an epoch, no TLS.
 * A server that is away costs the training seconds at most, and never ends it, as in Keras. */
#include <math.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/context_internal.h"
#include "formats/json.h"
#include "train/callback.h"

enum { TIMEOUT_SECONDS = 5, HOST = 256, PORT = 8 };

typedef struct remote_monitor {
    soma_callback base;
    soma_context *context;
    char *root, *path, *field; /* as given */
    bool json;
    char host[HOST], port[PORT];
    const char *prefix; /* of root, behind the host */
} remote_monitor;

/* ---- the request ---- */

/* {"epoch": 0, "loss": 0.5} */
static void write_logs(text *out, const soma_logs *logs) {
    text_printf(out, "{\"epoch\": %lld", (long long)logs->epoch);
    for (int i = 0; i < logs->n; i++) {
        text_append(out, ", ");
        json_write_string(out, logs->names[i]);
        text_append(out, ": ");
        if (isfinite(logs->values[i])) {
            json_write_number(out, logs->values[i]);
        } else {
            text_append(out, "null");
        }
    }
    text_append(out, "}");
}

/* As a form has it: letters and digits as they are, a space as +, others as %20. */
static void write_escaped(text *out, const char *words) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";
    for (; *words; words++) {
        if (strchr(plain, *words)) {
            text_append_bytes(out, words, 1);
        } else if (*words == ' ') {
            text_append(out, "+");
        } else {
            text_printf(out, "%%%02X", (unsigned)(unsigned char)*words);
        }
    }
}

static void write_request(text *out, const remote_monitor *m, const soma_logs *logs) {
    text logged, body;
    text_init(&logged, m->context);
    text_init(&body, m->context);
    write_logs(&logged, logs);
    if (m->json) {
        text_append(&body, text_string(&logged));
    } else {
        write_escaped(&body, m->field);
        text_append(&body, "=");
        write_escaped(&body, text_string(&logged));
    }
    text_printf(out, "POST %s%s HTTP/1.0\r\nHost: %s:%s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
                m->prefix, m->path, m->host, m->port,
                m->json ? "application/json" : "application/x-www-form-urlencoded", body.length, text_string(&body));
    out->failed = out->failed || logged.failed || body.failed;
    text_deinit(&logged);
    text_deinit(&body);
}

/* ---- the connection ---- */

static int connect_to(const struct addrinfo *address) {
    const struct timeval patience = {.tv_sec = TIMEOUT_SECONDS};
    for (; address; address = address->ai_next) {
        const int s = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, address->ai_protocol);
        if (s < 0) continue;
        (void)setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        (void)setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (connect(s, address->ai_addr, address->ai_addrlen) == 0) return s;
        (void)close(s);
    }
    return -1;
}

/* Sends all, and waits for an answer, whatever it says. */
static bool exchange(int s, const char *bytes, size_t n) {
    char answer[512];
    while (n > 0) {
        const ssize_t sent = send(s, bytes, n, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes += sent;
        n -= (size_t)sent;
    }
    return recv(s, answer, sizeof answer, 0) > 0;
}

static bool post(const remote_monitor *m, const text *request) {
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(m->host, m->port, &wanted, &found) != 0) return false;
    const int s = connect_to(found);
    freeaddrinfo(found);
    if (s < 0) return false;
    const bool arrived = exchange(s, request->data, request->length);
    (void)close(s);
    return arrived;
}

static soma_status epoch_end(void *user, soma_model *model, const soma_logs *logs) {
    const remote_monitor *m = user;
    (void)model;
    text request;
    text_init(&request, m->context);
    write_request(&request, m, logs);
    const soma_status status = request.failed ? SOMA_NO_MEMORY : SOMA_OK;
    if (status == SOMA_OK && !post(m, &request))
        callback_say(m->context, logs, "Could not reach RemoteMonitor root server at %s\n", m->root);
    text_deinit(&request);
    return status;
}

/* ---- life ---- */

static void destroy(soma_callback *callback) {
    remote_monitor *m = (remote_monitor *)callback;
    text_free(m->root);
    text_free(m->path);
    text_free(m->field);
    mem_free(m->context, m, sizeof *m);
}

/* "http://host:port/prefix"; the port is 80 unless it is said. */
static soma_status read_root(remote_monitor *m) {
    static const char scheme[] = "http://";
    RETURN_IF(m->context, strncmp(m->root, scheme, sizeof scheme - 1) != 0, SOMA_INVALID,
              "[remote_monitor] root is '%s': it must begin with http://", m->root);
    const char *host = m->root + sizeof scheme - 1;
    const size_t length = strcspn(host, ":/");
    const char *port = host[length] == ':' ? host + length + 1 : "80";
    const size_t digits = strspn(port, "0123456789");
    m->prefix = host[length] == ':' ? port + digits : host + length;
    RETURN_IF(m->context,
              length == 0 || length >= HOST || digits == 0 || digits >= PORT || (*m->prefix && *m->prefix != '/') ||
                  strpbrk(m->root, " \r\n") || strpbrk(m->path, " \r\n"),
              SOMA_INVALID, "[remote_monitor] '%s%s': http://host:port and a path are expected", m->root, m->path);
    memcpy(m->host, host, length);
    memcpy(m->port, port, digits);
    return SOMA_OK;
}

soma_callback *soma_remote_monitor_create(const soma_remote_monitor_options *o) {
    remote_monitor *m = callback_alloc(o->context, sizeof *m);
    if (!m) return callback_failed();
    m->context = context_of(o->context);
    m->json = o->send_as_json;
    m->base.on_epoch_end = epoch_end;
    m->base.destroy = destroy;
    m->root = callback_strdup(m->context, o->root ? o->root : "http://localhost:9000");
    m->path = callback_strdup(m->context, o->path ? o->path : "/publish/epoch/end/");
    m->field = callback_strdup(m->context, o->field ? o->field : "data");
    if (m->root && m->path && m->field && read_root(m) == SOMA_OK) return &m->base;
    destroy(&m->base);
    return callback_failed();
}
