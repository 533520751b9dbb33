// SPDX-License-Identifier: Apache-2.0
//
//   killat [OPTION...] -- PROGRAM [ARGUMENT...]
//
// Runs a program and kills it (SIGKILL) at its Nth system call that changes anything outside of the
// process. Without a point it only counts.
//
//   --at N        the Nth call that changes something (from 1); "kills" means before it is made
//   --other N     the Nth of all other calls instead
//   --after       after the call has been made, not before
//   --errno NAME  the call is not made and fails with ENOSPC, EIO, EROFS or EDQUOT; nobody is
//   killed
//   --run COMMAND sh -c COMMAND is run while the program waits; nobody is killed
//   --children    calls of children count too, until they become other programs; what is killed is
//                 the program itself all the same
//   --self        with --children: what is killed is whoever makes the call
//   --log FILE    a line for each call that changes something, and at the end
//                 "total CHANGES OTHERS reached 0|1"
//
// The exit status is the program's; 128 + signal where a signal ended it.
//
// How it works. ptrace: the program and its threads are traced from the start, children until they
// are born (or, with --children, until exec). Who is not of interest is let go of, and so is
// everybody when killat ends: a child that became a daemon lives on untouched. A call that is to
// fail is replaced by one that does not exist, and its result by the errno. A call before which the
// program is killed is replaced likewise, so that the kernel cannot make it after all.
//
// A call changes something if the table below says so; a write and its like do unless the
// descriptor is a pipe or a terminal, an open does if it may create or cut a file.
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRACEES_MAX 512
#define OPTIONS                                                                                    \
    (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |      \
     PTRACE_O_TRACEEXEC)

enum kind {
    ALWAYS,
    BY_FD,   // unless the descriptor is a pipe, a terminal, /dev/null
    BY_FLAGS // of open: the flags follow the path
};

struct call {
    long nr;
    const char *name;
    enum kind kind;
    int path;   // index of the argument that is a path, -1: none
    int fd;     // index of the argument that is a descriptor, -1: none
    bool space; // may fail for want of space
};

#define PATH(name, index, space)                                                                   \
    {                                                                                              \
        SYS_##name, #name, ALWAYS, index, -1, space                                                \
    }
#define FD(name, index, space)                                                                     \
    {                                                                                              \
        SYS_##name, #name, BY_FD, -1, index, space                                                 \
    }
#define BARE(name)                                                                                 \
    {                                                                                              \
        SYS_##name, #name, ALWAYS, -1, -1, false                                                   \
    }

