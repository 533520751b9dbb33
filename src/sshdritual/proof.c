// SPDX-License-Identifier: Apache-2.0
//
// How it works. A key is made for the purpose and put into the files of the administrator, of a
// transfer user and of root that hold keys already. It works for ten minutes, from this machine
// alone, and runs one command that prints a word; the record names the files before the key is
// there. Then the system's ssh logs in on the new port: the administrator and the transfer user
// must get in, and what the values in force forbid must be refused: passwords, root, forwarding,
// SFTP. What they allow is not tried. The server must show one of the host keys that the files
// name.
//
// A login counts when ssh says that it was authenticated; the administrator's must print the word,
// too, which shows that the shell works.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "sshdapply/accounts.h"
#include "sshdapply/hostkey.h"
#include "sshdapply/keyfile.h"
#include "sshdapply/run.h"
#include "sshdapply/sshd.h"
#include "sshdapply/tree.h"
#include "sshdritual/ritual_internal.h"
#include "sys/clock.h"

#define LOGIN_MS      20000
#define KEYGEN_MS     20000
#define KEY_SECONDS   600
#define ARGUMENTS_MAX 48

enum who { ADMIN, MOVER, ROOT, WHO_N_ };

struct proof {
    struct lh_ritual *ritual;
    struct lh_sshd_judge judge;
    struct lh_accounts accounts;
    const char *users[WHO_N_]; // "" where there is none
    struct lh_sshd_values values[WHO_N_];
    char files[WHO_N_][LH_RITUAL_PATH]; // that the key is put into; "" none
    char address[LH_SSHD_ADDRESS_TEXT];
    char key[LH_RITUAL_PATH];
    char known[LH_RITUAL_PATH];
    char word[64]; // that the key's command prints
};

// --- What is in force ---

// The address of this machine at which sshd listens on the port.
static lh_err find_address(struct proof *proof)
{
    const struct lh_record *record = proof->ritual->record;
    const struct lh_sshd_value *value;

    for (size_t i = 0;
         (value = lh_sshd_values_find(&proof->values[ADMIN], "listenaddress", i)) != NULL; i++) {
        const char *colon = strrchr(value->text, ':');
        if (colon == NULL || strtoul(colon + 1, NULL, 10) != record->port)
            continue;
        const char *start = value->text + (value->text[0] == '[');
        size_t len = (size_t)(colon - start) - (value->text[0] == '[');
        (void)snprintf(proof->address, sizeof proof->address, "%.*s", (int)len, start);
        if (strcmp(proof->address, "0.0.0.0") == 0)
            (void)snprintf(proof->address, sizeof proof->address, "127.0.0.1");
        if (strcmp(proof->address, "::") == 0)
            (void)snprintf(proof->address, sizeof proof->address, "::1");
        if (strchr(proof->address, ':') == NULL)
            return 0; // IPv4 where there is a choice
    }
    return proof->address[0] != '\0' ? 0
                                     : lh_fail(proof->ritual->info, LH_E_INVALID, 0,
                                               "no address listens on port %u", record->port);
}

static lh_err ask_values(struct proof *proof, enum who who)
{
    const struct lh_account *account = lh_accounts_find(&proof->accounts, proof->users[who]);
    struct lh_sshd_persona persona = {.user = proof->users[who],
                                      .user_exists = account != NULL,
                                      .host = "127.0.0.1",
                                      .address = "127.0.0.1",
                                      .local_address = "127.0.0.1",
                                      .local_port = proof->ritual->record->port};

    lh_err err = lh_sshd_judge_ask(&proof->judge, proof->ritual->record->config, NULL, &persona,
                                   &proof->values[who], proof->ritual->info);
    return err == LH_NONE ? LH_E_INVALID : err;
}

static bool is(const struct lh_sshd_values *values, const char *keyword, const char *text)
{
    return strcmp(lh_sshd_values_text(values, keyword), text) == 0;
}

