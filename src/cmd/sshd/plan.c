// SPDX-License-Identifier: Apache-2.0
//
// lhctl sshd plan
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cmd/sshd/choices.h"
#include "cmd/sshd/internal.h"
#include "cmd/sshd/log.h"
#include "cmd/sshd/rows.h"
#include "sshdapply/plan.h"

#define COLUMNS               80
#define LH_SSHD_STATUS_BARRED 3

static const struct lh_option options[] = {
    LH_SSHD_ROW_ROOT,
    LH_SSHD_ROW_CONFIG,
    LH_SSHD_ROW_PORT,
    LH_SSHD_ROWS_CHOICES,
    LH_SSHD_ROW_ADMIN,
    LH_SSHD_ROW_TRANSFER_USER,
    LH_SSHD_ROW_FROM,
    LH_SSHD_ROW_DAYS,
    {.name = "write",
     .arg = "DIR",
     .parse = lh_option_text,
     .offset = LH_SSHD_FIELD(write),
     .help = "write the files as they would be below DIR"},
    LH_SSHD_ROW_JSON,
    LH_SSHD_ROW_HELP,
};

static const struct lh_option_table table = {
    .program = "lhctl sshd plan",
    .usage = "lhctl sshd plan [OPTION...] [modern|aspera-4|aspera-3|fips]\n",
    .options = options,
    .count = LH_ARRAY_LEN(options),
    .epilogue =
        "It changes nothing. Exit status: 0 the plan can be carried out, 3 it would lock out\n"
        "or would not take effect, 64 usage, 70 failed.\n",
};

// One value behind `lead`, broken at commas and blanks.
static void put_value(const char *lead, const char *value, size_t len)
{
    const char *end = value + len;
    bool first = true;

    if (len == 0)
        (void)printf("%s(nothing)\n", lead);
    while (value < end) {
        size_t room = COLUMNS - strlen(lead), part = (size_t)(end - value);
        if (part > room) {
            part = room;
            while (part > 1 && value[part - 1] != ',' && value[part - 1] != ' ')
                part--;
            if (part == 1)
                part = strcspn(value, ", ") + 1;
        }
        if (part > (size_t)(end - value))
            part = (size_t)(end - value);
        (void)printf("%s%.*s\n", first ? lead : "      ", (int)part, value);
        value += part;
        first = false;
    }
}

static void put_values(const char *lead, const char *values)
{
    char *escaped = malloc(4 * strlen(values) + 1);

    if (escaped == NULL)
        return;
    do {
        size_t len = strcspn(values, "\n");
        (void)lh_escape(values, len, escaped, 4 * len + 1);
        put_value(lead, escaped, strlen(escaped));
        values += len + (values[len] == '\n');
    } while (*values != '\0');
    free(escaped);
}

// Whether a comma-separated list names the word.
static bool list_has(const char *list, const char *word, size_t len)
{
    while (*list != '\0') {
        size_t part = strcspn(list, ",");
        if (part == len && strncmp(list, word, len) == 0)
            return true;
        list += part + (list[part] == ',');
    }
    return false;
}

// Those of the list `from` that `other` has not, from the heap; NULL where there is no memory.
static char *missing(const char *from, const char *other)
{
    char *out = calloc(1, strlen(from) + 1);
    size_t used = 0;

    while (out != NULL && *from != '\0') {
        size_t part = strcspn(from, ",");
        if (!list_has(other, from, part)) {
            if (used > 0)
                out[used++] = ',';
            memcpy(out + used, from, part);
            used += part;
        }
        from += part + (from[part] == ',');
    }
    return out;
}

// Of lists of algorithms what goes and what comes; the rest stays.
static void put_lists(const char *before, const char *after)
{
    char *gone = missing(before, after), *come = missing(after, before);

    if (gone != NULL && *gone != '\0')
        put_values("    - ", gone);
    if (come != NULL && *come != '\0')
        put_values("    + ", come);
    if (gone != NULL && come != NULL && *gone == '\0' && *come == '\0')
        put_values("    in another order: ", after);
    free(gone);
    free(come);
}

static void put_change(const struct lh_sshd_change *change)
{
    const char *who = strcmp(change->who, "everybody") == 0 ? "" : change->who;
    bool lines = strchr(change->before, '\n') != NULL || strchr(change->after, '\n') != NULL;
    bool lists =
        !lines && strchr(change->before, ',') != NULL && strchr(change->after, ',') != NULL;
    const char *before = *change->before == '\0' ? "(nothing)" : change->before;
    const char *after = *change->after == '\0' ? "(nothing)" : change->after;
    char one[512], escaped[1024];

    (void)snprintf(one, sizeof one, "  %-28s %.200s -> %.200s%s%.60s%s", change->keyword, before,
                   after, *who == '\0' ? "" : " (", who, *who == '\0' ? "" : ")");
    if (!lines && !lists && strlen(one) <= COLUMNS) {
        (void)printf("%s\n", lh_escape(one, strlen(one), escaped, sizeof escaped));
        return;
    }
    (void)snprintf(one, sizeof one, "%s%s%.400s%s", change->keyword, *who == '\0' ? "" : " (", who,
                   *who == '\0' ? "" : ")");
    (void)printf("  %s\n", lh_escape(one, strlen(one), escaped, sizeof escaped));
    if (lists) {
        put_lists(change->before, change->after);
        return;
    }
    put_values("    - ", change->before);
    put_values("    + ", change->after);
}

