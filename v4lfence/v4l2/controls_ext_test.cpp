// SPDX-License-Identifier: MIT
//
// G_EXT_CTRLS, TRY_EXT_CTRLS and S_EXT_CTRLS.

#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "v4lfence/v4l2/controls.hpp"
#include "v4lfence/v4l2/testing/control_rig.hpp"

namespace v4lfence {
namespace {

using namespace testing;

using Elements = std::vector<v4l2_ext_control>;

class ExtControls : public ::testing::Test, protected ControlRig {
protected:
    /// Each fills `head` and changes the elements in place.
    int get(Elements& elements, std::uint32_t which = 0) {
        return code(set->get_ext(prepare(elements, which), elements));
    }
    int attempt(Elements& elements, std::uint32_t which = 0) {
        return code(set->try_ext(prepare(elements, which), elements));
    }
    int store(Elements& elements, std::uint32_t which = 0) {
        return code(set->set_ext(prepare(elements, which), elements, &file.queue));
    }

    v4l2_ext_controls head{};

private:
    v4l2_ext_controls& prepare(Elements& elements, std::uint32_t which) {
        std::memset(&head, 0xff, sizeof(head));
        head.which = which;
        head.count = static_cast<std::uint32_t>(elements.size());
        head.controls = elements.data();
        return head;
    }
};

TEST_F(ExtControls, no_elements_ask_for_the_class) {
    Elements none;
    for (const std::uint32_t which :
         {std::uint32_t{V4L2_CTRL_WHICH_CUR_VAL}, std::uint32_t{V4L2_CTRL_CLASS_USER},
          std::uint32_t{V4L2_CTRL_CLASS_IMAGE_PROC}}) {
        EXPECT_EQ(get(none, which), 0);
        EXPECT_EQ(attempt(none, which), 0);
        EXPECT_EQ(store(none, which), 0);
        EXPECT_EQ(head.which, which);
        EXPECT_EQ(head.count, 0U);
        EXPECT_EQ(head.error_idx, 0U);
        EXPECT_EQ(head.reserved[0], 0U);
    }
    EXPECT_EQ(get(none, V4L2_CTRL_CLASS_CAMERA), -EINVAL);
    EXPECT_EQ(attempt(none, V4L2_CTRL_CLASS_CAMERA), -EINVAL);
    EXPECT_EQ(store(none, V4L2_CTRL_CLASS_CAMERA), -EINVAL);
    EXPECT_EQ(get(none, V4L2_CTRL_WHICH_DEF_VAL), 0);
    EXPECT_EQ(store(none, V4L2_CTRL_WHICH_DEF_VAL), -EINVAL);
}

TEST_F(ExtControls, all_kinds_are_set_and_read_back) {
    std::array<char, 9> text{"wxyz"};
    std::array<std::uint16_t, 6> grid{1, 26, 30, 40, 50, 5000};
    Elements elements{number(brightness, 3), number(wide, INT64_MIN), number(pattern, 1),
                      pointer(label, text), pointer(matrix, grid)};
    ASSERT_EQ(store(elements), 0);
    EXPECT_EQ(head.error_idx, 5U);
    EXPECT_EQ(grid[1], 30) << "what it became is returned";
    EXPECT_EQ(sink.told.size(), 5U);
    EXPECT_EQ(sink.told[3], (RecordingSink::Told{label, 0, "wxyz"}));

    text = {};
    grid = {};
    Elements back{number(brightness, 0), number(wide, 0), number(pattern, 0), pointer(label, text),
                  pointer(matrix, grid)};
    ASSERT_EQ(get(back), 0);
    EXPECT_EQ(back[0].value, 3);
    EXPECT_EQ(back[1].value64, INT64_MIN);
    EXPECT_EQ(back[2].value, 1);
    EXPECT_STREQ(text.data(), "wxyz");
    EXPECT_EQ(grid, (std::array<std::uint16_t, 6>{10, 30, 30, 40, 50, 1000}));
}

TEST_F(ExtControls, class_must_be_that_of_all) {
    Elements mixed{number(brightness, 3), number(pattern, 1)};
    EXPECT_EQ(get(mixed, V4L2_CTRL_CLASS_USER), -EINVAL);
    EXPECT_EQ(head.error_idx, 2U);
    EXPECT_EQ(attempt(mixed, V4L2_CTRL_CLASS_USER), -EINVAL);
    EXPECT_EQ(head.error_idx, 1U);
    EXPECT_EQ(store(mixed, V4L2_CTRL_CLASS_USER), -EINVAL);
    EXPECT_EQ(head.error_idx, 2U);
    Elements pure{number(brightness, 3), number(hflip, 1)};
    EXPECT_EQ(store(pure, V4L2_CTRL_CLASS_USER), 0);
    EXPECT_EQ(get(pure, V4L2_CTRL_CLASS_USER), 0);
}

TEST_F(ExtControls, unknown_control_is_einval) {
    for (const std::uint32_t id : {std::uint32_t{0}, std::uint32_t{V4L2_CID_SATURATION},
                                   std::uint32_t{V4L2_CID_PRIVATE_BASE}}) {
        Elements elements{number(brightness, 1), number(id, 0)};
        EXPECT_EQ(get(elements), -EINVAL);
        EXPECT_EQ(head.error_idx, 2U);
        EXPECT_EQ(attempt(elements), -EINVAL);
        EXPECT_EQ(head.error_idx, 1U);
        EXPECT_EQ(store(elements), -EINVAL);
        EXPECT_EQ(head.error_idx, 2U);
    }
}

TEST_F(ExtControls, disabled_control_is_einval) {
    std::vector<ControlSpec> specs = rig_specs();
    specs[1].flags = V4L2_CTRL_FLAG_DISABLED;
    ASSERT_EQ(specs[1].id, brightness);
    const auto own = ControlSet::create(specs, sink, hub).value();
    Elements elements{number(brightness, 1)};
    EXPECT_EQ(code(own->get_ext(head, elements)), -EINVAL);
    EXPECT_EQ(code(own->set_ext(head, elements, nullptr)), -EINVAL);
}

TEST_F(ExtControls, access_is_checked) {
    Elements unreadable{number(brightness, 0), number(secret, 0)};
    EXPECT_EQ(get(unreadable), -EACCES);
    EXPECT_EQ(head.error_idx, 2U);
    EXPECT_EQ(store(unreadable), 0);
    Elements unwritable{number(brightness, 5), number(frames, 0)};
    EXPECT_EQ(get(unwritable), 0);
    EXPECT_EQ(attempt(unwritable), -EACCES);
    EXPECT_EQ(head.error_idx, 1U);
    EXPECT_EQ(store(unwritable), -EACCES);
    EXPECT_EQ(head.error_idx, 2U);
    Elements kind{number(V4L2_CID_USER_CLASS, 0)};
    EXPECT_EQ(get(kind), -EACCES);
    EXPECT_EQ(store(kind), -EACCES);
}

TEST_F(ExtControls, grabbed_can_be_tried_but_not_set) {
    ASSERT_TRUE(set->set_flags(hflip, V4L2_CTRL_FLAG_GRABBED, V4L2_CTRL_FLAG_GRABBED));
    Elements elements{number(brightness, 5), number(hflip, 1)};
    EXPECT_EQ(attempt(elements), 0);
    EXPECT_EQ(store(elements), -EBUSY);
    EXPECT_EQ(head.error_idx, 2U);
    EXPECT_EQ(set->value(brightness), 128) << "none of them is set";
}

TEST_F(ExtControls, one_bad_value_and_none_is_set) {
    for (const auto& [value, error] : {std::pair{9, -ERANGE}, std::pair{4, -EINVAL}}) {
        Elements elements{number(brightness, 5), number(menu, value), number(hflip, 1)};
        EXPECT_EQ(store(elements), error);
        EXPECT_EQ(head.error_idx, 3U);
        EXPECT_EQ(attempt(elements), error);
        EXPECT_EQ(head.error_idx, 1U);
    }
    std::array<char, 9> odd{"abc"};
    Elements texts{number(brightness, 5), pointer(label, odd)};
    EXPECT_EQ(store(texts), -ERANGE);
    EXPECT_EQ(head.error_idx, 2U);
    EXPECT_EQ(attempt(texts), -ERANGE);
    EXPECT_EQ(head.error_idx, 1U);
    EXPECT_TRUE(sink.told.empty());
    EXPECT_EQ(set->value(brightness), 128);
}

TEST_F(ExtControls, trying_shows_the_value_and_sets_nothing) {
    Elements elements{number(brightness, 999), number(stepped, -9), number(wide, 1)};
    EXPECT_EQ(attempt(elements), 0);
    EXPECT_EQ(elements[0].value, 255);
    EXPECT_EQ(elements[1].value, -10);
    EXPECT_EQ(set->value(brightness), 128);
    EXPECT_TRUE(sink.told.empty());
}

TEST_F(ExtControls, refusal_of_the_driver_has_its_index) {
    sink.refused = hflip;
    sink.refusal = -EIO;
    Elements elements{number(brightness, 5), number(hflip, 1), number(stepped, 8)};
    EXPECT_EQ(store(elements), -EIO);
    EXPECT_EQ(head.error_idx, 1U);
    EXPECT_EQ(set->value(brightness), 5) << "came before";
    EXPECT_EQ(set->value(hflip), 0);
    EXPECT_EQ(set->value(stepped), 5) << "never reached";
}

TEST_F(ExtControls, driver_that_grabs_a_later_one_stops_there) {
    sink.on_set = [this](std::uint32_t, const ControlValue&) {
        return set->set_flags(hflip, V4L2_CTRL_FLAG_GRABBED, V4L2_CTRL_FLAG_GRABBED);
    };
    Elements elements{number(brightness, 5), number(hflip, 1)};
    EXPECT_EQ(store(elements), -EBUSY);
    EXPECT_EQ(head.error_idx, 1U);
    EXPECT_EQ(set->value(brightness), 5);
}

TEST_F(ExtControls, short_memory_for_a_string_is_enospc) {
    std::array<char, 9> text{};
    Elements elements{number(brightness, 0), pointer(label, std::span(text).first(4))};
    EXPECT_EQ(get(elements), -ENOSPC) << "abcd and its end mark are five";
    EXPECT_EQ(head.error_idx, 1U);
    EXPECT_EQ(elements[1].size, 9U);
    elements[1].size = 5;
    EXPECT_EQ(get(elements), 0);
    EXPECT_STREQ(text.data(), "abcd");
    EXPECT_EQ(elements[1].size, 5U);
    Elements nothing{pointer(label, std::span<char>())};
    EXPECT_EQ(get(nothing), -ENOSPC);
    EXPECT_EQ(nothing[0].size, 9U);
    nothing[0].size = 0;
    EXPECT_EQ(store(nothing), -ERANGE);
}

TEST_F(ExtControls, short_memory_for_an_array_is_refused) {
    std::array<std::uint16_t, 8> grid{};
    Elements elements{pointer(matrix, std::span(grid).first(5))};
    EXPECT_EQ(get(elements), -ENOSPC);
    EXPECT_EQ(elements[0].size, 12U);
    EXPECT_EQ(head.error_idx, 1U);
    elements[0].size = 11;
    EXPECT_EQ(attempt(elements), -EFAULT);
    EXPECT_EQ(elements[0].size, 12U);
    EXPECT_EQ(head.error_idx, 0U);
    elements[0].size = 11;
    EXPECT_EQ(store(elements), -EFAULT);
    EXPECT_EQ(head.error_idx, 1U);
    elements[0].size = 16;
    grid.fill(7);
    EXPECT_EQ(get(elements), 0);
    EXPECT_EQ(elements[0].size, 12U) << "what it is";
    EXPECT_EQ(grid[5], 20);
    EXPECT_EQ(grid[6], 7);
}

TEST_F(ExtControls, defaults_can_be_read_only) {
    ASSERT_EQ(s_ctrl(brightness, 1), 0);
    ASSERT_TRUE(set->set_text(label, "xy"));
    sink.now = -1;
    std::array<char, 9> text{};
    std::array<std::uint16_t, 6> grid{};
    Elements elements{number(brightness, 0), number(wide, 0), number(gain, 0), pointer(label, text),
                      pointer(matrix, grid)};
    ASSERT_EQ(get(elements, V4L2_CTRL_WHICH_DEF_VAL), 0) << "no class is meant";
    EXPECT_EQ(elements[0].value, 128);
    EXPECT_EQ(elements[1].value64, -5);
    EXPECT_EQ(elements[2].value, 50) << "the driver is not asked";
    EXPECT_STREQ(text.data(), "abcd");
    EXPECT_EQ(grid[5], 20);
    EXPECT_EQ(attempt(elements, V4L2_CTRL_WHICH_DEF_VAL), -EINVAL);
    EXPECT_EQ(head.error_idx, 5U);
    EXPECT_EQ(store(elements, V4L2_CTRL_WHICH_DEF_VAL), -EINVAL);
    EXPECT_EQ(head.error_idx, 5U);
    Elements unreadable{number(secret, 0)};
    EXPECT_EQ(get(unreadable, V4L2_CTRL_WHICH_DEF_VAL), -EACCES);
}

TEST_F(ExtControls, requests_are_refused) {
    Elements elements{number(brightness, 0)};
    EXPECT_EQ(get(elements, V4L2_CTRL_WHICH_REQUEST_VAL), -EINVAL);
    EXPECT_EQ(head.error_idx, 1U);
    EXPECT_EQ(attempt(elements, V4L2_CTRL_WHICH_REQUEST_VAL), -EINVAL);
    EXPECT_EQ(head.error_idx, 1U);
    EXPECT_EQ(store(elements, V4L2_CTRL_WHICH_REQUEST_VAL), -EINVAL);
    EXPECT_EQ(head.error_idx, 1U);
}

TEST_F(ExtControls, failing_volatile_has_its_index) {
    Elements elements{number(brightness, 0), number(gain, 0)};
    EXPECT_EQ(get(elements), 0);
    EXPECT_EQ(elements[1].value, 7);
    sink.now = -1;
    EXPECT_EQ(get(elements), -EIO);
    EXPECT_EQ(head.error_idx, 1U);
}

TEST_F(ExtControls, unchanged_payload_is_no_news) {
    std::array<char, 9> text{"abcd"};
    std::array<std::uint16_t, 6> grid{20, 20, 20, 20, 20, 20};
    Elements elements{pointer(label, text), pointer(matrix, grid)};
    EXPECT_EQ(store(elements), 0);
    EXPECT_TRUE(sink.told.empty());
    grid[3] = 30;
    EXPECT_EQ(store(elements), 0);
    EXPECT_EQ(sink.told.size(), 1U);
}

TEST_F(ExtControls, last_of_two_values_stays) {
    Elements elements{number(brightness, 5), number(brightness, 6)};
    EXPECT_EQ(store(elements), 0);
    EXPECT_EQ(set->value(brightness), 6);
}

TEST_F(ExtControls, reserved_fields_are_zeroed) {
    Elements elements{number(brightness, 5)};
    elements[0].reserved2[0] = 7;
    EXPECT_EQ(attempt(elements), 0);
    EXPECT_EQ(head.reserved[0], 0U);
    EXPECT_EQ(elements[0].reserved2[0], 0U);
}

}  // namespace
}  // namespace v4lfence
