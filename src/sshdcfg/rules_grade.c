// SPDX-License-Identifier: Apache-2.0
//
// How it works. Most rules ask whether a value is one of a few words, a number in a range, or a
// list with or without certain algorithms. The others look at other values too: a setting that does
// nothing while another is off is as it should be.
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "sshdcfg/rules_internal.h"

#define OK     LH_SSHD_GRADE_OK
#define INFO   LH_SSHD_GRADE_INFO
#define LOW    LH_SSHD_GRADE_LOW
#define MEDIUM LH_SSHD_GRADE_MEDIUM
#define HIGH   LH_SSHD_GRADE_HIGH

#define GIB  (1ULL << 30)
#define HOUR 3600

bool lh_rule_names(const char *list, const char *word, size_t len)
{
    while (*list != '\0') {
        size_t part = strcspn(list, " ");
        if (part == len && strncasecmp(list, word, len) == 0)
            return true;
        list += part;
        list += strspn(list, " ");
    }
    return false;
}

static bool is(const struct lh_sshd_values *all, const char *keyword, const char *value)
{
    return strcasecmp(lh_sshd_values_text(all, keyword), value) == 0;
}

enum lh_sshd_grade
lh_rule_is_one_of(const struct lh_rule *rule, const struct lh_sshd_values *all, const char *value)
{
    (void)all;
    return lh_rule_names(rule->wanted, value, strlen(value)) ? OK : rule->otherwise;
}

enum lh_sshd_grade
lh_rule_only(const struct lh_rule *rule, const struct lh_sshd_values *all, const char *value)
{
    (void)all;
    while (*value != '\0') {
        size_t part = strcspn(value, ",");
        if (part > 0 && !lh_rule_names(rule->wanted, value, part))
            return rule->otherwise;
        value += part + (value[part] == ',');
    }
    return OK;
}

// Whether one algorithm of the list is among those named.
static bool list_has(const struct lh_rule *rule, const char *value)
{
    while (*value != '\0') {
        size_t part = strcspn(value, ",");
        if (part > 0 && lh_rule_names(rule->wanted, value, part))
            return true;
        value += part + (value[part] == ',');
    }
    return false;
}

enum lh_sshd_grade
lh_rule_none_of(const struct lh_rule *rule, const struct lh_sshd_values *all, const char *value)
{
    (void)all;
    return list_has(rule, value) ? rule->otherwise : OK;
}

enum lh_sshd_grade
lh_rule_some_of(const struct lh_rule *rule, const struct lh_sshd_values *all, const char *value)
{
    (void)all;
    return list_has(rule, value) ? OK : rule->otherwise;
}

enum lh_sshd_grade
lh_rule_in_range(const struct lh_rule *rule, const struct lh_sshd_values *all, const char *value)
{
    char *end;
    unsigned long low = strtoul(rule->wanted, &end, 10);
    unsigned long high = strtoul(end, NULL, 10);
    unsigned long number = strtoul(value, &end, 10);

    (void)all;
    return end != value && low <= number && number <= high ? OK : rule->otherwise;
}

enum lh_sshd_grade
lh_rule_login_grace(const struct lh_rule *rule, const struct lh_sshd_values *all, const char *value)
{
    return strcmp(value, "0") == 0 ? MEDIUM : lh_rule_in_range(rule, all, value);
}

enum lh_sshd_grade
lh_rule_root_login(const struct lh_rule *rule, const struct lh_sshd_values *all, const char *value)
{
    (void)rule;
    (void)all;
    if (strcasecmp(value, "no") == 0)
        return OK;
    return strcasecmp(value, "yes") == 0 ? MEDIUM : LOW;
}

// --- AuthenticationMethods ---

