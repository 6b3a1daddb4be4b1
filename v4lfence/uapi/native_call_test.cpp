// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include "v4lfence/uapi/native_call.hpp"

namespace v4lfence {
namespace {

constexpr std::uint32_t qbuf_time32 = 0xc044560f;
constexpr std::uint32_t qbuf_time64 = 0xc04c560f;

using Narrow = NativeCallOf<Layout::Narrow>;

// Pins: 7.6
TEST(NativeCall, fence_fd_goes_in_and_comes_out) {
    Buffer32Time32 program{};
    program.index = 3;
    program.reserved2 = 17;
    program.tv_sec = 100;
    Narrow call(qbuf_time32, &program);
    EXPECT_EQ(call.request(), qbuf_time64);
    auto* const native = static_cast<Buffer32*>(call.argument());
    EXPECT_EQ(+native->index, 3U);
    EXPECT_EQ(+native->reserved2, 17U);
    EXPECT_EQ(+native->tv_sec, 100);
    native->reserved2 = 18;
    native->tv_sec = 101;
    EXPECT_EQ(+program.reserved2, 17U) << "it is the program's until the call has succeeded";
    call.give_back();
    EXPECT_EQ(+program.reserved2, 18U);
    EXPECT_EQ(+program.tv_sec, 101);
}

TEST(NativeCall, event_comes_out) {
    Event32Time32 program{};
    Narrow call(0x80785659, &program);
    EXPECT_EQ(call.request(), 0x80805659U);
    static_cast<Event32*>(call.argument())->id = 5;
    call.give_back();
    EXPECT_EQ(+program.id, 5U);
}

TEST(NativeCall, others_are_the_programs_own) {
    Buffer32 program{};
    program.index = 4;
    Narrow call(qbuf_time64, &program);
    EXPECT_EQ(call.request(), qbuf_time64);
    EXPECT_EQ(call.argument(), &program);
    call.give_back();
    EXPECT_EQ(+program.index, 4U);
}

TEST(NativeCall, no_pointer_stays_none) {
    Narrow call(qbuf_time32, nullptr);
    EXPECT_EQ(call.request(), qbuf_time64);
    EXPECT_EQ(call.argument(), nullptr);
    call.give_back();
}

TEST(NativeCall, none_of_a_64_bit_program_changes) {
    v4l2_buffer program{};
    NativeCallOf<Layout::Wide> call(qbuf_time32, &program);
    EXPECT_EQ(call.request(), qbuf_time32);
    EXPECT_EQ(call.argument(), &program);
}

}  // namespace
}  // namespace v4lfence
