// SPDX-License-Identifier: Apache-2.0
//
// How it works. The keywords that are like no other: a table of readers by name. Each takes its
// words and keeps what sshd keeps, in a form that finish.c turns into what `sshd -T` prints.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "sshdcfg/evaluate_internal.h"
#include "sshdcfg/number_internal.h"

#define PORTS_MAX 256

static bool refuse(struct lh_sshd_evaluation *ev, const char *name, const char *word)
{
    lh_sshd_problem(ev, LH_SSHD_REFUSED, name, "not something it takes: \"%.60s\"",
                    word == NULL ? "" : word);
    return false;
}

// The next word, NULL where there is none or it is empty.
static const char *next_word(char ***words)
{
    const char *word = **words;
    if (word == NULL || *word == '\0')
        return NULL;
    (*words)++;
    return word;
}

static void set_first(struct lh_sshd_evaluation *ev, const char *name, const char *text)
{
    if (lh_sshd_is_free(ev, name, name))
        lh_sshd_set(ev, name, text);
}

static void set_last(struct lh_sshd_evaluation *ev, const char *name, const char *text)
{
    if (ev->active)
        lh_sshd_reset(ev, name, text);
}

static bool take_port(struct lh_sshd_evaluation *ev, const char *name, char ***words)
{
    char text[16];

    if (ev->input->ports_from_command_line && ev->doc != ev->input->command_line) {
        while (**words != NULL)
            (*words)++;
        return true;
    }
    const char *word = next_word(words);
    int port = word == NULL ? -1 : lh_sshd_port(word, ev->world->service_port, ev->world->context);
    if (port <= 0 || lh_sshd_values_find(&ev->set[ev->pass], name, PORTS_MAX - 1) != NULL)
        return refuse(ev, name, word);
    (void)snprintf(text, sizeof text, "%d", port);
    if (ev->active)
        lh_sshd_set(ev, name, text);
    return true;
}

// Cuts "host:port", "[host]:port" or "host" into its parts, as sshd does. NULL where it cannot.
static char *cut_host(char *text, char **out_port)
{
    char *end = text;

    if (*text == '[') {
        end = strchr(text, ']');
        if (end == NULL)
            return NULL;
        end++;
    } else {
        end += strcspn(text, ":/");
    }
    if (*end != '\0' && *end != ':')
        return NULL;
    *out_port = *end == ':' ? end + 1 : NULL;
    *end = '\0';
    if (*text == '[' && end[-1] == ']') {
        end[-1] = '\0';
        text++;
    }
    return text;
}

static bool take_listen_address(struct lh_sshd_evaluation *ev, const char *name, char ***words)
{
    char text[512];
    char *word = **words;
    char *port_text = NULL, *host = word;
    int port = 0;

    if (next_word(words) == NULL)
        return refuse(ev, name, NULL);
    const char *colon = strchr(word, ':');
    bool bare_ipv6 = strchr(word, '[') == NULL && colon != NULL && strchr(colon + 1, ':') != NULL;
    if (!bare_ipv6)
        host = cut_host(word, &port_text);
    if (port_text != NULL)
        port = lh_sshd_port(port_text, ev->world->service_port, ev->world->context);
    if (host == NULL || port < 0 || (port_text != NULL && port == 0) || **words != NULL)
        return refuse(ev, name, word);
    if (ev->active && (size_t)snprintf(text, sizeof text, "%d %s", port, host) < sizeof text)
        lh_sshd_set(ev, name, text);
    return true;
}

static bool take_host_file(struct lh_sshd_evaluation *ev, const char *name, char ***words)
{
    const char *word = next_word(words);

    if (word == NULL)
        return refuse(ev, name, word);
    char *path = lh_sshd_absolute(ev, word, true);
    if (path != NULL && ev->active)
        lh_sshd_set(ev, name, path);
    free(path);
    return true;
}

static bool take_agent(struct lh_sshd_evaluation *ev, const char *name, char ***words)
{
    const char *plain = strcmp(name, "hostkeyagent") == 0 ? "SSH_AUTH_SOCK" : "internal";
    const char *word = next_word(words);

    if (word == NULL)
        return refuse(ev, name, word);
    bool is_plain =
        strcmp(name, "hostkeyagent") == 0 ? strcmp(word, plain) == 0 : strcasecmp(word, plain) == 0;
    char *path = is_plain ? NULL : lh_sshd_absolute(ev, word, true);
    if (is_plain || path != NULL)
        set_first(ev, name, is_plain ? plain : path);
    free(path);
    return true;
}

