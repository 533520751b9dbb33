// SPDX-License-Identifier: Apache-2.0
//
// How it works. Sessions are found by their sockets, in the places where this user's lie. Root asks
// about everybody who runs lhcp or lhserver (the process table says who) and looks where theirs lie
// by default. One answer a session makes one line; a session that ends meanwhile is left out.
//
// Both ends of a session bear the same number. Where both run here, a change goes to the sending
// one, which carries it out by itself.
#include "cmd/sessions.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/text.h"
#include "cmd/options.h"
#include "file/state.h"
#include "local/local.h"
#include "local/request.h"

#define STATUS_USAGE 64
#define USERS_MAX    256 // whose sessions root sees at a time
#define WORDS_MAX    16

struct args {
    bool help, json;
    const char *rate, *min, *policy;
};

// --- Whose sessions ------------------------------------------------------------------------------

static bool is_ours(const char *comm)
{
    return strcmp(comm, "lhcp\n") == 0 || strcmp(comm, "lhserver\n") == 0;
}

static bool read_file(const char *path, char *out, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t len = read(fd, out, room - 1);
    (void)close(fd);
    out[len > 0 ? len : 0] = '\0';
    return len > 0;
}

// The real user of a process that is one of our programs.
static bool user_of(const char *pid, uid_t *out_uid)
{
    char path[64], text[2048];
    unsigned uid;
    (void)snprintf(path, sizeof path, "/proc/%.20s/comm", pid);
    if (!read_file(path, text, sizeof text) || !is_ours(text))
        return false;
    (void)snprintf(path, sizeof path, "/proc/%.20s/status", pid);
    if (!read_file(path, text, sizeof text))
        return false;
    const char *line = strstr(text, "\nUid:");
    if (line == NULL || sscanf(line, "\nUid: %u", &uid) != 1)
        return false;
    *out_uid = (uid_t)uid;
    return true;
}

static size_t find_users(uid_t users[USERS_MAX])
{
    size_t count = 1;
    DIR *dir = geteuid() == 0 ? opendir("/proc") : NULL;
    users[0] = geteuid();
    if (dir == NULL)
        return count;
    for (struct dirent *entry; count < USERS_MAX && (entry = readdir(dir)) != NULL;) {
        uid_t uid;
        bool is_new = isdigit((unsigned char)entry->d_name[0]) && user_of(entry->d_name, &uid);
        for (size_t i = 0; is_new && i < count; i++)
            is_new = users[i] != uid;
        if (is_new)
            users[count++] = uid;
    }
    (void)closedir(dir);
    return count;
}

static void places_of(uid_t uid, struct lh_local_places *places)
{
    char state[LH_PATH_TEXT_MAX];
    struct lh_errinfo ignored = {0};
    const struct passwd *account = getpwuid(uid);

    if (uid == geteuid()) {
        bool has_state = lh_state_dir(state, sizeof state, &ignored) == 0;
        lh_local_places(places, uid, getenv("XDG_RUNTIME_DIR"), has_state ? state : NULL);
        return;
    }
    (void)snprintf(state, sizeof state, "%s/.local/state/longhaul",
                   account != NULL ? account->pw_dir : "");
    lh_local_places(places, uid, NULL, account != NULL ? state : NULL);
}

// Calls `found` for every session that may be seen.
static void for_each(bool (*found)(void *user, const struct lh_local_socket *socket), void *user)
{
    uid_t users[USERS_MAX];
    struct lh_local_places *places = calloc(1, sizeof *places);
    size_t count = find_users(users);
    for (size_t i = 0; places != NULL && i < count; i++) {
        places_of(users[i], places);
        lh_local_list(places, users[i], found, user);
    }
    free(places);
}

// --- lhctl sessions ------------------------------------------------------------------------------

struct listing {
    bool json;
    unsigned count;
};

static const char *user_name(uid_t uid, char *out, size_t room)
{
    const struct passwd *account = getpwuid(uid);
    if (account != NULL)
        return lh_escape(account->pw_name, strlen(account->pw_name), out, room);
    (void)snprintf(out, room, "%u", (unsigned)uid);
    return out;
}

static void print_row(const struct lh_local_session *session, uid_t owner)
{
    char user[40], rate[24], target[24], bytes[24], share[16] = "-";
    const char *limit = "-";
    if (session->rate_target != 0)
        limit = lh_format_rate(session->rate_target, target, sizeof target);
    if (session->bytes_total != 0)
        (void)snprintf(
            share, sizeof share, "%u %%",
            (unsigned)(100 * (session->bytes_done / 1024) / (session->bytes_total / 1024 + 1)));
    printf("%-8s  %-10s  %7" PRIu64 "  %-8s  %12s  %5s  %9s  %-6s  %12s  %-13s  %s\n", session->id,
           user_name(owner, user, sizeof user), session->pid, session->direction,
           lh_format_rate(session->rate, rate, sizeof rate), share,
           lh_format_bytes(session->bytes_done, bytes, sizeof bytes), session->policy, limit,
           session->held_by, session->peer);
}

