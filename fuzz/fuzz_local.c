// SPDX-License-Identifier: Apache-2.0
//
// Arbitrary bytes as a request to a session's private socket, and as an answer from one.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "local/local.h"
#include "local/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lh_local_request request, again;
    struct lh_errinfo info = {0};
    char text[LH_LOCAL_REPLY_MAX + 1];
    if (size > LH_LOCAL_REPLY_MAX)
        return 0;
    if (lh_local_request_parse((const char *)data, size, &request, &info) == 0) {
        lh_local_request_write(&request, text, LH_LOCAL_REQUEST_MAX);
        LH_ASSERT(lh_local_request_parse(text, strlen(text), &again, &info) == 0);
        LH_ASSERT(again.rate == request.rate && strcmp(again.policy, request.policy) == 0);
    }
    struct lh_local_reply reply;
    memcpy(text, data, size);
    text[size] = '\0';
    if (lh_local_reply_parse(text, &reply) == 0) {
        LH_ASSERT(strnlen(reply.session.peer, LH_LOCAL_TEXT) < LH_LOCAL_TEXT);
        (void)lh_local_reply_write(&reply.session, NULL, text, sizeof text);
    }
    return 0;
}
