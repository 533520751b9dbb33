// SPDX-License-Identifier: Apache-2.0
//
// How it works. Owners and modes of the configuration, of the host keys and of every folder above
// them; the host keys' types and sizes; the moduli; whether the program knows strict key exchange.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sshdapply/check_internal.h"
#include "sshdapply/hostkey.h"
#include "sshdapply/tree.h"

#define PROGRAM_MAX ((size_t)64 << 20)
#define MODULI_MAX  ((size_t)16 << 20)
#define MODULI_BITS 3071

// One file or folder: owned by root, written by nobody else. Symbolic links are named.
static void check_owner(struct lh_check *check, const char *path, unsigned forbidden)
{
    struct stat facts;
    char is[4300], mend[9000];

    if (!lh_root_stat(check->options->root, path, &facts))
        return;
    if (S_ISLNK(facts.st_mode)) {
        (void)snprintf(is, sizeof is, "%s is a symbolic link", path);
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_LOW,
                                .rule = "G3",
                                .is = is,
                                .want = "a file",
                                .why = "whoever can change the target changes the configuration"});
        return;
    }
    // The sticky bit lets only the owner replace what is in a folder.
    unsigned bad = facts.st_mode & forbidden;
    if (S_ISDIR(facts.st_mode) && (facts.st_mode & S_ISVTX) != 0)
        bad = 0;
    bool owned = facts.st_uid == 0;
    if (owned && bad == 0)
        return;
    (void)snprintf(is, sizeof is, "%s has owner %u and mode %04o", path, (unsigned)facts.st_uid,
                   (unsigned)(facts.st_mode & 07777));
    (void)snprintf(mend, sizeof mend, "chown root %s%s && chmod go-w %s%s",
                   check->rule_input.prefix, path, check->rule_input.prefix, path);
    lh_check_add(check, &(struct lh_sshd_remark){
                            .grade = LH_SSHD_GRADE_HIGH,
                            .rule = "G3",
                            .is = is,
                            .want = "owned by root, written by root only",
                            .why = "others could change who may log in, and become root",
                            .mend = mend});
}

void lh_check_owned_by_root(struct lh_check *check, const char *path, unsigned forbidden)
{
    char part[4096];

    if (*path != '/' || strlen(path) >= sizeof part)
        return;
    check_owner(check, path, forbidden);
    (void)snprintf(part, sizeof part, "%s", path);
    for (char *slash = strrchr(part, '/'); slash != NULL && slash != part;
         slash = strrchr(part, '/')) {
        *slash = '\0';
        check_owner(check, part, 022);
    }
}

static void check_moduli(struct lh_check *check)
{
    const char *path = lh_sshd_values_text(lh_check_server(check), "modulifile");
    const char *kex = lh_sshd_values_text(lh_check_server(check), "kexalgorithms");
    unsigned short_ones = 0;
    char *text, is[160], mend[600];
    size_t len;

    if (strstr(kex, "diffie-hellman-group-exchange") == NULL || *path != '/' ||
        lh_root_read(check->options->root, path, MODULI_MAX, &text, &len, NULL) != 0)
        return;
    // "time type tests tries size generator modulus"; the size is one less than the bits.
    for (const char *line = text; *line != '\0';
         line += strcspn(line, "\n"), line += *line == '\n') {
        unsigned size;
        if (*line != '#' && sscanf(line, "%*s %*s %*s %*s %u", &size) == 1)
            short_ones += size + 1 < MODULI_BITS;
    }
    free(text);
    (void)snprintf(is, sizeof is, "%u groups of the moduli file are shorter than 3072 bits",
                   short_ones);
    (void)snprintf(mend, sizeof mend,
                   "awk '$5 >= 3071' %s%.200s > /root/moduli && cp /root/moduli %s%.200s",
                   check->rule_input.prefix, path, check->rule_input.prefix, path);
    lh_check_add(check,
                 &(struct lh_sshd_remark){
                     .grade = short_ones == 0 ? LH_SSHD_GRADE_OK : LH_SSHD_GRADE_LOW,
                     .rule = "C7",
                     .is = is,
                     .want = short_ones == 0 ? "" : "3072 bits or more, or no group exchange",
                     .why = "group exchange may choose one of them",
                     .mend = short_ones == 0 ? "" : mend});
}

