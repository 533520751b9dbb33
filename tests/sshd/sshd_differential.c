// SPDX-License-Identifier: Apache-2.0
//
// The installed sshd is the judge: for files made by chance, and for those of tests/sshd/corpus,
// what we compute for a persona equals what `sshd -T -C ...` prints, keyword by keyword.
//
//   LH_SSHD_FILES   how many files by chance (2,000; 50,000 with LH_TEST_LONG)
//   LH_TEST_SEED    the first seed; one file a seed
//   LH_SSHD_FILE    no tests: this file is compared (tests/sshd/foreign.py)
//
// Two halves run at once, in processes of their own.
#include "check.h"

#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "config_maker.h"
#include "sshdapply/sshd.h"
#include "sshdapply/tree.h"
#include "tempdir.h"

#define WORKERS 2

static struct lh_sshd_judge judge;

static const char *const root_groups[] = {"root"};
static const char *const daemon_groups[] = {"daemon"};
static const char *const nobody_groups[] = {"nogroup"};

static const struct lh_sshd_persona personas[] = {
    {.user = "root",
     .user_exists = true,
     .groups = root_groups,
     .group_count = 1,
     .host = "client.example.org",
     .address = "10.0.0.1",
     .local_address = "192.0.2.2",
     .local_port = 22},
    {.user = "daemon",
     .user_exists = true,
     .groups = daemon_groups,
     .group_count = 1,
     .host = "Client.EXAMPLE.com",
     .address = "192.0.2.77",
     .local_address = "10.9.8.7",
     .local_port = 33001},
    {.user = "nobody",
     .user_exists = true,
     .groups = nobody_groups,
     .group_count = 1,
     .host = "2001:db8::5",
     .address = "2001:db8::5",
     .local_address = "::1",
     .local_port = 22},
    {.user = "joe",
     .host = "a.example.net",
     .address = "203.0.113.9",
     .local_address = "192.0.2.2",
     .local_port = 33001},
};

enum outcome {
    AGREES,
    REFUSED, // by sshd and by us
    MISSED,  // by sshd alone, for one of the reasons that are left to it
    DIFFERS
};

// sshd prints "(null)" where a host key file is "none".
static void forgive_null(struct lh_sshd_values *values)
{
    for (size_t i = 0; i < values->count; i++) {
        if (strcmp(values->items[i].text, "(null)") == 0)
            (void)snprintf(values->items[i].text, 7, "none");
    }
}

static bool refused_by_us(const struct lh_sshd_effective *effective, char *why, size_t room)
{
    for (size_t i = 0; i < effective->problem_count; i++) {
        const struct lh_sshd_problem *problem = &effective->problems[i];
        if (problem->kind != LH_SSHD_REFUSED && problem->kind != LH_SSHD_UNKNOWN_KEYWORD)
            continue;
        (void)snprintf(why, room, "%s:%zu: %s: %s", problem->doc->path, problem->line + 1,
                       problem->keyword, problem->text);
        return true;
    }
    return false;
}

// What sshd refuses once it has read everything, or for what this machine and its build have, and
// we leave to it: check and plan ask it in any case. Anything else that it refuses and we do not is
// a difference.
static bool left_to_sshd(const char *message)
{
    static const char *const kinds[] = {
        "Command set without Authorized",
        "\"any\" must appear alone in ", // the keyword as the file has it
        "AuthenticationMethods cannot be satisfied by enabled authentication methods",
        "Bad SSH2 ",
        "Bad key types ",
        "bad addr or host: ",
    };

    for (size_t i = 0; i < LH_ARRAY_LEN(kinds); i++) {
        if (strstr(message, kinds[i]) != NULL)
            return true;
    }
    return false;
}

