// SPDX-License-Identifier: Apache-2.0
//
// How it works. What else decides over sshd besides its own files: options that the service's unit
// or a file of defaults puts on its command line; a system-wide policy of algorithms that is
// included, and read first; systemd's socket unit, which opens the ports instead of sshd; and files
// in sshd_config.d that no Include line names, which decide nothing though they look as if they
// did.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "sshdapply/check_internal.h"
#include "sshdapply/tree.h"

#define SMALL_MAX ((size_t)1 << 20)
#define DROP_INS  "/etc/ssh/sshd_config.d"

// --- Files that are never read ---

static bool is_read(const struct lh_sshd_doc *doc, const char *path)
{
    const struct lh_sshd_doc *docs[1024] = {doc};
    size_t count = 1;

    for (size_t done = 0; done < count; done++) {
        if (strcmp(docs[done]->path, path) == 0)
            return true;
        for (size_t i = 0; i < docs[done]->count; i++) {
            const struct lh_sshd_line *line = &docs[done]->lines[i];
            for (size_t n = 0; n < line->include_count && count < LH_ARRAY_LEN(docs); n++)
                docs[count++] = line->includes[n];
        }
    }
    return false;
}

static void check_drop_in(struct lh_check *check, const char *path, void *context)
{
    char is[4300];

    (void)context;
    if (is_read(check->doc, path))
        return;
    (void)snprintf(is, sizeof is, "%s is never read: no Include line names it", path);
    lh_check_add(check, &(struct lh_sshd_remark){
                            .grade = LH_SSHD_GRADE_MEDIUM,
                            .rule = "G6",
                            .is = is,
                            .want = "Include " DROP_INS "/*.conf at the head of sshd_config, or no "
                                    "such file",
                            .why = "what it sets is not in force, and misleads"});
}

// --- Options from elsewhere ---

// The value of NAME= in a file of shell variables, without quotes; "" where there is none.
static void shell_variable(const char *text, const char *name, char *out, size_t room)
{
    size_t len = strlen(name);

    out[0] = '\0';
    for (const char *line = text; *line != '\0';) {
        size_t part = strcspn(line, "\n");
        const char *at = line + strspn(line, " \t");
        if (strncmp(at, name, len) == 0 && at[len] == '=') {
            const char *value = at + len + 1 + (at[len + 1] == '"' || at[len + 1] == '\'');
            size_t rest = (size_t)(line + part - value);
            while (rest > 0 && strchr("\"' \t\r", value[rest - 1]) != NULL)
                rest--;
            (void)snprintf(out, room, "%.*s", (int)rest, value);
        }
        line += part + (line[part] == '\n');
    }
}

static void check_defaults(struct lh_check *check)
{
    static const struct {
        const char *path;
        const char *name;
    } places[] = {
        {"/etc/default/ssh", "SSHD_OPTS"},
        {"/etc/sysconfig/sshd", "OPTIONS"},
        {"/etc/sysconfig/sshd", "CRYPTO_POLICY"},
    };
    char value[300], is[700];
    char *text;
    size_t len;

    for (size_t i = 0; i < LH_ARRAY_LEN(places); i++) {
        if (lh_root_read(check->options->root, places[i].path, SMALL_MAX, &text, &len, NULL) != 0)
            continue;
        shell_variable(text, places[i].name, value, sizeof value);
        free(text);
        if (*value == '\0')
            continue;
        (void)snprintf(is, sizeof is, "%s gives sshd %s: %.250s", places[i].path, places[i].name,
                       value);
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_LOW,
                                .rule = "C8",
                                .is = is,
                                .want = "settings in sshd_config alone",
                                .why = "options of the command line win over the files, from the "
                                       "next start on",
                                .where = places[i].path});
    }
}

// ExecStart lines of drop-ins that give options.
static void check_unit_file(struct lh_check *check, const char *path, void *context)
{
    char is[4700];
    char *text;
    size_t len;

    (void)context;
    if (lh_root_read(check->options->root, path, SMALL_MAX, &text, &len, NULL) != 0)
        return;
    for (const char *line = text; *line != '\0';) {
        size_t part = strcspn(line, "\n");
        bool starts = strncmp(line, "ExecStart=", 10) == 0 && part > 10;
        if (starts &&
            (memmem(line, part, " -o", 3) != NULL || memmem(line, part, " -p", 3) != NULL ||
             memmem(line, part, " -f", 3) != NULL)) {
            (void)snprintf(is, sizeof is, "%.4000s starts sshd with options: %.*s", path,
                           part < 300 ? (int)part - 10 : 290, line + 10);
            lh_check_add(check, &(struct lh_sshd_remark){
                                    .grade = LH_SSHD_GRADE_LOW,
                                    .rule = "C8",
                                    .is = is,
                                    .want = "settings in sshd_config alone",
                                    .why = "options of the command line win over the files, from "
                                           "the next start on",
                                    .where = path,
                                    .mend = "systemctl edit ssh"});
        }
        line += part + (line[part] == '\n');
    }
    free(text);
}

static void check_units(struct lh_check *check)
{
    check_unit_file(check, "/etc/systemd/system/ssh.service", NULL);
    check_unit_file(check, "/etc/systemd/system/sshd.service", NULL);
    lh_check_each_conf(check, "/etc/systemd/system/ssh.service.d", check_unit_file, NULL);
    lh_check_each_conf(check, "/etc/systemd/system/sshd.service.d", check_unit_file, NULL);
}

// --- Policies of the system ---