static bool list_one(void *user, const struct lh_local_socket *socket)
{
    struct listing *listing = user;
    char text[LH_LOCAL_REPLY_MAX + 1];
    struct lh_local_reply reply;
    struct lh_errinfo info = {0};

    if (lh_local_ask(socket, "{\"command\":\"show\"}", text, sizeof text, &info) != 0 ||
        lh_local_reply_parse(text, &reply) != 0 || !reply.is_ok)
        return true;
    if (listing->json) {
        printf("%s\n", text);
    } else {
        if (listing->count == 0)
            printf("%-8s  %-10s  %7s  %-8s  %12s  %5s  %9s  %-6s  %12s  %-13s  %s\n", "SESSION",
                   "USER", "PID", "DATA", "RATE", "DONE", "BYTES", "POLICY", "TARGET", "HELD BY",
                   "OTHER SIDE");
        print_row(&reply.session, socket->owner);
    }
    listing->count++;
    return true;
}

// --- Command lines -------------------------------------------------------------------------------

static const struct lh_option sessions_options[] = {
    {.letter = 0,
     .name = "json",
     .parse = lh_option_flag,
     .offset = offsetof(struct args, json),
     .help = "one JSON object a line"},
    {.letter = 'h',
     .name = "help",
     .parse = lh_option_flag,
     .offset = offsetof(struct args, help),
     .help = "this help"},
};

static const struct lh_option_table sessions_table = {
    .program = "lhctl sessions",
    .usage = "lhctl sessions [--json]\n",
    .options = sessions_options,
    .count = LH_ARRAY_LEN(sessions_options),
    .epilogue = "Lists the running transfers of this user; for root, of all users.\n",
};

static const struct lh_option session_options[] = {
    {.letter = 'l',
     .name = "rate",
     .arg = "RATE",
     .parse = lh_option_text,
     .offset = offsetof(struct args, rate),
     .help = "target rate from now on: 300m, 1.5g (bits/s); 0: none"},
    {.letter = 'm',
     .name = "min",
     .arg = "RATE",
     .parse = lh_option_text,
     .offset = offsetof(struct args, min),
     .help = "minimum rate from now on; 0: none"},
    {.letter = 0,
     .name = "policy",
     .arg = "POLICY",
     .parse = lh_option_text,
     .offset = offsetof(struct args, policy),
     .help = "fair, high, low or fixed from now on"},
    {.letter = 0,
     .name = "json",
     .parse = lh_option_flag,
     .offset = offsetof(struct args, json),
     .help = "the session's answer as JSON"},
    {.letter = 'h',
     .name = "help",
     .parse = lh_option_flag,
     .offset = offsetof(struct args, help),
     .help = "this help"},
};

static const struct lh_option_table session_table = {
    .program = "lhctl session",
    .usage = "lhctl session ID [--rate RATE] [--min RATE] [--policy POLICY]\n",
    .options = session_options,
    .count = LH_ARRAY_LEN(session_options),
    .epilogue =
        "Shows or changes one running transfer; `lhctl sessions` tells its ID. A server may\n"
        "slow a client that sends down, never push it beyond what its own user asked for.\n",
};

// Parses into `args`. True where the command is to go on; else `*out_status` is its result.
static bool parse(const struct lh_option_table *table,
                  int argc,
                  char **argv,
                  struct args *args,
                  struct lh_operands *operands,
                  int *out_status)
{
    struct lh_errinfo info = {0};
    *out_status = STATUS_USAGE;
    if (argc > WORDS_MAX) {
        (void)fprintf(stderr, "%s: too many arguments\n", table->program);
        return false;
    }
    if (lh_options_parse(table, argc, argv, args, operands, &info) != 0) {
        (void)fprintf(stderr, "%s: %s\n", table->program, info.text);
        return false;
    }
    if (args->help) {
        lh_options_help(table, false, stdout);
        *out_status = 0;
        return false;
    }
    return true;
}

int lh_sessions_main(int argc, char **argv)
{
    const char *words[WORDS_MAX];
    struct lh_operands operands = {.words = words};
    struct args args = {.help = false};
    int status;
    if (!parse(&sessions_table, argc, argv, &args, &operands, &status))
        return status;
    if (operands.count > 0) {
        (void)fprintf(stderr, "lhctl sessions: it takes no operands\n");
        return STATUS_USAGE;
    }
    struct listing listing = {.json = args.json};
    for_each(list_one, &listing);
    if (listing.count == 0 && !args.json)
        printf("No session is running%s.\n", geteuid() == 0 ? "" : " for this user");
    return 0;
}

// --- lhctl session -------------------------------------------------------------------------------

struct choice {
    const char *id;
    struct lh_local_socket socket;
    bool is_found, is_sender;
};

