// SPDX-License-Identifier: Apache-2.0
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 0))) static void
fill_text(struct lh_errinfo *info, const char *format, va_list args)
{
    (void)vsnprintf(info->text, sizeof info->text, format, args);
}

lh_err lh_fail(struct lh_errinfo *info, lh_err code, uint16_t exit_code, const char *format, ...)
{
    if (info != NULL && info->code == 0) {
        va_list args;
        info->code = code;
        info->exit_code = exit_code;
        va_start(args, format);
        fill_text(info, format, args);
        va_end(args);
    }
    return code;
}

lh_err
lh_fail_errno(struct lh_errinfo *info, int saved_errno, uint16_t exit_code, const char *format, ...)
{
    bool no_space = saved_errno == ENOSPC || saved_errno == EDQUOT;
    lh_err code = no_space ? LH_E_NOSPC : LH_E_SYS;

    if (info != NULL && info->code == 0) {
        va_list args;
        size_t used;
        info->code = code;
        info->sys_errno = saved_errno;
        info->exit_code = exit_code;
        va_start(args, format);
        fill_text(info, format, args);
        va_end(args);
        used = strlen(info->text);
        (void)snprintf(info->text + used, sizeof info->text - used, ": %s", strerror(saved_errno));
    }
    return code;
}

const char *lh_err_name(lh_err code)
{
    static const char *const names[] = {
        [0] = "ok",
        [-LH_E_SYS] = "system error",
        [-LH_E_NOMEM] = "out of memory",
        [-LH_E_INVALID] = "invalid argument",
        [-LH_E_PROTO] = "protocol error",
        [-LH_E_LIMIT] = "limit exceeded",
        [-LH_E_AUTH] = "not authentic",
        [-LH_E_VERSION] = "no common version",
        [-LH_E_CORRUPT] = "corrupt data",
        [-LH_E_CRYPTO] = "crypto library failure",
        [-LH_E_PATH] = "unacceptable path",
        [-LH_E_CLOSED] = "closed",
        [-LH_E_TIMEOUT] = "timed out",
        [-LH_E_BUSY] = "busy",
        [-LH_E_NOSPC] = "no space left",
        [-LH_E_CHANGED] = "source changed",
        [-LH_E_CANCELED] = "canceled",
    };
    size_t index = (size_t)-code;

    if (code > 0 || index >= sizeof names / sizeof *names)
        return "unknown error";
    return names[index];
}
