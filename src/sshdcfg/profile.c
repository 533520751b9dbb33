// SPDX-License-Identifier: Apache-2.0
//
// How it works. A table of settings that all profiles share, then the lists of algorithms of the
// profile, each reduced to what the binary knows, then the host keys, the choices, and at the end
// the Match blocks, closed by "Match all" so that nothing that is appended later falls into one.
//
// SFTP for some: the subsystem runs /bin/false, and only named users, in a Match block, are given
// internal-sftp by ForceCommand. (Subsystem itself may not stand in Match.)
#include "sshdcfg/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/cleanup.h"

#define LINE_MAX_ 2048

static const char *const profile_names[LH_SSHD_PROFILE_N_] = {
    [LH_SSHD_MODERN] = "modern",
    [LH_SSHD_ASPERA_4] = "aspera-4",
    [LH_SSHD_ASPERA_3] = "aspera-3",
    [LH_SSHD_FIPS] = "fips",
};

enum lh_sshd_profile lh_sshd_profile_find(const char *name)
{
    int profile = 0;
    while (profile < LH_SSHD_PROFILE_N_ && strcmp(profile_names[profile], name) != 0)
        profile++;
    return (enum lh_sshd_profile)profile;
}

const char *lh_sshd_profile_name(enum lh_sshd_profile profile)
{
    LH_ASSERT(profile < LH_SSHD_PROFILE_N_);
    return profile_names[profile];
}

// For everybody, in every profile.
static const struct {
    const char *keyword;
    const char *value;
} common[] = {
    {"PermitRootLogin", "no"},
    {"PubkeyAuthentication", "yes"},
    {"PermitEmptyPasswords", "no"},
    {"HostbasedAuthentication", "no"},
    {"IgnoreRhosts", "yes"},
    {"StrictModes", "yes"},
    {"MaxAuthTries", "4"},
    {"LoginGraceTime", "60"},
    {"MaxStartups", "10:30:60"},
    {"DisableForwarding", "yes"},
    {"AllowTcpForwarding", "no"},
    {"AllowStreamLocalForwarding", "no"},
    {"AllowAgentForwarding", "no"},
    {"X11Forwarding", "no"},
    {"PermitTunnel", "no"},
    {"GatewayPorts", "no"},
    {"PermitUserEnvironment", "no"},
    {"PermitUserRC", "no"},
    {"Compression", "no"},
    {"ClientAliveInterval", "300"},
    {"ClientAliveCountMax", "3"},
    {"UseDNS", "no"},
    {"LogLevel", "VERBOSE"},
    {"RequiredRSASize", "2048"},
    {"PubkeyAcceptedAlgorithms", "-ssh-rsa*,ssh-dss*"},
    {"HostKeyAlgorithms", "-ssh-rsa*,ssh-dss*"},
};

#define MODERN_CIPHERS                                                                             \
    "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,"      \
    "aes192-ctr,aes128-ctr"
#define FIPS_CIPHERS                                                                               \
    "aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr"
#define ETM_MACS                                                                                   \
    "hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com,umac-128-etm@openssh.com"
#define LIBRARY_MACS ETM_MACS ",hmac-sha2-512,hmac-sha2-256"
#define FIPS_MACS                                                                                  \
    "hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512,hmac-sha2-256"
#define MODERN_KEX                                                                                 \
    "mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,"             \
    "curve25519-sha256,curve25519-sha256@libssh.org"
#define LIBRARY_KEX MODERN_KEX ",ecdh-sha2-nistp256,diffie-hellman-group14-sha256"
#define FIPS_KEX                                                                                   \
    "ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group16-sha512,"      \
    "diffie-hellman-group18-sha512,diffie-hellman-group14-sha256"

// The lists of a profile: as it is, and with --strict.
static const struct {
    const char *keyword;
    enum lh_sshd_algorithms kind;
    const char *usual;
    const char *strict;
    const char *fips;
} lists[] = {
    {"KexAlgorithms", LH_SSHD_ALGO_KEX, LIBRARY_KEX, MODERN_KEX, FIPS_KEX},
    {"Ciphers", LH_SSHD_ALGO_CIPHER, MODERN_CIPHERS, MODERN_CIPHERS, FIPS_CIPHERS},
    {"MACs", LH_SSHD_ALGO_MAC, LIBRARY_MACS, ETM_MACS, FIPS_MACS},
};

void lh_sshd_settings_fini(struct lh_sshd_settings *settings)
{
    for (size_t i = 0; i < settings->count; i++) {
        free(settings->items[i].keyword);
        free(settings->items[i].value);
    }
    free(settings->items);
    *settings = (struct lh_sshd_settings){0};
}

