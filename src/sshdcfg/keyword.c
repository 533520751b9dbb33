// SPDX-License-Identifier: Apache-2.0
//
// The names, places and meanings are those of OpenSSH 9.2 with Debian's additions (GSSAPI key
// exchange, DebianBanner); see sshd_config(5) and the table in OpenSSH's servconf.c. A keyword that
// is not here is handled as one word, first value wins, and named.
#include "sshdcfg/keyword.h"

#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/cleanup.h"

static const struct lh_sshd_choice yes_no[] = {{"yes", "yes"}, {"no", "no"}, {NULL, NULL}};
static const struct lh_sshd_choice rhosts[] = {
    {"yes", "yes"}, {"no", "no"}, {"shosts-only", "shosts-only"}, {NULL, NULL}};
static const struct lh_sshd_choice families[] = {
    {"inet", "inet"}, {"inet6", "inet6"}, {"any", "any"}, {NULL, NULL}};
static const struct lh_sshd_choice root_login[] = {{"without-password", "without-password"},
                                                   {"prohibit-password", "without-password"},
                                                   {"forced-commands-only", "forced-commands-only"},
                                                   {"yes", "yes"},
                                                   {"no", "no"},
                                                   {NULL, NULL}};
static const struct lh_sshd_choice compression[] = {
    {"yes", "yes"}, {"delayed", "yes"}, {"no", "no"}, {NULL, NULL}};
static const struct lh_sshd_choice gateway[] = {
    {"clientspecified", "clientspecified"}, {"yes", "yes"}, {"no", "no"}, {NULL, NULL}};
static const struct lh_sshd_choice forwarding[] = {{"yes", "yes"},     {"all", "yes"},
                                                   {"no", "no"},       {"remote", "remote"},
                                                   {"local", "local"}, {NULL, NULL}};
static const struct lh_sshd_choice facilities[] = {
    {"daemon", "DAEMON"}, {"user", "USER"},     {"auth", "AUTH"},     {"authpriv", "AUTHPRIV"},
    {"local0", "LOCAL0"}, {"local1", "LOCAL1"}, {"local2", "LOCAL2"}, {"local3", "LOCAL3"},
    {"local4", "LOCAL4"}, {"local5", "LOCAL5"}, {"local6", "LOCAL6"}, {"local7", "LOCAL7"},
    {NULL, NULL}};
static const struct lh_sshd_choice levels[] = {
    {"quiet", "SILENT"},    {"fatal", "FATAL"}, {"error", "ERROR"},  {"info", "INFO"},
    {"verbose", "VERBOSE"}, {"debug", "DEBUG"}, {"debug1", "DEBUG"}, {"debug2", "DEBUG2"},
    {"debug3", "DEBUG3"},   {NULL, NULL}};
static const struct lh_sshd_choice hashes[] = {{"md5", "MD5"},       {"sha1", "SHA1"},
                                               {"sha256", "SHA256"}, {"sha384", "SHA384"},
                                               {"sha512", "SHA512"}, {NULL, NULL}};

// G: outside Match only. A: anywhere.
#define ROW(name_, kind_, in_match_, ...)                                                          \
    {                                                                                              \
        .name = (name_), .kind = LH_SSHD_##kind_, .in_match = (in_match_), __VA_ARGS__             \
    }
#define G                false
#define A                true
#define FLAG             .choices = yes_no
#define ONE_OF(table)    .choices = (table)
#define FROM(list)       .algorithms = LH_SSHD_ALGO_##list
#define ALIAS(canonical) .prints = (canonical)

