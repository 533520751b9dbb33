// SPDX-License-Identifier: Apache-2.0
//
// How it works. sshd reads its files twice, and so do we (enum lh_sshd_pass):
//
//   for everybody    lines outside of Match count, and behind `Match all`; the first value wins.
//                    Lines in other Match blocks are checked only.
//   for one persona  only lines in Match blocks that hold count; again the first value wins. What
//                    comes out replaces what the first reading gave, keyword by keyword, for
//                    keywords that may stand in Match.
//
// An included file begins with the state of the Include line and gives it back unchanged at its
// end: a Match inside it ends with it. Inside a block that does not hold, the blocks of an included
// file do not hold either. `struct frame` is one open file; the stack of them replaces recursion.
//
// finish.c then fills in the defaults of the binary and prints as `sshd -T` does.
// Reference: OpenSSH's servconf.c, parse_server_config_depth and the essay above match_cfg_line.
#include "sshdcfg/effective.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "sshdcfg/evaluate_internal.h"

struct frame {
    const struct lh_sshd_doc *doc;
    size_t line;
    size_t child;       // next included file of this line
    bool in_include;    // the line is an Include whose files are being read
    bool active;        // lines counted when the Include was met
    bool never;         // no Match block of this file holds
    bool only_in_match; // second reading, before the first Match: this does not bind Match blocks
};

void lh_sshd_problem(struct lh_sshd_evaluation *ev,
                     enum lh_sshd_problem_kind kind,
                     const char *keyword,
                     const char *format,
                     ...)
{
    struct lh_sshd_effective *effective = ev->effective;
    va_list arguments;

    if (ev->pass != LH_SSHD_PASS_ALL && kind != LH_SSHD_DEAD)
        return;
    if (effective->problem_count == effective->problem_room) {
        size_t room = effective->problem_room == 0 ? 16 : 2 * effective->problem_room;
        struct lh_sshd_problem *problems = realloc(effective->problems, room * sizeof *problems);
        if (problems == NULL) {
            ev->err = LH_E_NOMEM;
            return;
        }
        effective->problems = problems;
        effective->problem_room = room;
    }
    struct lh_sshd_problem *problem = &effective->problems[effective->problem_count++];
    *problem = (struct lh_sshd_problem){
        .kind = kind, .doc = ev->doc, .line = ev->line, .keyword = keyword};
    va_start(arguments, format);
    (void)vsnprintf(problem->text, sizeof problem->text, format, arguments);
    va_end(arguments);
}

bool lh_sshd_is_free(struct lh_sshd_evaluation *ev, const char *name, const char *keyword)
{
    const struct lh_sshd_value *value = lh_sshd_values_find(&ev->set[ev->pass], name, 0);

    if (!ev->active)
        return false;
    if (value == NULL)
        return true;
    if (value->doc != ev->doc || value->line != ev->line)
        lh_sshd_problem(ev, LH_SSHD_DEAD, keyword, "%.60s line %zu has set it already",
                        value->doc->path, value->line + 1);
    return false;
}

void lh_sshd_set(struct lh_sshd_evaluation *ev, const char *name, const char *text)
{
    lh_err err = lh_sshd_values_add(&ev->set[ev->pass], name, text, ev->doc, ev->line);
    if (err != 0)
        ev->err = err;
}

void lh_sshd_reset(struct lh_sshd_evaluation *ev, const char *name, const char *text)
{
    struct lh_sshd_values *values = &ev->set[ev->pass];

    for (size_t i = 0; i < values->count; i++) {
        if (strcmp(values->items[i].keyword, name) != 0)
            continue;
        free(values->items[i].text);
        values->count--;
        memmove(&values->items[i], &values->items[i + 1],
                (values->count - i) * sizeof *values->items);
        break;
    }
    lh_sshd_set(ev, name, text);
}