static bool choose(void *user, const struct lh_local_socket *socket)
{
    struct choice *choice = user;
    char text[LH_LOCAL_REPLY_MAX + 1];
    struct lh_local_reply reply;
    struct lh_errinfo info = {0};
    size_t len = strlen(choice->id);

    if (strncmp(socket->name, choice->id, len) != 0 || socket->name[len] != '.')
        return true;
    if (lh_local_ask(socket, "{\"command\":\"show\"}", text, sizeof text, &info) != 0 ||
        lh_local_reply_parse(text, &reply) != 0 || !reply.is_ok)
        return true;
    choice->is_found = true;
    choice->is_sender = strcmp(reply.session.direction, "sends") == 0;
    choice->socket = *socket;
    return !choice->is_sender;
}

static bool read_rate(const char *text, const char *name, bool *out_has, uint64_t *out_rate)
{
    char shown[64];
    if (text == NULL)
        return true;
    *out_has = true;
    if (strcmp(text, "0") == 0 || lh_parse_rate(text, out_rate) == 0)
        return true;
    (void)fprintf(stderr, "lhctl session: --%s %s is not a rate (300m, 1.5g, or 0 for none)\n",
                  name, lh_escape(text, strlen(text), shown, sizeof shown));
    return false;
}

static bool make_request(const struct args *args, struct lh_local_request *request)
{
    *request = (struct lh_local_request){.command = LH_LOCAL_SHOW};
    if (!read_rate(args->rate, "rate", &request->has_rate, &request->rate) ||
        !read_rate(args->min, "min", &request->has_min, &request->min))
        return false;
    if (args->policy != NULL) {
        if (strlen(args->policy) >= sizeof request->policy) {
            (void)fprintf(stderr, "lhctl session: policies are fair, high, low and fixed\n");
            return false;
        }
        request->has_policy = true;
        memcpy(request->policy, args->policy, strlen(args->policy) + 1);
    }
    if (request->has_rate || request->has_min || request->has_policy)
        request->command = LH_LOCAL_SET;
    return true;
}

static void print_session(const struct lh_local_session *session)
{
    char rate[24], target[24], low[24], done[24], total[24];
    printf("session %s: this side (%s, process %" PRIu64 ") %s, other side %s\n", session->id,
           session->side, session->pid, session->direction, session->peer);
    printf("  rate %s over %s, round trip %.1f ms, held back by: %s\n",
           lh_format_rate(session->rate, rate, sizeof rate), session->lane,
           (double)session->rtt_us / 1000, session->held_by);
    printf("  policy %s, target %s, minimum %s\n", session->policy,
           session->rate_target != 0 ? lh_format_rate(session->rate_target, target, sizeof target)
                                     : "none",
           session->rate_min != 0 ? lh_format_rate(session->rate_min, low, sizeof low) : "none");
    printf("  %s of %s, %" PRIu64 " of %" PRIu64 " files\n",
           lh_format_bytes(session->bytes_done, done, sizeof done),
           lh_format_bytes(session->bytes_total, total, sizeof total), session->files_done,
           session->files_total);
}

static int ask(const struct choice *choice, const struct lh_local_request *request, bool json)
{
    char line[LH_LOCAL_REQUEST_MAX], text[LH_LOCAL_REPLY_MAX + 1];
    struct lh_local_reply reply;
    struct lh_errinfo info = {0};

    lh_local_request_write(request, line, sizeof line);
    lh_err err = lh_local_ask(&choice->socket, line, text, sizeof text, &info);
    if (err == 0 && lh_local_reply_parse(text, &reply) != 0)
        err = lh_fail(&info, LH_E_PROTO, 0, "session %s: no answer that can be read", choice->id);
    if (err == 0 && !reply.is_ok)
        err = lh_fail(&info, LH_E_INVALID, 0, "session %s: %s", choice->id, reply.error);
    if (err != 0) {
        (void)fprintf(stderr, "lhctl session: %s\n", info.text);
        return 1;
    }
    if (json)
        printf("%s\n", text);
    else
        print_session(&reply.session);
    return 0;
}

int lh_session_main(int argc, char **argv)
{
    const char *words[WORDS_MAX];
    struct lh_operands operands = {.words = words};
    struct args args = {.help = false};
    struct lh_local_request request;
    char shown[64];
    int status;

    if (!parse(&session_table, argc, argv, &args, &operands, &status))
        return status;
    if (operands.count != 1) {
        (void)fprintf(stderr, "lhctl session: which? (lhctl sessions lists their IDs)\n");
        return STATUS_USAGE;
    }
    if (!make_request(&args, &request))
        return STATUS_USAGE;
    struct choice *choice = calloc(1, sizeof *choice);
    if (choice == NULL)
        return 1;
    choice->id = operands.words[0];
    for_each(choose, choice);
    if (choice->is_found)
        status = ask(choice, &request, args.json);
    else
        (void)fprintf(stderr, "lhctl session: no session %s is running here for you\n",
                      lh_escape(choice->id, strlen(choice->id), shown, sizeof shown));
    if (!choice->is_found)
        status = 1;
    free(choice);
    return status;
}
