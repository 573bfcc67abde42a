// What the reactor needs of Linux; nothing else is imported anywhere.
#ifndef PORTICO_CLINUX_H
#define PORTICO_CLINUX_H
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Linux calls that glibc declares only under _GNU_SOURCE, which Swift's own module of glibc is built
// without: the two would disagree about other types.
int accept4(int socket, struct sockaddr *address, socklen_t *length, int flags);
int pthread_setname_np(pthread_t thread, const char *name);
int sched_getaffinity(pid_t process, size_t size, cpu_set_t *set);

static inline int portico_connect(int socket, const void *address, socklen_t length) {
    return connect(socket, (const struct sockaddr *)address, length);
}
static inline int portico_bind(int socket, const void *address, socklen_t length) {
    return bind(socket, (const struct sockaddr *)address, length);
}
static inline int portico_accept(int socket, struct sockaddr_storage *address, socklen_t *length) {
    return accept4(socket, (struct sockaddr *)address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
static inline int portico_local_address(int socket, struct sockaddr_storage *address, socklen_t *length) {
    return getsockname(socket, (struct sockaddr *)address, length);
}
static inline int portico_open_for_reading(const char *path) {
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}
/// A new file that others may read, in the place of one with that name.
static inline int portico_create(const char *path) {
    return open(path, O_WRONLY | O_CLOEXEC | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644);
}
static inline int portico_open_for_writing(const char *path) { return open(path, O_WRONLY | O_CLOEXEC); }
/// Whether a descriptor is of a regular file; below zero: it is not known.
static inline int portico_is_regular_file(int file) {
    struct stat status;
    if (fstat(file, &status) != 0) return -1;
    return S_ISREG(status.st_mode);
}
/// What changes when a path names another file, or the file another content: device, inode, octets, seconds and
/// nanoseconds of its last change. Returns 0 if there is none.
static inline int portico_file_stamp(const char *path, int64_t stamp[5]) {
    struct stat status;
    if (stat(path, &status) != 0) return 0;
    stamp[0] = (int64_t)status.st_dev;
    stamp[1] = (int64_t)status.st_ino;
    stamp[2] = (int64_t)status.st_size;
    stamp[3] = (int64_t)status.st_mtim.tv_sec;
    stamp[4] = (int64_t)status.st_mtim.tv_nsec;
    return 1;
}
static inline void portico_ignore_sigpipe(void) { signal(SIGPIPE, SIG_IGN); }
static inline int portico_errno(void) { return errno; }

extern char **environ;
int pipe2(int ends[2], int flags);
/// Variables of this process; the last entry is null.
static inline char **portico_environment(void) { return environ; }
/// Both ends are closed on exec; only the reading one does not wait.
static inline int portico_pipe(int *reading, int *writing) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    *reading = ends[0];
    *writing = ends[1];
    return fcntl(ends[0], F_SETFL, O_NONBLOCK);
}
/// Neither end waits; both are closed on exec.
static inline int portico_splice_pipe(int *reading, int *writing) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return -1;
    *reading = ends[0];
    *writing = ends[1];
    return 0;
}
/// Asks for a pipe's room, F_SETPIPE_SZ. Returns what it has, F_GETPIPE_SZ, or less than zero.
static inline int portico_size_pipe(int pipe, int octets) {
    (void)fcntl(pipe, 1031, octets);
    return fcntl(pipe, 1032);
}
ssize_t splice(int from, __off64_t *at, int to, __off64_t *there, size_t length, unsigned int flags);
/// Moves octets without waiting, SPLICE_F_MOVE | SPLICE_F_NONBLOCK.
static inline ssize_t portico_splice(int from, int to, size_t length) { return splice(from, 0, to, 0, length, 3); }
/// Octets that can be read from a pipe; less than zero when that is not known.
static inline int portico_octets_waiting(int pipe) {
    int count = -1;
    return ioctl(pipe, FIONREAD, &count) == 0 ? count : -1;
}
/// Starts a program in a process group of its own, with nothing to read, no blocked signals and SIGPIPE as usual.
/// Returns 0 or an errno.
static inline int portico_spawn(
    pid_t *child, const char *program, char *const *arguments, char *const *variables, int output) {
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    sigset_t none, usual;
    int code = posix_spawnattr_init(&attributes);
    if (code != 0) return code;
    code = posix_spawn_file_actions_init(&actions);
    if (code != 0) {
        posix_spawnattr_destroy(&attributes);
        return code;
    }
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    code = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (code == 0) code = posix_spawn_file_actions_adddup2(&actions, output, 1);
    if (code == 0) code = posix_spawnp(child, program, &actions, &attributes, arguments, variables);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return code;
}
/// Starts a program that is to take this one's place, with `count` descriptors as its 3, 4, 5 and so on; they must be
/// beyond those numbers here. What it reads and writes is ours. Returns 0 or an errno.
static inline int portico_spawn_successor(
    pid_t *child, const char *program, char *const *arguments, char *const *variables, const int *descriptors,
    int count) {
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    sigset_t none;
    int code = posix_spawnattr_init(&attributes);
    if (code != 0) return code;
    code = posix_spawn_file_actions_init(&actions);
    if (code != 0) {
        posix_spawnattr_destroy(&attributes);
        return code;
    }
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    for (int index = 0; index < count && code == 0; index++)
        code = posix_spawn_file_actions_adddup2(&actions, descriptors[index], 3 + index);
    if (code == 0) code = posix_spawnp(child, program, &actions, &attributes, arguments, variables);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return code;
}
/// Two ends of a connection in the kernel that keeps messages apart; they do not wait and are closed on exec.
static inline int portico_socket_pair(int *one, int *other) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) return -1;
    *one = ends[0];
    *other = ends[1];
    return 0;
}
/// A further descriptor, numbered `least` or more, that is closed on exec; below zero where there is none.
static inline int portico_duplicate(int descriptor, int least) { return fcntl(descriptor, F_DUPFD_CLOEXEC, least); }
/// Makes a descriptor that came with the process like one that it has opened. Returns 0, or below zero.
static inline int portico_adopt(int descriptor) {
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0) return -1;
    return fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}
#endif
