// SPDX-License-Identifier: Apache-2.0
//
// How it works. What must hold before a plan is carried out, as far as it is about people: somebody
// who is not root and moves no files must be able to log in with a key and become root afterwards,
// with the algorithms that this person and our own client use. One such administrator is enough;
// where there is none, each candidate is named with what is missing. check->effective holds the
// values that would be in force.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "sshdapply/check_internal.h"
#include "sshdapply/keyfile.h"
#include "sshdapply/plan.h"
#include "sshdapply/run.h"
#include "sshdapply/tree.h"

#define LOG_MAX     ((size_t)64 << 20)
#define PATIENCE_MS 10000

// --- The last login ---

struct login {
    char address[64];
    char sha256[60]; // of the key
    char kex[100];   // as far as the log has it (LogLevel DEBUG1)
    char cipher[100];
};

// One word behind `label` in `line`.
static void take_word(const char *line, size_t len, const char *label, char *out, size_t room)
{
    const char *found = memmem(line, len, label, strlen(label));
    size_t part = 0;

    if (found == NULL)
        return;
    found += strlen(label);
    while (found + part < line + len && strchr(" \t\r\n", found[part]) == NULL)
        part++;
    if (part < room)
        (void)snprintf(out, room, "%.*s", (int)part, found);
}

// "sshd[PID]: ", with which the lines of one login begin.
static size_t tag_len(const char *line, size_t len)
{
    const char *end = memmem(line, len, "]: ", 3);
    return end == NULL ? 0 : (size_t)(end - line) + 3;
}

// The last line of a log that says that `user` came in with a key; what the same process said
// before of algorithms.
static void search_log(const char *text, const char *user, struct login *login)
{
    char wanted[300], tag[64] = "";
    const char *found = NULL;

    (void)snprintf(wanted, sizeof wanted, "]: Accepted publickey for %s from ", user);
    for (const char *at = text; (at = strstr(at, wanted)) != NULL; at++)
        found = at;
    if (found == NULL)
        return;
    size_t len = strcspn(found, "\n");
    *login = (struct login){0};
    take_word(found, len, " from ", login->address, sizeof login->address);
    const char *digest = memmem(found, len, " SHA256:", 8);
    if (digest != NULL)
        take_word(digest, len - (size_t)(digest - found), " ", login->sha256, sizeof login->sha256);
    const char *pid = found;
    while (pid > text && pid[-1] != '[' && pid[-1] != '\n')
        pid--;
    (void)snprintf(tag, sizeof tag, "[%.*s]: ", (int)(found - pid), pid);
    for (const char *at = text; at < found && (at = strstr(at, tag)) != NULL && at < found; at++) {
        size_t line = strcspn(at, "\n");
        size_t skip = tag_len(at, line);
        take_word(at + skip, line - skip, "kex: algorithm: ", login->kex, sizeof login->kex);
        take_word(at + skip, line - skip, "kex: client->server cipher: ", login->cipher,
                  sizeof login->cipher);
    }
}

static void find_login(const struct lh_check *check, const char *user, struct login *out_login)
{
    static const char *const logs[] = {"/var/log/auth.log.1", "/var/log/auth.log",
                                       "/var/log/secure"};
    static const char *const argv[] = {"/usr/bin/journalctl", "-q", "-t",    "sshd", "-t",
                                       "sshd-session",        "-n", "20000", NULL};
    LH_CLEANUP(lh_run_result_fini) struct lh_run_result result = {0};
    char *text;
    size_t len;

    *out_login = (struct login){0};
    for (size_t i = 0; i < LH_ARRAY_LEN(logs); i++) {
        if (lh_root_read(check->options->root, logs[i], LOG_MAX, &text, &len, NULL) != 0)
            continue;
        search_log(text, user, out_login);
        free(text);
    }
    if (out_login->address[0] == '\0' && access("/run/systemd/system", F_OK) == 0 &&
        access(argv[0], X_OK) == 0 &&
        lh_run(&(struct lh_run_options){.argv = argv, .timeout_ms = PATIENCE_MS}, &result, NULL) ==
            0)
        search_log(result.out, user, out_login);
}

