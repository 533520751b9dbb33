// SPDX-License-Identifier: Apache-2.0
#include "ssh/password.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/wipe.h"

struct lh_password {
    size_t len;
    char bytes[LH_PASSWORD_MAX];
};

static struct lh_password *new_page(void)
{
    void *page = mmap(NULL, sizeof(struct lh_password), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return NULL;
    // All three are best effort: an old kernel or a small RLIMIT_MEMLOCK does not stop a transfer.
    (void)mlock(page, sizeof(struct lh_password));
    (void)madvise(page, sizeof(struct lh_password), MADV_DONTDUMP);
    (void)madvise(page, sizeof(struct lh_password), MADV_WIPEONFORK);
    return page;
}

void lh_password_free(struct lh_password *password)
{
    if (password == NULL)
        return;
    lh_wipe(password, sizeof *password);
    (void)munmap(password, sizeof *password);
}

// Copies the first value of `name` and overwrites all of them. The name may stand there more than
// once.
static lh_err take(const char *name, size_t name_len, struct lh_password *password)
{
    lh_err err = LH_NONE;

    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        char *value = *entry + name_len + 1;
        size_t len;
        if (strncmp(*entry, name, name_len) != 0 || (*entry)[name_len] != '=')
            continue;
        len = strlen(value);
        if (err == LH_NONE && len > LH_PASSWORD_MAX) {
            err = LH_E_LIMIT;
        } else if (err == LH_NONE && len > 0) {
            memcpy(password->bytes, value, len);
            password->len = len;
            err = 0;
        }
        lh_wipe(value, len);
    }
    return err;
}

lh_err lh_password_take(const char *name, struct lh_password **out_password)
{
    LH_CLEANUP(lh_password_freep) struct lh_password *password = new_page();
    lh_err err;

    if (password == NULL)
        return LH_E_NOMEM;
    err = take(name, strlen(name), password);
    (void)unsetenv(name);
    if (err == 0)
        *out_password = lh_steal(&password);
    return err;
}

const char *lh_password_bytes(const struct lh_password *password, size_t *out_len)
{
    *out_len = password->len;
    return password->bytes;
}
