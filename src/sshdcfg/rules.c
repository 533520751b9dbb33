// SPDX-License-Identifier: Apache-2.0
//
// How it works. One row a rule: the keyword, for whom it holds, a function that grades the value,
// what it should be, why, and the line that would make it so. The grades follow what a value does:
// high lets strangers in or administrators out, medium weakens, low is hygiene.
//
// The mending command works on the line that is in force, because that line has won against all
// others; where the value is a default, a line at the head of the main file wins.
// Sources of the rules: sshd_config(5), the guides of OpenSSH, CIS, Mozilla, ssh-audit and Lynis,
// and the text that operators of transfer servers are given.
#include "sshdcfg/rules.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/cleanup.h"

#define OK      LH_SSHD_GRADE_OK
#define INFO    LH_SSHD_GRADE_INFO
#define LOW     LH_SSHD_GRADE_LOW
#define MEDIUM  LH_SSHD_GRADE_MEDIUM
#define HIGH    LH_SSHD_GRADE_HIGH
#define USERS   (LH_SSHD_TRANSFER | LH_SSHD_STRANGER)
#define PEOPLE  (LH_SSHD_TRANSFER | LH_SSHD_ADMIN)
#define ANYBODY LH_SSHD_EVERYBODY
#define SERVER  0 // not about people

struct rule {
    const char *id;
    const char *keyword;
    int roles;
    // Grades `value`. `wanted` and `otherwise` are the row's.
    enum lh_sshd_grade (*grade)(const struct rule *rule, const char *value);
    const char *wanted;           // words or patterns, separated by blanks
    enum lh_sshd_grade otherwise; // where it is not so
    const char *set;              // the value to set
    const char *why;
};

// Whether `list` (separated by blanks) names the word, in any case.
static bool named(const char *list, const char *word, size_t len)
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

static enum lh_sshd_grade is_one_of(const struct rule *rule, const char *value)
{
    return named(rule->wanted, value, strlen(value)) ? OK : rule->otherwise;
}

// Each algorithm of the list is one of those that are wanted.
static enum lh_sshd_grade only(const struct rule *rule, const char *value)
{
    while (*value != '\0') {
        size_t part = strcspn(value, ",");
        if (part > 0 && !named(rule->wanted, value, part))
            return rule->otherwise;
        value += part + (value[part] == ',');
    }
    return OK;
}

// No algorithm of the list is one of those named.
static enum lh_sshd_grade none_of(const struct rule *rule, const char *value)
{
    while (*value != '\0') {
        size_t part = strcspn(value, ",");
        if (named(rule->wanted, value, part))
            return rule->otherwise;
        value += part + (value[part] == ',');
    }
    return OK;
}

// At least one algorithm of the list is one of those named.
static enum lh_sshd_grade some_of(const struct rule *rule, const char *value)
{
    while (*value != '\0') {
        size_t part = strcspn(value, ",");
        if (named(rule->wanted, value, part))
            return OK;
        value += part + (value[part] == ',');
    }
    return rule->otherwise;
}

// A number in "LOW HIGH".
static enum lh_sshd_grade in_range(const struct rule *rule, const char *value)
{
    char *end;
    unsigned long low = strtoul(rule->wanted, &end, 10);
    unsigned long high = strtoul(end, NULL, 10);
    unsigned long number = strtoul(value, &end, 10);

    return end != value && low <= number && number <= high ? OK : rule->otherwise;
}

static enum lh_sshd_grade login_grace(const struct rule *rule, const char *value)
{
    if (strcmp(value, "0") == 0)
        return MEDIUM;
    return in_range(rule, value);
}

static enum lh_sshd_grade root_login(const struct rule *rule, const char *value)
{
    (void)rule;
    if (strcasecmp(value, "no") == 0)
        return OK;
    return strcasecmp(value, "yes") == 0 ? MEDIUM : LOW;
}

static enum lh_sshd_grade methods(const struct rule *rule, const char *value)
{
    (void)rule;
    if (strcasecmp(value, "any") == 0 || strcasecmp(value, "publickey") == 0)
        return OK;
    return INFO;
}

