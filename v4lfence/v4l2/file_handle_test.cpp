// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>

#include <array>
#include <thread>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/v4l2/file_handle.hpp"
#include "v4lfence/v4l2/testing/fake_device.hpp"

namespace v4lfence {

using testing::DeviceRig;
using testing::OpenFile;

namespace {

constexpr short all = POLLIN | POLLPRI | POLLOUT;

int subscribe(const OpenFile& file, std::uint32_t type, std::uint32_t id, std::uint32_t flags) {
    v4l2_event_subscription wanted{};
    wanted.type = type;
    wanted.id = id;
    wanted.flags = flags;
    return file(VIDIOC_SUBSCRIBE_EVENT, wanted);
}

}  // namespace

TEST(FileHandle, shows_nothing_at_first) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    EXPECT_EQ(file.poll(all), 0);
    EXPECT_FALSE(file.handle().abandoned());
}

TEST(FileHandle, shows_frames_while_some_are_there) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    const OpenFile other = rig.open();
    file.stream(3);
    EXPECT_EQ(file.poll(all), 0);
    rig.fake.finish_frame();
    rig.fake.finish_frame();
    EXPECT_EQ(file.poll(all), POLLIN);
    EXPECT_EQ(other.poll(all), 0);
    EXPECT_EQ(file.dequeue(), 0);
    EXPECT_EQ(file.poll(all), POLLIN);
    EXPECT_EQ(file.dequeue(), 1);
    EXPECT_EQ(file.poll(all), 0);
    rig.fake.finish_frame();
    EXPECT_EQ(file.poll(all), POLLIN);
    ASSERT_EQ(file(VIDIOC_STREAMOFF, *std::make_unique<std::uint32_t>(rig.device->buffer_type())),
              0);
    EXPECT_EQ(file.poll(all), 0);
}

TEST(FileHandle, wakes_an_edge_triggered_waiter_with_each_frame) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    file.stream(4);
    const auto epoll = sys::epoll_create();
    ASSERT_TRUE(epoll);
    ASSERT_TRUE(sys::epoll_ctl(epoll->get(), EPOLL_CTL_ADD, file.fd(), EPOLLIN | EPOLLET, 1));
    std::array<epoll_event, 1> events{};
    for (int frame = 0; frame < 4; ++frame) {
        EXPECT_EQ(*sys::epoll_wait(epoll->get(), events, 0), 0U);
        rig.fake.finish_frame();
        EXPECT_EQ(*sys::epoll_wait(epoll->get(), events, 0), 1U) << frame;
    }
}

TEST(FileHandle, shows_the_end_after_the_last_frame) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    file.stream(2);
    rig.fake.finish_frame(true);
    EXPECT_EQ(file.dequeue(), 0);
    EXPECT_EQ(file.dequeue(), -EPIPE);
    EXPECT_EQ(file.poll(all), POLLIN);
    EXPECT_EQ(file.handle().poll_state(), POLLIN | POLLRDNORM);
}

TEST(FileHandle, shows_a_failed_queue) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    file.stream(2);
    rig.device->queue().fail(-EIO);
    EXPECT_EQ(file.poll(all), POLLIN);
    EXPECT_EQ(file.dequeue(), -EIO);
    EXPECT_EQ(file.handle().poll_state(), POLLERR);
}

TEST(FileHandle, shows_events_until_the_last_is_fetched) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    const OpenFile other = rig.open();
    ASSERT_EQ(subscribe(file, V4L2_EVENT_EOS, 0, 0), 0);
    ASSERT_EQ(subscribe(file, V4L2_EVENT_CTRL, V4L2_CID_BRIGHTNESS, V4L2_EVENT_SUB_FL_SEND_INITIAL),
              0);
    EXPECT_EQ(file.poll(POLLPRI), POLLPRI) << "at once";
    v4l2_event eos{};
    eos.type = V4L2_EVENT_EOS;
    rig.device->send_event(eos);
    v4l2_event event{};
    EXPECT_EQ(file(VIDIOC_DQEVENT, event), 0);
    EXPECT_EQ(event.type, std::uint32_t{V4L2_EVENT_CTRL});
    EXPECT_EQ(file.poll(POLLPRI), POLLPRI);
    EXPECT_EQ(file(VIDIOC_DQEVENT, event), 0);
    EXPECT_EQ(event.type, std::uint32_t{V4L2_EVENT_EOS});
    EXPECT_EQ(file.poll(all), 0);
    EXPECT_EQ(file(VIDIOC_DQEVENT, event), -ENOENT);
    EXPECT_EQ(subscribe(file, V4L2_EVENT_VSYNC, 0, 0), -EINVAL);
    EXPECT_EQ(other.poll(all), 0);
}

