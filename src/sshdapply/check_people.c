// SPDX-License-Identifier: Apache-2.0
//
// How it works. For each user who matters: is the user let in at all, may the account log in, is
// the shell one of /etc/shells, and is there a key in a file that sshd will read? The file names
// come from AuthorizedKeysFile with its tokens expanded; with StrictModes sshd refuses files that
// others can write, along the whole path up to the home, and so each part is looked at.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sshdapply/check_internal.h"
#include "sshdapply/hostkey.h"
#include "sshdapply/keyfile.h"
#include "sshdapply/tree.h"

#define KEYS_FILE_MAX ((size_t)4 << 20)

struct keys {
    unsigned good;    // would be accepted
    unsigned refused; // of a type or size that the server refuses
    unsigned files;   // that are there
};

static void count_keys(const struct lh_check *check,
                       const struct lh_sshd_values *values,
                       const char *path,
                       struct keys *keys)
{
    struct lh_public_key *key = calloc(1, sizeof *key);
    char *text;
    size_t len;

    if (key == NULL ||
        lh_root_read(check->options->root, path, KEYS_FILE_MAX, &text, &len, NULL) != 0) {
        free(key);
        return;
    }
    keys->files++;
    for (const char *line = text; *line != '\0';) {
        size_t part = strcspn(line, "\n");
        if (lh_public_key_parse(line, part, key, NULL) == 0) {
            bool accepted = lh_key_accepted(values, key);
            keys->good += accepted;
            keys->refused += !accepted;
        }
        line += part + (line[part] == '\n');
    }
    free(text);
    free(key);
}

bool lh_check_expand(
    const char *pattern, size_t len, const struct lh_account *account, char *out, size_t room)
{
    return lh_keys_path(pattern, len, account, out, room);
}

static void look_at_keys(struct lh_check *check,
                         const struct lh_sshd_subject *subject,
                         const struct lh_account *account,
                         struct keys *keys)
{
    const struct lh_sshd_values *values = &subject->effective->values;
    const char *patterns = lh_sshd_values_text(values, "authorizedkeysfile");
    bool strict = strcmp(lh_sshd_values_text(values, "strictmodes"), "no") != 0;
    char path[4096], is[4200], mend[4400];

    if (*patterns == '\0')
        patterns = ".ssh/authorized_keys .ssh/authorized_keys2";
    for (const char *at = patterns; *at != '\0';) {
        size_t part = strcspn(at, " ");
        struct keys found = {0};
        if (lh_keys_path(at, part, account, path, sizeof path))
            count_keys(check, values, path, &found);
        if (found.files > 0 && strict &&
            lh_keys_others_write(check->options->root, account, path, is)) {
            (void)snprintf(mend, sizeof mend, "chmod go-w %s%.2000s %s%.2000s",
                           check->rule_input.prefix, account->home, check->rule_input.prefix, path);
            lh_check_add(check, &(struct lh_sshd_remark){
                                    .grade = LH_SSHD_GRADE_HIGH,
                                    .rule = "A12",
                                    .is = is,
                                    .want = "owned by the user or root, written by nobody else",
                                    .why = "with StrictModes sshd ignores the keys: no login",
                                    .who = account->name,
                                    .mend = mend});
            found.good = 0;
        }
        keys->good += found.good;
        keys->refused += found.refused;
        keys->files += found.files;
        at += part;
        at += strspn(at, " ");
    }
}

void lh_check_count_keys(struct lh_check *check,
                         const struct lh_sshd_values *values,
                         const struct lh_account *account,
                         unsigned *out_good,
                         unsigned *out_refused)
{
    const char *patterns = lh_sshd_values_text(values, "authorizedkeysfile");
    struct keys keys = {0};
    char path[4096];

    if (*patterns == '\0')
        patterns = ".ssh/authorized_keys .ssh/authorized_keys2";
    for (const char *at = patterns; *at != '\0';) {
        size_t part = strcspn(at, " ");
        if (lh_keys_path(at, part, account, path, sizeof path))
            count_keys(check, values, path, &keys);
        at += part;
        at += strspn(at, " ");
    }
    *out_good = keys.good;
    *out_refused = keys.refused;
}

