// SPDX-License-Identifier: Apache-2.0
//
// The set-up dialogue over the SSH channel (longhaul-protocol(5), "Set-up"). Sans-IO: bytes go in,
// bytes come out.
//
//   client                                   server
//   magic, HELLO  ------------------------>  (skips noise) reads it, chooses
//   (skips login noise) reads it  <--------  magic, HELLO
//   both: struct lh_session_params, the two HELLOs for the transcript hash, then lane-0 frames
//
//   magic   8 bytes: 89 'L' 'H' 'C' 'P' 0d 0a 1a (damaged by 7-bit or CR/LF translation)
//   HELLO   length u16 (of what follows, 1 .. LH_HELLO_MAX), then
//           role u8 (0 client, 1 server), major_min u8, major_max u8, minor u8, features u64,
//           fields: tag u16 (bit 15: critical), length u16, value
//
// The twelve bytes after the length keep their place in every future version, so that two ends that
// have no version in common can still name both. Unknown fields are skipped, unknown critical ones
// end the dialogue. The HELLO bytes (length included, magic not) go into the key derivation: a
// change on the way gives the ends different keys.
#ifndef LH_CONTROL_HELLO_H
#define LH_CONTROL_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"

#define LH_MAGIC_LEN          8
#define LH_HELLO_SECRET_LEN   32
#define LH_HELLO_ATTACH_NAME  16
#define LH_HELLO_ATTACH_PROOF 32
#define LH_PROTOCOL_MAJOR     1 // what this code speaks
#define LH_PROTOCOL_MINOR     0

enum lh_role { LH_ROLE_CLIENT = 0, LH_ROLE_SERVER = 1 };

// Feature bits: in force where both sides set them.
#define LH_FEATURE_ATTACH ((uint64_t)1 << 0) // a lost SSH channel may be replaced (run/attach.h)
#define LH_FEATURE_ECN    ((uint64_t)1 << 1) // ECN marks are counted (transport/ecn.h)

struct lh_hello_address {
    uint8_t family;    // 4 or 6
    uint8_t bytes[16]; // network order; the first 4 for IPv4
};

enum lh_hello_policy {
    LH_HELLO_FAIR = 0,
    LH_HELLO_HIGH = 1,
    LH_HELLO_FIXED = 2,
    LH_HELLO_LOW = 3,
    LH_HELLO_POLICY_N_
};

// How the client wants data to be sent to it. All zero: as the server does by itself; nothing is
// said.
struct lh_hello_pace {
    uint8_t policy;       // enum lh_hello_policy; FIXED needs rate_target
    uint64_t rate_target; // bytes/s of IP datagrams, 0 = none
    uint64_t rate_min;    // likewise; at most rate_target where that is given
};

// A client that logged in again: this channel is to replace the lost one of a session that lives
// (longhaul-protocol(5), "Attaching"). Only where that session has LH_FEATURE_ATTACH.
struct lh_hello_attach {
    uint32_t session_id;                  // 0: no, this is a session of its own
    uint32_t count;                       // of this attempt; each larger than all before
    uint8_t name[LH_HELLO_ATTACH_NAME];   // where the living session listens
    uint8_t proof[LH_HELLO_ATTACH_PROOF]; // crypto/attach.h
};

// What one side says in its HELLO. As an offer (lh_hello_init) it must be in range; as the peer's
// it has been checked to be.
struct lh_hello_info {
    uint8_t major_min, major_max; // 0, 0 in an offer: LH_PROTOCOL_MAJOR
    uint8_t minor;
    uint64_t features;                     // LH_FEATURE_*
    uint8_t secret[LH_HELLO_SECRET_LEN];   // fresh random bytes of this side
    uint8_t aeads[LH_HELLO_CHOICES_MAX];   // ids, most wanted first; in the server's HELLO: the one
    uint8_t aead_count;                    // 1 .. LH_HELLO_CHOICES_MAX
    uint8_t digests[LH_HELLO_CHOICES_MAX]; // likewise
    uint8_t digest_count;
    uint8_t lanes_max;       // 1 .. LH_LANES_MAX, the SSH lane included; the smaller one holds
    uint8_t block_log2_max;  // LH_BLOCK_LOG2_MIN .. _MAX; the smaller one holds
    uint8_t epoch_shift_max; // 2 .. LH_EPOCH_SHIFT; the smaller one holds
    uint16_t packet_max;     // largest UDP payload accepted, LH_PACKET_MIN_MTU .. LH_PACKET_MAX
    // Bytes of blocks this side holds at most, >= LH_MEMORY_MIN. A server never holds more than the
    // client would: the person at the client says how much memory the session may take.
    uint64_t receive_budget;
    uint16_t udp_port;             // client: wished (-O); server: bound, 0 = no UDP here
    struct lh_hello_pace pace;     // client only: how fast the server may send
    struct lh_hello_attach attach; // client only
    bool is_attached;              // server only: the living session agreed, and
    uint8_t attach_proof[LH_HELLO_ATTACH_PROOF]; // this proves that it is the one
    uint32_t session_id;                         // server only, not 0
    struct lh_hello_address
        addresses[LH_HELLO_ADDRESSES_MAX]; // server only: where it may be reached
    uint8_t address_count;
    char software[LH_SOFTWARE_MAX + 1]; // "longhaul 0.1.0"; from the peer: not escaped
};