TEST(FileHandle, events_do_not_hide_frames_nor_stay_behind_them) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    file.stream(2);
    ASSERT_EQ(subscribe(file, V4L2_EVENT_EOS, 0, 0), 0);
    v4l2_event event{};
    event.type = V4L2_EVENT_EOS;
    rig.fake.finish_frame();
    rig.device->send_event(event);
    EXPECT_EQ(file.poll(all), POLLIN | POLLPRI);
    EXPECT_EQ(file.dequeue(), 0);
    EXPECT_EQ(file.poll(POLLPRI), POLLPRI);
    EXPECT_EQ(file.handle().poll_state(), POLLPRI);
    EXPECT_EQ(file(VIDIOC_DQEVENT, event), 0);
    EXPECT_EQ(file.poll(all), 0);
}

TEST(FileHandle, poll_state_is_what_a_kernel_device_says) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    EXPECT_EQ(file.handle().poll_state(), POLLERR);
    file.stream(1);
    EXPECT_EQ(file.handle().poll_state(), 0);
    rig.fake.finish_frame();
    EXPECT_EQ(file.handle().poll_state(), POLLIN | POLLRDNORM);
    EXPECT_EQ(file.dequeue(), 0);
    EXPECT_EQ(file.handle().poll_state(), 0);
    std::uint32_t type = rig.device->buffer_type();
    ASSERT_EQ(file(VIDIOC_STREAMOFF, type), 0);
    EXPECT_EQ(file.handle().poll_state(), POLLERR);
    ASSERT_EQ(file(VIDIOC_STREAMON, type), 0);
    EXPECT_EQ(file.handle().poll_state(), POLLERR) << "nothing was queued since";
    rig.device->disconnect();
    EXPECT_EQ(file.handle().poll_state(), POLLERR | POLLHUP | POLLPRI);
}

TEST(FileHandle, idle_readable_queue_is_no_error) {
    auto fake = std::make_unique<testing::FakeDevice>();
    fake->traits.readable = true;
    const DeviceRig rig(std::move(fake));
    const OpenFile file = rig.open();
    EXPECT_EQ(file.handle().poll_state(), 0);
}

TEST(FileHandle, by_another_number_shows_less_once_it_is_known) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    file.stream(1);
    rig.fake.finish_frame();
    file.handle().set_program_fd(-1);
    EXPECT_EQ(file.dequeue(), 0);
    EXPECT_EQ(file.poll(all), POLLIN) << "nobody could take it back";
    file.handle().set_program_fd(file.fd());
    EXPECT_EQ(file.poll(all), 0);
}

TEST(FileHandle, bell_rings_for_who_waits_for_an_event) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    ASSERT_EQ(subscribe(file, V4L2_EVENT_EOS, 0, 0), 0);
    const auto bell = file.handle().event_wake();
    ASSERT_TRUE(bell);
    (*bell)->begin();
    EXPECT_EQ(*sys::poll_now((*bell)->fd(), POLLIN), 0);
    std::thread raiser([&] {
        v4l2_event event{};
        event.type = V4L2_EVENT_EOS;
        rig.device->send_event(event);
    });
    pollfd waits{(*bell)->fd(), POLLIN, 0};
    EXPECT_EQ(*sys::poll(std::span(&waits, 1), 10'000), 1);
    (*bell)->end();
    raiser.join();
    (*bell)->begin();
    rig.device->disconnect();
    EXPECT_EQ(*sys::poll_now((*bell)->fd(), POLLIN), POLLIN);
    (*bell)->end();
}

TEST(FileHandle, is_abandoned_with_the_last_descriptor) {
    const DeviceRig rig;
    OpenFile file = rig.open();
    auto copy = sys::dup(file.fd());
    ASSERT_TRUE(copy);
    file.opened.program_end.reset();
    EXPECT_FALSE(file.handle().abandoned());
    copy->reset();
    EXPECT_TRUE(file.handle().abandoned());
}

/// Whatever the order in which the driver's thread and the program's come, the last one shows the
/// truth.
TEST(FileHandle, threads_agree_on_what_is_there) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    file.stream(4);
    constexpr int rounds = 300;
    for (int round = 0; round < rounds; ++round) {
        std::thread driver([&] {
            for (int i = 0; i < 4; ++i) {
                rig.fake.finish_frame();
            }
        });
        std::array<unsigned, 4> indices{};
        for (unsigned& index : indices) {
            int found = file.dequeue();
            while (found == -EAGAIN) {
                std::this_thread::yield();
                found = file.dequeue();
            }
            ASSERT_GE(found, 0);
            index = static_cast<unsigned>(found);
        }
        driver.join();
        ASSERT_EQ(file.poll(all), 0) << round;
        for (const unsigned index : indices) {
            ASSERT_EQ(file.queue(index), 0);
        }
    }
}

}  // namespace v4lfence
