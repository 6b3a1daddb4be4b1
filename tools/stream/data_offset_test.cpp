// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include <algorithm>
#include <array>
#include <vector>

#include "tools/display/capture_queue.hpp"
#include "tools/display/formats.hpp"
#include "tools/stream/frame_viewer.hpp"
#include "tools/stream/poison.hpp"

namespace v4lfence {
namespace {

constexpr std::uint32_t offset = 128;

CaptureFormat two_planes() {
    CaptureFormat format;
    format.type = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
    format.fourcc = V4L2_PIX_FMT_NV12M;
    format.size = {64, 32};
    format.planes = {{64, 64 * 32 + offset}, {64, 64 * 16}};
    return format;
}

TEST(DataOffset, is_told_for_each_plane_and_is_no_picture) {
    IoctlBuffer argument(two_planes(), V4L2_MEMORY_MMAP);
    argument.plane(0).data_offset = offset;
    argument.plane(0).bytesused = 2048 + offset;
    argument.plane(1).bytesused = 1024;

    EXPECT_EQ(argument.data_offsets(), (DataOffsets{offset}));
    EXPECT_EQ(argument.bytes_used(0), 2048U);
    EXPECT_EQ(argument.bytes_used(1), 1024U);
}

TEST(DataOffset, buffer_without_planes_has_none) {
    CaptureFormat format = two_planes();
    format.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    IoctlBuffer argument(format, V4L2_MEMORY_MMAP);
    argument.plane(0).data_offset = offset;

    EXPECT_EQ(argument.data_offsets(), DataOffsets{});
}

TEST(DataOffset, beyond_the_plane_leaves_nothing) {
    std::array<std::byte, 256> memory{};
    const std::span<std::byte> plane(memory);

    EXPECT_EQ(picture_bytes(plane, offset).data(), plane.data() + offset);
    EXPECT_TRUE(picture_bytes(plane, 256).empty());
    EXPECT_TRUE(picture_bytes(plane, 0xffffffff).empty());
}

TEST(DataOffset, poison_before_the_picture_is_nobodys_fault) {
    std::vector<std::byte> plane(2048 + offset);
    write_poison(std::span(plane));
    const auto image = picture_bytes(std::span(plane), offset);
    std::fill(image.begin(), image.end(), std::byte{0x55});

    EXPECT_FALSE(finds_poison(image, image.size()));
    write_poison(image);
    EXPECT_TRUE(finds_poison(image, image.size()));
}

TEST(DataOffset, display_is_told_where_pictures_begin) {
    const auto apart = scanout_layout(two_planes(), {offset, 16});
    ASSERT_TRUE(apart.has_value());
    EXPECT_EQ(apart->planes[0].offset, offset);
    EXPECT_EQ(apart->planes[1].offset, 16U);

    CaptureFormat one = two_planes();
    one.fourcc = V4L2_PIX_FMT_NV12;
    one.planes.resize(1);
    const auto together = scanout_layout(one, {offset});
    ASSERT_TRUE(together.has_value());
    EXPECT_EQ(together->planes[0].offset, offset);
    EXPECT_EQ(together->planes[1].offset, offset + 64U * 32U);
}

/// A camera of the library's with planes of their own.
Attempt<Camera> open_camera() {
    CameraChoices choices;
    choices.device = "virtual:camera-mplane";
    choices.size = ImageSize{320, 180};
    return Camera::open(choices);
}

TEST(DataOffset, picture_is_viewed_from_where_it_begins) {
    auto camera = open_camera();
    ASSERT_TRUE(camera.has_value()) << camera.error().message;
    CaptureFormat format = camera->format();
    auto pool = BufferPool::create(*camera, V4L2_MEMORY_MMAP, 2);
    ASSERT_TRUE(pool.has_value()) << pool.error().message;
    format.size.height /= 2;  // or there is no room
    FrameViewer viewer(format, *pool);
    for (unsigned plane = 0; plane < format.planes.size(); ++plane) {
        const auto bytes = pool->plane(0, plane);
        std::fill(bytes.begin(), bytes.end(), std::byte{16});
    }
    pool->plane(0, 0)[offset] = std::byte{200};

    const auto at_once = viewer.view(0, 0, {});
    const auto later = viewer.view(0, 0, {offset});
    ASSERT_TRUE(at_once && later);
    EXPECT_EQ(at_once->luma(0, 0), 16);
    EXPECT_EQ(later->luma(0, 0), 200);
    EXPECT_FALSE(viewer.view(0, 0, {0xffffffff}));
}

TEST(DataOffset, prepared_buffer_tells_it) {
    auto camera = open_camera();
    ASSERT_TRUE(camera.has_value()) << camera.error().message;
    auto pool = BufferPool::create(*camera, V4L2_MEMORY_MMAP, 2);
    ASSERT_TRUE(pool.has_value()) << pool.error().message;

    const auto learnt = learn_data_offsets(*camera, *pool);
    ASSERT_TRUE(learnt.has_value()) << learnt.error().message;
    EXPECT_EQ(*learnt, DataOffsets{});
    // The camera refuses to prepare a buffer twice, and who cannot ask does not know.
    EXPECT_FALSE(learn_data_offsets(*camera, *pool).has_value());
}

TEST(DataOffset, frame_that_lies_elsewhere_than_told_is_no_success) {
    auto camera = open_camera();
    ASSERT_TRUE(camera.has_value()) << camera.error().message;

    EXPECT_TRUE(check_data_offsets(*camera, {offset, 0}, {offset, 0}));
    const auto wrong = check_data_offsets(*camera, {0, 0}, {0, offset});
    ASSERT_FALSE(wrong.has_value());
    EXPECT_NE(wrong.error().message.find("128 bytes into plane 1"), std::string::npos);
}

}  // namespace
}  // namespace v4lfence
