// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as sshd_config: printing gives them back, evaluating harms nothing, and an edit changes
// the line that it names and no other. What is behind the first zero byte is an included file.
// With LH_FUZZ_ROUND_TRIP set only printing and the edit are tried, thirty times as fast.
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "sshdcfg/effective.h"
#include "sshdcfg/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char defaults_text[] =
    "port 22\nciphers aes128-ctr,aes256-ctr\nmacs hmac-sha2-256\nkexalgorithms curve25519-sha256\n"
    "maxstartups 10:30:100\nrekeylimit 0 0\nhostkey /a\n";

static void check_print(const struct lh_sshd_doc *doc, const void *text, size_t len)
{
    char *printed;
    size_t printed_len;

    if (lh_sshd_doc_print(doc, &printed, &printed_len) != 0)
        return;
    LH_ASSERT(printed_len == len);
    LH_ASSERT(len == 0 || memcmp(printed, text, len) == 0);
    free(printed);
}

static void check_evaluation(const struct lh_sshd_doc *doc)
{
    static const char *const groups[] = {"root", "adm"};
    static const struct lh_sshd_persona persona = {.user = "root",
                                                   .user_exists = true,
                                                   .groups = groups,
                                                   .group_count = 2,
                                                   .host = "host",
                                                   .address = "10.0.0.1",
                                                   .local_address = "::1",
                                                   .local_port = 22};
    static const struct lh_sshd_world world = {0};
    struct lh_sshd_values defaults = {0};
    struct lh_sshd_effective effective;

    LH_ASSERT(lh_sshd_values_read(&defaults, defaults_text, strlen(defaults_text)) == 0);
    struct lh_sshd_target target = {
        .version = 902, .defaults = &defaults, .known = {"aes128-ctr,aes256-ctr,3des-cbc"}};
    struct lh_sshd_input input = {.file = doc};
    LH_ASSERT(lh_sshd_evaluate(&input, &target, &world, &persona, &effective) == 0);
    LH_ASSERT(*lh_sshd_values_text(&effective.values, "port") != '\0');
    for (size_t i = 0; i < effective.problem_count; i++)
        LH_ASSERT(effective.problems[i].line < effective.problems[i].doc->count);
    lh_sshd_effective_fini(&effective);
    lh_sshd_values_fini(&defaults);
}

// A comment mark in front of one line lengthens the text by the mark and moves nothing else.
static void check_edit(struct lh_sshd_doc *doc, const uint8_t *data, size_t len)
{
    char *printed;
    size_t printed_len, before = 0;

    if (doc->count == 0)
        return;
    size_t index = data[0] % doc->count;
    for (size_t i = 0; i < index; i++)
        before += doc->lines[i].len;
    LH_ASSERT(lh_sshd_doc_comment(doc, index, "#lhctl ") == 0);
    LH_ASSERT(lh_sshd_doc_print(doc, &printed, &printed_len) == 0);
    LH_ASSERT(printed_len == len + 7);
    LH_ASSERT(memcmp(printed, data, before) == 0);
    LH_ASSERT(memcmp(printed + before + 7, data + before, len - before) == 0);
    free(printed);
}

// Writing settings in twice gives what writing them once gives, and their difference can be shown.
static void check_plan(struct lh_sshd_doc *doc, const uint8_t *data, size_t len)
{
    struct lh_sshd_setting items[] = {
        {.keyword = (char[]){"Port"}, .value = (char[]){"33001"}},
        {.keyword = (char[]){"Match"}, .value = (char[]){"User a"}},
        {.keyword = (char[]){"Banner"}, .value = (char[]){"none"}, .in_match = true},
        {.keyword = (char[]){"Match"}, .value = (char[]){"all"}}};
    const struct lh_sshd_settings settings = {.items = items, .count = LH_ARRAY_LEN(items)};
    struct lh_sshd_doc *before = NULL;
    char *once, *twice, *difference;
    size_t once_len, twice_len;

    LH_ASSERT(lh_sshd_doc_parse("fuzz", data, len, &before) == 0);
    LH_ASSERT(lh_sshd_plan_edit(doc, "/etc/ssh/", &settings) == 0);
    LH_ASSERT(lh_sshd_doc_print(doc, &once, &once_len) == 0);
    if (doc->count < 500 && lh_sshd_text_difference("x", before, doc, &difference) == 0) {
        LH_ASSERT(*difference != '\0' || once_len == len);
        free(difference);
    }
    LH_ASSERT(lh_sshd_plan_edit(doc, "/etc/ssh/", &settings) == 0);
    LH_ASSERT(lh_sshd_doc_print(doc, &twice, &twice_len) == 0);
    LH_ASSERT(once_len == twice_len && memcmp(once, twice, once_len) == 0);
    free(once);
    free(twice);
    lh_sshd_doc_free(before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    LH_CLEANUP(lh_sshd_doc_freep) struct lh_sshd_doc *doc = NULL;
    struct lh_sshd_doc *child = NULL;
    char **patterns;
    const uint8_t *zero = len == 0 ? NULL : memchr(data, '\0', len);
    size_t own = zero == NULL ? len : (size_t)(zero - data);

    LH_ASSERT(lh_sshd_doc_parse("fuzz", data, own, &doc) == 0);
    check_print(doc, data, own);
    if (zero != NULL) {
        lh_err err = lh_sshd_doc_parse("child", zero + 1, len - own - 1, &child);
        LH_ASSERT(err == 0 || err == LH_E_INVALID);
    }
    for (size_t i = 0; i < doc->count; i++) {
        if (lh_sshd_include_patterns(doc, i, "/etc/ssh", &patterns) != 0)
            continue;
        free((void *)patterns);
        if (child != NULL)
            LH_ASSERT(lh_sshd_doc_attach(doc, i, lh_steal(&child)) == 0);
    }
    lh_sshd_doc_free(child);
    bool whole = getenv("LH_FUZZ_ROUND_TRIP") == NULL;
    if (whole)
        check_evaluation(doc);
    if (own > 0)
        check_edit(doc, data, own);
    if (!whole)
        return 0;
    struct lh_sshd_doc *fresh = NULL;
    LH_ASSERT(lh_sshd_doc_parse("fuzz", data, own, &fresh) == 0);
    check_plan(fresh, data, own);
    lh_sshd_doc_free(fresh);
    return 0;
}
