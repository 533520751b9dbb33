// SPDX-License-Identifier: Apache-2.0
//
// How it works. The table below is lhcp's whole command line; each row stores into `struct args`.
// When argv is read, the parts are put together in a fixed order: what is to be done, where to, and
// then what one option means beside another (-Q, -k and --overwrite, --policy and -l). The table of
// ascp's options that this version cannot honour is at its end: naming one is an error that says
// so.
//
// Where an option of ascp is honoured in a different way (always the stricter one), a notice says
// so.
#include "cmd/lhcp_args.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cmd/options.h"
#include "ssh/pin.h"

#define EXIT_CODE_USAGE   8
#define RETRY_MAX_SECONDS (7 * 24 * 3600)

enum transfer_mode { MODE_FROM_OPERANDS, MODE_SEND, MODE_RECEIVE };

struct args {
    struct lhcp_options *options;
    struct lhcp_notices *notices;
    const char *host; // --host
    const char *user; // --user
    int mode;         // --mode
    unsigned help;    // number of -h
    bool version;
    bool check;
    bool dry_run;
    bool clear_text;         // -T
    bool resume_level_given; // -k
    uint8_t resume_level;
    unsigned fair_count; // number of -Q
    bool policy_given;
};

static void add_notice(struct args *args, const char *line)
{
    if (args->notices->count < LHCP_NOTICES_MAX)
        args->notices->lines[args->notices->count++] = line;
}

static lh_err usage_error(struct lh_errinfo *info, const char *text)
{
    return lh_fail(info, LH_E_INVALID, EXIT_CODE_USAGE, "%s", text);
}

// --- Parsers of single options -------------------------------------------------------------------

// The generic parsers store by offset into `struct args`; these into `struct lhcp_options`.
#define INTO_OPTIONS(name, generic)                                                                \
    static lh_err name(void *target, const struct lh_option *option, const char *value,            \
                       struct lh_errinfo *info)                                                    \
    {                                                                                              \
        return generic(((struct args *)target)->options, option, value, info);                     \
    }
INTO_OPTIONS(set_flag, lh_option_flag)
INTO_OPTIONS(set_count, lh_option_count)
INTO_OPTIONS(set_text, lh_option_text)
INTO_OPTIONS(set_udp_port, lh_option_port)
INTO_OPTIONS(set_rate, lh_option_rate)
INTO_OPTIONS(set_size, lh_option_size)
INTO_OPTIONS(set_choice, lh_option_choice)

static lh_err set_ssh_port(void *target,
                           const struct lh_option *option,
                           const char *value,
                           struct lh_errinfo *info)
{
    struct args *args = target;
    args->options->ssh_port_given = true;
    return lh_option_port(args->options, option, value, info);
}

static lh_err add_identity(void *target,
                           const struct lh_option *option,
                           const char *value,
                           struct lh_errinfo *info)
{
    struct lhcp_options *options = ((struct args *)target)->options;
    (void)option;
    if (*value == '\0')
        return usage_error(info, "is empty");
    if (options->identity_count == LHCP_IDENTITIES_MAX)
        return usage_error(info, "is one key file too many (16 at most)");
    options->identities[options->identity_count++] = value;
    return 0;
}

static lh_err add_fingerprint(void *target,
                              const struct lh_option *option,
                              const char *value,
                              struct lh_errinfo *info)
{
    struct lhcp_options *options = ((struct args *)target)->options;
    struct lh_pin pin;
    (void)option;
    if (lh_pin_parse(value, &pin) != 0)
        return usage_error(info,
                           "is not a fingerprint: 40 hexadecimal digits (SHA-1), or SHA256: and "
                           "43 characters as ssh-keygen -l prints it");
    if (options->fingerprint_count == LHCP_FINGERPRINTS_MAX)
        return usage_error(info, "is one fingerprint too many (16 at most)");
    options->fingerprints[options->fingerprint_count++] = value;
    return 0;
}

