// SPDX-License-Identifier: MIT

#include "tests/doctor/stage.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace v4lfence::hangs {

namespace {

constexpr unsigned capture = V4L2_BUF_TYPE_VIDEO_CAPTURE;
constexpr int news_timeout_ms = 30'000;

}  // namespace

void give_up(const std::string& why) {
    fmt::print(stderr, "{}\n", why);
    std::exit(1);
}

int well(int status, const char* what) {
    if (status < 0) {
        give_up(fmt::format("{}: {}", what, std::strerror(errno)));
    }
    return status;
}

Stream::Stream(const std::string& device, unsigned buffers) : file_(device.c_str(), O_RDWR) {
    well(file_.fd(), device.c_str());
    v4l2_requestbuffers request{};
    request.count = buffers;
    request.type = capture;
    request.memory = V4L2_MEMORY_MMAP;
    well(v4lfence_ioctl(fd(), VIDIOC_REQBUFS, &request), "REQBUFS");
}

api::Fence Stream::queue(unsigned index, int in_fence, bool out) {
    v4l2_buffer buffer{};
    buffer.index = index;
    buffer.type = capture;
    buffer.memory = V4L2_MEMORY_MMAP;
    buffer.flags =
        (in_fence >= 0 ? V4L2_BUF_FLAG_IN_FENCE : 0) | (out ? V4L2_BUF_FLAG_OUT_FENCE : 0);
    v4l2_buffer_fence_fd(&buffer) = in_fence >= 0 ? in_fence : -1;
    if (buffer.flags == 0) {
        v4l2_buffer_fence_fd(&buffer) = 0;
    }
    well(v4lfence_ioctl(fd(), VIDIOC_QBUF, &buffer), "QBUF");
    return out ? api::Fence(v4l2_buffer_fence_fd(&buffer)) : api::Fence();
}

void Stream::start() {
    int type = capture;
    well(v4lfence_ioctl(fd(), VIDIOC_STREAMON, &type), "STREAMON");
}

int Stream::dequeue() {
    v4l2_buffer buffer{};
    buffer.type = capture;
    buffer.memory = V4L2_MEMORY_MMAP;
    return v4lfence_ioctl(fd(), VIDIOC_DQBUF, &buffer) < 0 ? -errno
                                                           : static_cast<int>(buffer.index);
}

void Stream::set_control(unsigned id, int value) {
    v4l2_control control{};
    control.id = id;
    control.value = value;
    well(v4lfence_ioctl(fd(), VIDIOC_S_CTRL, &control), "S_CTRL");
}

void Stream::wait_for_news() {
    pollfd polled{fd(), POLLIN, 0};
    if (well(v4lfence_poll(&polled, 1, news_timeout_ms), "poll") == 0) {
        give_up("nothing has happened to the stream");
    }
}

sys::Pipe make_pipe() {
    auto pipe = sys::pipe(0);
    if (!pipe) {
        give_up("no pipe");
    }
    return std::move(*pipe);
}

void tell_staged(const std::string& facts) {
    fmt::print("staged pid={} {}\n", getpid(), facts);
    std::fflush(stdout);
}

void stay() {
    std::array<char, 64> ignored{};
    while (::read(STDIN_FILENO, ignored.data(), ignored.size()) > 0) {}
}

pid_t start_child(const char* name, std::vector<int> not_its, void (*what)(int argument),
                  int argument) {
    const pid_t parent = getpid();
    const pid_t child = well(fork(), "fork");
    if (child != 0) {
        return child;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, name);
    if (getppid() != parent) {
        _exit(0);
    }
    for (const int fd : not_its) {
        ::close(fd);
    }
    what(argument);
    _exit(0);
}

void wait_until_stopped(pid_t child) {
    int status = 0;
    well(waitpid(child, &status, WUNTRACED), "waitpid");
    if (!WIFSTOPPED(status)) {
        give_up("the child was to stop, and has ended");
    }
}

}  // namespace v4lfence::hangs
