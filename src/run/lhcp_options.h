// SPDX-License-Identifier: Apache-2.0
//
// What a person asked `lhcp` for, checked and complete. The parser (cmd/lhcp_args.h) fills it from
// argv; lh_client_run (run/client.h) carries it out. Every field is honoured or the option that
// sets it is refused: nothing here may be ignored.
//
// Strings point into argv or at constants; they live as long as the process and nobody frees them.
// The array of sources is allocated: lhcp_options_fini.
#ifndef LH_RUN_LHCP_OPTIONS_H
#define LH_RUN_LHCP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/time.h"

#define LHCP_IDENTITIES_MAX   16
#define LHCP_FINGERPRINTS_MAX 16
#define LHCP_HOST_MAX         255
#define LHCP_USER_MAX         255

enum lhcp_action {
    LHCP_TRANSFER,
    LHCP_DRY_RUN, // -n: list, compare and say what would be sent; change nothing on either side
    LHCP_CHECK,   // --check: try the connection and say what is wrong; no sources, no destination
    LHCP_HELP,
    LHCP_VERSION
};

enum lhcp_direction {
    LHCP_SEND,   // sources here, destination there
    LHCP_RECEIVE // sources there, destination here
};

enum lhcp_overwrite {
    LHCP_OVERWRITE_DIFF,      // replace what differs; leave what is the same (default)
    LHCP_OVERWRITE_ALWAYS,    // send every file whole, whatever is there
    LHCP_OVERWRITE_NEVER,     // leave every file that exists
    LHCP_OVERWRITE_OLDER,     // replace what is older than its source
    LHCP_OVERWRITE_DIFF_OLDER // replace what differs and is older
};

enum lhcp_symlinks {
    LHCP_SYMLINKS_COPY, // as links (default)
    LHCP_SYMLINKS_SKIP  // left out, with a notice
};

enum lhcp_udp {
    LHCP_UDP_AUTO, // UDP, and SSH where no authenticated echo comes (default)
    LHCP_UDP_OFF   // everything over SSH
};

enum lhcp_policy {
    LHCP_POLICY_FAIR, // shares a link as one TCP connection does, and fills it when alone
    LHCP_POLICY_HIGH, // likewise, with the weight of a few
    LHCP_POLICY_LOW,  // gives way to everybody
    LHCP_POLICY_FIXED // needs rate_target
};

enum lhcp_cipher {
    LHCP_CIPHER_AUTO, // the best that both sides have
    LHCP_CIPHER_AES128_GCM,
    LHCP_CIPHER_AES256_GCM,
    LHCP_CIPHER_CHACHA20_POLY1305,
    LHCP_CIPHER_AES128_OCB
};

struct lhcp_options {
    const char *program; // "lhcp"
    enum lhcp_action action;

    // Where to.
    enum lhcp_direction direction;
    char host[LHCP_HOST_MAX +
              1]; // name, alias or address (IPv6 without brackets); never begins with '-'
    char user[LHCP_USER_MAX + 1]; // "" = what ssh decides
    uint16_t ssh_port;            // -P; LH_SSH_PORT_DEFAULT
    bool ssh_port_given;          // false: the default above
    const char **sources;         // 1 .. LH_SOURCES_MAX paths or faux:// URLs on the sending side
    size_t source_count;
    const char *destination; // path or "faux://" on the receiving side; "." where "host:" was given

    // Who is there, and who we are.
    const char *identities[LHCP_IDENTITIES_MAX]; // -i, in order
    size_t identity_count;
    const char *fingerprints[LHCP_FINGERPRINTS_MAX]; // --check-sshfp: 40 hex digits or SHA256:...
    size_t fingerprint_count;                        // 0: known hosts decide

    // UDP.
    enum lhcp_udp udp;
    uint16_t udp_port;    // -O; LH_UDP_PORT_DEFAULT
    const char *udp_host; // --udp-host, NULL = none
    enum lhcp_cipher cipher;
    uint8_t lanes; // --lanes: UDP lanes asked for, 1 .. LH_LANES_MAX-1; the server may allow fewer

    // How fast.
    enum lhcp_policy policy;
    uint64_t rate_target; // -l, bits/s; 0 = none
    uint64_t rate_min;    // -m, bits/s; 0 = none

    // What, and how.
    bool create_destination; // -d
    bool preserve;           // -p: modes and times
    bool resume; // false after -k 0: what lies there is no help, every file is sent whole
    enum lhcp_overwrite overwrite;
    enum lhcp_symlinks symlinks;
    lh_ns udp_alone;     // --udp-alone: how long after SSH broke; LH_UDP_ALONE_MAX
    lh_ns retry_timeout; // --retry-timeout; LH_RETRY_TIMEOUT; 0 = do not try again
    uint64_t memory;     // --memory: receive window in bytes; LH_MEMORY_DEFAULT
    uint8_t block_log2;  // --block-size; LH_BLOCK_LOG2_DEFAULT

    // What the user sees (cmd/ deals with these; run/ passes -v on to ssh at most).
    bool quiet;
    unsigned verbose;       // number of -v
    const char *trace_file; // --trace, NULL = none
    bool json;
};

#endif