static enum lh_sshd_grade startups(const struct rule *rule, const char *value)
{
    unsigned long begin = strtoul(value, NULL, 10);
    return begin >= 10 ? OK : rule->otherwise;
}

static enum lh_sshd_grade accepted_variable(const struct rule *rule, const char *value)
{
    if (strcasecmp(value, "LANG") == 0 || strncasecmp(value, "LC_", 3) == 0)
        return OK;
    return rule->otherwise;
}

static enum lh_sshd_grade subsystem(const struct rule *rule, const char *value)
{
    return strncasecmp(value, "sftp ", 5) == 0 ? rule->otherwise : OK;
}

static enum lh_sshd_grade user_of_command(const struct rule *rule, const char *value)
{
    return strcasecmp(value, "root") == 0 ? rule->otherwise : OK;
}

#define STRONG_CIPHERS                                                                             \
    "chacha20-poly1305@openssh.com aes256-gcm@openssh.com aes128-gcm@openssh.com aes256-ctr "      \
    "aes192-ctr aes128-ctr"
#define STRONG_MACS                                                                                \
    "hmac-sha2-512-etm@openssh.com hmac-sha2-256-etm@openssh.com umac-128-etm@openssh.com"
#define SOUND_MACS STRONG_MACS " hmac-sha2-512 hmac-sha2-256 umac-128@openssh.com"
#define WEAK_KEX                                                                                   \
    "diffie-hellman-group1-sha1 diffie-hellman-group14-sha1 diffie-hellman-group-exchange-sha1"
#define QUANTUM_KEX                                                                                \
    "mlkem768x25519-sha256 sntrup761x25519-sha512 sntrup761x25519-sha512@openssh.com"
#define WEAK_KEYS "ssh-rsa ssh-dss ssh-rsa-cert-v01@openssh.com ssh-dss-cert-v01@openssh.com"

