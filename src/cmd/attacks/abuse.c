// SPDX-License-Identifier: Apache-2.0
//
// How it works. A report to the operator of a source's network: what desks ask for (UTC times,
// ports, protocol, count, sample lines) in plain words as a mail, or as X-ARF 4 (xarf.org, type
// login_attack) for machines. It is printed, never sent. Who the recipient is can be found by RDAP
// or whois, or with
// --lookup by one DNS question to a public directory of abuse contacts, which tells that directory
// the address.
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "cmd/attacks/again.h"
#include "crypto/hash.h"
#include "sys/clock.h"
#include "watchio/contact.h"

#define SAMPLES 10

static void free_text(char **slot)
{
    free(*slot);
}

static const char *reporter(const struct lh_abuse *abuse)
{
    return abuse->args->from;
}

// Puts an x for each sign of `what`, where it stands as a word: 192.0.2.7 is no part of 192.0.2.77,
// nor a host called ssh one of sshd.
static void blot_out(char *text, const char *what)
{
    size_t len = strlen(what);
    char *at = text;
    while (len > 0 && (at = strstr(at, what)) != NULL) {
        bool inside =
            (at > text && isalnum((unsigned char)at[-1])) || isalnum((unsigned char)at[len]);
        if (!inside)
            memset(at, 'x', len);
        at += inside ? 1 : len;
    }
}

// The name in full and, as syslog has it, its first part.
static void blot_out_name(char *text, const char *name)
{
    char first[256];
    blot_out(text, name);
    (void)snprintf(first, sizeof first, "%.*s", (int)strcspn(name, "."), name);
    blot_out(text, first);
}

// The text with this machine's own addresses and name blotted out, where that is asked for.
static char *mask(const struct lh_abuse *abuse, const char *text, size_t len)
{
    char *masked = calloc(1, len + 1);
    char own[LH_WATCH_ADDR_TEXT];
    if (masked == NULL)
        return NULL;
    memcpy(masked, text, len);
    for (size_t i = 0; abuse->args->mask && i < abuse->args->guards.count; i++) {
        const struct lh_guard_row *row = &abuse->args->guards.rows[i];
        if (strcmp(row->reason, "this machine's own address") == 0)
            blot_out(masked, lh_watch_addr_format(&row->addr, own));
    }
    if (abuse->args->mask)
        blot_out_name(masked, abuse->attacks->own_host);
    return masked;
}

static void mail_recipient(const struct lh_abuse *abuse, FILE *out)
{
    char text[LH_WATCH_ADDR_TEXT];
    char name[LH_CONTACT_NAME];
    const struct lh_watch_addr *addr = &abuse->verdict->source->addr;

    if (abuse->contact != NULL) {
        (void)fprintf(out, "To: %s\n", abuse->contact);
        return;
    }
    lh_watch_addr_format(addr, text);
    (void)fprintf(out, "To: (the abuse contact of %s)\n", text);
    (void)fprintf(out, "# To find it:  whois %s | grep -i abuse\n", text);
    (void)fprintf(
        out, "#              https://rdap.org/ip/%s  (entities with the role \"abuse\")\n", text);
    (void)fprintf(out, "#              dig +short TXT %s  (--lookup asks this)\n",
                  lh_contact_name(addr, name));
}

void lh_abuse_mail(const struct lh_abuse *abuse, FILE *out)
{
    const struct lh_verdict *v = abuse->verdict;
    const struct lh_source *s = v->source;
    char addr[LH_WATCH_ADDR_TEXT];
    char first[LH_CIVIL_TEXT];
    char last[LH_CIVIL_TEXT];
    char kinds[128];
    LH_CLEANUP(free_text) char *lines = mask(abuse, abuse->lines, abuse->lines_len);

    lh_watch_addr_format(&s->addr, addr);
    (void)fprintf(out, "From: %s\n", reporter(abuse));
    mail_recipient(abuse, out);
    if (abuse->contact == NULL)
        (void)fprintf(out, "# Take these lines out before you send it.\n");
    (void)fprintf(out, "Subject: SSH login attack from %s\n\n", addr);
    (void)fprintf(out,
                  "Hello,\n\n"
                  "the address %s, for which you are the contact, attacked an SSH server of ours.\n"
                  "Please look after the machine, or pass this on to whoever runs it.\n\n"
                  "  Source address     %s\n",
                  addr, addr);
    if (s->last_port != 0)
        (void)fprintf(out, "  Source port        %u (the last one)\n", s->last_port);
    (void)fprintf(out,
                  "  Destination        %s, TCP port %u (SSH)\n"
                  "  First seen         %s (UTC)\n"
                  "  Last seen          %s (UTC)\n"
                  "  Login attempts     %" PRIu32 " in %" PRIu32 " %s\n"
                  "  User names tried   %" PRIu32 "\n"
                  "  What it is         %s\n\n",
                  abuse->attacks->host, abuse->attacks->port, lh_civil_format(v->first, first),
                  lh_civil_format(v->last, last), v->tries, s->counts[LH_COUNT_CONNECTIONS],
                  lh_plural(s->counts[LH_COUNT_CONNECTIONS], "connection", "connections"), v->users,
                  lh_verdict_kinds(v, kinds, sizeof kinds));
    (void)fprintf(
        out,
        "From the server's log (its clock may be in local time; the times above are UTC):\n\n%s\n",
        lines != NULL ? lines : "");
    (void)fprintf(out, "Thank you.\n");
}

// A random UUID, version 4.
static void format_uuid(char out[37])
{
    uint8_t b[16];
    char hex[33];
    lh_entropy_fill(b, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    lh_format_hex(b, sizeof b, hex);
    (void)snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
                   hex + 20);
}