// --- The key ---

static lh_err run_keygen(struct proof *proof)
{
    LH_CLEANUP(lh_run_result_fini) struct lh_run_result result = {0};
    struct lh_ritual *ritual = proof->ritual;
    const char *accepted = lh_sshd_values_text(&proof->values[ADMIN], "pubkeyacceptedalgorithms");
    const char *type = strstr(accepted, "ssh-ed25519") != NULL ? "ed25519" : "ecdsa";
    char program[512], public[LH_RITUAL_PATH + 8];
    const char *const argv[] = {program, "-q",        "-t", type,       "-N", "",
                                "-C",    proof->word, "-f", proof->key, NULL};

    (void)snprintf(public, sizeof public, "%s.pub", proof->key);
    (void)unlink(proof->key);
    (void)unlink(public);
    (void)lh_run_find(ritual->options->tools, "ssh-keygen", program, sizeof program);
    lh_err err = lh_run(&(struct lh_run_options){.argv = argv, .timeout_ms = KEYGEN_MS}, &result,
                        ritual->info);
    if (err == 0 && result.status != 0)
        err = lh_fail(ritual->info, LH_E_SYS, 0, "ssh-keygen made no key: %.*s",
                      (int)strcspn(result.err, "\n"), result.err);
    return err;
}

// The line for the files of authorized keys.
static lh_err make_line(struct proof *proof, char *out, size_t room)
{
    time_t end = (time_t)lh_clock_wall_seconds() + KEY_SECONDS;
    bool utc = proof->judge.target.version >= 901; // older releases know local time only
    char path[LH_RITUAL_PATH + 8], expiry[24];
    struct tm parts;
    char *text;
    size_t len;

    (void)snprintf(path, sizeof path, "%s.pub", proof->key);
    if ((utc ? gmtime_r(&end, &parts) : localtime_r(&end, &parts)) == NULL ||
        strftime(expiry, sizeof expiry, utc ? "%Y%m%d%H%M%SZ" : "%Y%m%d%H%M%S", &parts) == 0)
        return lh_fail(proof->ritual->info, LH_E_INVALID, 0, "this clock cannot be used");
    lh_err err = lh_root_read("/", path, 65536, &text, &len, proof->ritual->info);
    if (err != 0)
        return err;
    // Forwarding stays allowed by the key so that the server's refusal is seen, not the key's.
    int used = snprintf(out, room,
                        "restrict,port-forwarding,from=\"127.0.0.1,::1%s%s\",expiry-time=\"%s\","
                        "command=\"echo %s\" %.*s\n",
                        strcmp(proof->address, "127.0.0.1") == 0 ? "" : ",",
                        strcmp(proof->address, "127.0.0.1") == 0 ? "" : proof->address, expiry,
                        proof->word, (int)strcspn(text, "\n"), text);
    free(text);
    return used > 0 && (size_t)used < room ? 0 : LH_E_LIMIT;
}

static lh_err write_known(struct proof *proof)
{
    struct lh_public_key *key = calloc(1, sizeof *key);
    const struct lh_sshd_value *value;
    char *text = calloc(1, LH_RECORD_TEXT_MAX);
    size_t used = 0;
    lh_err err = key == NULL || text == NULL ? LH_E_NOMEM : 0;

    for (size_t i = 0;
         err == 0 && (value = lh_sshd_values_find(&proof->values[ADMIN], "hostkey", i)) != NULL;
         i++) {
        if (lh_host_key_read("/", value->text, key, NULL) != 0)
            continue;
        used +=
            (size_t)snprintf(text + used, LH_RECORD_TEXT_MAX - used, "[%s]:%u %s %s\n",
                             proof->address, proof->ritual->record->port, key->type, key->base64);
        if (used >= LH_RECORD_TEXT_MAX)
            err = LH_E_LIMIT;
    }
    if (err == 0)
        err = lh_place_write(&(struct lh_place){.path = proof->known,
                                                .text = text,
                                                .len = used,
                                                .uid = geteuid(),
                                                .gid = getegid(),
                                                .mode = 0600},
                             proof->ritual->info);
    free(key);
    free(text);
    return err;
}