static lh_err
set_cipher(void *target, const struct lh_option *option, const char *value, struct lh_errinfo *info)
{
    static const char cfb_notice[] =
        "CFB is not offered, since it does not authenticate: GCM is used";
    static const char aes192_notice[] = "AES-192 is not offered: AES-256-GCM is used";
    static const struct {
        const char *word;
        enum lhcp_cipher cipher;
        const char *notice;
    } ciphers[] = {
        {"aes128", LHCP_CIPHER_AES128_GCM, NULL},
        {"aes128gcm", LHCP_CIPHER_AES128_GCM, NULL},
        {"aes256", LHCP_CIPHER_AES256_GCM, NULL},
        {"aes256gcm", LHCP_CIPHER_AES256_GCM, NULL},
        {"chacha20", LHCP_CIPHER_CHACHA20_POLY1305, NULL},
        {"ocb", LHCP_CIPHER_AES128_OCB, NULL},
        {"aes192", LHCP_CIPHER_AES256_GCM, aes192_notice},
        {"aes192gcm", LHCP_CIPHER_AES256_GCM, aes192_notice},
        {"aes128cfb", LHCP_CIPHER_AES128_GCM, cfb_notice},
        {"aes192cfb", LHCP_CIPHER_AES256_GCM, cfb_notice},
        {"aes256cfb", LHCP_CIPHER_AES256_GCM, cfb_notice},
    };
    struct args *args = target;
    (void)option;

    if (strcmp(value, "none") == 0) {
        args->clear_text = true;
        return 0;
    }
    for (size_t i = 0; i < LH_ARRAY_LEN(ciphers); i++) {
        if (strcmp(ciphers[i].word, value) != 0)
            continue;
        args->options->cipher = ciphers[i].cipher;
        if (ciphers[i].notice != NULL)
            add_notice(args, ciphers[i].notice);
        return 0;
    }
    return usage_error(info, "is none of: aes128, aes256, chacha20, ocb (all authenticated)");
}

static lh_err
set_policy(void *target, const struct lh_option *option, const char *value, struct lh_errinfo *info)
{
    struct args *args = target;
    args->policy_given = true;
    return lh_option_choice(args->options, option, value, info);
}

static lh_err set_resume_level(void *target,
                               const struct lh_option *option,
                               const char *value,
                               struct lh_errinfo *info)
{
    struct args *args = target;
    uint64_t level;
    (void)option;
    lh_err err = lh_parse_number(value, 0, 3, &level);
    if (err != 0)
        return usage_error(info, "is not a resume level (0 to 3)");
    args->resume_level = (uint8_t)level;
    args->resume_level_given = true;
    return 0;
}

static lh_err set_symlinks(void *target,
                           const struct lh_option *option,
                           const char *value,
                           struct lh_errinfo *info)
{
    if (strcmp(value, "follow") == 0 || strcmp(value, "copy+force") == 0)
        return usage_error(info,
                           "is not supported by this version: links are copied as links (copy) "
                           "or left out (skip); a link named as a source is followed");
    return set_choice(target, option, value, info);
}

static lh_err
set_lanes(void *target, const struct lh_option *option, const char *value, struct lh_errinfo *info)
{
    uint64_t lanes;
    (void)option;
    if (lh_parse_number(value, 1, LH_LANES_MAX - 1, &lanes) != 0)
        return usage_error(info, "is no number of lanes from 1 to 15");
    ((struct args *)target)->options->lanes = (uint8_t)lanes;
    return 0;
}

static lh_err set_retry_timeout(void *target,
                                const struct lh_option *option,
                                const char *value,
                                struct lh_errinfo *info)
{
    uint64_t seconds;
    (void)option;
    lh_err err = lh_parse_number(value, 0, RETRY_MAX_SECONDS, &seconds);
    if (err != 0)
        return usage_error(info, "is not a number of seconds (0 to 604800)");
    ((struct args *)target)->options->retry_timeout = seconds * LH_SECOND;
    return 0;
}

static lh_err set_udp_alone(void *target,
                            const struct lh_option *option,
                            const char *value,
                            struct lh_errinfo *info)
{
    uint64_t seconds;
    (void)option;
    if (lh_parse_number(value, 1, LH_UDP_ALONE_MAX / LH_SECOND, &seconds) != 0)
        return usage_error(info, "is not a number of seconds (1 to 120)");
    ((struct args *)target)->options->udp_alone = seconds * LH_SECOND;
    return 0;
}

