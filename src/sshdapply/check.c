// SPDX-License-Identifier: Apache-2.0
//
// How it works. The files are read below the root, the running sshd is found in the kernel (this
// machine only) and its options count as sshd counts them. Then everybody who matters becomes a
// subject: the transfer users, the administrators, root, and a user who does not exist. For each
// the values in force are computed, and on this machine compared with what the installed sshd says;
// should the two ever differ, that is a finding, and sshd's answer is used. The rules are applied
// to the values; then the parts look at the machine.
#include "sshdapply/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "sshdapply/check_internal.h"
#include "sshdapply/copies.h"
#include "sshdapply/run.h"
#include "sshdapply/tree.h"

#define STRANGER    "no-such-user"
#define PATIENCE_MS 10000

void lh_check_add(struct lh_check *check, const struct lh_sshd_remark *remark)
{
    lh_err err = lh_sshd_report_add(check->report, remark);
    if (err != 0)
        check->err = err;
}

void lh_check_refuse(struct lh_check *check,
                     const char *rule,
                     const char *is,
                     const char *want,
                     const char *why,
                     const char *mend)
{
    lh_check_add(check, &(struct lh_sshd_remark){.grade = LH_SSHD_GRADE_HIGH,
                                                 .rule = rule,
                                                 .is = is,
                                                 .want = want,
                                                 .why = why,
                                                 .mend = mend});
}

const struct lh_sshd_values *lh_check_server(const struct lh_check *check)
{
    LH_ASSERT(check->subject_count > 0);
    return &check->effective[0].values;
}

void lh_check_each_conf(struct lh_check *check,
                        const char *folder,
                        void (*take)(struct lh_check *check, const char *path, void *context),
                        void *context)
{
    char path[4096];
    char **names = NULL;
    size_t count = lh_root_list(check->options->root, folder, &names);

    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(names[i]);
        bool conf = len > 5 && strcmp(names[i] + len - 5, ".conf") == 0;
        if (conf && (size_t)snprintf(path, sizeof path, "%s/%s", folder, names[i]) < sizeof path)
            take(check, path, context);
        free(names[i]);
    }
    free((void *)names);
}

char *lh_check_output(const char *const *argv)
{
    LH_CLEANUP(lh_run_result_fini) struct lh_run_result result = {0};
    const struct lh_run_options options = {.argv = argv, .timeout_ms = PATIENCE_MS};

    if (access(argv[0], X_OK) != 0 || lh_run(&options, &result, NULL) != 0 || result.status != 0)
        return NULL;
    return lh_steal(&result.out);
}

// --- Who ---

static void add_subject(struct lh_check *check,
                        const char *user,
                        const struct lh_account *account,
                        enum lh_sshd_role role)
{
    if (check->subject_count == LH_CHECK_SUBJECTS_MAX)
        return;
    struct lh_sshd_subject *subject = &check->subjects[check->subject_count];
    *subject = (struct lh_sshd_subject){.role = role,
                                        .effective = &check->effective[check->subject_count]};
    subject->persona = (struct lh_sshd_persona){
        .name = role == LH_SSHD_STRANGER ? "unknown users" : user,
        .user = user,
        .user_exists = account != NULL,
        .address = check->options->from,
        .host = check->options->from,
        .local_address = "192.0.2.2",
        .local_port = check->options->port,
    };
    if (account != NULL) {
        subject->persona.groups = (const char *const *)account->groups;
        subject->persona.group_count = account->group_count;
    }
    check->subject_count++;
}

// Those who are named, or those whom `fits` picks. Returns how many.
static size_t add_subjects(struct lh_check *check,
                           const char *const *named,
                           bool (*fits)(const struct lh_account *account),
                           enum lh_sshd_role role)
{
    size_t before = check->subject_count;

    for (; named != NULL && *named != NULL; named++) {
        const struct lh_account *account = lh_accounts_find(&check->accounts, *named);
        if (account == NULL)
            lh_check_add(check, &(struct lh_sshd_remark){.grade = LH_SSHD_GRADE_HIGH,
                                                         .rule = "U2",
                                                         .is = "there is no such user",
                                                         .want = "a user who exists",
                                                         .why = "you named this user",
                                                         .who = *named});
        add_subject(check, *named, account, role);
    }
    for (size_t i = 0; named == NULL && i < check->accounts.count; i++) {
        if (fits(&check->accounts.items[i]) && check->subject_count - before < LH_CHECK_USERS_MAX)
            add_subject(check, check->accounts.items[i].name, &check->accounts.items[i], role);
    }
    return check->subject_count - before;
}

