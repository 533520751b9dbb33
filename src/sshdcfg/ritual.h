// SPDX-License-Identifier: Apache-2.0
//
// The ritual that changes sshd's configuration without locking anybody out: its phases, what each
// command does in each of them, and the record on disk from which any later run goes on.
//
//   preparing  copies are made beside the files; nothing that sshd reads has changed
//   armed      the dead-man timer is being started; nothing has changed yet
//   opening    the files are written and sshd reads them: the new port beside the old one
//   proving    keys for the proof may lie in files of users
//   awaiting   the new port is proved; only `confirm` or the timer goes on from here
//   closing    confirmed: the last files are written, the old port closes, the proof is repeated
//   done       the new state, for good; the copies of the old one are kept for `rollback`
//   restoring  the old state is being put back
//   restored   it is back
//
// Each phase is on disk before its first change is made. Whatever dies in any of them, the next
// command or the timer finds out from the record what to do (lh_ritual_decide), and every step can
// be done again.
#ifndef LH_SSHDCFG_RITUAL_H
#define LH_SSHDCFG_RITUAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/time.h"

enum lh_ritual_phase {
    LH_RITUAL_NONE, // there is no record
    LH_RITUAL_PREPARING,
    LH_RITUAL_ARMED,
    LH_RITUAL_OPENING,
    LH_RITUAL_PROVING,
    LH_RITUAL_AWAITING,
    LH_RITUAL_CLOSING,
    LH_RITUAL_DONE,
    LH_RITUAL_RESTORING,
    LH_RITUAL_RESTORED,
    LH_RITUAL_PHASE_N_
};

// "awaiting", ...; never NULL.
const char *lh_ritual_phase_name(enum lh_ritual_phase phase);

enum lh_ritual_command {
    LH_RITUAL_APPLY,
    LH_RITUAL_CONFIRM,
    LH_RITUAL_ROLLBACK,
    LH_RITUAL_TIMER,
    LH_RITUAL_COMMAND_N_
};

enum lh_ritual_step {
    LH_RITUAL_BEGIN,    // apply: nothing is under way
    LH_RITUAL_FORGET,   // throw the copies away, nothing else was changed; then decide again
    LH_RITUAL_RESTORE,  // put the old state back; then decide again
    LH_RITUAL_CLOSE,    // confirm: close the old port
    LH_RITUAL_OCCUPIED, // apply: an earlier one waits for confirm: refused
    LH_RITUAL_ALREADY,  // confirm: the new state is there for good
    LH_RITUAL_NOTHING,  // there is nothing for this command to do
    LH_RITUAL_WAIT      // timer: until the deadline
};

// What `command` does when it finds the record in `phase` and nobody else at work. `expired`: the
// deadline is over, or the machine was booted since.
enum lh_ritual_step
lh_ritual_decide(enum lh_ritual_command command, enum lh_ritual_phase phase, bool expired);

// --- The record ---

enum lh_ritual_text {
    LH_RITUAL_OLD, // as it was
    LH_RITUAL_TWO, // with both ports
    LH_RITUAL_NEW, // as it will be
    LH_RITUAL_TEXT_N_
};

#define LH_RECORD_FILES_MAX     64
#define LH_RECORD_XATTRS_MAX    4
#define LH_RECORD_PATH_MAX      1024
#define LH_RECORD_PORTS_MAX     16
#define LH_RECORD_ARGUMENTS_MAX 64
#define LH_RECORD_KEYS_MAX      8
#define LH_RECORD_ABSENT_MAX    4
#define LH_RECORD_TEXT_MAX      ((size_t)1 << 20)

struct lh_record_xattr {
    char name[96];
    char value[513]; // hexadecimal
};

struct lh_record_file {
    char path[LH_RECORD_PATH_MAX];
    char digest[LH_RITUAL_TEXT_N_][65]; // SHA-256 of each text, hexadecimal
    uint32_t uid;
    uint32_t gid;
    uint32_t mode;
    struct lh_record_xattr xattrs[LH_RECORD_XATTRS_MAX];
    size_t xattr_count;
};

// A file of authorized keys that a proof adds a line to.
struct lh_record_key {
    char path[LH_RECORD_PATH_MAX];
};

struct lh_record {
    char id[33]; // of this run: 32 hexadecimal digits
    enum lh_ritual_phase phase;
    char boot[40];    // the kernel's boot id when `deadline` was set
    lh_ns deadline;   // of the timer, since boot, sleep included
    lh_ns opened;     // when sshd had read the files with both ports, since boot; 0: not yet
    uint32_t seconds; // of the timer
    uint16_t port;    // the new one
    uint16_t old_ports[LH_RECORD_PORTS_MAX];
    size_t old_port_count;
    uint16_t new_ports[LH_RECORD_PORTS_MAX]; // open in the end
    size_t new_port_count;
    char config[LH_RECORD_PATH_MAX];              // the main file
    char user[256];                               // the administrator whose login proves the port
    char mover[256];                              // a transfer user, "" where there is none
    uint32_t pid;                                 // of the sshd that listens
    bool pid_given;                               // by the caller: reload by signal
    char arguments[LH_RECORD_ARGUMENTS_MAX][256]; // how to start it again: program, arguments
    size_t argument_count;
    struct lh_record_file files[LH_RECORD_FILES_MAX];
    size_t file_count;
    struct lh_record_key keys[LH_RECORD_KEYS_MAX];
    size_t key_count;
    char absent[LH_RECORD_ABSENT_MAX][LH_RECORD_PATH_MAX]; // files that were not there before
    size_t absent_count;
};

// The record as text, from the heap; it is the manifest of the backup, too. LH_E_INVALID where a
// text holds a line end, LH_E_LIMIT, LH_E_NOMEM.
lh_err
lh_record_print(const struct lh_record *record, char **out_text, size_t *out_len) LH_MUST_CHECK;

// Reads a record. LH_E_INVALID for anything that lh_record_print would not have written, cut texts
// included.
lh_err lh_record_parse(const char *text, size_t len, struct lh_record *out_record) LH_MUST_CHECK;

// The text of a file that has this digest; LH_RITUAL_TEXT_N_ where it is none of them: somebody
// else has changed the file.
enum lh_ritual_text lh_record_text_of(const struct lh_record_file *file, const char *digest);

// Whether a list of ports holds this one.
bool lh_record_has_port(const uint16_t *ports, size_t count, uint16_t port);

#endif