static lh_err set_block_size(void *target,
                             const struct lh_option *option,
                             const char *value,
                             struct lh_errinfo *info)
{
    uint64_t size;
    (void)option;
    if (lh_parse_size(value, &size) == 0) {
        for (uint8_t log2 = LH_BLOCK_LOG2_MIN; log2 <= LH_BLOCK_LOG2_MAX; log2++) {
            if (size == (uint64_t)1 << log2) {
                ((struct args *)target)->options->block_log2 = log2;
                return 0;
            }
        }
    }
    return usage_error(info, "is not a block size: 64k, 128k, 256k, 512k, 1m, 2m or 4m");
}

// --- The table -----------------------------------------------------------------------------------

static const struct lh_choice policies[] = {{"fair", LHCP_POLICY_FAIR},
                                            {"high", LHCP_POLICY_HIGH},
                                            {"low", LHCP_POLICY_LOW},
                                            {"fixed", LHCP_POLICY_FIXED},
                                            {NULL, 0}};
static const struct lh_choice overwrites[] = {{"diff", LHCP_OVERWRITE_DIFF},
                                              {"always", LHCP_OVERWRITE_ALWAYS},
                                              {"never", LHCP_OVERWRITE_NEVER},
                                              {"older", LHCP_OVERWRITE_OLDER},
                                              {"diff+older", LHCP_OVERWRITE_DIFF_OLDER},
                                              {NULL, 0}};
static const struct lh_choice symlinks[] = {
    {"copy", LHCP_SYMLINKS_COPY}, {"skip", LHCP_SYMLINKS_SKIP}, {NULL, 0}};
static const struct lh_choice udps[] = {{"auto", LHCP_UDP_AUTO}, {"off", LHCP_UDP_OFF}, {NULL, 0}};
static const struct lh_choice modes[] = {{"send", MODE_SEND}, {"recv", MODE_RECEIVE}, {NULL, 0}};

#define OF(field)   .offset = offsetof(struct lhcp_options, field)
#define ARGS(field) .offset = offsetof(struct args, field)

