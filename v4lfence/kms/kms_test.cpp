// SPDX-License-Identifier: MIT
//
// The structs of v4lfence/kms.h, of programs that are older and newer than the library.

#include <drm_fourcc.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/kms/c_display.hpp"
#include "v4lfence/kms/sized.hpp"
#include "v4lfence/kms/testing/fake_drm.hpp"

namespace v4lfence {
namespace {

using testing::FakeCard;
using testing::FakeDrm;
using ::testing::HasSubstr;
using testing::make_mode;

struct Grown {
    std::uint32_t size;
    std::uint32_t first;
    std::uint64_t added;
};
constexpr std::size_t first_size = offsetof(Grown, added);

TEST(SizedStructs, of_an_older_program_what_was_added_is_zero) {
    const Grown old{first_size, 7, 99};
    const auto read = read_sized(&old, first_size);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->first, 7U);
    EXPECT_EQ(read->added, 0U);
    Grown filled{first_size, 0, 99};
    write_sized(&filled, Grown{0, 8, 55});
    EXPECT_EQ(filled.size, first_size);
    EXPECT_EQ(filled.first, 8U);
    EXPECT_EQ(filled.added, 99U) << "that is no memory of the struct";
}

TEST(SizedStructs, smaller_than_the_first_there_was_is_invalid) {
    const Grown small{first_size - 1, 7, 0};
    EXPECT_EQ(read_sized(&small, first_size).error().code, -EINVAL);
    EXPECT_EQ(read_sized<Grown>(nullptr, first_size).error().code, -EINVAL);
}

/// Of a header that has something more.
template <class T>
struct Later {
    T known{};
    std::uint64_t news = 0;

    Later() { known.size = sizeof(*this); }
};

TEST(SizedStructs, of_a_newer_program_what_is_not_known_must_be_zero) {
    Later<Grown> later;
    later.known.first = 7;
    EXPECT_EQ(read_sized(&later.known, first_size)->first, 7U);
    later.news = std::uint64_t{1} << 56;
    EXPECT_EQ(read_sized(&later.known, first_size).error().code, -E2BIG);
    write_sized(&later.known, Grown{0, 8, 55});
    EXPECT_EQ(later.known.added, 55U);
    EXPECT_EQ(later.news, 0U);
}

/// What v4lfence_display_open() says to a choice of something that is no card.
int refusal(v4lfence_display_choice& choice) {
    choice.card = "/dev/null";
    EXPECT_EQ(v4lfence_display_open(&choice, nullptr, 0), nullptr);
    return errno;
}

TEST(DisplayChoice, size_and_what_is_reserved_are_checked) {
    Later<v4lfence_display_choice> later;
    EXPECT_EQ(refusal(later.known), ENODEV) << "a choice that is understood";
    later.news = 1;
    EXPECT_EQ(refusal(later.known), E2BIG);
    later.known.size = sizeof(later.known);
    EXPECT_EQ(refusal(later.known), ENODEV);
    later.known.reserved[8] = 1;
    EXPECT_EQ(refusal(later.known), EINVAL);
    later.known.reserved[8] = 0;
    later.known.size = sizeof(later.known) - 1;
    EXPECT_EQ(refusal(later.known), EINVAL);
}

class DisplayStructs : public ::testing::Test {
protected:
    DisplayStructs() {
        crtc = card->add_crtc();
        card->add_connector(DRM_MODE_CONNECTOR_HDMIA, Connection::Connected,
                            {make_mode(640, 480, 60)}, 0b1);
        plane = card->add_plane(PlaneType::Primary, 0b1, {DRM_FORMAT_XRGB8888});
        Card fake{"/dev/dri/card7", "fake", 226, 7, std::make_unique<FakeDrm>(card), {}};
        fake.topology = *read_topology(*fake.drm);
        display.display = std::move(*Display::create(std::move(fake), DisplayWish{}, clock));
        picture.known.width = 640;
        picture.known.height = 480;
        picture.known.fourcc = DRM_FORMAT_XRGB8888;
    }

    void expect_refused(int result, int error) {
        EXPECT_EQ(result, -1);
        EXPECT_EQ(errno, error);
        EXPECT_STRNE(v4lfence_display_error(&display), "");
        display.error.clear();
    }
    int allocate() { return v4lfence_display_allocate(&display, &picture.known); }
    int show(int number) {
        Later<v4lfence_display_frame> frame;
        frame.known.picture = number;
        frame.known.in_fence = -1;
        return v4lfence_display_show(&display, &frame.known, nullptr);
    }
    int import() { return v4lfence_display_import(&display, &picture.known); }

