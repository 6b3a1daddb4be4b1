// SPDX-License-Identifier: MIT
//
// The server's streams: buffers, fences, waits, and the memory of programs.

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>

#include <array>
#include <cstring>
#include <thread>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/fence.hpp"
#include "v4lfence/remote/testing/raw_program.hpp"
#include "v4lfence/uapi/file.hpp"
#include "v4lfence/uapi_fences.h"

namespace v4lfence::remote {
namespace {

using testing::mmap_buffer;
using testing::RawFile;
using testing::RawProgram;
using testing::ServerRig;
using testing::wait_for;
using v4lfence::testing::FakeDevice;

constexpr std::int64_t for_buffer = static_cast<std::int64_t>(Awaited::What::Buffer);
constexpr std::int64_t for_event = static_cast<std::int64_t>(Awaited::What::Event);

struct Streaming {
    ServerRig server;
    RawProgram program{server.address};
    RawFile file = RawFile::open(program);
};

std::uint32_t flags_of(RawFile& file, unsigned index) {
    v4l2_buffer buffer = mmap_buffer(index);
    EXPECT_EQ(file(VIDIOC_QUERYBUF, buffer), 0);
    return buffer.flags;
}

int outcome(int fd) {
    const auto seen = Fence::import(fd, DmaBufAccess::Write);
    return !seen ? seen.error().code : seen->status.ended() ? seen->status.error : 1;
}

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
    EXPECT_EQ(array[0].string, text.data());
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

// --- memory --------------------------------------------------------------------------------------

TEST(ServerMemory, is_mapped_and_counted) {
    Streaming rig;
    ASSERT_EQ(rig.file.request_buffers(2), 0);
    v4l2_buffer buffer = mmap_buffer(1);
    ASSERT_EQ(rig.file(VIDIOC_QUERYBUF, buffer), 0);
    const std::int64_t offset = buffer.m.offset;
    RawProgram other(rig.server.address);
    auto mapped = rig.file.ask(Op::Map, {4096, PROT_READ, MAP_SHARED, offset}, &other);
    ASSERT_EQ(mapped.error, 0);
    ASSERT_EQ(mapped.descriptors.size(), 1U);
    EXPECT_TRUE(MappedMemory::create(mapped.descriptors[0].get(), 4096, MemoryUse::ReadOnly));
    EXPECT_TRUE(flags_of(rig.file, 1) & V4L2_BUF_FLAG_MAPPED);
    EXPECT_FALSE(flags_of(rig.file, 0) & V4L2_BUF_FLAG_MAPPED);

    RawProgram foreign(rig.server.address, 2);
    Request unmap;
    unmap.op = Op::Unmap;
    unmap.numbers[0] = mapped.numbers[1];
    EXPECT_TRUE(foreign.say(unmap));
    foreign.closed();
    EXPECT_TRUE(flags_of(rig.file, 1) & V4L2_BUF_FLAG_MAPPED) << "not its mapping";
    EXPECT_TRUE(rig.program.say(unmap)) << "by any connection of the program";
    EXPECT_FALSE(flags_of(rig.file, 1) & V4L2_BUF_FLAG_MAPPED);

    ASSERT_EQ(rig.file.ask(Op::Map, {4096, PROT_READ, MAP_SHARED, offset}, &other).error, 0);
    other.hang_up();
    EXPECT_TRUE(
        ServerRig::eventually([&] { return (flags_of(rig.file, 1) & V4L2_BUF_FLAG_MAPPED) == 0; }));
}

TEST(ServerMemory, is_mapped_as_mmap_would) {
    Streaming rig;
    ASSERT_EQ(rig.file.request_buffers(1), 0);
    const auto map = [&](std::int64_t length, int protection, int flags, std::int64_t offset) {
        return rig.file.ask(Op::Map, {length, protection, flags, offset}).error;
    };
    EXPECT_EQ(map(4096, PROT_READ, MAP_PRIVATE, 0), -EINVAL);
    EXPECT_EQ(map(4096, PROT_WRITE, MAP_SHARED, 0), -EINVAL);
    EXPECT_EQ(map(4097, PROT_READ, MAP_SHARED, 0), -EINVAL);
    EXPECT_EQ(map(-1, PROT_READ, MAP_SHARED, 0), -EINVAL);
    EXPECT_EQ(map(4096, PROT_READ, MAP_SHARED, -4096), -EINVAL);
    EXPECT_EQ(map(4096, PROT_READ, MAP_SHARED, 12), -EINVAL);
    EXPECT_EQ(map(4096, PROT_READ, MAP_SHARED, std::int64_t{1} << 40), -EINVAL);
}

v4l2_buffer userptr_buffer(const void* memory, std::uint32_t length) {
    v4l2_buffer buffer = mmap_buffer(0);
    buffer.memory = V4L2_MEMORY_USERPTR;
    buffer.m.userptr = reinterpret_cast<unsigned long>(memory);
    buffer.length = length;
    return buffer;
}

/// The device writes `value` all over the buffer it has had longest, and finishes it.
void write_frame(ServerRig& server, std::byte value) {
    const std::lock_guard lock(server.rig.device->ioctl_mutex());
    std::vector<ActiveBuffer>& buffers = server.rig.fake.buffers;
    ASSERT_FALSE(buffers.empty());
    ActiveBuffer buffer = std::move(buffers.front());
    buffers.erase(buffers.begin());
    ASSERT_TRUE(buffer.begin_access());
    const std::span<std::byte> bytes = buffer.plane(0);
    std::memset(bytes.data(), static_cast<int>(value), bytes.size());
    FinishedBuffer finished;
    finished.bytes_used[0] = 4096;
    std::move(buffer).done(finished);
}

TEST(ServerMemory, of_the_program_is_written_before_the_frame_is_there) {
    Streaming rig;
    ASSERT_EQ(rig.file.request_buffers(1, V4L2_MEMORY_USERPTR), 0);
    std::vector<std::byte> memory(8192, std::byte{1});
    v4l2_buffer buffer = userptr_buffer(memory.data(), 8192);
    ASSERT_EQ(rig.file(VIDIOC_QBUF, buffer), 0);
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    ASSERT_EQ(rig.file(VIDIOC_STREAMON, type), 0);
    EXPECT_EQ(memory[0], std::byte{1});
    write_frame(rig.server, std::byte{9});
    buffer = userptr_buffer(nullptr, 0);
    ASSERT_EQ(rig.file(VIDIOC_DQBUF, buffer), 0);
    EXPECT_EQ(buffer.m.userptr, reinterpret_cast<unsigned long>(memory.data()));
    EXPECT_EQ(buffer.length, 8192U);
    EXPECT_FALSE(buffer.flags & V4L2_BUF_FLAG_ERROR);
    EXPECT_EQ(memory[0], std::byte{9});
    EXPECT_EQ(memory[4095], std::byte{9});
    EXPECT_EQ(memory[4096], std::byte{1}) << "a device writes as much as its format has";
}

TEST(ServerMemory, that_the_program_has_unmapped_is_an_error_of_the_frame) {
    Streaming rig;
    ASSERT_EQ(rig.file.request_buffers(1, V4L2_MEMORY_USERPTR), 0);
    void* const memory =
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    v4l2_buffer buffer = userptr_buffer(memory, 4096);
    buffer.flags = V4L2_BUF_FLAG_OUT_FENCE;
    ASSERT_EQ(rig.file(VIDIOC_QBUF, buffer), 0);
    const UniqueFd fence(v4l2_buffer_fence_fd(&buffer));
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    ASSERT_EQ(rig.file(VIDIOC_STREAMON, type), 0);
    ::munmap(memory, 4096);
    write_frame(rig.server, std::byte{9});
    EXPECT_LT(outcome(fence.get()), 0);
    buffer = userptr_buffer(nullptr, 0);
    ASSERT_EQ(rig.file(VIDIOC_DQBUF, buffer), 0);
    EXPECT_TRUE(buffer.flags & V4L2_BUF_FLAG_ERROR);
    buffer = userptr_buffer(memory, 4096);
    EXPECT_EQ(rig.file(VIDIOC_QBUF, buffer), 0) << "it is what the buffer has";
    RawProgram other(rig.server.address, 2);
    EXPECT_EQ(rig.file(VIDIOC_STREAMOFF, type), 0);
    EXPECT_EQ(rig.file.call(VIDIOC_QBUF, &buffer, -1, -1, &other), -EFAULT) << "another program's";
}

TEST(ServerMemory, that_cannot_be_reached_is_no_userptr) {
    Streaming rig;
    ASSERT_EQ(rig.file.request_buffers(1, V4L2_MEMORY_USERPTR), 0);
    RawProgram closed(rig.server.address, 3, true);
    ASSERT_EQ(closed.hello(protocol_version, 3, false).error, 0);
    std::vector<std::byte> memory(4096);
    v4l2_buffer buffer = userptr_buffer(memory.data(), 4096);
    EXPECT_EQ(rig.file.call(VIDIOC_QBUF, &buffer, -1, -1, &closed), -EFAULT)
        << "and not the server's own";
}

TEST(ServerMemory, is_read_to) {
    auto fake = std::make_unique<FakeDevice>();
    fake->traits.readable = true;
    ServerRig server(std::move(fake));
    RawProgram program(server.address);
    RawFile file = RawFile::open(program);
    std::vector<std::byte> memory(5000, std::byte{1});
    const auto address = reinterpret_cast<std::int64_t>(memory.data());
    EXPECT_EQ(file.ask(Op::Read, {address, 5000}).error, -EAGAIN) << "the stream starts";
    write_frame(server, std::byte{7});
    EXPECT_EQ(file.ask(Op::Read, {8, 5000}).error, -EFAULT);
    const auto read = file.ask(Op::Read, {address, 5000});
    ASSERT_EQ(read.error, 0);
    EXPECT_GT(read.numbers[0], 0);
    EXPECT_EQ(memory[0], std::byte{7});
    EXPECT_EQ(memory[4999], std::byte{1});
}

}  // namespace
}  // namespace v4lfence::remote
