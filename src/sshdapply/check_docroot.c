// SPDX-License-Identifier: Apache-2.0
//
// How it works. What confines a transfer user to a folder: ChrootDirectory, whoever serves the
// transfer; for users of aspshell also the docroot or the restrictions that aspera.conf gives them,
// their group or everybody. The users of lhsh have no such setting in this release: for them
// permissions of files decide, and that is said. A docroot that holds the user's own home would let
// transfers write ~/.ssh.
//
// The node daemon of HSTS reads the fingerprint when it starts: one that is older than the host key
// hands out the old one.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sshdapply/check_internal.h"
#include "sshdapply/hostkey.h"
#include "sshdapply/tree.h"

// --- Docroots ---

// The rule of the user, else of one of its groups; NULL: the default holds.
static const struct lh_aspera_rule *find_rule(const struct lh_aspera_conf *conf,
                                              const struct lh_account *account)
{
    const struct lh_aspera_rule *found = NULL;

    for (size_t i = 0; i < conf->count; i++) {
        const struct lh_aspera_rule *rule = &conf->rules[i];
        if (!rule->group && strcmp(rule->name, account->name) == 0)
            return rule;
        if (rule->group && found == NULL && lh_account_in_group(account, rule->name))
            found = rule;
    }
    return found;
}

// Whether `path` is `folder` or below it.
static bool is_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);

    while (len > 1 && folder[len - 1] == '/')
        len--;
    return strncmp(path, folder, len) == 0 && (path[len] == '\0' || path[len] == '/' || len == 1);
}

static void add_s3(struct lh_check *check,
                   const struct lh_account *account,
                   enum lh_sshd_grade grade,
                   const char *is,
                   const char *where)
{
    bool confined = grade == LH_SSHD_GRADE_OK;

    lh_check_add(check, &(struct lh_sshd_remark){
                            .grade = grade,
                            .rule = "S3",
                            .is = is,
                            .want = confined ? "" : "a folder for transfers that holds no home",
                            .why = confined ? ""
                                            : "transfers reach whatever the permissions of files "
                                              "let this user reach, ~/.ssh among it",
                            .who = account->name,
                            .where = where});
}

// A chroot that is not there, or that others can write, makes sshd end the login.
static void
check_chroot(struct lh_check *check, const struct lh_account *account, const char *pattern)
{
    char path[4096], is[4400];
    struct stat facts;

    if (!lh_check_expand(pattern, strlen(pattern), account, path, sizeof path))
        return;
    bool there = lh_root_stat(check->options->root, path, &facts);
    bool sound = there && S_ISDIR(facts.st_mode) && facts.st_uid == 0 && (facts.st_mode & 022) == 0;
    (void)snprintf(is, sizeof is, "%s %.4000s",
                   sound   ? "confined by ChrootDirectory to"
                   : there ? "others own or can write ChrootDirectory"
                           : "there is no ChrootDirectory",
                   path);
    if (sound)
        add_s3(check, account, LH_SSHD_GRADE_OK, is, "");
    else
        lh_check_add(check, &(struct lh_sshd_remark){.grade = LH_SSHD_GRADE_MEDIUM,
                                                     .rule = "S3",
                                                     .is = is,
                                                     .want = "a folder of root's, mode 0755",
                                                     .why = "sshd ends the login of this user",
                                                     .who = account->name});
}

static void check_aspera_docroot(struct lh_check *check,
                                 const struct lh_account *account,
                                 const struct lh_aspera_conf *conf,
                                 const char *path)
{
    const struct lh_aspera_rule *rule = find_rule(conf, account);
    const char *docroot = rule != NULL && *rule->docroot != '\0' ? rule->docroot : conf->docroot;
    bool restricted = (rule != NULL && rule->restricted) || conf->restricted;
    char is[4400];

    if (*docroot == '\0' && !restricted) {
        add_s3(check, account, LH_SSHD_GRADE_MEDIUM, "no docroot and no restriction", path);
        return;
    }
    bool holds_home = *docroot != '\0' && is_below(account->home, docroot);
    (void)snprintf(is, sizeof is, "%s %.4000s%s", *docroot == '\0' ? "restricted by" : "docroot",
                   *docroot == '\0' ? path : docroot, holds_home ? " holds this user's home" : "");
    add_s3(check, account, holds_home ? LH_SSHD_GRADE_MEDIUM : LH_SSHD_GRADE_OK, is, path);
}

