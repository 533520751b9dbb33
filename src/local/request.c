// SPDX-License-Identifier: Apache-2.0
//
// How it works. jansson does the parsing, of texts that are at most a few kilobytes long; what it
// gives is checked member by member against one table for each kind. A member that a request may
// not have is an error: whoever asks for something must get it or hear that there is no such thing.
#include "local/request.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/math.h"
#include "base/text.h"

static void release(json_t **value)
{
    json_decref(*value);
}

static json_t *parse_object(const char *text, size_t len)
{
    json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(value))
        return value;
    json_decref(value);
    return NULL;
}

// --- Requests ------------------------------------------------------------------------------------

static lh_err refuse(struct lh_errinfo *info, const char *what, const char *name)
{
    char shown[64];
    return lh_fail(info, LH_E_INVALID, 0, "%s: %s", what,
                   lh_escape(name, strlen(name), shown, sizeof shown));
}

static bool take_rate(const json_t *value, uint64_t *out_rate)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) > LH_LOCAL_RATE_MAX)
        return false;
    *out_rate = (uint64_t)json_integer_value(value);
    return true;
}

static bool take_policy(const json_t *value, struct lh_local_request *request)
{
    if (!json_is_string(value) || json_string_length(value) >= sizeof request->policy)
        return false;
    memcpy(request->policy, json_string_value(value), json_string_length(value) + 1);
    return strlen(request->policy) == json_string_length(value);
}

static bool take_member(const char *key, const json_t *value, struct lh_local_request *request)
{
    if (strcmp(key, "rate") == 0)
        return request->has_rate = take_rate(value, &request->rate);
    if (strcmp(key, "min") == 0)
        return request->has_min = take_rate(value, &request->min);
    if (strcmp(key, "policy") == 0)
        return request->has_policy = take_policy(value, request);
    return false;
}

lh_err lh_local_request_parse(const char *text,
                              size_t len,
                              struct lh_local_request *out_request,
                              struct lh_errinfo *info)
{
    struct lh_local_request request = {.command = LH_LOCAL_SHOW};
    LH_CLEANUP(release) json_t *object = parse_object(text, len);
    const char *command = json_string_value(json_object_get(object, "command"));
    const char *key;
    json_t *value;

    if (object == NULL || command == NULL)
        return lh_fail(info, LH_E_INVALID, 0, "not a request");
    if (strcmp(command, "set") == 0)
        request.command = LH_LOCAL_SET;
    else if (strcmp(command, "show") != 0)
        return refuse(info, "unknown command", command);
    json_object_foreach(object, key, value)
    {
        if (strcmp(key, "command") != 0 &&
            (request.command == LH_LOCAL_SHOW || !take_member(key, value, &request)))
            return refuse(info, "not possible", key);
    }
    if (request.command == LH_LOCAL_SET && !request.has_rate && !request.has_min &&
        !request.has_policy)
        return lh_fail(info, LH_E_INVALID, 0, "nothing to set");
    *out_request = request;
    return 0;
}

static json_t *number_of(uint64_t number)
{
    return json_integer((json_int_t)LH_MIN(number, (uint64_t)INT64_MAX));
}

// Writes `object`, which it releases, and a NUL.
static size_t dump(json_t *object, char *out, size_t room)
{
    size_t len = object == NULL ? 0 : json_dumpb(object, out, room - 1, JSON_COMPACT);
    json_decref(object);
    LH_ASSERT(len < room);
    out[len] = '\0';
    return len;
}

void lh_local_request_write(const struct lh_local_request *request, char *out, size_t room)
{
    json_t *object = json_object();
    bool is_set = request->command == LH_LOCAL_SET;
    (void)json_object_set_new(object, "command", json_string(is_set ? "set" : "show"));
    if (is_set && request->has_rate)
        (void)json_object_set_new(object, "rate", number_of(request->rate));
    if (is_set && request->has_min)
        (void)json_object_set_new(object, "min", number_of(request->min));
    if (is_set && request->has_policy)
        (void)json_object_set_new(object, "policy", json_string(request->policy));
    (void)dump(object, out, room);
}

// --- Answers -------------------------------------------------------------------------------------

#define TEXT(member)                                                                               \
    {                                                                                              \
#member, offsetof(struct lh_local_session, member),                                        \
            sizeof(((struct lh_local_session *)NULL)->member)                                      \
    }
#define NUMBER(member)                                                                             \
    {                                                                                              \
#member, offsetof(struct lh_local_session, member), 0                                      \
    }

static const struct {
    const char *name;
    size_t offset, room; // room 0: a uint64_t
} members[] = {
    TEXT(id),
    TEXT(side),
    TEXT(direction),
    TEXT(peer),
    TEXT(lane),
    TEXT(policy),
    TEXT(held_by),
    NUMBER(pid),
    NUMBER(rate_target),
    NUMBER(rate_min),
    NUMBER(rate),
    NUMBER(bytes_done),
    NUMBER(bytes_total),
    NUMBER(files_done),
    NUMBER(files_total),
    NUMBER(elapsed_ms),
    NUMBER(rtt_us),
};

size_t lh_local_reply_write(const struct lh_local_session *session,
                            const char *error,
                            char *out,
                            size_t room)
{
    json_t *object = json_object();
    (void)json_object_set_new(object, "ok", json_boolean(error == NULL));
    if (error != NULL) {
        char shown[LH_LOCAL_TEXT];
        (void)json_object_set_new(
            object, "error", json_string(lh_escape(error, strlen(error), shown, sizeof shown)));
        return dump(object, out, room);
    }
    json_t *said = json_object();
    for (size_t i = 0; i < LH_ARRAY_LEN(members); i++) {
        const char *at = (const char *)session + members[i].offset;
        uint64_t number = 0;
        if (members[i].room == 0)
            memcpy(&number, at, sizeof number);
        (void)json_object_set_new(said, members[i].name,
                                  members[i].room == 0 ? number_of(number) : json_string(at));
    }
    (void)json_object_set_new(object, "session", said);
    return dump(object, out, room);
}

// Texts come from a program of the same user, or from any user where root asks: escaped again.
static void take_text(const json_t *value, char *out, size_t room)
{
    const char *text = json_string_value(value);
    out[0] = '\0';
    if (text != NULL)
        lh_escape(text, json_string_length(value), out, room);
}

lh_err lh_local_reply_parse(const char *text, struct lh_local_reply *out_reply)
{
    struct lh_local_reply reply = {.is_ok = false};
    LH_CLEANUP(release) json_t *object = parse_object(text, strlen(text));
    const json_t *ok = json_object_get(object, "ok");
    const json_t *session = json_object_get(object, "session");

    if (!json_is_boolean(ok) || (json_is_true(ok) && !json_is_object(session)))
        return LH_E_PROTO;
    reply.is_ok = json_is_true(ok);
    take_text(json_object_get(object, "error"), reply.error, sizeof reply.error);
    for (size_t i = 0; i < LH_ARRAY_LEN(members); i++) {
        const json_t *value = json_object_get(session, members[i].name);
        char *at = (char *)&reply.session + members[i].offset;
        uint64_t number = (uint64_t)LH_MAX(json_integer_value(value), (json_int_t)0);
        if (members[i].room == 0)
            memcpy(at, &number, sizeof number);
        else
            take_text(value, at, members[i].room);
    }
    *out_reply = reply;
    return 0;
}