static const struct rule rules[] = {
    // Forwarding: a transfer user needs none of it.
    {"F1", "allowtcpforwarding", USERS, is_one_of, "no", MEDIUM, "no",
     "users can reach the network behind the server through it"},
    {"F2", "allowstreamlocalforwarding", USERS, is_one_of, "no", MEDIUM, "no",
     "users can reach sockets of the server's services"},
    {"F2", "permittunnel", ANYBODY, is_one_of, "no", MEDIUM, "no",
     "a tunnel joins networks behind the firewall's back"},
    {"F2", "gatewayports", ANYBODY, is_one_of, "no", MEDIUM, "no",
     "ports that users forward would be open to everybody"},
    {"F2", "x11forwarding", USERS, is_one_of, "no", MEDIUM, "no",
     "the server could read screen and keys of the client, and users reach the X11 sockets"},
    {"F3", "allowagentforwarding", USERS, is_one_of, "no", MEDIUM, "no",
     "whoever is root on the server could use the client's keys"},
    {"F4", "disableforwarding", LH_SSHD_TRANSFER, is_one_of, "yes", LOW, "yes",
     "switches off every kind of forwarding, also those to come"},
    // Authentication.
    {"A1", "pubkeyauthentication", PEOPLE, is_one_of, "yes", HIGH, "yes",
     "nobody could log in with a key"},
    {"A2", "passwordauthentication", ANYBODY, is_one_of, "no", MEDIUM, "no",
     "passwords can be guessed; keys cannot"},
    {"A3", "kbdinteractiveauthentication", ANYBODY, is_one_of, "no", MEDIUM, "no",
     "with UsePAM it asks for passwords too, whatever PasswordAuthentication says"},
    {"A4", "permitemptypasswords", ANYBODY, is_one_of, "no", HIGH, "no",
     "accounts without a password would be open to everybody"},
    {"A5", "hostbasedauthentication", ANYBODY, is_one_of, "no", MEDIUM, "no",
     "root of a trusted host is anybody here"},
    {"A5", "ignorerhosts", ANYBODY, is_one_of, "yes", MEDIUM, "yes",
     "users could say which hosts to trust"},
    {"A5", "gssapiauthentication", ANYBODY, is_one_of, "no", LOW, "no",
     "more code before the login; keep it only where Kerberos is used"},
    {"A5", "kerberosauthentication", ANYBODY, is_one_of, "no", LOW, "no",
     "it sends the password to the server; keep it only where it is used"},
    {"A6", "authenticationmethods", PEOPLE, methods, "any", INFO, "any",
     "a client must pass every step of one of these lists; see that the administrators' can"},
    {"A7", "maxauthtries", SERVER, in_range, "3 4", LOW, "4",
     "more tries help guessing; fewer than 3 break agents that hold several keys"},
    {"A8", "logingracetime", SERVER, login_grace, "20 60", LOW, "60",
     "connections without a login hold places; 0 holds them for ever"},
    {"A9", "permitrootlogin", LH_SSHD_ROOT, root_login, "no", MEDIUM, "no",
     "root is the name that is guessed most; administrators log in as themselves and use sudo"},
    {"A11", "pubkeyacceptedalgorithms", ANYBODY, none_of, WEAK_KEYS, MEDIUM, "-ssh-rsa*,ssh-dss*",
     "SHA-1 signatures and DSA keys can be forged"},
    {"A11", "requiredrsasize", ANYBODY, in_range, "2048 16384", MEDIUM, "2048",
     "shorter RSA keys can be broken"},
    {"A11", "casignaturealgorithms", ANYBODY, none_of, WEAK_KEYS, LOW, "-ssh-rsa,ssh-dss",
     "SHA-1 signatures on certificates can be forged"},
    {"A12", "authorizedkeyscommanduser", ANYBODY, user_of_command, "", MEDIUM, "nobody",
     "the command that finds keys should not run as root"},
    {"A13", "permituserenvironment", SERVER, is_one_of, "no", MEDIUM, "no",
     "users could set LD_PRELOAD and get round the restricted shell"},
    {"A13", "permituserrc", LH_SSHD_TRANSFER, is_one_of, "no", LOW, "no",
     "~/.ssh/rc is run before the restricted shell"},
    {"A13", "acceptenv", ANYBODY, accepted_variable, "LANG LC_*", LOW, "LANG LC_*",
     "variables of the client reach programs on the server"},
    {"A14", "usepam", SERVER, is_one_of, "yes", LOW, "yes",
     "account expiry and limits come through PAM; a locked account cannot use its key without"},
    // Cryptography.
    {"C1", "ciphers", SERVER, only, STRONG_CIPHERS, MEDIUM, "-*cbc*,arcfour*",
     "CBC modes, 3DES and arcfour have known attacks"},
    {"C2", "macs", SERVER, only, SOUND_MACS, MEDIUM, "-umac-64*,*sha1*,*md5*",
     "SHA-1, MD5 and 64-bit tags are too weak"},
    {"C3", "kexalgorithms", SERVER, none_of, WEAK_KEX, MEDIUM, "-*sha1",
     "SHA-1 and 1024-bit groups can be broken"},
    {"C3", "kexalgorithms", SERVER, some_of, QUANTUM_KEX, LOW,
     "^sntrup761x25519-sha512@openssh.com",
     "what is recorded today could be read once there are quantum computers"},
    {"C4", "hostkeyalgorithms", SERVER, none_of, WEAK_KEYS, MEDIUM, "-ssh-rsa*,ssh-dss*",
     "a host key signed with SHA-1 proves nothing"},
    {"C9", "compression", SERVER, is_one_of, "no", LOW, "no",
     "transfers compress by themselves where it helps; compressed secrets can be guessed"},
    // Resources and the log.
    {"S1", "subsystem", SERVER, subsystem, "", INFO, "",
     "transfers do not use SFTP; without it, scp (as of OpenSSH 9.0) and Ansible stop too"},
    {"R1", "maxstartups", SERVER, startups, "10", LOW, "10:30:60",
     "a few idle connections would keep everybody out"},
    {"R1", "maxsessions", SERVER, in_range, "1 10", LOW, "10",
     "more sessions on one connection than transfers need"},
    {"R3", "clientaliveinterval", PEOPLE, in_range, "15 600", LOW, "300",
     "dead connections stay; the control channel of a long transfer needs a sign of life"},
    {"G1", "loglevel", SERVER, is_one_of, "VERBOSE DEBUG", LOW, "VERBOSE",
     "INFO does not log which key was used or refused"},
    {"G2", "usedns", SERVER, is_one_of, "no", LOW, "no",
     "logins wait for names that whoever connects can choose"},
    {"G3", "strictmodes", SERVER, is_one_of, "yes", MEDIUM, "yes",
     "others could write a user's authorized_keys"},
};

