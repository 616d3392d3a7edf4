/* JSON in and out.
 * Rests on cmocka; in a build without jansson only the writer and the stub's error are tested.
 * The reader's grammar is jansson's affair: here is what our names for it promise. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "formats/json.h"

/* Skips the test where jansson is missing. */
static json_document *parse(const char *words) {
    json_document *d;
    const soma_status status = json_document_parse(NULL, "test.json", 100, words, strlen(words), &d);
    if (status == SOMA_UNSUPPORTED) {
        assert_non_null(strstr(soma_last_error(NULL), "libjansson-dev"));
        soma_clear_error(NULL);
        skip();
    }
    assert_int_equal(status == SOMA_OK, d != NULL);
    return d;
}

static void reads_every_kind(void **state) {
    (void)state;
    json_document *d =
        parse("{\"b\": [1, -2.5, 1e3, true, null, \"s\\u00e4\"], \"a\": {}, \"c\": 9223372036854775807}");
    const json_node *root = json_document_root(d), *list = json_node_find(root, "b"), *value;
    double number = 0;
    int64_t integer = 0;
    bool truth = false;
    assert_int_equal(json_node_kind(root), JSON_IS_OBJECT);
    assert_int_equal(json_node_count(root), 3);
    assert_int_equal(json_node_count(list), 6);
    assert_true(json_node_integer(json_node_at(list, 0), &integer) && integer == 1);
    assert_false(json_node_integer(json_node_at(list, 1), &integer));
    assert_true(json_node_number(json_node_at(list, 1), &number) && number == -2.5);
    assert_true(json_node_integer(json_node_at(list, 2), &integer) && integer == 1000);
    assert_true(json_node_bool(json_node_at(list, 3), &truth) && truth);
    assert_int_equal(json_node_kind(json_node_at(list, 4)), JSON_IS_NULL);
    assert_string_equal(json_node_string(json_node_at(list, 5)), "s\xc3\xa4");
    assert_null(json_node_string(json_node_at(list, 0)));
    assert_false(json_node_number(json_node_at(list, 5), &number));
    assert_null(json_node_at(list, 6));
    assert_null(json_node_at(list, -1));
    assert_null(json_node_find(list, "b"));
    assert_null(json_node_find(NULL, "b"));
    assert_int_equal(json_node_count(NULL), 0);
    assert_true(json_node_integer(json_node_find(root, "c"), &integer) && integer == INT64_MAX);
    void *cursor = NULL;
    const char *key, *keys = "bac"; /* in the order of the text */
    for (int i = 0; i < 3; i++) {
        assert_true(json_node_next(root, &cursor, &key, &value));
        assert_int_equal(key[0], keys[i]);
        assert_ptr_equal(value, json_node_find(root, key));
    }
    assert_false(json_node_next(root, &cursor, &key, &value));
    json_document_free(d);
    json_document_free(NULL);
}

static void malformed_text_is_an_error(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "",        "{", "{\"a\":1,\"a\":2}", "[1] 2", "{'a':1}", "[1,]", "\"\\u0000\"", "nul", "[99999999999999999999]",
        "\"\xff\""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_null(parse(wrong[i]));
        assert_int_equal(soma_last_status(NULL), SOMA_FORMAT);
        assert_non_null(strstr(soma_last_error(NULL), "test.json: byte 1"));
        soma_clear_error(NULL);
    }
}

static void expect_written(const char *string, const char *expected) {
    text t;
    text_init(&t, NULL);
    json_write_string(&t, string);
    assert_string_equal(text_string(&t), expected);
    text_deinit(&t);
}

static void writes_strings(void **state) {
    (void)state;
    expect_written("", "\"\"");
    expect_written("plain", "\"plain\"");
    expect_written("a\"b\\c/d", "\"a\\\"b\\\\c/d\"");
    expect_written("\b\f\n\r\t\x01\x1f\x7f", "\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"");
    expect_written("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x99\x82",
                   "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x99\x82\"");
    expect_written("\xff|\xc3|\xc0\xaf|\xed\xa0\x80|\xf4\x90\x80\x80",
                   "\"\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|"
                   "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    expect_written("cut \xe2\x82", "\"cut \xef\xbf\xbd\xef\xbf\xbd\"");
}

static void writes_numbers(void **state) {
    (void)state;
    text t;
    text_init(&t, NULL);
    static const double values[] = {0, -0.0, 1, 0.1, 1e-7, 123456789, 1e300, -2.5};
    for (int i = 0; i < 8; i++) {
        json_write_number(&t, values[i]);
        text_append(&t, " ");
    }
    json_write_number(&t, (double)NAN);
    assert_string_equal(text_string(&t), "0 -0 1 0.1 1e-07 123456789 1e+300 -2.5 null");
    text_deinit(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_kind),
        cmocka_unit_test(malformed_text_is_an_error),
        cmocka_unit_test(writes_strings),
        cmocka_unit_test(writes_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