static const struct call calls[] = {
    FD(write, 0, true),
    FD(pwrite64, 0, true),
    FD(writev, 0, true),
    FD(pwritev, 0, true),
    FD(pwritev2, 0, true),
    FD(sendfile, 0, true),
    FD(copy_file_range, 2, true),
    FD(splice, 2, true),
    FD(ftruncate, 0, true),
    FD(fallocate, 0, true),
    FD(fsync, 0, true),
    FD(fdatasync, 0, true),
    FD(sync_file_range, 0, true),
    FD(syncfs, 0, true),
    BARE(sync),
    {SYS_openat, "openat", BY_FLAGS, 1, -1, true},
    {SYS_openat2, "openat2", BY_FLAGS, 1, -1, true},
    PATH(renameat2, 3, true),
    PATH(linkat, 3, true),
    PATH(symlinkat, 2, true),
    PATH(unlinkat, 1, false),
    PATH(mkdirat, 1, true),
    PATH(mknodat, 1, true),
    PATH(truncate, 0, true),
    PATH(fchmodat, 1, false),
    FD(fchmod, 0, false),
    PATH(fchownat, 1, false),
    FD(fchown, 0, false),
    PATH(utimensat, 1, false),
    PATH(setxattr, 0, true),
    PATH(lsetxattr, 0, true),
    FD(fsetxattr, 0, true),
    PATH(removexattr, 0, false),
    PATH(lremovexattr, 0, false),
    FD(fremovexattr, 0, false),
    FD(flock, 0, false),
    BARE(kill),
    BARE(tgkill),
    BARE(tkill),
    BARE(rt_sigqueueinfo),
    BARE(pidfd_send_signal),
    PATH(execve, 0, false),
    PATH(execveat, 1, false),
    BARE(clone),
    BARE(clone3),
    BARE(timer_create),
    BARE(timer_settime),
    BARE(timer_delete),
    BARE(timerfd_create),
    BARE(timerfd_settime),
    BARE(setitimer),
    BARE(clock_settime),
    BARE(settimeofday),
    PATH(mount, 1, false),
    PATH(umount2, 0, false),
    BARE(unshare),
    BARE(setns),
    BARE(setsid),
    BARE(setpgid),
    FD(connect, 0, false),
    FD(bind, 0, false),
    FD(listen, 0, false),
    FD(sendto, 0, false),
    FD(sendmsg, 0, false),
    FD(sendmmsg, 0, false),
    FD(shutdown, 0, false),
#ifdef SYS_open
    {SYS_open, "open", BY_FLAGS, 0, -1, true},
    PATH(creat, 0, true),
    PATH(rename, 1, true),
    PATH(renameat, 3, true),
    PATH(link, 1, true),
    PATH(symlink, 1, true),
    PATH(unlink, 0, false),
    PATH(mkdir, 0, true),
    PATH(rmdir, 0, false),
    PATH(mknod, 0, true),
    PATH(chmod, 0, false),
    PATH(chown, 0, false),
    PATH(lchown, 0, false),
    PATH(utime, 0, false),
    PATH(utimes, 0, false),
    PATH(futimesat, 1, false),
    BARE(fork),
    BARE(vfork),
    BARE(alarm),
#endif
};

static const struct {
    const char *name;
    int value;
} errnos[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EROFS", EROFS}, {"EDQUOT", EDQUOT}};

struct tracee {
    pid_t tid; // 0: a free place
    pid_t tgid;
    bool chosen; // it is in the call that was asked for
};

struct killat {
    long at, other; // 0: none
    bool after, children, self;
    int errno_value; // 0: none
    const char *run;
    FILE *log;
    pid_t program;
    struct tracee tracees[TRACEES_MAX];
    long changes, others; // so far
    bool reached;
    bool fresh; // the program has not begun yet: its exec is ours
};

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(125);
}

// --- What a call is ---

static pid_t group_of(pid_t tid)
{
    char path[64], line[128];
    int tgid = 0;

    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)tid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return tid;
    while (fgets(line, sizeof line, file) != NULL && sscanf(line, "Tgid: %d", &tgid) != 1)
        continue;
    (void)fclose(file);
    return tgid == 0 ? tid : (pid_t)tgid;
}

static void read_text(pid_t tid, uint64_t address, char *out, size_t room)
{
    char path[64];

    out[0] = '\0';
    (void)snprintf(path, sizeof path, "/proc/%d/mem", (int)tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t got = pread(fd, out, room - 1, (off_t)address);
    out[got > 0 ? got : 0] = '\0';
    (void)close(fd);
}

static void read_fd(pid_t tid, uint64_t number, char *out, size_t room)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)tid, (int)number);
    ssize_t got = readlink(path, out, room - 1);
    out[got > 0 ? got : 0] = '\0';
}