// The difference holds what files hold, line by line: each is escaped.
static void put_difference(const char *text)
{
    bool colour = lh_sshd_colour();

    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        char *escaped = malloc(4 * len + 1);
        const char *shade = !colour        ? ""
                            : *text == '+' ? "\033[32m"
                            : *text == '-' ? "\033[31m"
                            : *text == '@' ? "\033[36m"
                                           : "";
        if (escaped == NULL)
            return;
        // Tabs and backslashes do no harm and must stay for the text to be usable: they are put as
        // they are, what is between them is escaped.
        (void)fputs(shade, stdout);
        for (size_t at = 0; at < len;) {
            size_t part = 0;
            while (at + part < len && text[at + part] != '\t' && text[at + part] != '\\')
                part++;
            (void)fputs(lh_escape(text + at, part, escaped, 4 * len + 1), stdout);
            at += part;
            if (at < len)
                (void)fputc(text[at++], stdout);
        }
        (void)fputs(*shade == '\0' ? "\n" : "\033[0m\n", stdout);
        free(escaped);
        text += len + (text[len] == '\n');
    }
}

static void print_plan(const struct lh_sshd_plan *plan, const char *profile, bool barred)
{
    struct lh_sshd_show show = {.colour = lh_sshd_colour(), .columns = COLUMNS};

    (void)printf("Profile %s. Values that change:\n", profile);
    for (size_t i = 0; i < plan->change_count; i++)
        put_change(&plan->changes[i]);
    if (plan->change_count == 0)
        (void)printf("  none\n");
    (void)printf("\nText that changes:\n");
    put_difference(*plan->difference == '\0' ? "none\n" : plan->difference);
    (void)printf("\nWho is affected, and what stands in the way:\n");
    lh_sshd_show_text(&plan->affected, &show, stdout);
    (void)printf("\n%s\n", barred ? "This plan must not be carried out as it is: see HIGH above."
                                  : "Nothing stands in the way.");
}

// --- The files ---

// Whether two names are of one directory.
static bool same_directory(const char *one, const char *two)
{
    struct stat first, second;
    return stat(one, &first) == 0 && stat(two, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

// Makes the folders above `path`, below `folder`. Symbolic links below it are not followed.
static int open_below(const char *folder, const char *path)
{
    char part[256];
    int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    while (at >= 0) {
        path += strspn(path, "/");
        size_t len = strcspn(path, "/");
        bool last = path[len] == '\0';
        if (len == 0 || len >= sizeof part || (len == 2 && memcmp(path, "..", 2) == 0))
            break;
        memcpy(part, path, len);
        part[len] = '\0';
        if (!last && mkdirat(at, part, 0755) != 0 && errno != EEXIST)
            break;
        int flags = last ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY | O_DIRECTORY;
        int next = openat(at, part, flags | O_NOFOLLOW | O_CLOEXEC, 0644);
        (void)close(at);
        if (last)
            return next;
        at = next;
        path += len;
    }
    if (at >= 0)
        (void)close(at);
    return -1;
}

static lh_err
write_files(const struct lh_sshd_plan *plan, const char *folder, struct lh_errinfo *info)
{
    for (size_t i = 0; i < plan->file_count; i++) {
        const struct lh_sshd_planned *file = &plan->files[i];
        int fd = open_below(folder, file->path);
        FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
        if (out == NULL)
            return lh_fail_errno(info, errno, 0, "cannot write %.80s%.120s", folder, file->path);
        bool short_of = fwrite(file->text, 1, file->len, out) != file->len;
        if (fclose(out) != 0 || short_of)
            return lh_fail_errno(info, errno, 0, "cannot write %.80s%.120s", folder, file->path);
    }
    return 0;
}

int lh_sshd_plan_main(int argc, char **argv)
{
    LH_CLEANUP(lh_sshd_plan_fini) struct lh_sshd_plan plan = {0};
    struct lh_errinfo info = {0};
    struct lh_sshd_args args;

    int status = lh_sshd_parse(&table, argc, argv, true, &args);
    if (status >= 0)
        return status;
    const char *name = args.profile == NULL ? "modern" : args.profile;
    struct lh_sshd_plan_options plan_options;
    if (!lh_sshd_plan_options_of(&args, &plan_options))
        return LH_SSHD_STATUS_USAGE;
    if (args.write != NULL && same_directory(args.write, args.root)) {
        (void)lh_sshd_fail("--write wants another directory than the root: a plan changes nothing "
                           "there");
        return LH_SSHD_STATUS_USAGE;
    }
    lh_err err = lh_sshd_plan_make(&plan_options, &plan, &info);
    if (err == 0)
        err = lh_sshd_log_affected(&args, &plan.affected);
    if (err == 0 && args.write != NULL)
        err = write_files(&plan, args.write, &info);
    if (err != 0)
        return lh_sshd_fail(*info.text == '\0' ? lh_err_name(err) : info.text);
    lh_sshd_report_sort(&plan.affected);
    bool barred = lh_sshd_report_count(&plan.affected, LH_SSHD_GRADE_HIGH) > 0;
    status = barred ? LH_SSHD_STATUS_BARRED : 0;
    if (args.json)
        err = lh_sshd_plan_json(&plan, name, status, stdout);
    else
        print_plan(&plan, name, barred);
    return err != 0 || fflush(stdout) != 0 ? lh_sshd_fail("cannot write the plan") : status;
}
