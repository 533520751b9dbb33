// SPDX-License-Identifier: Apache-2.0
//
// How it works. `sshd -T` prints what is in force, but only if it can load a host key, which as an
// ordinary user it cannot. So it always gets a key of our own with -h, made for the purpose in a
// private folder; where the configuration names no host key, that hides the default ones, which we
// put back. Everything else is sshd's answer as it is.
#include "sshdapply/sshd.h"

#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "sshdapply/run.h"

#define PATIENCE_MS 20000
#define OPTIONS_MAX 64

static const char *const default_keys[] = {
    "/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_ecdsa_key", "/etc/ssh/ssh_host_ed25519_key"};

// Takes the key of ours out of the answer.
static lh_err hide_key(const struct lh_sshd_judge *judge, struct lh_sshd_values *values)
{
    lh_err err = 0;

    for (size_t i = 0; i < values->count; i++) {
        struct lh_sshd_value *value = &values->items[i];
        if (strcmp(value->keyword, "hostkey") != 0 || strcmp(value->text, judge->key) != 0)
            continue;
        free(value->text);
        memmove(value, value + 1, (values->count - i - 1) * sizeof *value);
        values->count--;
        break;
    }
    if (lh_sshd_values_find(values, "hostkey", 0) != NULL)
        return 0;
    for (size_t i = 0; err == 0 && i < LH_ARRAY_LEN(default_keys); i++)
        err = lh_sshd_values_add(values, "hostkey", default_keys[i], NULL, 0);
    return err;
}

// Why sshd refused: the last line it wrote that is no warning and no summary.
static lh_err refusal(const struct lh_run_result *result, struct lh_errinfo *info)
{
    const char *why = "sshd ended without a word";
    size_t why_len = strlen(why);

    if (result->status == 0)
        return 0;
    for (const char *line = result->err; *line != '\0';) {
        size_t len = strcspn(line, "\r\n");
        bool noise = len == 0 || memmem(line, len, "Deprecated option", 17) != NULL ||
                     memmem(line, len, "Unsupported option", 18) != NULL ||
                     memmem(line, len, ": terminating, ", 15) != NULL;
        if (!noise) {
            why = line;
            why_len = len;
        }
        line += len + strspn(line + len, "\r\n");
    }
    (void)lh_fail(info, LH_E_INVALID, 0, "%.*s", (int)why_len, why);
    return LH_NONE;
}

static void connection_text(const struct lh_sshd_persona *persona, char *out, size_t room)
{
    const char *address = persona->address == NULL ? "192.0.2.1" : persona->address;
    (void)snprintf(out, room, "user=%s,host=%s,addr=%s,laddr=%s,lport=%u",
                   persona->user == NULL ? "" : persona->user,
                   persona->host == NULL ? address : persona->host, address,
                   persona->local_address == NULL ? "192.0.2.2" : persona->local_address,
                   persona->local_port == 0 ? 22 : persona->local_port);
}

lh_err lh_sshd_judge_ask(const struct lh_sshd_judge *judge,
                         const char *config,
                         const char *const *options,
                         const struct lh_sshd_persona *persona,
                         struct lh_sshd_values *out_values,
                         struct lh_errinfo *info)
{
    LH_CLEANUP(lh_run_result_fini) struct lh_run_result result = {0};
    const char *argv[OPTIONS_MAX + 10];
    char connection[1024];
    size_t count = 0;

    connection_text(persona, connection, sizeof connection);
    argv[count++] = judge->program;
    argv[count++] = "-T";
    argv[count++] = "-h";
    argv[count++] = judge->key;
    argv[count++] = "-f";
    argv[count++] = config;
    argv[count++] = "-C";
    argv[count++] = connection;
    for (size_t i = 0; options != NULL && options[i] != NULL && i < OPTIONS_MAX; i++)
        argv[count++] = options[i];
    argv[count] = NULL;
    lh_err err = lh_run(&(struct lh_run_options){.argv = argv,
                                                 .timeout_ms = PATIENCE_MS,
                                                 .private_run = judge->private_run},
                        &result, info);
    if (err == 0)
        err = refusal(&result, info);
    if (err != 0)
        return err;
    struct lh_sshd_values values = {0};
    err = lh_sshd_values_read(&values, result.out, result.out_len);
    if (err == 0)
        err = hide_key(judge, &values);
    if (err != 0) {
        lh_sshd_values_fini(&values);
        return err;
    }
    *out_values = values;
    return 0;
}

static lh_err make_key(struct lh_sshd_judge *judge, struct lh_errinfo *info)
{
    LH_CLEANUP(lh_run_result_fini) struct lh_run_result result = {0};
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

    (void)snprintf(judge->folder, sizeof judge->folder, "%s/lh-sshd-XXXXXX", parent);
    if (mkdtemp(judge->folder) == NULL) {
        judge->folder[0] = '\0';
        return lh_fail(info, LH_E_SYS, 0, "cannot make a folder below %s", parent);
    }
    (void)snprintf(judge->key, sizeof judge->key, "%s/key", judge->folder);
    const char *const argv[] = {
        "/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", judge->key, NULL};
    lh_err err =
        lh_run(&(struct lh_run_options){.argv = argv, .timeout_ms = PATIENCE_MS}, &result, info);
    if (err == 0 && result.status != 0)
        err = lh_fail(info, LH_E_SYS, 0, "ssh-keygen made no key: %.100s", result.err);
    return err;
}

