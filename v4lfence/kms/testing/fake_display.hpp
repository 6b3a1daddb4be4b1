// SPDX-License-Identifier: MIT
//
// A Display on a card in memory: one connector with two modes, one CRTC, a primary plane and an
// overlay. At the end everything has been given back.

#pragma once

#include <drm_fourcc.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/kms/display.hpp"
#include "v4lfence/kms/testing/fake_drm.hpp"

namespace v4lfence::testing {

/// Each look at it is nearly half a bound later: a wait for what never comes polls once, for 2 ms.
class HastyClock final : public Clock {
public:
    MonotonicTime now() const override {
        now_ += Display::close_bound / 2 - std::chrono::milliseconds(1);
        return now_;
    }

private:
    mutable MonotonicTime now_ = from_ns(1);
};

class Displays : public ::testing::Test {
protected:
    Displays() {
        crtc = card->add_crtc();
        connector =
            card->add_connector(DRM_MODE_CONNECTOR_HDMIA, Connection::Connected,
                                {make_mode(1280, 720, 60, true), make_mode(640, 480, 60)}, 0b1);
        primary = card->add_plane(PlaneType::Primary, 0b1, {DRM_FORMAT_XRGB8888});
        overlay = card->add_plane(PlaneType::Overlay, 0b1, {DRM_FORMAT_NV12});
    }

    ~Displays() override {
        display.reset();
        EXPECT_EQ(card->wrong_releases, 0U);
        EXPECT_TRUE(card->handles.empty());
        EXPECT_TRUE(card->framebuffers.empty());
        EXPECT_EQ(card->blobs.size(), blobs_of_others);
        EXPECT_EQ(open_descriptors(), descriptors_before);
    }

    void open(DisplayWish wish = {}) {
        auto drm = std::make_unique<FakeDrm>(card);
        Card fake{"/dev/dri/card7", "fake", 226, 7, std::move(drm), {}};
        fake.topology = *read_topology(*fake.drm);
        auto made = Display::create(std::move(fake), wish, clock);
        ASSERT_TRUE(made) << made.error().sentence;
        display = std::move(*made);
    }

    int picture(Extent size = {1280, 720}, std::uint32_t fourcc = DRM_FORMAT_XRGB8888) {
        const auto number = display->allocate(size, fourcc);
        EXPECT_TRUE(number);
        return number.value_or(0);
    }

    PictureFlip flip(std::uint32_t sequence = 1) {
        card->finish(crtc, sequence, 1000);
        const auto taken = display->next_flip();
        EXPECT_TRUE(taken && *taken);
        return taken->value_or(PictureFlip{});
    }

    void show(int number) {
        const auto shown = display->show({number}, false);
        ASSERT_TRUE(shown) << shown.error().sentence;
        flip();
    }

    const FakeCommit& last() const { return card->commits.back(); }

    const std::size_t descriptors_before = open_descriptors() + 1;  // The fake card's bell.
    std::shared_ptr<FakeCard> card = std::make_shared<FakeCard>();
    HastyClock clock;
    std::uint32_t crtc, connector, primary, overlay;
    std::size_t blobs_of_others = 0;
    std::unique_ptr<Display> display;
};

}  // namespace v4lfence::testing
