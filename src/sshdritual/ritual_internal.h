// SPDX-License-Identifier: Apache-2.0
//
// What the parts of the ritual share.
#ifndef LH_SSHDRITUAL_RITUAL_INTERNAL_H
#define LH_SSHDRITUAL_RITUAL_INTERNAL_H

#include <sys/types.h>

#include "sshdcfg/ritual.h"
#include "sshdcfg/values.h"
#include "sshdritual/ritual.h"

#define LH_RITUAL_PATH 4096

struct lh_ritual {
    const struct lh_ritual_options *options;
    struct lh_record *record; // owned
    int lock_fd;              // -1: not held
    bool watching;            // this process is the timer
    struct lh_sshd_report *report;
    struct lh_errinfo *info;
};

// --- Telling (apply.c) ---
void lh_ritual_say(const struct lh_ritual *ritual,
                   enum lh_ritual_news news,
                   const char *format,
                   ...) __attribute__((format(printf, 3, 4)));
// Adds a finding of the grade HIGH.
void lh_ritual_object(struct lh_ritual *ritual,
                      const char *rule,
                      const char *is,
                      const char *want,
                      const char *why,
                      const char *mend);

// From here on Ctrl-C and the end of the terminal wait until somebody asks (apply.c).
void lh_ritual_hold_signals(void);
// Between two steps: the timer begins anew. LH_E_CANCELED where a person wants to stop,
// LH_E_TIMEOUT where the time was over already (apply.c).
lh_err lh_ritual_go_on(struct lh_ritual *ritual) LH_MUST_CHECK;

// --- The state directory (store.c) ---

// Opens the state directory and takes its lock, which ends with the process. LH_NONE where there is
// none and `create` is false; LH_E_BUSY where another process works (without `create`, that
// is waited for, 20 s); LH_E_SYS; LH_E_PATH where
// others could write to it.
lh_err lh_store_open(struct lh_ritual *ritual, bool create) LH_MUST_CHECK;
// Frees what lh_store_open and lh_store_load took.
void lh_store_close(struct lh_ritual *ritual);
// The process that holds the lock `name` ("lock", "timer.lock") in the state directory; 0: nobody.
pid_t lh_store_holder(const struct lh_ritual *ritual, const char *name);
// Takes the lock `name`. The descriptor, or -1 (errno EAGAIN or EACCES: somebody holds it).
int lh_store_lock(const struct lh_ritual *ritual, const char *name);
// Reads the record. Without one its phase is LH_RITUAL_NONE. LH_E_CORRUPT, LH_E_SYS.
lh_err lh_store_load(struct lh_ritual *ritual) LH_MUST_CHECK;
// Writes the record with this phase: on disk when it returns 0, unchanged on disk otherwise.
lh_err lh_store_save(struct lh_ritual *ritual, enum lh_ritual_phase phase) LH_MUST_CHECK;
// Whether the deadline is over, or the machine was booted since.
bool lh_store_expired(const struct lh_ritual *ritual);
// Sets the deadline `seconds` from now.
void lh_store_set_deadline(struct lh_ritual *ritual, unsigned seconds);
// The path of something in the state directory, or in this run's folder there.
void lh_store_path(const struct lh_ritual *ritual, const char *name, char out[LH_RITUAL_PATH]);
void lh_run_path(const struct lh_ritual *ritual, const char *name, char out[LH_RITUAL_PATH]);
// Makes this run's folder; removes a folder with everything in it.
lh_err lh_store_make_folder(struct lh_ritual *ritual) LH_MUST_CHECK;
void lh_store_remove_folder(const struct lh_ritual *ritual, const char *id);
// Keeps the record that is there for lh_store_recall, which puts it back (with a killed run, which
// changed nothing, the run before it is the last one again). False where none was kept.
lh_err lh_store_remember(struct lh_ritual *ritual) LH_MUST_CHECK;
bool lh_store_recall(struct lh_ritual *ritual);
void lh_store_forget_old(struct lh_ritual *ritual);

// --- Files (place.c) ---

