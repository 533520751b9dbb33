// SPDX-License-Identifier: Apache-2.0
//
// How it works. The files are read twice; the second reading is rewritten in memory. What is in
// force before and after is worked out for every subject, and so is what a file that says nothing
// but the plan would give: where before and plan agree with after, the plan takes effect; where
// something wins over it (an option on sshd's command line, a file outside of /etc/ssh), that is
// said and the plan must not be carried out. sshd looks at a copy of the new files. Then the people
// are looked at as the check does, under the new values, so that a lock-out shows before it
// happens.
#include "sshdapply/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "sshdapply/check_internal.h"
#include "sshdapply/hostkey.h"
#include "sshdapply/tree.h"
#include "sshdcfg/plan.h"

struct making {
    const struct lh_sshd_plan_options *options;
    struct lh_check *check;
    struct lh_sshd_doc *before; // files as they are
    struct lh_sshd_settings settings;
    struct lh_sshd_doc *ideal;
    struct lh_sshd_effective after[LH_CHECK_SUBJECTS_MAX];
    struct lh_sshd_plan *plan;
};

void lh_sshd_plan_fini(struct lh_sshd_plan *plan)
{
    for (size_t i = 0; i < plan->change_count; i++) {
        free(plan->changes[i].keyword);
        free(plan->changes[i].before);
        free(plan->changes[i].after);
        free(plan->changes[i].who);
    }
    free(plan->changes);
    for (size_t i = 0; i < plan->file_count; i++) {
        free(plan->files[i].path);
        free(plan->files[i].before);
        free(plan->files[i].text);
    }
    free(plan->files);
    free(plan->difference);
    free(plan->config);
    lh_sshd_report_fini(&plan->affected);
    *plan = (struct lh_sshd_plan){0};
}

// --- Host keys ---

// The first key of this kind among those configured now, else the usual file if it is there.
static const char *find_host_key(const struct making *making, const char *prefix, const char *usual)
{
    struct lh_public_key *key = calloc(1, sizeof *key);
    const struct lh_sshd_value *value;
    const char *found = NULL;

    if (key == NULL)
        return NULL;
    for (size_t i = 0; found == NULL && (value = lh_sshd_values_find(lh_check_server(making->check),
                                                                     "hostkey", i)) != NULL;
         i++) {
        if (lh_host_key_read(making->options->check.root, value->text, key, NULL) == 0 &&
            strncmp(key->type, prefix, strlen(prefix)) == 0)
            found = value->text;
    }
    if (found == NULL && lh_host_key_read(making->options->check.root, usual, key, NULL) == 0)
        found = usual;
    free(key);
    return found;
}

static lh_err make_settings(struct making *making, struct lh_errinfo *info)
{
    struct lh_sshd_choices choices = making->options->choices;

    choices.host_keys.ed25519 =
        find_host_key(making, "ssh-ed25519", "/etc/ssh/ssh_host_ed25519_key");
    choices.host_keys.ecdsa = find_host_key(making, "ecdsa-sha2-", "/etc/ssh/ssh_host_ecdsa_key");
    choices.host_keys.rsa = find_host_key(making, "ssh-rsa", "/etc/ssh/ssh_host_rsa_key");
    if (!making->check->judged)
        return lh_fail(info, LH_NONE, 0, "a plan needs an installed sshd to ask");
    return lh_sshd_profile_settings(&choices, &making->check->judge.target, &making->settings,
                                    info);
}

// --- Changes of values ---

// All values of a keyword, one a line, from the heap.
static char *values_text(const struct lh_sshd_values *values, const char *keyword)
{
    const struct lh_sshd_value *value;
    size_t room = 1, used = 0;

    for (size_t i = 0; (value = lh_sshd_values_find(values, keyword, i)) != NULL; i++)
        room += strlen(value->text) + 1;
    char *text = malloc(room);
    if (text == NULL)
        return NULL;
    text[0] = '\0';
    for (size_t i = 0; (value = lh_sshd_values_find(values, keyword, i)) != NULL; i++)
        used += (size_t)snprintf(text + used, room - used, "%s%s", i == 0 ? "" : "\n", value->text);
    return text;
}

// Adds `who` to an equal change that is there already. False where there is none.
static bool join_change(struct making *making, const struct lh_sshd_change *change)
{
    struct lh_sshd_plan *plan = making->plan;

    for (size_t i = 0; i < plan->change_count; i++) {
        struct lh_sshd_change *one = &plan->changes[i];
        if (strcmp(one->keyword, change->keyword) != 0 ||
            strcmp(one->before, change->before) != 0 || strcmp(one->after, change->after) != 0)
            continue;
        size_t room = strlen(one->who) + strlen(change->who) + 3;
        char *who = malloc(room);
        if (who != NULL)
            (void)snprintf(who, room, "%s, %s", one->who, change->who);
        else
            making->check->err = LH_E_NOMEM;
        free(one->who);
        one->who = who;
        return true;
    }
    return false;
}

