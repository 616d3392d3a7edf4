/* Files of the base floor: mapping, streams, gzip, writing all or nothing.
 * Rests on cmocka, the scratch folder and /dev/full. The gzip bytes were made by Python's gzip.compress(fox, 9,
 * mtime=0). */
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "support/failing.h"
#include "support/scratch.h"

/* gzip of "the quick brown fox jumps over the lazy dog\n" */
static const unsigned char fox_gz[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x2b, 0xc9, 0x48, 0x55, 0x28, 0x2c,
    0xcd, 0x4c, 0xce, 0x56, 0x48, 0x2a, 0xca, 0x2f, 0xcf, 0x53, 0x48, 0xcb, 0xaf, 0x50, 0xc8, 0x2a,
    0xcd, 0x2d, 0x28, 0x56, 0xc8, 0x2f, 0x4b, 0x2d, 0x52, 0x28, 0x01, 0x4a, 0xe7, 0x24, 0x56, 0x55,
    0x2a, 0xa4, 0xe4, 0xa7, 0x73, 0x01, 0x00, 0xbf, 0xde, 0xc3, 0x28, 0x2c, 0x00, 0x00, 0x00,
};
static const char fox[] = "the quick brown fox jumps over the lazy dog\n";

static void maps_whole_files(void **state) {
    (void)state;
    file_view v;
    assert_int_equal(file_map(NULL, scratch_write("map", "hello", 5), &v), SOMA_OK);
    assert_int_equal(v.size, 5);
    assert_memory_equal(v.data, "hello", 5);
    file_unmap(&v);
    assert_null(v.data);
    assert_int_equal(file_map(NULL, scratch_write("empty", "", 0), &v), SOMA_OK);
    assert_int_equal(v.size, 0);
    assert_non_null(v.data);
    file_unmap(&v);
    assert_int_equal(file_map(NULL, "/proc/self/stat", &v), SOMA_OK); /* claims size 0, holds more */
    assert_true(v.size > 10);
    file_unmap(&v);
}

static void expect_error(soma_status status, const char *a, const char *b) {
    assert_int_equal(soma_last_status(NULL), status);
    if (!strstr(soma_last_error(NULL), a) || !strstr(soma_last_error(NULL), b))
        fail_msg("'%s' lacks '%s' or '%s'", soma_last_error(NULL), a, b);
    soma_clear_error(NULL);
}

static void errors_name_file_and_reason(void **state) {
    (void)state;
    file_view v;
    assert_int_equal(file_map(NULL, "/no/such/file", &v), SOMA_IO);
    expect_error(SOMA_IO, "/no/such/file", "No such file or directory");
    assert_int_equal(file_map(NULL, "/tmp", &v), SOMA_IO);
    expect_error(SOMA_IO, "/tmp", "Is a directory");
    assert_null(file_stream_open(NULL, "/no/such/file", true));
    expect_error(SOMA_IO, "/no/such/file", "No such file");
    assert_null(file_writer_open(NULL, "/no/such/folder/file"));
    expect_error(SOMA_IO, "/no/such/folder/file", "No such file");
    assert_null(file_writer_open(NULL, "/tmp"));
    expect_error(SOMA_IO, "/tmp", "Is a directory");
}

static void streams_count_and_limit(void **state) {
    (void)state;
    char buffer[16];
    size_t got;
    file_stream *s = file_stream_open(NULL, scratch_write("stream", "0123456789", 10), true);
    assert_non_null(s);
    assert_int_equal(file_stream_limit(s), 10);
    assert_int_equal(file_stream_read(s, buffer, 1, &got), SOMA_OK); /* less than gzip's two bytes looked at before */
    assert_int_equal(got, 1);
    assert_int_equal(file_stream_read(s, buffer + 1, 5, &got), SOMA_OK);
    assert_memory_equal(buffer, "012345", 6);
    assert_int_equal(file_stream_position(s), 6);
    assert_int_equal(file_stream_limit(s), 4);
    assert_int_equal(file_stream_read(s, buffer, 10, &got), SOMA_OK);
    assert_int_equal(got, 4);
    assert_int_equal(file_stream_read(s, buffer, 10, &got), SOMA_OK);
    assert_int_equal(got, 0);
    file_stream_close(s);
    s = file_stream_memory(NULL, "memory", "abc", 3);
    assert_string_equal(file_stream_path(s), "memory");
    assert_int_equal(file_stream_read(s, buffer, 16, &got), SOMA_OK);
    assert_int_equal(got, 3);
    file_stream_close(s);
    file_stream_close(NULL);
    s = file_stream_open(NULL, scratch_write("one", "x", 1), true);
    assert_int_equal(file_stream_read(s, buffer, 16, &got), SOMA_OK);
    assert_int_equal(got, 1);
    file_stream_close(s);
}

