// SPDX-License-Identifier: MIT
//
// The client against a server whose answers are scripted: connections, what is asked and what is
// not, descriptors.

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <span>
#include <thread>
#include <vector>

#include "v4lfence/base/socket.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/remote/client.hpp"
#include "v4lfence/remote/testing/remote_rig.hpp"
#include "v4lfence/uapi_fences.h"

namespace v4lfence::remote {
namespace {

using testing::answer_descriptor;
using testing::capture;
using testing::ProgramFile;
using testing::Rig;
using testing::ScriptedCall;
using testing::ScriptedServer;
using testing::some_descriptor;

bool is_cloexec(int fd) {
    return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

// --- connections ---------------------------------------------------------------------------------

TEST(Client, connects_only_when_it_is_needed) {
    ScriptedServer server;
    Client client(server.address());
    EXPECT_EQ(client.count_connections(), 0U);
    const ProgramFile file = testing::open_file(client);
    EXPECT_EQ(client.count_connections(), 1U);
    EXPECT_EQ(file.queue(), 0);
    EXPECT_EQ(client.count_connections(), 1U) << "used again";
}

TEST(Client, no_server_is_enodev) {
    Client client("@v4lfence-nobody-is-there");
    const auto opened = client.open("/dev/video80", O_RDWR);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, -ENODEV);
    EXPECT_EQ(client.count_connections(), 0U);
}

TEST(Client, server_of_another_version_is_enodev) {
    ScriptedServer server;
    server.on(Op::Hello, [](ScriptedCall& call) { call.reply.error = -EPROTO; });
    Client client(server.address());
    const auto opened = client.open("/dev/video80", O_RDWR);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, -ENODEV);
}

TEST(Client, hello_says_version_space_and_memory) {
    ScriptedServer server;
    std::vector<Request> hellos;
    unsigned memories = 0;
    server.on(Op::Hello, [&](ScriptedCall& call) {
        hellos.push_back(call.request);
        memories += call.descriptors.file ? 1 : 0;
    });
    Client client(server.address());
    const ProgramFile file = testing::open_file(client);
    server.drop_connections();
    EXPECT_EQ(file.queue(), 0) << "on a fresh connection";
    server.settle();
    ASSERT_EQ(hellos.size(), 2U);
    EXPECT_EQ(hellos[0].numbers[0], protocol_version);
    EXPECT_NE(hellos[0].numbers[1], 0);
    EXPECT_EQ(hellos[0].numbers[1], hellos[1].numbers[1]);
    EXPECT_EQ(memories, 2U);
}

TEST(Client, call_that_was_heard_is_not_made_twice) {
    Rig rig;
    rig.server.on(Op::Ioctl, [](ScriptedCall& call) { call.hangs_up = true; });
    EXPECT_EQ(rig.file.queue(), -ENODEV);
    EXPECT_EQ(rig.server.count(Op::Ioctl), 1U);
    EXPECT_EQ(rig.client.count_connections(), 0U);
}

TEST(Client, dead_server_is_enodev_and_hangs_up) {
    Rig rig;
    rig.server.die();
    EXPECT_EQ(rig.file.queue(), -ENODEV);
    EXPECT_EQ(rig.file.dequeue(), -ENODEV);
    EXPECT_TRUE(*sys::poll_now(rig.file.fd.get(), POLLIN) & POLLHUP);
    EXPECT_EQ(rig.client.count_connections(), 0U);
}

TEST(Client, connections_of_many_threads_do_not_stay) {
    Rig rig;
    constexpr unsigned threads = 24;
    std::vector<std::thread> callers;
    std::atomic<unsigned> good{0};
    for (unsigned i = 0; i < threads; ++i) {
        callers.emplace_back([&] {
            for (int repeat = 0; repeat < 50; ++repeat) {
                good += rig.file.queue() == 0 ? 1 : 0;
            }
        });
    }
    for (std::thread& caller : callers) {
        caller.join();
    }
    EXPECT_EQ(good.load(), threads * 50);
    EXPECT_LE(rig.client.count_connections(), 8U);
}

TEST(Client, each_thread_gets_the_answer_to_its_own_call) {
    Rig rig;
    rig.server.on(Op::Ioctl, [](ScriptedCall& call) {
        auto& buffer = call.as<v4l2_buffer>();
        buffer.sequence = buffer.index * 3 + 1;
    });
    const ProgramFile other = testing::open_file(rig.client);
    std::vector<std::thread> callers;
    std::atomic<unsigned> wrong{0};
    for (unsigned i = 0; i < 8; ++i) {
        callers.emplace_back([&, i] {
            for (unsigned repeat = 0; repeat < 200; ++repeat) {
                v4l2_buffer buffer = ProgramFile::buffer();
                buffer.index = i * 1000 + repeat;
                const auto& file = i % 2 == 0 ? rig.file : other;
                wrong += file(VIDIOC_QBUF, buffer) != 0 ? 1 : 0;
                wrong += buffer.sequence != (i * 1000 + repeat) * 3 + 1 ? 1 : 0;
            }
        });
    }
    for (std::thread& caller : callers) {
        caller.join();
    }
    EXPECT_EQ(wrong.load(), 0U);
}

// --- the program's descriptor --------------------------------------------------------------------

TEST(ClientOpen, descriptor_has_the_flags_asked_for) {
    ScriptedServer server;
    Client client(server.address());
    const ProgramFile before = testing::open_file(client);
    const ProgramFile file = testing::open_file(client, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    EXPECT_TRUE(is_cloexec(file.fd.get()));
    EXPECT_TRUE(*sys::get_status_flags(file.fd.get()) & O_NONBLOCK);
    EXPECT_FALSE(is_cloexec(before.fd.get()));
    EXPECT_FALSE(*sys::get_status_flags(before.fd.get()) & O_NONBLOCK);
    EXPECT_EQ(file.file->cookie(), *sys::socket_cookie(file.fd.get()));
}

TEST(ClientOpen, errors_are_the_servers) {
    ScriptedServer server;
    server.on(Op::Open, [](ScriptedCall& call) {
        call.reply.error = -ENOENT;
        call.answered.clear();
    });
    Client client(server.address());
    const auto opened = client.open("/dev/video80", O_RDWR);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, -ENOENT);
}

TEST(ClientAttach, knows_a_file_by_any_descriptor) {
    Rig rig;
    const UniqueFd copy = std::move(*sys::dup(rig.file.fd.get()));
    const auto attached = rig.client.attach(copy.get());
    ASSERT_TRUE(attached);
    EXPECT_EQ((*attached)->cookie(), rig.file.file->cookie());
}

TEST(ClientAttach, what_is_no_file_is_not_asked_about) {
    ScriptedServer server;
    Client client(server.address());
    const auto pair = std::move(*sys::socketpair(0));
    const UniqueFd other = some_descriptor();
    EXPECT_EQ(client.attach(pair.first.get()).error().code, -ENODEV);
    EXPECT_EQ(client.attach(other.get()).error().code, -ENODEV);
    EXPECT_EQ(client.count_connections(), 0U);
}

TEST(ClientAttach, file_of_another_server_is_enodev) {
    Rig rig;
    rig.server.on(Op::Attach, [](ScriptedCall& call) {
        call.reply.error = -ENODEV;
        call.answered.clear();
    });
    EXPECT_EQ(rig.client.attach(rig.file.fd.get()).error().code, -ENODEV);
}

TEST(RemoteFile, number_of_another_file_is_told) {
    Rig rig;
    for (const Op op : {Op::Ioctl, Op::BeginWait, Op::Map, Op::Read}) {
        rig.server.on(op, [](ScriptedCall& call) { call.reply.error = not_our_file; });
    }
    const UniqueFd other = some_descriptor();
    v4l2_buffer buffer = ProgramFile::buffer();
    for (const std::uint32_t request : {VIDIOC_QBUF, VIDIOC_DQBUF}) {
        EXPECT_EQ(rig.file.file->ioctl(other.get(), request, &buffer, {}).error().code,
                  not_our_file);
    }
    EXPECT_EQ(rig.file.file->begin_wait(other.get(), {}).error().code, not_our_file);
    EmulatedCalls& calls = *rig.file.file->emulated();
    EXPECT_EQ(calls.mappable(other.get(), 4096, PROT_READ, MAP_SHARED, 0).error().code,
              not_our_file);
    EXPECT_EQ(calls.read(other.get(), std::as_writable_bytes(std::span(&buffer, 1))).error().code,
              not_our_file);
    v4l2_capability unknown{};
    const auto answer =
        rig.file.file->ioctl(other.get(), _IOR('V', 191, v4l2_capability), &unknown, {});
    EXPECT_EQ(answer.error().code, not_our_file);
    EXPECT_EQ(rig.file.call(_IOR('V', 191, v4l2_capability), &unknown), -ENOTTY);
    EXPECT_EQ(rig.file.file->emulated()->write(other.get(), {}).error().code, not_our_file);
}

TEST(RemoteFile, of_a_server_that_is_another_now_is_gone) {
    Rig rig;
    for (const Op op : {Op::Ioctl, Op::BeginWait, Op::Map, Op::Read, Op::SetDeadline}) {
        rig.server.on(op, [](ScriptedCall& call) { call.reply.error = not_our_file; });
    }
    const int fd = rig.file.fd.get();
    EXPECT_EQ(rig.file.queue(), -ENODEV) << "its number is still the file's";
    EXPECT_EQ(rig.file.dequeue(), -ENODEV);
    v4l2_ext_control control{};
    v4l2_ext_controls controls{};
    controls.count = 1;
    controls.controls = &control;
    EXPECT_EQ(rig.file(VIDIOC_G_EXT_CTRLS, controls), -ENODEV);
    EXPECT_EQ(rig.file.file->begin_wait(fd, {}).error().code, -ENODEV);
    EXPECT_EQ(rig.file.file->set_deadline(1).error().code, -ENODEV);
    EmulatedCalls& calls = *rig.file.file->emulated();
    EXPECT_EQ(calls.mappable(fd, 4096, PROT_READ, MAP_SHARED, 0).error().code, -ENODEV);
    EXPECT_EQ(calls.read(fd, std::as_writable_bytes(std::span(&control, 1))).error().code, -ENODEV);
}

TEST(RemoteFile, what_every_descriptor_has_is_the_kernels) {
    Rig rig;
    EXPECT_TRUE(rig.file.file->passes(0x5421, nullptr)) << "FIONBIO";
    EXPECT_FALSE(rig.file.file->passes(VIDIOC_QUERYCAP, nullptr));
    EXPECT_FALSE(rig.file.file->passes(VIDIOC_QUERY_FENCES, nullptr));
}

// --- nothing yet ---------------------------------------------------------------------------------

TEST(RemoteDqbuf, repeated_in_vain_asks_one_in_64) {
    Rig rig(O_RDWR | O_NONBLOCK);
    rig.answer(-EAGAIN);
    for (int i = 0; i < 1 + 640; ++i) {
        ASSERT_EQ(rig.file.dequeue(), -EAGAIN);
    }
    EXPECT_EQ(rig.server.count(Op::Ioctl), 11U);
}

TEST(RemoteDqbuf, asks_again_after_a_change) {
    Rig rig(O_RDWR | O_NONBLOCK);
    rig.answer(-EAGAIN);
    EXPECT_EQ(rig.file.dequeue(), -EAGAIN);
    EXPECT_EQ(rig.file.dequeue(), -EAGAIN);
    EXPECT_EQ(rig.server.count(Op::Ioctl), 1U);
    __atomic_fetch_add(&rig.server.page().changes, 1, __ATOMIC_RELEASE);
    rig.answer(0);
    EXPECT_EQ(rig.file.dequeue(), 0);
}

TEST(RemoteDqbuf, asks_again_after_another_call) {
    Rig rig(O_RDWR | O_NONBLOCK);
    rig.answer(-EAGAIN);
    EXPECT_EQ(rig.file.dequeue(), -EAGAIN);
    EXPECT_EQ(rig.file.queue(), -EAGAIN);
    EXPECT_EQ(rig.server.count(Op::Ioctl), 2U);
    EXPECT_EQ(rig.file.dequeue(), -EAGAIN);
    EXPECT_EQ(rig.server.count(Op::Ioctl), 3U);
}

TEST(RemoteDqbuf, asks_with_what_has_not_been_asked_for) {
    Rig rig(O_RDWR | O_NONBLOCK);
    rig.answer(-EAGAIN);
    EXPECT_EQ(rig.file.dequeue(), -EAGAIN);
    v4l2_buffer other = ProgramFile::buffer();
    other.type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
    rig.answer(-EINVAL);
    EXPECT_EQ(rig.file(VIDIOC_DQBUF, other), -EINVAL);
    EXPECT_EQ(rig.file.call(VIDIOC_DQBUF, nullptr), -EFAULT);
    v4l2_event event{};
    EXPECT_EQ(rig.file(VIDIOC_DQEVENT, event), -EINVAL);
}

TEST(RemoteDqbuf, after_a_hangup_asks) {
    Rig rig;
    rig.answer(-EAGAIN);
    EXPECT_EQ(rig.file.dequeue(), 1);
    v4l2_buffer buffer = ProgramFile::buffer();
    EXPECT_EQ(rig.file.call(VIDIOC_DQBUF, &buffer, Look{true, 0}), 1);
    EXPECT_EQ(rig.server.count(Op::Ioctl), 2U);
}

TEST(RemoteDqbuf, blocking_file_waits) {
    Rig rig;
    rig.answer(-EAGAIN);
    EXPECT_EQ(rig.file.dequeue(), 1);
    EXPECT_EQ(rig.file.dequeue(), 1);
    EXPECT_EQ(rig.server.count(Op::Ioctl), 1U);
    ASSERT_TRUE(sys::set_open_flags(rig.file.fd.get(), O_NONBLOCK));
    EXPECT_EQ(rig.file.dequeue(), -EAGAIN) << "changed its mind";
}

TEST(RemoteDqevent, nothing_yet_is_remembered_apart) {
    Rig rig(O_RDWR | O_NONBLOCK);
    v4l2_event event{};
    rig.answer(-ENOENT);
    EXPECT_EQ(rig.file(VIDIOC_DQEVENT, event), -ENOENT);
    EXPECT_EQ(rig.file(VIDIOC_DQEVENT, event), -ENOENT);
    EXPECT_EQ(rig.server.count(Op::Ioctl), 1U);
    EXPECT_EQ(rig.file.dequeue(), -ENOENT) << "is no \"nothing yet\" of DQBUF";
    EXPECT_EQ(rig.server.count(Op::Ioctl), 2U);
}

// --- descriptors ---------------------------------------------------------------------------------

TEST(RemoteQbuf, out_fence_is_closed_on_exec) {
    Rig rig;
    rig.server.on(Op::Ioctl, answer_descriptor);
    v4l2_buffer buffer = ProgramFile::buffer();
    buffer.flags = V4L2_BUF_FLAG_OUT_FENCE;
    ASSERT_EQ(rig.file(VIDIOC_QBUF, buffer), 0);
    const UniqueFd fence(v4l2_buffer_fence_fd(&buffer));
    EXPECT_GE(fence.get(), 0);
    EXPECT_TRUE(is_cloexec(fence.get()));
}

TEST(RemoteExpbuf, descriptor_has_the_flags_asked_for) {
    Rig rig;
    rig.server.on(Op::Ioctl, answer_descriptor);
    for (const std::uint32_t flags : {O_RDWR | O_CLOEXEC, O_RDWR}) {
        v4l2_exportbuffer request{};
        request.type = capture;
        request.flags = flags;
        ASSERT_EQ(rig.file(VIDIOC_EXPBUF, request), 0);
        const UniqueFd exported(request.fd);
        EXPECT_EQ(is_cloexec(exported.get()), (flags & O_CLOEXEC) != 0);
    }
}

TEST(RemoteQbuf, descriptor_that_is_none_is_left_out) {
    Rig rig;
    bool had_fence = false;
    bool had_memory = false;
    rig.server.on(Op::Ioctl, [&](ScriptedCall& call) {
        had_fence = static_cast<bool>(call.descriptors.in_fence);
        had_memory = static_cast<bool>(call.descriptors.memory[0]);
    });
    const UniqueFd memory = some_descriptor();
    constexpr int no_descriptor = 987654;
    v4l2_buffer buffer = ProgramFile::buffer();
    buffer.memory = V4L2_MEMORY_DMABUF;
    buffer.m.fd = memory.get();
    buffer.flags = V4L2_BUF_FLAG_IN_FENCE;
    v4l2_buffer_fence_fd(&buffer) = no_descriptor;
    EXPECT_EQ(rig.file(VIDIOC_QBUF, buffer), 0);
    rig.server.settle();
    EXPECT_TRUE(had_memory);
    EXPECT_FALSE(had_fence);
}

TEST(RemoteQbuf, memory_of_the_program_is_looked_at_first) {
    Rig rig;
    std::atomic<std::uintptr_t> came{1};
    rig.server.on(Op::Ioctl, [&](ScriptedCall& call) {
        came = call.as<v4l2_buffer>().m.userptr;
        call.reply.error = came.load() == 0 ? -EFAULT : 0;
    });
    constexpr std::size_t size = 8192;
    void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    v4l2_buffer buffer = ProgramFile::buffer();
    buffer.memory = V4L2_MEMORY_USERPTR;
    buffer.m.userptr = reinterpret_cast<std::uintptr_t>(memory);
    buffer.length = size;
    EXPECT_EQ(rig.file(VIDIOC_QBUF, buffer), -EFAULT) << "it cannot be written to";
    EXPECT_EQ(came.load(), 0U);
    ASSERT_EQ(::mprotect(memory, size, PROT_READ | PROT_WRITE), 0);
    EXPECT_EQ(rig.file(VIDIOC_QBUF, buffer), 0);
    EXPECT_EQ(came.load(), buffer.m.userptr);
    ::munmap(memory, size);
    EXPECT_EQ(rig.file(VIDIOC_PREPARE_BUF, buffer), -EFAULT);
}

TEST(RemoteMmap, mapping_is_counted_until_it_ends) {
    Rig rig;
    std::atomic<std::int64_t> unmapped{0};
    rig.server.on(Op::Map, [](ScriptedCall& call) {
        answer_descriptor(call);
        call.reply.numbers = {4096, 77};
    });
    rig.server.on(Op::Unmap, [&](ScriptedCall& call) { unmapped = call.request.numbers[0]; });
    const auto map = [&] {
        return rig.file.file->emulated()->mappable(rig.file.fd.get(), 4096, PROT_READ, MAP_SHARED,
                                                   0);
    };
    const auto settle = [&] { EXPECT_EQ(rig.file.queue(), 0); };  // After what was posted.
    {
        auto mappable = map();
        ASSERT_TRUE(mappable);
        EXPECT_EQ(mappable->offset, 4096);
        mappable->counter->mapped();
        settle();
        EXPECT_EQ(unmapped.load(), 0);
        mappable->counter->unmapped();
    }
    settle();
    EXPECT_EQ(unmapped.exchange(0), 77);
    EXPECT_EQ(rig.server.count(Op::Unmap), 1U);
    (void)map();
    settle();
    EXPECT_EQ(unmapped.load(), 77) << "mmap() had failed";
}

}  // namespace
}  // namespace v4lfence::remote
