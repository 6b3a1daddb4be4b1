// SPDX-License-Identifier: MIT

#include <drm.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/kms/framebuffer.hpp"
#include "v4lfence/kms/testing/fake_drm.hpp"

namespace v4lfence {
namespace {

using testing::FakeCard;
using testing::FakeDrm;
using ::testing::HasSubstr;
using testing::open_descriptors;

constexpr std::uint64_t tiled = I915_FORMAT_MOD_X_TILED;

class Framebuffers : public ::testing::Test {
protected:
    Framebuffers() { card->capabilities[DRM_CAP_ADDFB2_MODIFIERS] = 1; }

    ~Framebuffers() override {
        EXPECT_TRUE(card->handles.empty());
        EXPECT_TRUE(card->framebuffers.empty());
        EXPECT_EQ(card->wrong_releases, 0U);
    }

    Outcome<Framebuffer> import(const PictureMemory& memory) {
        return Framebuffer::import(drm, memory, formats, "fake");
    }
    Outcome<Framebuffer> allocate(Extent size, std::uint32_t fourcc,
                                  Sharing sharing = Sharing::Exported) {
        return Framebuffer::allocate(drm, size, fourcc, formats, "fake", sharing);
    }
    void expect_refused(const PictureMemory& memory, const char* words) {
        const auto made = import(memory);
        ASSERT_FALSE(made);
        EXPECT_EQ(made.error().code, -EINVAL);
        EXPECT_THAT(made.error().sentence, HasSubstr(words));
    }

    std::shared_ptr<FakeCard> card = std::make_shared<FakeCard>();
    FakeDrm drm{card};
    const std::vector<PlaneFormat> formats = {{DRM_FORMAT_XRGB8888, DRM_FORMAT_MOD_LINEAR},
                                              {DRM_FORMAT_XRGB8888, tiled},
                                              {DRM_FORMAT_NV12, DRM_FORMAT_MOD_LINEAR},
                                              {DRM_FORMAT_YUYV, DRM_FORMAT_MOD_LINEAR},
                                              {DRM_FORMAT_YUV420, DRM_FORMAT_MOD_LINEAR}};
    const PictureMemory rgb{
        {640, 480}, DRM_FORMAT_XRGB8888, DRM_FORMAT_MOD_LINEAR, 1, {{{7, 0, 2560}}}};
    const PictureMemory nv12{{640, 480},
                             DRM_FORMAT_NV12,
                             DRM_FORMAT_MOD_LINEAR,
                             2,
                             {{{7, 0, 640}, {7, 640 * 480, 640}}}};
};

TEST_F(Framebuffers, import_keeps_no_handle) {
    {
        const auto made = import(rgb);
        ASSERT_TRUE(made);
        EXPECT_TRUE(card->handles.empty());
        EXPECT_EQ(card->framebuffers.size(), 1U);
        EXPECT_EQ(card->framebuffers_made[0].modifier, DRM_FORMAT_MOD_LINEAR);
    }
    EXPECT_TRUE(card->framebuffers.empty());
}

TEST_F(Framebuffers, planes_of_one_dma_buf_share_a_handle_that_is_closed_once) {
    const auto made = import(nv12);
    ASSERT_TRUE(made);
    const DrmFramebuffer& framebuffer = card->framebuffers_made[0];
    EXPECT_EQ(framebuffer.handles[0], framebuffer.handles[1]);
    EXPECT_EQ(framebuffer.offsets[1], 640U * 480);
    EXPECT_EQ(framebuffer.handles[2], 0U);
    EXPECT_EQ(card->wrong_releases, 0U);
}

TEST_F(Framebuffers, planes_of_two_dma_bufs_have_a_handle_each) {
    PictureMemory memory = nv12;
    memory.planes[1] = {8, 0, 640};
    ASSERT_TRUE(import(memory));
    EXPECT_NE(card->framebuffers_made[0].handles[0], card->framebuffers_made[0].handles[1]);
}

TEST_F(Framebuffers, failing_import_gives_back_the_planes_before) {
    PictureMemory memory = nv12;
    memory.planes[1] = {8, 0, 640};
    card->judge_import = [](int dma_buf) { return dma_buf == 8 ? -ENODEV : 0; };
    const auto made = import(memory);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, -ENODEV);
    EXPECT_THAT(made.error().sentence, HasSubstr("does not take the memory of another device"));
}

TEST_F(Framebuffers, plain_memory_falls_back_to_no_modifier) {
    card->capabilities.clear();
    ASSERT_TRUE(import(rgb));
    EXPECT_FALSE(card->framebuffers_made[0].modifier);
    PictureMemory memory = rgb;
    memory.modifier = DRM_FORMAT_MOD_INVALID;
    card->capabilities[DRM_CAP_ADDFB2_MODIFIERS] = 1;
    ASSERT_TRUE(import(memory));
    EXPECT_FALSE(card->framebuffers_made[1].modifier) << "not known: told to nobody";
}

TEST_F(Framebuffers, what_the_plane_does_not_take_is_refused_by_name) {
    PictureMemory memory = rgb;
    memory.fourcc = DRM_FORMAT_RGB565;
    expect_refused(memory, "RG16");
    memory = nv12;
    memory.modifier = tiled;
    expect_refused(memory, "modifier");
    memory = rgb;
    memory.size.width = 0;
    expect_refused(memory, "0x480");
    memory = rgb;
    memory.planes[0].stride = 2559;
    expect_refused(memory, "2560");
    memory = nv12;
    memory.plane_count = 1;
    expect_refused(memory, "2 planes");
    memory.plane_count = 5;
    expect_refused(memory, "1 to 4");
}

TEST_F(Framebuffers, closed_descriptor_is_named) {
    card->judge_import = [](int) { return -EBADF; };
    expect_refused(rgb, "descriptor 7");
}

TEST_F(Framebuffers, allocated_memory_is_one_dma_buf) {
    const std::size_t before = open_descriptors();
    {
        const auto made = allocate({640, 480}, DRM_FORMAT_NV12);
        ASSERT_TRUE(made);
        const PictureMemory& memory = made->memory();
        EXPECT_EQ(memory.plane_count, 2U);
        EXPECT_EQ(memory.planes[0].dma_buf, memory.planes[1].dma_buf);
        EXPECT_EQ(memory.planes[1].offset, memory.planes[0].stride * 480);
        EXPECT_EQ(memory.planes[1].stride, memory.planes[0].stride);
        EXPECT_EQ(open_descriptors(), before + 1);
        EXPECT_TRUE(card->handles.empty());
    }
    EXPECT_EQ(open_descriptors(), before);
}

TEST_F(Framebuffers, allocated_lines_are_the_drivers) {
    const auto made = allocate({642, 480}, DRM_FORMAT_YUYV);
    ASSERT_TRUE(made);
    EXPECT_EQ(made->memory().planes[0].stride, 1344U) << "1284 bytes in lines of 64";
}

TEST_F(Framebuffers, memory_of_three_planes_or_odd_size_is_not_made) {
    EXPECT_EQ(allocate({640, 480}, DRM_FORMAT_YUV420).error().code, -EINVAL);
    EXPECT_EQ(allocate({641, 480}, DRM_FORMAT_NV12).error().code, -EINVAL);
    EXPECT_EQ(allocate({640, 481}, DRM_FORMAT_NV12).error().code, -EINVAL);
    EXPECT_EQ(allocate({0, 480}, DRM_FORMAT_XRGB8888).error().code, -EINVAL);
    EXPECT_EQ(allocate({640, 480}, DRM_FORMAT_RGB565).error().code, -EINVAL);
}

}  // namespace
}  // namespace v4lfence
