// SPDX-License-Identifier: MIT

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "tests/vm/camera/camera.hpp"
#include "tests/vm/camera/descriptors.hpp"
#include "tests/vm/camera/picture.hpp"
#include "tests/vm/camera/vhci.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {
namespace {

using Header = std::array<std::uint32_t, 12>;

/// The host's side of a camera's connection; times are scripted.
class CameraTest : public testing::Test {
protected:
    void SetUp() override { plug_in({}); }

    void plug_in(const Misbehaviour& misbehaviour) {
        auto ends = sys::socketpair(0);
        ASSERT_TRUE(ends);
        host_ = std::move(ends->first);
        camera_ = std::make_unique<UsbCamera>(std::move(ends->second), "test", misbehaviour);
    }

    Result<> submit(std::uint32_t seqnum, std::uint32_t endpoint, bool in, std::uint32_t length,
                    std::array<std::uint8_t, 8> setup = {}, const Bytes& data = {}) {
        Header w{htonl(1), htonl(seqnum), 0, htonl(in ? 1 : 0), htonl(endpoint), 0, htonl(length)};
        std::memcpy(&w[10], setup.data(), setup.size());
        return send(w, data);
    }

    Result<> unlink(std::uint32_t seqnum, std::uint32_t victim) {
        return send({htonl(2), htonl(seqnum), 0, 0, 0, htonl(victim)}, {});
    }

    Result<> commit_stream() {
        Bytes wish(34);
        wish[2] = static_cast<std::uint8_t>(PictureFormat::Yuyv);
        wish[3] = 2;  // 320x180
        return submit(1, 0, false, 34, {0x21, 0x01, 0, 2, 1, 0, 34, 0}, wish);
    }

    Result<> next_tick() {
        now_ = *camera_->next_picture();
        return camera_->tick(now_);
    }

    struct Answer {
        std::uint32_t command, seqnum;
        int status;
        Bytes data;
    };
    Answer answer(bool with_data) {
        Header w{};
        EXPECT_TRUE(sys::read(host_.get(), std::as_writable_bytes(std::span(w))));
        Answer a{ntohl(w[0]), ntohl(w[1]), static_cast<int>(ntohl(w[5])), {}};
        a.data.resize(with_data ? ntohl(w[6]) : 0);
        for (std::size_t got = 0; got < a.data.size();) {
            got += *sys::read(host_.get(), std::as_writable_bytes(std::span(a.data).subspan(got)));
        }
        return a;
    }

