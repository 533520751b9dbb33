// SPDX-License-Identifier: Apache-2.0
#ifndef LH_WATCH_MESSAGE_INTERNAL_H
#define LH_WATCH_MESSAGE_INTERNAL_H

#include "watch/message.h"

// Reads what follows a row's head; false where the message is not of the row after all.
typedef bool lh_watch_form(struct lh_span rest, struct lh_watch_event *event);

// U from A[ port P][ ssh2[: MORE]]. The user's text stands in front, so the last reading counts;
// MORE may hold a stranger's text, so several readings make the line ambiguous.
lh_watch_form lh_form_failed;
// METHOD for [invalid user ]U from A port P ssh2[: KEY]: the user exists and holds no blanks.
lh_watch_form lh_form_accepted;
// U from A[ port P], at the end of the line.
lh_watch_form lh_form_user_end;
// U from A not allowed because REASON, or U not allowed because REASON.
lh_watch_form lh_form_not_allowed;
// [authenticating user U |invalid user U |user U ]A port P, and nothing behind it.
lh_watch_form lh_form_preamble_end;
// The same followed by ": TEXT" or " TEXT", where TEXT may be a stranger's.
lh_watch_form lh_form_preamble_text;
// A port P, with anything behind it; or A alone with anything behind a blank.
lh_watch_form lh_form_front;
// 'TEXT' from A port P, at the end of the line.
lh_watch_form lh_form_from_end;
// #N from [A]:P on [B]:Q REASON
lh_watch_form lh_form_drop;
// A/32: activating ... or ipv4: new A/32 ...
lh_watch_form lh_form_penalty;
// for connection from A to B, pid = N; A port P
lh_watch_form lh_form_timeout;
// PID for connection from A to B ...
lh_watch_form lh_form_child;
// logname= uid=0 euid=0 tty=ssh ruser= rhost=A[  user=U]
lh_watch_form lh_form_pam_fields;
// MODULE(sshd:auth): authentication failure; logname= ...
lh_watch_form lh_form_pam;
// N more authentication failures; logname= ...
lh_watch_form lh_form_pam_more;
// TEXT for [illegal user ]U from A, at the end of the line.
lh_watch_form lh_form_pam_error;
// H (A), at the end of the line.
lh_watch_form lh_form_refused;
// "H" is set up for A, ignoring
lh_watch_form lh_form_nasty;
// anything; the address is to be found through the process
lh_watch_form lh_form_anything;
// ..., N connections dropped
lh_watch_form lh_form_throttled;

#endif