static void check_strict_kex(struct lh_check *check)
{
    static const char name[] = "kex-strict-s-v00@openssh.com";
    char *text;
    size_t len;

    if (!check->judged ||
        lh_root_read("/", check->judge.program, PROGRAM_MAX, &text, &len, NULL) != 0)
        return;
    bool strict = memmem(text, len, name, sizeof name - 1) != NULL;
    free(text);
    lh_check_add(check, &(struct lh_sshd_remark){
                            .grade = strict ? LH_SSHD_GRADE_OK : LH_SSHD_GRADE_MEDIUM,
                            .rule = "C6",
                            .is = strict ? "sshd knows strict key exchange"
                                         : "sshd does not know strict key exchange",
                            .want = strict ? "" : "OpenSSH 9.6, or a distribution's mended one",
                            .why = "without it messages at the start can be cut away (Terrapin)",
                            .mend = strict ? "" : "apt-get install --only-upgrade openssh-server"});
}

// Files that values name, for whom they are: whoever can write them decides who may log in.
static void check_named_files(struct lh_check *check, const struct lh_sshd_values *values)
{
    static const struct {
        const char *keyword;
        const char *rule;
        const char *without;
    } named[] = {
        {"trustedusercakeys", "A12", "nobody can log in with a certificate"},
        {"authorizedkeyscommand", "A12", "keys that come from it do not work"},
        {"authorizedprincipalscommand", "A12", "certificates that need it do not work"},
        {"revokedkeys", "A12", "sshd refuses every key"},
        {"banner", "G2", "nobody sees the notice"},
    };
    char is[4300], where[4300], path[4096];
    struct stat facts;

    for (size_t i = 0; i < LH_ARRAY_LEN(named); i++) {
        const struct lh_sshd_value *value = lh_sshd_values_find(values, named[i].keyword, 0);
        if (value == NULL || *value->text != '/')
            continue;
        (void)snprintf(path, sizeof path, "%.*s", (int)strcspn(value->text, " "), value->text);
        if (lh_root_stat(check->options->root, path, &facts)) {
            lh_check_owned_by_root(check, path, 022);
            continue;
        }
        (void)snprintf(is, sizeof is, "%s names %s, which is not there", named[i].keyword, path);
        lh_sshd_where(&check->rule_input, value, where, sizeof where);
        lh_check_add(check, &(struct lh_sshd_remark){.grade = LH_SSHD_GRADE_LOW,
                                                     .rule = named[i].rule,
                                                     .is = is,
                                                     .want = "that file, or no such line",
                                                     .why = named[i].without,
                                                     .where = where});
    }
}

void lh_check_files(struct lh_check *check)
{
    const struct lh_sshd_doc *docs[1024] = {check->doc};
    size_t count = 1;

    for (size_t done = 0; done < count; done++) {
        lh_check_owned_by_root(check, docs[done]->path, 022);
        for (size_t i = 0; i < docs[done]->count; i++) {
            const struct lh_sshd_line *line = &docs[done]->lines[i];
            for (size_t n = 0; n < line->include_count && count < LH_ARRAY_LEN(docs); n++)
                docs[count++] = line->includes[n];
        }
    }
    for (size_t i = 0; i < check->subject_count; i++)
        check_named_files(check, &check->effective[i].values);
    check_moduli(check);
    check_strict_kex(check);
}

// --- Host keys ---

static void check_key_mode(struct lh_check *check, const char *path)
{
    struct stat facts;
    char is[4300], mend[4300];

    if (!lh_root_stat(check->options->root, path, &facts)) {
        (void)snprintf(is, sizeof is, "host key %s is not there", path);
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_LOW,
                                .rule = "C5",
                                .is = is,
                                .want = "a key, or no line for it",
                                .why = "sshd goes on without it, and clients see another key",
                                .mend = "ssh-keygen -A"});
        return;
    }
    // Red Hat gives the keys to a group of their own, for reading.
    unsigned bad = facts.st_mode & (facts.st_gid == 0 ? 077 : 037);
    if (facts.st_uid == 0 && bad == 0)
        return;
    (void)snprintf(is, sizeof is, "host key %s has owner %u and mode %04o", path,
                   (unsigned)facts.st_uid, (unsigned)(facts.st_mode & 07777));
    (void)snprintf(mend, sizeof mend, "chown root %s%.2000s && chmod 600 %s%.2000s",
                   check->rule_input.prefix, path, check->rule_input.prefix, path);
    lh_check_add(
        check, &(struct lh_sshd_remark){.grade = LH_SSHD_GRADE_HIGH,
                                        .rule = "C5",
                                        .is = is,
                                        .want = "owned by root, mode 0600",
                                        .why = "who can read the key can pretend to be this server",
                                        .mend = mend});
}