// What both ends agreed on.
struct lh_session_params {
    bool is_client;
    uint8_t major, minor;
    uint64_t features;
    uint8_t aead;   // enum lh_aead_id
    uint8_t digest; // id of the block and file digest
    uint8_t lanes_max;
    uint8_t block_log2;
    uint8_t epoch_shift;
    uint16_t packet_max; // largest UDP payload that both accept
    uint32_t session_id;
    uint64_t own_receive_budget;
    uint64_t peer_receive_budget;
    uint16_t udp_port;                                         // of the server, 0 = none
    struct lh_hello_address addresses[LH_HELLO_ADDRESSES_MAX]; // of the server
    uint8_t address_count;
    char peer_software[LH_SOFTWARE_MAX + 1]; // not escaped
};

enum lh_hello_why {
    LH_HELLO_FINE,
    LH_HELLO_NOISE,    // no magic within LH_NOISE_MAX bytes: something else answered
    LH_HELLO_SYNTAX,   // a malformed, missing or out-of-range field
    LH_HELLO_ROLE,     // the peer claims our own role (an echo)
    LH_HELLO_VERSION,  // no common major version; see the ranges
    LH_HELLO_CRITICAL, // a critical field that we do not know; see tag
    LH_HELLO_AEAD,     // no common cipher
    LH_HELLO_DIGEST,   // no common digest
    LH_HELLO_REFUSED,  // the server declined; see text
    LH_HELLO_WHY_N_
};

// Why the dialogue failed. With LH_HELLO_VERSION the side with the smaller major_max is the one to
// upgrade.
struct lh_hello_failure {
    enum lh_hello_why why;
    uint8_t own_major_min, own_major_max;
    uint8_t peer_major_min, peer_major_max; // 0, 0 where the peer's HELLO did not get that far
    uint8_t peer_why; // LH_HELLO_REFUSED: the server's enum lh_hello_why, or unknown to us
    uint16_t tag;     // the field concerned, 0 where none
    char text[LH_REASON_MAX + 1]; // the peer's words, not escaped; "" where none
};

// Private to hello.c but for its size: the caller embeds it. Holds secrets until lh_hello_fini.
struct lh_hello {
    enum lh_role role;
    uint8_t state;
    struct lh_hello_info own;
    struct lh_hello_info peer;
    struct lh_session_params params;
    struct lh_hello_failure failure;
    uint8_t noise[LH_NOISE_MAX];
    size_t noise_len;
    size_t magic_seen;
    uint8_t peer_bytes[2 + LH_HELLO_MAX];
    size_t peer_len;
    uint8_t own_bytes[LH_MAGIC_LEN + 2 + LH_HELLO_MAX];
    size_t own_len;  // 0 until there is something to send
    size_t own_sent; // of own_len
};

// Starts as `role` with what we offer (copied; in range, asserted). The client has output at once.
void lh_hello_init(struct lh_hello *hello, enum lh_role role, const struct lh_hello_info *offer);
void lh_hello_fini(struct lh_hello *hello); // wipes secrets; harmless twice

// Takes bytes that arrived; `*out_used` says how many belonged to the dialogue (all of them unless
// 0 is returned; what is left are lane-0 frames, see control/frame.h).
//   0         the peer's HELLO is complete and acceptable. The client has its params; the server
//   now
//             calls lh_hello_answer or lh_hello_refuse.
//   LH_AGAIN  more bytes are needed
//   LH_E_VERSION (nothing in common), LH_E_PROTO, LH_E_LIMIT (noise), LH_E_INVALID (refused by the
//             server): failed for good; lh_hello_failure says why. A server then has output that
//             tells the client, to be sent before closing.
lh_err
lh_hello_feed(struct lh_hello *hello, const void *data, size_t len, size_t *out_used) LH_MUST_CHECK;

// Server, after feed gave 0: what was not known before the client's wishes were. `udp_port` 0 = no
// UDP. session_id not 0 and address_count <= LH_HELLO_ADDRESSES_MAX, asserted.
void lh_hello_answer(struct lh_hello *hello,
                     uint32_t session_id,
                     uint16_t udp_port,
                     const struct lh_hello_address *addresses,
                     size_t address_count);

// Server, in front of lh_hello_answer: the living session took the channel; its proof.
void lh_hello_attached(struct lh_hello *hello, const uint8_t proof[LH_HELLO_ATTACH_PROOF]);

// Server, instead of answering: output becomes a refusal with `text` (cut at LH_REASON_MAX).
void lh_hello_refuse(struct lh_hello *hello, const char *text);

// Bytes to send, *out_len 0 when none; and how many of them went out.
const uint8_t *lh_hello_output(const struct lh_hello *hello, size_t *out_len);
void lh_hello_sent(struct lh_hello *hello, size_t len);

// Noise before the magic, to be escaped before anyone sees it. Valid at any time, until fini.
const uint8_t *lh_hello_noise(const struct lh_hello *hello, size_t *out_len);

const struct lh_hello_info *lh_hello_peer(const struct lh_hello *hello); // after feed gave 0
const struct lh_session_params *
lh_hello_params(const struct lh_hello *hello); // when agreed, else NULL
const struct lh_hello_failure *lh_hello_failure(const struct lh_hello *hello);

// The exact HELLO bytes of a role, for lh_keys_transcript. Once params are there.
const uint8_t *lh_hello_bytes(const struct lh_hello *hello, enum lh_role role, size_t *out_len);

// The secrets, LH_HELLO_SECRET_LEN bytes, for lh_keys_master.
const uint8_t *lh_hello_secret(const struct lh_hello *hello, enum lh_role role);

// True where the peer is the side to upgrade (only after LH_HELLO_VERSION).
bool lh_hello_peer_is_older(const struct lh_hello_failure *failure);

#endif
