/* The remote monitor against a server of the test's own: what arrives, in both forms; and without a server.
 * Rests on cmocka, sockets and a thread. No port is fixed: the system gives a free one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <soma/soma.h>

#include "support/expect.h"

enum { EPOCHS = 2, LONGEST = 2000 };

static char said[LONGEST];

static void hear(void *user, const char *text, size_t n) {
    (void)user;
    const size_t length = strlen(said);
    if (length + n < sizeof said) memcpy(said + length, text, n);
}

typedef struct server {
    int socket, port;
    pthread_t thread;
    char requests[EPOCHS][LONGEST];
} server;

/* Reads a request to the end that its length tells, and answers. */
static void serve_one(int s, char *out) {
    size_t n = 0, wanted = LONGEST;
    while (n < wanted && n + 1 < LONGEST) {
        const ssize_t got = recv(s, out + n, LONGEST - 1 - n, 0);
        if (got <= 0) break;
        n += (size_t)got;
        const char *length = strstr(out, "Content-Length: "), *end = strstr(out, "\r\n\r\n");
        if (length && end) wanted = (size_t)(end + 4 - out) + strtoul(length + 16, NULL, 10);
    }
    static const char answer[] = "HTTP/1.0 200 OK\r\n\r\n";
    (void)send(s, answer, sizeof answer - 1, MSG_NOSIGNAL);
}

static void *serve(void *argument) {
    server *me = argument;
    for (int i = 0; i < EPOCHS; i++) {
        const int s = accept(me->socket, NULL, NULL);
        if (s < 0) break;
        serve_one(s, me->requests[i]);
        close(s);
    }
    return NULL;
}

static void start(server *me) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    memset(me, 0, sizeof *me);
    me->socket = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(me->socket >= 0);
    assert_int_equal(bind(me->socket, (struct sockaddr *)&here, sizeof here), 0);
    assert_int_equal(listen(me->socket, EPOCHS), 0);
    assert_int_equal(getsockname(me->socket, (struct sockaddr *)&here, &size), 0);
    me->port = ntohs(here.sin_port);
}

/* Two epochs on nothing but zeros, so that the loss is 0. */
static void train(const char *root, bool json) {
    static const float zeros[4];
    said[0] = 0;
    memset(said, 0, sizeof said);
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(4, 1), zeros},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(4, 1), zeros}, true);
    soma_model *net = soma_sequential(soma_dense(1, .input_shape = {1}));
    expect_ok(soma_compile(net, .loss = soma_mean_squared_error));
    expect_ok(soma_fit(
        net, data, .epochs = EPOCHS, .write = hear,
        .callbacks = {soma_remote_monitor(.root = root, .path = "/epochs", .field = "my data", .send_as_json = json)}));
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

static void epochs_arrive(void **state) {
    (void)state;
    for (int json = 0; json < 2; json++) {
        server me;
        char root[64], expected[LONGEST];
        start(&me);
        snprintf(root, sizeof root, "http://127.0.0.1:%d/top", me.port);
        assert_int_equal(pthread_create(&me.thread, NULL, serve, &me), 0);
        train(root, json);
        pthread_join(me.thread, NULL);
        close(me.socket);
        for (int i = 0; i < EPOCHS; i++) {
            const char *form = "my+data=%%7B%%22epoch%%22%%3A+%d%%2C+%%22loss%%22%%3A+0%%7D";
            char body[200];
            snprintf(body, sizeof body, json ? "{\"epoch\": %d, \"loss\": 0}" : form, i);
            snprintf(expected, sizeof expected,
                     "POST /top/epochs HTTP/1.0\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/%s\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     me.port, json ? "json" : "x-www-form-urlencoded", strlen(body), body);
            assert_string_equal(me.requests[i], expected);
        }
        assert_string_equal(said, "");
    }
}

/* The training goes on, and says so. */
static void nobody_listens(void **state) {
    (void)state;
    server me;
    char root[64], expected[200];
    start(&me);
    close(me.socket); /* a port that was free a moment ago */
    snprintf(root, sizeof root, "http://127.0.0.1:%d", me.port);
    train(root, false);
    snprintf(expected, sizeof expected, "Could not reach RemoteMonitor root server at %s\n", root);
    assert_int_equal(strlen(said), EPOCHS * strlen(expected));
    assert_memory_equal(said, expected, strlen(expected));
}

static void roots_are_looked_at(void **state) {
    (void)state;
    static const char *const wrong[] = {"https://localhost", "localhost:9000", "http://",   "http://:80",
                                        "http://a:",         "http://a:80x",   "http://a b"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        soma_callback_destroy(soma_remote_monitor(.root = wrong[i]));
        expect_error(SOMA_INVALID, "[remote_monitor]");
    }
    soma_callback_destroy(soma_remote_monitor());
    soma_callback_destroy(soma_remote_monitor(.root = "http://localhost/a/b"));
    assert_int_equal(soma_last_status(NULL), SOMA_OK);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, reset)
    const struct CMUnitTest tests[] = {TEST(epochs_arrive), TEST(nobody_listens), TEST(roots_are_looked_at)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
