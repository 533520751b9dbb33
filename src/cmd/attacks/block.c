// SPDX-License-Identifier: Apache-2.0
//
// How it works. Texts to read and then apply by hand, one for each tool. Only sources with an
// attack of at least 60 % confidence are in them, and never one that is guarded: those stand there
// as comments with the reason, so that nobody wonders where they are.
#include <inttypes.h>

#include "base/cleanup.h"
#include "cmd/attacks/again.h"

// "# guarded 192.0.2.7: reason" for each source that would be blocked otherwise.
static void print_guarded(const struct lh_attacks *a, const char *comment, FILE *out)
{
    char text[LH_VERDICT_SUBJECT];
    for (size_t i = 0; i < a->judgement->count; i++) {
        const struct lh_verdict *v = &a->judgement->verdicts[i];
        if (v->source != NULL && v->guard != LH_GUARDED_NOT && v->severity >= LH_SEVERITY_ATTACK)
            (void)fprintf(out, "%s not blocked: %s, %s\n", comment, lh_verdict_subject(v, text),
                          lh_verdict_guard(v));
    }
}

static void print_head(const struct lh_attacks *a, const char *comment, FILE *out)
{
    char when[LH_CIVIL_TEXT];
    (void)fprintf(
        out, "%s Made by lhctl attacks, %s, from the log of %s. Read it before you apply it.\n",
        comment, lh_civil_format(a->now, when), a->host);
}

static void
nft_elements(const struct lh_attacks *a, const struct lh_attacks_args *args, bool v4, FILE *out)
{
    char text[LH_VERDICT_SUBJECT];
    const char *comma = "";
    for (size_t i = 0; i < a->judgement->count; i++) {
        const struct lh_verdict *v = &a->judgement->verdicts[i];
        if (!lh_verdict_blocks(v) || lh_watch_addr_is_v4(&v->source->addr) != v4)
            continue;
        if (*comma == '\0')
            (void)fprintf(out, "add element inet lhctl_attacks %s {\n",
                          v4 ? "sources4" : "sources6");
        (void)fprintf(out, "%s\t%s timeout %" PRIu64 "h", comma, lh_verdict_subject(v, text),
                      args->block_hours);
        comma = ",\n";
    }
    if (*comma != '\0')
        (void)fputs("\n}\n", out);
}

static void print_nft(const struct lh_attacks *a, const struct lh_attacks_args *args, FILE *out)
{
    (void)fputs("#!/usr/sbin/nft -f\n", out);
    print_head(a, "#", out);
    (void)fprintf(out, "# Apply: nft -f FILE (again later: what is in keeps its time)   Undo: nft "
                       "delete table inet lhctl_attacks\n");
    print_guarded(a, "#", out);
    (void)fprintf(
        out,
        "add table inet lhctl_attacks\n"
        "add set inet lhctl_attacks sources4 { type ipv4_addr; flags timeout; }\n"
        "add set inet lhctl_attacks sources6 { type ipv6_addr; flags timeout; }\n"
        "add chain inet lhctl_attacks input { type filter hook input priority -10; policy accept; "
        "}\n"
        "flush chain inet lhctl_attacks input\n"
        "add rule inet lhctl_attacks input tcp dport %u ip saddr @sources4 counter drop\n"
        "add rule inet lhctl_attacks input tcp dport %u ip6 saddr @sources6 counter drop\n",
        a->port, a->port);
    nft_elements(a, args, true, out);
    nft_elements(a, args, false, out);
}

static void
print_fail2ban(const struct lh_attacks *a, const struct lh_attacks_args *args, FILE *out)
{
    char text[LH_WATCH_NET_TEXT];
    print_head(a, "#", out);
    (void)fprintf(out,
                  "# As /etc/fail2ban/jail.d/lhctl.conf; then: fail2ban-client reload sshd\n"
                  "# LogLevel VERBOSE in sshd_config lets it see wrong keys too.\n"
                  "[sshd]\n"
                  "enabled  = true\n"
                  "port     = %u\n"
                  "mode     = aggressive\n"
                  "maxretry = 5\n"
                  "findtime = 10m\n"
                  "bantime  = %" PRIu64 "h\n"
                  "ignoreip =",
                  a->port, args->block_hours);
    for (size_t i = 0; i < args->guards.count; i++)
        (void)fprintf(
            out, " %s",
            lh_watch_net_format(&args->guards.rows[i].addr, args->guards.rows[i].bits, text));
    (void)fputs("\n\n# Those found now, at once:\n", out);
    for (size_t i = 0; i < a->judgement->count; i++) {
        const struct lh_verdict *v = &a->judgement->verdicts[i];
        if (lh_verdict_blocks(v))
            (void)fprintf(out, "#   fail2ban-client set sshd banip %s\n",
                          lh_watch_addr_format(&v->source->addr, text));
    }
    print_guarded(a, "#", out);
}

