// SPDX-License-Identifier: MIT
//
// Pictures and fences on displays of the kernel, by v4lfence/kms.h.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <xf86drmMode.h>

#include <string>
#include <utility>

#include "tests/support/kernel_display.hpp"
#include "tests/support/vivid_dma_buf.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/fence/sync_file.hpp"

namespace v4lfence {
namespace {

using namespace v4lfence::testing;
using ::testing::AnyOf;
using ::testing::HasSubstr;

/// What the kernel says of the plane that shows the pictures.
std::uint64_t plane_value(const v4lfence_display* display, const std::string& name) {
    v4lfence_display_info info{};
    v4lfence_display_get_info(display, &info, sizeof(info));
    const int card = v4lfence_display_fd(display);
    drmModeObjectProperties* const all =
        drmModeObjectGetProperties(card, info.plane_id, DRM_MODE_OBJECT_PLANE);
    std::uint64_t value = 0;
    for (std::uint32_t i = 0; all != nullptr && i < all->count_props; ++i) {
        drmModePropertyRes* const property = drmModeGetProperty(card, all->props[i]);
        if (property != nullptr && property->name == name) {
            value = all->prop_values[i];
        }
        drmModeFreeProperty(property);
    }
    drmModeFreeObjectProperties(all);
    return value;
}

TEST_P(KernelDisplay, info_says_what_was_chosen) {
    EXPECT_STREQ(info_.driver, GetParam());
    EXPECT_GE(info_.width, width);
    EXPECT_GT(info_.refresh_mhz, 0U);
    EXPECT_EQ(info_.in_fences, 1U);
    EXPECT_EQ(info_.out_fences, 1U);
    const OwnedDisplay display = open();
    v4lfence_display_format format{};
    EXPECT_GT(v4lfence_display_formats(display.get(), &format, 1), 0U);
    EXPECT_NE(format.fourcc, 0U);
}

// Pins: 7.5
TEST_P(KernelDisplay, card_has_the_lowest_number_and_is_close_on_exec) {
    UniqueFd free = std::move(*sys::open("/dev/null", O_RDONLY));
    const int lowest = free.get();
    free.reset();
    const auto choice = wish(info_.card);
    const Opened opened = open_display(choice);
    ASSERT_TRUE(opened.display) << opened.why;
    EXPECT_EQ(v4lfence_display_fd(opened.display.get()), lowest)
        << "fences of vgem, which are above it, would go after it when the program is killed";
    EXPECT_EQ(::fcntl(lowest, F_GETFD), FD_CLOEXEC);
}

TEST_P(KernelDisplay, fences_go_both_ways) {
    const OwnedDisplay display = open();
    const int pictures[] = {allocate(display.get(), info_.width, info_.height),
                            allocate(display.get(), info_.width, info_.height)};
    for (int frame = 0; frame < 6; ++frame) {
        MintedFence in = mint();
        int out = -1;
        ASSERT_EQ(try_show(display.get(), pictures[frame % 2], in.fd.get(), &out), 0)
            << v4lfence_display_error(display.get());
        const UniqueFd out_fence(out);
        ASSERT_TRUE(query_sync_state(out)) << "it is no sync_file";
        EXPECT_FALSE(is_ready(out, 30)) << "the display did not wait";
        EXPECT_FALSE(is_ready(v4lfence_display_fd(display.get()), 0));
        EXPECT_EQ(try_show(display.get(), pictures[0], -1, nullptr), -1);
        EXPECT_EQ(errno, EBUSY);
        std::move(in.promise).end(0);
        EXPECT_TRUE(is_ready(out, patience_ms));
        const v4lfence_flip flip = take_flip(display.get());
        EXPECT_EQ(flip.picture, pictures[frame % 2]);
        EXPECT_EQ(flip.previous, frame == 0 ? 0 : pictures[(frame + 1) % 2]);
        EXPECT_GT(flip.time_ns, 0);
    }
}

TEST_P(KernelDisplay, in_fence_that_the_kernel_cannot_wait_for_changes_nothing) {
    const OwnedDisplay display = open();
    const int picture = allocate(display.get(), info_.width, info_.height);
    const auto pipe = sys::pipe(0);
    int out = -1;
    EXPECT_EQ(try_show(display.get(), picture, pipe->read_end.get(), &out), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(out, -1);
    EXPECT_THAT(v4lfence_display_error(display.get()), HasSubstr("no sync_file"));
    EXPECT_EQ(try_show(display.get(), picture, 9999, &out), -1);
    EXPECT_THAT(v4lfence_display_error(display.get()), HasSubstr("9999"));
    EXPECT_EQ(try_show(display.get(), picture + 1, -1, &out), -1);
    EXPECT_EQ(errno, ENOENT);
    show(display.get(), picture);
}

TEST_P(KernelDisplay, mode_changes_with_the_next_picture) {
    const OwnedDisplay display = open();
    show(display.get(), allocate(display.get(), info_.width, info_.height));
    EXPECT_EQ(v4lfence_display_set_mode(display.get(), "801x601"), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_THAT(v4lfence_display_error(display.get()), HasSubstr("800x600"));
    ASSERT_EQ(v4lfence_display_set_mode(display.get(), "800x600"), 0);
    show(display.get(), allocate(display.get(), 800, 600));
    v4lfence_display_info info{};
    v4lfence_display_get_info(display.get(), &info, sizeof(info));
    EXPECT_EQ(info.width, 800U);
    // A larger picture is scaled or cut; a smaller one the driver may refuse.
    show(display.get(), allocate(display.get(), 1024, 768));
    const int small = allocate(display.get(), 320, 200);
    if (try_show(display.get(), small, -1, nullptr) == 0) {
        EXPECT_EQ(take_flip(display.get()).picture, small);
    } else {
        EXPECT_EQ(errno, ERANGE);
        EXPECT_THAT(v4lfence_display_error(display.get()), HasSubstr("320x200"));
    }
}

TEST_P(KernelDisplay, part_of_a_picture_is_shown) {
    const OwnedDisplay display = open();
    constexpr unsigned padding = 16;
    v4lfence_display_frame frame =
        frame_of(allocate(display.get(), info_.width, info_.height + padding));
    frame.source_y = padding / 2;
    frame.source_width = info_.width;
    frame.source_height = info_.height;
    ASSERT_EQ(v4lfence_display_show(display.get(), &frame, nullptr), 0)
        << v4lfence_display_error(display.get());
    take_flip(display.get());
    EXPECT_EQ(plane_value(display.get(), "SRC_Y"), std::uint64_t{padding / 2} << 16);
    EXPECT_EQ(plane_value(display.get(), "SRC_H"), std::uint64_t{info_.height} << 16);
    EXPECT_EQ(plane_value(display.get(), "CRTC_H"), info_.height);
    frame.source_y = padding + 1;
    EXPECT_EQ(v4lfence_display_show(display.get(), &frame, nullptr), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_THAT(v4lfence_display_error(display.get()), HasSubstr("is not within picture"));
}

TEST_P(KernelDisplay, own_memory_can_be_imported_twice) {
    const OwnedDisplay display = open();
    v4lfence_picture picture{};
    picture.size = sizeof(picture);
    picture.width = info_.width;
    picture.height = info_.height;
    picture.fourcc = DRM_FORMAT_XRGB8888;
    const int original = v4lfence_display_allocate(display.get(), &picture);
    ASSERT_GT(original, 0);
    const int first = v4lfence_display_import(display.get(), &picture);
    const int second = v4lfence_display_import(display.get(), &picture);
    ASSERT_GT(first, 0) << v4lfence_display_error(display.get());
    ASSERT_GT(second, 0);
    EXPECT_EQ(v4lfence_display_forget(display.get(), first), 0);
    show(display.get(), second);
    EXPECT_EQ(v4lfence_display_forget(display.get(), second), -1);
    EXPECT_EQ(errno, EBUSY);
    show(display.get(), original);
}

TEST_P(KernelDisplay, memory_of_a_camera_is_shown_or_refused_with_a_reason) {
    const auto memory = testing::vivid_dma_buf(O_RDWR);
    if (!memory) {
        GTEST_SKIP() << memory.error().where;
    }
    const OwnedDisplay display = open();
    v4lfence_picture picture{};
    picture.size = sizeof(picture);
    picture.width = 32;  // vkms of 6.1 takes no less than 20.
    picture.height = 32;
    picture.fourcc = DRM_FORMAT_XRGB8888;
    picture.plane_count = 1;
    picture.planes[0].fd = memory->get();
    picture.planes[0].stride = 128;
    const int number = v4lfence_display_import(display.get(), &picture);
    const std::string why = number > 0 ? "taken" : v4lfence_display_error(display.get());
    std::printf("memory of vivid: %s\n", why.c_str());
    EXPECT_THAT(why, AnyOf("taken", HasSubstr("does not take the memory of another device")));
}

TEST_P(KernelDisplay, overlay_leaves_the_primary_black) {
    auto choice = wish(GetParam());
    choice.plane = V4LFENCE_PLANE_OVERLAY;
    const Opened opened = open_display(choice);
    if (!opened.display) {
        EXPECT_EQ(opened.error, ENODEV);
        EXPECT_THAT(opened.why, HasSubstr("no free overlay plane"));
        GTEST_SKIP() << "needs a driver with overlay planes: " << opened.why;
    }
    v4lfence_display* const display = opened.display.get();
    v4lfence_display_format format{};
    ASSERT_GT(v4lfence_display_formats(display, &format, 1), 0U);
    v4lfence_picture picture{};
    picture.size = sizeof(picture);
    picture.width = 320;
    picture.height = 200;
    picture.fourcc = format.fourcc;
    const int number = v4lfence_display_allocate(display, &picture);
    ASSERT_GT(number, 0) << v4lfence_display_error(display);
    for (int frame = 0; frame < 3; ++frame) {
        show(display, number);
    }
    ASSERT_EQ(v4lfence_display_set_mode(display, "800x600"), 0);
    show(display, number);
}

TEST_P(KernelDisplay, descriptors_do_not_grow) {
    const std::size_t before_open = open_descriptors();
    OwnedDisplay display = open();
    const int pictures[] = {allocate(display.get(), info_.width, info_.height),
                            allocate(display.get(), info_.width, info_.height)};
    std::size_t before = 0;
    for (int frame = 0; frame < 200; ++frame) {
        if (frame == 4) {
            before = open_descriptors();
        }
        MintedFence in = mint();
        int out = -1;
        ASSERT_EQ(try_show(display.get(), pictures[frame % 2], in.fd.get(), &out), 0)
            << v4lfence_display_error(display.get());
        const UniqueFd out_fence(out);
        std::move(in.promise).end(0);
        take_flip(display.get());
    }
    EXPECT_EQ(open_descriptors(), before);
    display.reset();
    fences_->forget(0);
    EXPECT_LE(open_descriptors(), before_open + 1) << "vgem's own memory for its fences, once";
}

INSTANTIATE_TEST_SUITE_P(Drivers, KernelDisplay, ::testing::Values("virtio_gpu", "vkms"),
                         driver_of);

}  // namespace
}  // namespace v4lfence
