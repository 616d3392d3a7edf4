/* Which cgroups this process is in: /proc/self/cgroup has a line "id:controllers:/group" for each hierarchy.
 * Rests on the usual places where they are mounted. A container often sees its host's numbers everywhere but here. */
#include "base/cgroup.h"

#include <stdio.h>
#include <string.h>

bool cgroup_line(const char *folder, const char *file, char *line, size_t size) {
    char path[4300];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *f = fopen(path, "re");
    if (!f) return false;
    const bool ok = fgets(line, (int)size, f) != NULL;
    fclose(f);
    return ok;
}

static void upward(const char *root, char *group, int version, cgroup_fn *f, void *user) {
    char folder[4200];
    f(user, root, version);
    for (;;) {
        snprintf(folder, sizeof folder, "%s%s", root, group);
        f(user, folder, version);
        char *slash = strrchr(group, '/');
        if (!slash || slash == group) return;
        *slash = '\0';
    }
}

static bool among(const char *words, const char *word) {
    const size_t length = strlen(word);
    for (;; words++) {
        if (strncmp(words, word, length) == 0 && (words[length] == ',' || !words[length])) return true;
        words = strchr(words, ',');
        if (!words) return false;
    }
}

void cgroup_each(const char *controller, cgroup_fn *f, void *user) {
    FILE *list = fopen("/proc/self/cgroup", "re");
    if (!list) return;
    char line[4000], root[64];
    snprintf(root, sizeof root, "/sys/fs/cgroup/%s", controller);
    while (fgets(line, sizeof line, list)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) continue;
        *group++ = '\0';
        controllers++;
        if (!*controllers)
            upward("/sys/fs/cgroup", group, 2, f, user);
        else if (among(controllers, controller))
            upward(root, group, 1, f, user);
    }
    fclose(list);
}
