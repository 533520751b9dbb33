// SPDX-License-Identifier: Apache-2.0
//
// lhctl sshd fingerprint, lhctl sshd notify
//
// How it works. Both read which host keys the files give. fingerprint prints them in every form
// that is pasted somewhere; on this machine it also asks the port, because a sshd that has not read
// its files again still shows the old keys. notify writes the note that users need when port or key
// change; nothing is sent.
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/text.h"
#include "cmd/sshd/internal.h"
#include "cmd/sshd/rows.h"
#include "ssh/pin.h"
#include "sshdapply/offered.h"

static const struct lh_option fingerprint_options[] = {
    LH_SSHD_ROW_ROOT,
    LH_SSHD_ROW_CONFIG,
    LH_SSHD_ROW_PORT,
    LH_SSHD_ROW_HOST,
    {.name = "expected",
     .arg = "FINGERPRINT",
     .parse = lh_option_text,
     .offset = LH_SSHD_FIELD(expected),
     .help = "one that is configured somewhere: is it still offered?"},
    LH_SSHD_ROW_HELP,
};

static const struct lh_option notify_options[] = {
    LH_SSHD_ROW_ROOT, LH_SSHD_ROW_CONFIG, LH_SSHD_ROW_PORT, LH_SSHD_ROW_HOST, LH_SSHD_ROW_HELP,
};

static const struct lh_option_table fingerprint_table = {
    .program = "lhctl sshd fingerprint",
    .usage = "lhctl sshd fingerprint [OPTION...]\n",
    .options = fingerprint_options,
    .count = LH_ARRAY_LEN(fingerprint_options),
    .epilogue = "Exit status: 0 printed, 1 with a warning, 64 usage, 70 failed.\n",
};

static const struct lh_option_table notify_table = {
    .program = "lhctl sshd notify",
    .usage = "lhctl sshd notify [OPTION...]\n",
    .options = notify_options,
    .count = LH_ARRAY_LEN(notify_options),
    .epilogue = "Writes the note to standard output; nothing is sent.\n",
};

// "host", or "[host]:port" where it is not the port that ssh assumes.
static void known_hosts_name(const struct lh_sshd_args *args, char *out, size_t room)
{
    (void)snprintf(out, room, args->port == 22 ? "%s" : "[%s]:%u", args->host, args->port);
}

static void print_key(const struct lh_offered_key *offered)
{
    const struct lh_public_key *key = &offered->key;
    char path[4 * LH_PATH_TEXT_MAX];

    (void)printf("%s, %u bits: %s\n", key->type, key->bits,
                 lh_escape(offered->path, strlen(offered->path), path, sizeof path));
    (void)printf("  SHA-1 (ascp)     %s\n", key->sha1);
    (void)printf("  OpenSSH          %s\n", key->sha256);
    (void)printf("  command line     --check-sshfp %s\n", key->sha1);
    (void)printf("  transfer spec    \"sshfp\": \"%s\"\n", key->sha1);
}

// The forms that are a line of a file: nothing in front of them, so that they can be copied.
static void print_lines(const struct lh_sshd_args *args, const struct lh_offered_keys *keys)
{
    char name[300];

    known_hosts_name(args, name, sizeof name);
    (void)printf("\nFor known_hosts, a line a key:\n");
    for (size_t i = 0; i < keys->count; i++) {
        const struct lh_public_key *key = &keys->items[i].key;
        if (keys->items[i].usable)
            (void)printf("%s %s %s\n", name, key->type, key->base64);
    }
    (void)printf("\nFor DNS, two records a key:\n");
    for (size_t i = 0; i < keys->count; i++) {
        const struct lh_public_key *key = &keys->items[i].key;
        unsigned sshfp = lh_public_key_sshfp(key);
        if (keys->items[i].usable && sshfp != 0)
            (void)printf("%s. IN SSHFP %u 1 %s\n%s. IN SSHFP %u 2 %s\n", args->host, sshfp,
                         key->sha1, args->host, sshfp, key->sha256_hex);
    }
}