// Notes the files in the record, then puts the key into them.
static lh_err place_keys(struct proof *proof)
{
    struct lh_ritual *ritual = proof->ritual;
    struct lh_record *record = ritual->record;
    char line[4096];

    lh_err err = make_line(proof, line, sizeof line);
    for (int who = 0; err == 0 && who < WHO_N_; who++) {
        if (proof->files[who][0] != '\0' && record->key_count < LH_RECORD_KEYS_MAX)
            (void)snprintf(record->keys[record->key_count++].path, LH_RECORD_PATH_MAX, "%.1023s",
                           proof->files[who]);
    }
    if (err == 0)
        err = lh_store_save(ritual,
                            record->phase == LH_RITUAL_OPENING ? LH_RITUAL_PROVING : record->phase);
    for (size_t i = 0; err == 0 && i < record->key_count; i++)
        err = lh_authorize_add(ritual, record->keys[i].path, line);
    return err;
}

// --- Logins ---

struct attempt {
    enum who who;
    const char *extra[6]; // options of ssh
    const char *command;  // NULL: none
};

static lh_err
try_login(const struct proof *proof, const struct attempt *attempt, struct lh_run_result *result)
{
    char program[512], port[8], known[LH_RITUAL_PATH + 32], target[400];
    const char *argv[ARGUMENTS_MAX] = {program,
                                       "-F",
                                       "/dev/null",
                                       "-p",
                                       port,
                                       "-i",
                                       proof->key,
                                       "-o",
                                       "IdentitiesOnly=yes",
                                       "-o",
                                       "IdentityAgent=none",
                                       "-o",
                                       "BatchMode=yes",
                                       "-o",
                                       "StrictHostKeyChecking=yes",
                                       "-o",
                                       known,
                                       "-o",
                                       "GlobalKnownHostsFile=/dev/null",
                                       "-o",
                                       "UpdateHostKeys=no",
                                       "-o",
                                       "ConnectTimeout=10",
                                       "-o",
                                       "LogLevel=VERBOSE",
                                       "-o",
                                       "ControlPath=none"};
    size_t count = 0;

    while (argv[count] != NULL)
        count++;
    for (size_t i = 0; i < LH_ARRAY_LEN(attempt->extra) && attempt->extra[i] != NULL; i++)
        argv[count++] = attempt->extra[i];
    argv[count++] = "-l";
    argv[count++] = proof->users[attempt->who];
    argv[count++] = target;
    argv[count++] = attempt->command;
    (void)lh_run_find(proof->ritual->options->tools, "ssh", program, sizeof program);
    (void)snprintf(port, sizeof port, "%u", proof->ritual->record->port);
    (void)snprintf(known, sizeof known, "UserKnownHostsFile=\"%s\"", proof->known);
    (void)snprintf(target, sizeof target, "%s", proof->address);
    return lh_run(&(struct lh_run_options){.argv = argv, .timeout_ms = LOGIN_MS}, result,
                  proof->ritual->info);
}

static bool authenticated(const struct lh_run_result *result)
{
    return strstr(result->err, "Authenticated to ") != NULL;
}

// The last line that says why it did not work.
static int last_line(const struct lh_run_result *result, const char **out)
{
    const char *line = result->err, *best = "no answer";
    int best_len = (int)strlen(best);

    while (*line != '\0') {
        size_t len = strcspn(line, "\r\n");
        // What ssh says at the end of every session is no reason.
        bool reason = len > 0 && strncmp(line, "Transferred:", 12) != 0 &&
                      strncmp(line, "Bytes per second:", 17) != 0 &&
                      strncmp(line, "Authenticated to ", 17) != 0;
        if (reason) {
            best = line;
            best_len = (int)len;
        }
        line += len + strspn(line + len, "\r\n");
    }
    *out = best;
    return best_len;
}

