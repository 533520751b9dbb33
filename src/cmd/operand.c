// SPDX-License-Identifier: Apache-2.0
//
// How it works. An operand is remote when it has a ':' before its first '/', as scp and rsync have
// it; a local name with a ':' is written ./name. User and host go to ssh's command line and, by way
// of ProxyCommand and Match exec, sometimes through a shell: so only bytes that are harmless there
// are taken (the same idea as OpenSSH's valid_hostname and valid_ruser, a little stricter).
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cmd/lhcp_args.h"

#define EXIT_CODE_USAGE 8

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool host_is_acceptable(const char *host, size_t len, bool bracketed)
{
    if (len == 0 || len > LHCP_HOST_MAX || host[0] == '-')
        return false;
    for (size_t i = 0; i < len; i++) {
        bool named = is_alnum(host[i]) || strchr(".-_", host[i]) != NULL;
        if (!named && !(bracketed && strchr(":%", host[i]) != NULL))
            return false;
    }
    return true;
}

// Windows domain users ("DOMAIN\user") and e-mail addresses are names too.
static bool user_is_acceptable(const char *user, size_t len)
{
    static const char refused[] = "'\"`$;&<>|(){}[]*?!/: ";

    if (len == 0 || len > LHCP_USER_MAX || user[0] == '-' || user[len - 1] == '\\')
        return false;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)user[i] <= 0x20 || user[i] == 0x7f || strchr(refused, user[i]) != NULL)
            return false;
    }
    return true;
}

// The ':' that ends the host, or NULL where the operand is a local path.
static const char *find_colon(const char *text)
{
    bool in_brackets = false;

    if (text[0] == ':')
        return NULL;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '[' && (at == text || at[-1] == '@'))
            in_brackets = true;
        else if (*at == ']')
            in_brackets = false;
        else if (*at == '/')
            return NULL;
        else if (*at == ':' && !in_brackets)
            return at;
    }
    return NULL;
}

static lh_err refuse_scheme(const char *text, struct lh_errinfo *info)
{
    static const char *const schemes[] = {"stdio://", "stdio-tar://", "file://", "s3://", "azu://"};

    for (size_t i = 0; i < LH_ARRAY_LEN(schemes); i++) {
        if (strncmp(text, schemes[i], strlen(schemes[i])) == 0)
            return lh_fail(info, LH_E_INVALID, EXIT_CODE_USAGE,
                           "%s is not supported by this version (plain paths and faux:// are)",
                           schemes[i]);
    }
    return 0;
}

static lh_err parse_remote(const char *text,
                           const char *colon,
                           struct lhcp_operand *operand,
                           struct lh_errinfo *info)
{
    const char *host = text;
    char shown[96];

    for (const char *at = text; at < colon; at++) {
        if (*at == '@')
            host = at + 1;
    }
    if (host > text) {
        size_t len = (size_t)(host - text) - 1;
        if (!user_is_acceptable(text, len))
            return lh_fail(info, LH_E_INVALID, EXIT_CODE_USAGE, "\"%s\" is not a user name",
                           lh_escape(text, len, shown, sizeof shown));
        memcpy(operand->user, text, len);
        operand->user[len] = '\0';
    }
    size_t len = (size_t)(colon - host);
    bool bracketed = len >= 2 && host[0] == '[' && host[len - 1] == ']';
    const char *name = bracketed ? host + 1 : host;
    size_t name_len = bracketed ? len - 2 : len;
    if (!host_is_acceptable(name, name_len, bracketed))
        return lh_fail(info, LH_E_INVALID, EXIT_CODE_USAGE,
                       "\"%s\" is not a host name (a local name with ':' is written ./name)",
                       lh_escape(host, len, shown, sizeof shown));
    memcpy(operand->host, name, name_len);
    operand->host[name_len] = '\0';
    operand->path = colon + 1;
    if (operand->path[0] == ':')
        return lh_fail(info, LH_E_INVALID, EXIT_CODE_USAGE,
                       "\"%s\": an IPv6 address is written in brackets: [ADDRESS]:PATH",
                       lh_escape(text, strlen(text), shown, sizeof shown));
    return 0;
}

lh_err
lhcp_operand_parse(const char *text, struct lhcp_operand *out_operand, struct lh_errinfo *info)
{
    struct lhcp_operand operand = {.remote = false, .path = text};
    lh_err err = refuse_scheme(text, info);

    if (err == 0 && strncmp(text, "faux://", 7) != 0) {
        const char *colon = find_colon(text);
        if (colon != NULL) {
            operand.remote = true;
            err = parse_remote(text, colon, &operand, info);
        }
    }
    if (err == 0 && operand.remote)
        err = refuse_scheme(operand.path, info);
    if (err != 0)
        return err;
    *out_operand = operand;
    return 0;
}
