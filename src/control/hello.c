// SPDX-License-Identifier: Apache-2.0
//
// How it works. Four states: SEEK (bytes are noise until the magic has passed by), READ (length and
// body of the peer's HELLO), HEARD (the server has the client's HELLO and its caller decides), and
// AGREED or FAILED, which last. The first byte of the magic does not occur again in it, so a failed
// partial match can only start anew at the byte that broke it.
//
// The fields of HELLO stand in one table: tag, length bounds, who must send it, how it is read. The
// parser itself knows none of them. Every value is checked where it is read; a field that comes
// twice is refused, so that there is one reading of every HELLO.
//
// Choices: numbers take the smaller of both sides, so both ends compute them without another round.
// The server's receive budget is lowered to the client's before it is told.
// For ciphers and digests the server takes the first of the client's list that it has, and names
// it.
//
// A server that fails the client still answers with a HELLO (version range, role, reason), because
// the reason is what the person in front of the client needs.
#include "control/hello.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/math.h"
#include "base/wipe.h"

static const uint8_t magic[LH_MAGIC_LEN] = {0x89, 'L', 'H', 'C', 'P', '\r', '\n', 0x1a};

enum state { STATE_SEEK, STATE_READ, STATE_HEARD, STATE_AGREED, STATE_FAILED };

enum tag { // on the wire; never reused
    TAG_SECRET = 1,
    TAG_AEADS = 2,
    TAG_DIGESTS = 3,
    TAG_LANES_MAX = 4,
    TAG_BLOCK_LOG2_MAX = 5,
    TAG_EPOCH_SHIFT_MAX = 6,
    TAG_PACKET_MAX = 7,
    TAG_RECEIVE_BUDGET = 8,
    TAG_UDP_PORT = 9,
    TAG_SESSION_ID = 10,
    TAG_ADDRESSES = 11,
    TAG_SOFTWARE = 12,
    TAG_REFUSAL = 13,
    TAG_PACE = 14,
    TAG_ATTACH = 15,
    TAG_ATTACHED = 16,
    TAG_N_
};
#define TAG_CRITICAL 0x8000u
#define ATTACH_LEN   (8 + LH_HELLO_ATTACH_NAME + LH_HELLO_ATTACH_PROOF)

// Who must send a field in an acceptable HELLO.
enum need {
    NEED_NONE = 0,
    NEED_CLIENT = 1,
    NEED_SERVER = 2,
    NEED_BOTH = NEED_CLIENT | NEED_SERVER
};

static lh_err fail(struct lh_hello *hello, enum lh_hello_why why, uint16_t tag)
{
    static const lh_err codes[LH_HELLO_WHY_N_] = {
        [LH_HELLO_NOISE] = LH_E_LIMIT,      [LH_HELLO_SYNTAX] = LH_E_PROTO,
        [LH_HELLO_ROLE] = LH_E_PROTO,       [LH_HELLO_VERSION] = LH_E_VERSION,
        [LH_HELLO_CRITICAL] = LH_E_VERSION, [LH_HELLO_AEAD] = LH_E_VERSION,
        [LH_HELLO_DIGEST] = LH_E_VERSION,   [LH_HELLO_REFUSED] = LH_E_INVALID,
    };

    hello->state = STATE_FAILED;
    hello->failure.why = why;
    hello->failure.tag = tag;
    return codes[why];
}

// --- Reading fields: true where the value is acceptable ------------------------------------------

static bool in_range(uint64_t value, uint64_t low, uint64_t high)
{
    return value >= low && value <= high;
}

static bool pace_is_acceptable(const struct lh_hello_pace *pace)
{
    if (pace->policy >= LH_HELLO_POLICY_N_)
        return false;
    if (pace->rate_target == 0)
        return pace->policy != LH_HELLO_FIXED;
    return pace->rate_min <= pace->rate_target;
}

static bool read_secret(struct lh_hello *hello, struct lh_reader *value)
{
    memcpy(hello->peer.secret, lh_read_bytes(value, LH_HELLO_SECRET_LEN), LH_HELLO_SECRET_LEN);
    return true;
}

static bool read_aeads(struct lh_hello *hello, struct lh_reader *value)
{
    hello->peer.aead_count = (uint8_t)lh_reader_left(value);
    memcpy(hello->peer.aeads, value->at, hello->peer.aead_count);
    return true;
}