const struct lh_sshd_keyword lh_sshd_keywords[] = {
    ROW("acceptenv", WORDS_ADD, A),
    ROW("addressfamily", CHOICE, G, ONE_OF(families)),
    ROW("afstokenpassing", IGNORED, G),
    ROW("allowagentforwarding", CHOICE, A, FLAG),
    ROW("allowgroups", WORDS_ADD, A),
    ROW("allowstreamlocalforwarding", CHOICE, A, ONE_OF(forwarding)),
    ROW("allowtcpforwarding", CHOICE, A, ONE_OF(forwarding)),
    ROW("allowusers", WORDS_ADD, A),
    ROW("authenticationmethods", WORDS_FIRST, A),
    ROW("authorizedkeyscommand", COMMAND, A),
    ROW("authorizedkeyscommanduser", WORD, A),
    ROW("authorizedkeysfile", WORDS_FIRST, A),
    ROW("authorizedkeysfile2", IGNORED, A),
    ROW("authorizedprincipalscommand", COMMAND, A),
    ROW("authorizedprincipalscommanduser", WORD, A),
    ROW("authorizedprincipalsfile", TILDE, A),
    ROW("banner", PATH, A),
    ROW("casignaturealgorithms", ALGORITHMS, A, FROM(SIGNATURE)),
    ROW("challengeresponseauthentication", CHOICE, A, FLAG, ALIAS("kbdinteractiveauthentication")),
    ROW("channeltimeout", WORDS_FIRST, A),
    ROW("checkmail", IGNORED, G),
    ROW("chrootdirectory", WORD, A),
    ROW("ciphers", ALGORITHMS, G, FROM(CIPHER)),
    ROW("clientalivecountmax", NUMBER, A),
    ROW("clientaliveinterval", SECONDS, A),
    ROW("compression", CHOICE, G, ONE_OF(compression)),
    ROW("debianbanner", CHOICE, G, FLAG),
    ROW("denygroups", WORDS_ADD, A),
    ROW("denyusers", WORDS_ADD, A),
    ROW("disableforwarding", CHOICE, A, FLAG),
    ROW("dsaauthentication", CHOICE, G, FLAG, ALIAS("pubkeyauthentication")),
    ROW("exposeauthinfo", CHOICE, A, FLAG),
    ROW("fingerprinthash", CHOICE, G, ONE_OF(hashes), .last_wins = true),
    ROW("forcecommand", REST, A),
    ROW("gatewayports", CHOICE, A, ONE_OF(gateway)),
    ROW("gssapiauthentication", CHOICE, A, FLAG),
    ROW("gssapicleanupcredentials", CHOICE, G, FLAG),
    ROW("gssapikexalgorithms", WORD, G),
    ROW("gssapikeyexchange", CHOICE, G, FLAG),
    ROW("gssapistorecredentialsonrekey", CHOICE, G, FLAG),
    ROW("gssapistrictacceptorcheck", CHOICE, G, FLAG),
    ROW("hostbasedacceptedalgorithms", ALGORITHMS, A, FROM(KEY)),
    ROW("hostbasedacceptedkeytypes",
        ALGORITHMS,
        A,
        FROM(KEY),
        ALIAS("hostbasedacceptedalgorithms")),
    ROW("hostbasedauthentication", CHOICE, A, FLAG),
    ROW("hostbasedusesnamefrompacketonly", CHOICE, A, FLAG),
    ROW("hostcertificate", SPECIAL, G),
    ROW("hostdsakey", SPECIAL, G, ALIAS("hostkey")),
    ROW("hostkey", SPECIAL, G),
    ROW("hostkeyagent", SPECIAL, G),
    ROW("hostkeyalgorithms", ALGORITHMS, G, FROM(KEY)),
    ROW("ignorerhosts", CHOICE, A, ONE_OF(rhosts)),
    ROW("ignoreuserknownhosts", CHOICE, G, FLAG),
    ROW("include", INCLUDE, A),
    ROW("ipqos", SPECIAL, A, .last_wins = true),
    ROW("kbdinteractiveauthentication", CHOICE, A, FLAG),
    ROW("keepalive", CHOICE, G, FLAG, ALIAS("tcpkeepalive")),
    ROW("kerberosauthentication", CHOICE, A, FLAG),
    ROW("kerberosgetafstoken", IGNORED, G),
    ROW("kerberosorlocalpasswd", CHOICE, G, FLAG),
    ROW("kerberostgtpassing", IGNORED, G),
    ROW("kerberosticketcleanup", CHOICE, G, FLAG),
    ROW("kexalgorithms", ALGORITHMS, G, FROM(KEX)),
    ROW("keyregenerationinterval", IGNORED, G),
    ROW("listenaddress", SPECIAL, G),
    ROW("logingracetime", SECONDS, G),
    ROW("loglevel", CHOICE, A, ONE_OF(levels)),
    ROW("logverbose", WORDS_FIRST, A),
    ROW("macs", ALGORITHMS, G, FROM(MAC)),
    ROW("match", MATCH, A),
    ROW("maxauthtries", NUMBER, A),
    ROW("maxsessions", NUMBER, A),
    ROW("maxstartups", SPECIAL, G, .last_wins = true),
    ROW("modulifile", PATH, G),
    ROW("pamauthenticationviakbdint", IGNORED, G),
    ROW("passwordauthentication", CHOICE, A, FLAG),
    ROW("permitemptypasswords", CHOICE, A, FLAG),
    ROW("permitlisten", SPECIAL, A),
    ROW("permitopen", SPECIAL, A),
    ROW("permitrootlogin", CHOICE, A, ONE_OF(root_login)),
    ROW("permittty", CHOICE, A, FLAG),
    ROW("permittunnel", SPECIAL, A),
    ROW("permituserenvironment", SPECIAL, G),
    ROW("permituserrc", CHOICE, A, FLAG),
    ROW("persourcemaxstartups", SPECIAL, G, .last_wins = true),
    ROW("persourcenetblocksize", SPECIAL, G, .last_wins = true),
    ROW("pidfile", PATH, G),
    ROW("port", SPECIAL, G),
    ROW("printlastlog", CHOICE, G, FLAG),
    ROW("printmotd", CHOICE, G, FLAG),
    ROW("protocol", IGNORED, G),
    ROW("pubkeyacceptedalgorithms", ALGORITHMS, A, FROM(KEY)),
    ROW("pubkeyacceptedkeytypes", ALGORITHMS, A, FROM(KEY), ALIAS("pubkeyacceptedalgorithms")),
    ROW("pubkeyauthentication", CHOICE, A, FLAG),
    ROW("pubkeyauthoptions", SPECIAL, A),
    ROW("rekeylimit", SPECIAL, A),
    ROW("requiredrsasize", NUMBER, A),
    ROW("reversemappingcheck", IGNORED, G),
    ROW("revokedkeys", PATH, A),
    ROW("rhostsauthentication", IGNORED, G),
    ROW("rhostsrsaauthentication", IGNORED, A),
    ROW("rsaauthentication", IGNORED, A),
    ROW("securitykeyprovider", SPECIAL, G),
    ROW("serverkeybits", IGNORED, G),
    ROW("setenv", SPECIAL, A),
    ROW("skeyauthentication", CHOICE, A, FLAG, ALIAS("kbdinteractiveauthentication")),
    ROW("streamlocalbindmask", SPECIAL, A, .last_wins = true),
    ROW("streamlocalbindunlink", CHOICE, A, FLAG),
    ROW("strictmodes", CHOICE, G, FLAG),
    ROW("subsystem", SPECIAL, G),
    ROW("syslogfacility", CHOICE, G, ONE_OF(facilities)),
    ROW("tcpkeepalive", CHOICE, G, FLAG),
    ROW("trustedusercakeys", PATH, A),
    ROW("unusedconnectiontimeout", SPECIAL, A),
    ROW("usedns", CHOICE, G, FLAG),
    ROW("uselogin", IGNORED, G),
    ROW("usepam", CHOICE, G, FLAG),
    ROW("useprivilegeseparation", IGNORED, G),
    ROW("verifyreversemapping", IGNORED, G),
    ROW("versionaddendum", REST, G),
    ROW("x11displayoffset", NUMBER, A),
    ROW("x11forwarding", CHOICE, A, FLAG),
    ROW("x11uselocalhost", CHOICE, A, FLAG),
    ROW("xauthlocation", PATH, G),
};
const size_t lh_sshd_keyword_count = LH_ARRAY_LEN(lh_sshd_keywords);

const struct lh_sshd_keyword *lh_sshd_keyword_find(const char *name)
{
    size_t low = 0, high = lh_sshd_keyword_count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcasecmp(name, lh_sshd_keywords[middle].name);
        if (order == 0)
            return &lh_sshd_keywords[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

size_t lh_sshd_keyword_slot(const struct lh_sshd_keyword *keyword)
{
    if (keyword->prints != NULL)
        keyword = lh_sshd_keyword_find(keyword->prints);
    LH_ASSERT(keyword != NULL && keyword->prints == NULL);
    return (size_t)(keyword - lh_sshd_keywords);
}

const char *lh_sshd_choice_find(const struct lh_sshd_choice *choices, const char *word)
{
    for (; choices->word != NULL; choices++) {
        if (strcasecmp(choices->word, word) == 0)
            return choices->prints;
    }
    return NULL;
}