static bool is_admin(const struct lh_account *account)
{
    bool by_group = lh_account_in_group(account, "sudo") || lh_account_in_group(account, "wheel") ||
                    lh_account_in_group(account, "admin");
    return account->uid != 0 && lh_account_has_shell(account) &&
           (account->sudo != LH_SUDO_NO || by_group);
}

static void find_subjects(struct lh_check *check)
{
    const struct lh_sshd_check_options *options = check->options;

    // Root comes first: its values stand for the server where no Match is about root.
    add_subject(check, "root", lh_accounts_find(&check->accounts, "root"), LH_SSHD_ROOT);
    if (add_subjects(check, options->transfer_users, lh_account_transfers, LH_SSHD_TRANSFER) == 0)
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_INFO,
                                .rule = "U2",
                                .is = "no user has a transfer shell",
                                .why = "rules about transfer users are held against unknown users "
                                       "only; --transfer-user names them",
                            });
    check->rule_input.no_admin = add_subjects(check, options->admins, is_admin, LH_SSHD_ADMIN) == 0;
    if (check->rule_input.no_admin)
        lh_check_add(check,
                     &(struct lh_sshd_remark){
                         .grade = LH_SSHD_GRADE_HIGH,
                         .rule = "U1",
                         .is = "no administrator but root is to be found",
                         .want = "a user with a shell, a key and sudo",
                         .why = "once root may not log in, nobody could look after this server",
                         .mend = "adduser NAME && adduser NAME sudo && "
                                 "install -D -m 600 -o NAME KEY.pub ~NAME/.ssh/authorized_keys",
                     });
    add_subject(check, STRANGER, NULL, LH_SSHD_STRANGER);
}

// --- Values ---

void lh_check_evaluate(struct lh_check *check,
                       const struct lh_sshd_doc *doc,
                       size_t index,
                       struct lh_sshd_effective *out_effective)
{
    struct lh_sshd_input input = {.file = doc,
                                  .command_line = check->command_line,
                                  .ports_from_command_line = check->ports_from_command_line};
    struct lh_sshd_target target = {.defaults = &check->no_defaults};

    if (check->judged)
        target = check->judge.target;
    lh_err err = lh_sshd_evaluate(&input, &target, &lh_sshd_machine,
                                  &check->subjects[index].persona, out_effective);
    if (err != 0)
        check->err = err;
}

// Gives the values of sshd's answer the places that we know.
static void take_answer(struct lh_sshd_effective *ours, struct lh_sshd_values *theirs)
{
    for (size_t i = 0; i < theirs->count; i++) {
        const struct lh_sshd_value *known =
            lh_sshd_values_find(&ours->values, theirs->items[i].keyword, 0);
        if (known != NULL) {
            theirs->items[i].doc = known->doc;
            theirs->items[i].line = known->line;
        }
    }
    lh_sshd_values_fini(&ours->values);
    ours->values = *theirs;
    *theirs = (struct lh_sshd_values){0};
}

// Asks the installed sshd about a file. False where it refuses that; a difference from what we
// computed is a finding where the values are to be compared.
static bool ask_judge(struct lh_check *check, const char *path, size_t index, bool compared)
{
    LH_CLEANUP(lh_sshd_values_fini) struct lh_sshd_values theirs = {0};
    struct lh_sshd_subject *subject = &check->subjects[index];
    struct lh_errinfo info = {0};
    const char *keyword;
    char is[512];

    lh_err err =
        lh_sshd_judge_ask(&check->judge, path, check->live ? check->process.arguments : NULL,
                          &subject->persona, &theirs, &info);
    if (err == LH_NONE) {
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_HIGH,
                                .rule = "X1",
                                .is = info.text,
                                .want = "files that sshd takes",
                                .why = "sshd refuses these files and would not start with them",
                            });
        return false;
    }
    if (err != 0 || !compared ||
        lh_sshd_values_cover(&check->effective[index].values, &theirs, &keyword))
        return true;
    (void)snprintf(is, sizeof is, "sshd says %s is %.200s, we computed %.200s", keyword,
                   lh_sshd_values_text(&theirs, keyword),
                   lh_sshd_values_text(&check->effective[index].values, keyword));
    lh_check_add(check, &(struct lh_sshd_remark){
                            .grade = LH_SSHD_GRADE_INFO,
                            .rule = "X2",
                            .is = is,
                            .why = "sshd's answer is used; please report this as a fault of lhctl",
                            .who = subject->persona.name,
                        });
    take_answer(&check->effective[index], &theirs);
    return true;
}