static bool read_digests(struct lh_hello *hello, struct lh_reader *value)
{
    hello->peer.digest_count = (uint8_t)lh_reader_left(value);
    memcpy(hello->peer.digests, value->at, hello->peer.digest_count);
    return true;
}

static bool read_lanes_max(struct lh_hello *hello, struct lh_reader *value)
{
    hello->peer.lanes_max = lh_read_u8(value);
    return in_range(hello->peer.lanes_max, 1, LH_LANES_MAX);
}

static bool read_block_log2_max(struct lh_hello *hello, struct lh_reader *value)
{
    hello->peer.block_log2_max = lh_read_u8(value);
    return in_range(hello->peer.block_log2_max, LH_BLOCK_LOG2_MIN, LH_BLOCK_LOG2_MAX);
}

static bool read_epoch_shift_max(struct lh_hello *hello, struct lh_reader *value)
{
    hello->peer.epoch_shift_max = lh_read_u8(value);
    return in_range(hello->peer.epoch_shift_max, 2, LH_EPOCH_SHIFT);
}

static bool read_packet_max(struct lh_hello *hello, struct lh_reader *value)
{
    hello->peer.packet_max = lh_read_u16(value);
    return in_range(hello->peer.packet_max, LH_PACKET_MIN_MTU, LH_PACKET_MAX);
}

static bool read_receive_budget(struct lh_hello *hello, struct lh_reader *value)
{
    hello->peer.receive_budget = lh_read_u64(value);
    return hello->peer.receive_budget >= LH_MEMORY_MIN;
}

static bool read_udp_port(struct lh_hello *hello, struct lh_reader *value)
{
    hello->peer.udp_port = lh_read_u16(value);
    return true;
}

static bool read_session_id(struct lh_hello *hello, struct lh_reader *value)
{
    hello->peer.session_id = lh_read_u32(value);
    return hello->peer.session_id != 0;
}

static bool read_addresses(struct lh_hello *hello, struct lh_reader *value)
{
    while (lh_reader_left(value) > 0) {
        struct lh_hello_address address = {.family = lh_read_u8(value)};
        size_t len = address.family == 4 ? 4 : 16;
        const uint8_t *bytes = lh_read_bytes(value, len);
        if (bytes == NULL || (address.family != 4 && address.family != 6) ||
            hello->peer.address_count == LH_HELLO_ADDRESSES_MAX)
            return false;
        memcpy(address.bytes, bytes, len);
        hello->peer.addresses[hello->peer.address_count++] = address;
    }
    return true;
}

static bool read_software(struct lh_hello *hello, struct lh_reader *value)
{
    size_t len = lh_reader_left(value);
    memcpy(hello->peer.software, lh_read_bytes(value, len), len);
    hello->peer.software[len] = '\0';
    return memchr(hello->peer.software, '\0', len) == NULL;
}

static bool read_refusal(struct lh_hello *hello, struct lh_reader *value)
{
    size_t len = lh_reader_left(value) - 1;

    hello->failure.peer_why = lh_read_u8(value);
    memcpy(hello->failure.text, lh_read_bytes(value, len), len);
    hello->failure.text[len] = '\0';
    return true;
}

static bool read_pace(struct lh_hello *hello, struct lh_reader *value)
{
    struct lh_hello_pace pace = {.policy = lh_read_u8(value)};

    pace.rate_target = lh_read_u64(value);
    pace.rate_min = lh_read_u64(value);
    hello->peer.pace = pace;
    // Only a client has wishes; a server that voiced some would be no server of ours.
    return hello->role == LH_ROLE_SERVER && pace_is_acceptable(&pace);
}

static bool read_attach(struct lh_hello *hello, struct lh_reader *value)
{
    struct lh_hello_attach *attach = &hello->peer.attach;

    attach->session_id = lh_read_u32(value);
    attach->count = lh_read_u32(value);
    memcpy(attach->name, lh_read_bytes(value, sizeof attach->name), sizeof attach->name);
    memcpy(attach->proof, lh_read_bytes(value, sizeof attach->proof), sizeof attach->proof);
    return hello->role == LH_ROLE_SERVER && attach->session_id != 0 && attach->count != 0;
}

static bool read_attached(struct lh_hello *hello, struct lh_reader *value)
{
    hello->peer.is_attached = true;
    memcpy(hello->peer.attach_proof, lh_read_bytes(value, LH_HELLO_ATTACH_PROOF),
           LH_HELLO_ATTACH_PROOF);
    return hello->role == LH_ROLE_CLIENT && hello->own.attach.session_id != 0;
}

