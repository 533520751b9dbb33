// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "check.h"
#include "watchio/contact.h"

// A DNS answer with one question and a TXT record for each text.
struct answer {
    uint8_t bytes[2048];
    size_t len;
};

static void put(struct answer *a, const void *data, size_t len)
{
    assert_true(a->len + len <= sizeof a->bytes);
    memcpy(a->bytes + a->len, data, len);
    a->len += len;
}

static struct answer answer_of(const char *const *texts, unsigned count)
{
    struct answer a = {.len = 0};
    uint8_t head[12] = {0, 1, 0x81, 0x80, 0, 1, 0, (uint8_t)count, 0, 0, 0, 0};
    put(&a, head, sizeof head);
    put(&a, "\1x\7example\0\0\x10\0\1", 15);
    for (unsigned i = 0; i < count; i++) {
        size_t len = strlen(texts[i]);
        uint8_t row[13] = {0xc0,
                           12,
                           0,
                           16,
                           0,
                           1,
                           0,
                           0,
                           0,
                           60,
                           (uint8_t)((len + 1) >> 8),
                           (uint8_t)(len + 1),
                           (uint8_t)len};
        put(&a, row, sizeof row);
        put(&a, texts[i], len);
    }
    return a;
}

static void only_mail_addresses_are_taken(void **state)
{
    static const struct {
        const char *text;
        const char *contact; // NULL: none
    } rows[] = {
        {"abuse@example.net", "abuse@example.net"},
        {"abuse@example.net,noc@example.net", "abuse@example.net, noc@example.net"},
        {"a@example.net; b@example.net c@example.net",
         "a@example.net, b@example.net, c@example.net"},
        {"abuse@example.net,not an address", "abuse@example.net"},
        {"", NULL},
        {",", NULL},
        {"@", NULL},
        {"a@", NULL},
        {"@b", NULL},
        {"a@b@c", NULL},
        {"-oProxyCommand=x@example.net", NULL},
        {"abuse@example.net\nBcc: all@example.net", "all@example.net"},
        {"abuse@example.net\r\nBcc:all@example.net", NULL},
        {"<script>@example.net", NULL},
    };
    char out[LH_CONTACT_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct answer a = answer_of(&rows[i].text, 1);
        bool found = lh_contact_from_answer(a.bytes, a.len, out);
        if (found != (rows[i].contact != NULL))
            fail_msg("\"%s\": %s", rows[i].text, found ? out : "nothing");
        if (found)
            assert_string_equal(out, rows[i].contact);
    }
}

static void the_longest_text_fits(void **state)
{
    char text[256];
    const char *texts[] = {"no address", text};
    char out[LH_CONTACT_MAX];
    size_t used = 0;
    (void)state;
    while (used + 4 < sizeof text)
        used += (size_t)snprintf(text + used, sizeof text - used, "%sa@b", used > 0 ? "," : "");
    struct answer a = answer_of(texts, 2);
    assert_true(lh_contact_from_answer(a.bytes, a.len, out));
    assert_true(strlen(out) > 300);
    // Cut off anywhere it is no answer, or one with what is whole.
    for (size_t len = 0; len < a.len; len++)
        (void)lh_contact_from_answer(a.bytes, len, out);
}

static void the_question_is_the_address_backwards(void **state)
{
    struct lh_watch_addr addr;
    char name[LH_CONTACT_NAME];
    (void)state;
    assert_true(lh_watch_addr_parse(LH_SPAN("203.0.113.7"), &addr));
    assert_string_equal(lh_contact_name(&addr, name), "7.113.0.203.abuse-contacts.abusix.zone");
    assert_true(lh_watch_addr_parse(LH_SPAN("2001:db8::12"), &addr));
    assert_string_equal(lh_contact_name(&addr, name),
                        "2.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2."
                        "abuse-contacts.abusix.zone");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_mail_addresses_are_taken),
        cmocka_unit_test(the_longest_text_fits),
        cmocka_unit_test(the_question_is_the_address_backwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