/* Opens bytes as a gzipped file; NULL and a skipped test where zlib is missing. */
static file_stream *open_gzip(soma_context *c, const void *bytes, size_t size) {
    file_stream *s = file_stream_open(c, scratch_write("gz", bytes, size), true);
    if (s || soma_last_status(c) != SOMA_UNSUPPORTED) return s;
    assert_non_null(strstr(soma_last_error(c), "zlib1g-dev"));
    soma_clear_error(c);
    skip();
    return NULL;
}

static void gzip_is_undone(void **state) {
    (void)state;
    char buffer[200];
    size_t got;
    file_stream *s = open_gzip(NULL, fox_gz, sizeof fox_gz);
    assert_non_null(s);
    assert_int_equal(file_stream_limit(s), sizeof fox_gz * 1032);
    assert_int_equal(file_stream_read(s, buffer, 9, &got), SOMA_OK);
    assert_int_equal(file_stream_position(s), 9);
    assert_int_equal(file_stream_read(s, buffer + 9, 100, &got), SOMA_OK);
    assert_int_equal(got, sizeof fox - 1 - 9);
    assert_memory_equal(buffer, fox, sizeof fox - 1);
    assert_int_equal(file_stream_read(s, buffer, 100, &got), SOMA_OK);
    assert_int_equal(got, 0);
    file_stream_close(s);
    unsigned char twice[2 * sizeof fox_gz]; /* two members are one file */
    memcpy(twice, fox_gz, sizeof fox_gz);
    memcpy(twice + sizeof fox_gz, fox_gz, sizeof fox_gz);
    s = open_gzip(NULL, twice, sizeof twice);
    assert_int_equal(file_stream_read(s, buffer, sizeof buffer, &got), SOMA_OK);
    assert_int_equal(got, 2 * (sizeof fox - 1));
    assert_memory_equal(buffer + sizeof fox - 1, fox, sizeof fox - 1);
    file_stream_close(s);
}

/* Cut anywhere, or with any byte of the data wrong, the file is an error, not other bytes. */
static void damaged_gzip_is_an_error(void **state) {
    (void)state;
    char buffer[200];
    size_t got;
    for (size_t size = 2; size < sizeof fox_gz; size++) {
        file_stream *s = open_gzip(NULL, fox_gz, size);
        assert_non_null(s);
        assert_int_equal(file_stream_read(s, buffer, sizeof buffer, &got), SOMA_FORMAT);
        expect_error(SOMA_FORMAT, "gz", "truncated");
        file_stream_close(s);
    }
    for (size_t i = 10; i < sizeof fox_gz; i++) {
        unsigned char wrong[sizeof fox_gz];
        memcpy(wrong, fox_gz, sizeof fox_gz);
        wrong[i] ^= 0x55;
        file_stream *s = open_gzip(NULL, wrong, sizeof wrong);
        assert_int_equal(file_stream_read(s, buffer, sizeof buffer, &got), SOMA_FORMAT);
        expect_error(SOMA_FORMAT, "gz", "byte");
        file_stream_close(s);
    }
}

static void streams_survive_refused_memory(void **state) {
    (void)state;
    failing f;
    soma_context *c = failing_context(&f, 1);
    const char *path = scratch_write("gz", fox_gz, sizeof fox_gz);
    for (int64_t n = 0;; n++) {
        char buffer[100];
        size_t got = 0;
        f.requests = 0;
        f.refuse = n;
        file_stream *s = file_stream_open(c, path, true);
        const bool ok = s && file_stream_read(s, buffer, sizeof buffer, &got) == SOMA_OK;
        file_stream_close(s);
        assert_int_equal(f.blocks, 0);
        assert_false(f.wrong_size);
        if (soma_last_status(c) == SOMA_UNSUPPORTED) break;
        if (f.requests <= n) {
            assert_true(ok);
            assert_int_equal(got, sizeof fox - 1);
            assert_true(n >= 3);
            break;
        }
        assert_false(ok);
        assert_int_equal(soma_last_status(c), SOMA_NO_MEMORY);
        soma_clear_error(c);
    }
    soma_clear_error(c);
    soma_context_destroy(c);
}

/* ---- writing ---- */

static void write_text(soma_context *c, const char *path, const char *words) {
    file_writer *w = file_writer_open(c, path);
    assert_non_null(w);
    assert_int_equal(file_writer_write(w, words, strlen(words)), SOMA_OK);
    assert_int_equal(file_writer_commit(w), SOMA_OK);
}

static void expect_content(const char *path, const char *words) {
    char *content = scratch_read(path, NULL);
    assert_string_equal(content, words);
    free(content);
}

