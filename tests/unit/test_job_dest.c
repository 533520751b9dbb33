// SPDX-License-Identifier: Apache-2.0
//
// The destination-name rule, row by row of its published table, on paths instead of facts: a small
// model of what exists answers the questions that the receiver asks its file system.
#include "job/dest.h"

#include <stdbool.h>

#include "base/cleanup.h"
#include "check.h"

struct model {
    const char *directories[4]; // besides "."
    const char *files[4];
};

static bool is_among(const char *const *list, size_t count, const char *path)
{
    for (size_t i = 0; i < count && list[i] != NULL; i++)
        if (strcmp(list[i], path) == 0)
            return true;
    return false;
}

static bool is_directory(const struct model *model, const char *path)
{
    return strcmp(path, ".") == 0 || is_among(model->directories, 4, path);
}

// Where `source` lands, as "path", or "!plan" where it is refused.
static const char *where(const struct model *model,
                         size_t source_count,
                         const char *source,
                         const char *dest,
                         bool make_directory,
                         const char *base)
{
    static char out[5 * LH_PATH_TEXT_MAX];
    struct lh_dest_split split;
    check_ok(lh_dest_split(dest, strlen(dest), &split));
    char whole[3 * LH_PATH_TEXT_MAX];
    if (split.name[0] == '\0')
        snprintf(whole, sizeof whole, "%s", split.parent);
    else if (strcmp(split.parent, ".") == 0)
        snprintf(whole, sizeof whole, "%s", split.name);
    else
        snprintf(whole, sizeof whole, "%s/%s", split.parent, split.name);

    struct lh_dest_facts facts = {.source_count = source_count, .make_directory = make_directory};
    facts.dest = is_directory(model, whole)         ? LH_DEST_IS_DIRECTORY
                 : is_among(model->files, 4, whole) ? LH_DEST_IS_OTHER
                                                    : LH_DEST_IS_MISSING;
    facts.parent_is_directory = is_directory(model, split.parent);
    char name[LH_PATH_TEXT_MAX + 1];
    check_ok(lh_source_name(source, strlen(source), base, name));
    switch (lh_dest_plan(&facts)) {
    case LH_DEST_RENAME:
        snprintf(out, sizeof out, "%s", whole);
        return out;
    case LH_DEST_INTO:
    case LH_DEST_MAKE_AND_INTO:
        snprintf(out, sizeof out, "%s%s%s", whole, name[0] == '\0' ? "" : "/", name);
        return out;
    case LH_DEST_NO_PARENT:
        return "!no parent";
    case LH_DEST_NOT_THERE:
        return "!not there";
    case LH_DEST_NOT_A_DIRECTORY:
        return "!not a directory";
    }
    return "?";
}

static void every_row_of_the_published_table_holds(void **state)
{
    (void)state;
    static const struct {
        const char *sources[2]; // the second may be NULL
        const char *dest;
        struct model model;
        bool make_directory;
        const char *base;
        const char *results[2];
    } rows[] = {
        {{"f1"}, "d/f", {{NULL}, {NULL}}, false, NULL, {"!no parent"}},
        {{"f1"}, "d/f", {{"d"}, {NULL}}, false, NULL, {"d/f"}},
        {{"f1"}, "d/f/.", {{"d"}, {NULL}}, false, NULL, {"d/f"}},
        {{"f1"}, "d/f", {{"d", "d/f"}, {NULL}}, false, NULL, {"d/f/f1"}},
        {{"f1", "f2"}, "d", {{"d"}, {NULL}}, false, NULL, {"d/f1", "d/f2"}},
        {{"d3"}, "d", {{NULL}, {NULL}}, false, NULL, {"d"}}, // d3/f1 becomes d/f1
        {{"f1"}, "d", {{NULL}, {NULL}}, true, NULL, {"d/f1"}},
        {{"f1", "f2"}, "d", {{NULL}, {NULL}}, true, NULL, {"d/f1", "d/f2"}},
        {{"d1/f1", "d2/f2"}, "d", {{NULL}, {NULL}}, true, NULL, {"d/f1", "d/f2"}},
        {{"d3"}, "d", {{NULL}, {NULL}}, true, NULL, {"d/d3"}},
        {{"d1/d2/f2", "d1/d3/f3"}, "d", {{"d"}, {NULL}}, false, "d1", {"d/d2/f2", "d/d3/f3"}},
        // and what the table leaves out
        {{"f1", "f2"}, "d", {{NULL}, {NULL}}, false, NULL, {"!not there", "!not there"}},
        {{"f1"}, "d", {{NULL}, {"d"}}, false, NULL, {"d"}}, // a file is overwritten
        {{"f1"}, "d", {{NULL}, {"d"}}, true, NULL, {"!not a directory"}},
        {{"f1", "f2"}, "d", {{NULL}, {"d"}}, false, NULL, {"!not a directory", "!not a directory"}},
        {{"f1"}, ".", {{NULL}, {NULL}}, false, NULL, {"./f1"}},
        {{"f1"}, "", {{NULL}, {NULL}}, false, NULL, {"./f1"}},
        {{"."}, "d", {{"d"}, {NULL}}, false, NULL, {"d"}}, // the content itself
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        size_t count = rows[i].sources[1] == NULL ? 1 : 2;
        for (size_t k = 0; k < count; k++) {
            const char *result = where(&rows[i].model, count, rows[i].sources[k], rows[i].dest,
                                       rows[i].make_directory, rows[i].base);
            if (strcmp(result, rows[i].results[k]) != 0)
                fail_msg("row %zu, source %zu: got %s, expected %s", i, k, result,
                         rows[i].results[k]);
        }
    }
}

