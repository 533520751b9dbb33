// SPDX-License-Identifier: Apache-2.0
//
// How it works. The C library sends the question and checks that the answer belongs to it;
// ns_parserr walks the answer within its bounds.
#include "watchio/contact.h"

#include <arpa/nameser.h>
#include <resolv.h>
#include <stdio.h>

#include "base/assert.h"

char *lh_contact_name(const struct lh_watch_addr *addr, char out[LH_CONTACT_NAME])
{
    const uint8_t *b = addr->bytes;
    size_t used = 0;
    if (lh_watch_addr_is_v4(addr)) {
        used = (size_t)snprintf(out, LH_CONTACT_NAME, "%u.%u.%u.%u.", b[15], b[14], b[13], b[12]);
    } else {
        for (unsigned i = 0; i < 16; i++)
            used += (size_t)snprintf(out + used, LH_CONTACT_NAME - used, "%x.%x.", b[15 - i] & 15,
                                     b[15 - i] >> 4);
    }
    (void)snprintf(out + used, LH_CONTACT_NAME - used, "abuse-contacts.abusix.zone");
    return out;
}

static bool is_mail_address(struct lh_span text)
{
    size_t ats = 0;
    if (text.len < 3)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     memchr("@._+-", c, 5) != NULL;
        if (!plain)
            return false;
        ats += c == '@';
    }
    return ats == 1 && text.at[0] != '@' && text.at[0] != '-' && text.at[text.len - 1] != '@';
}

static bool is_between(char c)
{
    return c == ',' || c == ';' || c == ' ' || c == '\t';
}

// Those of "a@example.net,b@example.net" that are mail addresses; all of them fit, since a text has
// at most 255 bytes and none gets more than one longer. False where none is.
static bool take_addresses(struct lh_span text, char out[LH_CONTACT_MAX])
{
    size_t used = 0;
    while (text.len > 0) {
        size_t len = 0;
        while (len < text.len && !is_between(text.at[len]))
            len++;
        struct lh_span address = lh_span_head(text, len);
        text = lh_span_skip(text, len + 1);
        if (!is_mail_address(address))
            continue;
        LH_ASSERT(used + address.len + 3 <= LH_CONTACT_MAX);
        used += (size_t)snprintf(out + used, LH_CONTACT_MAX - used, "%s%.*s", used > 0 ? ", " : "",
                                 (int)address.len, address.at);
    }
    return used > 0;
}

bool lh_contact_from_answer(const uint8_t *answer, size_t len, char out[LH_CONTACT_MAX])
{
    ns_msg message;
    ns_rr record;
    if (len > 65535 || ns_initparse(answer, (int)len, &message) != 0)
        return false;
    for (int i = 0; i < ns_msg_count(message, ns_s_an); i++) {
        if (ns_parserr(&message, ns_s_an, i, &record) != 0)
            return false;
        const uint8_t *data = ns_rr_rdata(record);
        if (ns_rr_type(record) != ns_t_txt || ns_rr_rdlen(record) < 1 ||
            data[0] + 1u > ns_rr_rdlen(record))
            continue;
        if (take_addresses(lh_span_of((const char *)data + 1, data[0]), out))
            return true;
    }
    return false;
}

lh_err lh_contact_lookup(const struct lh_watch_addr *addr,
                         char out[LH_CONTACT_MAX],
                         struct lh_errinfo *info)
{
    char name[LH_CONTACT_NAME];
    uint8_t answer[4096];
    int len = res_query(lh_contact_name(addr, name), ns_c_in, ns_t_txt, answer, sizeof answer);
    if (len <= 0 || !lh_contact_from_answer(
                        answer, (size_t)len < sizeof answer ? (size_t)len : sizeof answer, out))
        return lh_fail(info, LH_E_SYS, 0,
                       "DNS names no abuse contact (TXT of %s): use whois or https://rdap.org",
                       name);
    return 0;
}
