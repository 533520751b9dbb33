// SPDX-License-Identifier: Apache-2.0
//
// How it works. One row a rule: the keyword, for whom it holds, a function that grades the value
// (rules_grade.c), what it should be, why, and the line that would make it so. The grades follow
// what a value does: high lets strangers in or administrators out, medium weakens, low is hygiene.
//
// The mending command works on the line that is in force, because that line has won against all
// others; where the value is a default, a line at the head of the main file wins.
// Sources of the rules: sshd_config(5), the guides of OpenSSH, CIS, Mozilla, ssh-audit and Lynis,
// and the text that operators of transfer servers are given.
#include "sshdcfg/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "sshdcfg/rules_internal.h"

#define OK      LH_SSHD_GRADE_OK
#define INFO    LH_SSHD_GRADE_INFO
#define LOW     LH_SSHD_GRADE_LOW
#define MEDIUM  LH_SSHD_GRADE_MEDIUM
#define HIGH    LH_SSHD_GRADE_HIGH
#define USERS   (LH_SSHD_TRANSFER | LH_SSHD_STRANGER)
#define PEOPLE  (LH_SSHD_TRANSFER | LH_SSHD_ADMIN)
#define ANYBODY LH_SSHD_EVERYBODY
#define SERVER  0 // not about people

#define KEYWORD_ROOM 48

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

