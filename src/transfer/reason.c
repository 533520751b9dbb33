// SPDX-License-Identifier: Apache-2.0
#include "transfer/reason.h"

#include <errno.h>

#include "base/cleanup.h"
#include "job/code.h"

uint16_t lh_reason_code(lh_err err, const struct lh_errinfo *info, uint16_t usual)
{
    static const struct {
        int sys_errno;
        uint16_t code;
    } errnos[] = {
        {ENOENT, 4},  {EACCES, 5},  {EPERM, 5},  {ENOTDIR, 6},       {EISDIR, 7},  {ENOTEMPTY, 7},
        {EMFILE, 23}, {ENFILE, 23}, {EFBIG, 24}, {ENOSPC, 25},       {EDQUOT, 25}, {EROFS, 26},
        {ENOMEM, 32}, {EEXIST, 42}, {ELOOP, 63}, {ENAMETOOLONG, 55},
    };
    static const struct {
        lh_err err;
        uint16_t code;
    } errors[] = {
        {LH_E_NOMEM, LH_CODE_NO_MEMORY},   {LH_E_PROTO, LH_CODE_PROTOCOL},
        {LH_E_PATH, LH_CODE_BAD_PATH},     {LH_E_NOSPC, LH_CODE_NO_SPACE},
        {LH_E_CANCELED, LH_CODE_CANCELED},
    };
    if (info != NULL && info->exit_code != 0)
        return info->exit_code;
    if (info != NULL && info->sys_errno != 0)
        for (size_t i = 0; i < LH_ARRAY_LEN(errnos); i++)
            if (errnos[i].sys_errno == info->sys_errno)
                return errnos[i].code;
    for (size_t i = 0; i < LH_ARRAY_LEN(errors); i++)
        if (errors[i].err == err)
            return errors[i].code;
    return usual;
}

const char *lh_reason_text(lh_err err, const struct lh_errinfo *info)
{
    return info != NULL && info->text[0] != '\0' ? info->text : lh_err_name(err);
}
