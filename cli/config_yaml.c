/* YAML into a tree, with the place of every node.
 * Rests on libyaml's events. No aliases and no tags: nothing grows beyond the text that it was written in.
 * Every node is at most so deep, so a hostile file can't exhaust the stack. */
#include <string.h>
#include <yaml.h>

#include "config.h"

enum { DEEPEST = 32 };

typedef struct reader {
    cli *c;
    const char *name, *text;
    size_t n; /* bytes of text */
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
} reader;

static config_place place_of(const reader *r, yaml_mark_t mark) {
    return (config_place){(int)mark.line + 1, (int)mark.column + 1, r->name};
}

static void complain(reader *r, config_place at, const char *text) {
    (void)cli_fail(r->c, config_fault(at), "%s: %s", config_where(r->c, at), text);
}

/* The next event into r->event; false after a message. */
static bool advance(reader *r) {
    if (r->has_event) yaml_event_delete(&r->event);
    r->has_event = yaml_parser_parse(&r->parser, &r->event);
    if (r->has_event) return true;
    const size_t at = r->parser.problem_mark.index;
    if (at < r->n && r->text[at] == '\t') {
        complain(r, place_of(r, r->parser.problem_mark), "a tab: YAML is indented by spaces");
        return false;
    }
    complain(r, place_of(r, r->parser.problem_mark),
             cli_text(r->c, "%s%s%s", r->parser.problem ? r->parser.problem : "not YAML", r->parser.context ? " " : "",
                      r->parser.context ? r->parser.context : ""));
    return false;
}

static config_node *read_node(reader *r, int depth);

static bool read_members(reader *r, config_node *node, yaml_event_type_t end, int depth) {
    while (advance(r)) {
        if (r->event.type == end) return true;
        const char *key = NULL;
        const config_place key_at = place_of(r, r->event.start_mark);
        if (node->kind == CONFIG_MAP) {
            if (r->event.type != YAML_SCALAR_EVENT) {
                complain(r, key_at, "a key must be a word");
                return false;
            }
            key = cli_text(r->c, "%s", (const char *)r->event.data.scalar.value);
            if (config_find(node, key)) {
                complain(r, key_at, cli_text(r->c, "key '%s' is there twice", key));
                return false;
            }
            if (!advance(r)) return false;
        }
        config_node *member = read_node(r, depth + 1);
        if (!member) return false;
        member->key = key;
        member->key_at = key_at;
        if (node->last) {
            node->last->next = member;
        } else {
            node->first = member;
        }
        node->last = member;
        node->n++;
    }
    return false;
}

/* The node that the current event begins. */
static config_node *read_node(reader *r, int depth) {
    config_node *node = cli_alloc(r->c, 1, sizeof *node);
    node->at = place_of(r, r->event.start_mark);
    if (depth > DEEPEST) {
        complain(r, node->at, "nested too deeply");
        return NULL;
    }
    switch (r->event.type) {
    case YAML_SCALAR_EVENT:
        node->kind = CONFIG_WORD;
        node->word = cli_text(r->c, "%s", (const char *)r->event.data.scalar.value);
        node->quoted = r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        if (strlen(node->word) != r->event.data.scalar.length) {
            complain(r, node->at, "a zero byte in a word");
            return NULL;
        }
        return node;
    case YAML_SEQUENCE_START_EVENT:
        node->kind = CONFIG_LIST;
        break;
    case YAML_MAPPING_START_EVENT:
        node->kind = CONFIG_MAP;
        break;
    case YAML_ALIAS_EVENT:
        complain(r, node->at, "aliases (*name) are not supported");
        return NULL;
    default:
        complain(r, node->at, "a value is missing");
        return NULL;
    }
    const bool map = node->kind == CONFIG_MAP;
    return read_members(r, node, map ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT, depth) ? node : NULL;
}

/* The first document's root; NULL after a message. */
static const config_node *read_root(reader *r) {
    if (!advance(r)) return NULL; /* the stream's start */
    if (!advance(r)) return NULL;
    if (r->event.type == YAML_STREAM_END_EVENT) {
        complain(r, (config_place){1, 1, r->name}, "it is empty");
        return NULL;
    }
    if (!advance(r)) return NULL;
    const config_node *root = read_node(r, 0);
    if (!root || !advance(r) || !advance(r)) return NULL; /* the document's end */
    if (r->event.type == YAML_STREAM_END_EVENT) return root;
    complain(r, place_of(r, r->event.start_mark), "a second document: one is expected");
    return NULL;
}

const config_node *config_parse(cli *c, const char *name, const char *text, size_t n) {
    reader r = {.c = c, .name = name, .text = text, .n = n};
    if (!yaml_parser_initialize(&r.parser)) {
        (void)cli_fail(c, EXIT_FAILED, "out of memory");
        return NULL;
    }
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, n);
    const config_node *root = read_root(&r);
    if (r.has_event) yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    return root;
}
