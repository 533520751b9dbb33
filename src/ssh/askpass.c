// SPDX-License-Identifier: Apache-2.0
//
// How it works. ssh runs lh-askpass (ssh/helper.c) with its question; that sends the question over
// a Unix socket in our private folder and prints what comes back. Here, in the process that holds
// the secret, it is decided whether there is an answer:
//   - the asking process has our user id (the kernel says so), and its parent is the ssh we
//   started:
//     the ssh of a jump host inherits the environment and must not get the password of the target;
//   - the question is one for a password or a passphrase. A host-key question is a decision about
//   whom
//     to trust; no secret answers it;
//   - at most LH_ASKPASS_ANSWERS_MAX answers, so that a wrong password ends instead of looping;
//   - where keys were named with -i, a secret that served as their passphrase is not sent to the
//   server
//     as a password afterwards.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "ssh/ssh_internal.h"

enum lh_prompt lh_prompt_kind(const char *prompt, bool is_special)
{
    static const char passphrase[] = "Enter passphrase for ";
    static const char password[] = "password:";
    size_t len = strlen(prompt);

    if (LH_GUARD(ASKPASS_SPECIAL, is_special))
        return LH_PROMPT_OTHER;
    while (len > 0 && (prompt[len - 1] == ' ' || prompt[len - 1] == '\n'))
        len--;
    // A list of choices in the text is a decision, whatever its end says.
    if (strstr(prompt, "yes/no") != NULL || len == 0 || prompt[len - 1] != ':')
        return LH_PROMPT_OTHER;
    if (strncmp(prompt, passphrase, strlen(passphrase)) == 0)
        return LH_PROMPT_PASSPHRASE;
    if (len >= strlen(password) &&
        strncasecmp(prompt + len - strlen(password), password, strlen(password)) == 0)
        return LH_PROMPT_PASSWORD;
    return LH_PROMPT_OTHER;
}

lh_err lh_askpass_open(struct lh_askpass *askpass,
                       const char *dir,
                       const struct lh_password *password,
                       bool has_identities,
                       struct lh_errinfo *info)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    *askpass =
        (struct lh_askpass){.fd = -1, .password = password, .has_identities = has_identities};
    (void)lh_ssh_dir_file(dir, LH_SSH_DIR_SOCKET, address.sun_path, sizeof address.sun_path);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, 4) != 0) {
        int saved = errno;
        if (fd >= 0)
            (void)close(fd);
        return lh_fail_errno(info, saved, 12, "cannot listen at a private socket");
    }
    askpass->fd = fd;
    return 0;
}

void lh_askpass_close(struct lh_askpass *askpass)
{
    lh_child_close_fd(&askpass->fd);
}

bool lh_askpass_decide(struct lh_askpass *askpass,
                       const struct lh_askpass_question *question,
                       pid_t ssh)
{
    enum lh_prompt kind = lh_prompt_kind(question->prompt, question->is_special != 0);

    if (LH_GUARD(ASKPASS_PARENT, question->parent != ssh))
        return false;
    if (kind == LH_PROMPT_OTHER)
        return false;
    if (LH_GUARD(ASKPASS_ANSWERS, askpass->answers >= LH_ASKPASS_ANSWERS_MAX))
        return false;
    if (kind == LH_PROMPT_PASSWORD && askpass->was_passphrase && askpass->has_identities)
        return false;
    askpass->answers++;
    askpass->was_passphrase = askpass->was_passphrase || kind == LH_PROMPT_PASSPHRASE;
    return true;
}

static bool is_our_user(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == geteuid();
}

void lh_askpass_serve(struct lh_askpass *askpass, pid_t ssh)
{
    const struct timeval patience = {.tv_sec = 1};
    struct lh_askpass_question question;
    int fd = accept4(askpass->fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (is_our_user(fd) && recv(fd, &question, sizeof question, 0) == sizeof question &&
        memchr(question.prompt, '\0', sizeof question.prompt) != NULL &&
        lh_askpass_decide(askpass, &question, ssh)) {
        size_t len;
        const char *bytes = lh_password_bytes(askpass->password, &len);
        (void)!send(fd, bytes, len, MSG_NOSIGNAL);
    }
    (void)close(fd);
}
