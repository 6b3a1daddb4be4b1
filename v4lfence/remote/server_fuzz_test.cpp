// SPDX-License-Identifier: MIT
//
// Programs that lie: the server answers or drops them, and goes on for the others.

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "v4lfence/base/socket.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/remote/testing/raw_program.hpp"
#include "v4lfence/uapi_fences.h"

namespace v4lfence::remote {
namespace {

using testing::RawFile;
using testing::RawProgram;
using testing::ServerRig;
using testing::Told;

constexpr std::array<std::uint32_t, 24> requests{VIDIOC_QUERYCAP,
                                                 VIDIOC_ENUM_FMT,
                                                 VIDIOC_G_FMT,
                                                 VIDIOC_S_FMT,
                                                 VIDIOC_REQBUFS,
                                                 VIDIOC_QUERYBUF,
                                                 VIDIOC_QBUF,
                                                 VIDIOC_DQBUF,
                                                 VIDIOC_STREAMON,
                                                 VIDIOC_STREAMOFF,
                                                 VIDIOC_PREPARE_BUF,
                                                 VIDIOC_CREATE_BUFS,
                                                 VIDIOC_G_EXT_CTRLS,
                                                 VIDIOC_S_EXT_CTRLS,
                                                 VIDIOC_TRY_EXT_CTRLS,
                                                 VIDIOC_QUERYMENU,
                                                 VIDIOC_EXPBUF,
                                                 VIDIOC_DQEVENT,
                                                 VIDIOC_SUBSCRIBE_EVENT,
                                                 VIDIOC_QUERY_FENCES,
                                                 VIDIOC_QUERY_EXT_CTRL,
                                                 VIDIOC_S_SELECTION,
                                                 VIDIOC_LOG_STATUS,
                                                 VIDIOC_S_PRIORITY};

constexpr std::array<std::uint32_t, 10> words{0,
                                              1,
                                              2,
                                              8,
                                              0x7FFFFFFF,
                                              0x80000000,
                                              0xFFFFFFFF,
                                              4096,
                                              V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE,
                                              v4lfence::testing::text_control};

/// Seeded: a failure comes again.
class Liar {
public:
    explicit Liar(unsigned seed) : random_(seed) {}

    std::uint64_t below(std::uint64_t end) { return random_() % end; }

    std::vector<std::byte> noise(std::size_t size) {
        std::vector<std::byte> made(size);
        for (std::size_t at = 0; at + sizeof(std::uint32_t) <= size; at += sizeof(std::uint32_t)) {
            const auto number = below(8);
            const std::uint32_t word =
                number < 5 ? words[below(words.size())]
                           : (number < 7 ? 0 : static_cast<std::uint32_t>(random_()));
            std::memcpy(made.data() + at, &word, sizeof word);
        }
        return made;
    }

    /// Likely to be a call: its size is right, and so is the type of its buffer.
    std::vector<std::byte> argument_of(std::uint32_t request) {
        std::vector<std::byte> made = noise(_IOC_SIZE(request));
        const bool buffer = request == VIDIOC_QBUF || request == VIDIOC_DQBUF ||
                            request == VIDIOC_QUERYBUF || request == VIDIOC_PREPARE_BUF;
        if (buffer) {
            auto& filled = *reinterpret_cast<v4l2_buffer*>(made.data());
            filled.type = static_cast<std::uint32_t>(
                below(4) == 0 ? V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE : V4L2_BUF_TYPE_VIDEO_CAPTURE);
            filled.index = static_cast<std::uint32_t>(below(4));
            filled.memory = static_cast<std::uint32_t>(1 + below(4));
        }
        return made;
    }