static const struct lh_rule rules[] = {
    // Forwarding: a transfer user needs none of it.
    {"F1", "AllowTcpForwarding", USERS, lh_rule_is_one_of, "no", MEDIUM, "no",
     "users can reach the network behind the server through it"},
    {"F2", "AllowStreamLocalForwarding", USERS, lh_rule_is_one_of, "no", MEDIUM, "no",
     "users can reach sockets of the server's services"},
    {"F2", "PermitTunnel", ANYBODY, lh_rule_is_one_of, "no", MEDIUM, "no",
     "a tunnel joins networks behind the firewall's back"},
    {"F2", "GatewayPorts", ANYBODY, lh_rule_is_one_of, "no", MEDIUM, "no",
     "ports that users forward would be open to everybody"},
    {"F2", "X11Forwarding", USERS, lh_rule_is_one_of, "no", MEDIUM, "no",
     "the server could read screen and keys of the client, and users reach the X11 sockets"},
    {"F2", "PermitOpen", USERS, lh_rule_with_forwarding, "", INFO, "none",
     "forwarding is on, to whatever host and port"},
    {"F2", "PermitListen", USERS, lh_rule_with_forwarding, "", INFO, "none",
     "forwarding is on, and users may open any port of the server"},
    {"F3", "AllowAgentForwarding", USERS, lh_rule_is_one_of, "no", MEDIUM, "no",
     "whoever is root on the server could use the client's keys"},
    {"F4", "DisableForwarding", LH_SSHD_TRANSFER, lh_rule_is_one_of, "yes", LOW, "yes",
     "switches off every kind of forwarding, also those to come"},
    // Authentication.
    {"A1", "PubkeyAuthentication", PEOPLE, lh_rule_is_one_of, "yes", HIGH, "yes",
     "nobody could log in with a key"},
    {"A2", "PasswordAuthentication", ANYBODY, lh_rule_is_one_of, "no", MEDIUM, "no",
     "passwords can be guessed; keys cannot"},
    {"A3", "KbdInteractiveAuthentication", ANYBODY, lh_rule_is_one_of, "no", MEDIUM, "no",
     "with UsePAM it asks for passwords too, whatever PasswordAuthentication says"},
    {"A4", "PermitEmptyPasswords", ANYBODY, lh_rule_is_one_of, "no", HIGH, "no",
     "accounts without a password would be open to everybody"},
    {"A5", "HostbasedAuthentication", ANYBODY, lh_rule_is_one_of, "no", MEDIUM, "no",
     "root of a trusted host is anybody here"},
    {"A5", "IgnoreRhosts", ANYBODY, lh_rule_is_one_of, "yes", MEDIUM, "yes",
     "users could say which hosts to trust"},
    {"A5", "IgnoreUserKnownHosts", ANYBODY, lh_rule_with_hostbased, "yes", LOW, "yes",
     "users could vouch for hosts in their own known_hosts"},
    {"A5", "GSSAPIAuthentication", ANYBODY, lh_rule_is_one_of, "no", LOW, "no",
     "more code before the login; keep it only where Kerberos is used"},
    {"A5", "KerberosAuthentication", ANYBODY, lh_rule_is_one_of, "no", LOW, "no",
     "it sends the password to the server; keep it only where it is used"},
    {"A6", "AuthenticationMethods", PEOPLE, lh_rule_methods, "any", INFO, "any",
     "a client must pass every step of one of these lists; see that the administrators' can"},
    {"A7", "MaxAuthTries", SERVER, lh_rule_in_range, "3 4", LOW, "4",
     "more tries help guessing; fewer than 3 break agents that hold several keys"},
    {"A8", "LoginGraceTime", SERVER, lh_rule_login_grace, "20 60", LOW, "60",
     "connections without a login hold places; 0 holds them for ever"},
    {"A9", "PermitRootLogin", LH_SSHD_ROOT, lh_rule_root_login, "no", MEDIUM, "no",
     "root is the name that is guessed most; administrators log in as themselves and use sudo"},
    {"A11", "PubkeyAcceptedAlgorithms", ANYBODY, lh_rule_none_of, WEAK_KEYS, MEDIUM,
     "-ssh-rsa*,ssh-dss*", "SHA-1 signatures and DSA keys can be forged"},
    {"A11", "RequiredRSASize", ANYBODY, lh_rule_in_range, "2048 16384", MEDIUM, "2048",
     "shorter RSA keys can be broken"},
    {"A11", "CASignatureAlgorithms", ANYBODY, lh_rule_none_of, WEAK_KEYS, LOW, "-ssh-rsa,ssh-dss",
     "SHA-1 signatures on certificates can be forged"},
    {"A12", "AuthorizedKeysCommandUser", ANYBODY, lh_rule_command_user, "", MEDIUM, "nobody",
     "the command that finds keys should not run as root"},
    {"A13", "PermitUserEnvironment", SERVER, lh_rule_is_one_of, "no", MEDIUM, "no",
     "users could set LD_PRELOAD and get round the restricted shell"},
    {"A13", "PermitUserRC", LH_SSHD_TRANSFER, lh_rule_is_one_of, "no", LOW, "no",
     "~/.ssh/rc is run before the restricted shell"},
    {"A13", "AcceptEnv", ANYBODY, lh_rule_variable, "LANG LC_*", LOW, "LANG LC_*",
     "variables of the client reach programs on the server"},
    {"A14", "UsePAM", SERVER, lh_rule_is_one_of, "yes", LOW, "yes",
     "account expiry and limits come through PAM; a locked account cannot use its key without"},
    // Cryptography.
    {"C1", "Ciphers", SERVER, lh_rule_only, STRONG_CIPHERS, MEDIUM, "-*cbc*,arcfour*",
     "CBC modes, 3DES and arcfour have known attacks"},
    {"C2", "MACs", SERVER, lh_rule_only, SOUND_MACS, MEDIUM, "-umac-64*,*sha1*,*md5*",
     "SHA-1, MD5 and 64-bit tags are too weak"},
    {"C3", "KexAlgorithms", SERVER, lh_rule_none_of, WEAK_KEX, MEDIUM, "-*sha1",
     "SHA-1 and 1024-bit groups can be broken"},
    {"C3", "KexAlgorithms", SERVER, lh_rule_some_of, QUANTUM_KEX, LOW,
     "^sntrup761x25519-sha512@openssh.com",
     "what is recorded today could be read once there are quantum computers"},
    {"C4", "HostKeyAlgorithms", SERVER, lh_rule_none_of, WEAK_KEYS, MEDIUM, "-ssh-rsa*,ssh-dss*",
     "a host key signed with SHA-1 proves nothing"},
    {"C9", "Compression", SERVER, lh_rule_is_one_of, "no", LOW, "no",
     "transfers compress by themselves where it helps; compressed secrets can be guessed"},
    {"C10", "RekeyLimit", ANYBODY, lh_rule_rekey, "", LOW, "1G 1h",
     "the longer a key is in use, the more whoever breaks it can read"},
    // Resources and the log.
    {"S1", "Subsystem", SERVER, lh_rule_subsystem, "", INFO, "",
     "transfers do not use SFTP; without it, scp (as of OpenSSH 9.0) and Ansible stop too"},
    {"R1", "MaxStartups", SERVER, lh_rule_startups, "10", LOW, "10:30:60",
     "a few idle connections would keep everybody out"},
    {"R1", "MaxSessions", SERVER, lh_rule_in_range, "1 10", LOW, "10",
     "more sessions on one connection than transfers need"},
    {"R1", "PerSourceMaxStartups", SERVER, lh_rule_in_range, "1 100", INFO, "10",
     "one address can take all places of those who have not logged in yet"},
    {"R1", "PerSourceNetBlockSize", SERVER, lh_rule_block_sizes, "", INFO, "32:64",
     "limits by source hold where a block is one customer's: a /64 of IPv6, an address of IPv4"},
    {"R2", "PerSourcePenalties", SERVER, lh_rule_penalties, "", LOW, "yes",
     "who guesses is not slowed down",
     "this sshd has no PerSourcePenalties; OpenSSH 9.8 and later have"},
    {"R2", "PerSourcePenaltyExemptList", SERVER, lh_rule_exempt, "", LOW, "",
     "who is exempt may guess as fast as the network allows: name hosts of yours, not networks"},
    {"R3", "ClientAliveInterval", PEOPLE, lh_rule_in_range, "15 600", LOW, "300",
     "dead connections stay; the control channel of a long transfer needs a sign of life"},
    {"R3", "ClientAliveCountMax", PEOPLE, lh_rule_in_range, "1 10", LOW, "3",
     "0 never ends a dead connection, and many tries end it late"},
    {"R3", "TCPKeepAlive", SERVER, lh_rule_keepalive, "", LOW, "yes",
     "with ClientAliveInterval off too nothing ends a dead connection"},
    {"R3", "ChannelTimeout", PEOPLE, lh_rule_channel_timeout, "", LOW, "none",
     "the control channel of a long transfer is silent while data flows over UDP: it would be cut"},
    {"R3", "UnusedConnectionTimeout", PEOPLE, lh_rule_unused_timeout, "", LOW, "none",
     "a client on a slow link would be cut before it has opened its channel"},
    {"G1", "LogLevel", SERVER, lh_rule_is_one_of, "VERBOSE DEBUG", LOW, "VERBOSE",
     "INFO does not log which key was used or refused"},
    {"G2", "UseDNS", SERVER, lh_rule_is_one_of, "no", LOW, "no",
     "logins wait for names that whoever connects can choose"},
    {"G2", "SyslogFacility", SERVER, lh_rule_is_one_of, "AUTH AUTHPRIV", LOW, "AUTH",
     "who looks for attacks looks into the log of logins"},
    {"G2", "PrintLastLog", SERVER, lh_rule_is_one_of, "yes", INFO, "yes",
     "people do not see a login that was not theirs"},
    {"G2", "DebianBanner", SERVER, lh_rule_is_one_of, "no", INFO, "no",
     "strangers learn the package's patch level before they log in"},
    {"G2", "VersionAddendum", SERVER, lh_rule_is_one_of, "none", INFO, "none",
     "strangers learn more than the version before they log in"},
    {"G3", "StrictModes", SERVER, lh_rule_is_one_of, "yes", MEDIUM, "yes",
     "others could write a user's authorized_keys"},
};

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
    if ((value == NULL || value->doc == NULL) && input->main_empty) // where sed has no line 1
        (void)snprintf(out, room, "echo '%s %s' >> %s%s", keyword, text, input->prefix,
                       input->main_path);
    else if (value == NULL || value->doc == NULL)
        (void)snprintf(out, room, "sed -i '1i %s %s' %s%s", keyword, text, input->prefix,
                       input->main_path);
    else if (*value->doc->path != '/') // the command line: no file to change
        (void)snprintf(out, room, "systemctl edit ssh # drop the option that sets %s", keyword);
    else
        (void)snprintf(out, room, "sed -i '%zus|.*|%s %s|' %s%s", value->line + 1, keyword, text,
                       input->prefix, value->doc->path);
}