// Compares one file for one persona; `why` says what differs.
static enum outcome
compare(const char *path, const struct lh_sshd_persona *persona, char *why, size_t room)
{
    LH_CLEANUP(lh_sshd_doc_freep) struct lh_sshd_doc *doc = NULL;
    LH_CLEANUP(lh_sshd_values_fini) struct lh_sshd_values theirs = {0};
    LH_CLEANUP(lh_sshd_effective_fini) struct lh_sshd_effective ours = {0};
    struct lh_errinfo info = {0};
    const char *keyword;

    lh_err answer = lh_sshd_judge_ask(&judge, path, NULL, persona, &theirs, &info);
    (void)snprintf(why, room, "%s", info.text);
    if (answer != LH_NONE)
        check_ok(answer);
    lh_err err = lh_sshd_tree_read("/", path, "/etc/ssh", &doc, &info);
    if (answer == LH_NONE && err != 0)
        return REFUSED; // by us too
    check_ok(err);
    struct lh_sshd_input input = {.file = doc};
    check_ok(lh_sshd_evaluate(&input, &judge.target, &lh_sshd_machine, persona, &ours));
    char ours_why[512];
    bool refused = refused_by_us(&ours, ours_why, sizeof ours_why);
    if (answer == LH_NONE)
        return refused ? REFUSED : left_to_sshd(why) ? MISSED : DIFFERS;
    if (refused) {
        (void)snprintf(why, room, "%s", ours_why);
        return DIFFERS;
    }
    forgive_null(&theirs);
    if (lh_sshd_values_cover(&ours.values, &theirs, &keyword))
        return AGREES;
    const struct lh_sshd_value *mine = lh_sshd_values_find(&ours.values, keyword, 0);
    (void)snprintf(why, room, "%s: ours \"%s\", sshd's \"%s\"", keyword,
                   mine == NULL ? "(none)" : mine->text, lh_sshd_values_text(&theirs, keyword));
    return DIFFERS;
}

struct tally {
    unsigned agreed;
    unsigned refused;
    unsigned missed;
    unsigned differed;
};

static void make_files(const struct tempdir *temp, uint64_t seed)
{
    static struct config_text text;
    struct lh_prng prng = {.state = seed};

    config_make(&prng, NULL, seed % 8 != 0, &text);
    tempdir_write_bytes(temp, "extra1.conf", text.text, text.len);
    config_make(&prng, NULL, true, &text);
    tempdir_write_bytes(temp, "extra2.conf", text.text, seed % 2 == 0 ? 0 : text.len);
    config_make(&prng, temp->path, false, &text);
    tempdir_write_bytes(temp, "sshd_config", text.text, text.len);
}

static void work(uint64_t seed, unsigned first, unsigned files, struct tally *tally)
{
    struct tempdir temp;
    char path[512], why[1024];

    tempdir_make_fast(&temp);
    (void)tempdir_path(&temp, "sshd_config", path, sizeof path);
    for (unsigned i = first; i < files; i += WORKERS) {
        make_files(&temp, seed + i);
        const struct lh_sshd_persona *persona = &personas[i / WORKERS % LH_ARRAY_LEN(personas)];
        enum outcome outcome = compare(path, persona, why, sizeof why);
        tally->agreed += outcome == AGREES;
        tally->refused += outcome == REFUSED;
        tally->missed += outcome == MISSED;
        tally->differed += outcome == DIFFERS;
        if (outcome == DIFFERS && tally->differed <= 10)
            print_message("# seed %llu, %s: %s\n", (unsigned long long)(seed + i), persona->user,
                          why);
        else if (outcome == REFUSED && getenv("LH_SSHD_SHOW") != NULL)
            print_message("# seed %llu refused: %s\n", (unsigned long long)(seed + i), why);
    }
    tempdir_remove(&temp);
}

static void files_made_by_chance_mean_to_us_what_they_mean_to_sshd(void **state)
{
    const char *given = getenv("LH_SSHD_FILES");
    unsigned files = given != NULL                    ? (unsigned)strtoul(given, NULL, 10)
                     : getenv("LH_TEST_LONG") != NULL ? 50000
                                                      : 2000;
    uint64_t seed = check_seed(1);
    struct tally all = {0};
    int pipes[2];

    (void)state;
    assert_int_equal(pipe(pipes), 0);
    for (unsigned worker = 0; worker < WORKERS; worker++) {
        struct tally tally = {0};
        (void)fflush(NULL);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child != 0)
            continue;
        work(seed, worker, files, &tally);
        (void)fflush(NULL);
        _exit(write(pipes[1], &tally, sizeof tally) == sizeof tally ? 0 : 1);
    }
    (void)close(pipes[1]);
    for (struct tally one; read(pipes[0], &one, sizeof one) == sizeof one;) {
        all.agreed += one.agreed;
        all.refused += one.refused;
        all.missed += one.missed;
        all.differed += one.differed;
    }
    (void)close(pipes[0]);
    while (wait(NULL) > 0)
        continue;
    print_message("# %u files: %u agree, %u differ, %u refused by both, %u by sshd alone\n", files,
                  all.agreed, all.differed, all.refused, all.missed);
    check_int(all.differed, 0);
    check_int(all.agreed + all.refused + all.missed, files);
    assert_true(all.agreed * 2 > files); // else the maker is no test
}

