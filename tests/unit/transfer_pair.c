// SPDX-License-Identifier: Apache-2.0
#include "transfer_pair.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "check.h"

struct block {
    struct lh_link link;
    uint32_t number;
    uint8_t *theirs;        // the sender's memory; NULL: unloaded
    bool is_wanted, is_due; // due: it was wanted, and must be delivered before it may go again
    uint8_t *copy;          // what is delivered; malloc'ed to its exact size
    size_t len;
    size_t chunk, next; // early: bytes of a run, and how many of the runs were delivered
};

// --- The channel ---

static lh_err send_block(void *ctx, uint8_t *data, size_t len, uint32_t *out_block)
{
    struct pair_end *end = ctx;
    struct pair_link *link = &end->out;
    const struct pair_options *options = &end->pair->options;
    size_t queue = options->unload_percent > 0 ? 40 : 4;
    if (link->block_count >= queue || link->unreleased + len > options->block_window) {
        link->was_full = true;
        return LH_AGAIN;
    }
    struct block *block = calloc(1, sizeof *block);
    block->number = *out_block = link->next_block++;
    block->theirs = data;
    block->len = len;
    lh_list_append(&link->blocks, &block->link);
    link->block_count++;
    link->unreleased += len;
    return LH_OK;
}

static struct block *find_block(struct lh_link *head, uint32_t number)
{
    LH_LIST_FOR_EACH(at, head)
    {
        struct block *block = LH_CONTAINER_OF(at, struct block, link);
        if (block->number == number)
            return block;
    }
    return NULL;
}

static bool block_unload(void *ctx, uint32_t number)
{
    struct pair_end *end = ctx;
    struct block *block = find_block(&end->out.blocks, number);
    if (block == NULL)
        block = find_block(&end->out.acks, number);
    if (block == NULL || block->theirs == NULL || block->is_due ||
        end->pair->options.unload_percent == 0 ||
        lh_prng_below(&end->pair->prng, 100) >= end->pair->options.unload_percent)
        return false;
    memset(block->theirs, 0xa5, block->len);
    block->theirs = NULL;
    end->out.unloaded++;
    return true;
}

static bool block_supply(void *ctx, uint32_t number, uint8_t *data)
{
    struct pair_end *end = ctx;
    struct block *block = find_block(&end->out.blocks, number);
    assert_true(block != NULL && block->theirs == NULL && block->is_wanted);
    block->theirs = data;
    block->is_wanted = false;
    block->is_due = true;
    end->out.supplied++;
    return true;
}

static void block_release(void *ctx, uint32_t number)
{
    struct pair_end *end = ctx;
    struct pair_link *link = &end->peer->out;
    LH_LIST_FOR_EACH(at, &link->held)
    {
        struct block *block = LH_CONTAINER_OF(at, struct block, link);
        if (block->number != number)
            continue;
        lh_list_remove(at);
        link->unreleased -= block->len;
        free(block->copy);
        free(block);
        return;
    }
    fail_msg("block %u was released twice or never delivered", number);
}

static void runs_release(void *ctx, size_t bytes)
{
    struct pair_end *end = ctx;
    assert_true(end->peer->out.runs_unreleased >= bytes);
    end->peer->out.runs_unreleased -= bytes;
}

static lh_err stream_write(void *ctx, const void *data, size_t len)
{
    struct pair_end *end = ctx;
    struct pair_link *link = &end->out;
    assert_true(len > 0 && len <= LH_MESSAGE_MAX);
    if (link->stream_len + link->stream_unconsumed + len > end->pair->options.stream_window) {
        link->was_full = true;
        return LH_AGAIN;
    }
    if (link->stream_len + len > link->stream_room) {
        link->stream_room = 2 * (link->stream_len + len);
        link->stream = realloc(link->stream, link->stream_room);
    }
    memcpy(link->stream + link->stream_len, data, len);
    link->stream_len += len;
    return LH_OK;
}

static void stream_consumed(void *ctx, size_t len)
{
    struct pair_end *end = ctx;
    assert_true(end->peer->out.stream_unconsumed >= len);
    end->peer->out.stream_unconsumed -= len;
}