// "Keyword is value"; of a list of algorithms, those that the rule objects to.
static void
describe(const struct lh_rule *rule, const char *value, bool all_good, char *out, size_t room)
{
    bool bad_ones = rule->grade == lh_rule_only || rule->grade == lh_rule_none_of;
    bool some = rule->grade == lh_rule_some_of;
    size_t used;

    if ((!bad_ones && !some) || (all_good && strlen(value) < 100)) {
        (void)snprintf(out, room, "%s is %.400s", rule->keyword, value);
        return;
    }
    if (all_good || some) {
        (void)snprintf(out, room, "%s offers %s", rule->keyword,
                       all_good ? "nothing weak" : "nothing that holds against quantum computers");
        return;
    }
    used = (size_t)snprintf(out, room, "%s offers", rule->keyword);
    while (*value != '\0' && used + 70 < room) {
        size_t part = strcspn(value, ",");
        if (part > 0 && part < 64 &&
            lh_rule_names(rule->wanted, value, part) == (rule->grade == lh_rule_none_of))
            used += (size_t)snprintf(out + used, room - used, " %.*s", (int)part, value);
        value += part + (value[part] == ',');
    }
}

static lh_err add(const struct lh_sshd_rule_input *input,
                  const struct lh_sshd_subject *subject,
                  const struct lh_rule *rule,
                  const struct lh_sshd_value *value,
                  struct lh_sshd_report *report)
{
    const char *shown = rule->keyword;
    char is[512], want[512] = "", where[4200], mend[5000] = "";
    enum lh_sshd_grade grade = rule->grade(rule, &subject->effective->values, value->text);