// clang-format off
static const struct lh_option lhcp_options_table[] = {
    // letter, name, argument, shown, parser
    {'P', NULL, "PORT", LH_OPTION_SHOWN, set_ssh_port, OF(ssh_port),
     .help = "TCP port of the SSH server (33001)"},
    {'O', NULL, "PORT", LH_OPTION_SHOWN, set_udp_port, OF(udp_port),
     .help = "UDP port of the server (33001)"},
    {'i', NULL, "FILE", LH_OPTION_SHOWN, add_identity,
     .help = "private key for ssh; may be repeated"},
    {0, "check-sshfp", "FP", LH_OPTION_SHOWN, add_fingerprint,
     .help = "accept only this host key: 40 hex digits or SHA256:...; may be repeated"},
    {0, "user", "USER", LH_OPTION_SHOWN, lh_option_text, ARGS(user),
     .help = "log in as USER (instead of user@)"},
    {0, "host", "HOST", LH_OPTION_SHOWN, lh_option_text, ARGS(host),
     .help = "the other side (with --mode; operands are then plain paths)"},
    {0, "mode", "send|recv", LH_OPTION_SHOWN, lh_option_choice, ARGS(mode), .choices = modes,
     .help = "direction, with --host"},
    {'l', NULL, "RATE", LH_OPTION_SHOWN, set_rate, OF(rate_target), .low = 1,
     .help = "target rate: 300m, 1.5g (bits/s; bare number: kbit/s); none by default"},
    {'m', NULL, "RATE", LH_OPTION_SHOWN, set_rate, OF(rate_min), .low = 0,
     .help = "minimum rate (0)"},
    {0, "policy", "POLICY", LH_OPTION_SHOWN, set_policy, OF(policy), .choices = policies,
     .help = "fair, high, low, or fixed (holds -l whatever happens)"},
    {'c', NULL, "CIPHER", LH_OPTION_SHOWN, set_cipher,
     .help = "aes128, aes256 (both GCM), chacha20 or ocb for the UDP packets"},
    {0, "udp", "auto|off", LH_OPTION_SHOWN, set_choice, OF(udp), .choices = udps,
     .help = "off: everything over SSH"},
    {0, "lanes", "COUNT", LH_OPTION_SHOWN, set_lanes,
     .help = "1 to 15 UDP flows, each from a port of its own (1)"},
    {0, "udp-host", "HOST", LH_OPTION_SHOWN, set_text, OF(udp_host),
     .help = "also try UDP at this address (NAT, jump hosts)"},
    {'d', NULL, NULL, LH_OPTION_SHOWN, set_flag, OF(create_destination),
     .help = "make the destination directory"},
    {'p', NULL, NULL, LH_OPTION_SHOWN, set_flag, OF(preserve),
     .help = "preserve modes and times"},
    {'k', NULL, "LEVEL", LH_OPTION_SHOWN, set_resume_level,
     .help = "0: send everything anew; 1, 2, 3: resume, compared by digests (the default)"},
    {0, "overwrite", "WHEN", LH_OPTION_SHOWN, set_choice, OF(overwrite), .choices = overwrites,
     .help = "diff (default), always, never, older, diff+older"},
    {0, "symbolic-links", "HOW", LH_OPTION_SHOWN, set_symlinks, OF(symlinks), .choices = symlinks,
     .help = "copy (as links; default) or skip"},
    {0, "retry-timeout", "SECS", LH_OPTION_SHOWN, set_retry_timeout,
     .help = "go on after broken sessions for so long (3600); 0: never"},
    {0, "udp-alone", "SECS", LH_OPTION_SHOWN, set_udp_alone,
     .help = "go on over UDP for so long while SSH is lost (120)"},
    {0, "memory", "SIZE", LH_OPTION_SHOWN, set_size, OF(memory), .low = LH_MEMORY_MIN,
     .high = (uint64_t)4 << 30, .help = "memory for blocks, on each side (256m, a server's most)"},
    {0, "block-size", "SIZE", LH_OPTION_SHOWN, set_block_size,
     .help = "64k to 4m, a power of two (1m)"},
    {'n', "dry-run", NULL, LH_OPTION_SHOWN, lh_option_flag, ARGS(dry_run),
     .help = "say what would be sent; change nothing"},
    {0, "check", NULL, LH_OPTION_SHOWN, lh_option_flag, ARGS(check),
     .help = "try the way to [user@]host step by step and say what is wrong"},
    {'q', NULL, NULL, LH_OPTION_SHOWN, set_flag, OF(quiet), .help = "no progress, no summary"},
    {'v', NULL, NULL, LH_OPTION_SHOWN, set_count, OF(verbose), .help = "say more; may be repeated"},
    {0, "json", NULL, LH_OPTION_SHOWN, set_flag, OF(json),
     .help = "one JSON object a second and a final one on standard output"},
    {0, "trace", "FILE", LH_OPTION_SHOWN, set_text, OF(trace_file),
     .help = "write what the session does as JSON lines (tools/plot-trace draws them)"},
    {'h', "help", NULL, LH_OPTION_SHOWN, lh_option_count, ARGS(help),
     .help = "this help; -hh: with ascp's options too"},
    {'A', "version", NULL, LH_OPTION_SHOWN, lh_option_flag, ARGS(version), .help = "version"},

    {'T', NULL, NULL, LH_OPTION_COMPAT, lh_option_flag, ARGS(clear_text),
     .help = "in ascp: no encryption; data stays encrypted here"},
    {'Q', NULL, NULL, LH_OPTION_COMPAT, lh_option_count, ARGS(fair_count), .help = "--policy=fair; -QQ: low"},

    // Options of ascp that this version cannot honour.
#define REFUSED(letter, name, arg, why) {letter, name, arg, LH_OPTION_REFUSED, NULL, .help = why}
    REFUSED('D', NULL, NULL, "use -v"),
    REFUSED('L', NULL, "DIR", "messages go to standard error and the system log"),
    REFUSED('R', NULL, "DIR", "the server logs to its system log"),
    REFUSED(0, "file-list", "FILE", "name the sources as operands"),
    REFUSED(0, "file-pair-list", "FILE", NULL),
    REFUSED(0, "source-prefix", "PATH", "write the sources with their prefix"),
    REFUSED(0, "source-prefix64", "BASE64", NULL),
    REFUSED(0, "src-base", "PATH", NULL),
    REFUSED(0, "src-base64", "BASE64", NULL),
    REFUSED(0, "dest64", NULL, NULL),
    REFUSED('E', NULL, "GLOB", NULL),
    REFUSED('N', NULL, "GLOB", NULL),
    REFUSED(0, "exclude-newer-than", "SECS", NULL),
    REFUSED(0, "exclude-older-than", "SECS", NULL),
    REFUSED(0, "skip-special-files", NULL, "they are always skipped, with a notice"),
    REFUSED(0, "skip-dir-traversal-dupes", NULL, NULL),
    REFUSED(0, "remove-after-transfer", NULL, NULL),
    REFUSED(0, "remove-empty-directories", NULL, NULL),
    REFUSED(0, "remove-empty-source-directory", NULL, NULL),
    REFUSED(0, "remove-skipped", NULL, NULL),
    REFUSED(0, "move-after-transfer", "DIR", NULL),
    REFUSED(0, "delete-before-transfer", NULL, NULL),
    REFUSED(0, "save-before-overwrite", NULL, NULL),
    REFUSED(0, "partial-file-suffix", "SUFFIX", NULL),
    REFUSED(0, "precalculate-job-size", NULL, "the totals grow while files are listed"),
    REFUSED(0, "precalculate-disable", NULL, NULL),
    REFUSED(0, "preserve-access-time", NULL, "-p preserves modes and times"),
    REFUSED(0, "preserve-modification-time", NULL, "-p preserves modes and times"),
    REFUSED(0, "preserve-creation-time", NULL, NULL),
    REFUSED(0, "preserve-source-access-time", NULL, NULL),
    REFUSED(0, "preserve-file-owner-uid", NULL, NULL),
    REFUSED(0, "preserve-file-owner-gid", NULL, NULL),
    REFUSED(0, "preserve-acls", "HOW", NULL),
    REFUSED(0, "preserve-xattrs", "HOW", NULL),
    REFUSED(0, "remote-preserve-acls", "HOW", NULL),
    REFUSED(0, "remote-preserve-xattrs", "HOW", NULL),
    REFUSED(0, "file-checksum", "HASH", "every file is verified by XXH3-128 in any case"),
    REFUSED(0, "file-manifest", "KIND", NULL),
    REFUSED(0, "file-manifest-path", "DIR", NULL),
    REFUSED(0, "file-manifest-inprogress-suffix", "SUFFIX", NULL),
    REFUSED(0, "file-crypt", "HOW", NULL),
    REFUSED(0, "fail-bad-filepass", NULL, NULL),
    REFUSED(0, "ignore-host-key", NULL, "put the host's key into known_hosts or use --check-sshfp"),
    REFUSED(0, "allow-password-prompt", NULL, NULL),
    REFUSED('S', NULL, "NAME", "the server's program is lhserver; ssh is always the system's"),
    REFUSED(0, "ssh-arg", "ARG", "put the setting into ~/.ssh/config"),
    REFUSED(0, "ws-connect", NULL, NULL),
    REFUSED(0, "proxy", "URL", "ssh's ProxyJump works, from ~/.ssh/config"),
    REFUSED('W', NULL, "TOKEN", NULL),
    REFUSED('u', NULL, "TEXT", NULL),
    REFUSED(0, "tags", "JSON", NULL),
    REFUSED(0, "tags64", "BASE64", NULL),
    REFUSED('C', NULL, "ID:COUNT", "one session fills the link"),
    REFUSED(0, "multi-session-threshold", "BYTES", NULL),
    REFUSED('M', NULL, "PORT", NULL),
    REFUSED(0, "keepalive", NULL, NULL),
    REFUSED(0, "faspmgr-io", NULL, NULL),
    REFUSED('e', NULL, "FILE", NULL),
    REFUSED('f', NULL, "FILE", NULL),
    REFUSED(0, "apply-local-docroot", NULL, NULL),
    REFUSED('Z', NULL, "BYTES", "the path's MTU is found out"),
    REFUSED('g', NULL, "BYTES", "use --block-size"),
    REFUSED('G', NULL, "BYTES", "use --block-size"),
    REFUSED('X', NULL, "BYTES", NULL),
    REFUSED('w', NULL, "r|f", NULL),
    REFUSED('K', NULL, "PROBES", NULL),
    REFUSED('@', NULL, "LOW:HIGH", NULL),
    REFUSED('6', NULL, NULL, "IPv6 is used where the address is one: [ADDRESS]:PATH"),
    REFUSED('o', NULL, "NAME=VALUE", NULL),
    REFUSED('y', NULL, "0|1|F", "where UDP is blocked, data goes over SSH by itself"),
    REFUSED('t', NULL, "PORT", NULL),
    REFUSED('x', NULL, "PROXY", NULL),
    REFUSED('Y', NULL, "FILE", NULL),
    REFUSED('I', NULL, "FILE", NULL),
    REFUSED('j', NULL, "0|1", NULL),
    REFUSED(0, "no-open", NULL, "use faux:// sources and destinations"),
    REFUSED(0, "no-read", NULL, "use faux:// sources"),
    REFUSED(0, "no-write", NULL, "use the destination faux://"),
#undef REFUSED
};
// clang-format on