char *lh_sshd_absolute(struct lh_sshd_evaluation *ev, const char *path, bool make_absolute)
{
    const char *directory = ev->world->directory == NULL ? "/" : ev->world->directory;
    const char *rest = path;
    char *home = NULL;
    char user[256];

    bool none = make_absolute && strcasecmp(path, "none") == 0;
    if (none) {
        directory = "";
        rest = "none";
    } else if (*path == '~') {
        size_t len = strcspn(path + 1, "/");
        (void)snprintf(user, sizeof user, "%.*s", len < sizeof user ? (int)len : 0, path + 1);
        home = ev->world->home == NULL ? NULL : ev->world->home(ev->world->context, user);
        if (home == NULL) {
            lh_sshd_problem(ev, LH_SSHD_REFUSED, "", "no home for \"%.60s\"", path);
            return NULL;
        }
        directory = home;
        rest = path + 1 + len;
        rest += strspn(rest, "/");
    } else if (*path == '/' || !make_absolute) {
        directory = "";
    }
    // sshd joins a relative name with its directory by "/" always, a home only where that is
    // needed.
    size_t len = strlen(directory);
    bool slash = len > 0 && (home == NULL || directory[len - 1] != '/');
    char *out = malloc(len + strlen(rest) + 2);
    if (out == NULL)
        ev->err = LH_E_NOMEM;
    else
        (void)snprintf(out, len + strlen(rest) + 2, "%s%s%s", directory, slash ? "/" : "", rest);
    free(home);
    return out;
}

static void match_line(struct lh_sshd_evaluation *ev, struct frame *frame, char *rest)
{
    bool blind = frame->never || ev->pass == LH_SSHD_PASS_ALL;
    int result = lh_sshd_match_line(&rest, blind ? NULL : ev->persona, ev->world->service_port,
                                    ev->world->context);

    if (result == LH_SSHD_MATCH_BAD || (rest != NULL && *rest != '\0'))
        lh_sshd_problem(ev, LH_SSHD_REFUSED, "match", "not criteria that sshd takes");
    ev->active = !frame->never && result == 1;
    frame->only_in_match = false;
}

static void plain_line(struct lh_sshd_evaluation *ev,
                       const struct lh_sshd_keyword *keyword,
                       struct lh_sshd_statement *statement)
{
    if (!ev->active && !keyword->in_match) {
        lh_sshd_problem(ev, LH_SSHD_REFUSED, keyword->name, "may not stand in a Match block");
        return;
    }
    lh_sshd_take(ev, keyword, statement);
}

// A keyword that the table does not have: one word a line, the first wins.
static void unknown_line(struct lh_sshd_evaluation *ev, const struct lh_sshd_statement *statement)
{
    lh_sshd_problem(ev, LH_SSHD_UNKNOWN_KEYWORD, "", "\"%.60s\"", statement->keyword);
    if (ev->active && statement->count > 0 &&
        lh_sshd_values_find(&ev->set[ev->pass], statement->keyword, 0) == NULL)
        lh_sshd_set(ev, statement->keyword, statement->rest);
}

static void take_line(struct lh_sshd_evaluation *ev, struct frame *frame)
{
    LH_CLEANUP(lh_sshd_statement_fini) struct lh_sshd_statement statement = {0};
    enum lh_sshd_line_kind kind;

    ev->doc = frame->doc;
    ev->line = frame->line;
    lh_err err = lh_sshd_split(frame->doc->lines[frame->line].text,
                               lh_sshd_line_body(frame->doc, frame->line), &kind, &statement);
    if (err != 0)
        ev->err = err;
    if (err == 0 && kind == LH_SSHD_SKIPPED)
        lh_sshd_problem(ev, LH_SSHD_UNSEEN, "",
                        "a quote without its partner: sshd skips the line without a word");
    if (err != 0 || kind != LH_SSHD_STATEMENT)
        return;
    const struct lh_sshd_keyword *keyword = lh_sshd_keyword_find(statement.keyword);
    const char *name = keyword == NULL ? "" : keyword->name;
    if (statement.rest == NULL || *statement.rest == '\0')
        lh_sshd_problem(ev, LH_SSHD_REFUSED, name, "no argument after \"%.60s\"",
                        statement.keyword);
    else if (statement.bad_quotes)
        lh_sshd_problem(ev, LH_SSHD_REFUSED, name, "a quote without its partner");
    else if (keyword == NULL)
        unknown_line(ev, &statement);
    else if (keyword->kind == LH_SSHD_MATCH)
        match_line(ev, frame, statement.rest);
    else if (keyword->kind != LH_SSHD_INCLUDE)
        plain_line(ev, keyword, &statement);
    else if (statement.count == 0)
        lh_sshd_problem(ev, LH_SSHD_REFUSED, name, "a file name is missing");
    else
        frame->in_include = true;
}