static const struct field {
    uint16_t len_min, len_max;
    enum need need;
    bool (*read)(struct lh_hello *hello, struct lh_reader *value);
} fields[TAG_N_] = {
    [TAG_SECRET] = {LH_HELLO_SECRET_LEN, LH_HELLO_SECRET_LEN, NEED_BOTH, read_secret},
    [TAG_AEADS] = {1, LH_HELLO_CHOICES_MAX, NEED_BOTH, read_aeads},
    [TAG_DIGESTS] = {1, LH_HELLO_CHOICES_MAX, NEED_BOTH, read_digests},
    [TAG_LANES_MAX] = {1, 1, NEED_BOTH, read_lanes_max},
    [TAG_BLOCK_LOG2_MAX] = {1, 1, NEED_BOTH, read_block_log2_max},
    [TAG_EPOCH_SHIFT_MAX] = {1, 1, NEED_BOTH, read_epoch_shift_max},
    [TAG_PACKET_MAX] = {2, 2, NEED_BOTH, read_packet_max},
    [TAG_RECEIVE_BUDGET] = {8, 8, NEED_BOTH, read_receive_budget},
    [TAG_UDP_PORT] = {2, 2, NEED_BOTH, read_udp_port},
    [TAG_SESSION_ID] = {4, 4, NEED_SERVER, read_session_id},
    [TAG_ADDRESSES] = {0, 17 * LH_HELLO_ADDRESSES_MAX, NEED_SERVER, read_addresses},
    [TAG_SOFTWARE] = {0, LH_SOFTWARE_MAX, NEED_NONE, read_software},
    [TAG_REFUSAL] = {1, 1 + LH_REASON_MAX, NEED_NONE, read_refusal},
    [TAG_PACE] = {17, 17, NEED_NONE, read_pace},
    [TAG_ATTACH] = {ATTACH_LEN, ATTACH_LEN, NEED_NONE, read_attach},
    [TAG_ATTACHED] = {LH_HELLO_ATTACH_PROOF, LH_HELLO_ATTACH_PROOF, NEED_NONE, read_attached},
};

// --- Writing -------------------------------------------------------------------------------------

static void write_tag(struct lh_writer *writer, uint16_t tag, size_t len)
{
    lh_write_u16(writer, tag);
    lh_write_u16(writer, (uint16_t)len);
}

static void write_number(struct lh_writer *writer, enum tag tag, uint64_t number, size_t width)
{
    write_tag(writer, (uint16_t)tag | TAG_CRITICAL, width);
    lh_write_le(writer, number, width);
}

static void write_blob(struct lh_writer *writer, enum tag tag, const void *data, size_t len)
{
    write_tag(writer, (uint16_t)tag | TAG_CRITICAL, len);
    lh_write_bytes(writer, data, len);
}

static void write_addresses(struct lh_writer *writer, const struct lh_hello_info *own)
{
    size_t len = 0;
    for (size_t i = 0; i < own->address_count; i++)
        len += own->addresses[i].family == 4 ? 5 : 17;
    write_tag(writer, TAG_ADDRESSES, len);
    for (size_t i = 0; i < own->address_count; i++) {
        lh_write_u8(writer, own->addresses[i].family);
        lh_write_bytes(writer, own->addresses[i].bytes, own->addresses[i].family == 4 ? 4 : 16);
    }
}

// Critical: a server that does not know the field must not send faster than was asked.
static void write_pace(struct lh_writer *writer, const struct lh_hello_pace *pace)
{
    if (pace->policy == 0 && pace->rate_target == 0 && pace->rate_min == 0)
        return;
    write_tag(writer, TAG_PACE | TAG_CRITICAL, 17);
    lh_write_u8(writer, pace->policy);
    lh_write_u64(writer, pace->rate_target);
    lh_write_u64(writer, pace->rate_min);
}

static void write_attach(struct lh_writer *writer, const struct lh_hello_attach *attach)
{
    if (attach->session_id == 0)
        return;
    write_tag(writer, TAG_ATTACH | TAG_CRITICAL, ATTACH_LEN);
    lh_write_u32(writer, attach->session_id);
    lh_write_u32(writer, attach->count);
    lh_write_bytes(writer, attach->name, sizeof attach->name);
    lh_write_bytes(writer, attach->proof, sizeof attach->proof);
}