static lh_err prove_login(const struct proof *proof, enum who who)
{
    LH_CLEANUP(lh_run_result_fini) struct lh_run_result result = {0};
    struct lh_ritual *ritual = proof->ritual;
    const char *why;

    lh_err err = try_login(proof, &(struct attempt){.who = who, .command = "true"}, &result);
    if (err != 0)
        return err;
    bool spoken = who != ADMIN || strstr(result.out, proof->word) != NULL;
    if (!authenticated(&result) || !spoken) {
        int len = last_line(&result, &why);
        return lh_fail(ritual->info, LH_E_AUTH, 0, "%.60s cannot log in on port %u: %.*s",
                       proof->users[who], ritual->record->port, len, why);
    }
    lh_ritual_say(ritual, LH_RITUAL_STEP, "%s logs in on port %u with a key", proof->users[who],
                  ritual->record->port);
    return lh_ritual_go_on(ritual);
}

// The administrator logs in with each host key that the files name: a key that sshd passes over, or
// whose halves do not fit, would be missed by those who pinned it.
static lh_err prove_host_keys(const struct proof *proof)
{
    struct lh_public_key *key = calloc(1, sizeof *key);
    const struct lh_sshd_value *value;
    lh_err err = key == NULL ? LH_E_NOMEM : 0;
    char option[128];

    for (size_t i = 0;
         err == 0 && (value = lh_sshd_values_find(&proof->values[ADMIN], "hostkey", i)) != NULL;
         i++) {
        LH_CLEANUP(lh_run_result_fini) struct lh_run_result result = {0};
        err = lh_host_key_read("/", value->text, key, proof->ritual->info);
        (void)snprintf(option, sizeof option, "HostKeyAlgorithms=%s",
                       strcmp(key->type, "ssh-rsa") == 0 ? "rsa-sha2-512,rsa-sha2-256" : key->type);
        if (err == 0)
            err = try_login(
                proof, &(struct attempt){.who = ADMIN, .extra = {"-o", option}, .command = "true"},
                &result);
        if (err == 0 && !authenticated(&result))
            err = lh_fail(proof->ritual->info, LH_E_AUTH, 0,
                          "sshd does not show the host key %.200s", value->text);
        if (err == 0)
            err = lh_ritual_go_on(proof->ritual);
    }
    free(key);
    return err;
}

// One thing that must be refused.
struct refusal {
    const char *what;
    enum who who;
    bool (*expected)(const struct proof *proof);
    const char *extra[6];
    const char *command;
    bool (*happened)(const struct proof *proof, const struct lh_run_result *result);
};

static bool no_passwords(const struct proof *proof)
{
    return is(&proof->values[ADMIN], "passwordauthentication", "no") &&
           is(&proof->values[ADMIN], "kbdinteractiveauthentication", "no");
}

static bool passwords_refused(const struct proof *proof, const struct lh_run_result *result)
{
    const char *list = strstr(result->err, "Permission denied (");

    (void)proof;
    if (list == NULL)
        return false;
    size_t len = strcspn(list, "\r\n");
    return memmem(list, len, "password", 8) == NULL &&
           memmem(list, len, "keyboard-interactive", 20) == NULL;
}

static bool no_root(const struct proof *proof)
{
    return is(&proof->values[ROOT], "permitrootlogin", "no");
}

static bool not_in(const struct proof *proof, const struct lh_run_result *result)
{
    (void)proof;
    return !authenticated(result) && strstr(result->err, "Permission denied") != NULL;
}

static bool no_forwarding(const struct proof *proof)
{
    return is(&proof->values[ADMIN], "allowtcpforwarding", "no") ||
           is(&proof->values[ADMIN], "disableforwarding", "yes");
}