// Whether a method ("publickey", "keyboard-interactive:pam") is switched on.
static bool method_on(const struct lh_sshd_values *all, const char *method, size_t len)
{
    static const struct {
        const char *method;
        const char *keyword;
    } switches[] = {
        {"publickey", "pubkeyauthentication"},
        {"password", "passwordauthentication"},
        {"keyboard-interactive", "kbdinteractiveauthentication"},
        {"hostbased", "hostbasedauthentication"},
        {"gssapi-with-mic", "gssapiauthentication"},
    };
    size_t name = strcspn(method, ":");

    name = name < len ? name : len;
    for (size_t i = 0; i < LH_ARRAY_LEN(switches); i++) {
        if (strlen(switches[i].method) == name &&
            strncasecmp(method, switches[i].method, name) == 0)
            return !is(all, switches[i].keyword, "no");
    }
    return true;
}

// Whether every step of one list can be taken.
static bool list_passable(const struct lh_sshd_values *all, const char *list, size_t len)
{
    while (len > 0) {
        const char *comma = memchr(list, ',', len);
        size_t part = comma == NULL ? len : (size_t)(comma - list);
        if (!method_on(all, list, part))
            return false;
        part += comma != NULL;
        list += part;
        len -= part;
    }
    return true;
}

enum lh_sshd_grade
lh_rule_methods(const struct lh_rule *rule, const struct lh_sshd_values *all, const char *value)
{
    if (strcasecmp(value, "any") == 0 || strcasecmp(value, "publickey") == 0)
        return OK;
    for (const char *at = value; *at != '\0';) {
        size_t part = strcspn(at, " ");
        if (list_passable(all, at, part))
            return rule->otherwise;
        at += part;
        at += strspn(at, " ");
    }
    return HIGH;
}

// --- Limits ---

enum lh_sshd_grade
lh_rule_startups(const struct lh_rule *rule, const struct lh_sshd_values *all, const char *value)
{
    (void)all;
    return strtoul(value, NULL, 10) >= 10 ? OK : rule->otherwise;
}

// "32:128". Limits by source are as good as none where each address of a customer's IPv6 network
// counts apart; and blocks of IPv4 shorter than /24 hold strangers to each other's account.
enum lh_sshd_grade
lh_rule_block_sizes(const struct lh_rule *rule, const struct lh_sshd_values *all, const char *value)
{
    const char *colon = strchr(value, ':');
    unsigned long four = strtoul(value, NULL, 10);
    unsigned long six = colon == NULL ? 128 : strtoul(colon + 1, NULL, 10);
    const char *penalties = lh_sshd_values_text(all, "persourcepenalties");
    bool limited = !is(all, "persourcemaxstartups", "none") ||
                   (*penalties != '\0' && strcasecmp(penalties, "no") != 0);

    if (four < 24)
        return LOW;
    return limited && six > 64 ? rule->otherwise : OK;
}

enum lh_sshd_grade
lh_rule_penalties(const struct lh_rule *rule, const struct lh_sshd_values *all, const char *value)
{
    (void)all;
    return strcasecmp(value, "no") == 0 ? rule->otherwise : OK;
}

// An exemption for everybody, or for half of the world, is none.
enum lh_sshd_grade
lh_rule_exempt(const struct lh_rule *rule, const struct lh_sshd_values *all, const char *value)
{
    (void)all;
    for (const char *at = value; *at != '\0';) {
        size_t part = strcspn(at, ", ");
        const char *slash = memchr(at, '/', part);
        bool six = memchr(at, ':', part) != NULL;
        if (part == 1 && *at == '*')
            return rule->otherwise;
        if (slash != NULL && strtoul(slash + 1, NULL, 10) < (six ? 32UL : 8UL))
            return rule->otherwise;
        at += part;
        at += strspn(at, ", ");
    }
    return OK;
}

// "BYTES SECONDS", 0 being the default.
enum lh_sshd_grade
lh_rule_rekey(const struct lh_rule *rule, const struct lh_sshd_values *all, const char *value)
{
    char *end;
    unsigned long long bytes = strtoull(value, &end, 10);
    unsigned long long seconds = strtoull(end, NULL, 10);

    (void)all;
    return bytes > GIB || seconds > HOUR ? rule->otherwise : OK;
}