static bool holds(const struct lh_offered_keys *keys, const struct lh_public_key *key)
{
    for (size_t i = 0; i < keys->count; i++) {
        const struct lh_public_key *one = &keys->items[i].key;
        if (keys->items[i].usable && one->blob_len == key->blob_len &&
            memcmp(one->blob, key->blob, key->blob_len) == 0)
            return true;
    }
    return false;
}

// Holds what the port shows against what the files give. Returns the number of differences.
static unsigned compare_port(const struct lh_sshd_args *args, const struct lh_offered_keys *keys)
{
    struct lh_offered_keys shown = {0};
    unsigned differences = 0;

    if (strcmp(args->root, "/") != 0)
        return 0;
    if (lh_offered_scan(args->port, &shown) != 0) {
        (void)printf("nothing answers on port %u of 127.0.0.1: what sshd shows was not compared\n",
                     args->port);
        return 0;
    }
    for (size_t i = 0; i < shown.count; i++) {
        if (holds(keys, &shown.items[i].key))
            continue;
        differences++;
        (void)printf("warning: port %u shows a %s key that the files do not give: %s\n", args->port,
                     shown.items[i].key.type, shown.items[i].key.sha256);
    }
    for (size_t i = 0; i < keys->count; i++) {
        if (!keys->items[i].usable || holds(&shown, &keys->items[i].key))
            continue;
        differences++;
        (void)printf("warning: port %u does not show the %s key %s: sshd has not read its files "
                     "again\n",
                     args->port, keys->items[i].key.type, keys->items[i].key.sha256);
    }
    lh_offered_fini(&shown);
    return differences;
}

// The key that a fingerprint is of, among those offered; NULL where it is of none.
static const struct lh_public_key *find_pinned(const struct lh_pin *pin,
                                               const struct lh_offered_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++) {
        const struct lh_public_key *key = &keys->items[i].key;
        if (keys->items[i].usable && lh_pin_matches(pin, 1, key->blob, key->blob_len))
            return key;
    }
    return NULL;
}

// Whether the fingerprint that was expected is offered. Returns 0 if so.
static unsigned check_expected(const struct lh_pin *pin, const struct lh_offered_keys *keys)
{
    const struct lh_public_key *key = find_pinned(pin, keys);

    if (key != NULL)
        (void)printf("the expected fingerprint is that of the %s key\n", key->type);
    else
        (void)printf("warning: the expected fingerprint is none of those offered: clients that pin "
                     "it\nwill refuse this server\n");
    return key == NULL;
}

// The fingerprint that HSTS hands out, where it is installed. Returns 0 if it is offered, or if
// there is none.
static unsigned check_promise(const struct lh_sshd_args *args, const struct lh_offered_keys *keys)
{
    struct lh_aspera_conf conf;
    const char *path;
    struct lh_pin pin;
    char shown[512];

    if (!lh_aspera_conf_read(args->root, &conf, &path))
        return 0;
    bool promised = *conf.fingerprint != '\0';
    bool sound = promised && lh_pin_parse(conf.fingerprint, &pin) == 0;
    const struct lh_public_key *key = sound ? find_pinned(&pin, keys) : NULL;
    lh_escape(conf.fingerprint, strlen(conf.fingerprint), shown, sizeof shown);
    if (key != NULL)
        (void)printf("%s has the fingerprint of the %s key\n", path, key->type);
    else if (promised)
        (void)printf("warning: ssh_host_key_fingerprint in %s is none of those offered:\n%s\n",
                     path, shown);
    lh_aspera_conf_fini(&conf);
    return promised && key == NULL;
}

static lh_err
read_keys(const struct lh_sshd_args *args, struct lh_offered_keys *keys, struct lh_errinfo *info)
{
    lh_err err = lh_offered_read(
        &(struct lh_offered_options){.root = args->root, .config = args->config}, keys, info);
    if (err != 0)
        return err;
    for (size_t i = 0; i < keys->count; i++) {
        if (keys->items[i].usable)
            return 0;
    }
    return lh_fail(info, LH_NONE, 0, "%s",
                   keys->count > 0 ? keys->items[0].why_not : "the files give no host key");
}