static lh_err
add(struct lh_sshd_settings *settings, const char *keyword, const char *value, bool in_match)
{
    if (settings->count == settings->room) {
        size_t room = settings->room == 0 ? 64 : 2 * settings->room;
        struct lh_sshd_setting *items = realloc(settings->items, room * sizeof *items);
        if (items == NULL)
            return LH_E_NOMEM;
        settings->items = items;
        settings->room = room;
    }
    struct lh_sshd_setting *setting = &settings->items[settings->count++];
    *setting = (struct lh_sshd_setting){
        .keyword = strdup(keyword), .value = strdup(value), .in_match = in_match};
    return setting->keyword == NULL || setting->value == NULL ? LH_E_NOMEM : 0;
}

// Whether the binary has the keyword: it prints every one that it has.
static bool known_keyword(const struct lh_sshd_target *target, const char *keyword)
{
    return lh_sshd_values_find(target->defaults, keyword, 0) != NULL;
}

static bool list_names(const char *list, const char *name, size_t len)
{
    while (*list != '\0') {
        size_t part = strcspn(list, ",");
        if (part == len && strncmp(list, name, len) == 0)
            return true;
        list += part + (list[part] == ',');
    }
    return false;
}

// Adds those algorithms of `wanted` that the binary knows.
static lh_err add_list(struct lh_sshd_settings *settings,
                       const struct lh_sshd_target *target,
                       const char *keyword,
                       enum lh_sshd_algorithms kind,
                       const char *wanted)
{
    const char *known = target->known[kind];
    char text[LINE_MAX_];
    size_t used = 0;

    if (known == NULL)
        known = lh_sshd_values_text(target->defaults, keyword);
    for (const char *at = wanted; *at != '\0';) {
        size_t part = strcspn(at, ",");
        if (list_names(known, at, part) && used + part + 2 < sizeof text) {
            if (used > 0)
                text[used++] = ',';
            memcpy(text + used, at, part);
            used += part;
        }
        at += part + (at[part] == ',');
    }
    text[used] = '\0';
    return used == 0 ? 0 : add(settings, keyword, text, false);
}

static lh_err add_lists(struct lh_sshd_settings *settings,
                        const struct lh_sshd_choices *choices,
                        const struct lh_sshd_target *target)
{
    bool fips = choices->profile == LH_SSHD_FIPS;
    lh_err err = 0;

    for (size_t i = 0; err == 0 && i < LH_ARRAY_LEN(lists); i++)
        err = add_list(settings, target, lists[i].keyword, lists[i].kind,
                       fips              ? lists[i].fips
                       : choices->strict ? lists[i].strict
                                         : lists[i].usual);
    return err;
}

static lh_err add_host_keys(struct lh_sshd_settings *settings,
                            const struct lh_sshd_choices *choices,
                            struct lh_errinfo *info)
{
    const struct lh_sshd_host_files *keys = &choices->host_keys;
    const char *older = keys->ecdsa != NULL ? keys->ecdsa : keys->rsa;
    const char *first = NULL, *second = NULL;

    switch (choices->profile) {
    case LH_SSHD_MODERN:
        first = keys->ed25519;
        second = choices->strict ? NULL : older;
        break;
    case LH_SSHD_ASPERA_4:
        first = keys->ecdsa;
        break;
    case LH_SSHD_ASPERA_3:
        first = keys->rsa;
        break;
    default:
        first = keys->ecdsa;
        second = keys->rsa;
        break;
    }
    if (first == NULL)
        return lh_fail(info, LH_NONE, 0,
                       "the host key that profile %s needs is not there: run "
                       "ssh-keygen -A",
                       lh_sshd_profile_name(choices->profile));
    lh_err err = add(settings, "HostKey", first, false);
    if (err == 0 && second != NULL)
        err = add(settings, "HostKey", second, false);
    return err;
}

// A word for the file: in quotes where it has blanks; a backslash is doubled.
static bool quote_word(const char *word, char *out, size_t room)
{
    size_t used = 0;
    bool quoted = strpbrk(word, " \t#") != NULL;

    if (*word == '\0' || strpbrk(word, "\"'\r\n\f") != NULL)
        return false;
    if (quoted)
        out[used++] = '"';
    for (; *word != '\0' && used + 4 < room; word++) {
        if (*word == '\\')
            out[used++] = '\\';
        out[used++] = *word;
    }
    if (quoted)
        out[used++] = '"';
    out[used] = '\0';
    return *word == '\0';
}

static lh_err add_words(struct lh_sshd_settings *settings,
                        const char *keyword,
                        const char *const *words,
                        struct lh_errinfo *info)
{
    char word[600];
    lh_err err = 0;

    for (; err == 0 && words != NULL && *words != NULL; words++) {
        if (!quote_word(*words, word, sizeof word))
            return lh_fail(info, LH_NONE, 0, "\"%.100s\" cannot be written as a name", *words);
        err = add(settings, keyword, word, false);
    }
    return err;
}