static void json_contact(const struct lh_abuse *abuse, const char *name, FILE *out)
{
    const char *from = reporter(abuse);
    const char *at = strrchr(from, '@');
    const char *domain = at != NULL ? at + 1 : from;
    (void)fprintf(out, "  \"%s\": {\"org\": ", name);
    lh_json_text(domain, strlen(domain), out);
    (void)fputs(", \"contact\": ", out);
    lh_json_text(from, strlen(from), out);
    (void)fputs(", \"domain\": ", out);
    lh_json_text(domain, strlen(domain), out);
    (void)fputs("},\n", out);
}

static lh_err json_evidence(const char *lines, FILE *out)
{
    size_t len = strlen(lines);
    uint8_t digest[LH_SHA256_LEN];
    char hex[2 * LH_SHA256_LEN + 1];
    LH_CLEANUP(free_text) char *payload = malloc(len * 4 / 3 + 8);

    if (payload == NULL)
        return LH_E_NOMEM;
    lh_err err = lh_sha256(lines, len, digest);
    if (err != 0)
        return err;
    lh_base64_encode(lines, len, payload);
    static const char *const pads[] = {"", "==", "="};
    (void)fprintf(out,
                  "  \"evidence\": [{\"content_type\": \"text/plain\", \"description\": \"lines of "
                  "sshd's log\", \"payload\": \"%s%s\", "
                  "\"hash\": \"sha256:%s\", \"size\": %zu}],\n",
                  payload, pads[len % 3], lh_format_hex(digest, sizeof digest, hex), len);
    return 0;
}

lh_err lh_abuse_xarf(const struct lh_abuse *abuse, FILE *out)
{
    const struct lh_verdict *v = abuse->verdict;
    char uuid[37];
    char addr[LH_WATCH_ADDR_TEXT];
    char time[LH_CIVIL_TEXT];
    LH_CLEANUP(free_text) char *lines = mask(abuse, abuse->lines, abuse->lines_len);

    if (lines == NULL)
        return LH_E_NOMEM;
    format_uuid(uuid);
    (void)fprintf(
        out,
        "{\n  \"xarf_version\": \"4.0.0\",\n  \"report_id\": \"%s\",\n  \"timestamp\": \"%s\",\n",
        uuid, lh_civil_format(v->last, time));
    json_contact(abuse, "reporter", out);
    json_contact(abuse, "sender", out);
    (void)fprintf(out, "  \"source_identifier\": \"%s\",\n",
                  lh_watch_addr_format(&v->source->addr, addr));
    if (v->source->last_port != 0)
        (void)fprintf(out, "  \"source_port\": %u,\n", v->source->last_port);
    (void)fprintf(
        out,
        "  \"category\": \"connection\",\n  \"type\": \"login_attack\",\n  \"evidence_source\": "
        "\"automated_filter\",\n"
        "  \"protocol\": \"tcp\",\n  \"destination_port\": %u,\n  \"first_seen\": \"%s\",\n",
        abuse->attacks->port, lh_civil_format(v->first, time));
    (void)fprintf(out, "  \"last_seen\": \"%s\",\n  \"confidence\": 0.%02u,\n",
                  lh_civil_format(v->last, time), v->confidence);
    (void)fprintf(
        out, "  \"description\": \"%" PRIu32 " SSH login %s with %" PRIu32 " user %s (%s)\",\n",
        v->tries, lh_plural(v->tries, "attempt", "attempts"), v->users,
        lh_plural(v->users, "name", "names"), lh_attack_name(v->kind));
    lh_err err = json_evidence(lines, out);
    (void)fprintf(out, "  \"tags\": [\"service:ssh\", \"attack:%s\"]\n}\n",
                  lh_attack_name(v->kind));
    return err;
}

static const struct lh_verdict *verdict_on(const struct lh_attacks *a,
                                           const struct lh_watch_addr *addr)
{
    for (size_t i = 0; i < a->judgement->count; i++) {
        const struct lh_verdict *v = &a->judgement->verdicts[i];
        if (v->source != NULL && lh_watch_addr_equal(&v->source->addr, addr))
            return v;
    }
    return NULL;
}

lh_err lh_attacks_abuse(const struct lh_attacks *attacks,
                        const struct lh_attacks_args *args,
                        FILE *out,
                        struct lh_errinfo *info)
{
    struct lh_wanted wanted = {.most = SAMPLES};
    struct lh_abuse abuse = {.attacks = attacks, .args = args};
    char contact[LH_CONTACT_MAX];
    char *lines = NULL;

    if (!lh_watch_addr_parse(lh_span_of(args->abuse, strlen(args->abuse)), &wanted.addr))
        return lh_fail(info, LH_E_INVALID, 0, "\"%s\" is no address", args->abuse);
    abuse.verdict = verdict_on(attacks, &wanted.addr);
    if (abuse.verdict == NULL)
        return lh_fail(info, LH_E_INVALID, 0, "the log shows no attack from %s", args->abuse);
    if (args->lookup) {
        lh_err err = lh_contact_lookup(&wanted.addr, contact, info);
        if (err != 0)
            return err;
        abuse.contact = contact;
    }
    wanted.out = open_memstream(&lines, &abuse.lines_len);
    if (wanted.out == NULL)
        return lh_fail(info, LH_E_NOMEM, 0, "out of memory");
    lh_err err = lh_attacks_lines(args, attacks->logs, &wanted, 1, info);
    (void)fclose(wanted.out);
    abuse.lines = lines;
    // X-ARF has no place for its recipient.
    if (err == 0 && args->xarf)
        mail_recipient(&abuse, stderr);
    if (err == 0 && args->xarf)
        err = lh_abuse_xarf(&abuse, out);
    else if (err == 0)
        lh_abuse_mail(&abuse, out);
    free(lines);
    return err;
}