// The keyword as people write it.
static const char *shown_keyword(const char *keyword)
{
    static const char *const names[] = {
        "AcceptEnv",
        "AllowAgentForwarding",
        "AllowStreamLocalForwarding",
        "AllowTcpForwarding",
        "AuthenticationMethods",
        "AuthorizedKeysCommandUser",
        "CASignatureAlgorithms",
        "Ciphers",
        "ClientAliveInterval",
        "Compression",
        "DisableForwarding",
        "GatewayPorts",
        "GSSAPIAuthentication",
        "HostbasedAuthentication",
        "HostKeyAlgorithms",
        "IgnoreRhosts",
        "KbdInteractiveAuthentication",
        "KerberosAuthentication",
        "KexAlgorithms",
        "LoginGraceTime",
        "LogLevel",
        "MACs",
        "MaxAuthTries",
        "MaxSessions",
        "MaxStartups",
        "PasswordAuthentication",
        "PermitEmptyPasswords",
        "PermitRootLogin",
        "PermitTunnel",
        "PermitUserEnvironment",
        "PermitUserRC",
        "PubkeyAcceptedAlgorithms",
        "PubkeyAuthentication",
        "RequiredRSASize",
        "StrictModes",
        "Subsystem",
        "UseDNS",
        "UsePAM",
        "X11Forwarding",
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(names); i++) {
        if (strcasecmp(names[i], keyword) == 0)
            return names[i];
    }
    return keyword;
}

void lh_sshd_where(const struct lh_sshd_rule_input *input,
                   const struct lh_sshd_value *value,
                   char *out,
                   size_t room)
{
    out[0] = '\0';
    if (value != NULL && value->doc != NULL)
        (void)snprintf(out, room, "%s%s line %zu", *value->doc->path == '/' ? input->prefix : "",
                       value->doc->path, value->line + 1);
}

void lh_sshd_mend_value(const struct lh_sshd_rule_input *input,
                        const struct lh_sshd_value *value,
                        const char *keyword,
                        const char *text,
                        char *out,
                        size_t room)
{
    const char *shown = shown_keyword(keyword);

    if ((value == NULL || value->doc == NULL) && input->main_empty) // where sed has no line 1
        (void)snprintf(out, room, "echo '%s %s' >> %s%s", shown, text, input->prefix,
                       input->main_path);
    else if (value == NULL || value->doc == NULL)
        (void)snprintf(out, room, "sed -i '1i %s %s' %s%s", shown, text, input->prefix,
                       input->main_path);
    else if (*value->doc->path != '/') // the command line: no file to change
        (void)snprintf(out, room, "systemctl edit ssh # drop the option that sets %s", shown);
    else
        (void)snprintf(out, room, "sed -i '%zus|.*|%s %s|' %s%s", value->line + 1, shown, text,
                       input->prefix, value->doc->path);
}

