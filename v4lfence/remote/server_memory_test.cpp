// SPDX-License-Identifier: MIT
//
// The server's buffers in programs, and the programs' memory in the server.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/remote/testing/raw_program.hpp"
#include "v4lfence/uapi_fences.h"

namespace v4lfence::remote {
namespace {

using testing::flags_of;
using testing::for_buffer;
using testing::mmap_buffer;
using testing::outcome;
using testing::RawFile;
using testing::RawProgram;
using testing::ServerRig;
using testing::Streaming;
using testing::wait_for;
using v4lfence::testing::FakeDevice;

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

// Pins: 7.1
TEST(ServerMemory, is_read_to_by_the_one_that_waits) {
    auto fake = std::make_unique<FakeDevice>();
    fake->traits.readable = true;
    ServerRig server(std::move(fake));
    RawProgram program(server.address);
    RawProgram other(server.address);
    RawFile file = RawFile::open(program);
    std::vector<std::byte> memory(5000, std::byte{1});
    const auto address = reinterpret_cast<std::int64_t>(memory.data());
    ASSERT_EQ(file.ask(Op::Read, {address, 5000}).error, -EAGAIN);
    const auto begun = file.ask(Op::BeginWait, {for_buffer});
    ASSERT_EQ(begun.descriptors.size(), 1U);
    EXPECT_EQ(file.ask(Op::Read, {address, 5000}).error, -EAGAIN);
    write_frame(server, std::byte{7});
    EXPECT_NE(wait_for(begun.descriptors[0].get(), POLLIN), 0);
    EXPECT_EQ(file.ask(Op::Read, {address, 5000}, &other).error, -EBUSY);
    EXPECT_EQ(file.ask(Op::Read, {address, 5000}).error, 0);
    EXPECT_EQ(memory[0], std::byte{7});
}

// What one program does to the memory that it was given is nothing to the others.
TEST(ServerMemory, stays_as_it_is_for_every_program) {
    Streaming rig;
    ASSERT_EQ(rig.file.request_buffers(1), 0);
    const auto mapped = rig.file.ask(Op::Map, {4096, PROT_READ, MAP_SHARED, 0});
    ASSERT_EQ(mapped.descriptors.size(), 1U);
    const int memory = mapped.descriptors[0].get();
    EXPECT_EQ(::ftruncate(memory, 0), -1);
    EXPECT_EQ(::ftruncate(memory, 1 << 20), -1);
    constexpr int seal_future_write = 0x10;
    EXPECT_EQ(::fcntl(memory, F_ADD_SEALS, seal_future_write), -1);
    EXPECT_TRUE(MappedMemory::create(memory, 4096, MemoryUse::ReadWrite));
}

}  // namespace
}  // namespace v4lfence::remote
