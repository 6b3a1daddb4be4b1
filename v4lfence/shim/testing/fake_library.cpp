// SPDX-License-Identifier: MIT
//
// In place of libv4lfence.so.0: says on standard output what the shim asks of it. Its devices are
// sockets, whose other ends it keeps high as the true library does.

#include <fcntl.h>
#include <linux/videodev2.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "v4lfence/shim/abi.h"

namespace {

v4lfence_libc libc;
v4lfence_shim_settings wanted;

__attribute__((format(printf, 1, 2))) void say(const char* format, ...) {
    const int error = errno;
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    libc.write(1, line, static_cast<size_t>(length));
    errno = error;
}

constexpr int high_min = 500;
int ends[16];
int end_count = 0;

bool is_known(int fd) {
    struct stat status {};
    libc.fstat(fd, &status);
    return S_ISSOCK(status.st_mode) || S_ISCHR(status.st_mode);
}

int open_virtual(const char* name, int flags) {
    say("open_virtual %s %s%s\n", name, (flags & O_ACCMODE) == O_RDWR ? "rw" : "ro",
        (flags & O_NONBLOCK) != 0 ? " nonblock" : "");
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | ((flags & O_CLOEXEC) != 0 ? SOCK_CLOEXEC : 0), 0, pair)) {
        return -1;
    }
    const int high = libc.fcntl(pair[1], F_DUPFD_CLOEXEC, high_min);
    if (high >= 0) {
        libc.close(pair[1]);
    }
    ends[end_count] = high >= 0 ? high : pair[1];
    libc.keep(ends[end_count++]);
    return pair[0];
}

int take_over(int fd) {
    const bool ours = is_known(fd);
    say("take_over %d\n", ours);
    return ours ? 1 : 0;
}

void same_file(int, int) {
    say("same_file\n");
}

pid_t attached_process = 0;

int is_this_process() {
    return getpid() == attached_process ? 1 : 0;
}

void* leave(int fd) {
    static int left = 0;
    struct stat status {};
    libc.fstat(fd, &status);
    say("leave %s\n", S_ISSOCK(status.st_mode) || S_ISCHR(status.st_mode) ? "itself" : "another");
    return &left;
}

void left(void*) {
    say("left\n");
}

int answer_ioctl(int, unsigned long request, void* argument) {
    say("ioctl %lx\n", request);
    if (request == VIDIOC_QUERYCAP && argument != nullptr) {
        auto* caps = static_cast<v4l2_capability*>(argument);
        std::strcpy(reinterpret_cast<char*>(caps->bus_info), "platform:v4lfence-camera-81");
    }
    if (request == VIDIOC_DQBUF && wanted.wrapped_count != 0) {
        // As the kernel's DQBUF, called by the table, waits for a frame that never comes.
        int pair[2];
        char byte;
        return pipe(pair) == 0 ? static_cast<int>(libc.read(pair[0], &byte, 1)) : -1;
    }
    return 0;
}

int close_file(int fd) {
    say("close\n");
    return libc.close(fd);
}

void* map(void* address, size_t length, int protection, int flags, int, int64_t offset) {
    say("mmap %zu %llx\n", length, static_cast<unsigned long long>(offset));
    return libc.mmap(address, length, protection, flags | MAP_ANONYMOUS, -1, 0);
}

ssize_t read_file(int, void* buffer, size_t count) {
    say("read %zu\n", count);
    std::memset(buffer, 'r', count);
    return static_cast<ssize_t>(count);
}

ssize_t write_file(int, const void*, size_t count) {
    say("write %zu\n", count);
    errno = EINVAL;
    return -1;
}

int is_ours(int fd) {
    return is_known(fd) ? 1 : 0;
}

int unmap(void* address, size_t length) {
    return libc.munmap(address, length);
}

int poll_files(pollfd* fds, nfds_t count, int timeout_ms) {
    say("poll %d %d\n", static_cast<int>(count), timeout_ms);
    return libc.poll(fds, count, 0);
}

int select_files(int nfds, fd_set* readable, fd_set* writable, fd_set* exceptional, timeval* time) {
    say("select %d\n", time != nullptr ? static_cast<int>(time->tv_sec) : -1);
    timeval now{};
    return libc.select(nfds, readable, writable, exceptional, &now);
}

int epoll_file(int epfd, int op, int fd, epoll_event* event) {
    say("epoll_ctl %d\n", op);
    return libc.epoll_ctl(epfd, op, fd, event);
}

int sync_request(int, unsigned long request, void*) {
    say("sync_ioctl %lx\n", request);
    errno = ENOTTY;
    return -1;
}

constexpr v4lfence_shim_calls calls{
    .version = V4LFENCE_SHIM_ABI,
    .open_virtual = open_virtual,
    .take_over = take_over,
    .same_file = same_file,
    .leave = leave,
    .left = left,
    .is_this_process = is_this_process,
    .ioctl = answer_ioctl,
    .close = close_file,
    .mmap = map,
    .read = read_file,
    .write = write_file,
    .is_ours = is_ours,
    .munmap = unmap,
    .poll = poll_files,
    .select = select_files,
    .epoll_ctl = epoll_file,
    .sync_ioctl = sync_request,
};

/// What a program's start may do before anything is attached.
__attribute__((constructor)) void while_loading() {
    if (getenv("FAKE_OPENS_WHILE_LOADING") != nullptr) {
        const int fd = ::open("/dev/video80", O_RDONLY);
        const char* text = fd < 0 ? "while loading: not there\n" : "while loading: opened\n";
        __attribute__((unused)) const ssize_t written = ::write(1, text, std::strlen(text));
    }
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const v4lfence_shim_calls*
v4lfence_shim_attach(unsigned version, const v4lfence_libc* found,
                     const v4lfence_shim_settings* settings) {
    libc = *found;
    wanted = *settings;
    attached_process = getpid();
    pthread_atfork(nullptr, nullptr, [] { attached_process = getpid(); });
    say("attach server=%s provider=%s rfc=%d wrapped=%u\n",
        wanted.server != nullptr ? wanted.server : "-",
        wanted.provider != nullptr ? wanted.provider : "-", wanted.rfc_caps, wanted.wrapped_count);
    return version == V4LFENCE_SHIM_ABI ? &calls : nullptr;
}