// "Keyword is value"; of a list of algorithms, those that the rule objects to.
static void describe(const struct rule *rule, const char *value, char *out, size_t room)
{
    bool bad_ones = rule->grade == only || rule->grade == none_of;
    bool all_good = rule->grade(rule, value) == OK;
    size_t used;

    if ((!bad_ones && rule->grade != some_of) || (all_good && strlen(value) < 100)) {
        (void)snprintf(out, room, "%s is %.400s", shown_keyword(rule->keyword), value);
        return;
    }
    if (all_good || rule->grade == some_of) {
        (void)snprintf(out, room, "%s offers %s", shown_keyword(rule->keyword),
                       all_good ? "nothing weak" : "nothing that holds against quantum computers");
        return;
    }
    used = (size_t)snprintf(out, room, "%s offers", shown_keyword(rule->keyword));
    while (*value != '\0' && used + 70 < room) {
        size_t part = strcspn(value, ",");
        if (part > 0 && part < 64 && named(rule->wanted, value, part) == (rule->grade == none_of))
            used += (size_t)snprintf(out + used, room - used, " %.*s", (int)part, value);
        value += part + (value[part] == ',');
    }
}

static lh_err add(const struct lh_sshd_rule_input *input,
                  const struct lh_sshd_subject *subject,
                  const struct rule *rule,
                  const struct lh_sshd_value *value,
                  struct lh_sshd_report *report)
{
    const char *shown = shown_keyword(rule->keyword);
    char is[512], want[512] = "", where[4200], mend[5000] = "";
    enum lh_sshd_grade grade = rule->grade(rule, value->text);

    // Without an administrator these would lock everybody out.
    bool wait = input->no_admin && (strcmp(rule->id, "A2") == 0 || strcmp(rule->id, "A3") == 0 ||
                                    strcmp(rule->id, "A9") == 0);
    describe(rule, value->text, is, sizeof is);
    if (*rule->set != '\0')
        (void)snprintf(want, sizeof want, "%s %.400s%s", shown, rule->set,
                       wait ? ", but first an administrator (U1)" : "");
    lh_sshd_where(input, value, where, sizeof where);
    if (grade > INFO && *rule->set != '\0' && !wait)
        lh_sshd_mend_value(input, value, rule->keyword, rule->set, mend, sizeof mend);
    return lh_sshd_report_add(
        report,
        &(struct lh_sshd_remark){
            .grade = grade,
            .rule = rule->id,
            .is = is,
            .want = grade == OK ? "" : want,
            .why = rule->why,
            .who = rule->roles == SERVER || rule->roles == ANYBODY ? "" : subject->persona.name,
            .where = where,
            .mend = mend,
        });
}

lh_err lh_sshd_rules_apply(const struct lh_sshd_rule_input *input,
                           const struct lh_sshd_subject *subject,
                           struct lh_sshd_report *report)
{
    lh_err err = 0;

    for (size_t i = 0; err == 0 && i < LH_ARRAY_LEN(rules); i++) {
        const struct rule *rule = &rules[i];
        const struct lh_sshd_value *value;
        if (rule->roles != SERVER && (rule->roles & (int)subject->role) == 0)
            continue;
        // Of several values each is judged: AcceptEnv, Subsystem.
        for (size_t n = 0; err == 0 && (value = lh_sshd_values_find(&subject->effective->values,
                                                                    rule->keyword, n)) != NULL;
             n++)
            err = add(input, subject, rule, value, report);
    }
    return err;
}

// --- Who may log in at all ---

// One pattern of AllowUsers: "user", or "user@hosts".
static bool user_matches(const struct lh_sshd_persona *persona, const char *pattern)
{
    char user[512];
    const char *at = strchr(pattern, '@');

    if (at == NULL)
        return lh_sshd_pattern(persona->user, pattern);
    if ((size_t)(at - pattern) >= sizeof user)
        return false;
    memcpy(user, pattern, (size_t)(at - pattern));
    user[at - pattern] = '\0';
    if (!lh_sshd_pattern(persona->user, user) || persona->address == NULL)
        return false;
    const char *host = persona->host == NULL ? persona->address : persona->host;
    int by_address = lh_sshd_address_list(persona->address, at + 1);
    int by_name = lh_sshd_host_list(host, at + 1);
    return by_address >= 0 && by_name >= 0 && (by_address == 1 || by_name == 1);
}