// The algorithms come from a file outside of /etc/ssh that is read first: Red Hat's crypto policy.
static void check_policy(struct lh_check *check)
{
    static const char *const keywords[] = {"ciphers", "macs", "kexalgorithms", "hostkeyalgorithms",
                                           "pubkeyacceptedalgorithms"};
    char is[4700], where[4300], listed[160] = "";
    const struct lh_sshd_value *first = NULL;
    char *policy = NULL;
    size_t len;

    for (size_t i = 0; i < LH_ARRAY_LEN(keywords); i++) {
        const struct lh_sshd_value *value =
            lh_sshd_values_find(lh_check_server(check), keywords[i], 0);
        if (value == NULL || value->doc == NULL ||
            strstr(value->doc->path, "crypto-policies") == NULL)
            continue;
        first = first == NULL ? value : first;
        size_t used = strlen(listed);
        (void)snprintf(listed + used, sizeof listed - used, "%s%s", used == 0 ? "" : ", ",
                       keywords[i]);
    }
    if (first == NULL)
        return;
    bool named = lh_root_read(check->options->root, "/etc/crypto-policies/config", SMALL_MAX,
                              &policy, &len, NULL) == 0;
    (void)snprintf(is, sizeof is, "the system's crypto policy%s%.*s decides over %s",
                   named ? " " : "", named ? (int)strcspn(policy, "\n") : 0, named ? policy : "",
                   listed);
    lh_sshd_where(&check->rule_input, first, where, sizeof where);
    lh_check_add(check, &(struct lh_sshd_remark){
                            .grade = LH_SSHD_GRADE_INFO,
                            .rule = "C8",
                            .is = is,
                            .want = "settings in front of that Include, or another policy "
                                    "(update-crypto-policies)",
                            .why = "it is read first: lines behind it have no effect",
                            .where = where});
    if (named)
        free(policy);
}

// --- systemd's socket ---

#define PORTS_ROOM 512

// Adds the ports of ListenStream lines to the text at `context`, of PORTS_ROOM bytes. An empty line
// forgets those before it.
static void add_streams(struct lh_check *check, const char *path, void *context)
{
    char *out = context;
    char *text;
    size_t len;

    if (lh_root_read(check->options->root, path, SMALL_MAX, &text, &len, NULL) != 0)
        return;
    for (const char *line = text; *line != '\0';) {
        size_t part = strcspn(line, "\n");
        if (strncmp(line, "ListenStream=", 13) == 0) {
            const char *value = line + 13;
            size_t rest = part - 13, used = strlen(out);
            const char *colon = memrchr(value, ':', rest);
            if (colon != NULL) {
                rest -= (size_t)(colon + 1 - value);
                value = colon + 1;
            }
            if (rest == 0)
                out[0] = '\0';
            else
                (void)snprintf(out + used, PORTS_ROOM - used, "%s%.*s", used == 0 ? "" : ",",
                               (int)rest, value);
        }
        line += part + (line[part] == '\n');
    }
    free(text);
}

// The ports that a socket unit opens, drop-ins and what Ubuntu's generator makes of sshd_config
// included.
static void read_streams(struct lh_check *check, const char *unit, char ports[PORTS_ROOM])
{
    static const char *const folders[] = {"/usr/lib/systemd/system", "/etc/systemd/system"};
    char path[256];

    ports[0] = '\0';
    for (size_t i = 0; i < LH_ARRAY_LEN(folders); i++) {
        (void)snprintf(path, sizeof path, "%s/%s.socket", folders[i], unit);
        add_streams(check, path, ports);
    }
    (void)snprintf(path, sizeof path, "/run/systemd/generator/%s.socket.d", unit);
    lh_check_each_conf(check, path, add_streams, ports);
    (void)snprintf(path, sizeof path, "/etc/systemd/system/%s.socket.d", unit);
    lh_check_each_conf(check, path, add_streams, ports);
    if (*ports == '\0')
        (void)snprintf(ports, PORTS_ROOM, "22");
}

static void check_socket_unit(struct lh_check *check, const char *unit)
{
    char path[256], ports[PORTS_ROOM], is[700];
    unsigned port = check->options->port;
    struct stat facts;

    (void)snprintf(path, sizeof path, "/etc/systemd/system/sockets.target.wants/%s.socket", unit);
    if (!lh_root_stat(check->options->root, path, &facts))
        return;
    read_streams(check, unit, ports);
    bool opened = lh_port_list_holds(ports, (uint16_t)port);
    bool others = port != 22 && lh_port_list_holds(ports, 22);
    bool good = opened && !others;
    (void)snprintf(is, sizeof is, "%s.socket opens port %.400s, whatever Port says", unit, ports);
    lh_check_add(check, &(struct lh_sshd_remark){
                            .grade = !opened  ? LH_SSHD_GRADE_MEDIUM
                                     : others ? LH_SSHD_GRADE_LOW
                                              : LH_SSHD_GRADE_INFO,
                            .rule = "P1",
                            .is = is,
                            .want = good ? "" : "the transfer port there, and no other",
                            .why = "with socket activation systemd opens the ports: after a change "
                                   "run systemctl daemon-reload and restart the socket",
                            .mend = good ? "" : "systemctl edit ssh.socket"});
}

void lh_check_start(struct lh_check *check)
{
    lh_check_each_conf(check, DROP_INS, check_drop_in, NULL);
    check_defaults(check);
    check_units(check);
    check_policy(check);
    check_socket_unit(check, "ssh");
    check_socket_unit(check, "sshd");
}
