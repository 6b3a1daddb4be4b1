// SPDX-License-Identifier: MIT

#include "v4lfence/shim/testing/probe.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/sync_file.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstring>
#include <initializer_list>

namespace v4lfence::shim {

void* unseen(const char* name) {
    static void* libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    return dlsym(libc, name);
}

bool is_library_loaded() {
    void* handle = dlopen("libv4lfence.so.0", RTLD_NOW | RTLD_NOLOAD);
    return handle != nullptr;
}

namespace {

template <typename Function>
Function* unseen_call(const char* name) {
    return reinterpret_cast<Function*>(unseen(name));
}

int open_camera() {
    return open(camera, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

int query(int fd) {
    v4l2_capability caps{};
    return ioctl(fd, VIDIOC_QUERYCAP, &caps);
}

void each_call(const char*) {
    printf("loaded before: %d\n", is_library_loaded());
    const int fd = open_camera();
    printf("query %d\n", query(fd));
    int drawn_out = static_cast<int>(VIDIOC_DQBUF);
    v4l2_buffer buffer{};
    printf("dqbuf %d\n", ioctl(fd, static_cast<unsigned long>(drawn_out), &buffer));
    int unread = -1;
    const int answer = ioctl(fd, FIONREAD, &unread);
    printf("fionread %d %d\n", answer, unread);
    void* mapped = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0x2000);
    printf("munmap %d\n", munmap(mapped, 4096));
    char bytes[8];
    iovec parts[2] = {{bytes, 3}, {bytes + 3, 5}};
    const ssize_t plain = read(fd, bytes, 4);
    const ssize_t vector = readv(fd, parts, 2);
    printf("read %zd readv %zd pread %zd\n", plain, vector, pread(fd, bytes, 2, 7));
    printf("write %zd\n", write(fd, bytes, 1));
    pollfd waited{fd, POLLIN, 0};
    timespec time{0, 1500001};
    const int polled = poll(&waited, 1, 0);
    printf("poll %d ppoll %d\n", polled, ppoll(&waited, 1, &time, nullptr));
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    timeval seconds{7, 0};
    printf("select %d\n", select(fd + 1, &set, nullptr, nullptr, &seconds));
    epoll_event event{};
    printf("epoll %d\n", epoll_ctl(epoll_create1(0), EPOLL_CTL_ADD, fd, &event));
    const int closed = close(fd);
    printf("close %d, again %d\n", closed, close(fd));
}

void each_duplicate(const char*) {
    const int fd = open_camera();
    const int copies[] = {dup(fd), dup2(fd, 40), dup3(fd, 41, O_CLOEXEC), fcntl(fd, F_DUPFD, 42),
                          fcntl(fd, F_DUPFD_CLOEXEC, 43)};
    for (const int copy : copies) {
        query(copy);
    }
    struct stat status;
    fstat(41, &status);
    printf("41 is %u:%u\n", major(status.st_rdev), minor(status.st_rdev));
    dup2(1, 41);
    fstat(41, &status);
    printf("41 is ours: %d\n", S_ISCHR(status.st_mode) && minor(status.st_rdev) == 80);
}

void unseen_duplicate(const char*) {
    const int copy = unseen_call<int(int)>("dup")(open_camera());
    printf("query %d\n", query(copy));
    struct stat status;
    fstat(copy, &status);
    printf("is %u:%u\n", major(status.st_rdev), minor(status.st_rdev));
    const int mapped = unseen_call<int(int)>("dup")(copy);
    printf("mapped %d\n", mmap(nullptr, 4096, PROT_READ, MAP_SHARED, mapped, 0) != MAP_FAILED);
}

void unseen_close(const char*) {
    const int fd = open_camera();
    unseen_call<int(int)>("close")(fd);
    int ends[2];
    printf("same number %d\n", pipe(ends) == 0 && ends[0] == fd);
    struct stat status;
    fstat(fd, &status);
    printf("a pipe %d\n", S_ISFIFO(status.st_mode));
    unseen_call<int(int)>("close")(fd);
    const int other = open("/dev/null", O_RDONLY);
    printf("same number %d, query %d\n", other == fd, query(other));
}

bool is_open(int fd) {
    return unseen_call<int(int, int, ...)>("fcntl64")(fd, F_GETFD) >= 0;
}

void close_all(const char* how) {
    const int fd = open_camera();
    if (std::strcmp(how, "loop") == 0) {
        int closed = 0;
        for (int each = 3; each < 1024; ++each) {
            closed += close(each) == 0;
        }
        printf("closed %d\n", closed);
    } else if (std::strcmp(how, "range") == 0) {
        printf("close_range %d\n", close_range(3, ~0U, 0));
    } else if (std::strcmp(how, "syscall") == 0) {
        printf("close_range %ld\n", syscall(SYS_close_range, 3, ~0U, 0));
    } else {
        closefrom(3);
    }
    printf("ours %d, the library's %d\n", is_open(fd), is_open(500));
    printf("dup2 %d", dup2(1, 500));
    printf(" %s\n", strerror(errno));
}

void by_number(const char*) {
    const auto fd = static_cast<int>(syscall(SYS_openat, AT_FDCWD, camera, O_RDWR, 0));
    v4l2_capability caps{};
    printf("query %ld\n", syscall(SYS_ioctl, fd, VIDIOC_QUERYCAP, &caps));
    char byte;
    printf("read %ld\n", syscall(SYS_read, fd, &byte, 1));
    printf("close %ld\n", syscall(SYS_close, fd));
    printf("pid %d\n", syscall(SYS_getpid) == getpid());
    printf("error %ld", syscall(SYS_close, 99));
    printf(" %s\n", strerror(errno));
}

/// Also what is bridged: the test names /dev/null as such a node.
void wrapped(const char* path) {
    const int fd = open(path, O_RDWR);
    printf("fionread %d\n", ioctl(fd, FIONREAD, nullptr));
    printf("query %d\n", query(fd));
    printf("query %d\n", query(fd));
    printf("loaded %d\n", is_library_loaded());
}

void inherited(const char* argument) {
    if (argument == nullptr) {
        const int fd = dup(open_camera());
        char number[16];
        snprintf(number, sizeof number, "%d", fd);
        execl("/proc/self/exe", "shim_probe", "inherited", number, nullptr);
        return;
    }
    int fd = 0;
    sscanf(argument, "%d", &fd);
    printf("query %d\n", query(fd));
}

/// Before any request of V4L2's.
void registered(const char* path) {
    epoll_event event{};
    const int epoll = epoll_create1(0);
    const int fd = open(path, O_RDWR);
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    printf("loaded %d\n", is_library_loaded());
}

sigjmp_buf before_read;

void jump(int) {
    siglongjmp(before_read, 1);
}

/// Leaves a wait of the kernel's for a bridged file, and goes on as libv4l2 does.
void jumps_out(const char* path) {
    const int fd = open(path, O_RDWR);
    query(fd);
    struct sigaction action {};
    action.sa_handler = jump;
    sigaction(SIGALRM, &action, nullptr);
    if (sigsetjmp(before_read, 1) == 0) {
        const itimerval soon{{}, {0, 1000}};
        setitimer(ITIMER_REAL, &soon, nullptr);
        v4l2_buffer buffer{};
        ioctl(fd, VIDIOC_DQBUF, &buffer);
    }
    v4l2_capability caps{};
    printf("query %ld\n", syscall(SYS_ioctl, fd, VIDIOC_QUERYCAP, &caps));
}

void sync_files(const char*) {
    int ends[2];
    __attribute__((unused)) const int made = pipe(ends);
    sync_file_info info{};
    printf("info %d", ioctl(ends[0], SYNC_IOC_FILE_INFO, &info));
    printf(" %s\n", strerror(errno));
}

constexpr ProbeCase cases[] = {
    {"each_call", each_call},
    {"each_duplicate", each_duplicate},
    {"unseen_duplicate", unseen_duplicate},
    {"unseen_close", unseen_close},
    {"close_all", close_all},
    {"by_number", by_number},
    {"wrapped", wrapped},
    {"inherited", inherited},
    {"sync_files", sync_files},
    {"registered", registered},
    {"jumps_out", jumps_out},
};

bool run(const ProbeCase& each, const char* name, const char* argument) {
    if (std::strcmp(each.name, name) != 0) {
        return false;
    }
    each.run(argument);
    return true;
}

}  // namespace
}  // namespace v4lfence::shim

int main(int count, char** arguments) {
    using namespace v4lfence::shim;
    setvbuf(stdout, nullptr, _IONBF, 0);
    if (count < 2) {
        return 2;
    }
    const char* argument = count > 2 ? arguments[2] : nullptr;
    for (const ProbeCase& each : cases) {
        if (run(each, arguments[1], argument)) {
            return 0;
        }
    }
    for (const ProbeCase* each : {file_cases(), closing_cases()}) {
        for (; each->name != nullptr; ++each) {
            if (run(*each, arguments[1], argument)) {
                return 0;
            }
        }
    }
    return 2;
}