void lh_check_docroot(struct lh_check *check,
                      const struct lh_sshd_subject *subject,
                      const struct lh_account *account)
{
    const char *chroot = lh_sshd_values_text(&subject->effective->values, "chrootdirectory");
    const char *slash = strrchr(account->shell, '/');
    bool aspera = strncmp(slash == NULL ? account->shell : slash + 1, "aspshell", 8) == 0;
    struct lh_aspera_conf conf;
    const char *path;

    if (*chroot != '\0' && strcmp(chroot, "none") != 0) {
        check_chroot(check, account, chroot);
    } else if (!aspera) {
        add_s3(check, account, LH_SSHD_GRADE_LOW,
               "nothing but the permissions of files confines this user", "");
    } else if (lh_aspera_conf_read(check->options->root, &conf, &path)) {
        check_aspera_docroot(check, account, &conf, path);
        lh_aspera_conf_fini(&conf);
    } else {
        add_s3(check, account, LH_SSHD_GRADE_UNKNOWN,
               path == NULL ? "aspera.conf, which would name a docroot, was not found"
                            : "aspera.conf could not be read as XML",
               path);
    }
}

// --- The fingerprint that HSTS promises, and its daemon ---

// Whether the fingerprint (40 hexadecimal digits, perhaps with colons) is that of the key.
static bool is_of_key(const char *fingerprint, const struct lh_public_key *key)
{
    size_t at = 0;

    for (; *fingerprint != '\0'; fingerprint++) {
        if (*fingerprint == ':')
            continue;
        char c = *fingerprint;
        c = (char)(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
        if (at >= 40 || c != key->sha1[at++])
            return false;
    }
    return at == 40;
}

static void check_promise(struct lh_check *check, const char *fingerprint, const char *path)
{
    struct lh_public_key *key = calloc(1, sizeof *key);
    const struct lh_sshd_value *value;
    bool offered = false;
    char is[200];

    if (key == NULL) {
        check->err = LH_E_NOMEM;
        return;
    }
    for (size_t i = 0; (value = lh_sshd_values_find(lh_check_server(check), "hostkey", i)) != NULL;
         i++) {
        if (lh_host_key_read(check->options->root, value->text, key, NULL) == 0 &&
            is_of_key(fingerprint, key))
            offered = true;
    }
    free(key);
    (void)snprintf(is, sizeof is, "ssh_host_key_fingerprint %.60s is %s", fingerprint,
                   offered ? "that of a host key" : "that of no host key");
    lh_check_add(check, &(struct lh_sshd_remark){
                            .grade = offered ? LH_SSHD_GRADE_OK : LH_SSHD_GRADE_MEDIUM,
                            .rule = "C4",
                            .is = is,
                            .want = offered ? "" : "one that lhctl sshd fingerprint prints",
                            .why = "clients that are given it refuse this server",
                            .where = path});
}

// The node daemon began before a file that it read at its start was changed.
static void check_node(struct lh_check *check, const char *conf_path)
{
    const struct lh_sshd_value *value;
    struct stat facts;
    int64_t changed = 0;
    pid_t pid = lh_process_find(check->options->proc, "asperanoded");

    if (pid == 0)
        return;
    if (conf_path != NULL && lh_root_stat("/", conf_path, &facts))
        changed = facts.st_mtime;
    for (size_t i = 0; (value = lh_sshd_values_find(lh_check_server(check), "hostkey", i)) != NULL;
         i++) {
        if (lh_root_stat("/", value->text, &facts) && facts.st_mtime > changed)
            changed = facts.st_mtime;
    }
    bool stale = lh_process_started(check->options->proc, pid) + 1 < changed;
    lh_check_add(check,
                 &(struct lh_sshd_remark){
                     .grade = stale ? LH_SSHD_GRADE_MEDIUM : LH_SSHD_GRADE_OK,
                     .rule = "N1",
                     .is = stale ? "the node daemon is older than host key or aspera.conf"
                                 : "the node daemon is younger than host key and aspera.conf",
                     .want = stale ? "a restart after a change" : "",
                     .why = "it tells clients the fingerprint that it read at its start",
                     .mend = stale ? "systemctl restart asperanoded" : ""});
}

void lh_check_node(struct lh_check *check)
{
    struct lh_aspera_conf conf;
    const char *path;

    if (lh_aspera_conf_read(check->options->root, &conf, &path)) {
        if (*conf.fingerprint != '\0')
            check_promise(check, conf.fingerprint, path);
        lh_aspera_conf_fini(&conf);
    }
    if (check->live)
        check_node(check, path);
}
