// SPDX-License-Identifier: Apache-2.0
//
// Both helpers fail closed: whatever goes wrong, no key is known and no secret is printed. ssh ends
// the connection when KnownHostsCommand fails.
#include "ssh/helper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/base64.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/wipe.h"
#include "ssh/ssh_internal.h"
#include "sys/harden.h"

#define BLOB_MAX 8192 // an RSA key of 16,384 bits has 2 KiB

// Splits argv[0] into the private folder and the helper's name. False where it is a plain name.
static bool split(const char *program, char dir[LH_SSH_DIR_MAX], const char **out_name)
{
    const char *slash = strrchr(program, '/');

    if (slash == NULL || (size_t)(slash - program) >= LH_SSH_DIR_MAX)
        return false;
    memcpy(dir, program, (size_t)(slash - program));
    dir[slash - program] = '\0';
    *out_name = slash + 1;
    return true;
}

// --- lh-known-hosts INVOCATION TYPE KEY PIN... ---------------------------------------------------

// The blob begins with its own type, which must be the one ssh names.
static bool is_of_type(const uint8_t *blob, size_t len, const char *type)
{
    return len > 4 && blob[0] == 0 && blob[1] == 0 && blob[2] == 0 && blob[3] == strlen(type) &&
           len - 4 >= strlen(type) && memcmp(blob + 4, type, strlen(type)) == 0;
}

static int check_key(const char *dir, const char *type, const char *key, char **pin_texts)
{
    uint8_t blob[BLOB_MAX];
    struct lh_pin pins[LH_PINS_MAX];
    struct lh_pin sha1, sha256;
    struct lh_seen_key seen = {0};
    size_t len, count = 0;

    if (lh_base64_decode(key, strlen(key), blob, sizeof blob, &len) != 0 ||
        lh_key_family_of(type) == LH_KEY_FAMILY_N_ || !is_of_type(blob, len, type))
        return 1;
    for (; pin_texts[count] != NULL; count++)
        if (count == LH_PINS_MAX || lh_pin_parse(pin_texts[count], &pins[count]) != 0)
            return 1;
    if (lh_pin_of(LH_PIN_SHA1, blob, len, &sha1) != 0 ||
        lh_pin_of(LH_PIN_SHA256, blob, len, &sha256) != 0)
        return 1;
    (void)snprintf(seen.type, sizeof seen.type, "%s", type);
    (void)lh_pin_format(&sha1, seen.sha1, sizeof seen.sha1);
    (void)lh_pin_format(&sha256, seen.sha256, sizeof seen.sha256);
    seen.is_match = lh_pin_matches(pins, count, blob, len);
    if (lh_seen_append(dir, &seen) != 0)
        return 1;
    if (LH_GUARD(PIN_MATCH, !seen.is_match))
        return 0;
    return printf("* %s %s\n", type, key) > 0 && fflush(stdout) == 0 ? 0 : 1;
}

static int known_hosts_main(const char *dir, int argc, char **argv)
{
    if (argc < 5)
        return 1;
    // ORDER comes before the server has shown a key: there is nothing to prefer.
    if (strcmp(argv[1], "HOSTNAME") != 0)
        return 0;
    return check_key(dir, argv[2], argv[3], argv + 4);
}

// --- lh-askpass PROMPT ---------------------------------------------------------------------------

static int askpass_main(const char *dir, const char *prompt)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct lh_askpass_question question = {.parent = getppid(),
                                           .is_special = getenv("SSH_ASKPASS_PROMPT") != NULL};
    char answer[LH_PASSWORD_MAX + 1];
    ssize_t len = -1;
    bool is_printed = false;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    (void)snprintf(question.prompt, sizeof question.prompt, "%s", prompt);
    (void)lh_ssh_dir_file(dir, LH_SSH_DIR_SOCKET, address.sun_path, sizeof address.sun_path);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        send(fd, &question, sizeof question, MSG_NOSIGNAL) == sizeof question)
        len = recv(fd, answer, sizeof answer - 1, 0);
    if (len > 0) {
        answer[len] = '\n';
        // One write, no stdio: no copy stays in a buffer.
        is_printed = write(STDOUT_FILENO, answer, (size_t)len + 1) == len + 1;
    }
    lh_wipe(answer, sizeof answer);
    return is_printed ? 0 : 1;
}

bool lh_ssh_helper_main(int argc, char **argv, int *out_status)
{
    char dir[LH_SSH_DIR_MAX];
    const char *name;

    if (argc < 1 || !split(argv[0], dir, &name))
        return false;
    if (strcmp(name, LH_HELPER_KNOWN_HOSTS) == 0) {
        *out_status = known_hosts_main(dir, argc, argv);
        return true;
    }
    if (strcmp(name, LH_HELPER_ASKPASS) == 0) {
        lh_secrets_harden();
        *out_status = argc == 2 ? askpass_main(dir, argv[1]) : 1;
        return true;
    }
    return false;
}
