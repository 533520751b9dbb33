// SPDX-License-Identifier: Apache-2.0
#include "control/attach.h"

#include "base/assert.h"
#include "base/bytes.h"

#define MAGIC_LEN 4

static const char offer_magic[] = "LHA1";
static const char answer_magic[] = "LHA2";
static const char go_magic[] = "LHA3";

void lh_attach_offer_write(const struct lh_attach_offer *offer, uint8_t out[LH_ATTACH_OFFER_LEN])
{
    struct lh_writer writer = lh_writer_of(out, LH_ATTACH_OFFER_LEN);

    lh_write_bytes(&writer, offer_magic, MAGIC_LEN);
    lh_write_u32(&writer, offer->session_id);
    lh_write_u32(&writer, offer->count);
    lh_write_bytes(&writer, offer->proof, sizeof offer->proof);
    LH_ASSERT(!writer.bad);
}

void lh_attach_answer_write(const struct lh_attach_answer *answer,
                            uint8_t out[LH_ATTACH_ANSWER_LEN])
{
    struct lh_writer writer = lh_writer_of(out, LH_ATTACH_ANSWER_LEN);

    lh_write_bytes(&writer, answer_magic, MAGIC_LEN);
    lh_write_u8(&writer, answer->verdict);
    lh_write_bytes(&writer, answer->proof, sizeof answer->proof);
    LH_ASSERT(!writer.bad);
}

void lh_attach_go_write(uint8_t out[LH_ATTACH_GO_LEN])
{
    memcpy(out, go_magic, MAGIC_LEN);
}

// The reader behind the magic; bad where it is another one, or the length is not `wanted`.
static struct lh_reader open_message(const void *data, size_t len, size_t wanted, const char *magic)
{
    struct lh_reader reader = lh_reader_of(data, len);
    const uint8_t *found = lh_read_bytes(&reader, MAGIC_LEN);

    if (LH_GUARD(ATTACH_LENGTH, len != wanted) || found == NULL ||
        memcmp(found, magic, MAGIC_LEN) != 0)
        reader.bad = true;
    return reader;
}

static void read_proof(struct lh_reader *reader, uint8_t out[LH_HELLO_ATTACH_PROOF])
{
    const uint8_t *proof = lh_read_bytes(reader, LH_HELLO_ATTACH_PROOF);

    if (proof != NULL)
        memcpy(out, proof, LH_HELLO_ATTACH_PROOF);
}

bool lh_attach_offer_read(const void *data, size_t len, struct lh_attach_offer *out_offer)
{
    struct lh_reader reader = open_message(data, len, LH_ATTACH_OFFER_LEN, offer_magic);
    struct lh_attach_offer offer;

    offer.session_id = lh_read_u32(&reader);
    offer.count = lh_read_u32(&reader);
    read_proof(&reader, offer.proof);
    if (reader.bad || offer.session_id == 0 || offer.count == 0)
        return false;
    *out_offer = offer;
    return true;
}

bool lh_attach_answer_read(const void *data, size_t len, struct lh_attach_answer *out_answer)
{
    struct lh_reader reader = open_message(data, len, LH_ATTACH_ANSWER_LEN, answer_magic);
    struct lh_attach_answer answer = {.verdict = lh_read_u8(&reader)};

    read_proof(&reader, answer.proof);
    if (reader.bad || answer.verdict >= LH_ATTACH_VERDICTS_)
        return false;
    *out_answer = answer;
    return true;
}

bool lh_attach_go_read(const void *data, size_t len)
{
    return !open_message(data, len, LH_ATTACH_GO_LEN, go_magic).bad;
}