static void write_offer(struct lh_writer *writer, const struct lh_hello *hello)
{
    const struct lh_hello_info *own = &hello->own;
    write_blob(writer, TAG_SECRET, own->secret, sizeof own->secret);
    write_blob(writer, TAG_AEADS, own->aeads, own->aead_count);
    write_blob(writer, TAG_DIGESTS, own->digests, own->digest_count);
    write_number(writer, TAG_LANES_MAX, own->lanes_max, 1);
    write_number(writer, TAG_BLOCK_LOG2_MAX, own->block_log2_max, 1);
    write_number(writer, TAG_EPOCH_SHIFT_MAX, own->epoch_shift_max, 1);
    write_number(writer, TAG_PACKET_MAX, own->packet_max, 2);
    write_number(writer, TAG_RECEIVE_BUDGET, own->receive_budget, 8);
    write_number(writer, TAG_UDP_PORT, own->udp_port, 2);
    if (hello->role == LH_ROLE_CLIENT) {
        write_pace(writer, &own->pace);
        write_attach(writer, &own->attach);
    }
    if (hello->role == LH_ROLE_SERVER) {
        if (own->is_attached)
            write_blob(writer, TAG_ATTACHED, own->attach_proof, sizeof own->attach_proof);
        write_number(writer, TAG_SESSION_ID, own->session_id, 4);
        write_addresses(writer, own);
    }
}

// Makes the output: the whole offer, or a refusal where `why` is set.
static void write_hello(struct lh_hello *hello, enum lh_hello_why why, const char *text)
{
    struct lh_writer writer = lh_writer_of(hello->own_bytes, sizeof hello->own_bytes);
    uint8_t *length_at;
    size_t text_len = strnlen(text, LH_REASON_MAX);

    lh_write_bytes(&writer, magic, sizeof magic);
    length_at = lh_write_reserve(&writer, 2);
    lh_write_u8(&writer, (uint8_t)hello->role);
    lh_write_u8(&writer, hello->own.major_min);
    lh_write_u8(&writer, hello->own.major_max);
    lh_write_u8(&writer, hello->own.minor);
    lh_write_u64(&writer, hello->own.features);
    if (why == LH_HELLO_FINE) {
        write_offer(&writer, hello);
    } else {
        write_tag(&writer, TAG_REFUSAL | TAG_CRITICAL, 1 + text_len);
        lh_write_u8(&writer, (uint8_t)why);
        lh_write_bytes(&writer, text, text_len);
    }
    write_tag(&writer, TAG_SOFTWARE, strlen(hello->own.software));
    lh_write_bytes(&writer, hello->own.software, strlen(hello->own.software));

    LH_ASSERT(!writer.bad); // every field is bounded, far below LH_HELLO_MAX together
    hello->own_len = lh_writer_used(&writer);
    hello->own_sent = 0;
    struct lh_writer length = lh_writer_of(length_at, 2);
    lh_write_u16(&length, (uint16_t)(hello->own_len - LH_MAGIC_LEN - 2));
}

// --- Understanding the peer's HELLO --------------------------------------------------------------

static lh_err read_versions(struct lh_hello *hello, struct lh_reader *body)
{
    struct lh_hello_info *peer = &hello->peer;
    uint8_t role = lh_read_u8(body);
    uint8_t major;

    peer->major_min = lh_read_u8(body);
    peer->major_max = lh_read_u8(body);
    peer->minor = lh_read_u8(body);
    peer->features = lh_read_u64(body);
    if (body->bad || role > LH_ROLE_SERVER || peer->major_min > peer->major_max)
        return fail(hello, LH_HELLO_SYNTAX, 0);
    if (LH_GUARD(HELLO_ROLE, role == hello->role))
        return fail(hello, LH_HELLO_ROLE, 0);

    hello->failure.peer_major_min = peer->major_min;
    hello->failure.peer_major_max = peer->major_max;
    major = LH_MIN(peer->major_max, hello->own.major_max);
    if (major < peer->major_min || major < hello->own.major_min)
        return fail(hello, LH_HELLO_VERSION, 0);
    hello->params.major = major;
    hello->params.minor = LH_MIN(peer->minor, hello->own.minor);
    hello->params.features = peer->features & hello->own.features;
    return 0;
}