static void splits_destinations(void **state)
{
    (void)state;
    static const struct {
        const char *dest, *parent, *name;
    } cases[] = {
        {"f", ".", "f"},        {"d/f", "d", "f"},     {"d/f/", "d", "f"},   {"d/f/.", "d", "f"},
        {"d//f//./", "d", "f"}, {"/f", "/", "f"},      {"/", "/", ""},       {"", ".", ""},
        {".", ".", ""},         {"..", "..", ""},      {"d/..", "d/..", ""}, {"/.", "/", ""},
        {"-x", ".", "-x"},      {"a/b/c", "a/b", "c"}, {"./f", ".", "f"},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct lh_dest_split split;
        check_ok(lh_dest_split(cases[i].dest, strlen(cases[i].dest), &split));
        assert_string_equal(split.parent, cases[i].parent);
        assert_string_equal(split.name, cases[i].name);
    }
}

static void refuses_destinations_that_cannot_be(void **state)
{
    (void)state;
    struct lh_dest_split split;
    char *longest = malloc(LH_PATH_TEXT_MAX + 2);
    memset(longest, '/', LH_PATH_TEXT_MAX + 1);
    check_ok(lh_dest_split(longest, LH_PATH_TEXT_MAX, &split));
    check_err(lh_dest_split(longest, LH_PATH_TEXT_MAX + 1, &split), LH_E_PATH);
    memset(longest, 'x', LH_PATH_TEXT_MAX + 1);
    check_ok(lh_dest_split(longest, LH_NAME_MAX, &split));
    check_err(lh_dest_split(longest, LH_NAME_MAX + 1, &split), LH_E_PATH);
    free(longest);
    check_err(lh_dest_split("a\0b", 3, &split), LH_E_PATH);
}

static void names_sources(void **state)
{
    (void)state;
    static const struct {
        const char *source, *base, *name; // name NULL: refused
    } cases[] = {
        {"f", NULL, "f"},
        {"a/b/f", NULL, "f"},
        {"d/", NULL, "d"},
        {"d/.", NULL, ""},
        {".", NULL, ""},
        {"..", NULL, ""},
        {"/", NULL, ""},
        {"../x", NULL, "x"},
        {"-f", NULL, "-f"},
        {"d1/d2/f2", "d1", "d2/f2"},
        {"d1/d2//f2", "d1/", "d2/f2"},
        {"/a/b", "/", "a/b"},
        {"d1", "d1", ""},
        {"d12/x", "d1", NULL},
        {"x/y", "d1", NULL},
        {"d1/../y", "d1", NULL},
        {"d1/x", ".", NULL},
        {"./x", ".", NULL},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        char name[LH_PATH_TEXT_MAX + 1];
        lh_err err = lh_source_name(cases[i].source, strlen(cases[i].source), cases[i].base, name);
        check_int(err, cases[i].name == NULL ? LH_E_PATH : LH_OK);
        if (cases[i].name != NULL)
            assert_string_equal(name, cases[i].name);
    }
}

static void knows_plain_relative_paths(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        size_t len;
        bool ok;
    } cases[] = {
        {"", 0, true},    {"a", 1, true},       {"a/b", 3, true},    {"...", 3, true},
        {"/a", 2, false}, {"a/", 2, false},     {"a//b", 4, false},  {".", 1, false},
        {"..", 2, false}, {"a/../b", 6, false}, {"a/./b", 5, false}, {"a\0b", 3, false},
        {"/", 1, false},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++)
        check_int(lh_relative_path_ok(cases[i].path, cases[i].len), cases[i].ok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_the_published_table_holds),
        cmocka_unit_test(splits_destinations),
        cmocka_unit_test(refuses_destinations_that_cannot_be),
        cmocka_unit_test(names_sources),
        cmocka_unit_test(knows_plain_relative_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