// Reads all files in the order in which sshd does. `ev->active` is the state at the beginning.
static void walk(struct lh_sshd_evaluation *ev, const struct lh_sshd_doc *file)
{
    struct frame stack[LH_SSHD_DEPTH_MAX + 1];
    size_t depth = 0;

    stack[depth++] = (struct frame){.doc = file, .only_in_match = ev->pass == LH_SSHD_PASS_MATCH};
    while (depth > 0 && ev->err == 0) {
        struct frame *top = &stack[depth - 1];
        if (top->line == top->doc->count) {
            depth--;
            continue;
        }
        if (!top->in_include) {
            take_line(ev, top);
            top->active = ev->active;
            top->child = 0;
            top->line += top->in_include ? 0 : 1;
            continue;
        }
        const struct lh_sshd_line *line = &top->doc->lines[top->line];
        ev->active = top->active;
        if (top->child == line->include_count || depth == LH_ARRAY_LEN(stack)) {
            if (top->child < line->include_count)
                lh_sshd_problem(ev, LH_SSHD_REFUSED, "include", "files include files too deeply");
            top->in_include = false;
            top->line++;
            continue;
        }
        stack[depth++] = (struct frame){.doc = line->includes[top->child++],
                                        .only_in_match = top->only_in_match,
                                        .never = !top->only_in_match && !top->active};
    }
}

lh_err lh_sshd_evaluate(const struct lh_sshd_input *input,
                        const struct lh_sshd_target *target,
                        const struct lh_sshd_world *world,
                        const struct lh_sshd_persona *persona,
                        struct lh_sshd_effective *out_effective)
{
    struct lh_sshd_effective effective = {0};
    struct lh_sshd_evaluation ev = {.input = input,
                                    .target = target,
                                    .world = world,
                                    .persona = persona,
                                    .effective = &effective};

    ev.active = true;
    if (input->command_line != NULL)
        walk(&ev, input->command_line);
    ev.active = true;
    walk(&ev, input->file);
    ev.pass = LH_SSHD_PASS_MATCH;
    ev.active = false;
    walk(&ev, input->file);
    if (ev.err == 0)
        lh_sshd_finish(&ev);
    for (size_t i = 0; i < LH_SSHD_PASS_N_; i++)
        lh_sshd_values_fini(&ev.set[i]);
    if (ev.err != 0) {
        lh_sshd_effective_fini(&effective);
        return ev.err;
    }
    *out_effective = effective;
    return 0;
}

void lh_sshd_effective_fini(struct lh_sshd_effective *effective)
{
    lh_sshd_values_fini(&effective->values);
    free(effective->problems);
    *effective = (struct lh_sshd_effective){0};
}

lh_err lh_sshd_include_patterns(const struct lh_sshd_doc *doc,
                                size_t index,
                                const char *ssh_directory,
                                char ***out_patterns)
{
    LH_CLEANUP(lh_sshd_statement_fini) struct lh_sshd_statement statement = {0};
    enum lh_sshd_line_kind kind;

    lh_err err =
        lh_sshd_split(doc->lines[index].text, lh_sshd_line_body(doc, index), &kind, &statement);
    if (err != 0)
        return err;
    const struct lh_sshd_keyword *keyword =
        kind == LH_SSHD_STATEMENT ? lh_sshd_keyword_find(statement.keyword) : NULL;
    if (keyword == NULL || keyword->kind != LH_SSHD_INCLUDE)
        return LH_NONE;
    size_t size = (statement.count + 1) * sizeof(char *), prefix = strlen(ssh_directory) + 1;
    for (size_t i = 0; i < statement.count; i++)
        size += prefix + strlen(statement.words[i]) + 1;
    char **patterns = malloc(size);
    if (patterns == NULL)
        return LH_E_NOMEM;
    char *to = (char *)(patterns + statement.count + 1);
    for (size_t i = 0; i < statement.count; i++) {
        bool whole = *statement.words[i] == '/' || *statement.words[i] == '~';
        size_t room = prefix + strlen(statement.words[i]) + 1;
        patterns[i] = to;
        to += snprintf(to, room, "%s%s%s", whole ? "" : ssh_directory, whole ? "" : "/",
                       statement.words[i]) +
              1;
    }
    patterns[statement.count] = NULL;
    *out_patterns = patterns;
    return 0;
}
