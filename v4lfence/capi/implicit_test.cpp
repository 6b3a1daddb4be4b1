// SPDX-License-Identifier: MIT
//
// v4lfence_set_implicit(), on a virtual camera. What goes on in dma-bufs needs fences of the
// kernel; skipped where the machine has none.

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/unique_fd.hpp"
#include "v4lfence/capi/testing/virtual_camera.hpp"
#include "v4lfence/v4lfence.hpp"

namespace v4lfence {
namespace {

using testing::Camera;
using testing::capture;

constexpr unsigned both = V4LFENCE_IMPLICIT_IN | V4LFENCE_IMPLICIT_OUT;

int set(int fd, unsigned flags) {
    return v4lfence_set_implicit(fd, flags) < 0 ? -errno : 0;
}

bool readable(int dma_buf, int timeout_ms = 0) {
    pollfd entry{dma_buf, POLLIN, 0};
    return ::poll(&entry, 1, timeout_ms) == 1 && (entry.revents & POLLIN) != 0;
}

TEST(Implicit, wrong_use_is_refused) {
    const Camera camera("implicit-wrong");
    EXPECT_EQ(set(camera.fd(), both + 1), -EINVAL);
    EXPECT_EQ(set(camera.fd(), ~0U), -EINVAL);
    EXPECT_EQ(set(0, V4LFENCE_IMPLICIT_IN), -ENOTTY) << "not a file of ours";
    EXPECT_EQ(set(-1, 0), -ENOTTY);
    v4lfence_stats now{};
    ASSERT_EQ(v4lfence_get_stats(&now, sizeof now), 0);
    EXPECT_EQ(now.fenced_files, 0U) << "a call that fails changes nothing";
    EXPECT_EQ(set(camera.fd(), 0), 0);
    ASSERT_EQ(v4lfence_get_stats(&now, sizeof now), 0);
    EXPECT_EQ(now.fenced_files, 1U);
}

TEST(Implicit, out_needs_fences_of_the_kernel) {
    const Camera camera("implicit-out");
    const bool lacking = v4lfence_provider_reason("vgem") != nullptr;
    EXPECT_EQ(set(camera.fd(), V4LFENCE_IMPLICIT_OUT), lacking ? -ENODEV : 0);
    EXPECT_EQ(set(camera.fd(), V4LFENCE_IMPLICIT_IN), 0);
}

TEST(Implicit, stream_goes_on_where_nothing_was_exported) {
    const Camera camera("implicit-none");
    ASSERT_EQ(set(camera.fd(), V4LFENCE_IMPLICIT_IN), 0);
    ASSERT_EQ(camera.request(2), 0);
    ASSERT_EQ(camera.queue(0), 0);
    ASSERT_EQ(camera.stream(true), 0);
    EXPECT_EQ(camera.dequeue(), 0);
}

/// A consumer in another thread, which has the dma-buf and knows nothing of V4L2.
TEST(Implicit, poll_of_the_dma_buf_waits_for_the_frame) {
    if (const char* reason = v4lfence_provider_reason("vgem")) {
        GTEST_SKIP() << reason;
    }
    const Camera camera("implicit-poll");
    ASSERT_EQ(set(camera.fd(), both), 0);
    ASSERT_EQ(camera.request(2), 0);
    v4l2_exportbuffer exported{};
    exported.type = capture;
    exported.flags = O_CLOEXEC | O_RDWR;
    ASSERT_EQ(camera.ioctl(VIDIOC_EXPBUF, &exported), 0);
    const UniqueFd dma_buf(exported.fd);
    ASSERT_EQ(camera.queue(0), 0);
    EXPECT_FALSE(readable(dma_buf.get()));
    EXPECT_TRUE(camera.flags_of(0) & V4L2_BUF_FLAG_OUT_FENCE);
    bool done = false;
    std::thread consumer([&] {
        constexpr int long_enough_ms = 7000;  // The bound is later.
        done = readable(dma_buf.get(), long_enough_ms) &&
               (camera.flags_of(0) & V4L2_BUF_FLAG_DONE) != 0;
    });
    ASSERT_EQ(camera.stream(true), 0);
    consumer.join();
    EXPECT_TRUE(done) << "readable, and the frame is there";
    EXPECT_EQ(camera.dequeue(), 0);
}

TEST(Implicit, cpp_types_have_it) {
    const api::File file("virtual:camera@implicit-cpp", O_RDWR);
    EXPECT_EQ(file.set_implicit(V4LFENCE_IMPLICIT_IN), 0);
    EXPECT_EQ(file.set_implicit(8), -EINVAL);
    EXPECT_EQ(file.set_provider("eventfd"), 0);
    EXPECT_EQ(file.set_provider("gpu"), -EINVAL);
    EXPECT_EQ(file.set_deadline(5), 0);
    EXPECT_EQ(file.set_fence_names(true), 0);
    EXPECT_EQ(file.set_rfc_caps(true), 0);
    EXPECT_FALSE(file.last_expiry());
    EXPECT_EQ(api::File("/dev/null", O_RDWR).set_fence_names(true), -ENOTTY);
}

}  // namespace
}  // namespace v4lfence
