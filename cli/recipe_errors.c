/* What is wrong with a recipe, with the place in the configuration that it is about.
 * Rests on recipe.h. The library's messages name the word or option that they are about, and so do the nodes; what can
 * only be seen once all is there, such as a number that a callback watches and nobody measures, is looked at here. */
#include <ctype.h>
#include <string.h>

#include "recipe.h"

/* Whether a message names a word: in quotes, or else on its own between other characters than letters. */
static bool names_word(cli *c, const char *text, const char *word, bool quoted) {
    if (quoted) return strstr(text, cli_text(c, "'%s'", word)) != NULL;
    const size_t length = strlen(word);
    for (const char *at = strstr(text, word); length > 2 && at; at = strstr(at + 1, word)) {
        const bool begins = at == text || (!isalnum((unsigned char)at[-1]) && at[-1] != '_');
        if (begins && !isalnum((unsigned char)at[length]) && at[length] != '_') return true;
    }
    return false;
}

/* The place of the word or key that the library's message is about; false when there is none. */
static bool place_of_error(cli *c, const config_node *node, const char *text, bool quoted, config_place *out) {
    if (node->kind == CONFIG_WORD && names_word(c, text, node->word, quoted)) {
        *out = node->at;
        return true;
    }
    for (const config_node *member = node->first; member; member = member->next) {
        if (quoted && member->key && names_word(c, text, member->key, true)) {
            *out = member->key_at;
            return true;
        }
        if (place_of_error(c, member, text, quoted, out)) return true;
        if (!quoted && member->key && names_word(c, text, member->key, false)) {
            *out = member->key_at;
            return true;
        }
    }
    return false;
}

/* The library's message with the place that it is about: a word in one of n nodes, else the first node's own. */
int recipe_refuse_any(cli *c, const recipe *r, const config_node *const *nodes, int n) {
    const char *text = soma_last_error(c->context);
    if (soma_last_status(c->context) == SOMA_NO_MEMORY) return cli_fail_status(c, EXIT_FAILED);
    const char *message = strchr(text, ']') ? strchr(text, ']') : text; /* behind the name of whom it is about */
    config_place at = {.file = NULL};
    for (int i = n - 1; i >= 0; i--)
        if (nodes[i]) at = nodes[i]->at;
    for (int i = 0; i < 2 * n; i++) {
        const config_node *node = nodes[i % n];
        const bool quoted = i < n;
        if (node && place_of_error(c, node, quoted ? text : message, quoted, &at)) break;
    }
    if (!at.file) return cli_fail_status(c, r->path ? EXIT_INPUT : EXIT_USAGE);
    return cli_fail(c, config_fault(at), "%s: %s", config_where(c, at), text);
}

int recipe_refuse(cli *c, const recipe *r, const config_node *node) {
    return recipe_refuse_any(c, r, &node, 1);
}

/* ---- while training ---- */

/* Who speaks: the word in brackets at the begin. */
static const char *speaker_of(cli *c, const char *text) {
    const char *end = *text == '[' ? strchr(text, ']') : NULL;
    return end ? cli_text(c, "%.*s", (int)(end - text - 1), text + 1) : "";
}

int recipe_refuse_fit(cli *c, const recipe *r) {
    const char *text = soma_last_error(c->context), *speaker = speaker_of(c, text);
    const soma_status status = soma_last_status(c->context);
    const bool about_it = status == SOMA_INVALID || status == SOMA_SHAPE || status == SOMA_DTYPE;
    if (!about_it) return cli_fail_status(c, status == SOMA_IO ? EXIT_FAILED : EXIT_INPUT);
    const bool fits = strcmp(speaker, "fit") == 0; /* about the data, which the loss sees otherwise */
    const config_node *const nodes[] = {r->loss, r->metrics, r->weighted_metrics, r->callbacks, r->layers};
    config_place at = {.file = NULL};
    if (r->y) at = r->y->at;
    if (r->loss && !(fits && r->y)) at = r->loss->at;
    for (int i = 0; i < 5; i++)
        if (nodes[i] && place_of_error(c, nodes[i], i < 3 ? text : speaker, false, &at)) break;
    const bool index = strcmp(speaker, "gather") == 0; /* a layer's, of the samples: no one else has met them yet */
    if (index && r->layers) at = r->layers->at;
    if (!at.file) return cli_fail_status(c, EXIT_INPUT);
    const int code = cli_fail(c, config_fault(at), "%s: %s", config_where(c, at), text);
    if (index) cli_hint("An embedding's input_dim must be more than the largest index among the samples.");
    return code;
}

/* ---- what callbacks watch ---- */

static bool is_measured(const soma_model *model, const char *name, bool validates) {
    if (strncmp(name, "val_", 4) == 0) return validates && is_measured(model, name + 4, true);
    bool found = strcmp(name, "loss") == 0;
    for (int i = 0; soma_metric_name(model, i); i++)
        found = found || strcmp(soma_metric_name(model, i), name) == 0;
    return found;
}

/* One callback; watched is what its monitor is when nothing is said. */
static int check_monitor(cli *c, const config_node *node, const soma_model *model, bool validates) {
    const bool word = node->kind == CONFIG_WORD;
    if (!word && (node->kind != CONFIG_MAP || node->n != 1)) return EXIT_DONE;
    const char *name = word ? node->word : node->first->key;
    const config_node *options = word ? NULL : node->first, *monitor = config_find(options, "monitor");
    const config_node *best = config_find(options, "save_best_only");
    const bool keeps_best = best && best->kind == CONFIG_WORD && strcmp(best->word, "true") == 0;
    const bool watches = strcmp(name, "early_stopping") == 0 || strcmp(name, "reduce_lr_on_plateau") == 0 ||
                         (strcmp(name, "model_checkpoint") == 0 && keeps_best);
    const char *watched = monitor && monitor->kind == CONFIG_WORD ? monitor->word : "val_loss";
    if (!watches || is_measured(model, watched, validates)) return EXIT_DONE;
    const config_place at = monitor ? monitor->at : node->at;
    const int code =
        cli_fail(c, config_fault(at), "%s: %s watches %s, which is not measured", config_where(c, at), name, watched);
    buffer known = {.c = c};
    buffer_print(&known, "loss");
    for (int i = 0; soma_metric_name(model, i); i++)
        buffer_print(&known, ", %s", soma_metric_name(model, i));
    cli_hint("There are %s%s.", known.text,
             validates ? ", and each as val_... of the validation"
                       : "; val_... need a validation: validation_split, or validate_on_test");
    return code;
}

int recipe_check_monitors(cli *c, const recipe *r, const soma_model *model) {
    const bool validates = r->validation_split > 0 || r->validate_on_test;
    const bool list = r->callbacks && r->callbacks->kind == CONFIG_LIST;
    for (const config_node *node = list ? r->callbacks->first : r->callbacks; node; node = list ? node->next : NULL) {
        const int code = check_monitor(c, node, model, validates);
        if (code != EXIT_DONE) return code;
    }
    return EXIT_DONE;
}