static void writing_replaces_whole_files(void **state) {
    (void)state;
    const int files = scratch_count();
    const char *path = scratch_path("written");
    write_text(NULL, path, "first");
    expect_content(path, "first");
    assert_int_equal(chmod(path, 0640), 0);
    file_writer *w = file_writer_open(NULL, path);
    assert_int_equal(file_writer_write(w, "second", 6), SOMA_OK);
    expect_content(path, "first"); /* nobody sees the new one before it is whole */
    assert_int_equal(scratch_count(), files + 2);
    file_writer_abort(w);
    expect_content(path, "first");
    assert_int_equal(scratch_count(), files + 1);
    write_text(NULL, path, "third, and longer");
    expect_content(path, "third, and longer");
    assert_int_equal(scratch_count(), files + 1);
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0640);
    file_writer_abort(NULL);
    unlink(path);
}

static void links_stay(void **state) {
    (void)state;
    char target[256], link[256];
    snprintf(target, sizeof target, "%s", scratch_write("linked", "first", 5));
    snprintf(link, sizeof link, "%s", scratch_path("link"));
    assert_int_equal(symlink("linked", link), 0);
    const int files = scratch_count();
    write_text(NULL, link, "second");
    expect_content(target, "second");
    struct stat about;
    assert_int_equal(lstat(link, &about), 0);
    assert_true(S_ISLNK(about.st_mode));
    assert_int_equal(scratch_count(), files);
    unlink(link);
    unlink(target);
}

/* What a killed process left goes with the next writing; what is being written, by this process or by another one, or
 * has another name, does not. */
static void left_over_files_are_removed(void **state) {
    (void)state;
    const char *const names[] = {"left.7.0.tmp", "left.7.0.tmp2", "left.x.0.tmp", "left.7.tmp", "other.7.0.tmp"};
    for (int i = 0; i < 5; i++)
        (void)scratch_write(names[i], "", 0);
    const int files = scratch_count();
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        file_writer *w = file_writer_open(NULL, scratch_path("left"));
        (void)(write(ready[1], w ? "w" : "-", 1) + 1);
        alarm(60); /* should the test die before it */
        for (;;)
            pause();
    }
    char said = 0;
    assert_int_equal(read(ready[0], &said, 1), 1);
    assert_int_equal(said, 'w');
    assert_int_equal(scratch_count(), files); /* the child has removed one, and has one */
    assert_int_not_equal(access(scratch_path(names[0]), F_OK), 0);
    file_writer *w = file_writer_open(NULL, scratch_path("left"));
    assert_int_equal(scratch_count(), files + 1);
    write_text(NULL, scratch_path("left"), "another's");
    assert_int_equal(scratch_count(), files + 2);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(scratch_count(), files + 2);
    assert_int_equal(file_writer_write(w, "whole", 5), SOMA_OK);
    assert_int_equal(file_writer_commit(w), SOMA_OK);
    expect_content(scratch_path("left"), "whole");
    assert_int_equal(scratch_count(), files + 1);
    write_text(NULL, scratch_path("left"), "last");
    assert_int_equal(scratch_count(), files);
    for (int i = 1; i < 5; i++)
        assert_int_equal(unlink(scratch_path(names[i])), 0);
    close(ready[0]);
    close(ready[1]);
    unlink(scratch_path("left"));
}

static void full_disks_are_errors(void **state) {
    (void)state;
    if (access("/dev/full", W_OK) != 0) skip();
    file_writer *w = file_writer_open(NULL, "/dev/full");
    assert_non_null(w);
    soma_status status = file_writer_write(w, fox, sizeof fox);
    if (status == SOMA_OK)
        status = file_writer_commit(w);
    else
        file_writer_abort(w);
    assert_int_equal(status, SOMA_IO);
    expect_error(SOMA_IO, "/dev/full", "No space left on device");
    assert_int_equal(access("/dev/full", W_OK), 0); /* a device is not replaced */
}

static void writers_survive_refused_memory(void **state) {
    (void)state;
    failing f;
    soma_context *c = failing_context(&f, 1);
    const int files = scratch_count();
    for (int64_t n = 0; n < 10; n++) {
        f.requests = 0;
        f.refuse = n;
        file_writer *w = file_writer_open(c, scratch_path("refused"));
        if (w) file_writer_abort(w);
        assert_int_equal(w != NULL, f.requests <= n);
        assert_int_equal(f.blocks, 0);
        assert_int_equal(scratch_count(), files);
        soma_clear_error(c);
    }
    soma_context_destroy(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_whole_files),
        cmocka_unit_test(errors_name_file_and_reason),
        cmocka_unit_test(streams_count_and_limit),
        cmocka_unit_test(gzip_is_undone),
        cmocka_unit_test(damaged_gzip_is_an_error),
        cmocka_unit_test(streams_survive_refused_memory),
        cmocka_unit_test(writing_replaces_whole_files),
        cmocka_unit_test(links_stay),
        cmocka_unit_test(left_over_files_are_removed),
        cmocka_unit_test(full_disks_are_errors),
        cmocka_unit_test(writers_survive_refused_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
