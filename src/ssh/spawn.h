// SPDX-License-Identifier: Apache-2.0
//
// The system's ssh as our channel: started with fixed safety options and the one constant remote
// word `lhserver`, its standard input and output are the stream, its messages are caught and
// explained.
//
// Life: start; poll the descriptors; write and read the stream (control/hello.h, then frames).
// Where the output ends before HELLO was agreed: lh_ssh_again, which either started ssh anew (the
// next key family of a pinned host; at most 3 connections) or says in words why there is no
// session. Ssh may ask a person on the terminal meanwhile; a caller that sets a limit of time
// should start it when the first byte has arrived: ssh itself gives up connecting after
// LH_SSH_CONNECT_SECONDS.
//
// One thread. Blocks only where said.
#ifndef LH_SSH_SPAWN_H
#define LH_SSH_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ssh/password.h"
#include "ssh/pin.h"

#define LH_SSH_CONNECT_SECONDS 8

struct lh_ssh_options {
    const char *program; // NULL: "ssh" from PATH
    const char *host;    // as the user wrote it (an alias, a name, an address without brackets)
    const char *user;    // NULL or "": ssh decides
    uint16_t port;       // 0: ssh decides
    const char *const *identities;      // -i; none: ssh's own rules (agent, ~/.ssh/config)
    size_t identity_count;              // <= LH_IDENTITIES_MAX
    const struct lh_pin *pins;          // none: ssh's known-hosts rules hold
    size_t pin_count;                   // <= LH_PINS_MAX
    const struct lh_password *password; // NULL: none. Must outlive the session
    const char *const *extra;           // arguments handed on to ssh in front of the host
    size_t extra_count;                 // <= LH_SSH_EXTRA_MAX
    unsigned verbose;                   // number of -v for ssh, <= 3
    bool batch;                         // never ask a person (a retry in the background)
    bool version_is_known;              // it was new enough before: do not ask it again
    bool was_reached;                   // a server answered at host and port: suggest no other
};

struct lh_ssh;

// Starts ssh. Strings are copied. LH_E_INVALID for a host or user that ssh or a shell could take
// for something else, or an ssh too old for pins (8.5) or passwords (8.4); LH_E_SYS, LH_E_NOMEM,
// LH_E_LIMIT. Blocks for `ssh -V` where pins or a password need it (milliseconds).
lh_err lh_ssh_start(const struct lh_ssh_options *options,
                    struct lh_ssh **out_ssh,
                    struct lh_errinfo *info) LH_MUST_CHECK;

// Ends what still runs and frees. Closes the descriptors, waits up to `patience_ms` for ssh to end
// by itself, then SIGTERM, then SIGKILL; always reaps. Accepts NULL.
void lh_ssh_close(struct lh_ssh *ssh, unsigned patience_ms);

// For a caller that must not wait: ends ssh (`hard`: by SIGKILL) and closes its input and output;
// lh_ssh_close does not wait once lh_ssh_has_ended says so.
void lh_ssh_stop(struct lh_ssh *ssh, bool hard);
bool lh_ssh_has_ended(struct lh_ssh *ssh);

// Descriptors, non-blocking and close-on-exec; they stay ssh's. -1 where there is none (any more).
int lh_ssh_input_fd(const struct lh_ssh *ssh);    // write: to lhserver
int lh_ssh_output_fd(const struct lh_ssh *ssh);   // read: from lhserver; EOF = ssh is gone
int lh_ssh_messages_fd(const struct lh_ssh *ssh); // read: lh_ssh_messages_ready when readable
int lh_ssh_askpass_fd(const struct lh_ssh *ssh);  // read: lh_ssh_askpass_ready when readable

// Closes our end of lhserver's standard input (end of stream).
void lh_ssh_end_input(struct lh_ssh *ssh);

// Keeps what ssh says for the explanation of a failure. To be called as long as ssh runs, also
// after the login: ssh that cannot get rid of its messages stops moving data. `*out_text`
// (`*out_len` bytes, 0 = nothing new, valid until the next call, not escaped) is what just came,
// for -v. LH_EOF: there will be no more; remove the descriptor from the poll set
// (lh_ssh_messages_fd gives -1 from now on; it is closed by lh_ssh_again, _why or _close). 0
// otherwise.
lh_err
lh_ssh_messages_ready(struct lh_ssh *ssh, const char **out_text, size_t *out_len) LH_MUST_CHECK;

// Answers one question of ssh, if it is one for a password or passphrase. Blocks at most a second.
void lh_ssh_askpass_ready(struct lh_ssh *ssh);

// The output ended before there was a session. Waits up to 2 s for ssh to end, then
//   0         ssh was started anew: all descriptors are new, HELLO starts from the beginning
//   negative  `info` says what happened, why and what to do, with ascp's code: 12 no connection,
//             19 login refused, 51 another host key
lh_err lh_ssh_again(struct lh_ssh *ssh, struct lh_errinfo *info) LH_MUST_CHECK;

// The session had been established and the output ended: why, in the same words. Never 0.
lh_err lh_ssh_why(struct lh_ssh *ssh, struct lh_errinfo *info) LH_MUST_CHECK;

// After lh_ssh_again or lh_ssh_why failed: whether the same command may work later (network down,
// connection lost) rather than needing a person (wrong key, no lhserver).
bool lh_ssh_retry_helps(const struct lh_ssh *ssh);

// After login (the first byte of HELLO came): neither password nor pins are needed for this session
// any more. Closes the askpass socket (its descriptor becomes -1: take it out of the poll set
// first) and removes the private folder, which a killed process would leave behind.
void lh_ssh_login_done(struct lh_ssh *ssh);

// The name or address that ssh's configuration gives for the host (`ssh -G`), for UDP. Runs no
// connection; blocks for at most 2 s. LH_NONE where ssh does not say.
lh_err lh_ssh_hostname(const struct lh_ssh_options *options, char *out, size_t room) LH_MUST_CHECK;

// Version of `program` as major * 100 + minor (902 for 9.2). LH_NONE where it is not OpenSSH or not
// there. Blocks for at most 2 s.
lh_err lh_ssh_version(const char *program, unsigned *out_version) LH_MUST_CHECK;

#endif