// --- What programs get to see ---

enum lh_sshd_grade
lh_rule_variable(const struct lh_rule *rule, const struct lh_sshd_values *all, const char *value)
{
    (void)all;
    if (strcasecmp(value, "LANG") == 0 || strncasecmp(value, "LC_", 3) == 0)
        return OK;
    return rule->otherwise;
}

// A subsystem that always fails is how SFTP is kept from all but a few.
enum lh_sshd_grade
lh_rule_subsystem(const struct lh_rule *rule, const struct lh_sshd_values *all, const char *value)
{
    (void)all;
    if (strncasecmp(value, "sftp ", 5) != 0)
        return OK;
    return strcmp(value + 5, "/bin/false") == 0 ? OK : rule->otherwise;
}

enum lh_sshd_grade lh_rule_command_user(const struct lh_rule *rule,
                                        const struct lh_sshd_values *all,
                                        const char *value)
{
    (void)all;
    return strcasecmp(value, "root") == 0 ? rule->otherwise : OK;
}

// --- Values that matter only with others ---

enum lh_sshd_grade lh_rule_with_hostbased(const struct lh_rule *rule,
                                          const struct lh_sshd_values *all,
                                          const char *value)
{
    return is(all, "hostbasedauthentication", "yes") ? lh_rule_is_one_of(rule, all, value) : OK;
}

enum lh_sshd_grade lh_rule_with_forwarding(const struct lh_rule *rule,
                                           const struct lh_sshd_values *all,
                                           const char *value)
{
    bool off = is(all, "allowtcpforwarding", "no") || is(all, "disableforwarding", "yes");
    return off || strcasecmp(value, "any") != 0 ? OK : rule->otherwise;
}

// One of the two signs of life must be on, or dead connections stay for ever.
enum lh_sshd_grade
lh_rule_keepalive(const struct lh_rule *rule, const struct lh_sshd_values *all, const char *value)
{
    bool asks = !is(all, "clientaliveinterval", "0") && !is(all, "clientalivecountmax", "0");
    return asks || strcasecmp(value, "yes") == 0 ? OK : rule->otherwise;
}

// Seconds of "5m", "1h30m", "300".
static unsigned long long seconds_of(const char *text)
{
    unsigned long long seconds = 0;

    while (*text >= '0' && *text <= '9') {
        char *end;
        unsigned long long number = strtoull(text, &end, 10);
        unsigned long long unit = *end == 'm'   ? 60
                                  : *end == 'h' ? HOUR
                                  : *end == 'd' ? 24 * HOUR
                                  : *end == 'w' ? 7 * 24 * HOUR
                                                : 1;
        seconds += number * unit;
        text = end + (*end != '\0');
    }
    return seconds;
}

// "session:command=5m": the control channel of a transfer is silent while data flows elsewhere.
enum lh_sshd_grade lh_rule_channel_timeout(const struct lh_rule *rule,
                                           const struct lh_sshd_values *all,
                                           const char *value)
{
    (void)all;
    for (const char *at = value; *at != '\0';) {
        size_t part = strcspn(at, " ");
        const char *equals = memchr(at, '=', part);
        bool session =
            strncasecmp(at, "session", 7) == 0 || *at == '*' || strncasecmp(at, "global", 6) == 0;
        unsigned long long seconds = equals == NULL ? 0 : seconds_of(equals + 1);
        if (session && seconds > 0 && seconds < HOUR)
            return rule->otherwise;
        at += part;
        at += strspn(at, " ");
    }
    return OK;
}

// A client opens its channel at once; the clock of a connection without one may be short, but not
// as short as a slow link.
enum lh_sshd_grade lh_rule_unused_timeout(const struct lh_rule *rule,
                                          const struct lh_sshd_values *all,
                                          const char *value)
{
    unsigned long long seconds = seconds_of(value);

    (void)all;
    return seconds > 0 && seconds < 30 ? rule->otherwise : OK;
}
