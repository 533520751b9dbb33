// SPDX-License-Identifier: Apache-2.0
#include "sshdapply/offered.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sshdapply/run.h"
#include "sshdapply/sshd.h"
#include "sshdapply/tree.h"

#define SCAN_MS  10000
#define CONF_MAX ((size_t)16 << 20)

void lh_offered_fini(struct lh_offered_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        free(keys->items[i].path);
    free(keys->items);
    *keys = (struct lh_offered_keys){0};
}

// One more key, zeroed but for its path; NULL where there is no memory.
static struct lh_offered_key *add_key(struct lh_offered_keys *keys, const char *path)
{
    struct lh_offered_key *items = realloc(keys->items, (keys->count + 1) * sizeof *items);

    if (items == NULL)
        return NULL;
    keys->items = items;
    struct lh_offered_key *key = &items[keys->count];
    memset(key, 0, sizeof *key);
    key->path = strdup(path);
    if (key->path == NULL)
        return NULL;
    keys->count++;
    return key;
}

// Whether HostKeyAlgorithms lets a key of this type be used. RSA keys go by other names there.
static bool type_allowed(const char *list, const char *type)
{
    bool rsa = strcmp(type, "ssh-rsa") == 0;

    while (*list != '\0') {
        size_t len = strcspn(list, ",");
        if ((len == strlen(type) && strncmp(list, type, len) == 0) ||
            (rsa && len == 12 && strncmp(list, "rsa-sha2-", 9) == 0))
            return true;
        list += len + (list[len] == ',');
    }
    return false;
}

static lh_err add_file(const struct lh_offered_options *options,
                       const char *path,
                       const char *allowed,
                       struct lh_offered_keys *keys)
{
    struct lh_offered_key *key = add_key(keys, path);
    struct lh_errinfo info = {0};

    if (key == NULL)
        return LH_E_NOMEM;
    if (lh_host_key_read(options->root, path, &key->key, &info) != 0)
        (void)snprintf(key->why_not, sizeof key->why_not, "%s", info.text);
    else if (*allowed != '\0' && !type_allowed(allowed, key->key.type))
        (void)snprintf(key->why_not, sizeof key->why_not, "HostKeyAlgorithms leaves its type out");
    else
        key->usable = true;
    return 0;
}

static lh_err add_files(const struct lh_offered_options *options,
                        const struct lh_sshd_values *values,
                        struct lh_offered_keys *keys)
{
    const char *allowed = lh_sshd_values_text(values, "hostkeyalgorithms");
    const struct lh_sshd_value *value;
    lh_err err = 0;

    for (size_t i = 0; err == 0 && (value = lh_sshd_values_find(values, "hostkey", i)) != NULL;
         i++) {
        if (strcmp(value->text, "none") != 0)
            err = add_file(options, value->text, allowed, keys);
    }
    return err;
}

lh_err lh_offered_read(const struct lh_offered_options *options,
                       struct lh_offered_keys *out_keys,
                       struct lh_errinfo *info)
{
    static const struct lh_sshd_persona root = {.user = "root", .user_exists = true};
    // What OpenSSH looks for where no HostKey is set, should there be no sshd to ask.
    static const char usual[] = "hostkey /etc/ssh/ssh_host_rsa_key\n"
                                "hostkey /etc/ssh/ssh_host_ecdsa_key\n"
                                "hostkey /etc/ssh/ssh_host_ed25519_key\n";
    LH_CLEANUP(lh_sshd_doc_freep) struct lh_sshd_doc *doc = NULL;
    LH_CLEANUP(lh_sshd_effective_fini) struct lh_sshd_effective effective = {0};
    LH_CLEANUP(lh_sshd_values_fini) struct lh_sshd_values defaults = {0};
    LH_CLEANUP(lh_sshd_judge_fini) struct lh_sshd_judge judge = {0};
    struct lh_offered_keys keys = {0};

    lh_err err = lh_sshd_tree_read(options->root, options->config, "/etc/ssh", &doc, info);
    if (err == 0)
        err = lh_sshd_values_read(&defaults, usual, sizeof usual - 1);
    if (err != 0)
        return err;
    bool judged = lh_sshd_judge_init(&judge, options->program, NULL) == 0;
    struct lh_sshd_target target = {.defaults = &defaults};
    struct lh_sshd_input input = {.file = doc};
    err = lh_sshd_evaluate(&input, judged ? &judge.target : &target, &lh_sshd_machine, &root,
                           &effective);
    if (err == 0)
        err = add_files(options, &effective.values, &keys);
    if (err != 0) {
        lh_offered_fini(&keys);
        return err;
    }
    *out_keys = keys;
    return 0;
}

// A line of ssh-keyscan: "[127.0.0.1]:33001 type base64".
static lh_err add_scanned(const char *line, size_t len, struct lh_offered_keys *keys)
{
    const char *blank = memchr(line, ' ', len);

    if (blank == NULL || *line == '#')
        return 0;
    struct lh_offered_key *key = add_key(keys, "");
    if (key == NULL)
        return LH_E_NOMEM;
    size_t skip = (size_t)(blank - line) + 1;
    key->usable = lh_public_key_parse(line + skip, len - skip, &key->key, NULL) == 0;
    if (!key->usable) {
        free(key->path);
        keys->count--;
    }
    return 0;
}

lh_err lh_offered_scan(uint16_t port, struct lh_offered_keys *out_keys)
{
    char port_text[8];
    const char *const argv[] = {
        "/usr/bin/ssh-keyscan", "-T", "3", "-p", port_text, "127.0.0.1", NULL};
    LH_CLEANUP(lh_run_result_fini) struct lh_run_result result = {0};
    struct lh_offered_keys keys = {0};

    (void)snprintf(port_text, sizeof port_text, "%u", port);
    if (access(argv[0], X_OK) != 0 ||
        lh_run(&(struct lh_run_options){.argv = argv, .timeout_ms = SCAN_MS}, &result, NULL) != 0)
        return LH_NONE;
    lh_err err = 0;
    for (const char *line = result.out; err == 0 && *line != '\0';) {
        size_t len = strcspn(line, "\n");
        err = add_scanned(line, len, &keys);
        line += len + (line[len] == '\n');
    }
    if (err != 0 || keys.count == 0) {
        lh_offered_fini(&keys);
        return err != 0 ? err : LH_NONE;
    }
    *out_keys = keys;
    return 0;
}

bool lh_aspera_conf_read(const char *root, struct lh_aspera_conf *out_conf, const char **out_path)
{
    static const char *const paths[] = {"/opt/aspera/etc/aspera.conf", "/etc/aspera/aspera.conf"};

    for (size_t i = 0; i < LH_ARRAY_LEN(paths); i++) {
        char *text;
        size_t len;
        if (lh_root_read(root, paths[i], CONF_MAX, &text, &len, NULL) != 0)
            continue;
        lh_err err = lh_aspera_conf_parse(text, len, out_conf);
        free(text);
        *out_path = paths[i];
        return err == 0;
    }
    *out_path = NULL;
    return false;
}