static void check_keys(struct lh_check *check,
                       const struct lh_sshd_subject *subject,
                       const struct lh_account *account)
{
    const struct lh_sshd_values *values = &subject->effective->values;
    struct keys keys = {0};
    char is[160];

    look_at_keys(check, subject, account, &keys);
    bool passwords = strcmp(lh_sshd_values_text(values, "passwordauthentication"), "no") != 0 ||
                     strcmp(lh_sshd_values_text(values, "kbdinteractiveauthentication"), "no") != 0;
    bool command = strcmp(lh_sshd_values_text(values, "authorizedkeyscommand"), "none") != 0 &&
                   *lh_sshd_values_text(values, "authorizedkeyscommand") != '\0';
    (void)snprintf(is, sizeof is, "%u keys may log in%s", keys.good,
                   command ? ", more may come from AuthorizedKeysCommand" : "");
    if (keys.refused > 0) {
        char refused[160];
        (void)snprintf(refused, sizeof refused, "%u keys are of a type or size that is refused",
                       keys.refused);
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_LOW,
                                .rule = "A11",
                                .is = refused,
                                .want = "Ed25519 or ECDSA keys, or RSA keys that are long enough",
                                .why = "who holds only these cannot log in",
                                .who = account->name});
    }
    bool locked_out = keys.good == 0 && !command && !passwords;
    lh_check_add(check,
                 &(struct lh_sshd_remark){
                     .grade = keys.good > 0                                  ? LH_SSHD_GRADE_OK
                              : locked_out && subject->role == LH_SSHD_ADMIN ? LH_SSHD_GRADE_HIGH
                              : locked_out                                   ? LH_SSHD_GRADE_MEDIUM
                                                                             : LH_SSHD_GRADE_LOW,
                     .rule = subject->role == LH_SSHD_ADMIN ? "U1" : "U2",
                     .is = is,
                     .want = keys.good > 0 ? "" : "a key",
                     .why = keys.good > 0 ? ""
                            : locked_out  ? "this user cannot log in"
                                          : "this user can only log in with a password",
                     .who = account->name});
}

// Whether a line of /etc/shells is this shell.
static bool in_shells(const struct lh_check *check, const char *shell)
{
    char *text;
    size_t len;
    bool found = false;

    if (lh_root_read(check->options->root, "/etc/shells", KEYS_FILE_MAX, &text, &len, NULL) != 0)
        return true; // without the file every shell is one
    for (const char *line = text; *line != '\0' && !found;) {
        size_t part = strcspn(line, "\n");
        found = part == strlen(shell) && strncmp(line, shell, part) == 0;
        line += part + (line[part] == '\n');
    }
    free(text);
    return found;
}

// The program that every login of a transfer user runs.
static void check_shell_owner(struct lh_check *check, const struct lh_account *account)
{
    char is[400], mend[4400];
    struct stat facts;

    if (!lh_root_stat(check->options->root, account->shell, &facts) || S_ISLNK(facts.st_mode) ||
        (facts.st_uid == 0 && (facts.st_mode & 022) == 0))
        return;
    (void)snprintf(is, sizeof is, "shell %.200s has owner %u and mode %04o", account->shell,
                   (unsigned)facts.st_uid, (unsigned)(facts.st_mode & 07777));
    (void)snprintf(mend, sizeof mend, "chown root %s%.2000s && chmod go-w %s%.2000s",
                   check->rule_input.prefix, account->shell, check->rule_input.prefix,
                   account->shell);
    lh_check_add(check, &(struct lh_sshd_remark){.grade = LH_SSHD_GRADE_HIGH,
                                                 .rule = "S2",
                                                 .is = is,
                                                 .want = "owned by root, written by nobody else",
                                                 .why = "who can write it decides what users run",
                                                 .who = account->name,
                                                 .mend = mend});
}

