// SPDX-License-Identifier: Apache-2.0
//
// How it works. The files are read whole below the root and parsed by the C library's own readers
// (fgetpwent and its like) from memory. Groups come from membership in /etc/group and the primary
// group. sudoers is read for lines that begin with a user or %group and let root do ALL; aliases
// are not followed, so an administrator who is only named by an alias is not found (and must be
// named with
// --admin).
#include "sshdapply/accounts.h"

#include <grp.h>
#include <pwd.h>
#include <shadow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "sshdapply/tree.h"
#include "sys/clock.h"

#define FILE_MAX   ((size_t)64 << 20)
#define GROUPS_MAX 256

static void account_fini(struct lh_account *account)
{
    free(account->name);
    free(account->home);
    free(account->shell);
    for (size_t i = 0; i < account->group_count; i++)
        free(account->groups[i]);
    free((void *)account->groups);
}

void lh_accounts_fini(struct lh_accounts *accounts)
{
    for (size_t i = 0; i < accounts->count; i++)
        account_fini(&accounts->items[i]);
    free(accounts->items);
    *accounts = (struct lh_accounts){0};
}

static lh_err add_account(struct lh_accounts *accounts, const struct passwd *entry)
{
    if (accounts->count == LH_ACCOUNTS_MAX)
        return LH_E_LIMIT;
    struct lh_account *items =
        realloc(accounts->items, (accounts->count + 1) * sizeof *accounts->items);
    if (items == NULL)
        return LH_E_NOMEM;
    accounts->items = items;
    struct lh_account *account = &items[accounts->count++];
    *account = (struct lh_account){
        .uid = entry->pw_uid,
        .gid = entry->pw_gid,
        .name = strdup(entry->pw_name),
        .home = strdup(entry->pw_dir),
        .shell = strdup(*entry->pw_shell == '\0' ? "/bin/sh" : entry->pw_shell)};
    return account->name == NULL || account->home == NULL || account->shell == NULL ? LH_E_NOMEM
                                                                                    : 0;
}

static lh_err add_group(struct lh_account *account, const char *name)
{
    if (account->group_count >= GROUPS_MAX || lh_account_in_group(account, name))
        return 0;
    char **groups =
        realloc((void *)account->groups, (account->group_count + 1) * sizeof *account->groups);
    if (groups == NULL)
        return LH_E_NOMEM;
    account->groups = groups;
    groups[account->group_count] = strdup(name);
    return groups[account->group_count++] == NULL ? LH_E_NOMEM : 0;
}

bool lh_account_in_group(const struct lh_account *account, const char *group)
{
    for (size_t i = 0; i < account->group_count; i++) {
        if (strcmp(account->groups[i], group) == 0)
            return true;
    }
    return false;
}