// Reads every field into hello->peer; `*out_seen` gets a bit per tag.
static lh_err read_fields(struct lh_hello *hello, struct lh_reader *body, uint32_t *out_seen)
{
    uint32_t seen = 0;

    while (lh_reader_left(body) > 0) {
        uint16_t raw = lh_read_u16(body);
        uint16_t tag = raw & (TAG_CRITICAL - 1);
        uint16_t len = lh_read_u16(body);
        const uint8_t *bytes = lh_read_bytes(body, len);
        struct lh_reader value;

        if (bytes == NULL)
            return fail(hello, LH_HELLO_SYNTAX, tag);
        if (tag >= TAG_N_ || fields[tag].read == NULL) {
            if (LH_GUARD(HELLO_CRITICAL, (raw & TAG_CRITICAL) != 0))
                return fail(hello, LH_HELLO_CRITICAL, tag);
            continue;
        }
        value = lh_reader_of(bytes, len);
        if ((seen & 1u << tag) != 0 || !in_range(len, fields[tag].len_min, fields[tag].len_max) ||
            !fields[tag].read(hello, &value))
            return fail(hello, LH_HELLO_SYNTAX, tag);
        seen |= 1u << tag;
    }
    *out_seen = seen;
    return 0;
}

static lh_err check_needed(struct lh_hello *hello, uint32_t seen)
{
    enum need peer = hello->role == LH_ROLE_CLIENT ? NEED_SERVER : NEED_CLIENT;

    for (uint16_t tag = 1; tag < TAG_N_; tag++) {
        bool is_there = (seen & 1u << tag) != 0;
        bool is_due = (fields[tag].need & peer) != 0;
        if (is_due && !is_there)
            return fail(hello, LH_HELLO_SYNTAX, tag);
        // What only the server may choose is not taken from a client.
        if (is_there && !is_due && fields[tag].need != NEED_NONE)
            return fail(hello, LH_HELLO_SYNTAX, tag);
    }
    return 0;
}

// The first of `wanted` that is among `offered`, or -1.
static int
choose(const uint8_t *wanted, size_t wanted_count, const uint8_t *offered, size_t offered_count)
{
    for (size_t i = 0; i < wanted_count; i++)
        if (memchr(offered, wanted[i], offered_count) != NULL)
            return wanted[i];
    return -1;
}

static lh_err agree(struct lh_hello *hello)
{
    struct lh_hello_info *own = &hello->own;
    const struct lh_hello_info *peer = &hello->peer;
    struct lh_session_params *params = &hello->params;
    bool is_client = hello->role == LH_ROLE_CLIENT;
    // The server's list must be one entry long: its choice, which the client must have offered.
    bool is_choice = !is_client || (peer->aead_count == 1 && peer->digest_count == 1);
    int aead = choose(peer->aeads, peer->aead_count, own->aeads, own->aead_count);
    int digest = choose(peer->digests, peer->digest_count, own->digests, own->digest_count);

    if (LH_GUARD(HELLO_AEAD, aead < 0 || !is_choice))
        return fail(hello, LH_HELLO_AEAD, TAG_AEADS);
    if (digest < 0)
        return fail(hello, LH_HELLO_DIGEST, TAG_DIGESTS);
    params->is_client = is_client;
    params->aead = (uint8_t)aead;
    params->digest = (uint8_t)digest;
    params->lanes_max = LH_MIN(own->lanes_max, peer->lanes_max);
    params->block_log2 = LH_MIN(own->block_log2_max, peer->block_log2_max);
    params->epoch_shift = LH_MIN(own->epoch_shift_max, peer->epoch_shift_max);
    params->packet_max = LH_MIN(own->packet_max, peer->packet_max);
    if (!is_client)
        own->receive_budget = LH_MIN(own->receive_budget, peer->receive_budget);
    params->own_receive_budget = own->receive_budget;
    params->peer_receive_budget = peer->receive_budget;
    memcpy(params->peer_software, peer->software, sizeof params->peer_software);
    if (is_client) {
        params->session_id = peer->session_id;
        params->udp_port = peer->udp_port;
        memcpy(params->addresses, peer->addresses, sizeof params->addresses);
        params->address_count = peer->address_count;
    }
    return 0;
}

