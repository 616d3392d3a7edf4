/* Stands in for config_yaml.c where libyaml is absent: says what to install.
 * Rests on config.h alone.
 * Plain words on the command line never come here, so flags work without it. */
#include "config.h"

const config_node *config_parse(cli *c, const char *name, const char *text, size_t n) {
    (void)text;
    (void)n;
    (void)cli_fail(c, EXIT_FAILED, "%s: this build reads no YAML: install libyaml-dev and build again", name);
    return NULL;
}