    // Without an administrator these would lock everybody out.
    bool wait = input->no_admin && (strcmp(rule->id, "A2") == 0 || strcmp(rule->id, "A3") == 0 ||
                                    strcmp(rule->id, "A9") == 0);
    describe(rule, value->text, grade == OK, is, sizeof is);
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

static void lower_case(const char *text, char out[KEYWORD_ROOM])
{
    size_t i = 0;
    for (; text[i] != '\0' && i + 1 < KEYWORD_ROOM; i++)
        out[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + ('a' - 'A') : text[i]);
    out[i] = '\0';
}

lh_err lh_sshd_rules_apply(const struct lh_sshd_rule_input *input,
                           const struct lh_sshd_subject *subject,
                           struct lh_sshd_report *report)
{
    const struct lh_sshd_values *values = &subject->effective->values;
    char keyword[KEYWORD_ROOM];
    lh_err err = 0;

    for (size_t i = 0; err == 0 && i < LH_ARRAY_LEN(rules); i++) {
        const struct lh_rule *rule = &rules[i];
        const struct lh_sshd_value *value;
        if (rule->roles != SERVER && (rule->roles & (int)subject->role) == 0)
            continue;
        // Of several values each is judged: AcceptEnv, Subsystem.
        size_t n = 0;
        lower_case(rule->keyword, keyword);
        for (; err == 0 && (value = lh_sshd_values_find(values, keyword, n)) != NULL; n++)
            err = add(input, subject, rule, value, report);
        // A sshd prints every keyword that it has, and a port among them.
        if (err == 0 && n == 0 && rule->absent != NULL &&
            lh_sshd_values_find(values, "port", 0) != NULL)
            err = lh_sshd_report_add(
                report, &(struct lh_sshd_remark){
                            .grade = INFO, .rule = rule->id, .is = rule->absent, .why = rule->why});
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