static void add_change(struct making *making, const char *keyword, size_t subject)
{
    struct lh_sshd_plan *plan = making->plan;
    struct lh_sshd_change change = {
        .keyword = strdup(keyword),
        .before = values_text(&making->check->effective[subject].values, keyword),
        .after = values_text(&making->after[subject].values, keyword),
        .who = strdup(making->check->subjects[subject].persona.name)};
    bool bad = change.keyword == NULL || change.before == NULL || change.after == NULL ||
               change.who == NULL;
    bool dropped = bad || strcasecmp(change.before, change.after) == 0;

    if (bad)
        making->check->err = LH_E_NOMEM;
    if (!dropped && !join_change(making, &change)) {
        struct lh_sshd_change *changes =
            realloc(plan->changes, (plan->change_count + 1) * sizeof *changes);
        if (changes != NULL) {
            plan->changes = changes;
            changes[plan->change_count++] = change;
            return;
        }
        making->check->err = LH_E_NOMEM;
    }
    free(change.keyword);
    free(change.before);
    free(change.after);
    free(change.who);
}

static void find_changes(struct making *making)
{
    struct lh_check *check = making->check;

    for (size_t k = 0; k < lh_sshd_keyword_count && check->err == 0; k++) {
        if (lh_sshd_keywords[k].prints != NULL)
            continue;
        for (size_t i = 0; i < check->subject_count && check->err == 0; i++)
            add_change(making, lh_sshd_keywords[k].name, i);
    }
    // What everybody shares is said once.
    for (size_t i = 0; i < making->plan->change_count && check->err == 0; i++) {
        struct lh_sshd_change *change = &making->plan->changes[i];
        size_t names = 1;
        for (const char *at = change->who; (at = strchr(at, ',')) != NULL; at++)
            names++;
        if (names != check->subject_count)
            continue;
        char *everybody = strdup("everybody");
        if (everybody == NULL)
            check->err = LH_E_NOMEM;
        free(change->who);
        change->who = everybody;
    }
}

// --- The texts ---

static lh_err append_text(char **text, char *more)
{
    size_t room = strlen(*text) + strlen(more) + 1;
    char *joined = realloc(*text, room);

    if (joined != NULL) {
        *text = joined;
        memcpy(joined + strlen(joined), more, strlen(more) + 1);
    }
    free(more);
    return joined == NULL ? LH_E_NOMEM : 0;
}

static lh_err add_file(struct lh_sshd_plan *plan,
                       const struct lh_sshd_doc *before,
                       const struct lh_sshd_doc *after,
                       bool changed)
{
    struct lh_sshd_planned *files = realloc(plan->files, (plan->file_count + 1) * sizeof *files);

    if (files == NULL)
        return LH_E_NOMEM;
    plan->files = files;
    struct lh_sshd_planned *file = &files[plan->file_count++];
    *file = (struct lh_sshd_planned){.path = strdup(before->path), .changed = changed};
    lh_err err = file->path == NULL ? LH_E_NOMEM : 0;
    if (err == 0)
        err = lh_sshd_doc_print(before, &file->before, &file->before_len);
    if (err == 0)
        err = lh_sshd_doc_print(after, &file->text, &file->len);
    return err;
}

// Both trees have the same files in the same order, because the plan adds no Include.
static lh_err make_difference(struct making *making)
{
    const struct lh_sshd_doc *before[1024] = {making->before}, *after[1024] = {making->check->doc};
    size_t counts[2] = {1, 1};
    lh_err err = 0;

    making->plan->difference = calloc(1, 1);
    if (making->plan->difference == NULL)
        return LH_E_NOMEM;
    for (size_t done = 0; err == 0 && done < counts[0] && done < counts[1]; done++) {
        const struct lh_sshd_doc **sides[2] = {before, after};
        bool again = false;
        char *text = NULL;
        for (size_t side = 0; side < 2; side++) {
            const struct lh_sshd_doc *doc = sides[side][done];
            for (size_t i = 0; i < doc->count; i++) {
                for (size_t n = 0; n < doc->lines[i].include_count && counts[side] < 1024; n++)
                    sides[side][counts[side]++] = doc->lines[i].includes[n];
            }
        }
        for (size_t i = 0; i < done; i++) // a file that is included twice is shown once
            again = again || strcmp(before[i]->path, before[done]->path) == 0;
        if (again)
            continue;
        err = lh_sshd_text_difference(before[done]->path, before[done], after[done], &text);
        if (err == 0)
            err = add_file(making->plan, before[done], after[done], *text != '\0');
        if (err == 0)
            err = append_text(&making->plan->difference, text);
    }
    return err;
}

