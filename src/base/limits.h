// SPDX-License-Identifier: Apache-2.0
//
// Every limit in one place: what may be large, how large, and why. A peer, a file or a person that
// goes beyond one is refused with a clear error; zero never means "unlimited". Each has a test that
// reaches it.
#ifndef LH_BASE_LIMITS_H
#define LH_BASE_LIMITS_H

#include "base/time.h"

// --- Packets (longhaul-protocol(5), "Packets") ---
#define LH_PACKET_HEADER    8    // bytes in clear, authenticated
#define LH_PACKET_TAG       16   // AEAD tag, the same for every suite
#define LH_PACKET_MAX       9216 // largest UDP payload ever built or accepted (jumbo frames)
#define LH_PACKET_MIN_MTU   1200 // UDP payload that every path is assumed to carry (RFC 9000, 14)
#define LH_PACKET_IPV4_1500 1472 // UDP payload of a 1,500-byte IPv4 packet
#define LH_LANES_MAX        16   // lanes of one session, the SSH lane (0) included
#define LH_EPOCH_SHIFT      22   // a key seals 2^22 packets (RFC 9001, 6.6 allows 2^23)
#define LH_EPOCH_SHIFT_MIN  2    // for tests
#define LH_PN_MAX           (((uint64_t)1 << 48) - 1)
#define LH_REPLAY_WINDOW    ((uint64_t)1 << 21) // packet numbers remembered behind the largest

// --- Blocks and memory ---
#define LH_BLOCK_LOG2_MIN     16   // 64 KiB
#define LH_BLOCK_LOG2_MAX     22   // 4 MiB
#define LH_BLOCK_LOG2_DEFAULT 20   // 1 MiB
#define LH_BLOCK_HEADER_MAX   4096 // job header in front of a block's content
#define LH_BLOCK_HEAD         32   // its first bytes say where the content of a file's block goes
#define LH_BLOCK_CHARGE       1024 // bookkeeping bytes charged per block
#define LH_MEMORY_DEFAULT     ((uint64_t)256 << 20) // blocks that a side holds at most
#define LH_WINDOW_TIMES       16 // what is granted ahead, at most, in memory budgets
#define LH_MEMORY_MIN         ((uint64_t)8 << 20)

// --- The control stream and its messages ---
#define LH_STREAM_WINDOW      ((uint64_t)1 << 20) // bytes sent but not yet consumed
#define LH_MESSAGE_MAX        65536               // one control message, header included
#define LH_NAME_MAX           255                 // one path component
#define LH_PATH_TEXT_MAX      4096                // a path as a person writes it
#define LH_SYMLINK_MAX        4096
#define LH_SOURCES_MAX        4096                // SRC arguments of one job
#define LH_REASON_MAX         512                 // text of an error from the peer
#define LH_DEPTH_MAX          4096                // directories below one source
#define LH_INFLIGHT_FILES_MAX 65536               // files announced and not yet settled
#define LH_LOST_FILES_MAX     65536               // failed files with blocks still on their way
#define LH_SMALL_FILE_MAX     262144              // larger files have blocks of their own
#define LH_FILE_BLOCKS_MAX    ((uint64_t)1 << 24) // 16 TiB in blocks of 1 MiB
#define LH_DIRECTORIES_MAX    ((uint32_t)1 << 21) // of one job; the receiver holds them to its end
#define LH_OUTBOX_MAX         ((size_t)64 << 20)  // messages waiting for room in the stream
#define LH_JOURNAL_DAYS_MAX   90                  // a journal that nobody opens goes then

// --- Set-up over SSH ---
#define LH_NOISE_MAX           8192 // login noise skipped in front of the magic bytes
#define LH_HELLO_MAX           4096
#define LH_HELLO_CHOICES_MAX   8 // ciphers or digests that one side may name
#define LH_HELLO_ADDRESSES_MAX 4
#define LH_SOFTWARE_MAX        64    // bytes of a software's name and version
#define LH_PINS_MAX            16    // host-key fingerprints of one --check-sshfp list
#define LH_IDENTITIES_MAX      16    // -i
#define LH_SSH_EXTRA_MAX       64    // arguments handed on to ssh
#define LH_SSH_MESSAGES_MAX    16384 // bytes of ssh's messages kept: the first and the last half
#define LH_PASSWORD_MAX        1023
#define LH_ASKPASS_ANSWERS_MAX 8 // a password that is wrong does not loop
#define LH_SSH_FRAME_MAX       65536
#define LH_SSH_PIPE_EARLY      262144 // bytes in the SSH pipe until UDP is given up
#define LH_SETUP_TIMEOUT       (10 * LH_SECOND)
#define LH_UDP_PROBE_MIN       (300 * LH_MS)   // wait for the first UDP echo at least this long
#define LH_UDP_PROBE_MAX       (3 * LH_SECOND) // and at most, however slow SSH is

// --- Session life ---
#define LH_IDLE_TIMEOUT  (120 * LH_SECOND) // silence on every lane that ends a session
#define LH_KEEPALIVE     (15 * LH_SECOND)
#define LH_RETRY_TIMEOUT (3600 * LH_SECOND) // --retry-timeout
#define LH_UDP_ALONE_MAX (120 * LH_SECOND)  // --udp-alone

#define LH_UDP_PORT_DEFAULT 33001
#define LH_SSH_PORT_DEFAULT 33001

#endif
