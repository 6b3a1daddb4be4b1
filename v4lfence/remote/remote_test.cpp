// SPDX-License-Identifier: MIT
//
// Client and server together: in one process, and in two of which one dies.

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/fence.hpp"
#include "v4lfence/remote/testing/server_process.hpp"
#include "v4lfence/uapi_fences.h"
#include "v4lfence/v4l2/testing/fake_device.hpp"

namespace v4lfence::remote {
namespace {

using testing::capture;
using testing::fresh_address;
using testing::Host;
using testing::ProgramFile;
using testing::queue;
using testing::queue_with_out_fence;
using testing::request;
using testing::ServerProcess;
using testing::stream;

struct Together {
    const std::string address = fresh_address();
    Host host{address};
    Client client{address};
    ProgramFile file;

    explicit Together(int flags = O_RDWR) : file(testing::open_file(client, flags)) {}
    bool is_mapped() const {
        v4l2_buffer buffer = ProgramFile::buffer();
        EXPECT_EQ(file(VIDIOC_QUERYBUF, buffer), 0);
        return (buffer.flags & V4L2_BUF_FLAG_MAPPED) != 0;
    }
};

// --- in one process ------------------------------------------------------------------------------

TEST(Remote, streams) {
    Together rig(O_RDWR | O_NONBLOCK);
    v4l2_capability caps{};
    EXPECT_EQ(rig.file(VIDIOC_QUERYCAP, caps), 0);
    EXPECT_TRUE(caps.device_caps & V4L2_CAP_STREAMING);
    ASSERT_EQ(request(rig.file, 2), 0);
    ASSERT_EQ(queue(rig.file, 0), 0);
    ASSERT_EQ(queue(rig.file, 1), 0);
    ASSERT_EQ(stream(rig.file, true), 0);
    EXPECT_EQ(rig.file.dequeue(), -EAGAIN);
    EXPECT_EQ(rig.file.dequeue(), -EAGAIN);
    EXPECT_EQ(*sys::poll_now(rig.file.fd.get(), POLLIN), 0);
    rig.host.device.fake.finish_frame();
    EXPECT_EQ(*sys::poll_now(rig.file.fd.get(), POLLIN), POLLIN);
    v4l2_buffer buffer = ProgramFile::buffer();
    EXPECT_EQ(rig.file(VIDIOC_DQBUF, buffer), 0);
    EXPECT_EQ(buffer.index, 0U);
    EXPECT_EQ(*sys::poll_now(rig.file.fd.get(), POLLIN), 0);
    EXPECT_EQ(rig.file.dequeue(), -EAGAIN);
    EXPECT_EQ(stream(rig.file, false), 0);
    EXPECT_EQ(rig.file.dequeue(), -EINVAL) << "is noticed";
}

TEST(Remote, error_is_that_of_a_device_in_the_process) {
    Together rig;
    v4l2_buffer buffer = ProgramFile::buffer();
    buffer.index = 7;
    EXPECT_EQ(rig.file(VIDIOC_QUERYBUF, buffer), -EINVAL);
    EXPECT_EQ(rig.file.call(VIDIOC_QUERYCAP, nullptr), -EFAULT);
    EXPECT_EQ(rig.file.call(_IOR('V', 191, int), &buffer), -ENOTTY);
    EXPECT_EQ(rig.client.open("/dev/video81", O_RDWR).error().code, -ENOENT);
}

TEST(Remote, control_with_a_payload_is_read_and_set) {
    Together rig;
    std::array<char, v4lfence::testing::text_max + 1> text{"seven"};
    v4l2_ext_control control{};
    control.id = v4lfence::testing::text_control;
    control.size = text.size();
    control.string = text.data();
    v4l2_ext_controls controls{};
    controls.count = 1;
    controls.controls = &control;
    EXPECT_EQ(rig.file(VIDIOC_S_EXT_CTRLS, controls), 0);
    text.fill('x');
    EXPECT_EQ(rig.file(VIDIOC_G_EXT_CTRLS, controls), 0);
    EXPECT_STREQ(text.data(), "seven");
    const char* const kept = control.string;  // Of a packed struct: no reference to it.
    EXPECT_EQ(kept, text.data());
    EXPECT_EQ(controls.controls, &control);
}

TEST(Remote, mapping_shows_until_it_is_unmapped) {
    Together rig;
    ASSERT_EQ(request(rig.file, 1), 0);
    EXPECT_FALSE(rig.is_mapped());
    v4l2_buffer buffer = ProgramFile::buffer();
    ASSERT_EQ(rig.file(VIDIOC_QUERYBUF, buffer), 0);
    auto mappable = rig.file.file->emulated()->mappable(rig.file.fd.get(), buffer.length, PROT_READ,
                                                        MAP_SHARED, buffer.m.offset);
    ASSERT_TRUE(mappable);
    void* const memory =
        ::mmap(nullptr, buffer.length, PROT_READ, MAP_SHARED, mappable->fd, mappable->offset);
    ASSERT_NE(memory, MAP_FAILED);
    mappable->counter->mapped();
    EXPECT_TRUE(rig.is_mapped());
    ::munmap(memory, buffer.length);
    mappable->counter->unmapped();
    EXPECT_FALSE(rig.is_mapped());
}

// Pins: 7.1
TEST(Remote, waiting_thread_is_woken_by_a_frame) {
    Together rig;
    ASSERT_EQ(request(rig.file, 1), 0);
    ASSERT_EQ(queue(rig.file, 0), 0);
    ASSERT_EQ(stream(rig.file, true), 0);
    ASSERT_EQ(rig.file.dequeue(), 1);
    constexpr Awaited awaited{Awaited::What::Buffer, capture};
    for (int round = 0; round < 3; ++round) {
        const auto plan = rig.file.file->begin_wait(rig.file.fd.get(), awaited);
        ASSERT_TRUE(plan) << plan.error().where;
        EXPECT_EQ(rig.file.file->begin_wait(rig.file.fd.get(), awaited).error().code, -EBUSY);
        EXPECT_EQ(*sys::poll_now(plan->wake_fd, POLLIN), 0);
        std::thread device([&] { rig.host.device.fake.finish_frame(); });
        pollfd woken{plan->wake_fd, POLLIN, 0};
        EXPECT_EQ(::poll(&woken, 1, 5000), 1);
        device.join();
        EXPECT_EQ(rig.file.dequeue(), 0);
        EXPECT_TRUE(rig.file.file->end_wait(awaited, *plan));
        ASSERT_EQ(queue(rig.file, 0), 0);
    }
    const auto plan = rig.file.file->begin_wait(rig.file.fd.get(), awaited);
    ASSERT_TRUE(plan);
    ASSERT_EQ(stream(rig.file, false), 0);
    EXPECT_EQ(*sys::poll_now(plan->wake_fd, POLLIN), POLLIN);
    EXPECT_EQ(rig.file.file->end_wait(awaited, *plan).error().code, -EINVAL);
    EXPECT_EQ(rig.host.server->counts().waits, 0U);
}

TEST(Remote, next_wait_has_the_descriptor_of_the_one_before) {
    Together rig;
    ASSERT_EQ(request(rig.file, 1), 0);
    ASSERT_EQ(queue(rig.file, 0), 0);
    constexpr Awaited awaited{Awaited::What::Buffer, capture};
    const auto wait = [&] {
        const auto plan = rig.file.file->begin_wait(rig.file.fd.get(), awaited);
        EXPECT_TRUE(plan) << plan.error().where;
        // One that has come since the one before would have another number: both are open then.
        EXPECT_EQ(*sys::poll_now(plan->wake_fd, POLLIN), 0);
        EXPECT_TRUE(rig.file.file->end_wait(awaited, *plan));
        return plan->wake_fd;
    };
    ASSERT_EQ(stream(rig.file, true), 0);
    const int first = wait();
    EXPECT_EQ(wait(), first);
    EXPECT_EQ(wait(), first);
    ASSERT_EQ(stream(rig.file, false), 0);
    ASSERT_EQ(queue(rig.file, 0), 0);
    ASSERT_EQ(stream(rig.file, true), 0);
    const int second = wait();
    EXPECT_EQ(wait(), second);
}

TEST(Remote, close_is_over_when_it_returns) {
    Together rig;
    ASSERT_EQ(request(rig.file, 1), 0);
    ASSERT_EQ(stream(rig.file, true), 0);
    rig.file.file->close();
    rig.file.fd.reset();
    rig.file.file->closed();
    EXPECT_EQ(rig.host.server->counts().files, 0U);
    EXPECT_FALSE(rig.host.device.device->is_busy());
}

TEST(Remote, file_goes_on_by_another_number_and_client) {
    Together rig;
    ASSERT_EQ(request(rig.file, 1), 0);
    Client other(rig.address);
    ProgramFile copy;
    copy.fd = std::move(*sys::dup(rig.file.fd.get()));
    copy.file = std::move(*other.attach(copy.fd.get()));
    rig.file.file->close();
    rig.file.fd.reset();
    rig.file.file->closed();
    EXPECT_EQ(rig.host.server->counts().files, 1U);
    EXPECT_EQ(queue(copy, 0), 0);
}

TEST(Remote, threads_queue_and_dequeue_at_once) {
    Together rig(O_RDWR | O_NONBLOCK);
    constexpr unsigned buffers = 4;
    constexpr unsigned frames = 300;
    ASSERT_EQ(request(rig.file, buffers), 0);
    ASSERT_EQ(stream(rig.file, true), 0);
    std::atomic<unsigned> taken{0};
    std::thread looker([&] {
        while (taken.load() < frames) {
            v4l2_buffer buffer = ProgramFile::buffer();
            EXPECT_EQ(rig.file(VIDIOC_QUERYBUF, buffer), 0);
        }
    });
    for (unsigned index = 0; index < buffers; ++index) {
        EXPECT_EQ(queue(rig.file, index), 0);
    }
    while (taken.load() < frames) {
        rig.host.device.fake.finish_frame();
        v4l2_buffer buffer = ProgramFile::buffer();
        ASSERT_EQ(rig.file(VIDIOC_DQBUF, buffer), 0);
        EXPECT_EQ(queue(rig.file, buffer.index), 0);
        taken.fetch_add(1);
    }
    looker.join();
}

// --- in two processes ----------------------------------------------------------------------------

// Pins: 5.5
TEST(RemoteProcess, death_of_the_server_leaves_nothing_pending) {
    ServerProcess server;
    Client client(server.address);
    const ProgramFile file = testing::open_file(client);
    ASSERT_EQ(request(file, 2), 0);
    UniqueFd fence;
    ASSERT_EQ(queue_with_out_fence(file, fence), 0);
    ASSERT_EQ(stream(file, true), 0);
    ASSERT_EQ(file.dequeue(), 1);
    const Awaited awaited{Awaited::What::Buffer, capture};
    const auto plan = file.file->begin_wait(file.fd.get(), awaited);
    ASSERT_TRUE(plan);
    std::thread waiting([&] {
        std::array<pollfd, 2> fds{pollfd{plan->wake_fd, POLLIN, 0},
                                  pollfd{plan->kernel_fd, plan->kernel_events, 0}};
        EXPECT_EQ(::poll(fds.data(), fds.size(), 10000), 1);
        EXPECT_TRUE(fds[1].revents & POLLHUP);
    });
    server.kill();
    waiting.join();
    v4l2_buffer buffer = ProgramFile::buffer();
    EXPECT_EQ(file.call(VIDIOC_DQBUF, &buffer, Look{true, plan->generation}), -ENODEV);
    EXPECT_EQ(file.file->end_wait(awaited, *plan).error().code, -ENODEV);
    EXPECT_TRUE(*sys::poll_now(file.fd.get(), POLLIN) & POLLHUP);
    EXPECT_EQ(queue(file, 1), -ENODEV);
    EXPECT_EQ(file.file->set_deadline(5).error().code, -ENODEV);
    EXPECT_EQ(
        file.file->emulated()->mappable(file.fd.get(), 4096, PROT_READ, MAP_SHARED, 0).error().code,
        -ENODEV);
    EXPECT_EQ(client.open("/dev/video80", O_RDWR).error().code, -ENODEV);
    const auto seen = Fence::import(fence.get(), DmaBufAccess::Write);
    ASSERT_TRUE(seen);
    EXPECT_EQ(seen->status.state, FenceState::Failed);
}

/// What a program does until it is killed.
[[noreturn]] void use_device(const std::string& address) {
    Client client(address);
    while (true) {
        auto opened = client.open("/dev/video80", O_RDWR | O_NONBLOCK);
        if (!opened) {
            continue;
        }
        const ProgramFile file{std::move(opened->file), std::move(opened->fd)};
        (void)request(file, 2);
        for (int round = 0; round < 3; ++round) {
            UniqueFd fence;
            (void)queue_with_out_fence(file, fence);
            (void)stream(file, true);
            (void)file.dequeue();
            const Awaited awaited{Awaited::What::Buffer, capture};
            if (const auto plan = file.file->begin_wait(file.fd.get(), awaited)) {
                (void)file.file->end_wait(awaited, *plan);
            }
            (void)file.file->emulated()->mappable(file.fd.get(), 4096, PROT_READ, MAP_SHARED, 0);
            (void)stream(file, false);
        }
    }
}

TEST(RemoteProcess, death_of_a_client_at_any_time_leaves_the_device_free) {
    Together rig;
    for (int round = 0; round < 40; ++round) {
        rig.client.lock_for_fork();
        const pid_t child = ::fork();
        rig.client.unlock_after_fork();
        if (child == 0) {
            rig.client.abandon();
            use_device(rig.address);
        }
        // Somewhere in the middle: later each time.
        while (rig.host.server->counts().files < 2) {
            std::this_thread::yield();
        }
        for (int i = 0; i < round * 3; ++i) {
            v4l2_capability caps{};
            ASSERT_EQ(rig.file(VIDIOC_QUERYCAP, caps), 0);
        }
        ::kill(child, SIGKILL);
        ASSERT_EQ(::waitpid(child, nullptr, 0), child);
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
        while (rig.host.server->counts().files > 1 || rig.host.server->counts().waits > 0) {
            ASSERT_LT(std::chrono::steady_clock::now(), deadline);
            std::this_thread::yield();
        }
        ASSERT_EQ(request(rig.file, 1), 0) << "the queue is free";
        ASSERT_EQ(request(rig.file, 0), 0);
    }
}

}  // namespace
}  // namespace v4lfence::remote