static void
print_crowdsec(const struct lh_attacks *a, const struct lh_attacks_args *args, FILE *out)
{
    char text[LH_VERDICT_SUBJECT];
    const char *comma = "";
    (void)fputs("[", out);
    for (size_t i = 0; i < a->judgement->count; i++) {
        const struct lh_verdict *v = &a->judgement->verdicts[i];
        if (!lh_verdict_blocks(v))
            continue;
        (void)fprintf(out,
                      "%s\n  {\"duration\": \"%" PRIu64
                      "h\", \"origin\": \"lhctl\", \"reason\": \"ssh: %s\", \"scope\": \"ip\", "
                      "\"type\": \"ban\", \"value\": \"%s\"}",
                      comma, args->block_hours, lh_attack_name(v->kind),
                      lh_verdict_subject(v, text));
        comma = ",";
    }
    (void)fputs("\n]\n", out);
}

static bool harmless_and_shut_out(const struct lh_source *s)
{
    return s->counts[LH_COUNT_PENALTY_DROPS] > 0 || s->counts[LH_COUNT_SUCCESSES] > 0;
}

static bool any_flood(const struct lh_attacks *a)
{
    for (size_t i = 0; i < a->judgement->count; i++) {
        if ((a->judgement->verdicts[i].kinds & 1u << LH_ATTACK_FLOOD) != 0)
            return true;
    }
    return false;
}

// sshd adds a penalty for each connection that failed, and shuts the source out while their sum
// reaches further than `min` into the future (srclimit.c: strictly more). With penalties of a
// quarter of the time and `min` three quarters, the fourth within that quarter does it, for three
// to four quarters. Up to 9.9 `crash` is what an exceeded LoginGraceTime costs, so it is no larger
// here; `invaliduser` came with 10.3, which no longer takes `authfail` for users who do not exist,
// and older ones refuse the word.
static void
print_penalties(const struct lh_attacks *a, const struct lh_attacks_args *args, FILE *out)
{
    char text[LH_WATCH_NET_TEXT];
    uint64_t quarter = 15 * args->block_hours; // minutes
    print_head(a, "#", out);
    (void)fprintf(
        out,
        "# For sshd_config of OpenSSH 9.8 and later, before any Match. Check: sshd -t. Apply: "
        "systemctl reload ssh\n"
        "# The fourth connection within %" PRIu64 " min that fails to log in shuts its source out, "
        "for %" PRIu64 " to %" PRIu64 " min. A person's too:\n"
        "# put those who mistype on the list below. Those who connect and leave are let alone "
        "(noauth stays at 1s).\n"
        "PerSourcePenalties authfail:%" PRIu64 "m grace-exceeded:%" PRIu64 "m crash:%" PRIu64
        "m min:%" PRIu64 "m max:%" PRIu64 "m\n"
        "# From OpenSSH 10.3 on (ssh -V) this too; older ones refuse it:\n"
        "#PerSourcePenalties invaliduser:%" PRIu64 "m\n"
        "PerSourceNetBlockSize 32:64\n",
        quarter, 3 * quarter, 4 * quarter, quarter, quarter, quarter, 3 * quarter, 4 * quarter,
        quarter);
    if (any_flood(a))
        (void)fputs("PerSourceMaxStartups 10\n", out);
    (void)fputs(
        "# Guarded, and sources that work here:\nPerSourcePenaltyExemptList 127.0.0.0/8,::1/128",
        out);
    for (size_t i = 0; i < args->guards.count; i++) {
        if (lh_watch_addr_scope(&args->guards.rows[i].addr) != LH_WATCH_SCOPE_LOOPBACK)
            (void)fprintf(
                out, ",%s",
                lh_watch_net_format(&args->guards.rows[i].addr, args->guards.rows[i].bits, text));
    }
    for (size_t i = 0, shown = 0; i < a->judgement->harmless_count && shown < 50; i++) {
        const struct lh_source *s = a->judgement->harmless[i].source;
        if (!harmless_and_shut_out(s))
            continue;
        if (lh_watch_addr_is_v4(&s->addr)) {
            lh_watch_addr_format(&s->addr, text);
        } else {
            struct lh_watch_addr net = lh_watch_addr_network(&s->addr);
            lh_watch_net_format(&net, lh_watch_network_bits(&net), text);
        }
        (void)fprintf(out, ",%s", text);
        shown++;
    }
    (void)fputs("\n", out);
}

void lh_attacks_block(const struct lh_attacks *attacks,
                      const struct lh_attacks_args *args,
                      FILE *out)
{
    static void (*const writers[])(const struct lh_attacks *, const struct lh_attacks_args *,
                                   FILE *) = {
        [LH_BLOCK_NFT] = print_nft,
        [LH_BLOCK_FAIL2BAN] = print_fail2ban,
        [LH_BLOCK_CROWDSEC] = print_crowdsec,
        [LH_BLOCK_PENALTIES] = print_penalties,
    };
    writers[args->block](attacks, args, out);
}
