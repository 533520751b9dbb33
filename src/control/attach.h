// SPDX-License-Identifier: Apache-2.0
//
// The messages between an lhserver that was started for a client's second login and the one that
// the session lives in, on a private Unix socket (run/attach.h). Pure parsing; either end may face
// a stranger.
//
//   offer   "LHA1" 4 | session id u32 | count u32 | proof 32     with the channel's two descriptors
//   answer  "LHA2" 4 | verdict u8 | proof 32                     the proof is zeros unless taken
//   go      "LHA3" 4                                             the client has been told
#ifndef LH_CONTROL_ATTACH_H
#define LH_CONTROL_ATTACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/hello.h"

#define LH_ATTACH_OFFER_LEN   (12 + LH_HELLO_ATTACH_PROOF)
#define LH_ATTACH_ANSWER_LEN  (5 + LH_HELLO_ATTACH_PROOF)
#define LH_ATTACH_GO_LEN      4
#define LH_ATTACH_MESSAGE_MAX 64

enum lh_attach_verdict {
    LH_ATTACH_TAKEN,
    LH_ATTACH_REFUSED, // no such session, a wrong or old proof, not two descriptors
    LH_ATTACH_VERDICTS_
};

struct lh_attach_offer {
    uint32_t session_id;
    uint32_t count;
    uint8_t proof[LH_HELLO_ATTACH_PROOF];
};
struct lh_attach_answer {
    uint8_t verdict; // enum lh_attach_verdict
    uint8_t proof[LH_HELLO_ATTACH_PROOF];
};

void lh_attach_offer_write(const struct lh_attach_offer *offer, uint8_t out[LH_ATTACH_OFFER_LEN]);
void lh_attach_answer_write(const struct lh_attach_answer *answer,
                            uint8_t out[LH_ATTACH_ANSWER_LEN]);
void lh_attach_go_write(uint8_t out[LH_ATTACH_GO_LEN]);

// False for anything but exactly such a message.
bool lh_attach_offer_read(const void *data, size_t len, struct lh_attach_offer *out_offer);
bool lh_attach_answer_read(const void *data, size_t len, struct lh_attach_answer *out_answer);
bool lh_attach_go_read(const void *data, size_t len);

#endif
