// SPDX-License-Identifier: MIT
//
// For tests of the client: a file that is opened at a scripted server.

#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/videodev2.h>
#include <sys/eventfd.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/remote/client.hpp"
#include "v4lfence/remote/remote_file.hpp"
#include "v4lfence/remote/testing/scripted_server.hpp"

namespace v4lfence::remote::testing {

inline constexpr std::uint32_t capture = V4L2_BUF_TYPE_VIDEO_CAPTURE;

/// An open file, as a program with a number of it has it.
struct ProgramFile {
    std::unique_ptr<RemoteFile> file;
    UniqueFd fd;

    /// 0, 1 for a call that would wait, or a negative errno.
    int call(std::uint32_t request, void* argument, Look look = {}) const {
        const auto answer = file->ioctl(fd.get(), request, argument, look);
        return answer ? (answer->must_wait ? 1 : 0) : answer.error().code;
    }
    template <class Argument>
    int operator()(std::uint32_t request, Argument& argument) const {
        return call(request, &argument);
    }
    int queue(std::uint32_t flags = 0) const {
        v4l2_buffer queued = buffer();
        queued.flags = flags;
        return (*this)(VIDIOC_QBUF, queued);
    }
    int dequeue() const {
        v4l2_buffer taken = buffer();
        return (*this)(VIDIOC_DQBUF, taken);
    }
    static v4l2_buffer buffer() {
        v4l2_buffer made{};
        made.type = capture;
        made.memory = V4L2_MEMORY_MMAP;
        return made;
    }
};

inline ProgramFile open_file(Client& client, int flags = O_RDWR) {
    auto opened = client.open("/dev/video80", flags);
    EXPECT_TRUE(opened) << (opened ? "" : opened.error().where);
    return opened ? ProgramFile{std::move(opened->file), std::move(opened->fd)} : ProgramFile{};
}

/// Something with a number.
inline UniqueFd some_descriptor() {
    return std::move(*sys::eventfd(0, EFD_NONBLOCK));
}

inline void answer_descriptor(ScriptedCall& call) {
    call.answered.push_back(some_descriptor());
}

struct Rig {
    ScriptedServer server;
    Client client{server.address()};
    ProgramFile file;

    explicit Rig(int flags = O_RDWR) : file(open_file(client, flags)) {}
    /// Every ioctl is answered so.
    void answer(int error) {
        server.on(Op::Ioctl, [error](ScriptedCall& call) { call.reply.error = error; });
    }
};

}  // namespace v4lfence::remote::testing
