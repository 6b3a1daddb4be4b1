// SPDX-License-Identifier: MIT
//
// The table, its queries, G_CTRL and S_CTRL, and the driver's side.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "v4lfence/v4l2/controls.hpp"
#include "v4lfence/v4l2/testing/control_rig.hpp"

namespace v4lfence {
namespace {

using namespace testing;

class Controls : public ::testing::Test, protected ControlRig {
protected:
    static int create(std::vector<ControlSpec> specs) {
        ScriptedClock clock;
        EventHub hub(clock, {});
        RecordingSink sink;
        return code(ControlSet::create(specs, sink, hub));
    }
    std::vector<std::uint32_t> walk(std::uint32_t flags) {
        std::vector<std::uint32_t> ids;
        v4l2_query_ext_ctrl query{};
        query.id = flags;
        while (set->query(query)) {
            ids.push_back(query.id);
            query.id |= flags;
        }
        return ids;
    }
    Result<v4l2_queryctrl> query(std::uint32_t id) {
        v4l2_queryctrl query;
        std::memset(&query, 0xff, sizeof(query));
        query.id = id;
        V4LFENCE_TRY(set->query(query));
        return query;
    }
    Result<v4l2_querymenu> item(std::uint32_t id, std::uint32_t index) {
        v4l2_querymenu query;
        std::memset(&query, 0xff, sizeof(query));
        query.id = id;
        query.index = index;
        V4LFENCE_TRY(set->query_menu(query));
        return query;
    }
};

TEST_F(Controls, bad_table_is_refused) {
    EXPECT_EQ(create({}), 0) << "no controls are no error";
    EXPECT_EQ(create({{.id = brightness, .name = "A", .range = {0, 9, 2, 0}}}), -EINVAL);
    EXPECT_EQ(create({{.id = brightness, .name = "A", .range = {0, 9, 1, 0}},
                      {.id = brightness, .name = "B", .range = {0, 9, 1, 0}}}),
              -EEXIST);
}

TEST_F(Controls, classes_are_added_and_all_is_sorted) {
    const std::vector<std::uint32_t> ids = walk(V4L2_CTRL_FLAG_NEXT_CTRL);
    EXPECT_TRUE(std::ranges::is_sorted(ids));
    EXPECT_EQ(ids.front(), static_cast<std::uint32_t>(V4L2_CID_USER_CLASS));
    EXPECT_EQ(ids.size(), rig_specs().size() - 1 + 2) << "without the matrix, with two classes";
    EXPECT_EQ(ids.back(), pattern);
    const v4l2_queryctrl user = query(V4L2_CID_USER_CLASS).value();
    EXPECT_STREQ(reinterpret_cast<const char*>(user.name), "User Controls");
    EXPECT_EQ(user.type, static_cast<std::uint32_t>(V4L2_CTRL_TYPE_CTRL_CLASS));
    EXPECT_EQ(user.flags,
              static_cast<std::uint32_t>(V4L2_CTRL_FLAG_READ_ONLY | V4L2_CTRL_FLAG_WRITE_ONLY));
    EXPECT_EQ(user.maximum, 0);
}

TEST_F(Controls, class_of_the_table_keeps_its_name) {
    const ControlSpec specs[] = {
        {.id = 0x00f00001, .type = V4L2_CTRL_TYPE_CTRL_CLASS, .name = "Camera's Own"},
        {.id = 0x00f0f000, .name = "A", .range = {0, 9, 1, 0}},
        {.id = 0x00f1f000, .name = "B", .range = {0, 9, 1, 0}},
        {.id = V4L2_CID_CAMERA_CLASS, .type = V4L2_CTRL_TYPE_CTRL_CLASS}};
    const auto own = ControlSet::create(specs, sink, hub).value();
    const auto name = [&own](std::uint32_t id) {
        v4l2_query_ext_ctrl query{};
        query.id = id;
        EXPECT_TRUE(own->query(query));
        return std::string(query.name);
    };
    EXPECT_EQ(name(0x00f00001), "Camera's Own");
    EXPECT_EQ(name(0x00f10001), "Driver Controls");
    EXPECT_EQ(name(V4L2_CID_CAMERA_CLASS), "Camera Controls");
}

TEST_F(Controls, next_walks_through_the_kind_asked_for) {
    EXPECT_EQ(walk(V4L2_CTRL_FLAG_NEXT_COMPOUND), std::vector<std::uint32_t>{matrix});
    const std::vector<std::uint32_t> all =
        walk(V4L2_CTRL_FLAG_NEXT_CTRL | V4L2_CTRL_FLAG_NEXT_COMPOUND);
    EXPECT_EQ(all.size(), rig_specs().size() + 2);
    EXPECT_TRUE(std::ranges::is_sorted(all));
    EXPECT_EQ(query(brightness | V4L2_CTRL_FLAG_NEXT_CTRL)->id, gain);
    EXPECT_EQ(code(query(pattern | V4L2_CTRL_FLAG_NEXT_CTRL)), -EINVAL) << "that was the last";
}

TEST_F(Controls, query_says_what_the_table_says) {
    const v4l2_queryctrl plain = query(brightness).value();
    EXPECT_EQ(plain.id, brightness);
    EXPECT_EQ(plain.maximum, 255);
    EXPECT_EQ(plain.step, 1);
    EXPECT_EQ(plain.default_value, 128);
    EXPECT_EQ(plain.reserved[0] | plain.reserved[1], 0U);
    EXPECT_EQ(query(wide)->maximum, 0) << "64 bits do not fit";
    EXPECT_EQ(query(matrix)->maximum, 0);
    EXPECT_EQ(query(label)->maximum, 8);
    EXPECT_EQ(query(label)->step, 2);
    EXPECT_EQ(query(bits)->step, 0);
    EXPECT_EQ(query(hflip)->maximum, 1);
    EXPECT_EQ(query(button)->flags, static_cast<std::uint32_t>(V4L2_CTRL_FLAG_WRITE_ONLY |
                                                               V4L2_CTRL_FLAG_EXECUTE_ON_WRITE));
    EXPECT_EQ(code(query(V4L2_CID_SATURATION)), -EINVAL);
    EXPECT_EQ(code(query(0)), -EINVAL);
}

TEST_F(Controls, extended_query_has_sizes_and_64_bits) {
    v4l2_query_ext_ctrl query;
    std::memset(&query, 0xff, sizeof(query));
    query.id = matrix;
    ASSERT_TRUE(set->query(query));
    EXPECT_EQ(query.elem_size, 2U);
    EXPECT_EQ(query.elems, 6U);
    EXPECT_EQ(query.nr_of_dims, 2U);
    EXPECT_EQ(query.dims[1], 3U);
    EXPECT_EQ(query.dims[2], 0U);
    EXPECT_EQ(query.maximum, 1000);
    EXPECT_EQ(query.flags, static_cast<std::uint32_t>(V4L2_CTRL_FLAG_HAS_PAYLOAD));
    EXPECT_EQ(query.reserved[31], 0U);
    query.id = wide;
    ASSERT_TRUE(set->query(query));
    EXPECT_EQ(query.minimum, INT64_MIN);
    EXPECT_EQ(query.elems, 1U);
    query.id = label;
    ASSERT_TRUE(set->query(query));
    EXPECT_EQ(query.elem_size, 9U);
}

TEST_F(Controls, old_private_ids_count_the_drivers_own) {
    const std::uint32_t expected[] = {button, menu, integer_menu, bits, frames, secret, stepped};
    for (std::uint32_t index = 0; index < std::size(expected); ++index) {
        const v4l2_queryctrl found = query(V4L2_CID_PRIVATE_BASE + index).value();
        EXPECT_EQ(found.id, V4L2_CID_PRIVATE_BASE + index);
        EXPECT_EQ(found.type, query(expected[index])->type);
    }
    EXPECT_EQ(code(query(V4L2_CID_PRIVATE_BASE + 7)), -EINVAL);
    EXPECT_EQ(s_ctrl(V4L2_CID_PRIVATE_BASE + 1, 3), 0);
    EXPECT_EQ(set->value(menu), 3);
}

TEST_F(Controls, menu_shows_its_items) {
    const v4l2_querymenu named = item(menu, 1).value();
    EXPECT_STREQ(reinterpret_cast<const char*>(named.name), "Slow");
    EXPECT_EQ(named.reserved, 0U);
    EXPECT_EQ(item(integer_menu, 2)->value, 40);
    EXPECT_EQ(code(item(menu, 2)), -EINVAL) << "no name";
    EXPECT_EQ(code(item(menu, 4)), -EINVAL) << "skipped";
    EXPECT_EQ(code(item(menu, 5)), -EINVAL) << "beyond";
    EXPECT_EQ(code(item(pattern, 3)), -EINVAL) << "beyond the range, though it has a name";
    EXPECT_EQ(code(item(brightness, 0)), -EINVAL) << "no menu";
    EXPECT_EQ(code(item(V4L2_CID_SATURATION, 0)), -EINVAL);
}

TEST_F(Controls, g_ctrl_reads_numbers_of_32_bits) {
    EXPECT_EQ(g_ctrl(brightness).value(), 128);
    EXPECT_EQ(code(g_ctrl(0)), -EINVAL);
    EXPECT_EQ(code(g_ctrl(wide)), -EINVAL);
    EXPECT_EQ(code(g_ctrl(label)), -EINVAL);
    EXPECT_EQ(code(g_ctrl(matrix)), -EINVAL);
    EXPECT_EQ(code(g_ctrl(secret)), -EACCES);
    EXPECT_EQ(code(g_ctrl(button)), -EACCES);
    EXPECT_EQ(code(g_ctrl(V4L2_CID_USER_CLASS)), -EACCES);
}

TEST_F(Controls, volatile_value_comes_from_the_driver) {
    sink.now = 42;
    EXPECT_EQ(g_ctrl(gain).value(), 42);
    sink.now = -1;
    EXPECT_EQ(code(g_ctrl(gain)), -EIO);
    EXPECT_EQ(s_ctrl(gain, 3), 0) << "written to no effect";
    EXPECT_TRUE(sink.told.empty());
    EXPECT_EQ(set->value(gain), 50);
}

TEST_F(Controls, s_ctrl_stores_and_tells_the_driver) {
    EXPECT_EQ(s_ctrl(brightness, 7), 0);
    EXPECT_EQ(g_ctrl(brightness).value(), 7);
    EXPECT_EQ(set->value(brightness), 7);
    EXPECT_EQ(sink.told, (std::vector<RecordingSink::Told>{{brightness, 7, ""}}));
    EXPECT_EQ(s_ctrl(brightness, 7), 0);
    EXPECT_EQ(sink.told.size(), 1U) << "no news";
}

TEST_F(Controls, s_ctrl_returns_what_the_value_became) {
    v4l2_control control{brightness, 4000};
    ASSERT_TRUE(set->set(control, nullptr));
    EXPECT_EQ(control.value, 255);
    control = {stepped, -9};
    ASSERT_TRUE(set->set(control, nullptr));
    EXPECT_EQ(control.value, -10);
    control = {bits, -1};
    ASSERT_TRUE(set->set(control, nullptr));
    EXPECT_EQ(static_cast<std::uint32_t>(control.value), 0x80000005U);
    EXPECT_EQ(set->value(bits), 0x80000005);
}

TEST_F(Controls, s_ctrl_refuses_in_so_many_words) {
    EXPECT_EQ(s_ctrl(0, 0), -EINVAL);
    EXPECT_EQ(s_ctrl(wide, 0), -EINVAL);
    EXPECT_EQ(s_ctrl(label, 0), -EINVAL);
    EXPECT_EQ(s_ctrl(matrix, 0), -EINVAL);
    EXPECT_EQ(s_ctrl(frames, 1), -EACCES);
    EXPECT_EQ(s_ctrl(V4L2_CID_USER_CLASS, 0), -EACCES);
    EXPECT_EQ(s_ctrl(menu, 5), -ERANGE);
    EXPECT_EQ(s_ctrl(menu, -1), -ERANGE);
    EXPECT_EQ(s_ctrl(menu, 2), -EINVAL);
    EXPECT_EQ(s_ctrl(menu, 4), -EINVAL);
    EXPECT_TRUE(sink.told.empty());
}

TEST_F(Controls, grabbed_control_is_busy) {
    ASSERT_TRUE(set->set_flags(brightness, V4L2_CTRL_FLAG_GRABBED, V4L2_CTRL_FLAG_GRABBED));
    EXPECT_EQ(s_ctrl(brightness, 1), -EBUSY);
    EXPECT_EQ(g_ctrl(brightness).value(), 128);
    EXPECT_EQ(query(brightness)->flags, static_cast<std::uint32_t>(V4L2_CTRL_FLAG_GRABBED));
    ASSERT_TRUE(set->set_flags(brightness, V4L2_CTRL_FLAG_GRABBED, 0));
    EXPECT_EQ(s_ctrl(brightness, 1), 0);
}

TEST_F(Controls, inactive_control_can_be_set) {
    ASSERT_TRUE(set->set_flags(brightness, V4L2_CTRL_FLAG_INACTIVE, V4L2_CTRL_FLAG_INACTIVE));
    EXPECT_EQ(s_ctrl(brightness, 1), 0);
}

TEST_F(Controls, what_the_driver_refuses_is_not_stored) {
    sink.refused = brightness;
    sink.refusal = -EIO;
    ASSERT_TRUE(other.subscribe(V4L2_EVENT_CTRL, brightness));
    EXPECT_EQ(s_ctrl(brightness, 1), -EIO);
    EXPECT_EQ(g_ctrl(brightness).value(), 128);
    EXPECT_EQ(other.queue.pending(), 0U);
}

TEST_F(Controls, button_tells_the_driver_each_time) {
    EXPECT_EQ(s_ctrl(button, 0), 0);
    EXPECT_EQ(s_ctrl(button, 17), 0);
    EXPECT_EQ(sink.told, (std::vector<RecordingSink::Told>{{button, 0, ""}, {button, 0, ""}}));
}

TEST_F(Controls, sink_may_call_back_but_not_set) {
    std::vector<int> codes;
    sink.on_set = [&](std::uint32_t id, const ControlValue& value) -> Result<> {
        EXPECT_EQ(set->value(id), 128) << "not stored yet";
        EXPECT_EQ(value.number, 9);
        codes.push_back(code(set->set_value(frames, 3)));
        codes.push_back(code(set->set_flags(menu, V4L2_CTRL_FLAG_GRABBED, V4L2_CTRL_FLAG_GRABBED)));
        codes.push_back(code(set->set_range(stepped, {0, 4, 1, 0})));
        codes.push_back(code(g_ctrl(menu)));
        codes.push_back(s_ctrl(hflip, 1));
        v4l2_ext_controls head{};
        codes.push_back(code(set->try_ext(head, {})));
        codes.push_back(code(set->set_ext(head, {}, nullptr)));
        return {};
    };
    EXPECT_EQ(s_ctrl(brightness, 9), 0);
    EXPECT_EQ(codes, (std::vector<int>{0, 0, 0, 0, -EDEADLK, -EDEADLK, -EDEADLK}));
    EXPECT_EQ(set->value(frames), 3);
    sink.on_set = nullptr;
    EXPECT_EQ(s_ctrl(hflip, 1), 0) << "the turn is free again";
}

TEST_F(Controls, range_changed_meanwhile_holds_for_the_value_stored) {
    sink.on_set = [this](std::uint32_t, const ControlValue&) {
        return set->set_range(brightness, {0, 100, 1, 0});
    };
    EXPECT_EQ(s_ctrl(brightness, 200), 0);
    EXPECT_EQ(set->value(brightness), 100);
}

TEST_F(Controls, driver_sets_what_programs_cannot) {
    EXPECT_EQ(code(set->set_value(frames, 5)), 0);
    EXPECT_EQ(g_ctrl(frames).value(), 5);
    EXPECT_EQ(code(set->set_value(brightness, 999)), 0);
    EXPECT_EQ(set->value(brightness), 255) << "made to fit";
    EXPECT_EQ(code(set->set_value(menu, 9)), -ERANGE);
    EXPECT_EQ(code(set->set_value(menu, 4)), -EINVAL);
    EXPECT_EQ(code(set->set_value(matrix, 1)), -EINVAL);
    EXPECT_EQ(code(set->set_value(1, 1)), -EINVAL);
    EXPECT_TRUE(sink.told.empty()) << "the driver knows";
    EXPECT_EQ(set->value(matrix), 0);
    EXPECT_EQ(set->value(1), 0);
}

TEST_F(Controls, driver_sets_a_text) {
    EXPECT_EQ(set->text(label), "abcd");
    EXPECT_EQ(code(set->set_text(label, "xy")), 0);
    EXPECT_EQ(set->text(label), "xy");
    EXPECT_EQ(code(set->set_text(label, "xyz")), -ERANGE);
    EXPECT_EQ(code(set->set_text(label, "0123456789")), -ERANGE);
    EXPECT_EQ(code(set->set_text(brightness, "xy")), -EINVAL);
    EXPECT_EQ(set->text(brightness), "");
    EXPECT_EQ(set->text(matrix), "");
    EXPECT_EQ(set->payload(matrix).size(), 12U);
    EXPECT_TRUE(set->payload(1).empty());
}

TEST_F(Controls, flags_that_are_not_the_drivers_are_refused) {
    EXPECT_EQ(code(set->set_flags(brightness, V4L2_CTRL_FLAG_READ_ONLY, 0)), -EINVAL);
    EXPECT_EQ(code(set->set_flags(brightness, 0, V4L2_CTRL_FLAG_GRABBED)), -EINVAL);
    EXPECT_EQ(code(set->set_flags(1, V4L2_CTRL_FLAG_GRABBED, 0)), -EINVAL);
}

TEST_F(Controls, new_range_takes_the_value_with_it) {
    EXPECT_EQ(code(set->set_range(brightness, {0, 100, 50, 50})), 0);
    EXPECT_EQ(set->value(brightness), 100);
    EXPECT_EQ(query(brightness)->maximum, 100);
    EXPECT_EQ(query(brightness)->step, 50);
    EXPECT_EQ(s_ctrl(brightness, 20), 0);
    EXPECT_EQ(set->value(brightness), 0);
    ASSERT_EQ(s_ctrl(menu, 3), 0);
    EXPECT_EQ(code(set->set_range(menu, {0, 1, 1, 1})), 0);
    EXPECT_EQ(set->value(menu), 1) << "the default, for item 3 is gone";
    EXPECT_EQ(code(item(menu, 3)), -EINVAL);
}

TEST_F(Controls, range_that_cannot_be_changes_nothing) {
    EXPECT_EQ(code(set->set_range(brightness, {0, 100, 3, 0})), -EINVAL);
    EXPECT_EQ(code(set->set_range(menu, {0, 9, 1, 0})), -EINVAL);
    EXPECT_EQ(code(set->set_range(matrix, {0, 9, 1, 0})), -EINVAL);
    EXPECT_EQ(code(set->set_range(label, {0, 9, 1, 0})), -EINVAL);
    EXPECT_EQ(code(set->set_range(1, {0, 9, 1, 0})), -EINVAL);
    EXPECT_EQ(query(brightness)->maximum, 255);
    EXPECT_EQ(code(set->set_range(button, {0, 9, 1, 0})), 0);
    EXPECT_EQ(query(button)->maximum, 0) << "a button has none";
}

TEST_F(Controls, log_has_a_line_for_what_can_be_read) {
    ASSERT_TRUE(set->set_flags(brightness, V4L2_CTRL_FLAG_GRABBED | V4L2_CTRL_FLAG_INACTIVE,
                               V4L2_CTRL_FLAG_GRABBED | V4L2_CTRL_FLAG_INACTIVE));
    const std::vector<std::string> lines = set->log_status();
    EXPECT_EQ(lines.size(), rig_specs().size() - 2) << "no classes, no button, no secret";
    EXPECT_EQ(lines[0], "Brightness: 128 inactive grabbed");
    EXPECT_EQ(lines[1], "Gain: 50 volatile");
    EXPECT_EQ(lines[2], "Mirror: false");
    EXPECT_EQ(lines[6], "Label: \"abcd\"");
    EXPECT_EQ(lines[8], "Matrix: 6 elements: 20, 20, 20, 20, 20, 20");
}

}  // namespace
}  // namespace v4lfence
