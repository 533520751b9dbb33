// SPDX-License-Identifier: Apache-2.0
//
// How it works. The command line is: the program, the options that always hold, those of this
// session, what the user hands on, "--", host, "lhserver". ssh lets the first setting of an option
// win, so ours stand in front of the user's and of every configuration file. The remote command is
// one constant word: nothing that a person or a file name holds ever reaches a shell on the other
// side (threat T4).
//
// Not handled: options in the user's ~/.ssh/config that name programs (ProxyCommand, Match exec)
// run as they do for plain ssh; that is what a configuration is for.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "ssh/helper.h"
#include "ssh/ssh_internal.h"

static const char *const always[] = {
    "-x", // no X11
    "-a", // no agent forwarding
    "-T", // no terminal
    "-oClearAllForwardings=yes",
    "-oRemoteCommand=none",
    "-oPermitLocalCommand=no",
    "-oRequestTTY=no",
    "-oForwardX11=no",
    "-oForwardAgent=no",
    "-oTunnel=no",
    "-oControlMaster=no", // a transfer never becomes what other sessions depend on
    "-oEscapeChar=none",
    "-oConnectionAttempts=1",
    "-oServerAliveInterval=20", // a dead path is noticed after LH_IDLE_TIMEOUT
    "-oServerAliveCountMax=6",
};

// With expected fingerprints: nothing but our own command says which key is known.
static const char *const pinned[] = {
    "-oControlPath=none", // a live master connection may lead to somebody else
    "-oUserKnownHostsFile=none",   "-oGlobalKnownHostsFile=none",
    "-oStrictHostKeyChecking=yes", "-oUpdateHostKeys=no",
    "-oVerifyHostKeyDNS=no",       "-oCheckHostIP=no",
    "-oHashKnownHosts=no",         "-oNoHostAuthenticationForLocalhost=no",
};

// One more argument, printed. Where it does not fit, count goes beyond LH_SSH_ARGS_MAX and stays
// there.
__attribute__((format(printf, 2, 3))) static void
push(struct lh_ssh_args *args, const char *format, ...)
{
    char *to = args->text + args->used;
    size_t room = sizeof args->text - args->used;
    va_list list;
    int len;

    if (args->count >= LH_SSH_ARGS_MAX) {
        args->count = LH_SSH_ARGS_MAX + 1;
        return;
    }
    va_start(list, format);
    len = vsnprintf(to, room, format, list);
    va_end(list);
    if (len < 0 || (size_t)len >= room) {
        args->count = LH_SSH_ARGS_MAX + 1;
        return;
    }
    args->used += (size_t)len + 1;
    args->argv[args->count++] = to;
    args->argv[args->count] = NULL;
}

static void push_all(struct lh_ssh_args *args, const char *const *options, size_t count)
{
    for (size_t i = 0; i < count; i++)
        push(args, "%s", options[i]);
}

static bool has_any(const char *text, const char *forbidden)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= ' ' || *text == 0x7f || strchr(forbidden, *text) != NULL)
            return true;
    return false;
}

lh_err lh_ssh_names_check(const char *host, const char *user, struct lh_errinfo *info)
{
    static const char not_in_hosts[] = "'`\"$\\;&<>|(){}*?!#~,@/";
    static const char not_in_users[] = "'`\"$;&<>|(){}"; // a domain's backslash may stand there

    if (LH_GUARD(SSH_HOST, host[0] == '\0' || host[0] == '-' || has_any(host, not_in_hosts)))
        return lh_fail(info, LH_E_INVALID, 8, "the host name has a character that no host has");
    if (user != NULL && LH_GUARD(SSH_USER, user[0] == '-' || has_any(user, not_in_users)))
        return lh_fail(info, LH_E_INVALID, 8, "the user name has a character that no user has");
    return 0;
}

