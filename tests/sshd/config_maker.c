// SPDX-License-Identifier: Apache-2.0
#include "config_maker.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

// A keyword with values; '!' in front of it: outside of Match blocks only.
static const struct {
    const char *keyword;
    const char *values; // separated by '|'
} settings[] = {
    {"AcceptEnv", "LANG LC_*|FOO|LANG|XTERM* BAR"},
    {"!AddressFamily", "inet|inet6|any"},
    {"AllowAgentForwarding", "yes|no"},
    {"AllowGroups", "root|daemon users|adm*"},
    {"AllowStreamLocalForwarding", "yes|no|all|local|remote"},
    {"AllowTcpForwarding", "yes|no|all|local|remote"},
    {"AllowUsers", "root|daemon bin|joe@10.0.0.0/8|*@host*|DOMAIN\\\\user"},
    {"AuthenticationMethods", "any|publickey|publickey,password publickey"},
    {"AuthorizedKeysCommand", "none|NONE|/bin/keys %u|/bin/keys # trailing"},
    {"AuthorizedKeysCommandUser", "nobody|root"},
    {"AuthorizedKeysFile", ".ssh/authorized_keys|/etc/keys/%u .ssh/k2|none|~/keys|~daemon/k"},
    {"AuthorizedPrincipalsCommand", "none|/bin/principals|/bin/p2 a b"},
    {"AuthorizedPrincipalsCommandUser", "nobody|root"},
    {"AuthorizedPrincipalsFile", "none|NONE|%h/principals"},
    {"Banner", "none|NONE|/etc/issue|issue.net|~/banner"},
    {"CASignatureAlgorithms",
     "+ssh-rsa|-ecdsa*|ssh-ed25519|^rsa-sha2-256|ssh-ed25519,rsa-sha2-512"},
    {"ChallengeResponseAuthentication", "yes|no"},
    {"ChannelTimeout", "none|session=5m|*=1h|x11-connection=3m session=90"},
    {"ChrootDirectory", "none|/srv/%u|/srv"},
    {"!Ciphers", "aes256-ctr|+aes128-cbc|-aes*|^aes256-gcm@openssh.com|aes128-ctr,,,|-*|"
                 "aes128-ctr,aes128-ctr,aes192-ctr|-chacha*,*gcm*|aes128-ctr,,nonsense"},
    {"ClientAliveCountMax", "0|3|+7|007"},
    {"ClientAliveInterval", "0|300|5m|1h30m|1w"},
    {"!Compression", "yes|no|delayed"},
    {"!DebianBanner", "yes|no"},
    {"DenyGroups", "bad|bad worse"},
    {"DenyUsers", "mallory|eve@192.168.*"},
    {"DisableForwarding", "yes|no"},
    {"!DSAAuthentication", "yes|no"},
    {"ExposeAuthInfo", "yes|no"},
    {"!FingerprintHash", "md5|sha256|SHA1|sha512"},
    {"ForceCommand", "none|internal-sftp|/bin/echo \"a b\"  # c|echo a   b"},
    {"GatewayPorts", "yes|no|clientspecified"},
    {"GSSAPIAuthentication", "yes|no"},
    {"!GSSAPICleanupCredentials", "yes|no"},
    {"!GSSAPIKeyExchange", "yes|no"},
    {"HostbasedAcceptedAlgorithms", "-ssh-*|ssh-ed25519|+ssh-rsa|ecdsa*|*"},
    {"HostbasedAuthentication", "yes|no"},
    {"HostbasedUsesNameFromPacketOnly", "yes|no"},
    {"!HostKey", "/etc/ssh/missing_key|missing_relative|~/key"},
    {"!HostKeyAgent", "none|SSH_AUTH_SOCK|/run/agent"},
    {"!HostKeyAlgorithms", "ssh-ed25519|-ecdsa*|+ssh-rsa|^rsa-sha2-512,rsa-sha2-256|*rsa*"},
    {"IgnoreRhosts", "yes|no|shosts-only"},
    {"!IgnoreUserKnownHosts", "yes|no"},
    {"IPQoS", "none|af21 cs1|lowdelay|0x10 0x08|184|le ef|017|none 3"},
    {"KbdInteractiveAuthentication", "yes|no"},
    {"KerberosAuthentication", "no"},
    {"!KerberosTicketCleanup", "yes|no"},
    {"!KexAlgorithms",
     "curve25519-sha256|-diffie*|+diffie-hellman-group14-sha1|^ecdh-sha2-nistp256|"
     "-*nistp*,*group*"},
    {"!KeyRegenerationInterval", "3600|1h"},
    {"!ListenAddress", "0.0.0.0|127.0.0.1:2200|[::1]:2201|::1|10.1|[::]|127.0.0.1"},
    {"!LoginGraceTime", "30|0|2m|1m30s"},
    {"LogLevel", "INFO|verbose|DEBUG|debug1|DEBUG3|quiet|FATAL|error"},
    {"LogVerbose", "none|kex.c:*:1000|packet.c channels.c:12"},
    {"!MACs", "hmac-sha2-256|-umac*|+hmac-md5|^hmac-sha2-512-etm@openssh.com|-*etm*,!hmac*"},
    {"MaxAuthTries", "1|3|6|20"},
    {"MaxSessions", "0|1|10"},
    {"!MaxStartups", "10|10:30:60|5:50:5|+3:1:4"},
    {"!ModuliFile", "none|/etc/moduli|moduli"},
    {"PasswordAuthentication", "yes|no"},
    {"PermitEmptyPasswords", "yes|no"},
    {"PermitListen", "any|none|8080|localhost:80 *:90|[::1]:22"},
    {"PermitOpen", "any|none|localhost:80|a:1 b:2 [::1]:*"},
    {"PermitRootLogin", "yes|no|without-password|prohibit-password|forced-commands-only"},
    {"PermitTTY", "yes|no"},
    {"PermitTunnel", "yes|no|point-to-point|ethernet"},
    {"!PermitUserEnvironment", "yes|no|LANG,LC_*|Yes"},
    {"PermitUserRC", "yes|no"},
    {"!PerSourceMaxStartups", "none|5|0"},
    {"!PerSourceNetBlockSize", "32:128|24:64|0:0"},
    {"!PidFile", "none|/run/x.pid|~/pid|x.pid"},
    {"!Port", "22|33001|2222|+44|ssh|022"},
    {"!PrintLastLog", "yes|no"},
    {"!PrintMotd", "yes|no"},
    {"!Protocol", "2|2,1"},
    {"PubkeyAcceptedAlgorithms", "+ssh-rsa|-ssh-rsa|ssh-ed25519|^ecdsa*|*cert*,ssh-*"},
    {"PubkeyAcceptedKeyTypes", "+ssh-dss|rsa-sha2-512"},
    {"PubkeyAuthentication", "yes|no"},
    {"PubkeyAuthOptions", "none|touch-required|verify-required touch-required|none none"},
    {"RekeyLimit", "default|1G|512M 1h|default none|1.5G 30m|64K 0|100"},
    {"RequiredRSASize", "1024|2048|3072"},
    {"RevokedKeys", "none|/etc/ssh/revoked"},
    {"RSAAuthentication", "yes|no"},
    {"!SecurityKeyProvider", "internal|/usr/lib/sk.so|none"},
    {"SetEnv", "A=1|A=1 B=2 A=3|C=\"x y\"|D="},
    {"SkeyAuthentication", "yes|no"},
    {"StreamLocalBindMask", "0177|077|0|777"},
    {"StreamLocalBindUnlink", "yes|no"},
    {"!StrictModes", "yes|no"},
    {"!Subsystem", "sftp internal-sftp|netconf /usr/bin/netconf -s \"a b\""},
    {"!SyslogFacility", "AUTH|authpriv|local3|DAEMON"},
    {"!TCPKeepAlive", "yes|no"},
    {"!KeepAlive", "yes|no"},
    {"TrustedUserCAKeys", "none|/etc/ssh/ca.pub"},
    {"UnusedConnectionTimeout", "none|5m|0|90"},
    {"!UseDNS", "yes|no"},
    {"!UsePAM", "yes|no"},
    {"!UsePrivilegeSeparation", "yes|sandbox"},
    {"!VersionAddendum", "none|FreeBSD-2016|a b # c"},
    {"X11DisplayOffset", "0|10|100"},
    {"X11Forwarding", "yes|no"},
    {"X11UseLocalhost", "yes|no"},
    {"!XAuthLocation", "none|/usr/bin/xauth"},
};