int lh_sshd_fingerprint_main(int argc, char **argv)
{
    LH_CLEANUP(lh_offered_fini) struct lh_offered_keys keys = {0};
    struct lh_errinfo info = {0};
    struct lh_sshd_args args;
    struct lh_pin pin;
    char shown[2 * LH_ERRINFO_TEXT];
    unsigned warnings = 0;

    int status = lh_sshd_parse(&fingerprint_table, argc, argv, false, &args);
    if (status >= 0)
        return status;
    if (args.expected != NULL && lh_pin_parse(args.expected, &pin) != 0) {
        (void)lh_sshd_fail("--expected wants 40 hexadecimal digits, or SHA256: and base64");
        return LH_SSHD_STATUS_USAGE;
    }
    if (read_keys(&args, &keys, &info) != 0)
        return lh_sshd_fail(info.text);
    for (size_t i = 0; i < keys.count; i++) {
        const struct lh_offered_key *key = &keys.items[i];
        if (key->usable)
            print_key(key);
        else
            (void)printf("not offered: %s\n",
                         lh_escape(key->why_not, strlen(key->why_not), shown, sizeof shown));
    }
    print_lines(&args, &keys);
    (void)printf("\n");
    if (args.expected != NULL)
        warnings += check_expected(&pin, &keys);
    warnings += check_promise(&args, &keys);
    warnings += compare_port(&args, &keys);
    if (fflush(stdout) != 0)
        return lh_sshd_fail("cannot write the fingerprints");
    return warnings > 0 ? 1 : 0;
}

static void print_note(const struct lh_sshd_args *args, const struct lh_offered_keys *keys)
{
    char name[300];

    known_hosts_name(args, name, sizeof name);
    (void)printf("Subject: %s: SSH port %u and host key\n\n", args->host, args->port);
    (void)printf("Transfers and logins on %s use TCP port %u from now on.\n%s"
                 "Please change the port where you have set it:\n\n",
                 args->host, args->port, args->port == 22 ? "" : "Port 22 will be closed.\n");
    (void)printf("  Graphical clients: Connections, the entry for %s, tab Connection,\n"
                 "    Show Advanced Settings, SSH Port (TCP): %u\n",
                 args->host, args->port);
    (void)printf("  ascp and lhcp:     -P %u\n", args->port);
    (void)printf("  Transfer specs:    \"ssh_port\": %u\n", args->port);
    (void)printf("  ssh and sftp:      ssh -p %u USER@%s\n"
                 "                     sftp -P %u USER@%s\n\n",
                 args->port, args->host, args->port, args->host);
    (void)printf("If a firewall of yours filters outgoing connections, it must let TCP and UDP to\n"
                 "port %u pass.\n\n",
                 args->port);
    (void)printf("The server proves who it is by one of these keys. Where a fingerprint is asked\n"
                 "for or pinned, take it from here and accept no other:\n");
    for (size_t i = 0; i < keys->count; i++) {
        const struct lh_public_key *key = &keys->items[i].key;
        if (!keys->items[i].usable)
            continue;
        (void)printf("\n  %s\n    ascp and lhcp:   --check-sshfp %s\n    OpenSSH shows:   %s\n"
                     "    known_hosts, one line:\n%s %s %s\n",
                     key->type, key->sha1, key->sha256, name, key->type, key->base64);
    }
}

int lh_sshd_notify_main(int argc, char **argv)
{
    LH_CLEANUP(lh_offered_fini) struct lh_offered_keys keys = {0};
    struct lh_errinfo info = {0};
    struct lh_sshd_args args;

    int status = lh_sshd_parse(&notify_table, argc, argv, false, &args);
    if (status >= 0)
        return status;
    if (read_keys(&args, &keys, &info) != 0)
        return lh_sshd_fail(info.text);
    print_note(&args, &keys);
    return fflush(stdout) == 0 ? 0 : lh_sshd_fail("cannot write the note");
}
