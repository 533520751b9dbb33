// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ssh/ssh_internal.h"

lh_err lh_seen_append(const char *dir, const struct lh_seen_key *key)
{
    char path[LH_SSH_DIR_MAX + 32];
    char line[256];
    int len = snprintf(line, sizeof line, "%s %s %s %s\n", key->type, key->sha256, key->sha1,
                       key->is_match ? "match" : "other");
    int fd = open(lh_ssh_dir_file(dir, LH_SSH_DIR_SEEN, path, sizeof path),
                  O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool is_written;

    if (fd < 0)
        return LH_E_SYS;
    is_written = write(fd, line, (size_t)len) == len;
    (void)close(fd);
    return is_written ? 0 : LH_E_SYS;
}

size_t lh_seen_read(const char *dir, struct lh_seen_key out_keys[LH_SEEN_MAX])
{
    char path[LH_SSH_DIR_MAX + 32];
    char line[256], verdict[8];
    size_t count = 0;
    FILE *file = fopen(lh_ssh_dir_file(dir, LH_SSH_DIR_SEEN, path, sizeof path), "re");

    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL) {
        struct lh_seen_key key = {0};
        if (sscanf(line, "%31s %63s %63s %7s", key.type, key.sha256, key.sha1, verdict) != 4)
            continue;
        key.is_match = strcmp(verdict, "match") == 0;
        if (count == LH_SEEN_MAX) {
            memmove(out_keys, out_keys + 1, (LH_SEEN_MAX - 1) * sizeof *out_keys);
            count--;
        }
        out_keys[count++] = key;
    }
    (void)fclose(file);
    return count;
}

lh_err lh_seen_mismatch(const struct lh_pin *pins,
                        size_t pin_count,
                        const struct lh_seen_key *keys,
                        size_t key_count,
                        struct lh_errinfo *info)
{
    char expected[LH_PIN_TEXT];
    char others[32] = "";
    char came[LH_SEEN_MAX * (32 + LH_PIN_TEXT) + 1] = "";
    size_t used = 0;

    if (pin_count > 1)
        (void)snprintf(others, sizeof others, " or %zu more", pin_count - 1);
    for (size_t i = 0; i < key_count; i++)
        used += (size_t)snprintf(came + used, sizeof came - used, "%s%s %s", i > 0 ? ", " : "",
                                 keys[i].type,
                                 pins[0].kind == LH_PIN_SHA1 ? keys[i].sha1 : keys[i].sha256);
    return lh_fail(info, LH_E_AUTH, 51,
                   "Remote host is not who we expected: expected %s%s, it showed %s",
                   lh_pin_format(&pins[0], expected, sizeof expected), others, came);
}