    SystemClock clock;
    std::shared_ptr<FakeCard> card = std::make_shared<FakeCard>();
    std::uint32_t crtc = 0;
    std::uint32_t plane = 0;
    v4lfence_display display;
    Later<v4lfence_picture> picture;
};

TEST_F(DisplayStructs, picture_of_a_later_version_is_taken_where_it_asks_nothing_new) {
    EXPECT_EQ(allocate(), 1);
    EXPECT_EQ(picture.known.size, sizeof(picture));
    EXPECT_EQ(picture.known.plane_count, 1U);
    EXPECT_EQ(import(), 2);
    picture.news = 1;
    expect_refused(allocate(), E2BIG);
    expect_refused(import(), E2BIG);
}

TEST_F(DisplayStructs, picture_with_something_reserved_or_without_a_size_is_refused) {
    EXPECT_EQ(allocate(), 1);
    picture.known.planes[3].reserved = 1;
    expect_refused(import(), EINVAL);
    picture.known.planes[3].reserved = 0;
    picture.known.reserved = 1;
    expect_refused(import(), EINVAL);
    expect_refused(allocate(), EINVAL);
    picture.known.reserved = 0;
    picture.known.size = sizeof(picture.known) - 1;
    expect_refused(import(), EINVAL);
    expect_refused(allocate(), EINVAL);
}

TEST_F(DisplayStructs, frame_shows_a_part_and_asks_nothing_new) {
    Later<v4lfence_display_frame> frame;
    frame.known.picture = allocate();
    frame.known.in_fence = -1;
    const auto show_frame = [&] { return v4lfence_display_show(&display, &frame.known, nullptr); };
    frame.known.size = sizeof(frame.known) - 1;
    expect_refused(show_frame(), EINVAL);
    expect_refused(v4lfence_display_show(&display, nullptr, nullptr), EINVAL);
    frame.known.size = sizeof(frame);
    frame.news = 1;
    expect_refused(show_frame(), E2BIG);
    frame.news = 0;
    frame.known.flags = 1;
    expect_refused(show_frame(), EINVAL);
    frame.known.flags = 0;
    frame.known.reserved[7] = 1;
    expect_refused(show_frame(), EINVAL);
    frame.known.reserved[7] = 0;
    frame.known.source_x = 4;
    frame.known.source_y = 6;
    frame.known.source_width = 636;
    frame.known.source_height = 475;
    expect_refused(show_frame(), EINVAL);
    frame.known.source_height = 474;
    ASSERT_EQ(show_frame(), 0) << display.error;
    const testing::FakeCommit& commit = card->commits.back();
    EXPECT_EQ(commit.value(plane, "SRC_X"), std::uint64_t{4} << 16);
    EXPECT_EQ(commit.value(plane, "SRC_Y"), std::uint64_t{6} << 16);
    EXPECT_EQ(commit.value(plane, "SRC_W"), std::uint64_t{636} << 16);
    EXPECT_EQ(commit.value(plane, "SRC_H"), std::uint64_t{474} << 16);
    card->finish(crtc, 1, 1000);
}

TEST_F(DisplayStructs, flip_is_filled_up_to_its_size) {
    ASSERT_EQ(show(allocate()), 0);
    card->finish(crtc, 5, 1000);
    Later<v4lfence_flip> flip;
    flip.known.size = sizeof(flip.known) - 1;
    expect_refused(v4lfence_display_next_flip(&display, &flip.known), EINVAL);
    flip.known.size = sizeof(flip);
    flip.news = 99;
    ASSERT_EQ(v4lfence_display_next_flip(&display, &flip.known), 1) << "it was not lost";
    EXPECT_EQ(flip.known.picture, 1);
    EXPECT_EQ(flip.known.size, sizeof(flip));
    EXPECT_EQ(flip.news, 0U);
}

TEST_F(DisplayStructs, info_is_filled_up_to_its_size) {
    struct {
        v4lfence_display_info known;
        std::uint64_t news = 99;
    } info;
    ASSERT_EQ(v4lfence_display_get_info(&display, &info.known, sizeof(info)), 0);
    EXPECT_STREQ(info.known.mode, "640x480@60.00");
    EXPECT_EQ(info.news, 0U);
    expect_refused(v4lfence_display_get_info(&display, &info.known, sizeof(info.known) - 1),
                   EINVAL);
    expect_refused(v4lfence_display_get_info(&display, &info.known, 0), EINVAL);
}

TEST_F(DisplayStructs, number_of_a_forgotten_picture_is_given_anew) {
    EXPECT_EQ(allocate(), 1);
    EXPECT_EQ(allocate(), 2);
    EXPECT_EQ(v4lfence_display_forget(&display, 1), 0);
    expect_refused(v4lfence_display_forget(&display, 1), ENOENT);
    EXPECT_EQ(allocate(), 1);
}

}  // namespace
}  // namespace v4lfence