// sshd's own SFTP server asks no shell: a restricted one does not restrict it.
static void check_sftp(struct lh_check *check,
                       const struct lh_sshd_subject *subject,
                       const struct lh_account *account)
{
    const struct lh_sshd_values *values = &subject->effective->values;
    const char *force = lh_sshd_values_text(values, "forcecommand");
    const char *chroot = lh_sshd_values_text(values, "chrootdirectory");
    bool forced = *force != '\0' && strcmp(force, "none") != 0;
    bool inside = *chroot != '\0' && strcmp(chroot, "none") != 0;
    const struct lh_sshd_value *value;
    char where[4300];

    for (size_t i = 0; (value = lh_sshd_values_find(values, "subsystem", i)) != NULL; i++) {
        bool own = strncmp(value->text, "sftp internal-sftp", 18) == 0;
        if (inside || (forced && strncmp(force, "internal-sftp", 13) != 0) || (!own && !forced))
            continue;
        lh_sshd_where(&check->rule_input, value, where, sizeof where);
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = forced ? LH_SSHD_GRADE_MEDIUM : LH_SSHD_GRADE_HIGH,
                                .rule = "S1",
                                .is = "internal-sftp serves this user without ChrootDirectory",
                                .want = "no Subsystem sftp, or ChrootDirectory for its users",
                                .why = "it asks no shell: the user reads and writes what the "
                                       "restricted shell would not give, ~/.ssh among it",
                                .who = account->name,
                                .where = where});
        return;
    }
}

// With a transfer shell alone a user cannot change its keys; a file of keys below the home can be
// written by a transfer.
static void check_own_keys(struct lh_check *check,
                           const struct lh_sshd_subject *subject,
                           const struct lh_account *account)
{
    const char *patterns = lh_sshd_values_text(&subject->effective->values, "authorizedkeysfile");
    char path[4096];
    size_t home = strlen(account->home);

    for (const char *at = patterns; *at != '\0'; at += strspn(at, " ")) {
        size_t part = strcspn(at, " ");
        if (lh_check_expand(at, part, account, path, sizeof path) && home > 1 &&
            strncmp(path, account->home, home) == 0 && path[home] == '/') {
            lh_check_add(check, &(struct lh_sshd_remark){
                                    .grade = LH_SSHD_GRADE_INFO,
                                    .rule = "A12",
                                    .is = "the keys of a transfer user lie in its home",
                                    .want = "AuthorizedKeysFile /etc/ssh/authorized_keys.d/%u",
                                    .why = "a transfer can add keys, or lock the user out, unless "
                                           "a docroot keeps it away from ~/.ssh",
                                    .who = account->name});
            return;
        }
        at += part;
    }
}

static void check_shell(struct lh_check *check,
                        const struct lh_sshd_subject *subject,
                        const struct lh_account *account)
{
    bool forced =
        strcmp(lh_sshd_values_text(&subject->effective->values, "forcecommand"), "none") != 0 &&
        *lh_sshd_values_text(&subject->effective->values, "forcecommand") != '\0';
    char is[300], mend[4400];

    if (!in_shells(check, account->shell)) {
        (void)snprintf(is, sizeof is, "shell %.200s is not in /etc/shells", account->shell);
        (void)snprintf(mend, sizeof mend, "echo %.2000s >> %s/etc/shells", account->shell,
                       check->rule_input.prefix);
        lh_check_add(check, &(struct lh_sshd_remark){.grade = LH_SSHD_GRADE_MEDIUM,
                                                     .rule = "S2",
                                                     .is = is,
                                                     .want = "a line for it",
                                                     .why = "PAM may refuse the login",
                                                     .who = account->name,
                                                     .mend = mend});
    }
    if (subject->role == LH_SSHD_TRANSFER && !lh_account_transfers(account) && !forced &&
        lh_account_has_shell(account)) {
        (void)snprintf(is, sizeof is, "shell %.200s lets a transfer user run any command",
                       account->shell);
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_MEDIUM,
                                .rule = "S2",
                                .is = is,
                                .want = "a restricted shell or ForceCommand",
                                .why = "who has a shell can forward and read what sshd forbids",
                                .who = account->name});
    }
}

static void check_account(struct lh_check *check, const struct lh_account *account, bool admin)
{
    if (account->expired)
        lh_check_add(check, &(struct lh_sshd_remark){.grade = admin ? LH_SSHD_GRADE_HIGH
                                                                    : LH_SSHD_GRADE_MEDIUM,
                                                     .rule = admin ? "U1" : "U2",
                                                     .is = "the account has expired",
                                                     .want = "an account that has not",
                                                     .why = "PAM refuses the login",
                                                     .who = account->name});
    if (account->password == LH_PASSWORD_NONE)
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_HIGH,
                                .rule = "A4",
                                .is = "the account has no password",
                                .want = "a password, or a locked one",
                                .why = "PermitEmptyPasswords alone stands before a login without",
                                .who = account->name});
    if (admin && account->sudo == LH_SUDO_WITH_PASSWORD && account->password == LH_PASSWORD_LOCKED)
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_HIGH,
                                .rule = "U1",
                                .is = "sudo asks for a password and the account has none",
                                .want = "a password, or NOPASSWD in sudoers",
                                .why = "this administrator cannot become root",
                                .who = account->name});
}

