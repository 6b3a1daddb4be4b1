// SPDX-License-Identifier: MIT
//
// What a frame takes from the heap in the program: nothing.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/remote/testing/remote_rig.hpp"
#include "v4lfence/sync/testing/allocations.hpp"
#include "v4lfence/uapi_fences.h"

namespace v4lfence::remote {
namespace {

using testing::capture;
using testing::ProgramFile;
using v4lfence::testing::count_allocations;

/// Answers in a process of its own, whose allocations are not counted here.
class ScriptedProcess {
public:
    ScriptedProcess() {
        auto told = std::move(*sys::pipe(0));
        pid_ = ::fork();
        if (pid_ == 0) {
            testing::ScriptedServer server;
            server.on(Op::Ioctl, [](testing::ScriptedCall& call) {
                if (call.request.request == VIDIOC_QBUF) {
                    call.answered.push_back(std::move(*sys::dup(0)));
                }
            });
            server.on(Op::BeginWait, [](testing::ScriptedCall& call) {
                call.answered.push_back(std::move(*sys::dup(0)));
            });
            (void)sys::write(told.write_end.get(), std::as_bytes(std::span(server.address())));
            told.write_end.reset();
            while (true) {
                ::pause();
            }
        }
        told.write_end.reset();
        address.resize(100);
        address.resize(*sys::read(told.read_end.get(), std::as_writable_bytes(std::span(address))));
    }
    ~ScriptedProcess() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

    std::string address;

private:
    pid_t pid_ = 0;
};

/// QBUF with an out-fence, a wait, and DQBUF in it.
bool use_one_frame(const ProgramFile& file) {
    v4l2_buffer buffer = ProgramFile::buffer();
    buffer.flags = V4L2_BUF_FLAG_OUT_FENCE;
    const bool queued = file(VIDIOC_QBUF, buffer) == 0;
    const UniqueFd fence(v4l2_buffer_fence_fd(&buffer));
    constexpr Awaited awaited{Awaited::What::Buffer, capture};
    const auto plan = file.file->begin_wait(file.fd.get(), awaited);
    const bool taken = file.dequeue() == 0;
    return queued && fence && plan && taken && file.file->end_wait(awaited, *plan);
}

TEST(RemoteHeap, frame_takes_nothing) {
    const ScriptedProcess server;
    Client client(server.address);
    const ProgramFile file = testing::open_file(client);
    ASSERT_TRUE(use_one_frame(file));
    const std::uint64_t before = count_allocations();
    for (int frame = 0; frame < 20; ++frame) {
        ASSERT_TRUE(use_one_frame(file));
    }
    EXPECT_EQ(count_allocations(), before);
}

}  // namespace
}  // namespace v4lfence::remote