static lh_err understand(struct lh_hello *hello)
{
    struct lh_reader body = lh_reader_of(hello->peer_bytes + 2, hello->peer_len - 2);
    uint32_t seen;
    lh_err err = read_versions(hello, &body);

    if (err == 0)
        err = read_fields(hello, &body, &seen);
    if (err == 0 && (seen & 1u << TAG_REFUSAL) != 0)
        err = fail(hello, hello->role == LH_ROLE_CLIENT ? LH_HELLO_REFUSED : LH_HELLO_SYNTAX, 0);
    if (err == 0)
        err = check_needed(hello, seen);
    if (err == 0)
        err = agree(hello);
    if (err == 0)
        hello->state = hello->role == LH_ROLE_CLIENT ? STATE_AGREED : STATE_HEARD;
    return err;
}

// --- Bytes in ------------------------------------------------------------------------------------

static lh_err seek_magic(struct lh_hello *hello, uint8_t byte)
{
    if (byte != magic[hello->magic_seen]) {
        // The partial match was noise after all. Only its first byte can begin the magic again.
        if (LH_GUARD(HELLO_NOISE, hello->noise_len + hello->magic_seen + 1 > LH_NOISE_MAX))
            return fail(hello, LH_HELLO_NOISE, 0);
        memcpy(hello->noise + hello->noise_len, magic, hello->magic_seen);
        hello->noise_len += hello->magic_seen;
        hello->magic_seen = 0;
        if (byte != magic[0]) {
            hello->noise[hello->noise_len++] = byte;
            return LH_AGAIN;
        }
    }
    hello->magic_seen++;
    if (hello->magic_seen == LH_MAGIC_LEN)
        hello->state = STATE_READ;
    return LH_AGAIN;
}

// Takes what the peer's HELLO still lacks up to `want` bytes; false where the input ended before.
static bool gather(struct lh_hello *hello, struct lh_reader *input, size_t want)
{
    size_t part = hello->peer_len < want ? want - hello->peer_len : 0;

    part = LH_MIN(part, lh_reader_left(input));
    if (part > 0)
        memcpy(hello->peer_bytes + hello->peer_len, lh_read_bytes(input, part), part);
    hello->peer_len += part;
    return hello->peer_len >= want;
}

static lh_err read_body(struct lh_hello *hello, struct lh_reader *input)
{
    struct lh_reader length = lh_reader_of(hello->peer_bytes, 2);
    size_t want;

    if (!gather(hello, input, 2))
        return LH_AGAIN;
    want = 2 + (size_t)lh_read_u16(&length);
    if (LH_GUARD(HELLO_LENGTH, want == 2 || want > sizeof hello->peer_bytes))
        return fail(hello, LH_HELLO_SYNTAX, 0);
    if (!gather(hello, input, want))
        return LH_AGAIN;
    return understand(hello);
}

lh_err lh_hello_feed(struct lh_hello *hello, const void *data, size_t len, size_t *out_used)
{
    struct lh_reader input = lh_reader_of(data, len);
    lh_err err = LH_AGAIN;

    LH_ASSERT(hello->state == STATE_SEEK || hello->state == STATE_READ);
    while (hello->state == STATE_SEEK && lh_reader_left(&input) > 0)
        err = seek_magic(hello, lh_read_u8(&input));
    if (hello->state == STATE_READ)
        err = read_body(hello, &input);
    if (err < 0 && hello->role == LH_ROLE_SERVER)
        write_hello(hello, hello->failure.why, "");
    *out_used = len - lh_reader_left(&input);
    return err;
}

// --- The rest ------------------------------------------------------------------------------------

static void assert_offer(const struct lh_hello_info *offer)
{
    LH_ASSERT(offer->major_min <= offer->major_max);
    LH_ASSERT(in_range(offer->aead_count, 1, LH_HELLO_CHOICES_MAX));
    LH_ASSERT(in_range(offer->digest_count, 1, LH_HELLO_CHOICES_MAX));
    LH_ASSERT(in_range(offer->lanes_max, 1, LH_LANES_MAX));
    LH_ASSERT(in_range(offer->block_log2_max, LH_BLOCK_LOG2_MIN, LH_BLOCK_LOG2_MAX));
    LH_ASSERT(in_range(offer->epoch_shift_max, 2, LH_EPOCH_SHIFT));
    LH_ASSERT(in_range(offer->packet_max, LH_PACKET_MIN_MTU, LH_PACKET_MAX));
    LH_ASSERT(offer->receive_budget >= LH_MEMORY_MIN);
    LH_ASSERT(memchr(offer->software, '\0', sizeof offer->software) != NULL);
}