// Whether a socket reaches nobody by this call: netlink asks the kernel, and to connect a datagram
// socket sends nothing.
static bool is_silent_socket(pid_t tid, int fd, bool connecting)
{
    int domain = 0, type = 0;
    socklen_t len = sizeof domain, type_len = sizeof type;

    int process = (int)syscall(SYS_pidfd_open, group_of(tid), 0);
    int copy = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, fd, 0);
    bool known = copy >= 0 && getsockopt(copy, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
                 getsockopt(copy, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0;
    if (copy >= 0)
        (void)close(copy);
    if (process >= 0)
        (void)close(process);
    return known && (domain == AF_NETLINK || (connecting && type == SOCK_DGRAM));
}

static bool is_outside(const char *descriptor)
{
    static const char *const inside[] = {"pipe:", "anon_inode:", "/dev/pts", "/dev/tty",
                                         "/dev/null"};

    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        if (strncmp(descriptor, inside[i], strlen(inside[i])) == 0)
            return false;
    }
    return *descriptor != '\0';
}

static bool opens_for_change(pid_t tid, const struct call *call, const uint64_t *args)
{
    uint64_t flags = args[call->path + 1];

    if (call->nr == SYS_openat2) {
        struct open_how how = {0};
        struct iovec here = {&how, sizeof how};
        struct iovec there = {(void *)(uintptr_t)args[2], sizeof how};
        if (process_vm_readv(tid, &here, 1, &there, 1, 0) < (ssize_t)sizeof how.flags)
            return true;
        flags = how.flags;
    }
    return (flags & (O_CREAT | O_TRUNC)) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

// The call that changes something, NULL where it does not. `detail` is the file that it is about.
static const struct call *
find_change(pid_t tid, const struct __ptrace_syscall_info *info, char *detail, size_t room)
{
    const uint64_t *args = (const uint64_t *)info->entry.args;

    detail[0] = '\0';
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        const struct call *call = &calls[i];
        if (call->nr != (long)info->entry.nr)
            continue;
        if (call->path >= 0)
            read_text(tid, args[call->path], detail, room);
        else if (call->fd >= 0)
            read_fd(tid, args[call->fd], detail, room);
        if (call->kind != ALWAYS && !is_outside(detail))
            return NULL;
        if (call->kind == BY_FLAGS && !opens_for_change(tid, call, args))
            return NULL;
        if (strncmp(detail, "socket:", 7) == 0 &&
            is_silent_socket(tid, (int)args[call->fd], call->nr == SYS_connect))
            return NULL;
        return call;
    }
    return NULL;
}

// --- Changing what happens ---

#if defined(__x86_64__)
static void drop_call(pid_t tid)
{
    struct user_regs_struct regs;

    if (ptrace(PTRACE_GETREGS, tid, NULL, &regs) != 0)
        return;
    regs.orig_rax = (unsigned long long)-1;
    (void)ptrace(PTRACE_SETREGS, tid, NULL, &regs);
}

static void set_result(pid_t tid, long value)
{
    struct user_regs_struct regs;

    if (ptrace(PTRACE_GETREGS, tid, NULL, &regs) != 0)
        return;
    regs.rax = (unsigned long long)value;
    (void)ptrace(PTRACE_SETREGS, tid, NULL, &regs);
}
#elif defined(__aarch64__)
static void drop_call(pid_t tid)
{
    int number = -1;
    struct iovec set = {&number, sizeof number};

    (void)ptrace(PTRACE_SETREGSET, tid, (void *)(uintptr_t)NT_ARM_SYSTEM_CALL, &set);
}

static void set_result(pid_t tid, long value)
{
    struct user_regs_struct regs;
    struct iovec set = {&regs, sizeof regs};

    if (ptrace(PTRACE_GETREGSET, tid, (void *)(uintptr_t)NT_PRSTATUS, &set) != 0)
        return;
    regs.regs[0] = (unsigned long long)value;
    (void)ptrace(PTRACE_SETREGSET, tid, (void *)(uintptr_t)NT_PRSTATUS, &set);
}
#else
#error "killat knows x86-64 and AArch64"
#endif