static const struct lh_option_table lhcp_table = {
    .program = "lhcp",
    .usage = "lhcp [options] SRC... [user@]host:DEST      upload\n"
             "       lhcp [options] [user@]host:SRC... DEST      download\n"
             "       lhcp [options] --mode=send|recv --host=HOST [--user=USER] SRC... DEST\n"
             "       lhcp [options] --check [user@]host\n",
    .options = lhcp_options_table,
    .count = LH_ARRAY_LEN(lhcp_options_table),
    .epilogue =
        "The same command again resumes what was interrupted. Exit status 0 means that every\n"
        "file is in place and verified. More: lhcp(1).\n",
};

void lhcp_args_help(bool all, FILE *out)
{
    lh_options_help(&lhcp_table, all, out);
}

// --- Operands ------------------------------------------------------------------------------------

static lh_err check_path(const char *path, bool is_source, struct lh_errinfo *info)
{
    bool is_faux = strncmp(path, "faux://", 7) == 0;
    bool is_sink = strcmp(path, "faux://") == 0 || strncmp(path, "faux://?", 8) == 0;

    if (*path == '\0')
        return usage_error(info, is_source ? "a source is empty" : "the destination is empty");
    if (strlen(path) > LH_PATH_TEXT_MAX)
        return usage_error(info, "a path is longer than 4096 bytes");
    if (is_source && is_sink)
        return usage_error(info, "faux:// as a source needs a name and a size: faux:///name?SIZE");
    if (!is_source && is_faux && !is_sink)
        return usage_error(
            info, "the synthetic destination is faux://, with at most ?rate=RATE after it");
    return 0;
}