void lh_hello_init(struct lh_hello *hello, enum lh_role role, const struct lh_hello_info *offer)
{
    memset(hello, 0, sizeof *hello);
    hello->role = role;
    hello->own = *offer;
    if (hello->own.major_max == 0)
        hello->own.major_min = hello->own.major_max = LH_PROTOCOL_MAJOR;
    assert_offer(&hello->own);
    hello->failure.own_major_min = hello->own.major_min;
    hello->failure.own_major_max = hello->own.major_max;
    if (role == LH_ROLE_CLIENT)
        write_hello(hello, LH_HELLO_FINE, "");
}

void lh_hello_fini(struct lh_hello *hello)
{
    lh_wipe(hello, sizeof *hello);
    hello->state = STATE_FAILED;
}

void lh_hello_answer(struct lh_hello *hello,
                     uint32_t session_id,
                     uint16_t udp_port,
                     const struct lh_hello_address *addresses,
                     size_t address_count)
{
    struct lh_hello_info *own = &hello->own;

    LH_ASSERT(hello->state == STATE_HEARD);
    LH_ASSERT(session_id != 0);
    LH_ASSERT(address_count <= LH_HELLO_ADDRESSES_MAX);
    own->session_id = session_id;
    own->udp_port = udp_port;
    own->aeads[0] = hello->params.aead;
    own->digests[0] = hello->params.digest;
    own->aead_count = own->digest_count = 1;
    own->address_count = (uint8_t)address_count;
    for (size_t i = 0; i < address_count; i++) {
        LH_ASSERT(addresses[i].family == 4 || addresses[i].family == 6);
        own->addresses[i] = addresses[i];
    }
    hello->params.session_id = session_id;
    hello->params.udp_port = udp_port;
    memcpy(hello->params.addresses, own->addresses, sizeof own->addresses);
    hello->params.address_count = own->address_count;
    write_hello(hello, LH_HELLO_FINE, "");
    hello->state = STATE_AGREED;
}

void lh_hello_attached(struct lh_hello *hello, const uint8_t proof[LH_HELLO_ATTACH_PROOF])
{
    LH_ASSERT(hello->state == STATE_HEARD);
    LH_ASSERT(hello->peer.attach.session_id != 0);
    hello->own.is_attached = true;
    memcpy(hello->own.attach_proof, proof, LH_HELLO_ATTACH_PROOF);
}

void lh_hello_refuse(struct lh_hello *hello, const char *text)
{
    LH_ASSERT(hello->role == LH_ROLE_SERVER);
    write_hello(hello, LH_HELLO_REFUSED, text);
    (void)fail(hello, LH_HELLO_REFUSED, 0);
}

const uint8_t *lh_hello_output(const struct lh_hello *hello, size_t *out_len)
{
    *out_len = hello->own_len - hello->own_sent;
    return hello->own_bytes + hello->own_sent;
}

void lh_hello_sent(struct lh_hello *hello, size_t len)
{
    LH_ASSERT(len <= hello->own_len - hello->own_sent);
    hello->own_sent += len;
}

const uint8_t *lh_hello_noise(const struct lh_hello *hello, size_t *out_len)
{
    *out_len = hello->noise_len;
    return hello->noise;
}

const struct lh_hello_info *lh_hello_peer(const struct lh_hello *hello)
{
    LH_ASSERT(hello->state == STATE_HEARD || hello->state == STATE_AGREED);
    return &hello->peer;
}

const struct lh_session_params *lh_hello_params(const struct lh_hello *hello)
{
    return hello->state == STATE_AGREED ? &hello->params : NULL;
}

const struct lh_hello_failure *lh_hello_failure(const struct lh_hello *hello)
{
    return &hello->failure;
}

const uint8_t *lh_hello_bytes(const struct lh_hello *hello, enum lh_role role, size_t *out_len)
{
    LH_ASSERT(hello->state == STATE_AGREED);
    if (role == hello->role) {
        *out_len = hello->own_len - LH_MAGIC_LEN;
        return hello->own_bytes + LH_MAGIC_LEN;
    }
    *out_len = hello->peer_len;
    return hello->peer_bytes;
}

const uint8_t *lh_hello_secret(const struct lh_hello *hello, enum lh_role role)
{
    LH_ASSERT(hello->state == STATE_AGREED);
    return role == hello->role ? hello->own.secret : hello->peer.secret;
}

bool lh_hello_peer_is_older(const struct lh_hello_failure *failure)
{
    return failure->peer_major_max < failure->own_major_max;
}