// Everything of one kind that OpenSSH knows, as a comma-separated list.
static lh_err ask_known(const char *what, char **out_list, struct lh_errinfo *info)
{
    const char *const argv[] = {"/usr/bin/ssh", "-Q", what, NULL};
    struct lh_run_result result = {0};

    lh_err err =
        lh_run(&(struct lh_run_options){.argv = argv, .timeout_ms = PATIENCE_MS}, &result, info);
    if (err != 0)
        return err;
    while (result.out_len > 0 && result.out[result.out_len - 1] == '\n')
        result.out[--result.out_len] = '\0';
    for (char *at = result.out; (at = strchr(at, '\n')) != NULL;)
        *at = ',';
    if (result.status == 0)
        *out_list = lh_steal(&result.out);
    lh_run_result_fini(&result);
    return 0;
}

// "OpenSSH_9.2p1 Debian-2+deb12u3, OpenSSL ..." -> 902.
static void read_version(struct lh_sshd_judge *judge, const char *text)
{
    const char *found = strstr(text, "OpenSSH_");
    unsigned major = 0, minor = 0;

    if (found == NULL)
        return;
    (void)snprintf(judge->version_text, sizeof judge->version_text, "%.*s",
                   (int)strcspn(found, ",\n"), found);
    for (found += 8; *found >= '0' && *found <= '9' && major < 100; found++)
        major = 10 * major + (unsigned)(*found - '0');
    if (*found == '.') {
        for (found++; *found >= '0' && *found <= '9' && minor < 100; found++)
            minor = 10 * minor + (unsigned)(*found - '0');
    }
    judge->target.version = 100 * major + minor;
}

static lh_err ask_version(struct lh_sshd_judge *judge, struct lh_errinfo *info)
{
    LH_CLEANUP(lh_run_result_fini) struct lh_run_result result = {0};
    // Releases before 9.2 do not know -V, but their usage text names the version too. The client's
    // has the distribution's part, which sshd's has not.
    const char *const sshd[] = {judge->program, "-V", NULL};

    lh_err err =
        lh_run(&(struct lh_run_options){.argv = sshd, .timeout_ms = PATIENCE_MS}, &result, info);
    if (err == 0)
        read_version(judge, result.err);
    return err;
}

lh_err lh_sshd_judge_init(struct lh_sshd_judge *judge, const char *program, struct lh_errinfo *info)
{
    static const char *const kinds[LH_SSHD_ALGO_N_] = {"cipher", "mac", "kex", "key-sig", "sig"};
    static const struct lh_sshd_persona nobody = {.user = "nobody"};

    *judge = (struct lh_sshd_judge){0};
    (void)snprintf(judge->program, sizeof judge->program, "%s",
                   program == NULL ? LH_SSHD_PROGRAM : program);
    if (access(judge->program, X_OK) != 0)
        return LH_NONE;
    judge->private_run = geteuid() == 0 && access("/run/sshd", F_OK) != 0;
    lh_err err = ask_version(judge, info);
    if (err == 0)
        err = make_key(judge, info);
    for (size_t i = 0; err == 0 && i < LH_SSHD_ALGO_N_; i++)
        err = ask_known(kinds[i], &judge->known[i], info);
    if (err == 0)
        err = lh_sshd_judge_ask(judge, "/dev/null", NULL, &nobody, &judge->defaults, info);
    if (err == LH_NONE)
        err = LH_E_SYS; // its own defaults refused: `info` says why
    if (err != 0) {
        lh_sshd_judge_fini(judge);
        return err;
    }
    judge->target.defaults = &judge->defaults;
    for (size_t i = 0; i < LH_SSHD_ALGO_N_; i++)
        judge->target.known[i] = judge->known[i];
    return 0;
}

void lh_sshd_judge_fini(struct lh_sshd_judge *judge)
{
    char public_key[sizeof judge->key + 4];

    if (judge->folder[0] != '\0') {
        (void)snprintf(public_key, sizeof public_key, "%s.pub", judge->key);
        (void)unlink(judge->key);
        (void)unlink(public_key);
        (void)rmdir(judge->folder);
    }
    lh_sshd_values_fini(&judge->defaults);
    for (size_t i = 0; i < LH_SSHD_ALGO_N_; i++)
        free(judge->known[i]);
    *judge = (struct lh_sshd_judge){0};
}

// --- Names and addresses of this machine ---

static int service_port(void *context, const char *name)
{
    (void)context;
    struct servent *service = getservbyname(name, "tcp");
    return service == NULL ? -1
                           : (int)((unsigned)service->s_port >> 8 & 0xff) |
                                 (int)((unsigned)service->s_port & 0xff) << 8;
}

static char *home(void *context, const char *user)
{
    (void)context;
    struct passwd *account = *user == '\0' ? getpwuid(getuid()) : getpwnam(user);
    return account == NULL ? NULL : strdup(account->pw_dir);
}

static size_t resolve(void *context,
                      const char *host,
                      const char *family,
                      char (*out)[LH_SSHD_ADDRESS_TEXT],
                      size_t room)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = host == NULL ? AI_PASSIVE : 0};
    struct addrinfo *found = NULL;
    char text[LH_SSHD_ADDRESS_TEXT - 2];
    size_t count = 0;

    (void)context;
    hints.ai_family = strcmp(family, "inet") == 0    ? AF_INET
                      : strcmp(family, "inet6") == 0 ? AF_INET6
                                                     : AF_UNSPEC;
    if (getaddrinfo(host, "22", &hints, &found) != 0)
        return 0;
    for (const struct addrinfo *one = found; one != NULL && count < room; one = one->ai_next) {
        if (getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, NULL, 0,
                        NI_NUMERICHOST) == 0)
            (void)snprintf(out[count++], LH_SSHD_ADDRESS_TEXT,
                           one->ai_family == AF_INET6 ? "[%s]" : "%s", text);
    }
    freeaddrinfo(found);
    return count;
}

const struct lh_sshd_world lh_sshd_machine = {
    .directory = "/", .service_port = service_port, .home = home, .resolve = resolve};