static const struct {
    const char *name;
    unsigned value;
} qualities[] = {
    {"af11", 0x28}, {"af12", 0x30}, {"af13", 0x38},     {"af21", 0x48},       {"af22", 0x50},
    {"af23", 0x58}, {"af31", 0x68}, {"af32", 0x70},     {"af33", 0x78},       {"af41", 0x88},
    {"af42", 0x90}, {"af43", 0x98}, {"cs0", 0x00},      {"cs1", 0x20},        {"cs2", 0x40},
    {"cs3", 0x60},  {"cs4", 0x80},  {"cs5", 0xa0},      {"cs6", 0xc0},        {"cs7", 0xe0},
    {"ef", 0xb8},   {"le", 0x01},   {"lowdelay", 0x10}, {"throughput", 0x08}, {"reliability", 0x04},
};

// One word of IPQoS as sshd prints it.
static bool quality(const char *word, char *out, size_t room)
{
    const char *digits = word;
    unsigned base = 10;
    const char *end;
    long long value = -1;

    if (strcasecmp(word, "none") == 0) {
        (void)snprintf(out, room, "none");
        return true;
    }
    for (size_t i = 0; i < LH_ARRAY_LEN(qualities) && value < 0; i++) {
        if (strcasecmp(word, qualities[i].name) == 0)
            value = qualities[i].value;
    }
    if (value < 0 && digits[0] == '0' && (digits[1] | 0x20) == 'x') {
        value = 0;
        size_t len = strspn(digits + 2, "0123456789abcdefABCDEF");
        if (len == 0 || len > 4 || digits[2 + len] != '\0')
            return false;
        for (digits += 2; *digits != '\0'; digits++)
            value = value * 16 + (*digits <= '9' ? *digits - '0' : (*digits | 0x20) - 'a' + 10);
    } else if (value < 0) {
        base = digits[0] == '0' ? 8 : 10;
        value = lh_sshd_digits(digits, base, &end);
        if (end == digits || *end != '\0')
            return false;
    }
    if (value < 0 || value > 255)
        return false;
    for (size_t i = 0; i < LH_ARRAY_LEN(qualities); i++) {
        if (qualities[i].value == (unsigned)value) {
            (void)snprintf(out, room, "%s", qualities[i].name);
            return true;
        }
    }
    (void)snprintf(out, room, "0x%02x", (unsigned)value);
    return true;
}

static bool take_quality(struct lh_sshd_evaluation *ev, const char *name, char ***words)
{
    char first[16], second[16], both[40];
    const char *word = next_word(words);

    if (word == NULL || !quality(word, first, sizeof first))
        return refuse(ev, name, word);
    memcpy(second, first, sizeof second);
    word = **words;
    if (word != NULL) {
        (*words)++;
        if (!quality(word, second, sizeof second))
            return refuse(ev, name, word);
    }
    (void)snprintf(both, sizeof both, "%s %s", first, second);
    set_last(ev, name, both);
    return true;
}

// "begin:rate:max", or one number for begin and max, which leaves the rate as it was.
static bool take_startups(struct lh_sshd_evaluation *ev, const char *name, char ***words)
{
    const char *word = next_word(words);
    long long begin, rate = -1, most;
    const char *end;
    char text[80];

    if (word == NULL)
        return refuse(ev, name, word);
    begin = most = lh_sshd_digits(word, 10, &end);
    const struct lh_sshd_value *before = lh_sshd_values_find(&ev->set[ev->pass], name, 0);
    if (before != NULL)
        rate = lh_sshd_digits(strchr(before->text, ':') + 1, 10, &end);
    (void)lh_sshd_digits(word, 10, &end);
    if (end == word)
        return refuse(ev, name, word);
    if (*end == ':') {
        const char *second = end + 1;
        rate = lh_sshd_digits(second, 10, &end);
        if (end == second || *end != ':')
            return refuse(ev, name, word);
        const char *third = end + 1;
        most = lh_sshd_digits(third, 10, &end);
        if (end == third || begin > most || rate > 100 || rate < 1)
            return refuse(ev, name, word);
    }
    if (most <= 0 || begin <= 0)
        return refuse(ev, name, word);
    (void)snprintf(text, sizeof text, "%lld:%lld:%lld", begin, rate, most);
    set_last(ev, name, text);
    return true;
}

static bool take_source_startups(struct lh_sshd_evaluation *ev, const char *name, char ***words)
{
    const char *word = next_word(words);
    long long number;
    char text[24];

    if (word == NULL)
        return refuse(ev, name, word);
    if (strcmp(word, "none") == 0) {
        set_last(ev, name, "none");
        return true;
    }
    if (!lh_sshd_number(word, 0, 2147483647, &number))
        return refuse(ev, name, word);
    (void)snprintf(text, sizeof text, "%lld", number);
    set_last(ev, name, number == 2147483647 ? "none" : text);
    return true;
}