static const char *const criteria[] = {
    "User root",
    "User *,!root",
    "user=nobody",
    "User daemon,bin,joe",
    "Group root",
    "Group !root,*",
    "GROUP daemon,adm",
    "Group nogroup",
    "Host *.example.org",
    "Host !a*,client*",
    "host=CLIENT.example.*",
    "Address 10.0.0.0/8",
    "Address 192.0.2.*",
    "Address !10.0.0.1,*",
    "Address 2001:db8::/32",
    "Address 10.1,::1",
    "LocalAddress 192.0.2.2",
    "LocalAddress 10.9.0.0/16,::1",
    "LocalPort 22",
    "LocalPort 33001",
    "LocalPort ssh",
    "User \"root\"",
};

static bool chance(struct lh_prng *prng, unsigned percent)
{
    return lh_prng_below(prng, 100) < percent;
}

static void put(struct config_text *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put(struct config_text *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(out->text + out->len, sizeof out->text - out->len, format, arguments);
    va_end(arguments);
    if (len > 0 && out->len + (size_t)len < sizeof out->text)
        out->len += (size_t)len;
}

// The keyword in some case, perhaps in quotes, and something between it and its value.
static void put_keyword(struct lh_prng *prng, const char *keyword, struct config_text *out)
{
    static const char *const betweens[] = {" ", "  ", "\t", "=", " = ", " =", "= "};
    size_t start = out->len;
    bool quoted = chance(prng, 3);

    put(out, quoted ? "\"%s\"" : "%s", keyword);
    unsigned how = (unsigned)lh_prng_below(prng, 6);
    for (size_t i = start; i < out->len && how < 2; i++)
        out->text[i] = (char)(how == 0 ? tolower((unsigned char)out->text[i])
                                       : toupper((unsigned char)out->text[i]));
    if (quoted) // behind a quote sshd takes no '='
        put(out, " ");
    else
        put(out, "%s", betweens[chance(prng, 70) ? 0 : lh_prng_below(prng, 7)]);
}

static void put_value(struct lh_prng *prng, const char *values, struct config_text *out)
{
    size_t count = 1, pick;

    for (const char *at = values; *at != '\0'; at++)
        count += *at == '|';
    for (pick = (size_t)lh_prng_below(prng, count); pick > 0; pick--)
        values = strchr(values, '|') + 1;
    int len = (int)strcspn(values, "|");
    bool plain =
        memchr(values, ' ', (size_t)len) == NULL && memchr(values, '"', (size_t)len) == NULL;
    if (plain && chance(prng, 5))
        put(out, chance(prng, 50) ? "\"%.*s\"" : "'%.*s'", len, values);
    else
        put(out, "%.*s", len, values);
}

static void put_end(struct lh_prng *prng, bool crlf, bool comment, struct config_text *out)
{
    static const char *const tails[] = {" # why", "\t#why \"not", "  ", "\t", "\f", " #"};

    if (chance(prng, 8)) {
        size_t pick = (size_t)lh_prng_below(prng, LH_ARRAY_LEN(tails));
        if (comment || strchr(tails[pick], '#') == NULL)
            put(out, "%s", tails[pick]);
    }
    put(out, crlf ? "\r\n" : "\n");
}

static void put_setting(struct lh_prng *prng, bool in_match, bool crlf, struct config_text *out)
{
    size_t pick = (size_t)lh_prng_below(prng, LH_ARRAY_LEN(settings));
    const char *keyword = settings[pick].keyword;

    if (*keyword == '!' && in_match)
        return;
    keyword += *keyword == '!';
    // In the rest of the line, a lone quote would be an error even behind a '#'.
    bool rest = strcmp(keyword, "ForceCommand") == 0 || strstr(keyword, "Command") != NULL ||
                strcmp(keyword, "VersionAddendum") == 0;
    put(out, "%s", chance(prng, 10) ? "    " : chance(prng, 3) ? "\t" : "");
    put_keyword(prng, keyword, out);
    put_value(prng, settings[pick].values, out);
    put_end(prng, crlf, !rest, out);
}

static void put_match(struct lh_prng *prng, bool crlf, struct config_text *out)
{
    put_keyword(prng, "Match", out);
    if (chance(prng, 15)) {
        put(out, "all");
    } else {
        for (size_t i = 0, count = 1 + (size_t)lh_prng_below(prng, 3); i < count; i++)
            put(out, "%s%s", i == 0 ? "" : " ",
                criteria[lh_prng_below(prng, LH_ARRAY_LEN(criteria))]);
    }
    put_end(prng, crlf, false, out);
}

static void
put_include(struct lh_prng *prng, const char *folder, bool crlf, struct config_text *out)
{
    static const char *const names[] = {"extra*.conf", "extra1.conf", "none*.conf",
                                        "extra[12].conf"};

    put_keyword(prng, "Include", out);
    put(out, "%s/%s", folder, names[lh_prng_below(prng, LH_ARRAY_LEN(names))]);
    if (chance(prng, 20))
        put(out, " \"%s/extra2.conf\"", folder);
    put_end(prng, crlf, true, out);
}

void config_make(struct lh_prng *prng, const char *folder, bool in_match, struct config_text *out)
{
    static const char *const odd[] = {"# comment", "",           "   ",     "\t# Port 1",
                                      "\"Port 22", "#Match all", "Port\"1", "\f"};
    bool crlf = chance(prng, 8);
    size_t lines = (size_t)lh_prng_below(prng, folder == NULL ? 10 : 40);

    out->len = 0;
    out->text[0] = '\0';
    for (size_t i = 0; i < lines; i++) {
        unsigned kind = (unsigned)lh_prng_below(prng, 100);
        if (kind < 9) {
            put_match(prng, crlf, out);
            in_match = true;
        } else if (kind < 16 && folder != NULL) {
            put_include(prng, folder, crlf, out);
        } else if (kind < 24) {
            put(out, "%s%s", odd[lh_prng_below(prng, LH_ARRAY_LEN(odd) - 1)], crlf ? "\r\n" : "\n");
        } else {
            put_setting(prng, in_match, crlf, out);
        }
    }
    if (out->len > 0 && chance(prng, 10))
        out->text[--out->len] = '\0'; // no newline at the end
}
