// SPDX-License-Identifier: MIT
//
// Ways by which a program closes numbers that are not its own to close, or not there alone.

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/videodev2.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "v4lfence/shim/testing/probe.hpp"

namespace v4lfence::shim {

namespace {

constexpr int library_number = 500;  // As the fake library's.

bool is_open(int fd) {
    return reinterpret_cast<int (*)(int, int, ...)>(unseen("fcntl64"))(fd, F_GETFD) >= 0;
}

int query(int fd) {
    v4l2_capability caps{};
    return ioctl(fd, VIDIOC_QUERYCAP, &caps);
}

void wait_for(pid_t child) {
    int status = -1;
    waitpid(child, &status, 0);
    printf("child %d\n", status);
}

void in_vfork_child(const char*) {
    const int fd = open(camera, O_RDWR);
    const pid_t child = vfork();
    if (child == 0) {
        dup2(1, fd);
        close(fd);
        if (open("/dev/null", O_RDWR) != fd) {
            std::_Exit(1);
        }
        close_range(3, 40, 0);
        closefrom(3);
        std::_Exit(is_open(fd) ? 2 : 0);
    }
    wait_for(child);
    printf("query %d\n", query(fd));
}

void in_fork_child(const char*) {
    const int fd = open(camera, O_RDWR);
    const pid_t child = fork();
    if (child == 0) {
        std::_Exit(close(fd));
    }
    wait_for(child);
    printf("query %d\n", query(fd));
}

void refused_duplicates(const char*) {
    const int fd = open(camera, O_RDWR);
    printf("%d", dup2(99, fd));
    printf(" %d", dup3(1, fd, O_NONBLOCK));
    printf(" %d\n", dup3(fd, fd, O_CLOEXEC));
    printf("same %d\n", dup2(fd, fd) == fd);
    printf("syscall %d\n", syscall(SYS_dup3, 1, fd, 0) == fd);
}

void* unshare_and_close(void*) {
    printf("close_range %d\n", close_range(library_number, 600, CLOSE_RANGE_UNSHARE));
    return nullptr;
}

/// Of a table that a thread has made its own, the other threads see nothing.
void unsharing(const char*) {
    open(camera, O_RDWR);
    const int other = dup2(1, 550);
    pthread_t thread;
    pthread_create(&thread, nullptr, unshare_and_close, nullptr);
    pthread_join(thread, nullptr);
    printf("ours %d\n", is_open(other));
}

void without_ranges(const char*) {
    const int fd = open(camera, O_RDWR);
    const int low = dup2(1, 60);
    const int beyond = dup2(1, 700);
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog program{sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        return;
    }
    closefrom(3);
    printf("ours %d %d %d, the library's %d\n", is_open(fd), is_open(low), is_open(beyond),
           is_open(library_number));
}

/// Where nothing is high, the library's own are among the program's.
void few_numbers(const char*) {
    const rlimit few{64, 64};
    setrlimit(RLIMIT_NOFILE, &few);
    const int fd = open(camera, O_RDWR);
    const int library = fd + 1;  // The other end, which could not be moved.
    const int before = is_open(library);
    closefrom(3);
    printf("library's %d %d, ours %d\n", before, is_open(library), is_open(fd));
    printf("close %d\n", close(library));
}

constexpr ProbeCase cases[] = {
    {"in_vfork_child", in_vfork_child},
    {"in_fork_child", in_fork_child},
    {"refused_duplicates", refused_duplicates},
    {"unsharing", unsharing},
    {"without_ranges", without_ranges},
    {"few_numbers", few_numbers},
    {nullptr, nullptr},
};

}  // namespace

const ProbeCase* closing_cases() {
    return cases;
}

}  // namespace v4lfence::shim