// "v4:v6". With one number sshd 9.2 leaves the second one undefined; we say 128, as intended.
static bool take_block_size(struct lh_sshd_evaluation *ev, const char *name, char ***words)
{
    const char *word = next_word(words);
    const char *end;
    long long first, second = 128;
    char text[64];

    if (word == NULL)
        return refuse(ev, name, word);
    first = lh_sshd_digits(word, 10, &end);
    if (end == word || first < 0 || first > 32)
        return refuse(ev, name, word);
    if (*end == ':') {
        const char *start = end + 1;
        second = lh_sshd_digits(start, 10, &end);
        if (end == start || second < 0 || second > 128)
            return refuse(ev, name, word);
    }
    (void)snprintf(text, sizeof text, "%lld:%lld", first, second);
    set_last(ev, name, text);
    return true;
}

static bool take_permit(struct lh_sshd_evaluation *ev, const char *name, char ***words)
{
    bool listen = strcmp(name, "permitlisten") == 0;
    const char *word = next_word(words);
    char text[512];

    if (word == NULL)
        return refuse(ev, name, word);
    bool once = lh_sshd_is_free(ev, name, name);
    if (strcmp(word, "any") == 0 || strcmp(word, "none") == 0) {
        if (once)
            lh_sshd_set(ev, name, word);
        return true;
    }
    for (; word != NULL; word = next_word(words)) {
        bool bare = listen && strchr(word, ':') == NULL;
        int len = snprintf(text, sizeof text, "%s%s", bare ? "*:" : "", word);
        if (len < 0 || (size_t)len >= sizeof text)
            return refuse(ev, name, word);
        if (once)
            lh_sshd_set(ev, name, text);
    }
    return true;
}

static bool take_tunnel(struct lh_sshd_evaluation *ev, const char *name, char ***words)
{
    static const char *const modes[] = {"no", "point-to-point", "ethernet", "yes"};
    const char *word = next_word(words);

    for (size_t i = 0; word != NULL && i < LH_ARRAY_LEN(modes); i++) {
        if (strcmp(word, modes[i]) == 0) {
            set_first(ev, name, word);
            return true;
        }
    }
    return refuse(ev, name, word);
}

static bool take_environment(struct lh_sshd_evaluation *ev, const char *name, char ***words)
{
    const char *word = next_word(words);

    if (word == NULL)
        return refuse(ev, name, word);
    set_first(ev, name, word);
    return true;
}

static bool take_key_options(struct lh_sshd_evaluation *ev, const char *name, char ***words)
{
    bool touch = false, verify = false;

    for (; **words != NULL; (*words)++) {
        if (strcasecmp(**words, "touch-required") == 0)
            touch = true;
        else if (strcasecmp(**words, "verify-required") == 0)
            verify = true;
        else if (strcasecmp(**words, "none") != 0)
            return refuse(ev, name, **words);
    }
    set_first(ev, name,
              touch && verify ? "touch-required verify-required"
              : touch         ? "touch-required"
              : verify        ? "verify-required"
                              : "none");
    return true;
}

// The amount and the time are two settings, each of which the first line wins.
static bool take_rekey(struct lh_sshd_evaluation *ev, const char *name, char ***words)
{
    const char *word = next_word(words);
    long long amount = 0, seconds;
    char text[24];

    if (word == NULL)
        return refuse(ev, name, word);
    if (strcmp(word, "default") != 0 &&
        (!lh_sshd_scaled(word, &amount) || (amount != 0 && amount < 16)))
        return refuse(ev, name, word);
    (void)snprintf(text, sizeof text, "%lld", amount);
    set_first(ev, name, text);
    if (**words == NULL)
        return true;
    word = next_word(words);
    if (word != NULL && strcmp(word, "none") == 0)
        return true;
    if (word == NULL || !lh_sshd_seconds(word, &seconds))
        return refuse(ev, name, word);
    (void)snprintf(text, sizeof text, "%lld", seconds);
    if (ev->active && lh_sshd_values_find(&ev->set[ev->pass], LH_SSHD_REKEY_TIME, 0) == NULL)
        lh_sshd_set(ev, LH_SSHD_REKEY_TIME, text);
    return true;
}