static void run_command(const char *command)
{
    pid_t child = fork();

    if (child == 0) {
        (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    if (child > 0)
        (void)waitpid(child, NULL, 0);
}

// The point is reached: before or after the call.
static void act(struct killat *killat, const struct tracee *tracee, bool before)
{
    if (killat->errno_value != 0)
        return;
    if (killat->run != NULL) {
        run_command(killat->run);
        return;
    }
    if (before)
        drop_call(tracee->tid);
    (void)kill(killat->self ? tracee->tgid : killat->program, SIGKILL);
}

static void
on_entry(struct killat *killat, struct tracee *tracee, const struct __ptrace_syscall_info *info)
{
    char detail[300];
    const struct call *call = find_change(tracee->tid, info, detail, sizeof detail);

    tracee->chosen = false;
    if (killat->fresh)
        return;
    if (call != NULL && killat->log != NULL) {
        for (char *at = detail; *at != '\0'; at++)
            *at = *at == '\n' ? ' ' : *at;
        (void)fprintf(killat->log, "%ld %s %s %s %s\n", killat->changes + 1,
                      tracee->tgid == killat->program ? "program" : "child",
                      call->space ? "space" : "-", call->name, detail);
        (void)fflush(killat->log);
    }
    long count = call != NULL ? ++killat->changes : ++killat->others;
    if (killat->reached || count != (call != NULL ? killat->at : killat->other))
        return;
    killat->reached = true;
    tracee->chosen = true;
    if (killat->errno_value != 0)
        drop_call(tracee->tid);
    else if (!killat->after)
        act(killat, tracee, true);
}

static void on_exit_of_call(struct killat *killat, struct tracee *tracee)
{
    if (!tracee->chosen)
        return;
    tracee->chosen = false;
    if (killat->errno_value != 0)
        set_result(tracee->tid, -killat->errno_value);
    else if (killat->after)
        act(killat, tracee, false);
}

// --- Tracees ---

static struct tracee *find_tracee(struct killat *killat, pid_t tid)
{
    for (size_t i = 0; i < TRACEES_MAX; i++) {
        if (killat->tracees[i].tid == tid)
            return &killat->tracees[i];
    }
    return NULL;
}

static struct tracee *add_tracee(struct killat *killat, pid_t tid)
{
    struct tracee *tracee = find_tracee(killat, 0);

    if (tracee == NULL) {
        (void)fprintf(stderr, "killat: more than %d processes at a time\n", TRACEES_MAX);
        exit(125);
    }
    *tracee = (struct tracee){.tid = tid, .tgid = group_of(tid)};
    return tracee;
}

static void let_go(struct tracee *tracee)
{
    (void)ptrace(PTRACE_DETACH, tracee->tid, NULL, NULL);
    tracee->tid = 0;
}

static void go_on(pid_t tid, int signal)
{
    (void)ptrace(PTRACE_SYSCALL, tid, NULL, (void *)(uintptr_t)(unsigned)signal);
}

static void on_syscall(struct killat *killat, struct tracee *tracee)
{
    struct __ptrace_syscall_info info;

    if (ptrace(PTRACE_GET_SYSCALL_INFO, tracee->tid, (void *)sizeof info, &info) > 0) {
        if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
            on_entry(killat, tracee, &info);
        else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
            on_exit_of_call(killat, tracee);
    }
    go_on(tracee->tid, 0);
}

static void on_stop(struct killat *killat, pid_t tid, int status)
{
    struct tracee *tracee = find_tracee(killat, tid);
    unsigned event = (unsigned)status >> 16;
    int signal = WSTOPSIG(status);

    if (tracee == NULL)
        tracee = add_tracee(killat, tid);
    bool ours = tracee->tgid == killat->program;
    if (event == PTRACE_EVENT_EXEC && ours)
        killat->fresh = false;
    if (!ours && (event == PTRACE_EVENT_EXEC || !killat->children))
        let_go(tracee);
    else if (event == PTRACE_EVENT_STOP && signal != SIGTRAP)
        (void)ptrace(PTRACE_LISTEN, tid, NULL, NULL); // stopped by job control: it stays so
    else if (event != 0)
        go_on(tid, 0);
    else if (signal == (SIGTRAP | 0x80))
        on_syscall(killat, tracee);
    else
        go_on(tid, signal);
}

// Until the program has ended; its status as a shell gives it.
static int follow(struct killat *killat)
{
    for (;;) {
        int status;
        pid_t tid = waitpid(-1, &status, __WALL);
        if (tid < 0 && errno == EINTR)
            continue;
        if (tid < 0)
            die("killat: waitpid");
        if (WIFSTOPPED(status)) {
            on_stop(killat, tid, status);
            continue;
        }
        struct tracee *tracee = find_tracee(killat, tid);
        if (tracee != NULL)
            tracee->tid = 0;
        if (tid == killat->program)
            return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
}

// The program, stopped before its exec, and traced.
static void start(struct killat *killat, char **argv)
{
    pid_t child = fork();
    int status;

    if (child < 0)
        die("killat: fork");
    if (child == 0) {
        (void)raise(SIGSTOP);
        (void)execvp(argv[0], argv);
        perror(argv[0]);
        _exit(127);
    }
    if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status) ||
        ptrace(PTRACE_SEIZE, child, NULL, (void *)OPTIONS) != 0 || kill(child, SIGCONT) != 0)
        die("killat: ptrace");
    killat->program = child;
    killat->fresh = true;
    (void)add_tracee(killat, child);
    if (ptrace(PTRACE_INTERRUPT, child, NULL, NULL) != 0)
        die("killat: ptrace");
}

// --- The command line ---

static long number(const char *text)
{
    char *end;
    long value = text == NULL ? 0 : strtol(text, &end, 10);

    if (value <= 0 || *end != '\0') {
        (void)fprintf(stderr, "killat: a number from 1 is wanted\n");
        exit(125);
    }
    return value;
}

static int errno_of(const char *name)
{
    for (size_t i = 0; name != NULL && i < sizeof errnos / sizeof *errnos; i++) {
        if (strcmp(errnos[i].name, name) == 0)
            return errnos[i].value;
    }
    (void)fprintf(stderr, "killat: no such errno\n");
    exit(125);
}

// Returns the first argument of the program.
static char **parse(struct killat *killat, char **argv)
{
    for (argv++; *argv != NULL && strcmp(*argv, "--") != 0; argv++) {
        if (strcmp(*argv, "--after") == 0)
            killat->after = true;
        else if (strcmp(*argv, "--children") == 0)
            killat->children = true;
        else if (strcmp(*argv, "--self") == 0)
            killat->self = true;
        else if (strcmp(*argv, "--at") == 0)
            killat->at = number(*++argv);
        else if (strcmp(*argv, "--other") == 0)
            killat->other = number(*++argv);
        else if (strcmp(*argv, "--errno") == 0)
            killat->errno_value = errno_of(*++argv);
        else if (strcmp(*argv, "--run") == 0 && argv[1] != NULL)
            killat->run = *++argv;
        else if (strcmp(*argv, "--log") == 0 && argv[1] != NULL)
            killat->log = fopen(*++argv, "we");
        else
            break;
    }
    if (*argv == NULL || strcmp(*argv, "--") != 0 || argv[1] == NULL) {
        (void)fprintf(stderr, "usage: killat [--at N | --other N] [--after] [--errno NAME | "
                              "--run COMMAND]\n"
                              "              [--children [--self]] [--log FILE] -- PROGRAM "
                              "[ARGUMENT...]\n");
        exit(125);
    }
    return argv + 1;
}

int main(int argc, char **argv)
{
    static struct killat killat;

    (void)argc;
    char **program = parse(&killat, argv);
    start(&killat, program);
    int status = follow(&killat);
    if (killat.log != NULL) {
        (void)fprintf(killat.log, "total %ld %ld reached %d\n", killat.changes, killat.others,
                      killat.reached);
        (void)fclose(killat.log);
    }
    return status;
}
