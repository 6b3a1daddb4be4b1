// SPDX-License-Identifier: MIT
//
// The server's streams: buffers, fences and waits.

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>
#include <thread>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/board_view.hpp"
#include "v4lfence/remote/testing/raw_program.hpp"
#include "v4lfence/uapi_fences.h"

namespace v4lfence::remote {
namespace {

using testing::flags_of;
using testing::for_buffer;
using testing::for_event;
using testing::mmap_buffer;
using testing::outcome;
using testing::RawFile;
using testing::RawProgram;
using testing::ServerRig;
using testing::Streaming;
using testing::wait_for;
using v4lfence::testing::FakeDevice;

// --- frames --------------------------------------------------------------------------------------

TEST(ServerStream, runs_from_request_to_dequeue) {
    Streaming rig;
    rig.file.stream(2);
    EXPECT_EQ(rig.file.dequeue(), -EAGAIN);
    EXPECT_EQ(rig.file.poll(POLLIN), 0);
    rig.server.finish_frame();
    EXPECT_EQ(rig.file.poll(POLLIN), POLLIN);
    EXPECT_EQ(rig.file.dequeue(), 0);
    EXPECT_EQ(rig.file.poll(POLLIN), 0) << "taken back by the descriptor of the call";
    EXPECT_EQ(rig.file.queue(0), 0);
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    rig.server.finish_frame();
    EXPECT_EQ(rig.file(VIDIOC_STREAMOFF, type), 0);
    EXPECT_EQ(rig.file.poll(POLLIN), 0);
    EXPECT_EQ(rig.file.dequeue(), -EINVAL);
}

TEST(ServerStream, counts_what_might_change_an_answer) {
    Streaming rig;
    rig.file.stream(2);
    EXPECT_EQ(rig.file.dequeue(), -EAGAIN);
    const std::uint64_t seen = rig.file.changes();
    EXPECT_EQ(rig.file.told[0], static_cast<std::int64_t>(seen));
    EXPECT_EQ(rig.file.dequeue(), -EAGAIN);
    EXPECT_EQ(rig.file.changes(), seen) << "asking changes nothing";
    rig.server.finish_frame();
    EXPECT_GT(rig.file.changes(), seen);

    v4l2_event_subscription wanted{};
    wanted.type = V4L2_EVENT_CTRL;
    wanted.id = V4L2_CID_BRIGHTNESS;
    v4l2_event event{};
    ASSERT_EQ(rig.file(VIDIOC_SUBSCRIBE_EVENT, wanted), 0);
    EXPECT_EQ(rig.file(VIDIOC_DQEVENT, event), -ENOENT);
    const std::uint64_t before = rig.file.changes();
    RawFile other = RawFile::open(rig.program);
    v4l2_control control{V4L2_CID_BRIGHTNESS, 7};
    ASSERT_EQ(other(VIDIOC_S_CTRL, control), 0);
    EXPECT_GT(rig.file.changes(), before);
    EXPECT_EQ(rig.file.poll(POLLPRI), POLLPRI);
    EXPECT_EQ(rig.file(VIDIOC_DQEVENT, event), 0);
    EXPECT_EQ(event.u.ctrl.value, 7);
    EXPECT_EQ(rig.file.poll(POLLPRI), 0);
}

TEST(ServerStream, serves_calls_of_one_file_by_many_threads) {
    Streaming rig;
    rig.file.stream(8);
    std::atomic<unsigned> taken{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            RawProgram connection(rig.server.address);
            RawFile same{connection, sys::dup(rig.file.fd.get()).value(), MappedMemory()};
            while (taken.load() < 400) {
                const int index = same.dequeue();
                if (index >= 0) {
                    ++taken;
                    EXPECT_EQ(same.queue(static_cast<unsigned>(index)), 0);
                }
            }
        });
    }
    while (taken.load() < 400) {
        const std::lock_guard lock(rig.server.rig.device->ioctl_mutex());
        if (!rig.server.rig.fake.buffers.empty()) {
            rig.server.rig.fake.finish_frame();
        }
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    while (rig.file.dequeue() >= 0) {}
    EXPECT_EQ(rig.file.poll(POLLIN), 0) << "every byte was taken back by somebody's descriptor";
}

TEST(ServerStream, carries_controls_with_their_values) {
    Streaming rig;
    std::array<char, v4lfence::testing::text_max + 1> text{"text"};
    std::array<std::uint8_t, v4lfence::testing::array_elements> bytes{1, 2, 3, 4, 5, 6};
    std::array<v4l2_ext_control, 3> array{};
    array[0].id = v4lfence::testing::text_control;
    array[0].size = text.size();
    array[0].string = text.data();
    array[1].id = V4L2_CID_BRIGHTNESS;
    array[1].value = 3;
    array[2].id = v4lfence::testing::array_control;
    array[2].size = bytes.size();
    array[2].p_u8 = bytes.data();
    v4l2_ext_controls head{};
    head.count = array.size();
    head.controls = array.data();
    ASSERT_EQ(rig.file(VIDIOC_S_EXT_CTRLS, head), 0);
    text.fill('x');
    bytes.fill(0);
    array[1].value = 0;
    ASSERT_EQ(rig.file(VIDIOC_G_EXT_CTRLS, head), 0);
    EXPECT_STREQ(text.data(), "text");
    EXPECT_EQ(bytes[5], 6);
    EXPECT_EQ(array[1].value, 3);
    const char* const kept = array[0].string;  // Of a packed struct: no reference to it.
    EXPECT_EQ(kept, text.data());
    EXPECT_EQ(head.controls, array.data());
    array[2].id = 0x12345;
    EXPECT_EQ(rig.file(VIDIOC_G_EXT_CTRLS, head), -EINVAL);
    EXPECT_NE(head.error_idx, 0U) << "an error's answer comes back too";
}

TEST(ServerStream, carries_planes) {
    ServerRig server(std::make_unique<FakeDevice>(V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE));
    RawProgram program(server.address);
    RawFile file = RawFile::open(program);
    v4l2_requestbuffers request{};
    request.type = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
    request.memory = V4L2_MEMORY_MMAP;
    request.count = 1;
    ASSERT_EQ(file(VIDIOC_REQBUFS, request), 0);
    std::array<v4l2_plane, 2> planes{};
    v4l2_buffer buffer{};
    buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
    buffer.memory = V4L2_MEMORY_MMAP;
    buffer.m.planes = planes.data();
    buffer.length = planes.size();
    ASSERT_EQ(file(VIDIOC_QUERYBUF, buffer), 0);
    EXPECT_EQ(buffer.m.planes, planes.data());
    EXPECT_NE(planes[1].m.mem_offset, planes[0].m.mem_offset);
    EXPECT_GT(planes[1].length, 0U);
    buffer.length = 1;
    EXPECT_EQ(file(VIDIOC_QBUF, buffer), -EINVAL);
}

// --- fences --------------------------------------------------------------------------------------

TEST(ServerFences, go_out_and_end_with_the_frame) {
    Streaming rig;
    rig.file.stream(1);
    ASSERT_EQ(rig.file.request_buffers(1), -EBUSY);
    rig.server.finish_frame();
    ASSERT_EQ(rig.file.dequeue(), 0);
    v4l2_buffer buffer = mmap_buffer(0);
    buffer.flags = V4L2_BUF_FLAG_OUT_FENCE;
    ASSERT_EQ(rig.file(VIDIOC_QBUF, buffer), 0);
    const UniqueFd fence(v4l2_buffer_fence_fd(&buffer));
    ASSERT_TRUE(fence);
    EXPECT_EQ(rig.file.told[1], 1) << "fenced";
    EXPECT_EQ(outcome(fence.get()), 1);
    rig.server.finish_frame();
    EXPECT_EQ(outcome(fence.get()), 0);
}

TEST(ServerFences, board_says_in_which_program_the_file_is) {
    Streaming rig;
    ASSERT_EQ(rig.file.request_buffers(1), 0);
    v4l2_buffer buffer = mmap_buffer(0);
    buffer.flags = V4L2_BUF_FLAG_OUT_FENCE;
    ASSERT_EQ(rig.file(VIDIOC_QBUF, buffer), 0);
    const UniqueFd fence(v4l2_buffer_fence_fd(&buffer));
    const auto board_stays = rig.server.rig.core.use_loop();
    const v4lfence::testing::BoardView view(*rig.server.rig.core.board());
    EXPECT_EQ(view.name(0), std::string(testing::device_name) + " capture");
    const auto head = view.head<QueueHead>(0);
    EXPECT_EQ(head.client_pid, ::getpid());
    EXPECT_EQ(head.fd, -1) << "a number of that program's";
    const auto cell = view.cell<QueueCell>(0, 0);
    EXPECT_GE(cell.out_end_fd, 0);
    EXPECT_EQ(cell.out_fence_fd, -1);
}

TEST(ServerFences, come_in_and_hold_the_buffer) {
    Streaming rig;
    ASSERT_EQ(rig.file.request_buffers(1), 0);
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    auto context = rig.server.rig.core.provider("user").value()->open_context().value();
    auto minted = context->mint(0).value();
    v4l2_buffer buffer = mmap_buffer(0);
    buffer.flags = V4L2_BUF_FLAG_IN_FENCE;
    v4l2_buffer_fence_fd(&buffer) = minted.fd.get();
    ASSERT_EQ(rig.file.call(VIDIOC_QBUF, &buffer, minted.fd.get()), 0);
    ASSERT_EQ(rig.file(VIDIOC_STREAMON, type), 0);
    EXPECT_TRUE(flags_of(rig.file, 0) & V4L2_BUF_FLAG_IN_FENCE);
    std::move(minted.promise).end(0);
    EXPECT_TRUE(ServerRig::eventually(
        [&] { return (flags_of(rig.file, 0) & V4L2_BUF_FLAG_IN_FENCE) == 0; }));
    buffer = mmap_buffer(0);
    buffer.flags = V4L2_BUF_FLAG_IN_FENCE;
    EXPECT_LT(rig.file(VIDIOC_QBUF, buffer), 0) << "none came";
}

// Pins: 5.4, 5.5
TEST(ServerFences, fail_when_the_program_is_gone) {
    Streaming rig;
    UniqueFd fence;
    {
        RawFile short_lived = RawFile::open(rig.program);
        ASSERT_EQ(short_lived.request_buffers(1), 0);
        v4l2_buffer buffer = mmap_buffer(0);
        buffer.flags = V4L2_BUF_FLAG_OUT_FENCE;
        ASSERT_EQ(short_lived(VIDIOC_QBUF, buffer), 0);
        fence.reset(v4l2_buffer_fence_fd(&buffer));
    }
    EXPECT_NE(wait_for(fence.get(), POLLIN), 0);
    EXPECT_LT(outcome(fence.get()), 0);
}

// --- waits ---------------------------------------------------------------------------------------

TEST(ServerWaits, are_woken_by_a_frame) {
    Streaming rig;
    rig.file.stream(2);
    RawProgram waiter(rig.server.address);
    auto begun = rig.file.ask(Op::BeginWait, {for_buffer, V4L2_BUF_TYPE_VIDEO_CAPTURE}, &waiter);
    ASSERT_EQ(begun.error, 0);
    ASSERT_EQ(begun.descriptors.size(), 1U);
    const int bell = begun.descriptors[0].get();
    EXPECT_EQ(sys::poll_now(bell, POLLIN).value(), 0);
    EXPECT_EQ(rig.file.dequeue(), -EBUSY) << "by another thread";
    EXPECT_EQ(rig.file.dequeue(&waiter), -EAGAIN);
    rig.server.finish_frame();
    EXPECT_NE(wait_for(bell, POLLIN), 0);
    EXPECT_EQ(rig.file.poll(POLLIN), 0) << "it is the waiter's";
    EXPECT_EQ(rig.file.dequeue(&waiter), 0);
    Request end;
    end.op = Op::EndWait;
    EXPECT_EQ(waiter.ask(end).error, 0);
    EXPECT_EQ(waiter.ask(end).error, -EINVAL);
    EXPECT_EQ(rig.file.dequeue(), -EAGAIN);
}

TEST(ServerWaits, are_one_a_connection_and_one_a_queue) {
    Streaming rig;
    EXPECT_EQ(rig.file.ask(Op::BeginWait, {for_buffer}).error, -EINVAL) << "no stream";
    rig.file.stream(1);
    RawProgram other(rig.server.address);
    EXPECT_EQ(rig.file.ask(Op::BeginWait, {for_buffer}).error, 0);
    EXPECT_EQ(rig.file.ask(Op::BeginWait, {for_event}).error, -EINVAL);
    EXPECT_EQ(rig.file.ask(Op::BeginWait, {for_buffer}, &other).error, -EBUSY);
    RawFile stranger = RawFile::open(other);
    EXPECT_EQ(stranger.ask(Op::BeginWait, {for_buffer}).error, -EBUSY) << "not its queue";
    EXPECT_EQ(rig.server.server->counts().waits, 1U);
}

TEST(ServerWaits, end_with_their_connection) {
    Streaming rig;
    rig.file.stream(1);
    {
        RawProgram killed(rig.server.address);
        ASSERT_EQ(rig.file.ask(Op::BeginWait, {for_buffer}, &killed).error, 0);
        EXPECT_EQ(rig.file.dequeue(), -EBUSY);
        rig.server.finish_frame();
    }
    EXPECT_TRUE(ServerRig::eventually([&] { return rig.server.server->counts().waits == 0; }));
    EXPECT_EQ(rig.file.poll(POLLIN), POLLIN) << "what came for it is everybody's";
    EXPECT_EQ(rig.file.dequeue(), 0);
}

// Pins: 7.1
TEST(ServerWaits, that_end_with_their_connection_wake_who_still_looks) {
    Streaming rig;
    rig.file.stream(1);
    for (const std::int64_t what : {for_buffer, for_event}) {
        RawProgram closing(rig.server.address);
        auto begun = rig.file.ask(Op::BeginWait, {what}, &closing);
        ASSERT_EQ(begun.descriptors.size(), 1U);
        const int bell = begun.descriptors[0].get();
        EXPECT_EQ(sys::poll_now(bell, POLLIN).value(), 0);
        closing.hang_up();
        EXPECT_NE(wait_for(bell, POLLIN), 0);
        EXPECT_TRUE(ServerRig::eventually([&] { return rig.server.server->counts().waits == 0; }));
        // The next one does not hear of it.
        ASSERT_EQ(rig.file.ask(Op::BeginWait, {what}).error, 0);
        EXPECT_EQ(sys::poll_now(bell, POLLIN).value(), 0);
        Request end;
        end.op = Op::EndWait;
        EXPECT_EQ(rig.program.ask(end).error, 0);
    }
}

TEST(ServerWaits, send_their_descriptor_where_the_program_lacks_it) {
    Streaming rig;
    rig.file.stream(1);
    const auto sent = [&](RawFile& file, std::int64_t what, std::int64_t has, std::int64_t number) {
        const auto begun = file.ask(Op::BeginWait, {what, 0, has, number}, &rig.program);
        EXPECT_EQ(begun.error, 0);
        Request end;
        end.op = Op::EndWait;
        EXPECT_EQ(rig.program.ask(end).error, 0);
        return begun.descriptors.size();
    };
    const auto generation = [&] {
        const auto begun = rig.file.ask(Op::BeginWait, {for_buffer});
        Request end;
        end.op = Op::EndWait;
        EXPECT_EQ(rig.program.ask(end).error, 0);
        return begun.numbers[0];
    };
    EXPECT_EQ(sent(rig.file, for_event, 1, 0), 1U) << "it says so, but was sent none";
    EXPECT_EQ(sent(rig.file, for_event, 1, 0), 0U);
    const std::int64_t first = generation();
    EXPECT_EQ(sent(rig.file, for_buffer, 1, first), 0U);
    EXPECT_EQ(sent(rig.file, for_buffer, 1, first + 1), 1U) << "another generation's";
    EXPECT_EQ(sent(rig.file, for_buffer, 0, first), 1U);
    EXPECT_EQ(sent(rig.file, for_event, 1, 0), 1U) << "the latest was another";
    RawFile other = RawFile::open(rig.program);
    EXPECT_EQ(sent(other, for_event, 1, 0), 1U) << "another file's";
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    ASSERT_EQ(rig.file(VIDIOC_STREAMOFF, type), 0);
    ASSERT_EQ(rig.file(VIDIOC_STREAMON, type), 0);
    const std::int64_t second = generation();
    EXPECT_NE(second, first);
    EXPECT_EQ(sent(rig.file, for_buffer, 1, first), 1U);
    EXPECT_EQ(sent(rig.file, for_buffer, 1, second), 0U);
}

TEST(ServerWaits, end_with_the_stream_and_with_the_file) {
    Streaming rig;
    rig.file.stream(1);
    RawProgram waiter(rig.server.address);
    auto begun = rig.file.ask(Op::BeginWait, {for_buffer}, &waiter);
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    ASSERT_EQ(rig.file(VIDIOC_STREAMOFF, type), 0);
    EXPECT_NE(wait_for(begun.descriptors.at(0).get(), POLLIN), 0);
    Request end;
    end.op = Op::EndWait;
    EXPECT_EQ(waiter.ask(end).error, -EINVAL);

    begun = rig.file.ask(Op::BeginWait, {for_event}, &waiter);
    ASSERT_EQ(begun.error, 0);
    rig.file.fd.reset();
    rig.program.closed();
    EXPECT_NE(wait_for(begun.descriptors.at(0).get(), POLLIN), 0);
    EXPECT_EQ(waiter.ask(end).error, 0) << "the next call says what is wrong";
    EXPECT_EQ(rig.server.server->counts().waits, 0U);
}

TEST(ServerWaits, for_an_event) {
    Streaming rig;
    v4l2_event_subscription wanted{};
    wanted.type = V4L2_EVENT_EOS;
    ASSERT_EQ(rig.file(VIDIOC_SUBSCRIBE_EVENT, wanted), 0);
    const auto begun = rig.file.ask(Op::BeginWait, {for_event});
    ASSERT_EQ(begun.error, 0);
    const int bell = begun.descriptors.at(0).get();
    EXPECT_EQ(sys::poll_now(bell, POLLIN).value(), 0);
    v4l2_event event{};
    event.type = V4L2_EVENT_EOS;
    rig.server.rig.device->send_event(event);
    EXPECT_NE(wait_for(bell, POLLIN), 0);
    EXPECT_EQ(rig.file(VIDIOC_DQEVENT, event), 0);
}

}  // namespace
}  // namespace v4lfence::remote