static bool group_matches(const struct lh_sshd_persona *persona, const char *pattern)
{
    for (size_t i = 0; i < persona->group_count; i++) {
        if (lh_sshd_pattern(persona->groups[i], pattern))
            return true;
    }
    return false;
}

// Whether the list exists (`*out_any`) and one of its patterns matches.
static bool list_matches(const struct lh_sshd_values *values,
                         const char *keyword,
                         const struct lh_sshd_persona *persona,
                         bool *out_any)
{
    bool (*matches)(const struct lh_sshd_persona *, const char *) =
        strstr(keyword, "groups") != NULL ? group_matches : user_matches;
    const struct lh_sshd_value *value;

    *out_any = false;
    for (size_t i = 0; (value = lh_sshd_values_find(values, keyword, i)) != NULL; i++) {
        *out_any = true;
        if (matches(persona, value->text))
            return true;
    }
    return false;
}

bool lh_sshd_user_admitted(const struct lh_sshd_values *values,
                           const struct lh_sshd_persona *persona,
                           const char **out_keyword)
{
    static const struct {
        const char *keyword;
        bool admits;
    } lists[] = {
        {"denyusers", false}, {"allowusers", true}, {"denygroups", false}, {"allowgroups", true}};

    for (size_t i = 0; i < LH_ARRAY_LEN(lists); i++) {
        bool any, matched = list_matches(values, lists[i].keyword, persona, &any);
        *out_keyword = lists[i].keyword;
        if (any && matched != lists[i].admits)
            return false;
    }
    return true;
}

// --- Odd lines ---

static const struct {
    const char *rule;
    enum lh_sshd_grade grade;
    const char *want;
    const char *why;
} oddities[] = {
    [LH_SSHD_REFUSED] = {"X1", HIGH, "a line that sshd takes",
                         "sshd refuses the whole file and will not start again"},
    [LH_SSHD_UNKNOWN_KEYWORD] = {"X1", HIGH, "a keyword that sshd knows",
                                 "a sshd that does not know it refuses the whole file"},
    [LH_SSHD_OBSOLETE] = {"G5", LOW, "no such line", "sshd has no such option any more"},
    [LH_SSHD_UNSEEN] = {"G6", MEDIUM, "a quote for each quote",
                        "sshd skips the line without a word, so it has no effect"},
    [LH_SSHD_DEAD] = {"G6", LOW, "one line for each keyword",
                      "the first value wins: this line has no effect and misleads"},
};

lh_err lh_sshd_rules_problems(const struct lh_sshd_rule_input *input,
                              const struct lh_sshd_effective *effective,
                              struct lh_sshd_report *report)
{
    lh_err err = 0;

    for (size_t i = 0; err == 0 && i < effective->problem_count; i++) {
        const struct lh_sshd_problem *problem = &effective->problems[i];
        bool dead = problem->kind == LH_SSHD_DEAD || problem->kind == LH_SSHD_OBSOLETE ||
                    problem->kind == LH_SSHD_UNSEEN;
        struct lh_sshd_value place = {.doc = problem->doc, .line = problem->line};
        char is[256], where[4200], mend[4400] = "";
        (void)snprintf(is, sizeof is, "%s%s%s", problem->keyword,
                       *problem->keyword == '\0' ? "" : ": ", problem->text);
        lh_sshd_where(input, &place, where, sizeof where);
        if (dead && *problem->doc->path == '/')
            (void)snprintf(mend, sizeof mend, "sed -i '%zus/^/#/' %s%s", problem->line + 1,
                           input->prefix, problem->doc->path);
        err = lh_sshd_report_add(report, &(struct lh_sshd_remark){
                                             .grade = oddities[problem->kind].grade,
                                             .rule = oddities[problem->kind].rule,
                                             .is = is,
                                             .want = oddities[problem->kind].want,
                                             .why = oddities[problem->kind].why,
                                             .where = where,
                                             .mend = mend,
                                         });
    }
    return err;
}