static bool no_unix_forwarding(const struct proof *proof)
{
    return is(&proof->values[ADMIN], "allowstreamlocalforwarding", "no") ||
           is(&proof->values[ADMIN], "disableforwarding", "yes");
}

static bool nothing_heard(const struct proof *proof, const struct lh_run_result *result)
{
    (void)proof;
    return authenticated(result) && strstr(result->out, "SSH-") == NULL;
}

static bool no_word(const struct proof *proof, const struct lh_run_result *result)
{
    return authenticated(result) && strstr(result->out, proof->word) == NULL;
}

static bool no_sftp(const struct proof *proof)
{
    const struct lh_sshd_value *value;

    for (size_t i = 0; (value = lh_sshd_values_find(&proof->values[ADMIN], "subsystem", i)) != NULL;
         i++) {
        if (strncmp(value->text, "sftp ", 5) == 0)
            return false; // also "sftp /bin/false": there the request itself is granted
    }
    return true;
}

static const struct refusal refusals[] = {
    {"passwords",
     ADMIN,
     no_passwords,
     {"-o", "PreferredAuthentications=none", "-o", "PubkeyAuthentication=no"},
     "true",
     passwords_refused},
    {"root", ROOT, no_root, {NULL}, "true", not_in},
    {"forwarding to a port", ADMIN, no_forwarding, {"-W", "@"}, NULL, nothing_heard},
    {"forwarding of a port",
     ADMIN,
     no_forwarding,
     {"-o", "ExitOnForwardFailure=yes", "-R", "127.0.0.1:0:127.0.0.1:9"},
     "true",
     no_word},
    {"forwarding of a socket",
     ADMIN,
     no_unix_forwarding,
     {"-o", "ExitOnForwardFailure=yes", "-R", "/tmp/lhctl-proof:127.0.0.1:9"},
     "true",
     no_word},
    {"SFTP", ADMIN, no_sftp, {"-s"}, "sftp", no_word},
};

static lh_err prove_refusal(const struct proof *proof, const struct refusal *refusal)
{
    LH_CLEANUP(lh_run_result_fini) struct lh_run_result result = {0};
    struct attempt attempt = {.who = refusal->who, .command = refusal->command};
    char target[LH_SSHD_ADDRESS_TEXT + 16];

    if (!refusal->expected(proof))
        return 0;
    (void)snprintf(target, sizeof target, "[%s]:%u", proof->address, proof->ritual->record->port);
    for (size_t i = 0; i < LH_ARRAY_LEN(attempt.extra) && refusal->extra[i] != NULL; i++)
        attempt.extra[i] = strcmp(refusal->extra[i], "@") == 0 ? target : refusal->extra[i];
    lh_err err = try_login(proof, &attempt, &result);
    if (err == 0 && LH_GUARD(PROOF_REFUSAL, !refusal->happened(proof, &result))) {
        const char *why;
        int len = last_line(&result, &why);
        err = lh_fail(proof->ritual->info, LH_E_AUTH, 0, "%s is not refused on port %u: %.*s",
                      refusal->what, proof->ritual->record->port, len, why);
    }
    return err == 0 ? lh_ritual_go_on(proof->ritual) : err;
}

static lh_err prove_refusals(const struct proof *proof)
{
    char list[200] = "";
    size_t used = 0;
    lh_err err = 0;

    for (size_t i = 0; err == 0 && i < LH_ARRAY_LEN(refusals); i++) {
        err = prove_refusal(proof, &refusals[i]);
        if (err == 0 && refusals[i].expected(proof) && used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used == 0 ? "" : ", ",
                                     refusals[i].what);
    }
    if (err == 0 && used > 0)
        lh_ritual_say(proof->ritual, LH_RITUAL_STEP, "refused: %s", list);
    return err;
}

// --- All of it ---