// Copies a file of the corpus, with the corpus's folder in the place of "@HERE@".
static void copy_file(const struct tempdir *temp, const char *name)
{
    static char text[65536], out[65536];
    char path[4096];
    size_t used = 0;

    (void)snprintf(path, sizeof path, "%s/%s", LH_SSHD_CORPUS, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[len] = '\0';
    for (const char *at = text; *at != '\0';) {
        const char *mark = strstr(at, "@HERE@");
        size_t part = mark == NULL ? strlen(at) : (size_t)(mark - at);
        assert_true(used + part + strlen(LH_SSHD_CORPUS) < sizeof out);
        memcpy(out + used, at, part);
        used += part;
        at += part;
        if (mark != NULL) {
            used += (size_t)snprintf(out + used, sizeof out - used, "%s", LH_SSHD_CORPUS);
            at += strlen("@HERE@");
        }
    }
    tempdir_write_bytes(temp, "sshd_config", out, used);
}

static void the_corpus_means_to_us_what_it_means_to_sshd(void **state)
{
    DIR *folder = opendir(LH_SSHD_CORPUS);
    unsigned files = 0, differed = 0;
    struct dirent *entry;
    struct tempdir temp;
    char path[512], why[1024];

    (void)state;
    assert_non_null(folder);
    tempdir_make_fast(&temp);
    (void)tempdir_path(&temp, "sshd_config", path, sizeof path);
    while ((entry = readdir(folder)) != NULL) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot == NULL || strcmp(dot, ".sshd_config") != 0)
            continue;
        files++;
        bool refused = strncmp(entry->d_name, "refused-", 8) == 0;
        copy_file(&temp, entry->d_name);
        for (size_t i = 0; i < LH_ARRAY_LEN(personas); i++) {
            enum outcome outcome = compare(path, &personas[i], why, sizeof why);
            bool good = refused ? outcome == REFUSED || outcome == MISSED : outcome == AGREES;
            differed += !good;
            if (!good)
                print_message("# %s, %s: %s\n", entry->d_name, personas[i].user, why);
        }
    }
    (void)closedir(folder);
    tempdir_remove(&temp);
    print_message("# %u files of the corpus, each for %zu personas\n", files,
                  LH_ARRAY_LEN(personas));
    check_int(differed, 0);
    assert_true(files >= 40);
}

// One file from elsewhere, for every persona: a line each. Returns the exit status: 1 where we
// differ.
static int compare_file(const char *path)
{
    static const char *const names[] = {[AGREES] = "agrees",
                                        [REFUSED] = "refused",
                                        [MISSED] = "refused-by-sshd-alone",
                                        [DIFFERS] = "DIFFERS"};
    char why[1024];
    int status = 0;

    for (size_t i = 0; i < LH_ARRAY_LEN(personas); i++) {
        enum outcome outcome = compare(path, &personas[i], why, sizeof why);
        (void)printf("%s %s %s %s\n", names[outcome], personas[i].user, path,
                     outcome == AGREES ? "" : why);
        status |= outcome == DIFFERS;
    }
    return status;
}

int main(void)
{
    const char *file = getenv("LH_SSHD_FILE");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_corpus_means_to_us_what_it_means_to_sshd),
        cmocka_unit_test(files_made_by_chance_mean_to_us_what_they_mean_to_sshd),
    };
    struct lh_errinfo info = {0};

    lh_err err = lh_sshd_judge_init(&judge, NULL, &info);
    if (err != 0) {
        (void)printf("1..0 # SKIP no sshd to ask: %s\n", info.text);
        return err == LH_NONE ? 0 : 1;
    }
    int failed = file != NULL ? compare_file(file) : cmocka_run_group_tests(tests, NULL, NULL);
    lh_sshd_judge_fini(&judge);
    return failed;
}
