// SPDX-License-Identifier: MIT
//
// A codec that drains: the encoder of vicodec.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <cerrno>
#include <optional>
#include <string>
#include <utility>

#include "tests/vm/nodes/node.hpp"

namespace v4lfence::nodes {
namespace {

constexpr unsigned width = 640;
constexpr unsigned height = 360;

class Encoder : public NodeTest {
protected:
    void set_up() override {
        for (const std::string& path : find("vicodec", V4L2_CAP_VIDEO_M2M)) {
            api::File file = open(path);
            v4l2_format format{};
            format.type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
            format.fmt.pix.pixelformat = V4L2_PIX_FMT_NV12;
            format.fmt.pix.width = width;
            format.fmt.pix.height = height;
            v4l2_encoder_cmd command{};
            command.cmd = V4L2_ENC_CMD_STOP;
            if (file.ioctl(VIDIOC_TRY_ENCODER_CMD, &command) == 0 &&
                file.ioctl(VIDIOC_S_FMT, &format) == 0) {
                file_ = std::move(file);
                break;
            }
        }
        if (!file_) {
            GTEST_SKIP() << "needs vicodec, single-planar";
        }
        ASSERT_GE(raw_.request(2), 2);
        ASSERT_GE(coded_.request(4), 4);
        for (unsigned index = 0; index < 4; ++index) {
            ASSERT_EQ(coded_.queue(index, nullptr, &coded_done_[index]), 0);
        }
    }

    void start() {
        ASSERT_EQ(raw_.stream(true), 0);
        ASSERT_EQ(coded_.stream(true), 0);
    }
    int command(std::uint32_t which) const {
        v4l2_encoder_cmd command{};
        command.cmd = which;
        return file_.ioctl(VIDIOC_ENCODER_CMD, &command);
    }
    /// Encodes one frame, drains, and takes what comes, up to the end.
    void drain() {
        ASSERT_EQ(raw_.queue(0, nullptr, &raw_done_), 0);
        EXPECT_EQ(wait(raw_done_), 0);
        ASSERT_EQ(command(V4L2_ENC_CMD_STOP), 0);
        EXPECT_EQ(raw_.take().status, 0);
        Queue::Taken taken;
        do {
            taken = coded_.take();
            ASSERT_EQ(taken.status, 0);
            EXPECT_EQ(wait(coded_done_[taken.index]), 0) << "whatever it holds, it was finished";
            ++taken_;
        } while (!(taken.flags & V4L2_BUF_FLAG_LAST));
    }
    static std::uint64_t wakeups() {
        v4lfence_stats now{};
        EXPECT_EQ(v4lfence_get_stats(&now, sizeof now), 0);
        return now.wakeups;
    }

    api::File file_;
    Queue raw_{file_, V4L2_BUF_TYPE_VIDEO_OUTPUT};
    Queue coded_{file_, V4L2_BUF_TYPE_VIDEO_CAPTURE};
    api::Fence raw_done_;
    api::Fence coded_done_[4];
    unsigned taken_ = 0;
};

// Pins: 6.9
TEST_F(Encoder, last_and_epipe_mean_what_they_mean) {
    start();
    drain();
    EXPECT_EQ(coded_.try_take().status, -EPIPE);
    EXPECT_EQ(coded_.readiness(), POLLIN) << "so that who waits is told";
    const int flags = ::fcntl(file_.fd(), F_GETFL);
    ASSERT_EQ(::fcntl(file_.fd(), F_SETFL, flags & ~O_NONBLOCK), 0);
    EXPECT_EQ(coded_.try_take().status, -EPIPE) << "and who would wait does not";
}

// Pins: 6.9
TEST_F(Encoder, buffers_behind_the_last_keep_their_fences) {
    start();
    drain();
    ASSERT_LT(taken_, 4U);
    const std::uint64_t before = wakeups();
    pollfd entry{coded_done_[3].fd(), POLLIN, 0};
    EXPECT_EQ(v4lfence_poll(&entry, 1, 300), 0);
    EXPECT_LT(wakeups() - before, 20U) << "though the kernel says readable all the time";
    // One more, with an in-fence: it may be given, and waits there.
    Gate gate;
    ASSERT_EQ(coded_.queue(0, &gate.fence(), &coded_done_[0]), 0);
    gate.end(0);
    EXPECT_EQ(v4lfence_poll(&entry, 1, 100), 0);
    EXPECT_EQ(ended(coded_done_[0]), std::nullopt);
    EXPECT_EQ(coded_.stream(false), 0);
    for (unsigned index = taken_; index < 4; ++index) {
        EXPECT_EQ(ended(coded_done_[index]), -ECANCELED) << index;
    }
    EXPECT_EQ(ended(coded_done_[0]), -ECANCELED);
}

// Pins: 6.9
TEST_F(Encoder, restart_goes_on_with_the_buffers_behind_the_last) {
    start();
    drain();
    ASSERT_LT(taken_, 4U);
    ASSERT_EQ(command(V4L2_ENC_CMD_START), 0);
    EXPECT_EQ(ended(coded_done_[taken_]), std::nullopt);
    ASSERT_EQ(raw_.queue(1, nullptr, &raw_done_), 0);
    EXPECT_EQ(wait(raw_done_), 0);
    EXPECT_EQ(wait(coded_done_[taken_]), 0);
    // Fetching it is another matter: vicodec goes on saying EPIPE.
    EXPECT_TRUE(coded_.flags(taken_) & V4L2_BUF_FLAG_DONE);
}

}  // namespace
}  // namespace v4lfence::nodes
