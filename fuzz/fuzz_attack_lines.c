// SPDX-License-Identifier: Apache-2.0
//
// Lines of a system log, whatever they hold: nothing is read outside of them, and what becomes a
// source is an address that is written and read back as the same.
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "watch/feed.h"
#include "watch/judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_source(void *context, const struct lh_watch_addr *addr, struct lh_span line)
{
    char text[LH_WATCH_ADDR_TEXT];
    struct lh_watch_addr again;
    (void)context;
    (void)line;
    lh_watch_addr_format(addr, text);
    LH_ASSERT(lh_watch_addr_parse(lh_span_of(text, strlen(text)), &again));
    LH_ASSERT(lh_watch_addr_equal(addr, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    // One state for all inputs: a new one each time would cost more than the parsing.
    static struct lh_watch watch;
    static struct lh_feed feed;
    static bool ready;
    struct lh_watch_zone zone = {.latest = 1779250000};
    char *text = malloc(len + 1);
    uint64_t number = 0;

    LH_ASSERT(text != NULL);
    if (!ready)
        LH_ASSERT(lh_watch_init(&watch, 42) == 0);
    ready = true;
    feed.watch = &watch;
    feed.seen = check_source;
    lh_feed_begin(&feed, &zone, 0);
    memcpy(text, data, len);
    struct lh_span rest = lh_span_of(text, len);
    while (rest.len > 0) {
        const char *newline = memchr(rest.at, '\n', rest.len);
        size_t part = newline == NULL ? rest.len : (size_t)(newline - rest.at);
        // A buffer of its own, so that ASan sees a read behind the line.
        char *line = malloc(part + 1);
        LH_ASSERT(line != NULL);
        memcpy(line, rest.at, part);
        (void)lh_feed_line(&feed, lh_span_of(line, part), ++number);
        free(line);
        rest = lh_span_skip(rest, part + 1);
    }
    free(text);
    return 0;
}