static lh_err
set_login(struct lhcp_options *options, const struct lhcp_operand *operand, const char *user)
{
    memcpy(options->host, operand->host, sizeof options->host);
    if (user != NULL) // "user@host:" and --user together were refused before
        (void)snprintf(options->user, sizeof options->user, "%s", user);
    else
        memcpy(options->user, operand->user, sizeof options->user);
    return 0;
}

// Checks --host and --user by the operand's rules; `out_operand` gets both.
static lh_err parse_login_options(const struct args *args,
                                  const char *host,
                                  struct lhcp_operand *out_operand,
                                  struct lh_errinfo *info)
{
    char text[LHCP_HOST_MAX + LHCP_USER_MAX + 8];
    bool bare_ipv6 = strchr(host, ':') != NULL && host[0] != '[';
    int len =
        snprintf(text, sizeof text, "%s%s%s%s%s:.", args->user != NULL ? args->user : "",
                 args->user != NULL ? "@" : "", bare_ipv6 ? "[" : "", host, bare_ipv6 ? "]" : "");

    if (len < 0 || (size_t)len >= sizeof text)
        return usage_error(info, "the host's or the user's name is too long");
    lh_err err = lhcp_operand_parse(text, out_operand, info);
    if (err == 0 && !out_operand->remote)
        err = usage_error(info, "--host or --user is not a name");
    return err;
}

static lh_err place_plain_operands(struct args *args,
                                   const char **operands,
                                   size_t count,
                                   struct lh_errinfo *info)
{
    struct lhcp_options *options = args->options;
    struct lhcp_operand login;