static bool deliver_stream(struct pair_end *from)
{
    struct pair_link *link = &from->out;
    if (link->stream_len == 0 || from->peer->job == NULL)
        return false;
    size_t most = LH_MIN(link->stream_len, (size_t)70000);
    size_t part = 1 + (size_t)lh_prng_below(&from->pair->prng, most);
    uint8_t *copy = malloc(part);
    memcpy(copy, link->stream, part);
    memmove(link->stream, link->stream + part, link->stream_len - part);
    link->stream_len -= part;
    link->stream_unconsumed += part;
    lh_job_on_stream(from->peer->job, copy, part);
    free(copy);
    return true;
}

static bool is_taken_early(struct pair_end *from, struct block *block)
{
    struct pair *pair = from->pair;
    size_t head = LH_MIN(block->len, (size_t)LH_BLOCK_HEAD);
    if (lh_prng_below(&pair->prng, 100) >= pair->options.early_percent ||
        lh_job_on_block_begin(from->peer->job, block->number, block->copy, head, block->len) !=
            LH_TAKE_NOW)
        return false;
    from->out.early_taken++;
    from->out.early_count++;
    block->chunk = 1 + (size_t)lh_prng_below(&pair->prng, block->len);
    if (pair->options.damage)
        block->copy[head + lh_prng_below(&pair->prng, block->len - head)] ^= 1;
    lh_list_append(&from->out.early, &block->link);
    return true;
}

// Delivers one run of a block that was taken early, odd ones after even ones; and at last its end.
static bool deliver_run(struct pair_end *from)
{
    struct pair_link *link = &from->out;
    if (link->early_count == 0 || from->peer->job == NULL)
        return false;
    struct lh_link *at = lh_list_first(&link->early);
    for (uint64_t skip = lh_prng_below(&from->pair->prng, link->early_count); skip > 0; skip--)
        at = at->next;
    struct block *block = LH_CONTAINER_OF(at, struct block, link);
    size_t head = LH_MIN(block->len, (size_t)LH_BLOCK_HEAD), content = block->len - head;
    size_t runs = (content + block->chunk - 1) / block->chunk, evens = (runs + 1) / 2;
    if (block->next == runs) {
        lh_list_remove(at);
        link->early_count--;
        lh_list_append(&link->held, at);
        lh_job_on_block_end(from->peer->job, block->number);
        return true;
    }
    size_t run = block->next < evens ? 2 * block->next : 2 * (block->next - evens) + 1;
    size_t offset = head + run * block->chunk, len = LH_MIN(block->chunk, block->len - offset);
    uint8_t *copy = malloc(len);
    memcpy(copy, block->copy + offset, len);
    block->next++;
    link->runs_unreleased += len;
    lh_job_on_block_run(from->peer->job, block->number, offset, copy, len);
    free(copy);
    return true;
}

static bool deliver_block(struct pair_end *from)
{
    struct pair_link *link = &from->out;
    if (link->block_count == 0 || from->peer->job == NULL || from->job == NULL)
        return false;
    uint64_t skip = lh_prng_below(&from->pair->prng, link->block_count);
    struct lh_link *at = lh_list_first(&link->blocks);
    while (skip-- > 0)
        at = at->next;
    struct block *block = LH_CONTAINER_OF(at, struct block, link);
    if (block->theirs == NULL && block->is_wanted)
        return false;
    if (block->theirs == NULL) {
        block->is_wanted = true;
        lh_job_on_block_wanted(from->job, block->number);
        return true;
    }
    lh_list_remove(at);
    link->block_count--;
    link->block_bytes += block->len;
    link->blocks_delivered++;
    block->copy = malloc(block->len);
    memcpy(block->copy, block->theirs, block->len);
    struct block *ack = calloc(1, sizeof *ack);
    *ack = (struct block){.number = block->number, .theirs = block->theirs, .len = block->len};
    lh_list_append(&link->acks, &ack->link);
    if (is_taken_early(from, block))
        return true;
    lh_list_append(&link->held, &block->link);
    lh_job_on_block(from->peer->job, block->number, block->copy, block->len);
    return true;
}

