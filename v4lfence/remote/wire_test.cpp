// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstring>
#include <string_view>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/remote/wire.hpp"

namespace v4lfence::remote {
namespace {

struct Ends {
    Ends() {
        std::array<int, 2> ends{};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
        program.reset(ends[0]);
        server.reset(ends[1]);
    }
    UniqueFd program;
    UniqueFd server;
};

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

std::string_view text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A program and a server may be of different versions of the library.
TEST(Wire, numbers_of_calls_stay) {
    EXPECT_EQ(protocol_version, 2U);
    EXPECT_EQ(static_cast<unsigned>(Op::Hello), 1U);
    EXPECT_EQ(static_cast<unsigned>(Op::SetRfcCaps), 12U);
    EXPECT_EQ(static_cast<unsigned>(Op::LastExpiry), 13U);
    EXPECT_EQ(static_cast<unsigned>(Op::Closed), 14U);
    EXPECT_EQ(static_cast<unsigned>(Op::SetFenceNames), 16U);
}

TEST(Wire, carries_all_of_a_request) {
    Ends ends;
    const auto pipe = sys::pipe(0);
    ASSERT_TRUE(pipe);
    Request request;
    request.op = Op::Ioctl;
    request.numbers = {1, -2, 3, -4};
    request.has_file = request.has_in_fence = 1;
    request.memory_fds = 1U << 5;
    const std::array fds{pipe->read_end.get(), pipe->write_end.get(), ends.program.get()};
    ASSERT_TRUE(send(ends.program.get(), request, bytes_of("argument"), bytes_of("payload"), fds,
                     sys::Waiting::Yes));
    Incoming<Request> incoming;
    ASSERT_TRUE(incoming.receive(ends.server.get(), sys::Waiting::No));
    EXPECT_EQ(incoming.head().numbers[3], -4);
    EXPECT_EQ(text_of(incoming.argument()), "argument");
    EXPECT_EQ(text_of(incoming.payload()), "payload");
    const auto taken = take_descriptors(incoming);
    ASSERT_TRUE(taken);
    EXPECT_TRUE(taken->file);
    EXPECT_TRUE(taken->in_fence);
    EXPECT_TRUE(taken->memory[5]);
    EXPECT_FALSE(taken->memory[0]);
    EXPECT_EQ(incoming.receive(ends.server.get(), sys::Waiting::No).error().code, -EAGAIN);
    ends.program.reset();
    EXPECT_EQ(incoming.receive(ends.server.get(), sys::Waiting::No).error().code, -EAGAIN)
        << "a copy of that end is still open";
}

TEST(Wire, ends_with_the_other_end) {
    Ends ends;
    ends.program.reset();
    Incoming<Request> incoming;
    EXPECT_EQ(incoming.receive(ends.server.get(), sys::Waiting::Yes).error().code, -ECONNRESET);
    EXPECT_EQ(send(ends.server.get(), Reply(), {}, {}, {}, sys::Waiting::Yes).error().code, -EPIPE)
        << "and no signal";
}

TEST(Wire, refuses_what_is_no_message) {
    Ends ends;
    Incoming<Request> incoming;
    Request request;
    const auto whole = std::as_bytes(std::span(&request, 1));
    ASSERT_TRUE(sys::send(ends.program.get(), whole.first(20)));
    EXPECT_EQ(incoming.receive(ends.server.get(), sys::Waiting::Yes).error().code, -EPROTO);
    request.argument_size = 0xFFFFFFFF;
    request.payload_size = 1;
    ASSERT_TRUE(sys::send(ends.program.get(), whole));
    EXPECT_EQ(incoming.receive(ends.server.get(), sys::Waiting::Yes).error().code, -EPROTO)
        << "the sum of both fits 32 bits";
    const std::vector<std::byte> long_one(message_max + 1);
    ASSERT_TRUE(sys::send(ends.program.get(), long_one));
    EXPECT_EQ(incoming.receive(ends.server.get(), sys::Waiting::Yes).error().code, -EPROTO);
    EXPECT_EQ(send(ends.program.get(), Request(), long_one, {}, {}, sys::Waiting::Yes).error().code,
              -ENOMEM);
}

TEST(Wire, closes_what_nobody_takes) {
    Ends ends;
    Incoming<Request> incoming;
    const std::size_t before = v4lfence::testing::open_descriptors();
    const std::array fds{ends.program.get(), ends.program.get()};
    Request request;
    request.has_file = 1;
    ASSERT_TRUE(send(ends.program.get(), request, {}, {}, fds, sys::Waiting::Yes));
    ASSERT_TRUE(incoming.receive(ends.server.get(), sys::Waiting::Yes));
    EXPECT_EQ(take_descriptors(incoming).error().code, -EPROTO) << "two, and it says one";
    incoming.close_descriptors();
    EXPECT_EQ(v4lfence::testing::open_descriptors(), before);
}

TEST(Wire, without_room_for_a_descriptor_says_so_and_goes_on) {
    Ends ends;
    Incoming<Request> incoming;
    const std::size_t before = v4lfence::testing::open_descriptors();
    const std::array fds{ends.program.get()};
    ASSERT_TRUE(send(ends.program.get(), Request(), {}, {}, fds, sys::Waiting::Yes));
    ASSERT_TRUE(send(ends.program.get(), Request(), {}, {}, {}, sys::Waiting::Yes));
    {
        const v4lfence::testing::DescriptorLimit limit(1);
        EXPECT_EQ(incoming.receive(ends.server.get(), sys::Waiting::Yes).error().code, -EMFILE);
    }
    EXPECT_TRUE(incoming.receive(ends.server.get(), sys::Waiting::Yes));
    EXPECT_EQ(v4lfence::testing::open_descriptors(), before);
}

}  // namespace
}  // namespace v4lfence::remote