// --- Who is affected ---

static void check_effect(struct making *making)
{
    struct lh_check *check = making->check;

    for (size_t i = 0; i < check->subject_count && check->err == 0; i++) {
        LH_CLEANUP(lh_sshd_effective_fini) struct lh_sshd_effective ideal = {0};
        struct lh_sshd_input input = {.file = making->ideal};
        const char *keyword;
        char is[200];
        check->err = lh_sshd_evaluate(&input, &check->judge.target, &lh_sshd_machine,
                                      &check->subjects[i].persona, &ideal);
        if (check->err != 0 || lh_sshd_plan_holds(&making->settings, &ideal.values,
                                                  &making->after[i].values, &keyword))
            continue;
        char where[4200];
        lh_sshd_where(&check->rule_input, lh_sshd_values_find(&making->after[i].values, keyword, 0),
                      where, sizeof where);
        (void)snprintf(is, sizeof is, "something wins over the plan's %s", keyword);
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_HIGH,
                                .rule = "B0",
                                .is = is,
                                .want = "the plan to take effect",
                                .why = "an option of sshd's command line, a port in ListenAddress, "
                                       "or a file outside of /etc/ssh",
                                .who = check->subjects[i].persona.name,
                                .where = where});
    }
}

static bool is_subject(const struct lh_check *check, const char *user)
{
    for (size_t i = 0; i < check->subject_count; i++) {
        if (strcmp(check->subjects[i].persona.user, user) == 0)
            return true;
    }
    return false;
}

// Users who are neither administrators nor transfer users, and could log in until now.
static void check_others(struct making *making)
{
    struct lh_check *check = making->check;
    const struct lh_sshd_values *before = &check->effective[check->subject_count - 1].values;
    const struct lh_sshd_values *after = &making->after[check->subject_count - 1].values;
    bool passwords_end =
        strcmp(lh_sshd_values_text(before, "passwordauthentication"), "yes") == 0 &&
        strcmp(lh_sshd_values_text(after, "passwordauthentication"), "no") == 0;

    for (size_t i = 0; i < check->accounts.count && check->err == 0; i++) {
        const struct lh_account *account = &check->accounts.items[i];
        unsigned good, refused, good_before, refused_before;
        if (account->uid == 0 || (!lh_account_has_shell(account) && !lh_account_transfers(account)))
            continue;
        lh_check_count_keys(check, before, account, &good_before, &refused_before);
        lh_check_count_keys(check, after, account, &good, &refused);
        if (refused > refused_before)
            lh_check_add(check, &(struct lh_sshd_remark){
                                    .grade = LH_SSHD_GRADE_MEDIUM,
                                    .rule = "B1",
                                    .is = "keys stop working (DSA, or RSA that is too short)",
                                    .why = "who holds only these cannot log in any more",
                                    .who = account->name});
        if (passwords_end && good == 0 && account->password == LH_PASSWORD_SET &&
            !is_subject(check, account->name))
            lh_check_add(check, &(struct lh_sshd_remark){.grade = LH_SSHD_GRADE_MEDIUM,
                                                         .rule = "B2",
                                                         .is = "has a password and no key",
                                                         .why = "cannot log in any more",
                                                         .who = account->name});
    }
}

static void check_clients(struct making *making)
{
    static const char *const lost[LH_SSHD_PROFILE_N_] = {
        [LH_SSHD_MODERN] = "clients that know neither Ed25519 nor the second host key offered",
        [LH_SSHD_ASPERA_4] = ("Connect 3.10, Drive 3.2, CLI 3.9, Cargo 3.2 and older ones, which "
                              "need an RSA host key (profile aspera-3)"),
        [LH_SSHD_ASPERA_3] = "clients that pinned the fingerprint of another host key",
        [LH_SSHD_FIPS] = "clients that know only Ed25519, Curve25519 or ChaCha20",
    };
    const struct lh_sshd_choices *choices = &making->options->choices;

    lh_check_add(making->check,
                 &(struct lh_sshd_remark){.grade = LH_SSHD_GRADE_INFO,
                                          .rule = "B4",
                                          .is = "these clients cannot connect any more",
                                          .why = lost[choices->profile]});
    if (choices->strict && choices->profile != LH_SSHD_FIPS)
        lh_check_add(making->check,
                     &(struct lh_sshd_remark){
                         .grade = LH_SSHD_GRADE_INFO,
                         .rule = "B4",
                         .is = "--strict drops more clients",
                         .why = "for example OpenSSH before 6.5, PuTTY before 0.68, libssh2 before "
                                "1.11, Paramiko before 2.6 and the original JSch: they lack "
                                "Curve25519, Ed25519 host keys or encrypt-then-MAC"});
    if (choices->keep_passwords)
        lh_check_add(
            making->check,
            &(struct lh_sshd_remark){.grade = LH_SSHD_GRADE_INFO,
                                     .rule = "B5",
                                     .is = "passwords stay",
                                     .why = "tell those who make accounts to choose strong ones; "
                                            "empty ones are refused"});
}