static void check_key_kind(struct lh_check *check, const char *path)
{
    struct lh_public_key *key = calloc(1, sizeof *key);
    struct lh_errinfo info = {0};
    char is[4300];

    if (key == NULL) {
        check->err = LH_E_NOMEM;
        return;
    }
    lh_err err = lh_host_key_read(check->options->root, path, key, &info);
    if (err != 0) {
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_UNKNOWN,
                                .rule = "C5",
                                .is = info.text,
                                .why = "type and size of the key are read from its public half"});
        free(key);
        return;
    }
    bool weak = strcmp(key->type, "ssh-dss") == 0 ||
                (strcmp(key->type, "ssh-rsa") == 0 && key->bits < 2048);
    bool short_rsa = !weak && strcmp(key->type, "ssh-rsa") == 0 && key->bits < 3072;
    (void)snprintf(is, sizeof is, "host key %s: %s, %u bits", path, key->type, key->bits);
    lh_check_add(check, &(struct lh_sshd_remark){
                            .grade = weak        ? LH_SSHD_GRADE_MEDIUM
                                     : short_rsa ? LH_SSHD_GRADE_LOW
                                                 : LH_SSHD_GRADE_OK,
                            .rule = "C4",
                            .is = is,
                            .want = weak || short_rsa ? "Ed25519, ECDSA, or RSA of 3072 bits" : "",
                            .why = "a key that can be broken lets others pretend to be this server",
                            .mend = weak || short_rsa ? "ssh-keygen -t ed25519 -N '' -f "
                                                        "/etc/ssh/ssh_host_ed25519_key"
                                                      : ""});
    free(key);
}

// ssh-keygen writes the maker's name behind the key: "root@packer" on a server of another name was
// in the image, and every server made from it has the same key.
static void check_key_maker(struct lh_check *check, const char *path)
{
    char public[4096], own[256] = "", is[4500];
    char *text;
    size_t len;

    if (check->live)
        (void)gethostname(own, sizeof own - 1);
    else if (lh_root_read(check->options->root, "/etc/hostname", 4096, &text, &len, NULL) == 0) {
        (void)snprintf(own, sizeof own, "%.*s", (int)strcspn(text, " \t\n"), text);
        free(text);
    }
    own[strcspn(own, ".")] = '\0';
    if (*own == '\0' || (size_t)snprintf(public, sizeof public, "%s.pub", path) >= sizeof public ||
        lh_root_read(check->options->root, public, 65536, &text, &len, NULL) != 0)
        return;
    const char *maker = strrchr(text, '@');
    size_t part = maker == NULL ? 0 : strcspn(maker + 1, ". \t\r\n");
    bool other = part > 0 && strchr(maker, ' ') == NULL &&
                 (part != strlen(own) || strncmp(maker + 1, own, part) != 0);
    (void)snprintf(is, sizeof is, "host key %.4000s was made on %.*s; this server is %.100s", path,
                   part < 100 ? (int)part : 100, other ? maker + 1 : "", own);
    free(text);
    if (other)
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_INFO,
                                .rule = "C5",
                                .is = is,
                                .want = "a key of its own, if it came with an image or a copy",
                                .why = "whoever has the image can pretend to be this server",
                                .mend = "rm /etc/ssh/ssh_host_*_key* && ssh-keygen -A"});
}

void lh_check_host_keys(struct lh_check *check)
{
    const struct lh_sshd_value *value;
    size_t count = 0;

    for (; (value = lh_sshd_values_find(lh_check_server(check), "hostkey", count)) != NULL;
         count++) {
        if (*value->text != '/')
            continue;
        lh_check_owned_by_root(check, value->text, 0);
        check_key_mode(check, value->text);
        check_key_kind(check, value->text);
        check_key_maker(check, value->text);
    }
    if (count > 1)
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_INFO,
                                .rule = "C4",
                                .is = "more than one host key is offered",
                                .why = "clients choose; a pinned fingerprint must be of the key "
                                       "that they choose"});
}
