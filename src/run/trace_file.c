// SPDX-License-Identifier: Apache-2.0
//
// How it works. Lines gather in a buffer and are written when it is full and at the end: a trace
// must not cost the session a system call an event. The size has a limit, so samples thin out:
// whenever half of what is left is used, the interval between them doubles, and a run of any length
// leaves a trace that covers all of it. The last LH_TRACE_RESERVE bytes are for what is not a
// sample. The first write that fails ends the writing; it is told when the file is closed, and the
// transfer goes on.
#include "run/trace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/math.h"
#include "job/code.h"

#define BUFFER 65536

struct lh_trace_file {
    int fd;
    int failed_errno; // of the first write that failed; nothing is written after it
    lh_ns began;
    uint64_t used, bytes_max;
    uint64_t thin_at; // at so many bytes samples become rarer
    struct lh_trace sink;
    size_t waiting;
    char buffer[BUFFER];
};

static void flush(struct lh_trace_file *file)
{
    size_t done = 0;
    while (file->failed_errno == 0 && done < file->waiting) {
        ssize_t count = write(file->fd, file->buffer + done, file->waiting - done);
        if (count >= 0)
            done += (size_t)count;
        else if (errno != EINTR)
            file->failed_errno = errno;
    }
    file->waiting = 0;
}

static void add_line(struct lh_trace_file *file, const char *line, size_t len, bool is_sample)
{
    uint64_t room = is_sample ? lh_sub_sat(file->bytes_max, LH_TRACE_RESERVE) : file->bytes_max;
    if (file->used + len > room)
        return;
    if (file->waiting + len > sizeof file->buffer)
        flush(file);
    memcpy(file->buffer + file->waiting, line, len);
    file->waiting += len;
    file->used += len;
    if (file->used >= file->thin_at) {
        file->thin_at += (file->bytes_max - file->thin_at) / 2;
        file->sink.interval *= 2;
    }
}

static void on_event(void *user, enum lh_event_kind kind, const void *event, lh_ns now)
{
    lh_trace_file_event(user, kind, event, now);
}

void lh_trace_file_event(struct lh_trace_file *file,
                         enum lh_event_kind kind,
                         const void *event,
                         lh_ns now)
{
    char line[LH_EVENT_LINE];
    size_t len =
        lh_event_render(kind, event, lh_ns_since(now, file->began), "client", line, sizeof line);
    add_line(file, line, len, kind == LH_EVENT_sent || kind == LH_EVENT_received);
}

void lh_trace_file_other(struct lh_trace_file *file, const char *fields, size_t len, lh_ns at)
{
    char line[LH_EVENT_LINE];
    size_t made =
        lh_event_line(lh_ns_since(at, file->began), "server", fields, len, line, sizeof line);
    add_line(file, line, made, true);
}

lh_err lh_trace_file_open(const char *path,
                          uint64_t bytes_max,
                          lh_ns now,
                          struct lh_trace_file **out_file,
                          struct lh_errinfo *info)
{
    LH_CLEANUP(lh_trace_file_freep) struct lh_trace_file *file = calloc(1, sizeof *file);
    if (file == NULL)
        return lh_fail(info, LH_E_NOMEM, LH_CODE_NO_MEMORY, "no memory for the trace");
    file->began = now;
    file->bytes_max = bytes_max;
    file->thin_at = bytes_max / 2;
    file->sink = (struct lh_trace){on_event, file, LH_TRACE_INTERVAL};
    file->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file->fd < 0)
        return lh_fail_errno(info, errno, LH_CODE_USAGE, "cannot write the trace %s", path);
    *out_file = lh_steal(&file);
    return 0;
}

lh_err lh_trace_file_close(struct lh_trace_file *file, struct lh_errinfo *info)
{
    flush(file);
    int failed_errno = file->failed_errno;
    if (close(file->fd) != 0 && failed_errno == 0)
        failed_errno = errno;
    file->fd = -1;
    lh_trace_file_free(file);
    if (failed_errno != 0)
        return lh_fail_errno(info, failed_errno, 0, "the trace is incomplete");
    return 0;
}

void lh_trace_file_free(struct lh_trace_file *file)
{
    if (file == NULL)
        return;
    if (file->fd >= 0)
        (void)close(file->fd);
    free(file);
}

const struct lh_trace *lh_trace_file_sink(const struct lh_trace_file *file)
{
    return &file->sink;
}
