// SPDX-License-Identifier: Apache-2.0
//
// What src/ssh does, without the rest of lhcp: starts ssh, copies what lhserver says to standard
// output, and ends like lhcp with "error N: ..." where there is no session. For
// tests/e2e/ssh_channel.sh.
//   ssh_probe [-P PORT] [-l USER] [-i KEY]... [--pin FP]... [--arg ARG]... [--hold] HOST
// --hold: after the first line, wait until standard input ends before closing.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "ssh/helper.h"
#include "ssh/spawn.h"
#include "sys/harden.h"

struct probe {
    struct lh_ssh_options options;
    const char *identities[LH_IDENTITIES_MAX];
    const char *extra[LH_SSH_EXTRA_MAX];
    struct lh_pin pins[LH_PINS_MAX];
    bool hold;
};

static void parse(struct probe *probe, int argc, char **argv)
{
    struct lh_ssh_options *options = &probe->options;

    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        uint64_t port;
        if (strcmp(argv[i], "--hold") == 0) {
            probe->hold = true;
            continue;
        }
        if (i + 1 == argc)
            options->host = argv[i];
        else if (strcmp(argv[i], "-P") == 0 && lh_parse_number(value, 1, 65535, &port) == 0)
            options->port = (uint16_t)port;
        else if (strcmp(argv[i], "-l") == 0)
            options->user = value;
        else if (strcmp(argv[i], "-i") == 0)
            probe->identities[options->identity_count++] = value;
        else if (strcmp(argv[i], "--arg") == 0)
            probe->extra[options->extra_count++] = value;
        else if (strcmp(argv[i], "--pin") != 0 ||
                 lh_pin_parse(value, &probe->pins[options->pin_count++]) != 0)
            exit(2);
        i++;
    }
    options->identities = probe->identities;
    options->extra = probe->extra;
    options->pins = probe->pins;
}

// Copies until the output ends. True where anything came.
static bool copy(struct lh_ssh *ssh, const struct probe *probe)
{
    char buffer[4096];
    bool any = false;

    for (;;) {
        struct pollfd polled[4] = {{lh_ssh_output_fd(ssh), POLLIN, 0},
                                   {lh_ssh_messages_fd(ssh), POLLIN, 0},
                                   {lh_ssh_askpass_fd(ssh), POLLIN, 0},
                                   {probe->hold && any ? STDIN_FILENO : -1, POLLIN, 0}};
        if (poll(polled, 4, -1) < 0)
            continue;
        if (polled[1].revents != 0) {
            const char *text;
            size_t len;
            if (lh_ssh_messages_ready(ssh, &text, &len) == 0)
                (void)!write(STDERR_FILENO, text, len);
        }
        if (polled[2].revents != 0)
            lh_ssh_askpass_ready(ssh);
        if (polled[3].revents != 0 && read(STDIN_FILENO, buffer, sizeof buffer) <= 0)
            return any;
        if (polled[0].revents != 0) {
            ssize_t got = read(lh_ssh_output_fd(ssh), buffer, sizeof buffer);
            if (got <= 0)
                return any;
            any = true;
            lh_ssh_login_done(ssh);
            if (!probe->hold)
                lh_ssh_end_input(ssh);
            (void)!write(STDOUT_FILENO, buffer, (size_t)got);
        }
    }
}

int main(int argc, char **argv)
{
    struct probe probe = {0};
    struct lh_password *password = NULL;
    struct lh_errinfo info = {0};
    struct lh_ssh *ssh = NULL;
    char text[2 * LH_ERRINFO_TEXT];
    int status;
    lh_err err;

    if (lh_ssh_helper_main(argc, argv, &status))
        return status;
    lh_secrets_harden();
    err = lh_password_take("ASPERA_SCP_PASS", &password);
    parse(&probe, argc, argv);
    probe.options.password = password;
    if (err >= 0)
        err = lh_ssh_start(&probe.options, &ssh, &info);
    while (err == 0 && !copy(ssh, &probe))
        err = lh_ssh_again(ssh, &info);
    lh_ssh_close(ssh, 1000);
    lh_password_free(password);
    if (err == 0)
        return 0;
    (void)fprintf(stderr, "error %u: %s\n", info.exit_code,
                  lh_escape(info.text, strlen(info.text), text, sizeof text));
    return 1;
}