// --- One administrator ---

// Whether sudo lets this user become root, as far as it says. Fills `why` otherwise.
static bool sudo_works(const char *tools, const struct lh_account *account, char *why, size_t room)
{
    LH_CLEANUP(lh_run_result_fini) struct lh_run_result result = {0};
    char program[512];
    const char *const argv[] = {program, "-n", "-l", "-U", account->name, NULL};

    if (!lh_run_find(tools, "sudo", program, sizeof program)) {
        (void)snprintf(why, room, "sudo is not installed");
        return false;
    }
    if (lh_run(&(struct lh_run_options){.argv = argv, .timeout_ms = PATIENCE_MS}, &result, NULL) !=
            0 ||
        strstr(result.out, "may run the following commands") == NULL ||
        strstr(result.out, ") ") == NULL) {
        (void)snprintf(why, room, "sudo does not let this user do anything%s%.*s",
                       result.err != NULL && *result.err != '\0' ? ": " : "",
                       result.err == NULL ? 0 : (int)strcspn(result.err, "\n"),
                       result.err == NULL ? "" : result.err);
        return false;
    }
    if (strstr(result.out, "NOPASSWD") == NULL && account->password != LH_PASSWORD_SET &&
        account->password != LH_PASSWORD_UNKNOWN) {
        (void)snprintf(why, room, "sudo asks for a password and the account has none");
        return false;
    }
    return true;
}

static bool moves_files(const struct lh_check *check, const char *user)
{
    for (size_t i = 0; i < check->subject_count; i++) {
        if (check->subjects[i].role == LH_SSHD_TRANSFER &&
            strcmp(check->subjects[i].persona.user, user) == 0)
            return true;
    }
    return false;
}

// Whether only a key is asked for, so that the proof by a login of our own can be made.
static bool key_is_enough(const struct lh_sshd_values *values)
{
    const struct lh_sshd_value *value;

    for (size_t i = 0; (value = lh_sshd_values_find(values, "authenticationmethods", i)) != NULL;
         i++) {
        if (strcmp(value->text, "any") == 0 || strcmp(value->text, "publickey") == 0)
            return true;
    }
    return lh_sshd_values_find(values, "authenticationmethods", 0) == NULL;
}

static bool is_none(const struct lh_sshd_values *values, const char *keyword)
{
    const char *text = lh_sshd_values_text(values, keyword);
    return *text == '\0' || strcmp(text, "none") == 0;
}

// What keeps this user from being the administrator who is needed; fills `why` and `mend`.
static bool is_needed_admin(const struct lh_check *check,
                            const struct lh_check_intent *intent,
                            const struct lh_sshd_subject *subject,
                            const struct lh_account *account,
                            char why[400],
                            char mend[900])
{
    const struct lh_sshd_values *values = &subject->effective->values;
    struct lh_sshd_persona local = subject->persona;
    struct lh_keys_answer keys;
    const char *keyword;
    struct login login;

    *mend = '\0';
    if (LH_GUARD(ADMIN_MOVER, account->uid == 0 || lh_account_transfers(account) ||
                                  moves_files(check, account->name))) {
        (void)snprintf(why, 400, "is root or moves files");
        return false;
    }
    local.address = local.host = local.local_address = "127.0.0.1";
    if (!lh_account_has_shell(account) || access(account->shell, X_OK) != 0) {
        (void)snprintf(why, 400, "has no shell that can be run (%.100s)", account->shell);
        (void)snprintf(mend, 900, "usermod -s /bin/bash %.100s", account->name);
    } else if (account->expired) {
        (void)snprintf(why, 400, "the account has expired");
        (void)snprintf(mend, 900, "chage -E -1 %.100s", account->name);
    } else if (!lh_sshd_user_admitted(values, &local, &keyword)) {
        (void)snprintf(why, 400,
                       "%s would keep this user out (from 127.0.0.1, where the proof "
                       "comes from)",
                       keyword);
    } else if (!key_is_enough(values)) {
        (void)snprintf(why, 400,
                       "AuthenticationMethods asks for more than a key: no proof "
                       "could be made");
    } else if (!is_none(values, "forcecommand") || !is_none(values, "chrootdirectory")) {
        (void)snprintf(why, 400, "ForceCommand or ChrootDirectory leave this user no shell");
    } else if (!sudo_works(intent->options->tools, account, why, 400)) {
        (void)snprintf(mend, 900, "adduser %.100s sudo && passwd %.100s", account->name,
                       account->name);
    } else {
        find_login(check, account->name, &login);
        lh_keys_answer(
            &(struct lh_keys_question){.root = check->options->root,
                                       .values = values,
                                       .account = account,
                                       .address = *login.address == '\0' ? NULL : login.address},
            &keys);
        if (keys.good > 0)
            return true;
        (void)snprintf(why, 400, "no key would work%s%s", *keys.why_not == '\0' ? "" : ": ",
                       keys.why_not);
        (void)snprintf(mend, 900,
                       "install -d -m 700 -o %.64s %.200s/.ssh && install -m 600 -o %.64s KEY.pub "
                       "%.200s/.ssh/authorized_keys",
                       account->name, account->home, account->name, account->home);
    }
    return false;
}

