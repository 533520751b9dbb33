// SPDX-License-Identifier: Apache-2.0
//
// How it works. ssh tells why it failed in English sentences and one exit status, 255; any other
// status is that of the remote command. Both are looked up in tables, first match wins, and give a
// sentence with what to do. In the texts, {h} is the host, {p} the port, {o} the port to try
// instead, {m} ssh's own line. What ssh says may hold text from the server: whoever shows it
// escapes it.
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "ssh/ssh_internal.h"

struct meaning {
    const char *pattern; // in ssh's messages
    lh_err err;
    uint16_t exit_code; // ascp's
    bool retry_helps;
    const char *text;
    const char *hint; // behind it, unless this server answered before
};

static const struct meaning meanings[] = {
    {"REMOTE HOST IDENTIFICATION HAS CHANGED", LH_E_AUTH, 51, false,
     "Remote host is not who we expected: {h} shows another key than known_hosts has. If its "
     "administrator confirms the change, remove the old one: ssh-keygen -R '[{h}]:{p}'"},
    {"host key is known for", LH_E_AUTH, 51, false,
     "Remote host is not known: known_hosts has no key of {h}. Give --check-sshfp FINGERPRINT, or "
     "log in "
     "once by hand: ssh -p {p} {h}"},
    {"Host key verification failed", LH_E_AUTH, 51, false,
     "Remote host was not verified: known_hosts has no key of {h}, or nobody confirmed it. Give "
     "--check-sshfp FINGERPRINT, or log in once by hand: ssh -p {p} {h}"},
    {"Connection refused", LH_E_CLOSED, 12, true,
     "port {p} of {h} is closed: no SSH server listens there", ". Try -P {o}"},
    {"timed out", LH_E_TIMEOUT, 12, true,
     "no answer from port {p} of {h}: the host is down or a firewall drops the connection",
     ". Try -P {o}"},
    {"No route to host", LH_E_CLOSED, 12, true, "no route to {h}: the host or the network is down"},
    {"Network is unreachable", LH_E_CLOSED, 12, true, "no route to {h}: the network is down"},
    {"Temporary failure in name resolution", LH_E_CLOSED, 12, true,
     "the name {h} cannot be looked up now: the name server does not answer"},
    {"Could not resolve hostname", LH_E_INVALID, 12, false,
     "there is no host {h}: check the name ({m})"},
    {"UNPROTECTED PRIVATE KEY FILE", LH_E_AUTH, 19, false,
     "ssh does not use a private key that others can read: chmod 600 the file given with -i"},
    {"Too many authentication failures", LH_E_AUTH, 19, false,
     "{h} refused the login: too many keys were offered. Name the right one with -i KEY"},
    {"Permission denied (", LH_E_AUTH, 19, false,
     "{h} refused the login ({m}). Check the user name, -i KEY or ASPERA_SCP_PASS"},
    {"Bad configuration option", LH_E_INVALID, 12, false, "ssh does not take its options: {m}"},
    {"Bad owner or permissions on", LH_E_INVALID, 12, false, "ssh does not take its files: {m}"},
    {"Unable to negotiate", LH_E_INVALID, 12, false,
     "{h} and this machine's ssh have no algorithm in common: {m}"},
    {"kex_exchange_identification", LH_E_CLOSED, 12, true,
     "{h} closed the connection before the login ({m}): too many connections, or it turns this "
     "address "
     "away for a while. Try again later"},
    {"Connection closed by", LH_E_CLOSED, 12, true,
     "{h} closed the connection before the session began ({m}). Try again later"},
    {"Connection reset by", LH_E_CLOSED, 12, true,
     "{h} closed the connection before the session began ({m}). Try again later"},
};

static const struct meaning other_failure = {"", LH_E_CLOSED, 12, true,
                                             "ssh could not set up a session with {h}: {m}"};

static const struct meaning lost = {"", LH_E_CLOSED, 16, true,
                                    "the SSH connection to {h} was lost ({m})"};

static const struct meaning no_lhserver = {"", LH_E_INVALID, 12, false,
                                           "{h} has no lhserver: install longhaul there, or put "
                                           "lhserver into the PATH that logins get (in "
                                           "sshd_config: SetEnv PATH=...)"};

static const struct meaning not_executable = {
    "", LH_E_INVALID, 12, false,
    "lhserver on {h} cannot be executed: check its permissions and the noexec option of its file "
    "system ({m})"};

static const struct meaning server_ended = {
    "", LH_E_CLOSED, 12, false,
    "lhserver on {h} ended before the session began, or another program answered ({m})"};

// Copies the line of `text` that `at` lies in.
static void copy_line(const char *text, const char *at, char *out, size_t room)
{
    while (at > text && at[-1] != '\n' && at[-1] != '\r')
        at--;
    (void)snprintf(out, room, "%.*s", (int)strcspn(at, "\r\n"), at);
}

// The last line that says anything: usually ssh's reason.
static void copy_last_line(const char *text, char *out, size_t room)
{
    size_t len = strlen(text);

    while (len > 0 && strchr("\r\n ", text[len - 1]) != NULL)
        len--;
    copy_line(text, text + len, out, room);
}

// Fills in the places of a meaning's text.
static lh_err tell(const struct meaning *meaning,
                   const struct lh_ssh_end *end,
                   const char *line,
                   struct lh_errinfo *info)
{
    char text[LH_ERRINFO_TEXT] = "";
    char port[8], other[8];
    char pattern[LH_ERRINFO_TEXT];
    size_t used = 0;

    (void)snprintf(pattern, sizeof pattern, "%s%s", meaning->text,
                   meaning->hint != NULL && !end->was_reached ? meaning->hint : "");
    (void)snprintf(port, sizeof port, "%u", end->port != 0 ? end->port : 22u);
    (void)snprintf(other, sizeof other, "%u",
                   end->port == 22 || end->port == 0 ? LH_SSH_PORT_DEFAULT : 22u);
    for (const char *at = pattern; *at != '\0' && used + 1 < sizeof text;) {
        const char *part = NULL;
        if (at[0] == '{' && at[1] != '\0' && at[2] == '}')
            part = at[1] == 'h' ? end->host : at[1] == 'p' ? port : at[1] == 'o' ? other : line;
        if (part == NULL) {
            text[used++] = *at++;
            text[used] = '\0';
            continue;
        }
        (void)snprintf(text + used, sizeof text - used, "%s", part);
        used += strlen(text + used);
        at += 3;
    }
    return lh_fail(info, meaning->err, meaning->exit_code, "%s", text);
}

lh_err lh_ssh_explain(const struct lh_ssh_end *end, bool *out_retry_helps, struct lh_errinfo *info)
{
    const struct meaning *meaning = end->was_established ? &lost : &other_failure;
    int status = WIFEXITED(end->status) ? WEXITSTATUS(end->status) : 255;
    char line[200];

    copy_last_line(end->messages, line, sizeof line);
    if (line[0] == '\0')
        (void)snprintf(line, sizeof line, "it gave no reason");
    if (status != 255 && !end->was_established) {
        meaning = status == 127 ? &no_lhserver : status == 126 ? &not_executable : &server_ended;
    } else if (!end->was_established) {
        for (size_t i = 0; i < LH_ARRAY_LEN(meanings); i++) {
            const char *at = strstr(end->messages, meanings[i].pattern);
            if (at == NULL)
                continue;
            meaning = &meanings[i];
            copy_line(end->messages, at, line, sizeof line);
            break;
        }
    }
    *out_retry_helps = meaning->retry_helps;
    return tell(meaning, end, line, info);
}