// The file that the key goes into: one that holds a key that works; of root, any that is there.
static void find_file(struct proof *proof, enum who who)
{
    const struct lh_account *account = lh_accounts_find(&proof->accounts, proof->users[who]);
    const struct lh_sshd_value patterns = {
        .text = (char *)lh_sshd_values_text(&proof->values[who], "authorizedkeysfile")};
    char path[LH_RITUAL_PATH], real[LH_RITUAL_PATH];

    if (account == NULL)
        return;
    for (const char *at = patterns.text; *at != '\0' && proof->files[who][0] == '\0';) {
        size_t len = strcspn(at, " ");
        if (lh_keys_path(at, len, account, path, sizeof path) && realpath(path, real) != NULL &&
            strlen(real) < LH_RECORD_PATH_MAX && strchr(real, '\n') == NULL)
            (void)snprintf(proof->files[who], sizeof proof->files[who], "%s", real);
        at += len;
        at += strspn(at, " ");
    }
}

static lh_err prepare(struct proof *proof)
{
    struct lh_ritual *ritual = proof->ritual;
    const char *const named[] = {ritual->record->user, ritual->record->mover, NULL};

    lh_err err = lh_sshd_judge_init(&proof->judge, ritual->options->program, ritual->info);
    if (err == LH_NONE)
        err = lh_fail(ritual->info, LH_E_SYS, 0, "there is no sshd to ask");
    if (err == 0)
        err = lh_accounts_read("/", named, &proof->accounts, ritual->info);
    for (int who = 0; err == 0 && who < WHO_N_; who++) {
        if (*proof->users[who] != '\0')
            err = ask_values(proof, (enum who)who);
    }
    if (err == 0)
        err = find_address(proof);
    for (int who = 0; err == 0 && who < WHO_N_; who++) {
        if (*proof->users[who] != '\0')
            find_file(proof, (enum who)who);
    }
    lh_run_path(ritual, "proof", proof->key);
    lh_run_path(ritual, "known", proof->known);
    lh_authorize_mark(ritual, proof->word);
    if (err == 0 && proof->files[ADMIN][0] == '\0')
        err = lh_fail(ritual->info, LH_E_SYS, 0, "%s has no file of keys", proof->users[ADMIN]);
    if (err == 0)
        err = run_keygen(proof);
    return err != 0 ? err : write_known(proof);
}

void lh_proof_clean(struct lh_ritual *ritual)
{
    static const char *const names[] = {"proof", "proof.pub", "known"};
    char path[LH_RITUAL_PATH];

    lh_authorize_remove_all(ritual);
    for (size_t i = 0; i < LH_ARRAY_LEN(names); i++) {
        lh_run_path(ritual, names[i], path);
        (void)unlink(path);
    }
}

static void finish(struct proof *proof)
{
    lh_proof_clean(proof->ritual);
    for (int who = 0; who < WHO_N_; who++)
        lh_sshd_values_fini(&proof->values[who]);
    lh_accounts_fini(&proof->accounts);
    lh_sshd_judge_fini(&proof->judge);
}

lh_err lh_proof_make(struct lh_ritual *ritual, bool full)
{
    struct proof *proof = calloc(1, sizeof *proof);

    if (proof == NULL)
        return LH_E_NOMEM;
    proof->ritual = ritual;
    proof->users[ADMIN] = ritual->record->user;
    proof->users[MOVER] = ritual->record->mover;
    proof->users[ROOT] = "root";
    lh_err err = prepare(proof);
    if (err == 0)
        err = place_keys(proof);
    if (err == 0)
        err = prove_login(proof, ADMIN);
    if (err == 0 && *proof->users[MOVER] != '\0' && proof->files[MOVER][0] != '\0')
        err = prove_login(proof, MOVER);
    if (err == 0 && full)
        err = prove_host_keys(proof);
    if (err == 0 && full)
        err = prove_refusals(proof);
    finish(proof);
    free(proof);
    if (err == 0 && ritual->record->key_count > 0)
        err = lh_fail(ritual->info, LH_E_SYS, 0, "the key of the proof could not be removed");
    return err;
}