// --- Algorithms ---

// Whether two comma-separated lists share a word.
static bool share(const char *one, const char *other)
{
    while (*one != '\0') {
        size_t len = strcspn(one, ",");
        for (const char *at = other; *at != '\0';) {
            size_t part = strcspn(at, ",");
            if (part == len && strncmp(at, one, len) == 0)
                return true;
            at += part + (at[part] == ',');
        }
        one += len + (one[len] == ',');
    }
    return false;
}

static void check_last_login(struct lh_check *check,
                             const struct lh_sshd_values *values,
                             const struct lh_account *account)
{
    struct lh_keys_answer keys;
    struct login login;
    char is[200];

    find_login(check, account->name, &login);
    if (login.address[0] == '\0')
        return;
    lh_keys_answer(&(struct lh_keys_question){.root = check->options->root,
                                              .values = values,
                                              .account = account,
                                              .address = login.address,
                                              .sha256 = login.sha256},
                   &keys);
    (void)snprintf(is, sizeof is, "%.60s: the key of the last login would be refused",
                   account->name);
    if (keys.asked_refused && !keys.asked_good)
        lh_check_refuse(check, "L2", is, "the key that this administrator uses to go on working",
                        keys.why_not, "ssh-keygen -t ed25519");
    (void)snprintf(is, sizeof is, "%.60s: %.60s of the last login would be refused", account->name,
                   *login.kex == '\0' ? login.cipher : login.kex);
    if ((*login.kex != '\0' && !share(login.kex, lh_sshd_values_text(values, "kexalgorithms"))) ||
        (*login.cipher != '\0' && !share(login.cipher, lh_sshd_values_text(values, "ciphers"))))
        lh_check_refuse(check, "L2", is, "algorithms that this administrator's client has",
                        "this administrator could not log in any more", "");
    bool six = strchr(login.address, ':') != NULL, heard = false;
    const struct lh_sshd_value *value;
    for (size_t i = 0; (value = lh_sshd_values_find(values, "listenaddress", i)) != NULL; i++)
        heard = heard || (value->text[0] == '[') == six;
    (void)snprintf(is, sizeof is, "%.60s last came over IPv%d, on which sshd would not listen",
                   account->name, six ? 6 : 4);
    if (!heard)
        lh_check_refuse(check, "L2", is,
                        "AddressFamily and ListenAddress that this administrator reaches",
                        "this administrator could not log in any more", "");
}

