// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "cmd/attacks/attacks.h"

const char *lh_plural(uint64_t number, const char *one, const char *more)
{
    return number == 1 ? one : more;
}

char *lh_verdict_subject(const struct lh_verdict *v, char out[LH_VERDICT_SUBJECT])
{
    if (v->source != NULL)
        return lh_watch_addr_format(&v->source->addr, out);
    if (v->network != NULL)
        return lh_watch_net_format(&v->network->addr, lh_watch_network_bits(&v->network->addr),
                                   out);
    if (v->user->name[0] == '\0')
        (void)snprintf(out, LH_VERDICT_SUBJECT, "(empty)");
    else
        lh_escape(v->user->name, strlen(v->user->name), out, LH_VERDICT_SUBJECT);
    return out;
}

char *lh_verdict_kinds(const struct lh_verdict *v, char *out, size_t room)
{
    size_t used = (size_t)snprintf(out, room, "%s", lh_attack_name(v->kind));
    for (unsigned kind = 0; kind < LH_ATTACK_N_ && used < room; kind++) {
        if (kind != v->kind && (v->kinds & 1u << kind) != 0)
            used += (size_t)snprintf(out + used, room - used, ", %s", lh_attack_name(kind));
    }
    return out;
}

char *lh_attacks_place(const struct lh_attacks *a,
                       const struct lh_place *place,
                       bool whole_path,
                       char out[LH_ATTACKS_PLACE_TEXT])
{
    char when[LH_CIVIL_TEXT];
    char shown[200];
    if (place->file >= a->logs->count) {
        lh_civil_format((int64_t)(place->line / 1000000), when);
        if (whole_path)
            (void)snprintf(out, LH_ATTACKS_PLACE_TEXT, "journal:%.19s.%06uZ", when,
                           (unsigned)(place->line % 1000000));
        else
            (void)snprintf(out, LH_ATTACKS_PLACE_TEXT, "journal:%s", when);
        return out;
    }
    const char *path = a->logs->items[place->file].path;
    const char *slash = whole_path ? NULL : strrchr(path, '/');
    path = slash != NULL ? slash + 1 : path;
    if (strcmp(path, "-") == 0)
        path = "(standard input)";
    (void)snprintf(out, LH_ATTACKS_PLACE_TEXT, "%s:%" PRIu64,
                   lh_escape(path, strlen(path), shown, sizeof shown), place->line);
    return out;
}

const char *lh_verdict_guard(const struct lh_verdict *v)
{
    if (v->guard == LH_GUARDED_LIST)
        return v->guard_reason;
    if (v->guard == LH_GUARDED_NOT)
        return NULL;
    return v->source != NULL && v->source->last_success == 0
               ? "somebody logged in from its /64 within 30 days"
               : "somebody logged in from there within 30 days";
}

void lh_json_text(const char *text, size_t len, FILE *out)
{
    char escaped[2048];
    lh_escape(text, len, escaped, sizeof escaped);
    (void)fputc('"', out);
    for (const char *at = escaped; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            (void)fputc('\\', out);
        (void)fputc(*at, out);
    }
    (void)fputc('"', out);
}

void lh_attacks_complain(const struct lh_errinfo *info)
{
    char shown[2 * LH_ERRINFO_TEXT];
    (void)fprintf(stderr, "lhctl attacks: %s\n",
                  lh_escape(info->text, strlen(info->text), shown, sizeof shown));
}