    UniqueFd host_;
    std::unique_ptr<UsbCamera> camera_;
    MonotonicTime now_{};
    const VideoMode mode_{PictureFormat::Yuyv, 2, default_interval};

private:
    Result<> send(const Header& header, const Bytes& data) {
        Bytes message(sizeof header);
        std::memcpy(message.data(), header.data(), sizeof header);
        message.insert(message.end(), data.begin(), data.end());
        V4LFENCE_TRY(sys::write(host_.get(), std::as_bytes(std::span(message))));
        return camera_->serve(now_);
    }
};

constexpr std::uint32_t small_transfer = 16'384;

TEST(Descriptors, total_length_covers_the_chain_of_lengths) {
    const Bytes d = configuration_descriptor();
    EXPECT_EQ(d.size(), d[2] | std::size_t{d[3]} << 8);
    std::size_t at = 0;
    while (at < d.size() && d[at] != 0) {
        at += d[at];
    }
    EXPECT_EQ(at, d.size());
}

TEST(Descriptors, unknown_string_is_none) {
    EXPECT_TRUE(string_descriptor(4, "x").empty());
    EXPECT_EQ(string_descriptor(3, "ab"), (Bytes{6, 3, 'a', 0, 'b', 0}));
}

TEST(Picture, number_is_found_again_in_every_mode) {
    Bytes frame;
    for (PictureFormat format : picture_formats) {
        for (std::uint8_t size = 1; size <= picture_sizes.size(); ++size) {
            const VideoMode mode{format, size, default_interval};
            for (std::uint32_t number : {0u, 1u, 0x80000001u, 0xdeadbeefu}) {
                paint(frame, mode, number);
                ASSERT_EQ(frame.size(), mode.bytes());
                EXPECT_EQ(painted_number(frame, mode), number);
            }
        }
    }
}

TEST(Mode, nearest_interval_is_one_on_offer) {
    EXPECT_EQ(nearest_interval(0), frame_intervals.front());
    EXPECT_EQ(nearest_interval(400'000), default_interval);
    EXPECT_EQ(nearest_interval(0xffffffff), frame_intervals.back());
}

TEST(Vhci, only_free_high_speed_ports_count) {
    EXPECT_EQ(free_ports("hub port sta spd dev      sockfd local_busid\n"
                         "hs  0000 006 003 00010002 000003 1-1\n"
                         "hs  0001 004 000 00000000 000000 0-0\n"
                         "ss  0008 004 000 00000000 000000 0-0\n"),
              std::vector<int>{1});
}

TEST_F(CameraTest, unknown_request_is_stalled) {
    ASSERT_TRUE(submit(7, 0, true, 8, {0xc0, 0x55, 0, 0, 0, 0, 8, 0}));
    const Answer a = answer(true);
    EXPECT_EQ(a.seqnum, 7u);
    EXPECT_EQ(a.status, -EPIPE);
}

TEST_F(CameraTest, descriptor_is_cut_to_what_the_host_asks_for) {
    ASSERT_TRUE(submit(7, 0, true, 9, {0x80, 6, 0, 2, 0, 0, 9, 0}));
    EXPECT_EQ(answer(true).data.size(), 9u);
}

TEST_F(CameraTest, frames_of_a_stream_are_numbered_from_zero) {
    ASSERT_TRUE(commit_stream());
    answer(false);
    std::uint32_t seqnum = 10;
    for (std::uint32_t number = 0; number < 3; ++number) {
        ASSERT_TRUE(submit(seqnum++, 1, true, mode_.bytes() + payload_header_size));
        ASSERT_TRUE(next_tick());
        Bytes payload = answer(true).data;
        ASSERT_EQ(payload.size(), mode_.bytes() + payload_header_size);
        payload.erase(payload.begin(), payload.begin() + payload_header_size);
        EXPECT_EQ(painted_number(payload, mode_), number);
    }
}

TEST_F(CameraTest, picture_without_a_waiting_transfer_uses_up_no_number) {
    ASSERT_TRUE(commit_stream());
    answer(false);
    ASSERT_TRUE(next_tick());
    ASSERT_TRUE(submit(10, 1, true, mode_.bytes() + payload_header_size));
    ASSERT_TRUE(next_tick());
    Bytes payload = answer(true).data;
    payload.erase(payload.begin(), payload.begin() + payload_header_size);
    EXPECT_EQ(painted_number(payload, mode_), 0u);
}

TEST_F(CameraTest, frozen_camera_sends_nothing_until_thawed) {
    ASSERT_TRUE(commit_stream());
    answer(false);
    ASSERT_TRUE(submit(10, 1, true, small_transfer));
    camera_->toggle_frozen();
    ASSERT_TRUE(next_tick());
    EXPECT_EQ(*sys::poll_now(host_.get(), POLLIN), 0);
    camera_->toggle_frozen();
    ASSERT_TRUE(next_tick());
    EXPECT_EQ(*sys::poll_now(host_.get(), POLLIN), POLLIN);
}

TEST_F(CameraTest, short_frame_is_half_and_ended_by_an_unfilled_transfer) {
    plug_in({.short_every = 1});
    ASSERT_TRUE(commit_stream());
    answer(false);
    ASSERT_TRUE(next_tick());
    ASSERT_TRUE(submit(10, 1, true, mode_.bytes()));
    ASSERT_TRUE(next_tick());
    EXPECT_EQ(answer(true).data.size(), mode_.bytes() / 2 + payload_header_size);
    EXPECT_EQ(camera_->frames(), 1u);
}

TEST_F(CameraTest, unplugs_in_the_middle_of_the_frame) {
    plug_in({.unplug_after = 1});
    ASSERT_TRUE(commit_stream());
    answer(false);
    const std::uint32_t half = mode_.bytes() / 2 + payload_header_size;
    ASSERT_TRUE(submit(10, 1, true, half));
    ASSERT_TRUE(submit(11, 1, true, half));
    ASSERT_TRUE(next_tick());
    ASSERT_EQ(camera_->frames(), 1u);
    ASSERT_TRUE(submit(12, 1, true, half));
    const Result<> end = next_tick();
    ASSERT_FALSE(end);
    EXPECT_EQ(end.error().code, -ENODEV);
}

TEST_F(CameraTest, waiting_transfer_is_given_back_once) {
    ASSERT_TRUE(submit(10, 1, true, small_transfer));
    ASSERT_TRUE(unlink(11, 10));
    Answer a = answer(false);
    EXPECT_EQ(a.command, 4u);
    EXPECT_EQ(a.seqnum, 11u);
    EXPECT_EQ(a.status, -ECONNRESET);
    ASSERT_TRUE(unlink(12, 10));
    EXPECT_EQ(answer(false).status, 0);
}

TEST_F(CameraTest, unlink_ahead_of_its_transfer_is_answered_with_it) {
    ASSERT_TRUE(unlink(11, 10));
    ASSERT_TRUE(submit(10, 1, true, small_transfer));
    const Answer early = answer(false);
    EXPECT_EQ(early.command, 4u);
    EXPECT_EQ(early.seqnum, 11u);
    EXPECT_EQ(early.status, -ECONNRESET);
    ASSERT_TRUE(unlink(13, 10));
    EXPECT_EQ(answer(false).status, 0) << "the transfer is still there";
}

TEST_F(CameraTest, host_that_lets_go_is_an_unplug) {
    host_.reset();
    const Result<> end = camera_->serve(now_);
    ASSERT_FALSE(end);
    EXPECT_EQ(end.error().code, -ENODEV);
}

}  // namespace
}  // namespace v4lfence