static bool deliver_ack(struct pair_end *from)
{
    struct lh_link *at = lh_list_first(&from->out.acks);
    if (at == NULL || from->job == NULL || lh_prng_below(&from->pair->prng, 3) == 0)
        return at != NULL;
    struct block *ack = LH_CONTAINER_OF(at, struct block, link);
    lh_list_remove(at);
    if (ack->theirs != NULL)
        memset(ack->theirs, 0xa5, ack->len); // the sender's again: nobody may read it any more
    lh_job_on_block_acked(from->job, ack->number, ack->theirs, ack->len);
    free(ack);
    return true;
}

static bool wake(struct pair_end *end)
{
    if (!end->out.was_full || end->job == NULL)
        return false;
    end->out.was_full = false;
    lh_job_on_writable(end->job);
    return false; // no progress in itself
}

// --- Events ---

static void on_problem(void *user, const struct lh_job_problem *problem)
{
    static const char *const severities[] = {"notice", "skipped", "failed"};
    struct pair_end *end = user;
    char line[6000];
    int len = snprintf(line, sizeof line, "%s %u %s: %s\n", severities[problem->severity],
                       problem->code, problem->path, problem->text);
    end->log = realloc(end->log, end->log_len + (size_t)len + 1);
    memcpy(end->log + end->log_len, line, (size_t)len + 1);
    end->log_len += (size_t)len;
}

static void on_file(void *user, const struct lh_job_file *file)
{
    struct pair_end *end = user;
    size_t *counts[] = {[LH_JOB_COMPLETE] = &end->files_complete,
                        [LH_JOB_SKIPPED] = &end->files_skipped,
                        [LH_JOB_FAILED] = &end->files_failed,
                        [LH_JOB_WOULD_SEND] = &end->files_would};
    ++*counts[file->outcome];
}

static void on_finished(void *user, const struct lh_job_verdict *verdict)
{
    struct pair_end *end = user;
    assert_false(end->finished);
    end->finished = true;
    end->verdict = *verdict;
    snprintf(end->verdict_text, sizeof end->verdict_text, "%s", verdict->text);
    end->verdict.text = end->verdict_text;
}

static const struct lh_job_events events = {
    .on_problem = on_problem, .on_file = on_file, .on_finished = on_finished};

// --- The pair ---

static void
end_init(struct pair *pair, struct pair_end *end, struct pair_end *peer, const char *state)
{
    *end = (struct pair_end){.pair = pair, .peer = peer};
    end->channel = (struct lh_channel){.ctx = end,
                                       .send_block = send_block,
                                       .block_unload = block_unload,
                                       .block_supply = block_supply,
                                       .block_release = block_release,
                                       .runs_release = runs_release,
                                       .stream_write = stream_write,
                                       .stream_consumed = stream_consumed};
    lh_list_init(&end->out.blocks);
    lh_list_init(&end->out.held);
    lh_list_init(&end->out.early);
    lh_list_init(&end->out.acks);
    end->log = strdup("");
    check_ok(lh_ioq_new(2, &end->ioq, NULL));
    end->host = (struct lh_job_host){.channel = &end->channel,
                                     .ioq = end->ioq,
                                     .block_size = pair->options.block_size,
                                     .read_ahead = pair->options.read_ahead,
                                     .state_dir = state,
                                     .events = &events,
                                     .user = end};
}

void pair_init(struct pair *pair, const struct pair_options *options)
{
    *pair = (struct pair){.options = *options, .prng = {options->seed}};
    if (pair->options.block_size == 0)
        pair->options.block_size = 65536;
    if (pair->options.stream_window == 0)
        pair->options.stream_window = LH_STREAM_WINDOW;
    if (pair->options.block_window == 0)
        pair->options.block_window =
            16 * ((uint64_t)pair->options.block_size + LH_BLOCK_HEADER_MAX);
    end_init(pair, &pair->client, &pair->server, options->client_state);
    end_init(pair, &pair->server, &pair->client, options->server_state);
}

void pair_start(struct pair *pair, const struct lh_job_request *request)
{
    struct lh_errinfo info = {0};
    lh_err err = lh_job_new_client(&pair->client.host, request, &pair->client.job, &info);
    if (err != LH_OK)
        fail_msg("client: %s", info.text);
    check_ok(lh_job_new_server(&pair->server.host, &pair->server.job, &info));
    lh_job_start(pair->server.job);
    lh_job_start(pair->client.job);
}

