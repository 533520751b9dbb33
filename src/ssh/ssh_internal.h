// SPDX-License-Identifier: Apache-2.0
//
// The parts that ssh/spawn.c puts together; for this folder and its unit tests only.
#ifndef LH_SSH_SSH_INTERNAL_H
#define LH_SSH_SSH_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/time.h"
#include "ssh/spawn.h"

// --- args.c: the command line of ssh -------------------------------------------------------------
#define LH_SSH_ARGS_MAX  192
#define LH_SSH_ARGS_TEXT 65536

struct lh_ssh_args {
    char *argv[LH_SSH_ARGS_MAX + 1]; // NULL-terminated; points into text
    size_t count;
    size_t algorithms_at; // index of the HostKeyAlgorithms option, 0 = none
    size_t used;
    char text[LH_SSH_ARGS_TEXT];
};

// Host and user as ssh takes them from us: LH_E_INVALID where a leading '-', a control character, a
// blank or a shell's metacharacter could make it something else.
lh_err
lh_ssh_names_check(const char *host, const char *user, struct lh_errinfo *info) LH_MUST_CHECK;

// `helper_dir` is the private folder; NULL where neither pins nor a password need it.
lh_err lh_ssh_args_build(const struct lh_ssh_options *options,
                         const char *helper_dir,
                         struct lh_ssh_args *out_args,
                         struct lh_errinfo *info) LH_MUST_CHECK;

// Offers the families from `first` on only. Pins were given.
void lh_ssh_args_set_families(struct lh_ssh_args *args, enum lh_key_family first);

// Turns a whole command line into a question that makes no connection: `question` ("-G") goes in
// front.
lh_err lh_ssh_args_only_ask(struct lh_ssh_args *args, const char *question) LH_MUST_CHECK;

static inline void lh_ssh_args_free(struct lh_ssh_args *args)
{
    free(args);
}
LH_DEFINE_FREEP(struct lh_ssh_args, lh_ssh_args_free)

// --- process.c: child processes ------------------------------------------------------------------
struct lh_child {
    pid_t pid;                   // 0 = none
    int input, output, messages; // our ends; -1 = closed
    bool is_reaped;
    int status; // of waitpid, once reaped
};
#define LH_CHILD_NONE ((struct lh_child){.input = -1, .output = -1, .messages = -1})

// Starts argv[0] (found by PATH) with environment `envp` (NULL: ours). LH_E_SYS, with ENOENT told
// apart by the caller through info->sys_errno.
lh_err lh_child_start(char *const *argv,
                      char *const *envp,
                      struct lh_child *out_child,
                      struct lh_errinfo *info) LH_MUST_CHECK;
bool lh_child_wait(struct lh_child *child, unsigned patience_ms); // true once it was reaped
void lh_child_close_fd(int *fd);
void lh_child_end(struct lh_child *child, unsigned patience_ms); // closes, waits, kills, reaps

// Runs argv to its end, at most 2 s, and keeps the first room - 1 bytes of its output and messages.
lh_err lh_child_capture(char *const *argv, char *out, size_t room) LH_MUST_CHECK;

// --- private_dir.c: a folder of our own, 0700, with links to this program ------------------------
#define LH_SSH_DIR_MAX 80 // so that a socket's path below it fits sockaddr_un

struct lh_ssh_dir {
    char path[LH_SSH_DIR_MAX]; // "" = none
};
lh_err lh_ssh_dir_make(struct lh_ssh_dir *dir, struct lh_errinfo *info) LH_MUST_CHECK;
void lh_ssh_dir_remove(struct lh_ssh_dir *dir); // and the names of ours in it

// Path of `name` in the folder.
char *lh_ssh_dir_file(const char *dir, const char *name, char *out, size_t room);

#define LH_SSH_DIR_SEEN   "seen" // what lh-known-hosts saw: lines of "TYPE SHA256 SHA1 match|other"
#define LH_SSH_DIR_SOCKET "askpass" // where lh-askpass asks

// --- askpass.c: the answering side ---------------------------------------------------------------
enum lh_prompt {
    LH_PROMPT_OTHER, // never answered: host keys, confirmations, PINs, anything unknown
    LH_PROMPT_PASSWORD,
    LH_PROMPT_PASSPHRASE,
};
// What ssh asks. `is_special`: SSH_ASKPASS_PROMPT was set, which means no secret is wanted.
enum lh_prompt lh_prompt_kind(const char *prompt, bool is_special);

#define LH_ASKPASS_PROMPT_MAX 1024

// One question as it crosses the socket, in this machine's byte order; one packet.
struct lh_askpass_question {
    int32_t parent; // process id of who asks: the ssh
    uint8_t is_special;
    char prompt[LH_ASKPASS_PROMPT_MAX]; // cut, terminated
};

struct lh_askpass {
    int fd; // listening; -1 = none
    const struct lh_password *password;
    bool has_identities; // -i was given: the secret is a passphrase once it was used as one
    bool was_passphrase;
    unsigned answers;
};
lh_err lh_askpass_open(struct lh_askpass *askpass,
                       const char *dir,
                       const struct lh_password *password,
                       bool has_identities,
                       struct lh_errinfo *info) LH_MUST_CHECK;
void lh_askpass_close(struct lh_askpass *askpass); // idempotent
// Takes one connection; answers if the question is `ssh`'s own and for a password or passphrase.
void lh_askpass_serve(struct lh_askpass *askpass, pid_t ssh);
// Whether `question` is to be answered: the rules without the socket.
bool lh_askpass_decide(struct lh_askpass *askpass,
                       const struct lh_askpass_question *question,
                       pid_t ssh);

// --- seen.c: what the server showed --------------------------------------------------------------
#define LH_SEEN_MAX 3

struct lh_seen_key {
    char type[32];
    char sha256[LH_PIN_TEXT], sha1[LH_PIN_TEXT];
    bool is_match;
};
// Reads what lh-known-hosts wrote; returns how many keys (the last LH_SEEN_MAX).
size_t lh_seen_read(const char *dir, struct lh_seen_key out_keys[LH_SEEN_MAX]);
// Appends one. Called by lh-known-hosts.
lh_err lh_seen_append(const char *dir, const struct lh_seen_key *key) LH_MUST_CHECK;

// Fails with error 51: what was expected, what came.
lh_err lh_seen_mismatch(const struct lh_pin *pins,
                        size_t pin_count,
                        const struct lh_seen_key *keys,
                        size_t key_count,
                        struct lh_errinfo *info) LH_MUST_CHECK;

// --- failure.c: what a dead ssh means ------------------------------------------------------------
struct lh_ssh_end {
    const char *host;
    uint16_t port; // 0 = unknown
    int status;    // of waitpid
    bool was_established;
    bool was_reached;     // as in lh_ssh_options
    const char *messages; // what ssh said, terminated
};
// Never 0. `*out_retry_helps` as lh_ssh_retry_helps.
lh_err lh_ssh_explain(const struct lh_ssh_end *end,
                      bool *out_retry_helps,
                      struct lh_errinfo *info) LH_MUST_CHECK;

#endif