// Whether this line has set a variable of the same name already.
static bool has_variable(const struct lh_sshd_evaluation *ev, const char *name, const char *word)
{
    size_t len = strcspn(word, "=") + 1;
    const struct lh_sshd_value *value;

    for (size_t i = 0; (value = lh_sshd_values_find(&ev->set[ev->pass], name, i)) != NULL; i++) {
        if (strncmp(value->text, word, len) == 0)
            return true;
    }
    return false;
}

static bool take_set_environment(struct lh_sshd_evaluation *ev, const char *name, char ***words)
{
    bool once = **words != NULL && lh_sshd_is_free(ev, name, name);

    for (; **words != NULL; (*words)++) {
        if (strchr(**words, '=') == NULL)
            return refuse(ev, name, **words);
        if (once && !has_variable(ev, name, **words))
            lh_sshd_set(ev, name, **words);
    }
    return true;
}

static bool take_mask(struct lh_sshd_evaluation *ev, const char *name, char ***words)
{
    const char *word = next_word(words);
    const char *end;
    char text[24];

    if (word == NULL)
        return refuse(ev, name, word);
    long long mask = lh_sshd_digits(word, 8, &end);
    if (end == word || mask < 0 || mask > 0777)
        return refuse(ev, name, word);
    (void)snprintf(text, sizeof text, "0%llo", (unsigned long long)mask);
    set_last(ev, name, text);
    return true;
}

static bool take_subsystem(struct lh_sshd_evaluation *ev, const char *name, char ***words)
{
    const char *subsystem = next_word(words);
    const char *command = subsystem == NULL ? NULL : next_word(words);
    const struct lh_sshd_value *other;
    char text[1024];

    if (command == NULL)
        return refuse(ev, name, subsystem);
    size_t name_len = strlen(subsystem);
    for (size_t i = 0; (other = lh_sshd_values_find(&ev->set[ev->pass], name, i)) != NULL; i++) {
        if (strncmp(other->text, subsystem, name_len) == 0 && other->text[name_len] == ' ')
            return refuse(ev, name, subsystem);
    }
    int used = snprintf(text, sizeof text, "%s %s", subsystem, command);
    for (; **words != NULL && used >= 0 && (size_t)used < sizeof text; (*words)++)
        used += snprintf(text + used, sizeof text - (size_t)used, " %s", **words);
    if (used < 0 || (size_t)used >= sizeof text)
        return refuse(ev, name, subsystem);
    if (ev->active)
        lh_sshd_set(ev, name, text);
    return true;
}

// "none" sets 0 whatever was before; a span of time does not replace an earlier value.
static bool take_unused_timeout(struct lh_sshd_evaluation *ev, const char *name, char ***words)
{
    const char *word = next_word(words);
    long long seconds;
    char text[24];

    if (word == NULL)
        return refuse(ev, name, word);
    if (strcasecmp(word, "none") == 0) {
        set_last(ev, name, "none");
        return true;
    }
    if (!lh_sshd_seconds(word, &seconds))
        return refuse(ev, name, word);
    (void)snprintf(text, sizeof text, "%lld", seconds);
    set_first(ev, name, seconds == 0 ? "none" : text);
    return true;
}

static const struct {
    const char *name;
    bool (*take)(struct lh_sshd_evaluation *ev, const char *name, char ***words);
} specials[] = {
    {"hostcertificate", take_host_file},
    {"hostkey", take_host_file},
    {"hostkeyagent", take_agent},
    {"ipqos", take_quality},
    {"listenaddress", take_listen_address},
    {"maxstartups", take_startups},
    {"permitlisten", take_permit},
    {"permitopen", take_permit},
    {"permittunnel", take_tunnel},
    {"permituserenvironment", take_environment},
    {"persourcemaxstartups", take_source_startups},
    {"persourcenetblocksize", take_block_size},
    {"port", take_port},
    {"pubkeyauthoptions", take_key_options},
    {"rekeylimit", take_rekey},
    {"securitykeyprovider", take_agent},
    {"setenv", take_set_environment},
    {"streamlocalbindmask", take_mask},
    {"subsystem", take_subsystem},
    {"unusedconnectiontimeout", take_unused_timeout},
};

bool lh_sshd_take_special(struct lh_sshd_evaluation *ev,
                          const struct lh_sshd_keyword *keyword,
                          char ***words)
{
    const char *name = keyword->prints != NULL ? keyword->prints : keyword->name;

    for (size_t i = 0; i < LH_ARRAY_LEN(specials); i++) {
        if (strcmp(specials[i].name, name) == 0)
            return specials[i].take(ev, name, words);
    }
    LH_UNREACHABLE();
    return false;
}