static bool deliver_one(struct pair *pair)
{
    struct pair_end *end = lh_prng_below(&pair->prng, 2) == 0 ? &pair->client : &pair->server;
    switch (lh_prng_below(&pair->prng, 5)) {
    case 0:
        return deliver_stream(end);
    case 1:
        return deliver_block(end);
    case 2:
        return deliver_ack(end);
    case 3:
        return deliver_run(end);
    default:
        return wake(end);
    }
}

static bool is_waiting(const struct pair_end *end)
{
    const struct pair_link *link = &end->out;
    return link->stream_len > 0 || link->block_count > 0 || link->early_count > 0 ||
           !lh_list_empty(&link->acks) || link->was_full;
}

static size_t reap(struct pair_end *end)
{
    return end->ioq == NULL ? 0 : lh_ioq_reap(end->ioq);
}

static void wait_for_disk(struct pair *pair)
{
    struct pair_end *ends[] = {&pair->client, &pair->server};
    struct pollfd fds[2];
    size_t pending = 0;
    for (size_t i = 0; i < 2; i++) {
        fds[i] = (struct pollfd){.fd = lh_ioq_fd(ends[i]->ioq), .events = POLLIN};
        pending += lh_ioq_pending(ends[i]->ioq);
    }
    if (pending == 0)
        fail_msg("both ends wait for nothing; client:\n%sserver:\n%s", pair->client.log,
                 pair->server.log);
    if (poll(fds, 2, 20000) == 0)
        fail_msg("disk work takes more than 20 s");
}

static uint64_t delivered(const struct pair *pair)
{
    return pair->client.out.block_bytes + pair->server.out.block_bytes;
}

void pair_loop(struct pair *pair)
{
    for (uint64_t idle = 0;;) {
        bool over = (pair->client.finished || pair->client.job == NULL) &&
                    (pair->server.finished || pair->server.job == NULL);
        bool stop = pair->stop_after > 0 && delivered(pair) >= pair->stop_after;
        if (over || stop || (pair->step != NULL && pair->step(pair, pair->step_ctx)))
            return;
        size_t reaped = reap(&pair->client) + reap(&pair->server);
        bool moved = deliver_one(pair);
        if (reaped > 0 || moved) {
            idle = 0;
        } else if (++idle > 40) {
            bool scripted = pair->client.job == NULL || pair->server.job == NULL;
            bool waiting = is_waiting(&pair->client) || is_waiting(&pair->server);
            if (scripted &&
                lh_ioq_pending(pair->client.ioq) + lh_ioq_pending(pair->server.ioq) == 0)
                return;
            if (!waiting || (pair->client.out.was_full == false && scripted))
                wait_for_disk(pair);
            else
                usleep(50);
        }
    }
}

void pair_run(struct pair *pair, const struct lh_job_request *request)
{
    pair_start(pair, request);
    pair_loop(pair);
}

static void free_blocks(struct lh_link *head)
{
    LH_LIST_FOR_EACH(at, head)
    {
        struct block *block = LH_CONTAINER_OF(at, struct block, link);
        lh_list_remove(at);
        free(block->copy);
        free(block);
    }
}

static void end_fini(struct pair_end *end)
{
    lh_ioq_free(end->ioq);
    end->ioq = NULL;
}

static void end_fini_2(struct pair_end *end)
{
    lh_job_free(end->job);
    end->job = NULL;
    free_blocks(&end->out.blocks);
    free_blocks(&end->out.held);
    free_blocks(&end->out.early);
    free_blocks(&end->out.acks);
    free(end->out.stream);
    free(end->log);
    end->out.stream = NULL;
    end->log = NULL;
}

uint64_t pair_held(const struct pair_end *end)
{
    struct lh_job_status status;
    lh_job_status(end->job, &status);
    return status.bytes_held;
}

void pair_fini(struct pair *pair)
{
    if (pair->client.ioq == NULL)
        return;
    end_fini(&pair->client);
    end_fini(&pair->server);
    end_fini_2(&pair->client);
    end_fini_2(&pair->server);
}