    std::mt19937_64 random_;
};

/// One message, right but for what is wrong with it.
void lie(Liar& liar, RawProgram& program, const std::vector<int>& descriptors) {
    Request request;
    request.op = static_cast<Op>(liar.below(8) != 0 ? std::uint64_t{4} : liar.below(20));
    request.request = liar.below(20) != 0 ? requests[liar.below(requests.size())]
                                          : static_cast<std::uint32_t>(liar.below(1ULL << 32));
    for (std::int64_t& number : request.numbers) {
        number = liar.below(2) != 0 ? static_cast<std::int64_t>(liar.below(6))
                                    : static_cast<std::int64_t>(liar.random_());
    }
    std::vector<std::byte> argument =
        liar.below(10) != 0 ? liar.argument_of(request.request) : liar.noise(liar.below(300));
    const bool controls = _IOC_NR(request.request) >= 71 && _IOC_NR(request.request) <= 73;
    const std::size_t count = liar.below(5);
    if (controls && argument.size() >= sizeof(v4l2_ext_controls) && liar.below(4) != 0) {
        reinterpret_cast<v4l2_ext_controls*>(argument.data())->count =
            static_cast<std::uint32_t>(count);
    }
    const std::size_t extra = liar.below(3) == 0 ? liar.below(64) : 8 * liar.below(5);
    const std::size_t payload_size = liar.below(2) == 0 ? count * 20 + extra : count * 64;
    const std::vector<std::byte> payload = liar.noise(liar.below(3) != 0 ? payload_size : 0);
    std::vector<int> passed;
    for (const bool here : {liar.below(20) != 0, liar.below(10) == 0, liar.below(10) == 0}) {
        if (here) {
            const bool file = passed.empty() && liar.below(10) != 0;
            passed.push_back(file ? descriptors[0] : descriptors[liar.below(descriptors.size())]);
        }
    }
    request.has_file = !passed.empty();
    request.has_in_fence = passed.size() > 1;
    request.memory_fds = passed.size() > 2 ? 1U << liar.below(8) : 0;
    if (liar.below(100) == 0) {
        request.memory_fds = 0xFF;
    }
    (void)send(program.fd(), request, argument, payload, passed, sys::Waiting::Yes);
}

TEST(ServerFuzz, survives_thousands_of_lies) {
    ServerRig rig;
    RawProgram honest(rig.address);
    RawFile file = RawFile::open(honest);
    const auto pipe = sys::pipe(O_NONBLOCK);
    ASSERT_TRUE(pipe);
    const std::vector<int> descriptors{file.fd.get(), pipe->read_end.get(), pipe->write_end.get(),
                                       honest.fd()};
    unsigned answers = 0;
    unsigned successes = 0;
    for (unsigned seed = 1; seed <= 40; ++seed) {
        Liar liar(seed);
        auto program = std::make_unique<RawProgram>(rig.address, 7);
        for (int message = 0; message < 150; ++message) {
            lie(liar, *program, descriptors);
            // Unmap has no answer; the next one is waited for by a call that has.
            Request last;
            last.op = Op::Closed;
            (void)program->say(last);
            Told heard = program->hear();
            for (int more = 0; more < 2 && heard.error != -ECONNRESET; ++more) {
                ++answers;
                successes += heard.error == 0 ? 1 : 0;
                if (sys::poll_now(program->fd(), POLLIN).value_or(0) == 0) {
                    break;
                }
                heard = program->hear();
            }
            if (heard.error == -ECONNRESET) {
                program = std::make_unique<RawProgram>(rig.address, 7);
            }
        }
        const std::lock_guard lock(rig.rig.device->ioctl_mutex());
        while (!rig.rig.fake.buffers.empty() && liar.below(2) != 0) {
            rig.rig.fake.finish_frame();
        }
    }
    EXPECT_GT(answers, 3000U);
    EXPECT_GT(successes, 1000U);

    v4l2_capability caps{};
    EXPECT_EQ(file(VIDIOC_QUERYCAP, caps), 0);
    EXPECT_TRUE(ServerRig::eventually([&] { return rig.server->counts().connections == 1; }));
    EXPECT_EQ(rig.server->counts().waits, 0U);
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    EXPECT_EQ(file(VIDIOC_STREAMOFF, type), 0);
    EXPECT_EQ(file.request_buffers(0), 0);
}

TEST(ServerFuzz, drops_noise) {
    ServerRig rig;
    const std::size_t before = v4lfence::testing::open_descriptors();
    for (unsigned seed = 1; seed <= 500; ++seed) {
        Liar liar(seed);
        RawProgram program(rig.address, 7, liar.below(2) == 0);
        std::vector<std::byte> noise = liar.noise(liar.below(400));
        const std::array<std::span<const std::byte>, 1> parts{noise};
        const std::array fds{program.fd()};
        (void)sys::send_message(program.fd(), parts, std::span(fds).first(liar.below(2)),
                                sys::Waiting::Yes);
    }
    EXPECT_TRUE(ServerRig::eventually([&] { return rig.server->counts().connections == 0; }));
    EXPECT_TRUE(
        ServerRig::eventually([&] { return v4lfence::testing::open_descriptors() == before; }));
}

}  // namespace
}  // namespace v4lfence::remote
