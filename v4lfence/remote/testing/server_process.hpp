// SPDX-License-Identifier: MIT
//
// For tests of client and server together: a server of one fake device, here or in a process of its
// own, and what a program asks of that.

#pragma once

#include <gtest/gtest.h>
#include <linux/videodev2.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/remote/server.hpp"
#include "v4lfence/remote/testing/remote_rig.hpp"
#include "v4lfence/uapi_fences.h"
#include "v4lfence/v4l2/testing/fake_device.hpp"

namespace v4lfence::remote::testing {

inline std::string fresh_address() {
    static unsigned made = 0;
    return "@v4lfence-remote-test-" + std::to_string(::getpid()) + "-" + std::to_string(made++);
}

/// A server with one device, whose frames the test finishes.
struct Host {
    explicit Host(const std::string& address) {
        auto listening = Server::listen(address, {"user", false, 2});
        EXPECT_TRUE(listening) << (listening ? "" : listening.error().where);
        server = std::move(*listening);
        // The device is the rig's.
        server->add("/dev/video80", {std::shared_ptr<void>(), device.device.get()});
        EXPECT_TRUE(server->start());
    }

    v4lfence::testing::DeviceRig device;
    std::unique_ptr<Server> server;
};

inline int request(const ProgramFile& file, unsigned count) {
    v4l2_requestbuffers request{};
    request.count = count;
    request.type = capture;
    request.memory = V4L2_MEMORY_MMAP;
    return file(VIDIOC_REQBUFS, request);
}

inline int queue(const ProgramFile& file, unsigned index) {
    v4l2_buffer buffer = ProgramFile::buffer();
    buffer.index = index;
    return file(VIDIOC_QBUF, buffer);
}

inline int stream(const ProgramFile& file, bool on) {
    std::uint32_t type = capture;
    return file(on ? VIDIOC_STREAMON : VIDIOC_STREAMOFF, type);
}

inline int queue_with_out_fence(const ProgramFile& file, UniqueFd& fence) {
    v4l2_buffer buffer = ProgramFile::buffer();
    buffer.flags = V4L2_BUF_FLAG_OUT_FENCE;
    const int result = file(VIDIOC_QBUF, buffer);
    fence.reset(result == 0 ? v4l2_buffer_fence_fd(&buffer) : -1);
    return result;
}

/// A server in a process of its own, made before this one has threads.
class ServerProcess {
public:
    /// `descriptors`: it may have so many; 0: as this one.
    explicit ServerProcess(unsigned descriptors = 0) {
        auto ready = std::move(*sys::pipe(0));
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // Of a test that crashes nothing stays.
            std::optional<v4lfence::testing::DescriptorLimit> few;
            if (descriptors != 0) {
                few.emplace(descriptors);
            }
            const Host host(address);
            constexpr std::byte one{1};
            (void)sys::write(ready.write_end.get(), std::span(&one, 1));
            while (true) {
                ::pause();
            }
        }
        ready.write_end.reset();
        std::byte heard{};
        EXPECT_EQ(*sys::read(ready.read_end.get(), std::span(&heard, 1)), 1U);
    }
    ~ServerProcess() { kill(); }
    void kill() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(std::exchange(pid_, 0), nullptr, 0);
        }
    }

    const std::string address = fresh_address();

private:
    pid_t pid_ = 0;
};

}  // namespace v4lfence::remote::testing