void pair_inject_stream(struct pair_end *to, const void *data, size_t len)
{
    uint8_t *copy = malloc(len);
    memcpy(copy, data, len);
    to->peer->out.stream_unconsumed += len;
    lh_job_on_stream(to->job, copy, len);
    free(copy);
}

void pair_inject_block(struct pair_end *to, const void *data, size_t len)
{
    struct pair_link *link = &to->peer->out;
    struct block *block = calloc(1, sizeof *block);
    block->number = link->next_block++;
    block->len = len;
    block->copy = malloc(len);
    memcpy(block->copy, data, len);
    link->unreleased += len;
    lh_list_append(&link->held, &block->link);
    lh_job_on_block(to->job, block->number, block->copy, len);
}

// --- Trees ---

char *tree_temp(void)
{
    // In memory where there is such a place: these tests are about order, not about disks.
    static const char *const places[] = {"/dev/shm", "/tmp"};
    for (size_t i = 0; i < LH_ARRAY_LEN(places); i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/lh-transfer-XXXXXX", places[i]);
        if (mkdtemp(path) != NULL)
            return strdup(path);
    }
    fail_msg("no place for temporary files");
    return NULL;
}

struct names {
    char **list;
    size_t count;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct names names_of(int fd)
{
    struct names names = {0};
    DIR *dir = fdopendir(fd);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        names.list = realloc(names.list, (names.count + 1) * sizeof *names.list);
        names.list[names.count++] = strdup(entry->d_name);
    }
    closedir(dir);
    if (names.count > 0)
        qsort(names.list, names.count, sizeof *names.list, by_name);
    return names;
}

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->list[i]);
    free(names->list);
}

static size_t remove_below(int fd, bool remove)
{
    struct names names = names_of(dup(fd));
    size_t count = names.count;
    for (size_t i = 0; i < names.count; i++) {
        if (remove && unlinkat(fd, names.list[i], 0) == 0)
            continue;
        int child = openat(fd, names.list[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (child < 0 && remove) {
            int changed = fchmodat(fd, names.list[i], 0700, 0);
            child = changed != 0 ? -1
                                 : openat(fd, names.list[i],
                                          O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        }
        if (child < 0)
            continue;
        if (remove && fchmod(child, 0700) != 0)
            print_message("# cannot open %s up\n", names.list[i]);
        count += remove_below(child, remove);
        close(child);
        if (remove)
            (void)unlinkat(fd, names.list[i], AT_REMOVEDIR);
    }
    names_free(&names);
    return count;
}

void tree_remove(char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        remove_below(fd, true);
        close(fd);
        rmdir(path);
    }
    free(path);
}

size_t tree_count(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    size_t count = remove_below(fd, false);
    close(fd);
    return count;
}

void tree_path(char *out, size_t room, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(out, room, format, args);
    va_end(args);
    assert_true(len >= 0 && (size_t)len < room);
}

void tree_mkdir(const char *path)
{
    if (mkdir(path, 0755) != 0)
        fail_msg("mkdir %s: %s", path, strerror(errno));
}

static void write_all(int fd, const void *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t put = write(fd, (const char *)data + at, len - at);
        assert_true(put > 0);
        at += (size_t)put;
    }
}

void tree_write(const char *path, uint64_t seed, size_t len)
{
    struct lh_prng prng = {seed};
    uint8_t *data = malloc(len + 1);
    lh_prng_fill(&prng, data, len);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        fail_msg("open %s: %s", path, strerror(errno));
    write_all(fd, data, len);
    close(fd);
    free(data);
}

void tree_write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        fail_msg("open %s: %s", path, strerror(errno));
    write_all(fd, text, strlen(text));
    close(fd);
}

static char *read_at(int dirfd, const char *name, size_t *out_len)
{
    int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
    struct stat stat;
    if (fd < 0 || fstat(fd, &stat) != 0)
        return NULL;
    char *data = malloc((size_t)stat.st_size + 1);
    size_t len = 0;
    for (ssize_t got; len < (size_t)stat.st_size &&
                      (got = read(fd, data + len, (size_t)stat.st_size - len)) > 0;)
        len += (size_t)got;
    data[len] = '\0';
    close(fd);
    *out_len = len;
    return data;
}

