// SPDX-License-Identifier: Apache-2.0
//
// The set-up dialogue as transcripts: whole, one byte at a time, damaged, hostile, and against the
// golden bytes of version 1 (tests/unit/golden/hello-v1.hex), which may never change.
#include "control/hello.h"

#include "base/cleanup.h"
#include "base/prng.h"
#include "base/text.h"
#include "check.h"

static struct lh_hello_info offer(uint8_t fill)
{
    struct lh_hello_info info = {
        .aeads = {1, 2, 3},
        .aead_count = 3,
        .digests = {1},
        .digest_count = 1,
        .lanes_max = 4,
        .block_log2_max = 20,
        .epoch_shift_max = LH_EPOCH_SHIFT,
        .packet_max = 9000,
        .receive_budget = LH_MEMORY_DEFAULT,
        .udp_port = 33001,
        .software = "longhaul 0.1.0",
    };
    memset(info.secret, fill, sizeof info.secret);
    return info;
}

static const struct lh_hello_address server_addresses[] = {
    {4, {192, 0, 2, 7}},
    {6, {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
};

static size_t copy_output(const struct lh_hello *from, uint8_t wire[LH_HELLO_MAX])
{
    size_t len;
    const uint8_t *bytes = lh_hello_output(from, &len);
    memcpy(wire, bytes, len);
    return len;
}

// Everything `from` has to say goes to `to`, `step` bytes at a time.
static lh_err deliver(struct lh_hello *from, struct lh_hello *to, size_t step)
{
    lh_err err = LH_AGAIN;
    size_t len, used;

    while (lh_hello_output(from, &len) != NULL && len > 0 && err == LH_AGAIN) {
        size_t part = len < step ? len : step;
        err = lh_hello_feed(to, lh_hello_output(from, &len), part, &used);
        lh_hello_sent(from, part);
        if (err >= 0)
            check_uint(used, part);
    }
    return err;
}

static void answer(struct lh_hello *server)
{
    lh_hello_answer(server, 0xcafe0001, 33001, server_addresses, LH_ARRAY_LEN(server_addresses));
}

static void agree(struct lh_hello *client, struct lh_hello *server, size_t step)
{
    check_ok(deliver(client, server, step));
    answer(server);
    check_ok(deliver(server, client, step));
}

static bool bytes_agree(const struct lh_hello *a, const struct lh_hello *b, enum lh_role role)
{
    size_t a_len, b_len;
    const uint8_t *a_bytes = lh_hello_bytes(a, role, &a_len);
    const uint8_t *b_bytes = lh_hello_bytes(b, role, &b_len);
    return a_len == b_len && memcmp(a_bytes, b_bytes, a_len) == 0;
}

static void both_ends_compute_the_same_session(void **state)
{
    (void)state;
    struct lh_hello client, server;
    struct lh_hello_info wish = offer(0x11), have = offer(0x22);
    const struct lh_session_params *c, *s;

    wish.aeads[0] = 3;
    wish.aead_count = 1;
    wish.block_log2_max = 18;
    wish.udp_port = 0;
    wish.features = 0x0f;
    have.features = 0x3c;
    have.lanes_max = 2;
    have.epoch_shift_max = 5;
    have.packet_max = 1472;
    have.receive_budget = LH_MEMORY_MIN;
    for (size_t step = 1; step < 700; step = step < 3 ? step + 1 : step * 7) {
        lh_hello_init(&client, LH_ROLE_CLIENT, &wish);
        lh_hello_init(&server, LH_ROLE_SERVER, &have);
        agree(&client, &server, step);
        c = lh_hello_params(&client);
        s = lh_hello_params(&server);
        assert_true(c->is_client && !s->is_client);
        check_uint(c->major, 1);
        check_uint(c->features, 0x0c);
        check_uint(c->aead, 3);
        check_uint(c->digest, 1);
        check_uint(c->lanes_max, 2);
        check_uint(c->block_log2, 18);
        check_uint(c->epoch_shift, 5);
        check_uint(c->packet_max, 1472);
        check_uint(c->session_id, 0xcafe0001);
        check_uint(c->udp_port, 33001);
        check_uint(c->address_count, 2);
        assert_memory_equal(c->addresses, server_addresses, sizeof server_addresses);
        check_uint(c->own_receive_budget, LH_MEMORY_DEFAULT);
        check_uint(c->peer_receive_budget, LH_MEMORY_MIN);
        assert_string_equal(c->peer_software, "longhaul 0.1.0");
        check_uint(s->aead, c->aead);
        check_uint(s->block_log2, c->block_log2);
        check_uint(s->epoch_shift, c->epoch_shift);
        check_uint(s->session_id, c->session_id);
        check_uint(s->own_receive_budget, c->peer_receive_budget);
        assert_true(bytes_agree(&client, &server, LH_ROLE_CLIENT));
        assert_true(bytes_agree(&client, &server, LH_ROLE_SERVER));
        check_uint(lh_hello_secret(&client, LH_ROLE_SERVER)[0], 0x22);
        check_uint(lh_hello_secret(&server, LH_ROLE_CLIENT)[31], 0x11);
        lh_hello_fini(&client);
        lh_hello_fini(&server);
    }
}

static void the_client_says_how_fast_the_server_may_send(void **state)
{
    (void)state;
    static const struct {
        struct lh_hello_pace pace;
        bool is_refused;
    } cases[] = {
        {{0, 0, 0}, false},
        {{LH_HELLO_FAIR, 125000000, 0}, false},
        {{LH_HELLO_HIGH, 0, 1000}, false},
        {{LH_HELLO_LOW, 1000, 0}, false},
        {{LH_HELLO_FIXED, 1000, 1000}, false},
        {{LH_HELLO_FIXED, 0, 0}, true}, // fixed at what?
        {{LH_HELLO_POLICY_N_, 1000, 0}, true},
        {{LH_HELLO_FAIR, 1000, 1001}, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lh_hello client, server;
        struct lh_hello_info wish = offer(1), have = offer(2);
        size_t len, used;
        const uint8_t *bytes;
        wish.pace = cases[i].pace;
        lh_hello_init(&client, LH_ROLE_CLIENT, &wish);
        lh_hello_init(&server, LH_ROLE_SERVER, &have);
        bytes = lh_hello_output(&client, &len);
        lh_err err = lh_hello_feed(&server, bytes, len, &used);
        check_err(err, cases[i].is_refused ? LH_E_PROTO : 0);
        if (!cases[i].is_refused) {
            const struct lh_hello_pace *heard = &lh_hello_peer(&server)->pace;
            check_uint(heard->policy, cases[i].pace.policy);
            check_uint(heard->rate_target, cases[i].pace.rate_target);
            check_uint(heard->rate_min, cases[i].pace.rate_min);
        }
        lh_hello_fini(&client);
        lh_hello_fini(&server);
    }
}

static void the_servers_receive_budget_is_never_above_the_clients(void **state)
{
    (void)state;
    static const struct {
        uint64_t client, server, expected;
    } cases[] = {
        {LH_MEMORY_MIN, LH_MEMORY_DEFAULT, LH_MEMORY_MIN},
        {LH_MEMORY_DEFAULT, LH_MEMORY_MIN, LH_MEMORY_MIN},
        {4 * LH_MEMORY_DEFAULT, LH_MEMORY_DEFAULT, LH_MEMORY_DEFAULT},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct lh_hello client, server;
        struct lh_hello_info wish = offer(1), have = offer(2);
        wish.receive_budget = cases[i].client;
        have.receive_budget = cases[i].server;
        lh_hello_init(&client, LH_ROLE_CLIENT, &wish);
        lh_hello_init(&server, LH_ROLE_SERVER, &have);
        agree(&client, &server, 4096);
        check_uint(lh_hello_params(&server)->own_receive_budget, cases[i].expected);
        check_uint(lh_hello_params(&client)->peer_receive_budget, cases[i].expected);
        check_uint(lh_hello_params(&client)->own_receive_budget, cases[i].client);
    }
}

static void client_wish_decides_between_common_ciphers(void **state)
{
    (void)state;
    static const struct {
        uint8_t client[3], client_count, server[3], server_count;
        int chosen;
    } cases[] = {
        {{2, 1}, 2, {1, 2, 3}, 3, 2},
        {{9, 3}, 2, {1, 2, 3}, 3, 3},
        {{1}, 1, {1}, 1, 1},
        {{9}, 1, {1, 2}, 2, -1},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct lh_hello client, server;
        struct lh_hello_info wish = offer(1), have = offer(2);
        lh_err err;
        memcpy(wish.aeads, cases[i].client, 3);
        wish.aead_count = cases[i].client_count;
        memcpy(have.aeads, cases[i].server, 3);
        have.aead_count = cases[i].server_count;
        lh_hello_init(&client, LH_ROLE_CLIENT, &wish);
        lh_hello_init(&server, LH_ROLE_SERVER, &have);
        err = deliver(&client, &server, 4096);
        if (cases[i].chosen >= 0) {
            check_ok(err);
            answer(&server);
            check_ok(deliver(&server, &client, 4096));
            check_int(lh_hello_params(&client)->aead, cases[i].chosen);
            continue;
        }
        check_err(err, LH_E_VERSION);
        check_int(lh_hello_failure(&server)->why, LH_HELLO_AEAD);
        check_err(deliver(&server, &client, 4096), LH_E_INVALID);
        check_int(lh_hello_failure(&client)->why, LH_HELLO_REFUSED);
        check_int(lh_hello_failure(&client)->peer_why, LH_HELLO_AEAD);
    }
}

static void highest_common_major_wins_or_both_ranges_are_named(void **state)
{
    (void)state;
    static const struct {
        uint8_t client_min, client_max, server_min, server_max;
        int major; // 0: none in common
    } cases[] = {
        {1, 1, 1, 1, 1}, {1, 3, 1, 2, 2}, {2, 3, 1, 2, 2}, {1, 2, 1, 9, 2},
        {1, 1, 2, 3, 0}, {4, 5, 1, 3, 0}, {1, 1, 2, 2, 0},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct lh_hello client, server;
        struct lh_hello_info wish = offer(1), have = offer(2);
        wish.major_min = cases[i].client_min;
        wish.major_max = cases[i].client_max;
        have.major_min = cases[i].server_min;
        have.major_max = cases[i].server_max;
        lh_hello_init(&client, LH_ROLE_CLIENT, &wish);
        lh_hello_init(&server, LH_ROLE_SERVER, &have);
        if (cases[i].major > 0) {
            agree(&client, &server, 4096);
            check_int(lh_hello_params(&client)->major, cases[i].major);
            check_int(lh_hello_params(&server)->major, cases[i].major);
            continue;
        }
        check_err(deliver(&client, &server, 4096), LH_E_VERSION);
        check_err(deliver(&server, &client, 4096), LH_E_VERSION);
        const struct lh_hello_failure *failure = lh_hello_failure(&client);
        check_int(failure->why, LH_HELLO_VERSION);
        check_uint(failure->own_major_min, cases[i].client_min);
        check_uint(failure->own_major_max, cases[i].client_max);
        check_uint(failure->peer_major_min, cases[i].server_min);
        check_uint(failure->peer_major_max, cases[i].server_max);
        check_int(lh_hello_peer_is_older(failure), cases[i].server_max < cases[i].client_max);
        assert_null(lh_hello_params(&client));
    }
}

static void login_noise_is_skipped_and_kept_for_the_report(void **state)
{
    (void)state;
    static const char *const noises[] = {
        "Welcome!\r\n",
        "\x89",
        "\x89LHC\x89LHCP\r\n",
        "\x89\x89\x89L",
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(noises); i++) {
        struct lh_hello client, server;
        struct lh_hello_info wish = offer(1), have = offer(2);
        size_t used, len;
        lh_hello_init(&client, LH_ROLE_CLIENT, &wish);
        lh_hello_init(&server, LH_ROLE_SERVER, &have);
        check_ok(deliver(&client, &server, 1));
        answer(&server);
        check_err(lh_hello_feed(&client, noises[i], strlen(noises[i]), &used), LH_AGAIN);
        check_ok(deliver(&server, &client, 1));
        const uint8_t *noise = lh_hello_noise(&client, &len);
        check_uint(len, strlen(noises[i]));
        assert_memory_equal(noise, noises[i], len);
    }
}

static void noise_has_a_limit(void **state)
{
    (void)state;
    struct lh_hello client;
    struct lh_hello_info wish = offer(1);
    static uint8_t junk[LH_NOISE_MAX + 1];
    size_t used, len;

    memset(junk, 'x', sizeof junk);
    lh_hello_init(&client, LH_ROLE_CLIENT, &wish);
    check_err(lh_hello_feed(&client, junk, LH_NOISE_MAX, &used), LH_AGAIN);
    check_err(lh_hello_feed(&client, junk, 1, &used), LH_E_LIMIT);
    check_int(lh_hello_failure(&client)->why, LH_HELLO_NOISE);
    (void)lh_hello_noise(&client, &len);
    check_uint(len, LH_NOISE_MAX);

    // A partial magic counts as noise once it turned out to be none.
    lh_hello_init(&client, LH_ROLE_CLIENT, &wish);
    check_err(lh_hello_feed(&client, junk, LH_NOISE_MAX - 3, &used), LH_AGAIN);
    check_err(lh_hello_feed(&client, "\x89LHCx", 5, &used), LH_E_LIMIT);
}

static void bytes_behind_hello_are_left_to_the_caller(void **state)
{
    (void)state;
    struct lh_hello client, server;
    struct lh_hello_info wish = offer(1), have = offer(2);
    uint8_t wire[LH_HELLO_MAX];
    size_t len, used;

    lh_hello_init(&client, LH_ROLE_CLIENT, &wish);
    lh_hello_init(&server, LH_ROLE_SERVER, &have);
    len = copy_output(&client, wire);
    memcpy(wire + len, "frames", 6);
    check_ok(lh_hello_feed(&server, wire, len + 6, &used));
    check_uint(used, len);
}

// T23: whatever is changed on the way, the ends either fail or hold different transcripts, from
// which follow different keys. An end that waits for more has not succeeded either.
static void every_changed_byte_fails_or_changes_the_transcript(void **state)
{
    (void)state;
    for (int direction = 0; direction < 2; direction++) {
        size_t len = 1;
        for (size_t at = 0; at < len; at++) {
            for (unsigned bit = 0; bit < 8; bit++) {
                struct lh_hello client, server;
                struct lh_hello_info wish = offer(1), have = offer(2);
                uint8_t wire[LH_HELLO_MAX];
                size_t used;
                lh_err err;
                lh_hello_init(&client, LH_ROLE_CLIENT, &wish);
                lh_hello_init(&server, LH_ROLE_SERVER, &have);
                struct lh_hello *to = direction == 0 ? &server : &client;
                struct lh_hello *from = direction == 0 ? &client : &server;
                if (direction == 1) {
                    check_ok(deliver(&client, &server, 4096));
                    answer(&server);
                }
                len = copy_output(from, wire);
                wire[at] ^= (uint8_t)(1u << bit);
                err = lh_hello_feed(to, wire, len, &used);
                if (err != 0) {
                    assert_null(lh_hello_params(to));
                    continue;
                }
                if (direction == 0) {
                    answer(&server);
                    if (deliver(&server, &client, 4096) != 0)
                        continue;
                }
                assert_false(bytes_agree(&client, &server, (enum lh_role)direction));
            }
        }
        check_int(len > 100, true);
    }
}

// Feeds a hand-made HELLO (body in hex, after the length) to a client or server.
static lh_err feed_body(struct lh_hello *hello, const uint8_t *body, size_t len)
{
    uint8_t wire[16 + LH_HELLO_MAX] = {0x89, 'L', 'H', 'C', 'P', '\r', '\n', 0x1a};
    size_t used;

    wire[8] = (uint8_t)len;
    wire[9] = (uint8_t)(len >> 8);
    memcpy(wire + 10, body, len);
    return lh_hello_feed(hello, wire, 10 + len, &used);
}

// The body of a good HELLO, ready to be spoilt. Returns its length.
static size_t good_body(enum lh_role role, uint8_t out[LH_HELLO_MAX])
{
    struct lh_hello client, server;
    struct lh_hello_info wish = offer(1), have = offer(2);
    size_t len;

    lh_hello_init(&client, LH_ROLE_CLIENT, &wish);
    lh_hello_init(&server, LH_ROLE_SERVER, &have);
    agree(&client, &server, 4096);
    const uint8_t *bytes = lh_hello_bytes(&client, role, &len);
    memcpy(out, bytes + 2, len - 2);
    return len - 2;
}

static void unknown_optional_fields_are_skipped_and_critical_ones_end_it(void **state)
{
    (void)state;
    static const struct {
        uint8_t field[8];
        size_t len;
        lh_err err;
        enum lh_hello_why why;
    } cases[] = {
        {{0x77, 0x00, 3, 0, 1, 2, 3}, 7, 0, LH_HELLO_FINE},
        {{0xff, 0x7f, 0, 0}, 4, 0, LH_HELLO_FINE},
        {{0x00, 0x00, 0, 0}, 4, 0, LH_HELLO_FINE},
        {{0x77, 0x80, 3, 0, 1, 2, 3}, 7, LH_E_VERSION, LH_HELLO_CRITICAL},
        {{0xff, 0xff, 0, 0}, 4, LH_E_VERSION, LH_HELLO_CRITICAL},
        {{0x77, 0x00, 4, 0, 1, 2, 3}, 7, LH_E_PROTO, LH_HELLO_SYNTAX}, // runs over the end
        {{0x77, 0x00, 4}, 3, LH_E_PROTO, LH_HELLO_SYNTAX},
        {{0x77}, 1, LH_E_PROTO, LH_HELLO_SYNTAX},
        {{0x04, 0x80, 1, 0, 2}, 5, LH_E_PROTO, LH_HELLO_SYNTAX},          // a second lanes_max
        {{0x0a, 0x80, 4, 0, 1, 0, 0, 0}, 8, LH_E_PROTO, LH_HELLO_SYNTAX}, // a client's session id
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct lh_hello server;
        struct lh_hello_info have = offer(2);
        uint8_t body[LH_HELLO_MAX];
        size_t len = good_body(LH_ROLE_CLIENT, body);
        memcpy(body + len, cases[i].field, cases[i].len);
        lh_hello_init(&server, LH_ROLE_SERVER, &have);
        check_err(feed_body(&server, body, len + cases[i].len), cases[i].err);
        check_int(lh_hello_failure(&server)->why, cases[i].why);
    }
}

// Every field at a forbidden value or length, and left out.
static void fields_out_of_range_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint8_t tag;
        uint8_t value[8];
        size_t len;
    } cases[] = {
        {2, {0}, 0},           {3, {0}, 0},
        {4, {0}, 1},           {4, {17}, 1},
        {4, {1, 0}, 2},        {5, {15}, 1},
        {5, {23}, 1},          {6, {1}, 1},
        {6, {23}, 1},          {7, {0xaf, 4}, 2},
        {7, {1, 0x24}, 2},     {8, {0, 0, 0x7f}, 8},
        {8, {1}, 4},           {9, {1}, 1},
        {10, {0, 0, 0, 0}, 4}, {11, {5, 1, 2, 3, 4}, 5},
        {11, {4, 1, 2, 3}, 4}, {12, {'a', 0, 'b'}, 3},
        {2, {1, 2}, 2}, // the server names two ciphers
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        for (int left_out = 0; left_out < 2; left_out++) {
            struct lh_hello client;
            struct lh_hello_info wish = offer(1);
            uint8_t body[LH_HELLO_MAX], spoilt[LH_HELLO_MAX];
            size_t len = good_body(LH_ROLE_SERVER, body), at = 12, to = 12;
            memcpy(spoilt, body, 12);
            while (at < len) {
                size_t field_len = 4 + (size_t)body[at + 2] + 256 * (size_t)body[at + 3];
                if (body[at] != cases[i].tag) {
                    memcpy(spoilt + to, body + at, field_len);
                    to += field_len;
                } else if (!left_out) {
                    memcpy(spoilt + to, body + at, 2);
                    spoilt[to + 2] = (uint8_t)cases[i].len;
                    spoilt[to + 3] = 0;
                    memcpy(spoilt + to + 4, cases[i].value, cases[i].len);
                    to += 4 + cases[i].len;
                }
                at += field_len;
            }
            lh_hello_init(&client, LH_ROLE_CLIENT, &wish);
            lh_err err = feed_body(&client, spoilt, to);
            if (left_out && cases[i].tag == 12)
                check_ok(err); // the software's name is the only optional one here
            else if (err >= 0)
                fail_msg("case %zu (tag %d, left out %d) was accepted", i, cases[i].tag, left_out);
        }
    }
}

static void hello_length_is_bounded(void **state)
{
    (void)state;
    static const uint8_t lengths[][2] = {{0, 0}, {1, 0x10}, {0xff, 0xff}};
    for (size_t i = 0; i < LH_ARRAY_LEN(lengths); i++) {
        struct lh_hello server;
        struct lh_hello_info have = offer(2);
        uint8_t wire[10] = {0x89, 'L', 'H', 'C', 'P', '\r', '\n', 0x1a};
        size_t used, len;
        memcpy(wire + 8, lengths[i], 2);
        lh_hello_init(&server, LH_ROLE_SERVER, &have);
        check_err(lh_hello_feed(&server, wire, sizeof wire, &used), LH_E_PROTO);
        (void)lh_hello_output(&server, &len);
        check_int(len > 0, true); // the client is told
    }
}

static void an_echo_of_our_own_hello_is_refused(void **state)
{
    (void)state;
    struct lh_hello client;
    struct lh_hello_info wish = offer(1);
    uint8_t wire[LH_HELLO_MAX];
    size_t len, used;

    lh_hello_init(&client, LH_ROLE_CLIENT, &wish);
    len = copy_output(&client, wire);
    check_err(lh_hello_feed(&client, wire, len, &used), LH_E_PROTO);
    check_int(lh_hello_failure(&client)->why, LH_HELLO_ROLE);
}

static void a_refusal_brings_the_servers_words(void **state)
{
    (void)state;
    struct lh_hello client, server;
    struct lh_hello_info wish = offer(1), have = offer(2);
    char text[LH_REASON_MAX + 100];

    memset(text, 'r', sizeof text);
    text[sizeof text - 1] = '\0';
    lh_hello_init(&client, LH_ROLE_CLIENT, &wish);
    lh_hello_init(&server, LH_ROLE_SERVER, &have);
    check_ok(deliver(&client, &server, 4096));
    lh_hello_refuse(&server, text);
    check_err(deliver(&server, &client, 3), LH_E_INVALID);
    check_int(lh_hello_failure(&client)->why, LH_HELLO_REFUSED);
    check_uint(strlen(lh_hello_failure(&client)->text), LH_REASON_MAX);
}

static void random_bytes_never_agree(void **state)
{
    (void)state;
    struct lh_prng prng = {check_seed(7)};
    for (int round = 0; round < 20000; round++) {
        struct lh_hello client;
        struct lh_hello_info wish = offer(1);
        uint8_t body[300];
        size_t len = 1 + lh_prng_below(&prng, sizeof body);
        lh_prng_fill(&prng, body, len);
        if (len >= 4)
            memcpy(body, "\1\1\1\0", 4);
        lh_hello_init(&client, LH_ROLE_CLIENT, &wish);
        assert_true(feed_body(&client, body, len) < 0);
    }
}

static void fini_leaves_no_secret_behind(void **state)
{
    (void)state;
    struct lh_hello client, server;
    struct lh_hello_info wish = offer(0x5a), have = offer(0x5b);
    size_t left = 0;

    lh_hello_init(&client, LH_ROLE_CLIENT, &wish);
    lh_hello_init(&server, LH_ROLE_SERVER, &have);
    agree(&client, &server, 4096);
    lh_hello_fini(&client);
    lh_hello_fini(&client);
    for (size_t i = 0; i < sizeof client; i++)
        left += ((const uint8_t *)&client)[i] == 0x5a || ((const uint8_t *)&client)[i] == 0x5b;
    check_uint(left, 0);
}

// Reads the next line of the golden file: "name hex".
static size_t golden_line(FILE *file, const char *name, uint8_t *out, size_t room)
{
    char line[4096];
    size_t len = 0;

    while (fgets(line, sizeof line, file) != NULL) {
        char *at = line + strlen(name) + 1;
        if (strncmp(line, name, strlen(name)) != 0)
            continue;
        for (; at[0] != '\n' && at[0] != '\0' && len < room; at += 2) {
            char pair[3] = {at[0], at[1], '\0'};
            out[len++] = (uint8_t)strtoul(pair, NULL, 16);
        }
        return len;
    }
    fail_msg("%s is not in the golden file", name);
    return 0;
}

static void version_1_speaks_its_golden_bytes(void **state)
{
    (void)state;
    struct lh_hello client, server;
    struct lh_hello_info wish = offer(0xc1), have = offer(0x5e);
    uint8_t golden[LH_HELLO_MAX];
    char hex[2 * LH_HELLO_MAX];
    size_t len;
    FILE *file = fopen(LH_TEST_GOLDEN "/hello-v1.hex", "re");

    assert_non_null(file);
    lh_hello_init(&client, LH_ROLE_CLIENT, &wish);
    lh_hello_init(&server, LH_ROLE_SERVER, &have);
    const uint8_t *bytes = lh_hello_output(&client, &len);
    print_message("# client %s\n", lh_format_hex(bytes, len, hex));
    check_uint(golden_line(file, "client", golden, sizeof golden), len);
    assert_memory_equal(bytes, golden, len);
    check_ok(deliver(&client, &server, 4096));
    answer(&server);
    bytes = lh_hello_output(&server, &len);
    print_message("# server %s\n", lh_format_hex(bytes, len, hex));
    check_uint(golden_line(file, "server", golden, sizeof golden), len);
    assert_memory_equal(bytes, golden, len);
    check_ok(deliver(&server, &client, 4096));

    wish.pace = (struct lh_hello_pace){LH_HELLO_FIXED, 2500000, 125000};
    lh_hello_init(&client, LH_ROLE_CLIENT, &wish);
    bytes = lh_hello_output(&client, &len);
    print_message("# paced-client %s\n", lh_format_hex(bytes, len, hex));
    check_uint(golden_line(file, "paced-client", golden, sizeof golden), len);
    assert_memory_equal(bytes, golden, len);

    wish.pace = (struct lh_hello_pace){0};
    wish.features = have.features = LH_FEATURE_ATTACH | LH_FEATURE_ECN;
    wish.attach = (struct lh_hello_attach){.session_id = 0xcafe0001, .count = 3};
    memset(wish.attach.name, 0xd2, sizeof wish.attach.name);
    memset(wish.attach.proof, 0xe3, sizeof wish.attach.proof);
    lh_hello_init(&client, LH_ROLE_CLIENT, &wish);
    lh_hello_init(&server, LH_ROLE_SERVER, &have);
    bytes = lh_hello_output(&client, &len);
    print_message("# returning-client %s\n", lh_format_hex(bytes, len, hex));
    check_uint(golden_line(file, "returning-client", golden, sizeof golden), len);
    assert_memory_equal(bytes, golden, len);
    check_ok(deliver(&client, &server, 4096));
    lh_hello_attached(&server, wish.attach.proof);
    lh_hello_answer(&server, 0xcafe0001, 0, NULL, 0);
    bytes = lh_hello_output(&server, &len);
    print_message("# attached-server %s\n", lh_format_hex(bytes, len, hex));
    check_uint(golden_line(file, "attached-server", golden, sizeof golden), len);
    assert_memory_equal(bytes, golden, len);
    (void)fclose(file);
}

static void a_client_that_comes_back_names_its_session(void **state)
{
    (void)state;
    struct lh_hello client, server;
    struct lh_hello_info wish = offer(0x11), have = offer(0x22);
    uint8_t proof[LH_HELLO_ATTACH_PROOF];

    memset(proof, 0x66, sizeof proof);
    wish.attach = (struct lh_hello_attach){.session_id = 0xabcd1234, .count = 7};
    memset(wish.attach.name, 0x44, sizeof wish.attach.name);
    memset(wish.attach.proof, 0x55, sizeof wish.attach.proof);
    lh_hello_init(&client, LH_ROLE_CLIENT, &wish);
    lh_hello_init(&server, LH_ROLE_SERVER, &have);
    check_ok(deliver(&client, &server, 5));
    assert_memory_equal(&lh_hello_peer(&server)->attach, &wish.attach, sizeof wish.attach);
    lh_hello_attached(&server, proof);
    lh_hello_answer(&server, wish.attach.session_id, 0, NULL, 0);
    check_ok(deliver(&server, &client, 5));
    check_int(lh_hello_peer(&client)->is_attached, true);
    assert_memory_equal(lh_hello_peer(&client)->attach_proof, proof, sizeof proof);
    lh_hello_fini(&client);
    lh_hello_fini(&server);
}

static void an_answer_to_a_return_that_nobody_asked_for_is_refused(void **state)
{
    (void)state;
    struct lh_hello client, back, server;
    struct lh_hello_info wish = offer(0x11), have = offer(0x22);
    uint8_t proof[LH_HELLO_ATTACH_PROOF] = {0};

    lh_hello_init(&client, LH_ROLE_CLIENT, &wish);
    wish.attach = (struct lh_hello_attach){.session_id = 1, .count = 1};
    lh_hello_init(&back, LH_ROLE_CLIENT, &wish);
    lh_hello_init(&server, LH_ROLE_SERVER, &have);
    check_ok(deliver(&back, &server, 100));
    lh_hello_attached(&server, proof);
    answer(&server);
    check_err(deliver(&server, &client, 100), LH_E_PROTO);
    check_int(lh_hello_failure(&client)->why, LH_HELLO_SYNTAX);
    lh_hello_fini(&client);
    lh_hello_fini(&back);
    lh_hello_fini(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_that_comes_back_names_its_session),
        cmocka_unit_test(an_answer_to_a_return_that_nobody_asked_for_is_refused),
        cmocka_unit_test(both_ends_compute_the_same_session),
        cmocka_unit_test(the_client_says_how_fast_the_server_may_send),
        cmocka_unit_test(the_servers_receive_budget_is_never_above_the_clients),
        cmocka_unit_test(client_wish_decides_between_common_ciphers),
        cmocka_unit_test(highest_common_major_wins_or_both_ranges_are_named),
        cmocka_unit_test(login_noise_is_skipped_and_kept_for_the_report),
        cmocka_unit_test(noise_has_a_limit),
        cmocka_unit_test(bytes_behind_hello_are_left_to_the_caller),
        cmocka_unit_test(every_changed_byte_fails_or_changes_the_transcript),
        cmocka_unit_test(unknown_optional_fields_are_skipped_and_critical_ones_end_it),
        cmocka_unit_test(fields_out_of_range_are_refused),
        cmocka_unit_test(hello_length_is_bounded),
        cmocka_unit_test(an_echo_of_our_own_hello_is_refused),
        cmocka_unit_test(a_refusal_brings_the_servers_words),
        cmocka_unit_test(random_bytes_never_agree),
        cmocka_unit_test(fini_leaves_no_secret_behind),
        cmocka_unit_test(version_1_speaks_its_golden_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