// Whether the client on this machine, which our own client starts, has algorithms in common with
// what the server would offer.
static void check_own_client(struct lh_check *check, const struct lh_check_intent *intent)
{
    static const char *const lists[] = {"kexalgorithms", "ciphers", "hostkeyalgorithms"};
    LH_CLEANUP(lh_run_result_fini) struct lh_run_result result = {0};
    LH_CLEANUP(lh_sshd_values_fini) struct lh_sshd_values client = {0};
    char program[512], is[128];
    const char *const argv[] = {program, "-G", "-F", "/dev/null", "localhost", NULL};

    if (!lh_run_find(intent->options->tools, "ssh", program, sizeof program)) {
        lh_check_refuse(check, "L2", "there is no ssh on this machine", "the client of OpenSSH",
                        "the new port is proved by logins with it",
                        "apt-get install openssh-client");
        return;
    }
    if (lh_run(&(struct lh_run_options){.argv = argv, .timeout_ms = PATIENCE_MS}, &result, NULL) !=
            0 ||
        result.status != 0 || lh_sshd_values_read(&client, result.out, result.out_len) != 0)
        return;
    for (size_t i = 0; i < LH_ARRAY_LEN(lists); i++) {
        const char *ours = lh_sshd_values_text(&client, lists[i]);
        const char *theirs = lh_sshd_values_text(lh_check_server(check), lists[i]);
        (void)snprintf(is, sizeof is, "our client and the server would share no %s", lists[i]);
        if (*ours != '\0' && *theirs != '\0' && !share(ours, theirs))
            lh_check_refuse(check, "L2", is, "one that both have", "no transfer could begin", "");
    }
}

// --- All of it ---

static void check_admins(struct lh_check *check, const struct lh_check_intent *intent)
{
    char why[400], mend[900], is[700];
    bool found = false;

    for (size_t i = 0; i < check->subject_count; i++) {
        const struct lh_sshd_subject *subject = &check->subjects[i];
        const struct lh_account *account =
            lh_accounts_find(&check->accounts, subject->persona.user);
        if (subject->role != LH_SSHD_ADMIN || account == NULL)
            continue;
        bool fits = is_needed_admin(check, intent, subject, account, why, mend);
        if (fits && !found)
            (void)snprintf(intent->plan->admin, sizeof intent->plan->admin, "%s", account->name);
        if (fits && !found)
            check_last_login(check, &subject->effective->values, account);
        found = found || fits;
    }
    for (size_t i = 0; i < check->subject_count && !found; i++) {
        const struct lh_sshd_subject *subject = &check->subjects[i];
        const struct lh_account *account =
            lh_accounts_find(&check->accounts, subject->persona.user);
        if (subject->role != LH_SSHD_ADMIN || account == NULL)
            continue;
        (void)is_needed_admin(check, intent, subject, account, why, mend);
        (void)snprintf(is, sizeof is, "%.100s is not enough of an administrator: %s", account->name,
                       why);
        lh_check_refuse(check, "L1", is, "a user with a shell, sudo and a key",
                        "once root may not log in, nobody could look after this server", mend);
    }
    if (!found && lh_sshd_report_count(check->report, LH_SSHD_GRADE_HIGH) == 0)
        lh_check_refuse(check, "L1", "no administrator but root is to be found",
                        "a user with a shell, sudo and a key",
                        "once root may not log in, nobody could look after this server",
                        "adduser NAME && adduser NAME sudo");
}

// A transfer user whose login can be proved, too.
static void find_mover(struct lh_check *check, const struct lh_check_intent *intent)
{
    struct lh_keys_answer keys;

    for (size_t i = 0; i < check->subject_count && intent->plan->mover[0] == '\0'; i++) {
        const struct lh_sshd_subject *subject = &check->subjects[i];
        const struct lh_account *account =
            lh_accounts_find(&check->accounts, subject->persona.user);
        if (subject->role != LH_SSHD_TRANSFER || account == NULL ||
            access(account->shell, X_OK) != 0)
            continue;
        lh_keys_answer(&(struct lh_keys_question){.root = check->options->root,
                                                  .values = &subject->effective->values,
                                                  .account = account},
                       &keys);
        if (keys.good > 0)
            (void)snprintf(intent->plan->mover, sizeof intent->plan->mover, "%s", account->name);
    }
}

void lh_check_ready(struct lh_check *check, const struct lh_check_intent *intent)
{
    check_admins(check, intent);
    find_mover(check, intent);
    check_own_client(check, intent);
    lh_check_ready_host(check, intent);
}
