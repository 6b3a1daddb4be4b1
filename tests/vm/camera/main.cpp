// SPDX-License-Identifier: MIT
//
// uvc_camera: a USB camera in user space behind the kernel's own uvcvideo driver, for tests.
// README.md has the whole.

#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "tests/vm/camera/camera.hpp"
#include "tests/vm/camera/node_watch.hpp"
#include "tests/vm/camera/options.hpp"
#include "tests/vm/camera/vhci.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {
namespace {

constexpr int node_timeout_ms = 10'000;

Result<UniqueFd> signal_source() {
    sigset_t signals;
    sigemptyset(&signals);
    for (int signal : {SIGTERM, SIGINT, SIGUSR1}) {
        sigaddset(&signals, signal);
    }
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    UniqueFd source(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!source) {
        return fail_errno("signalfd");
    }
    return source;
}

/// The loop of one camera's life.
class CameraProgram {
public:
    CameraProgram(const CameraOptions& options, UniqueFd signals, NodeWatch watch, UniqueFd socket)
        : options_(options), signals_(std::move(signals)), watch_(std::move(watch)),
          camera_(std::move(socket), options.serial, options.misbehaviour) {}

    /// Ends when the camera is unplugged, with the reason as its Error, or with a value on a
    /// signal.
    Result<> run() {
        announce_by_ = deadline_after_ms(node_timeout_ms, clock_.now());
        while (!stopped_) {
            V4LFENCE_TRY(step());
        }
        return {};
    }

    unsigned frames() const { return camera_.frames(); }

private:
    Result<> step() {
        std::array<pollfd, 3> fds{{{camera_.fd(), POLLIN, 0},
                                   {signals_.get(), POLLIN, 0},
                                   {announce_by_ ? watch_.fd() : -1, POLLIN, 0}}};
        const Deadline picture = camera_.next_picture();
        const Deadline next = picture && announce_by_ ? std::min(picture, announce_by_)
                              : picture               ? picture
                                                      : announce_by_;
        const auto ready = sys::poll(fds, timeout_ms(next, clock_.now()));
        if (!ready) {
            return ready.error().code == -EINTR ? Result<>{} : tl::unexpected(ready.error());
        }
        if (fds[1].revents != 0) {
            V4LFENCE_TRY(obey_signal());
        }
        const MonotonicTime now = clock_.now();
        V4LFENCE_TRY(camera_.tick(now));
        if (fds[0].revents != 0) {
            V4LFENCE_TRY(camera_.serve(now));
        }
        return announce_by_ ? announce(now) : Result<>{};
    }

    Result<> obey_signal() {
        signalfd_siginfo info{};
        V4LFENCE_TRY(sys::read(signals_.get(), std::as_writable_bytes(std::span(&info, 1))));
        if (info.ssi_signo == SIGUSR1) {
            camera_.toggle_frozen();
        } else {
            stopped_ = true;
        }
        return {};
    }

    Result<> announce(MonotonicTime now) {
        const auto node = watch_.look();
        if (!node) {
            return now < *announce_by_ ? Result<>{} : fail(-ETIME, "uvcvideo made no node of it");
        }
        const std::string line = *node + '\n';
        V4LFENCE_TRY(sys::write(options_.ready_fd, std::as_bytes(std::span(line))));
        announce_by_.reset();
        return {};
    }

    const CameraOptions& options_;
    const SystemClock clock_;
    UniqueFd signals_;
    NodeWatch watch_;
    UsbCamera camera_;
    Deadline announce_by_;  // empty once the node is announced
    bool stopped_ = false;
};

Result<> run_camera(const CameraOptions& options) {
    UniqueFd signals = V4LFENCE_TRY(signal_source());
    NodeWatch watch = V4LFENCE_TRY(NodeWatch::create(options.serial));
    sys::SocketPair ends = V4LFENCE_TRY(sys::socketpair(0));
    const int port = V4LFENCE_TRY(vhci_attach(options.controller, ends.second.get()));
    ends.second.reset();
    std::printf("plugged into port %d as %s\n", port, options.serial.c_str());

    CameraProgram program(options, std::move(signals), std::move(watch), std::move(ends.first));
    const Result<> end = program.run();
    std::printf("unplugged after %u frames: %s\n", program.frames(),
                end ? "a signal" : end.error().where);
    // Being unplugged by either side is how a camera's life ends.
    return end || end.error().code == -ENODEV ? Result<>{} : end;
}

Result<> wait_gone(const CameraOptions& options) {
    NodeWatch watch = V4LFENCE_TRY(NodeWatch::create(options.serial));
    return watch.wait_gone(deadline_after_ms(node_timeout_ms, SystemClock().now()));
}

}  // namespace
}  // namespace v4lfence

int main(int argc, char** argv) {
    using namespace v4lfence;
    const auto parsed = parse_options(argc, argv);
    if (const int* status = std::get_if<int>(&parsed)) {
        return *status;
    }
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    const auto& options = std::get<CameraOptions>(parsed);
    const Result<> end = options.wait_gone ? wait_gone(options) : run_camera(options);
    if (!end) {
        std::fprintf(stderr, "uvc_camera: %s: %s\n", end.error().where,
                     std::strerror(-end.error().code));
        return 1;
    }
    return 0;
}
