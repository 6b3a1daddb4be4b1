// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <thread>

#include "v4lfence/uapi_fences.h"
#include "v4lfence/v4l2/device.hpp"
#include "v4lfence/v4l2/testing/fake_device.hpp"

namespace v4lfence {

using testing::DeviceRig;
using testing::FakeDevice;
using testing::OpenFile;

namespace {

std::uint32_t priority_of(const OpenFile& file) {
    std::uint32_t priority = 0;
    EXPECT_EQ(file(VIDIOC_G_PRIORITY, priority), 0);
    return priority;
}

int set_priority(const OpenFile& file, std::uint32_t priority) {
    return file(VIDIOC_S_PRIORITY, priority);
}

}  // namespace

// --- priority ------------------------------------------------------------------------------------

TEST(Device, priority_told_is_the_highest_of_all_files) {
    const DeviceRig rig;
    const OpenFile first = rig.open();
    {
        const OpenFile second = rig.open();
        EXPECT_EQ(priority_of(first), std::uint32_t{V4L2_PRIORITY_DEFAULT});
        EXPECT_EQ(set_priority(second, V4L2_PRIORITY_RECORD), 0);
        EXPECT_EQ(priority_of(first), std::uint32_t{V4L2_PRIORITY_RECORD});
        EXPECT_EQ(set_priority(first, V4L2_PRIORITY_BACKGROUND), -EBUSY);
    }
    EXPECT_EQ(priority_of(first), std::uint32_t{V4L2_PRIORITY_DEFAULT}) << "closed with its file";
    EXPECT_EQ(set_priority(first, V4L2_PRIORITY_BACKGROUND), 0);
    EXPECT_EQ(priority_of(first), std::uint32_t{V4L2_PRIORITY_BACKGROUND});
}

TEST(Device, priorities_that_do_not_exist_are_refused) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    for (const std::uint32_t wrong : {0U, 4U, UINT32_MAX}) {
        EXPECT_EQ(set_priority(file, wrong), -EINVAL);
    }
    EXPECT_EQ(priority_of(file), std::uint32_t{V4L2_PRIORITY_DEFAULT});
}

// --- close ---------------------------------------------------------------------------------------

TEST(Device, close_of_the_owner_frees_the_queue) {
    const DeviceRig rig;
    const OpenFile other = rig.open();
    {
        const OpenFile owner = rig.open();
        owner.stream(2);
        EXPECT_TRUE(rig.device->is_busy());
    }
    EXPECT_FALSE(rig.fake.streaming);
    EXPECT_FALSE(rig.device->is_busy());
    other.stream(2);
    rig.fake.finish_frame();
    EXPECT_EQ(other.dequeue(), 0);
}

TEST(Device, close_of_another_file_disturbs_nobody) {
    const DeviceRig rig;
    const OpenFile owner = rig.open();
    owner.stream(2);
    { const OpenFile other = rig.open(); }
    EXPECT_TRUE(rig.fake.streaming);
    rig.fake.finish_frame();
    EXPECT_EQ(owner.dequeue(), 0);
}

// --- the end of the device -----------------------------------------------------------------------

TEST(Device, unplugged_it_hangs_up_and_ends_its_fences) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    const OpenFile other = rig.open();
    file.stream(2);
    rig.fake.finish_frame();
    ASSERT_EQ(file.dequeue(), 0);
    v4l2_buffer buffer{};
    buffer.type = rig.device->buffer_type();
    buffer.memory = V4L2_MEMORY_MMAP;
    buffer.flags = V4L2_BUF_FLAG_OUT_FENCE;
    ASSERT_EQ(file(VIDIOC_QBUF, buffer), 0);
    const UniqueFd out(v4l2_buffer_fence_fd(&buffer));
    rig.device->disconnect();
    EXPECT_FALSE(rig.fake.streaming);
    const auto fence = Fence::import(out.get(), DmaBufAccess::Read, FenceKind::SyncFile);
    ASSERT_TRUE(fence);
    EXPECT_FALSE(fence->pending);
    EXPECT_EQ(fence->status.error, -ENODEV);
    EXPECT_EQ(file.dequeue(), -ENODEV);
    for (const OpenFile* each : {&file, &other}) {
        EXPECT_TRUE(each->poll(POLLIN | POLLPRI) & POLLHUP);
    }
}

TEST(Device, unplugged_by_a_control_it_answers_that_ioctl) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    file.stream(2);
    v4l2_control button{testing::disconnect_button, 1};
    EXPECT_EQ(file(VIDIOC_S_CTRL, button), 0);
    EXPECT_FALSE(rig.fake.streaming);
    EXPECT_TRUE(file.poll(POLLIN) & POLLHUP);
    EXPECT_EQ(file(VIDIOC_S_CTRL, button), -ENODEV);
}

TEST(Device, unplugged_twice_is_unplugged) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    rig.device->disconnect();
    rig.device->disconnect();
    EXPECT_TRUE(rig.device->is_gone());
}

TEST(Device, unplugged_amid_calls_of_other_threads_ends_them) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    file.stream(2);
    std::atomic<int> began{0};
    const auto calls = [&] {
        v4l2_format format{};
        format.type = rig.device->buffer_type();
        int result = 0;
        while (result == 0) {
            result = file(VIDIOC_G_FMT, format);
            began.fetch_add(1);
        }
        EXPECT_EQ(result, -ENODEV);
    };
    std::thread first(calls);
    std::thread second(calls);
    while (began.load() < 100) {
        std::this_thread::yield();
    }
    rig.device->disconnect();
    first.join();
    second.join();
    EXPECT_FALSE(rig.fake.streaming);
}

// --- the rest ------------------------------------------------------------------------------------

TEST(Device, log_is_of_the_driver_and_the_controls) {
    const DeviceRig rig;
    const OpenFile file = rig.open();
    EXPECT_TRUE(rig.device->last_log().empty());
    EXPECT_EQ(file.call(VIDIOC_LOG_STATUS, nullptr), 0);
    const auto log = rig.device->last_log();
    ASSERT_GT(log.size(), 1U);
    EXPECT_EQ(log[0], "fake");
    EXPECT_NE(log[1].find("Brightness"), std::string::npos);
}

TEST(Device, wrong_table_of_the_driver_is_refused) {
    class Wrong final : public DeviceOps {
    public:
        const DeviceIdentity& identity() const override { return identity_; }
        QueueTraits queue_traits() const override { return {}; }
        Driver& driver() override { return fake_; }
        std::span<const ControlSpec> controls() const override { return {&wrong_, 1}; }
        Result<> enum_fmt(v4l2_fmtdesc&) override { return lacking(); }
        Result<> g_fmt(v4l2_format&) override { return lacking(); }
        Result<> try_fmt(v4l2_format&) override { return lacking(); }
        Result<> s_fmt(v4l2_format&) override { return lacking(); }

    private:
        DeviceIdentity identity_;
        FakeDevice fake_;
        const ControlSpec wrong_{.id = V4L2_CID_BRIGHTNESS, .range = {5, 1, 1, 3}};
    };
    Core core;
    MemoryMakers makers;
    const auto device = VideoDevice::create(std::make_unique<Wrong>(), core, makers);
    ASSERT_FALSE(device);
    EXPECT_EQ(device.error().code, -EINVAL);
}

}  // namespace v4lfence