    if (args->mode == MODE_FROM_OPERANDS)
        return usage_error(info, "--host needs --mode=send or --mode=recv");
    lh_err err = parse_login_options(args, args->host, &login, info);
    if (err != 0)
        return err;
    options->direction = args->mode == MODE_SEND ? LHCP_SEND : LHCP_RECEIVE;
    for (size_t i = 0; i + 1 < count; i++)
        options->sources[options->source_count++] = operands[i];
    options->destination = operands[count - 1];
    return set_login(options, &login, NULL);
}

static lh_err place_remote_sources(struct args *args,
                                   const char **operands,
                                   size_t count,
                                   struct lhcp_operand *login,
                                   struct lh_errinfo *info)
{
    struct lhcp_options *options = args->options;

    for (size_t i = 0; i + 1 < count; i++) {
        struct lhcp_operand operand;
        lh_err err = lhcp_operand_parse(operands[i], &operand, info);
        if (err != 0)
            return err;
        if (!operand.remote)
            return usage_error(info, i == 0 ? "one side must be remote: [user@]host:PATH"
                                            : "the sources are partly here and partly there");
        if (i == 0)
            *login = operand;
        else if (strcmp(login->host, operand.host) != 0 || strcmp(login->user, operand.user) != 0)
            return usage_error(info, "the sources are on different hosts or of different users");
        options->sources[options->source_count++] = operand.path;
    }
    return 0;
}

static lh_err
place_local_sources(struct args *args, const char **operands, size_t count, struct lh_errinfo *info)
{
    struct lhcp_options *options = args->options;

    for (size_t i = 0; i + 1 < count; i++) {
        struct lhcp_operand operand;
        lh_err err = lhcp_operand_parse(operands[i], &operand, info);
        if (err != 0)
            return err;
        if (operand.remote)
            return usage_error(info, "both sides are remote: one must be here (a local name with "
                                     "':' is written ./name)");
        options->sources[options->source_count++] = operand.path;
    }
    return 0;
}

static lh_err
place_operands(struct args *args, const char **operands, size_t count, struct lh_errinfo *info)
{
    struct lhcp_options *options = args->options;
    struct lhcp_operand destination;
    struct lhcp_operand login;

    if (args->mode != MODE_FROM_OPERANDS)
        return usage_error(info, "--mode needs --host");
    lh_err err = lhcp_operand_parse(operands[count - 1], &destination, info);
    if (err != 0)
        return err;
    login = destination;
    options->direction = destination.remote ? LHCP_SEND : LHCP_RECEIVE;
    options->destination = destination.path;
    if (destination.remote) {
        if (*options->destination == '\0')
            options->destination = "."; // "host:" is the home directory, as with scp
        err = place_local_sources(args, operands, count, info);
    } else {
        err = place_remote_sources(args, operands, count, &login, info);
    }
    if (err == 0 && args->user != NULL) {
        struct lhcp_operand checked;
        if (login.user[0] != '\0')
            return usage_error(info, "the user is named twice: by --user and in user@host");
        err = parse_login_options(args, "host", &checked, info);
    }
    return err != 0 ? err : set_login(options, &login, args->user);
}

// --check [user@]host[:]
static lh_err
place_check_operand(struct args *args, const char **operands, size_t count, struct lh_errinfo *info)
{
    struct lhcp_operand login;
    char text[LHCP_HOST_MAX + LHCP_USER_MAX + 8];
    const char *given = count == 1 ? operands[0] : args->host;

    if (count > 1 || given == NULL || (count == 1 && args->host != NULL))
        return usage_error(info, "--check takes one operand: [user@]host");
    if (args->host != NULL) {
        lh_err err = parse_login_options(args, args->host, &login, info);
        return err != 0 ? err : set_login(args->options, &login, NULL);
    }
    size_t len = strlen(given);
    int made =
        snprintf(text, sizeof text, "%s%s", given, len > 0 && given[len - 1] == ':' ? "" : ":");
    if (made < 0 || (size_t)made >= sizeof text)
        return usage_error(info, "the host's name is too long");
    lh_err err = lhcp_operand_parse(text, &login, info);
    if (err == 0 && (!login.remote || *login.path != '\0'))
        err = usage_error(info, "--check takes one operand: [user@]host");
    if (err != 0)
        return err;
    if (args->user != NULL && login.user[0] != '\0')
        return usage_error(info, "the user is named twice: by --user and in user@host");
    return set_login(args->options, &login, args->user);
}