char *tree_read(const char *path, size_t *out_len)
{
    return read_at(AT_FDCWD, path, out_len);
}

static void check_entry(int a, int b, const char *name, bool attributes);

static void check_below(int a, int b, const char *where, bool attributes)
{
    struct names left = names_of(dup(a)), right = names_of(dup(b));
    for (size_t i = 0; i < left.count || i < right.count; i++) {
        const char *l = i < left.count ? left.list[i] : "(none)";
        const char *r = i < right.count ? right.list[i] : "(none)";
        if (strcmp(l, r) != 0)
            fail_msg("below %s: %s is not %s", where, l, r);
    }
    for (size_t i = 0; i < left.count; i++)
        check_entry(a, b, left.list[i], attributes);
    names_free(&left);
    names_free(&right);
}

static void check_entry(int a, int b, const char *name, bool attributes)
{
    struct stat left, right;
    check_int(fstatat(a, name, &left, AT_SYMLINK_NOFOLLOW), 0);
    check_int(fstatat(b, name, &right, AT_SYMLINK_NOFOLLOW), 0);
    if ((left.st_mode & S_IFMT) != (right.st_mode & S_IFMT))
        fail_msg("%s: types differ", name);
    if (attributes && !S_ISLNK(left.st_mode)) {
        if ((left.st_mode & 0777) != (right.st_mode & 0777))
            fail_msg("%s: mode %o is not %o", name, left.st_mode, right.st_mode);
        if (left.st_mtim.tv_sec != right.st_mtim.tv_sec ||
            left.st_mtim.tv_nsec != right.st_mtim.tv_nsec)
            fail_msg("%s: times differ", name);
    }
    if (S_ISDIR(left.st_mode)) {
        int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOATIME;
        int l = openat(a, name, flags), r = openat(b, name, flags);
        if (l < 0 || r < 0)
            fail_msg("%s: cannot be opened", name);
        check_below(l, r, name, attributes);
        close(l);
        close(r);
    } else if (S_ISLNK(left.st_mode)) {
        char x[5000] = {0}, y[5000] = {0};
        assert_true(readlinkat(a, name, x, sizeof x - 1) > 0);
        assert_true(readlinkat(b, name, y, sizeof y - 1) > 0);
        assert_string_equal(x, y);
    } else if (S_ISREG(left.st_mode)) {
        size_t x_len, y_len;
        char *x = read_at(a, name, &x_len), *y = read_at(b, name, &y_len);
        if (x_len != y_len || memcmp(x, y, x_len) != 0)
            fail_msg("%s: contents differ (%zu and %zu bytes)", name, x_len, y_len);
        free(x);
        free(y);
    }
}

void tree_check_same(const char *a, const char *b, bool attributes)
{
    int l = open(a, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = open(b, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (l < 0 || r < 0)
        fail_msg("%s or %s is not there", a, b);
    check_below(l, r, a, attributes);
    close(l);
    close(r);
}

void tree_random(const char *path, struct lh_prng *prng, size_t files, size_t size_max)
{
    enum { DIRS = 12 };
    char dirs[DIRS][512], name[700];
    snprintf(dirs[0], sizeof dirs[0], "%s", path);
    tree_mkdir(path);
    for (size_t i = 1; i < DIRS; i++) {
        size_t parent = (size_t)lh_prng_below(prng, i);
        if (strlen(dirs[parent]) > 300)
            parent = 0;
        snprintf(dirs[i], sizeof dirs[i], "%.450s/d%zu", dirs[parent], i);
        tree_mkdir(dirs[i]);
    }
    for (size_t i = 0; i < files; i++) {
        const char *dir = dirs[lh_prng_below(prng, DIRS)];
        size_t size = (size_t)lh_prng_below(prng, size_max + 1);
        if (lh_prng_below(prng, 10) == 0)
            size = 0;
        snprintf(name, sizeof name, "%s/f%zu", dir, i);
        tree_write(name, lh_prng_next(prng), size);
        if (lh_prng_below(prng, 20) != 0)
            continue;
        char link[800];
        snprintf(link, sizeof link, "%s-link", name);
        check_int(symlink("../somewhere", link), 0);
    }
}