// Everything that is looked at under the new values.
static void check_after(struct making *making)
{
    struct lh_check *check = making->check;
    struct lh_sshd_effective before[LH_CHECK_SUBJECTS_MAX];

    check_effect(making);
    (void)lh_check_judge_copies(check);
    check_others(making);
    check_clients(making);
    memcpy(before, check->effective, sizeof before);
    memcpy(check->effective, making->after, sizeof making->after);
    if (check->err == 0)
        lh_check_people(check);
    if (check->err == 0 && making->options->carry_out)
        lh_check_ready(check, &(struct lh_check_intent){.options = making->options,
                                                        .settings = &making->settings,
                                                        .ideal = making->ideal,
                                                        .plan = making->plan});
    memcpy(check->effective, before, sizeof before);
}

// What is there now.
static lh_err note_state(struct making *making)
{
    struct lh_sshd_plan *plan = making->plan;
    const struct lh_sshd_value *value;

    for (size_t i = 0;
         (value = lh_sshd_values_find(lh_check_server(making->check), "listenaddress", i)) != NULL;
         i++) {
        const char *colon = strrchr(value->text, ':');
        uint16_t port = colon == NULL ? 0 : (uint16_t)strtoul(colon + 1, NULL, 10);
        bool known = port == 0;
        plan->ipv6 = plan->ipv6 || value->text[0] == '[';
        plan->ipv4 = plan->ipv4 || value->text[0] != '[';
        for (size_t n = 0; n < plan->port_count; n++)
            known = known || plan->ports[n] == port;
        if (!known && plan->port_count < LH_SSHD_PLAN_PORTS_MAX)
            plan->ports[plan->port_count++] = port;
    }
    plan->config = strdup(making->check->config);
    return plan->config == NULL ? LH_E_NOMEM : 0;
}

static lh_err make(struct making *making, struct lh_errinfo *info)
{
    struct lh_check *check = making->check;
    const struct lh_sshd_check_options *options = &making->options->check;

    for (size_t i = 0; i < check->subject_count && check->err == 0; i++)
        lh_check_evaluate(check, check->doc, i, &check->effective[i]);
    lh_err err = check->err;
    if (err == 0)
        err = note_state(making);
    if (err == 0)
        err = make_settings(making, info);
    if (err == 0)
        err = lh_sshd_plan_ideal(&making->settings, &making->ideal);
    making->before = lh_steal(&check->doc);
    if (err == 0)
        err = lh_sshd_tree_read(options->root, check->config, "/etc/ssh", &check->doc, info);
    if (err == 0)
        err = lh_sshd_plan_edit(check->doc, "/etc/ssh/", &making->settings);
    for (size_t i = 0; i < check->subject_count && err == 0; i++) {
        lh_check_evaluate(check, check->doc, i, &making->after[i]);
        err = check->err;
    }
    if (err == 0)
        err = make_difference(making);
    if (err == 0) {
        find_changes(making);
        check_after(making);
        err = check->err;
    }
    return err;
}

lh_err lh_sshd_plan_make(const struct lh_sshd_plan_options *options,
                         struct lh_sshd_plan *out_plan,
                         struct lh_errinfo *info)
{
    struct lh_sshd_plan plan = {0};
    struct making *making = calloc(1, sizeof *making);

    if (making == NULL)
        return LH_E_NOMEM;
    making->options = options;
    making->plan = &plan;
    lh_err err = lh_check_begin(&options->check, &plan.affected, &making->check, info);
    if (err == 0) {
        err = make(making, info);
        for (size_t i = 0; i < making->check->subject_count; i++)
            lh_sshd_effective_fini(&making->after[i]);
        lh_check_end(making->check);
    }
    lh_sshd_settings_fini(&making->settings);
    lh_sshd_doc_free(making->ideal);
    lh_sshd_doc_free(making->before);
    free(making);
    if (err != 0) {
        lh_sshd_plan_fini(&plan);
        return err;
    }
    lh_sshd_report_sort(&plan.affected);
    *out_plan = plan;
    return 0;
}