static void
push_pins(struct lh_ssh_args *args, const struct lh_ssh_options *options, const char *helper_dir)
{
    char pin_text[LH_PIN_TEXT];
    char command[LH_SSH_DIR_MAX + 64 + LH_PINS_MAX * (LH_PIN_TEXT + 1)];
    int used;

    push_all(args, pinned, LH_ARRAY_LEN(pinned));
    // No quoting is needed: the folder's path and the fingerprints hold no character that ssh
    // expands.
    used =
        snprintf(command, sizeof command, "%s/%s %%I %%t %%K", helper_dir, LH_HELPER_KNOWN_HOSTS);
    for (size_t i = 0; i < options->pin_count; i++)
        used += snprintf(command + used, sizeof command - (size_t)used, " %s",
                         lh_pin_format(&options->pins[i], pin_text, sizeof pin_text));
    push(args, "-oKnownHostsCommand=%s", command);
    args->algorithms_at = args->count;
    push(args, "-oHostKeyAlgorithms=%s", lh_key_algorithms_from(LH_KEY_ED25519));
}

lh_err lh_ssh_args_build(const struct lh_ssh_options *options,
                         const char *helper_dir,
                         struct lh_ssh_args *out_args,
                         struct lh_errinfo *info)
{
    lh_err err = lh_ssh_names_check(options->host, options->user, info);

    if (err != 0)
        return err;
    LH_ASSERT(options->pin_count == 0 || helper_dir != NULL);
    if (options->pin_count > LH_PINS_MAX || options->identity_count > LH_IDENTITIES_MAX ||
        options->extra_count > LH_SSH_EXTRA_MAX)
        return lh_fail(info, LH_E_LIMIT, 8, "too many fingerprints, keys or arguments for ssh");

    out_args->count = out_args->used = out_args->algorithms_at = 0;
    push(out_args, "%s", options->program != NULL ? options->program : "ssh");
    for (unsigned i = 0; i < options->verbose && i < 3; i++)
        push(out_args, "-v");
    if (options->pin_count > 0)
        push_pins(out_args, options, helper_dir);
    // A password from the environment is tried once: the same wrong one again would only lock
    // accounts.
    if (options->password != NULL)
        push(out_args, "-oNumberOfPasswordPrompts=1");
    else if (options->batch)
        push(out_args, "-oBatchMode=yes");
    push_all(out_args, always, LH_ARRAY_LEN(always));
    push(out_args, "-oConnectTimeout=%d", LH_SSH_CONNECT_SECONDS);
    if (options->port != 0)
        push(out_args, "-p%u", options->port);
    if (options->user != NULL && options->user[0] != '\0')
        push(out_args, "-l%s", options->user);
    // The keys named are the only ones offered: each one more counts as a failed attempt (threat
    // T8).
    if (options->identity_count > 0)
        push(out_args, "-oIdentitiesOnly=yes");
    for (size_t i = 0; i < options->identity_count; i++) {
        push(out_args, "-i");
        push(out_args, "%s", options->identities[i]);
    }
    push_all(out_args, options->extra, options->extra_count);
    push(out_args, "--");
    push(out_args, "%s", options->host);
    push(out_args, "lhserver");
    if (out_args->count > LH_SSH_ARGS_MAX)
        return lh_fail(info, LH_E_LIMIT, 8, "the arguments for ssh are too long");
    return 0;
}

void lh_ssh_args_set_families(struct lh_ssh_args *args, enum lh_key_family first)
{
    LH_ASSERT(args->algorithms_at != 0);
    // In place: fewer families are a shorter text.
    char *option = args->argv[args->algorithms_at];
    (void)snprintf(option, strlen(option) + 1, "-oHostKeyAlgorithms=%s",
                   lh_key_algorithms_from(first));
}

lh_err lh_ssh_args_only_ask(struct lh_ssh_args *args, const char *question)
{
    push(args, "%s", question);
    if (args->count > LH_SSH_ARGS_MAX)
        return LH_E_LIMIT;
    char *last = args->argv[args->count - 1];
    memmove(args->argv + 2, args->argv + 1, (args->count - 2) * sizeof *args->argv);
    args->argv[1] = last;
    return 0;
}