struct lh_place {
    const char *path;
    const void *text;
    size_t len;
    uid_t uid;
    gid_t gid;
    mode_t mode;
    const struct lh_record_file *xattrs; // may be NULL
};
// Writes a new file, which replaces what has its name; on disk with its attributes when it returns
// 0, not there otherwise.
lh_err lh_place_write(const struct lh_place *place, struct lh_errinfo *info) LH_MUST_CHECK;
lh_err lh_place_sync_folder(const char *path, struct lh_errinfo *info) LH_MUST_CHECK;
// The SHA-256 of a file in hexadecimal; "" where it cannot be read.
void lh_place_digest(const char *path, char out[65]);
// Fills record->files[index] from the file as it is.
lh_err lh_place_describe(struct lh_ritual *ritual, size_t index) LH_MUST_CHECK;
// Copies of a text: in this run's folder, and beside the file, ready to be renamed to it.
lh_err lh_place_keep(struct lh_ritual *ritual,
                     size_t index,
                     enum lh_ritual_text text,
                     const void *bytes,
                     size_t len) LH_MUST_CHECK;
lh_err
lh_place_stage(struct lh_ritual *ritual, size_t index, enum lh_ritual_text text) LH_MUST_CHECK;
void lh_place_unstage_all(struct lh_ritual *ritual);
// Makes every file hold this text. Included files change before the main file, or after it where
// the old text comes back, so that every state between is one that sshd takes. `*out_changed`: one
// was not so already.
lh_err lh_place_install(struct lh_ritual *ritual,
                        enum lh_ritual_text text,
                        bool *out_changed) LH_MUST_CHECK;
// Whether every file holds one of our texts. False, and findings with the difference, otherwise.
bool lh_place_untouched(struct lh_ritual *ritual);
// Keeps what others wrote in this run's folder.
void lh_place_keep_changed(struct lh_ritual *ritual);

// --- sshd (reload.c) ---
// Notes how the sshd `pid` was started.
void lh_server_note(struct lh_ritual *ritual, pid_t pid);
// Has sshd read its files and waits until it listens on exactly these ports of those it has had to
// do with. sshd -t comes first. Starts a sshd that is gone.
lh_err
lh_server_reload(struct lh_ritual *ritual, const uint16_t *ports, size_t count) LH_MUST_CHECK;

// --- The timer (timer.c, unit.c) ---
lh_err lh_timer_arm(struct lh_ritual *ritual) LH_MUST_CHECK;
bool lh_timer_alive(const struct lh_ritual *ritual);
void lh_timer_disarm(struct lh_ritual *ritual);
// The systemd unit, where systemd runs this machine.
bool lh_unit_wanted(void);
void lh_unit_paths(struct lh_ritual *ritual); // fills record->absent
lh_err lh_unit_arm(struct lh_ritual *ritual) LH_MUST_CHECK;
void lh_unit_disarm(struct lh_ritual *ritual);

// --- The proof (proof.c, authorize.c) ---
// Logs in on the new port and tries what must be refused; `full` false: logs in only.
lh_err lh_proof_make(struct lh_ritual *ritual, bool full) LH_MUST_CHECK;
// Takes away what a proof left that died: its key, and that key in users' files.
void lh_proof_clean(struct lh_ritual *ritual);
// Puts `line` (with the mark of this run) at the head of a file of authorized keys.
lh_err lh_authorize_add(struct lh_ritual *ritual, const char *path, const char *line) LH_MUST_CHECK;
// Takes every line of this run out of the files that the record names; those where that does not
// work stay in the record.
void lh_authorize_remove_all(struct lh_ritual *ritual);
void lh_authorize_mark(const struct lh_ritual *ritual, char out[64]);

// --- Whose session (session.c) ---
// Whether this process belongs to a session that came over the new port after it was opened. False
// with `why`. `*out_loopback`: it came from this machine itself.
bool lh_session_is_new(const struct lh_ritual *ritual, bool *out_loopback, char why[200]);

// --- Putting back (restore.c) ---
// Takes away what only a run under way needs: timer, hidden copies, keys.
void lh_ritual_sweep(struct lh_ritual *ritual);
lh_err lh_ritual_restore(struct lh_ritual *ritual) LH_MUST_CHECK;
// Decides what to do with the record, and restores or forgets first where that is needed. The step
// that remains: BEGIN, CLOSE, OCCUPIED, ALREADY, NOTHING or WAIT; RESTORE where a rollback is asked
// for. Negative: that failed.
lh_err lh_ritual_recover(struct lh_ritual *ritual,
                         enum lh_ritual_command command,
                         enum lh_ritual_step *out_step) LH_MUST_CHECK;

#endif