static lh_err add_choices(struct lh_sshd_settings *settings,
                          const struct lh_sshd_choices *choices,
                          struct lh_errinfo *info)
{
    char port[8];

    (void)snprintf(port, sizeof port, "%u", choices->port);
    lh_err err = add(settings, "Port", port, false);
    if (err == 0 && choices->keep_port_22 && choices->port != 22)
        err = add(settings, "Port", "22", false);
    for (size_t i = 0; err == 0 && i < choices->also_port_count; i++) {
        bool there = choices->also_ports[i] == choices->port ||
                     (choices->keep_port_22 && choices->also_ports[i] == 22);
        (void)snprintf(port, sizeof port, "%u", choices->also_ports[i]);
        if (!there)
            err = add(settings, "Port", port, false);
    }
    if (err == 0 && !choices->keep_passwords)
        err = add(settings, "PasswordAuthentication", "no", false);
    if (err == 0 && !choices->keep_passwords)
        err = add(settings, "KbdInteractiveAuthentication", "no", false);
    if (err == 0)
        err = add_words(settings, "AllowUsers", choices->allow_users, info);
    if (err == 0)
        err = add_words(settings, "AllowGroups", choices->allow_groups, info);
    if (err == 0 && choices->sftp_users != NULL)
        err = add(settings, "Subsystem", "sftp /bin/false", false);
    return err;
}

// The comma-separated list of names for a Match line.
static bool join_names(const char *const *names, char *out, size_t room)
{
    size_t used = 0;

    for (; *names != NULL; names++) {
        if (strpbrk(*names, " \t,\"'\r\n=#!*?") != NULL || **names == '\0')
            return false;
        int len = snprintf(out + used, room - used, "%s%s", used == 0 ? "" : ",", *names);
        if (len < 0 || (size_t)len >= room - used)
            return false;
        used += (size_t)len;
    }
    return used > 0;
}

static lh_err add_blocks(struct lh_sshd_settings *settings,
                         const struct lh_sshd_choices *choices,
                         struct lh_errinfo *info)
{
    const char *const group[] = {choices->forwarding_group, NULL};
    char names[LINE_MAX_], criterion[LINE_MAX_ + 16];
    size_t before = settings->count;
    lh_err err = 0;

    if (choices->sftp_users != NULL) {
        if (!join_names(choices->sftp_users, names, sizeof names))
            return lh_fail(info, LH_NONE, 0, "--sftp-users: not names that Match takes");
        (void)snprintf(criterion, sizeof criterion, "User %s", names);
        err = add(settings, "Match", criterion, false);
        if (err == 0)
            err = add(settings, "ForceCommand", "internal-sftp", true);
    }
    if (err == 0 && choices->forwarding_group != NULL) {
        if (!join_names(group, names, sizeof names))
            return lh_fail(info, LH_NONE, 0, "--forwarding-group: not a name that Match takes");
        (void)snprintf(criterion, sizeof criterion, "Group %s", names);
        err = add(settings, "Match", criterion, false);
        if (err == 0)
            err = add(settings, "DisableForwarding", "no", true);
        if (err == 0)
            err = add(settings, "AllowTcpForwarding", "yes", true);
    }
    if (err == 0 && settings->count > before)
        err = add(settings, "Match", "all", false);
    return err;
}

lh_err lh_sshd_profile_settings(const struct lh_sshd_choices *choices,
                                const struct lh_sshd_target *target,
                                struct lh_sshd_settings *out_settings,
                                struct lh_errinfo *info)
{
    struct lh_sshd_settings settings = {0};

    lh_err err = add_choices(&settings, choices, info);
    if (err == 0)
        err = add_host_keys(&settings, choices, info);
    if (err == 0)
        err = add_lists(&settings, choices, target);
    for (size_t i = 0; err == 0 && i < LH_ARRAY_LEN(common); i++) {
        if (known_keyword(target, common[i].keyword))
            err = add(&settings, common[i].keyword, common[i].value, false);
    }
    if (err == 0)
        err = add_blocks(&settings, choices, info);
    if (err != 0) {
        lh_sshd_settings_fini(&settings);
        return err;
    }
    *out_settings = settings;
    return 0;
}

bool lh_sshd_settings_manage(const struct lh_sshd_settings *settings, const char *keyword)
{
    // Addresses hold ports, and without our own SFTP stays only where we say so.
    if (strcasecmp(keyword, "subsystem") == 0)
        return true;
    for (size_t i = 0; i < settings->count; i++) {
        if (strcasecmp(settings->items[i].keyword, keyword) == 0 &&
            strcasecmp(keyword, "match") != 0)
            return true;
    }
    return false;
}