bool lh_check_judge_copies(struct lh_check *check)
{
    struct lh_sshd_copies copies;
    bool taken = true;

    if (!check->judged)
        return true;
    if (lh_sshd_copies_make(&copies, check->doc, NULL) == 0) {
        taken = ask_judge(check, copies.main, 0, false);
        lh_sshd_copies_remove(&copies);
    }
    return taken;
}

static void evaluate_all(struct lh_check *check)
{
    bool taken = check->judged;

    for (size_t i = 0; i < check->subject_count && check->err == 0; i++) {
        lh_check_evaluate(check, check->doc, i, &check->effective[i]);
        if (check->live && taken && check->err == 0)
            taken = ask_judge(check, check->config, i, true);
    }
    if (!check->live && check->err == 0)
        (void)lh_check_judge_copies(check);
    for (size_t i = 0; i < check->subject_count && check->err == 0; i++)
        check->err = lh_sshd_rules_apply(&check->rule_input, &check->subjects[i], check->report);
    for (size_t i = 0; i < check->subject_count && check->err == 0; i++)
        check->err =
            lh_sshd_rules_problems(&check->rule_input, &check->effective[i], check->report);
}

static void find_judge(struct lh_check *check)
{
    struct lh_errinfo info = {0};

    lh_err err = lh_sshd_judge_init(&check->judge, check->options->program, &info);
    check->judged = err == 0;
    if (err != 0)
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_UNKNOWN,
                                .rule = "X0",
                                .is = err == LH_NONE ? "there is no sshd to ask" : info.text,
                                .want = "an installed sshd",
                                .why = "without it the defaults are not known: only what the files "
                                       "set is judged",
                                .mend = "apt-get install openssh-server",
                            });
}

static void find_process(struct lh_check *check)
{
    struct lh_errinfo info = {0};

    if (!check->live)
        return;
    check->listeners_seen = lh_listeners_read(check->options->proc, &check->listeners, &info) == 0;
    check->running =
        check->listeners_seen &&
        lh_sshd_process_find(check->options->proc, &check->listeners, &check->process) == 0;
    lh_check_command_line(check);
}

void lh_check_end(struct lh_check *check)
{
    for (size_t i = 0; i < check->subject_count; i++)
        lh_sshd_effective_fini(&check->effective[i]);
    lh_accounts_fini(&check->accounts);
    lh_listeners_fini(&check->listeners);
    lh_sshd_judge_fini(&check->judge);
    lh_sshd_doc_free(check->command_line);
    lh_sshd_doc_free(check->doc);
    free(check);
}

lh_err lh_check_begin(const struct lh_sshd_check_options *options,
                      struct lh_sshd_report *report,
                      struct lh_check **out_check,
                      struct lh_errinfo *info)
{
    struct lh_check *check = calloc(1, sizeof *check);

    if (check == NULL)
        return LH_E_NOMEM;
    check->options = options;
    check->report = report;
    check->live = strcmp(options->root, "/") == 0;
    check->config = options->config;
    check->rule_input = (struct lh_sshd_rule_input){.prefix = check->live ? "" : options->root,
                                                    .main_path = options->config,
                                                    .port = options->port};

    find_process(check);
    lh_err err = lh_sshd_tree_read(options->root, check->config, "/etc/ssh", &check->doc, info);
    if (err != 0) {
        lh_check_end(check);
        return err;
    }
    check->rule_input.main_empty = check->doc->count == 0;
    find_judge(check);
    if (lh_accounts_read(options->root, options->admins, &check->accounts, NULL) != 0)
        lh_check_add(check, &(struct lh_sshd_remark){.grade = LH_SSHD_GRADE_UNKNOWN,
                                                     .rule = "U2",
                                                     .is = "/etc/passwd could not be read",
                                                     .why = "users could not be looked at"});
    find_subjects(check);
    *out_check = check;
    return 0;
}

lh_err lh_sshd_check(const struct lh_sshd_check_options *options,
                     struct lh_sshd_report *out_report,
                     struct lh_errinfo *info)
{
    void (*const parts[])(struct lh_check *) = {
        lh_check_kernel,      lh_check_network, lh_check_files, lh_check_host_keys, lh_check_people,
        lh_check_confinement, lh_check_release, lh_check_start, lh_check_node};
    struct lh_sshd_report report = {0};
    struct lh_check *check = NULL;

    lh_err err = lh_check_begin(options, &report, &check, info);
    if (err == 0) {
        evaluate_all(check);
        for (size_t i = 0; i < LH_ARRAY_LEN(parts) && check->err == 0; i++)
            parts[i](check);
        err = check->err;
        lh_check_end(check);
    }
    if (err != 0) {
        lh_sshd_report_fini(&report);
        return err;
    }
    lh_sshd_report_sort(&report);
    *out_report = report;
    return 0;
}