const struct lh_account *lh_accounts_find(const struct lh_accounts *accounts, const char *name)
{
    for (size_t i = 0; i < accounts->count; i++) {
        if (strcmp(accounts->items[i].name, name) == 0)
            return &accounts->items[i];
    }
    return NULL;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

bool lh_account_transfers(const struct lh_account *account)
{
    const char *shell = base_name(account->shell);
    return strcmp(shell, "lhsh") == 0 || strcmp(shell, "aspshell") == 0 ||
           strcmp(shell, "aspshell-r") == 0;
}

bool lh_account_has_shell(const struct lh_account *account)
{
    const char *shell = base_name(account->shell);
    return !lh_account_transfers(account) && strcmp(shell, "nologin") != 0 &&
           strcmp(shell, "false") != 0 && strcmp(shell, "sync") != 0;
}

// Opens a file of the root as a stream in memory; NULL where it cannot be read or is empty.
// `*out_text` is what the stream reads from, to be freed after it.
static FILE *open_text(const char *root, const char *path, char **out_text)
{
    size_t len;

    if (lh_root_read(root, path, FILE_MAX, out_text, &len, NULL) != 0)
        return NULL;
    FILE *stream = len == 0 ? NULL : fmemopen(*out_text, len, "r");
    if (stream == NULL) {
        free(*out_text);
        *out_text = NULL;
    }
    return stream;
}

static lh_err read_passwd(const char *root, struct lh_accounts *accounts, struct lh_errinfo *info)
{
    char *text;
    FILE *stream = open_text(root, "/etc/passwd", &text);
    struct passwd *entry;
    lh_err err = 0;

    if (stream == NULL)
        return lh_fail(info, LH_E_SYS, 0, "cannot read /etc/passwd below %s", root);
    while (err == 0 && (entry = fgetpwent(stream)) != NULL)
        err = add_account(accounts, entry);
    (void)fclose(stream);
    free(text);
    return err;
}

static bool has_member(const struct group *entry, const char *name)
{
    for (char **member = entry->gr_mem; *member != NULL; member++) {
        if (strcmp(*member, name) == 0)
            return true;
    }
    return false;
}

static lh_err read_groups(const char *root, struct lh_accounts *accounts)
{
    char *text;
    FILE *stream = open_text(root, "/etc/group", &text);
    struct group *entry;
    lh_err err = 0;

    while (stream != NULL && err == 0 && (entry = fgetgrent(stream)) != NULL) {
        for (size_t i = 0; err == 0 && i < accounts->count; i++) {
            struct lh_account *account = &accounts->items[i];
            if (account->gid == entry->gr_gid || has_member(entry, account->name))
                err = add_group(account, entry->gr_name);
        }
    }
    if (stream != NULL)
        (void)fclose(stream);
    if (stream != NULL)
        free(text);
    return err;
}

static void read_shadow(const char *root, struct lh_accounts *accounts)
{
    char *text;
    FILE *stream = open_text(root, "/etc/shadow", &text);
    long today = (long)(lh_clock_wall_seconds() / 86400);
    struct spwd *entry;

    accounts->shadow_seen = stream != NULL;
    while (stream != NULL && (entry = fgetspent(stream)) != NULL) {
        struct lh_account *account =
            (struct lh_account *)(void *)lh_accounts_find(accounts, entry->sp_namp);
        if (account == NULL)
            continue;
        account->expired = entry->sp_expire >= 0 && entry->sp_expire <= today;
        account->password = *entry->sp_pwdp == '\0'                            ? LH_PASSWORD_NONE
                            : *entry->sp_pwdp == '!' || *entry->sp_pwdp == '*' ? LH_PASSWORD_LOCKED
                                                                               : LH_PASSWORD_SET;
    }
    if (stream != NULL) {
        (void)fclose(stream);
        explicit_bzero(text, strlen(text));
        free(text);
    }
}

// Whether a line of sudoers is about this account: "name ..." or "%group ...".
static bool sudo_line_names(const char *line, size_t len, const struct lh_account *account)
{
    char who[256];
    size_t part = 0;

    while (part < len && line[part] != ' ' && line[part] != '\t')
        part++;
    if (part == 0 || part >= sizeof who)
        return false;
    memcpy(who, line, part);
    who[part] = '\0';
    return *who == '%' ? lh_account_in_group(account, who + 1) : strcmp(who, account->name) == 0;
}

// Whether the part of a line behind "=" grants root everything: "(ALL:ALL) NOPASSWD: ALL". A list
// of commands, or another user to become, makes no administrator.
static bool grants_all(const char *text)
{
    const char *open = strchr(text, '('), *close = open == NULL ? NULL : strchr(open, ')');

    if (close != NULL) {
        char who[128];
        (void)snprintf(who, sizeof who, "%.*s", (int)(close - open - 1), open + 1);
        who[strcspn(who, ":")] = '\0';
        if (*who != '\0' && strstr(who, "ALL") == NULL && strstr(who, "root") == NULL)
            return false;
        text = close + 1;
    }
    for (const char *at = text; (at = strstr(at, "ALL")) != NULL; at += 3) {
        bool begins = at == text || strchr(" \t,:", at[-1]) != NULL;
        bool ends = at[3] == '\0' || strchr(" \t,\r#", at[3]) != NULL;
        if (begins && ends)
            return true;
    }
    return false;
}

static void apply_sudo_line(const char *line, size_t len, struct lh_accounts *accounts)
{
    char grant[1024];

    while (len > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        len--;
    }
    const char *equals = memchr(line, '=', len);
    if (len == 0 || *line == '#' || *line == '@' || equals == NULL)
        return;
    (void)snprintf(grant, sizeof grant, "%.*s", (int)(line + len - equals - 1), equals + 1);
    if (!grants_all(grant))
        return;
    bool free_of_password = strstr(grant, "NOPASSWD") != NULL;
    for (size_t i = 0; i < accounts->count; i++) {
        struct lh_account *account = &accounts->items[i];
        if (sudo_line_names(line, len, account))
            account->sudo = free_of_password ? LH_SUDO_WITHOUT_PASSWORD : LH_SUDO_WITH_PASSWORD;
    }
}

static void apply_sudoers(const char *root, const char *path, struct lh_accounts *accounts)
{
    char *text;
    size_t len;

    if (lh_root_read(root, path, FILE_MAX, &text, &len, NULL) != 0)
        return;
    for (const char *at = text; *at != '\0';) {
        size_t part = strcspn(at, "\n");
        apply_sudo_line(at, part, accounts);
        at += part + (at[part] == '\n');
    }
    free(text);
}

// sudoers, then the files of sudoers.d in the order of their names.
static void read_sudoers(const char *root, struct lh_accounts *accounts)
{
    char *probe;
    size_t len;

    if (lh_root_read(root, "/etc/sudoers", FILE_MAX, &probe, &len, NULL) != 0)
        return;
    free(probe);
    accounts->sudoers_seen = true;
    apply_sudoers(root, "/etc/sudoers", accounts);
    char **names = NULL;
    size_t count = lh_root_list(root, "/etc/sudoers.d", &names);
    for (size_t i = 0; i < count; i++) {
        char path[512];
        bool skipped = strchr(names[i], '.') != NULL || names[i][strlen(names[i]) - 1] == '~';
        if (!skipped &&
            (size_t)snprintf(path, sizeof path, "/etc/sudoers.d/%s", names[i]) < sizeof path)
            apply_sudoers(root, path, accounts);
        free(names[i]);
    }
    free((void *)names);
}

// Users that only the name service knows.
static lh_err add_named(struct lh_accounts *accounts, const char *name)
{
    gid_t gids[GROUPS_MAX];
    int count = GROUPS_MAX;
    struct passwd *entry;

    if (lh_accounts_find(accounts, name) != NULL || (entry = getpwnam(name)) == NULL)
        return 0;
    lh_err err = add_account(accounts, entry);
    struct lh_account *account = &accounts->items[accounts->count - 1];
    if (err == 0 && getgrouplist(account->name, account->gid, gids, &count) < 0)
        count = 0;
    for (int i = 0; err == 0 && i < count; i++) {
        struct group *group = getgrgid(gids[i]);
        if (group != NULL)
            err = add_group(account, group->gr_name);
    }
    return err;
}

lh_err lh_accounts_read(const char *root,
                        const char *const *extra,
                        struct lh_accounts *out_accounts,
                        struct lh_errinfo *info)
{
    struct lh_accounts accounts = {0};

    lh_err err = read_passwd(root, &accounts, info);
    if (err == 0)
        err = read_groups(root, &accounts);
    for (; err == 0 && extra != NULL && *extra != NULL && strcmp(root, "/") == 0; extra++)
        err = add_named(&accounts, *extra);
    if (err != 0) {
        lh_accounts_fini(&accounts);
        return err;
    }
    read_shadow(root, &accounts);
    read_sudoers(root, &accounts);
    *out_accounts = accounts;
    return 0;
}