static void check_admission(struct lh_check *check, const struct lh_sshd_subject *subject)
{
    const char *keyword;
    char is[96];
    bool admin = subject->role == LH_SSHD_ADMIN;

    if (lh_sshd_user_admitted(&subject->effective->values, &subject->persona, &keyword))
        return;
    const struct lh_sshd_value *value =
        lh_sshd_values_find(&subject->effective->values, keyword, 0);
    char where[4200];
    (void)snprintf(is, sizeof is, "%s keeps this user out", keyword);
    lh_sshd_where(&check->rule_input, value, where, sizeof where);
    lh_check_add(
        check, &(struct lh_sshd_remark){.grade = admin ? LH_SSHD_GRADE_HIGH : LH_SSHD_GRADE_MEDIUM,
                                        .rule = "A10",
                                        .is = is,
                                        .want = "a list that lets this user in",
                                        .why = admin ? "an administrator is locked out"
                                                     : "transfers of this user are refused",
                                        .who = subject->persona.name,
                                        .where = where});
}

static void check_lists(struct lh_check *check)
{
    const struct lh_sshd_values *values = lh_check_server(check);
    bool any = lh_sshd_values_find(values, "allowusers", 0) != NULL ||
               lh_sshd_values_find(values, "allowgroups", 0) != NULL;

    if (!any)
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_INFO,
                                .rule = "A10",
                                .is = "every user may log in: neither AllowUsers nor AllowGroups",
                                .want = "AllowGroups with transfer users and administrators",
                                .why = "accounts of services could be used if one got a key"});
    if (lh_sshd_values_find(values, "allowusers", 0) != NULL &&
        lh_sshd_values_find(values, "allowgroups", 0) != NULL)
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_INFO,
                                .rule = "A10",
                                .is = "both AllowUsers and AllowGroups are set",
                                .want = "AllowGroups alone",
                                .why = "a user must be in both, which is easily forgotten when one "
                                       "is added"});
    if (!check->accounts.sudoers_seen)
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_UNKNOWN,
                                .rule = "U1",
                                .is = "/etc/sudoers could not be read",
                                .why = "administrators are found by groups (sudo, wheel) only"});
    if (!check->accounts.shadow_seen)
        lh_check_add(check,
                     &(struct lh_sshd_remark){.grade = LH_SSHD_GRADE_UNKNOWN,
                                              .rule = "U1",
                                              .is = "/etc/shadow could not be read",
                                              .why = "locked and expired accounts are not seen"});
}

void lh_check_people(struct lh_check *check)
{
    struct stat facts;

    check_lists(check);
    if (lh_root_stat(check->options->root, "/etc/nologin", &facts))
        lh_check_add(check, &(struct lh_sshd_remark){.grade = LH_SSHD_GRADE_HIGH,
                                                     .rule = "U1",
                                                     .is = "/etc/nologin is there",
                                                     .want = "no such file",
                                                     .why = "only root may log in while it is",
                                                     .mend = "rm /etc/nologin"});
    for (size_t i = 0; i < check->subject_count; i++) {
        const struct lh_sshd_subject *subject = &check->subjects[i];
        const struct lh_account *account =
            lh_accounts_find(&check->accounts, subject->persona.user);
        if (subject->role != LH_SSHD_TRANSFER && subject->role != LH_SSHD_ADMIN)
            continue;
        check_admission(check, subject);
        if (account == NULL)
            continue;
        check_account(check, account, subject->role == LH_SSHD_ADMIN);
        check_shell(check, subject, account);
        check_keys(check, subject, account);
    }
}

void lh_check_confinement(struct lh_check *check)
{
    for (size_t i = 0; i < check->subject_count; i++) {
        const struct lh_sshd_subject *subject = &check->subjects[i];
        const struct lh_account *account =
            lh_accounts_find(&check->accounts, subject->persona.user);
        if (subject->role != LH_SSHD_TRANSFER || account == NULL)
            continue;
        check_shell_owner(check, account);
        check_sftp(check, subject, account);
        check_own_keys(check, subject, account);
        lh_check_docroot(check, subject, account);
    }
}