static lh_err place_transfer_operands(struct args *args,
                                      const char **operands,
                                      size_t count,
                                      struct lh_errinfo *info)
{
    struct lhcp_options *options = args->options;

    if (count < 2)
        return usage_error(info, "a source and a destination are needed (lhcp --help)");
    if (count - 1 > LH_SOURCES_MAX)
        return usage_error(info, "more than 4096 sources: name their directory instead");
    options->sources = calloc(count, sizeof *options->sources);
    if (options->sources == NULL)
        return lh_fail(info, LH_E_NOMEM, 32, "out of memory");
    lh_err err = args->host != NULL ? place_plain_operands(args, operands, count, info)
                                    : place_operands(args, operands, count, info);
    for (size_t i = 0; err == 0 && i < options->source_count; i++)
        err = check_path(options->sources[i], true, info);
    return err != 0 ? err : check_path(options->destination, false, info);
}

// --- What one option means beside another --------------------------------------------------------

static lh_err settle_options(struct args *args, struct lh_errinfo *info)
{
    struct lhcp_options *options = args->options;

    if (args->check && args->dry_run)
        return usage_error(info, "--check and -n exclude each other");
    if (args->fair_count > 1 && !args->policy_given)
        options->policy = LHCP_POLICY_LOW;
    if (options->policy == LHCP_POLICY_FIXED && options->rate_target == 0)
        return usage_error(info, "--policy=fixed needs a rate: -l RATE");
    if (options->rate_target != 0 && options->rate_min > options->rate_target)
        return usage_error(info, "the minimum rate (-m) is above the target rate (-l)");
    if (args->resume_level_given && args->resume_level == 0) {
        options->resume = false;
        if (options->overwrite == LHCP_OVERWRITE_DIFF)
            options->overwrite = LHCP_OVERWRITE_ALWAYS; // as ascp: with -k 0 everything differs
    }
    if (args->resume_level == 3)
        add_notice(args,
                   "-k 3: files verified earlier, with size, mtime and ctime unchanged on both "
                   "sides, are not read again");
    if (args->clear_text)
        add_notice(args, "data stays encrypted: there is no clear text here (-T, -c none)");
    return 0;
}

lh_err lhcp_args_parse(int argc,
                       char **argv,
                       struct lhcp_options *out_options,
                       struct lhcp_notices *out_notices,
                       struct lh_errinfo *info)
{
    struct args args = {.options = out_options, .notices = out_notices};
    struct lh_operands operands;

    *out_notices = (struct lhcp_notices){.count = 0};
    *out_options = (struct lhcp_options){
        .program = "lhcp",
        .ssh_port = LH_SSH_PORT_DEFAULT,
        .udp_port = LH_UDP_PORT_DEFAULT,
        .resume = true,
        .retry_timeout = LH_RETRY_TIMEOUT,
        .udp_alone = LH_UDP_ALONE_MAX,
        .memory = LH_MEMORY_DEFAULT,
        .block_log2 = LH_BLOCK_LOG2_DEFAULT,
        .lanes = 1,
    };
    operands.words = calloc((size_t)argc + 1, sizeof *operands.words);
    if (operands.words == NULL)
        return lh_fail(info, LH_E_NOMEM, 32, "out of memory");
    lh_err err = lh_options_parse(&lhcp_table, argc, argv, &args, &operands, info);
    if (err == 0 && args.help > 0) {
        out_options->action = LHCP_HELP;
        out_options->verbose = args.help - 1; // -hh
    } else if (err == 0 && args.version) {
        out_options->action = LHCP_VERSION;
    } else if (err == 0) {
        out_options->action = args.check ? LHCP_CHECK : args.dry_run ? LHCP_DRY_RUN : LHCP_TRANSFER;
        err = settle_options(&args, info);
        if (err == 0)
            err = args.check ? place_check_operand(&args, operands.words, operands.count, info)
                             : place_transfer_operands(&args, operands.words, operands.count, info);
    }
    free(operands.words);
    return err;
}

void lhcp_options_fini(struct lhcp_options *options)
{
    free(options->sources);
    options->sources = NULL;
    options->source_count = 0;
}
