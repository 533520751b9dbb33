// SPDX-License-Identifier: Apache-2.0
//
// How it works. The files are written as 0.conf (the main file), 1.conf, ... in the order in which
// they are met; each Include line becomes one that names the copies of what it brings in, so that
// sshd reads the same lines in the same order.
#include "sshdapply/copies.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sshdcfg/effective.h"

#define DOCS_MAX 1024

struct queue {
    const struct lh_sshd_doc *docs[DOCS_MAX];
    size_t count;
};

static bool
write_one(const struct lh_sshd_doc *doc, const char *folder, size_t number, struct queue *queue)
{
    char path[96], **patterns;

    (void)snprintf(path, sizeof path, "%s/%zu.conf", folder, number);
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return false;
    for (size_t i = 0; i < doc->count; i++) {
        const struct lh_sshd_line *line = &doc->lines[i];
        if (lh_sshd_include_patterns(doc, i, "/etc/ssh", &patterns) != 0) {
            (void)fwrite(line->text, 1, line->len, file);
            continue;
        }
        free((void *)patterns);
        (void)fputs(line->include_count == 0 ? "# nothing included" : "Include", file);
        for (size_t n = 0; n < line->include_count && queue->count < DOCS_MAX; n++) {
            queue->docs[queue->count] = line->includes[n];
            (void)fprintf(file, " %s/%zu.conf", folder, queue->count++);
        }
        (void)fputc('\n', file);
    }
    bool good = ferror(file) == 0;
    return fclose(file) == 0 && good;
}

lh_err lh_sshd_copies_make(struct lh_sshd_copies *copies,
                           const struct lh_sshd_doc *doc,
                           struct lh_errinfo *info)
{
    struct queue queue = {.docs = {doc}, .count = 1};

    *copies = (struct lh_sshd_copies){.folder = "/tmp/lh-check-XXXXXX"};
    if (mkdtemp(copies->folder) == NULL) {
        copies->folder[0] = '\0';
        return lh_fail_errno(info, errno, 0, "cannot make a folder below /tmp");
    }
    (void)snprintf(copies->main, sizeof copies->main, "%s/0.conf", copies->folder);
    for (; copies->count < queue.count; copies->count++) {
        if (write_one(queue.docs[copies->count], copies->folder, copies->count, &queue))
            continue;
        lh_err err = lh_fail_errno(info, errno, 0, "cannot write a copy to %s", copies->folder);
        copies->count++;
        lh_sshd_copies_remove(copies);
        return err;
    }
    return 0;
}

void lh_sshd_copies_remove(struct lh_sshd_copies *copies)
{
    char path[96];

    if (copies->folder[0] == '\0')
        return;
    for (size_t i = 0; i < copies->count; i++) {
        (void)snprintf(path, sizeof path, "%s/%zu.conf", copies->folder, i);
        (void)unlink(path);
    }
    (void)rmdir(copies->folder);
    copies->folder[0] = '\0';
}
