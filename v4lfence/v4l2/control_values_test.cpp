// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "v4lfence/v4l2/control_values.hpp"

namespace v4lfence {
namespace {

constexpr std::uint32_t some_id = V4L2_CID_USER_BASE | 0x1000;
constexpr const char* items[] = {"a", "b", "", "d"};
constexpr std::int64_t numbers[] = {1, 2, 3};

ControlSpec spec(v4l2_ctrl_type type, ControlRange range) {
    ControlSpec made;
    made.id = some_id;
    made.type = type;
    made.name = "Some";
    made.range = range;
    made.items = items;
    made.integer_items = numbers;
    return made;
}

int check(const ControlSpec& declared) {
    const Result<> checked = check_spec(completed(declared));
    return checked ? 0 : checked.error().code;
}

ControlSpec integer(std::int64_t minimum, std::int64_t maximum, std::uint64_t step) {
    return spec(V4L2_CTRL_TYPE_INTEGER, {minimum, maximum, step, minimum});
}

TEST(ControlSpec, each_type_is_accepted) {
    EXPECT_EQ(check(integer(-4, 8, 3)), 0);
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_BOOLEAN, {.default_value = 1})), 0);
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_MENU, {0, 3, 1, 0})), 0);
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_INTEGER_MENU, {1, 2, 1, 1})), 0);
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_BUTTON, {})), 0);
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_INTEGER64, {INT64_MIN, INT64_MAX, 1, 0})), 0);
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_STRING, {0, 8, 1, 0})), 0);
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_BITMASK, {0, 7, 0, 2})), 0);
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_U8, {0, 255, 1, 0})), 0);
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_U32, {0, 0xffffffff, 1, 0})), 0);
}

TEST(ControlSpec, range_that_cannot_be_is_refused) {
    EXPECT_EQ(check(integer(4, 3, 1)), -EINVAL) << "empty";
    EXPECT_EQ(check(integer(0, 8, 0)), -EINVAL) << "no step";
    EXPECT_EQ(check(integer(0, 8, 3)), -EINVAL) << "maximum off the step";
    EXPECT_EQ(check(integer(0, std::int64_t{1} << 31, 1)), -EINVAL) << "beyond 32 bits";
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_INTEGER, {0, 8, 1, 9})), -EINVAL) << "default";
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_INTEGER, {0, 8, 2, 3})), -EINVAL) << "default off step";
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_BOOLEAN, {.default_value = 2})), -EINVAL);
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_BITMASK, {0, 0, 0, 0})), -EINVAL) << "no bits";
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_BITMASK, {0, 6, 0, 1})), -EINVAL) << "no such bit";
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_U8, {0, 256, 1, 0})), -EINVAL);
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_U16, {-1, 1, 1, 0})), -EINVAL);
}

TEST(ControlSpec, menu_that_cannot_be_is_refused) {
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_MENU, {0, 4, 1, 0})), -EINVAL) << "more than items";
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_MENU, {-1, 3, 1, 0})), -EINVAL);
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_MENU, {0, 3, 1, 2})), -EINVAL) << "default unnamed";
    ControlSpec skipping = spec(V4L2_CTRL_TYPE_INTEGER_MENU, {0, 2, 1, 1});
    EXPECT_EQ(check(skipping), 0);
    skipping.skip_mask = 2;
    EXPECT_EQ(check(skipping), -EINVAL) << "default skipped";
    constexpr const char* holes[] = {"a", nullptr};
    ControlSpec holed = spec(V4L2_CTRL_TYPE_MENU, {0, 1, 1, 0});
    holed.items = holes;
    EXPECT_EQ(check(holed), -EINVAL) << "no name at all";
}

TEST(ControlSpec, string_that_cannot_be_is_refused) {
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_STRING, {-1, 8, 1, 0})), -EINVAL);
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_STRING, {0, 0, 1, 0})), -EINVAL);
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_STRING, {0, 8, 1, 4})), -EINVAL) << "default number";
    EXPECT_EQ(check(spec(V4L2_CTRL_TYPE_STRING, {0, control_elements_max + 1LL, 1, 0})), -EINVAL);
    ControlSpec text = spec(V4L2_CTRL_TYPE_STRING, {2, 8, 2, 0});
    text.default_text = "abcd";
    EXPECT_EQ(check(text), 0);
    text.default_text = "abc";
    EXPECT_EQ(check(text), -EINVAL) << "off the step";
}

TEST(ControlSpec, identity_that_cannot_be_is_refused) {
    const auto with = [](auto change) {
        ControlSpec changed = integer(0, 8, 1);
        change(changed);
        return check(changed);
    };
    EXPECT_EQ(with([](ControlSpec& s) { s.type = V4L2_CTRL_TYPE_AREA; }), -EINVAL);
    EXPECT_EQ(with([](ControlSpec& s) { s.id = V4L2_CTRL_CLASS_USER | 0x8ff; }), -EINVAL);
    EXPECT_EQ(with([](ControlSpec& s) { s.id = 0x1000; }), -EINVAL) << "no class";
    EXPECT_EQ(with([](ControlSpec& s) { s.id = V4L2_CID_PRIVATE_BASE; }), -EINVAL);
    EXPECT_EQ(with([](ControlSpec& s) { s.name = ""; }), -EINVAL);
    EXPECT_EQ(with([](ControlSpec& s) { s.name = "0123456789abcdef0123456789abcde"; }), 0);
    EXPECT_EQ(with([](ControlSpec& s) { s.name = "0123456789abcdef0123456789abcdef"; }), -EINVAL);
    EXPECT_EQ(with([](ControlSpec& s) {
                  s.flags = V4L2_CTRL_FLAG_READ_ONLY | V4L2_CTRL_FLAG_WRITE_ONLY;
              }),
              -EINVAL);
    EXPECT_EQ(with([](ControlSpec& s) { s.flags = V4L2_CTRL_FLAG_DYNAMIC_ARRAY; }), -EINVAL);
    EXPECT_EQ(with([](ControlSpec& s) {
                  s.dims = {2};
                  s.flags = V4L2_CTRL_FLAG_VOLATILE;
              }),
              -EINVAL);
    EXPECT_EQ(with([](ControlSpec& s) { s.dims = {300, 300}; }), -EINVAL) << "too large";
    EXPECT_EQ(with([](ControlSpec& s) {
                  s.type = V4L2_CTRL_TYPE_BUTTON;
                  s.dims = {2};
              }),
              -EINVAL);
}

TEST(ControlSpec, sizes_follow_from_type_and_dims) {
    ControlSpec grid = completed(spec(V4L2_CTRL_TYPE_U16, {0, 9, 1, 0}));
    EXPECT_TRUE(is_compound(grid)) << "without dims too";
    EXPECT_EQ(element_count(grid), 1U);
    grid.dims = {2, 3, 4};
    EXPECT_EQ(dim_count(grid), 3U);
    EXPECT_EQ(element_count(grid), 24U);
    EXPECT_EQ(payload_size(grid), 48U);
    ControlSpec list = integer(0, 9, 1);
    EXPECT_FALSE(is_compound(list));
    EXPECT_TRUE(fits_32_bits(list));
    list.dims = {5};
    EXPECT_TRUE(is_compound(list));
    EXPECT_FALSE(fits_32_bits(list));
    EXPECT_NE(completed(list).flags & V4L2_CTRL_FLAG_HAS_PAYLOAD, 0U);
    const ControlSpec text = completed(spec(V4L2_CTRL_TYPE_STRING, {0, 8, 1, 0}));
    EXPECT_FALSE(is_compound(text));
    EXPECT_TRUE(has_payload(text));
    EXPECT_EQ(payload_size(text), 9U);
    EXPECT_FALSE(fits_32_bits(spec(V4L2_CTRL_TYPE_INTEGER64, {})));
}

TEST(Fitted, integer_is_clamped_and_rounded) {
    const ControlSpec by_three = integer(-10, 290, 3);
    EXPECT_EQ(fitted(by_three, -11).value(), -10);
    EXPECT_EQ(fitted(by_three, -9).value(), -10);
    EXPECT_EQ(fitted(by_three, -8).value(), -7);
    EXPECT_EQ(fitted(by_three, 289).value(), 290);
    EXPECT_EQ(fitted(by_three, 1000).value(), 290);
    EXPECT_EQ(fitted(integer(0, 8, 4), 2).value(), 4) << "halves upwards";
    EXPECT_EQ(fitted(integer(0, 8, 4), 1).value(), 0);
}

TEST(Fitted, whole_64_bits_do_not_overflow) {
    constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    const ControlSpec whole = spec(V4L2_CTRL_TYPE_INTEGER64, {least, most, 1, 0});
    for (const std::int64_t value : {least, least + 1, std::int64_t{-1}, most - 1, most}) {
        EXPECT_EQ(fitted(whole, value).value(), value);
    }
    const ControlSpec ends = spec(V4L2_CTRL_TYPE_INTEGER64,
                                  {least, most, std::numeric_limits<std::uint64_t>::max(), least});
    EXPECT_EQ(fitted(ends, -2).value(), least);
    EXPECT_EQ(fitted(ends, 1).value(), most);
}

TEST(Fitted, other_types_have_their_own_rule) {
    EXPECT_EQ(fitted(spec(V4L2_CTRL_TYPE_BOOLEAN, {0, 1, 1, 0}), -7).value(), 1);
    EXPECT_EQ(fitted(spec(V4L2_CTRL_TYPE_BITMASK, {0, 0x80000005, 0, 0}), -1).value(), 0x80000005);
    EXPECT_EQ(fitted(spec(V4L2_CTRL_TYPE_BUTTON, {}), 12).value(), 0);
    ControlSpec menu = spec(V4L2_CTRL_TYPE_MENU, {0, 3, 1, 0});
    EXPECT_EQ(fitted(menu, 3).value(), 3);
    EXPECT_EQ(fitted(menu, 4).error().code, -ERANGE);
    EXPECT_EQ(fitted(menu, -1).error().code, -ERANGE);
    EXPECT_EQ(fitted(menu, 2).error().code, -EINVAL) << "no name";
    menu.skip_mask = 1U << 3;
    EXPECT_EQ(fitted(menu, 3).error().code, -EINVAL) << "skipped";
}

TEST(Fitted, elements_are_fitted_each) {
    const ControlSpec grid = spec(V4L2_CTRL_TYPE_U16, {10, 1000, 10, 10});
    std::array<std::uint16_t, 3> values{1, 26, 0xffff};
    ASSERT_TRUE(fit_elements(grid, std::as_writable_bytes(std::span(values))));
    EXPECT_EQ(values, (std::array<std::uint16_t, 3>{10, 30, 1000}));

    ControlSpec signed_list = integer(-2, 2, 1);
    std::array<std::int32_t, 2> low{-9, 1};
    ASSERT_TRUE(fit_elements(signed_list, std::as_writable_bytes(std::span(low))));
    EXPECT_EQ(low, (std::array<std::int32_t, 2>{-2, 1}));

    const ControlSpec choices = spec(V4L2_CTRL_TYPE_MENU, {0, 3, 1, 0});
    std::array<std::int32_t, 2> chosen{1, 9};
    EXPECT_EQ(fit_elements(choices, std::as_writable_bytes(std::span(chosen))).error().code,
              -ERANGE);
    const ControlSpec longs = spec(V4L2_CTRL_TYPE_INTEGER64, {-4, 4, 1, 0});
    std::array<std::int64_t, 1> far{std::int64_t{1} << 40};
    ASSERT_TRUE(fit_elements(longs, std::as_writable_bytes(std::span(far))));
    EXPECT_EQ(far[0], 4);
    const ControlSpec bytes = spec(V4L2_CTRL_TYPE_U8, {0, 9, 1, 0});
    std::array<std::uint8_t, 1> byte{200};
    ASSERT_TRUE(fit_elements(bytes, std::as_writable_bytes(std::span(byte))));
    EXPECT_EQ(byte[0], 9);
}

class TakeString : public ::testing::Test {
protected:
    int take(std::string_view memory) {
        const Result<> taken = take_string(text, {memory.data(), memory.size()}, payload);
        return taken ? 0 : taken.error().code;
    }
    std::string_view taken() const { return reinterpret_cast<const char*>(payload.data()); }

    const ControlSpec text = completed(spec(V4L2_CTRL_TYPE_STRING, {2, 8, 2, 0}));
    std::array<std::byte, 9> payload{};
};

TEST_F(TakeString, end_mark_ends_it) {
    EXPECT_EQ(take(std::string_view("abcd\0xxxxxxxxx", 14)), 0);
    EXPECT_EQ(taken(), "abcd");
    EXPECT_EQ(take(std::string_view("ab", 3)), 0);
    EXPECT_EQ(taken(), "ab");
    EXPECT_EQ(payload[4], std::byte{0}) << "nothing of the longer one before";
}

TEST_F(TakeString, without_end_mark_loses_its_last_character) {
    EXPECT_EQ(take("abcde"), 0);
    EXPECT_EQ(taken(), "abcd");
}

TEST_F(TakeString, length_must_fit) {
    EXPECT_EQ(take(std::string_view("abcdefgh", 9)), 0);
    EXPECT_EQ(take("abcdefghi"), -ERANGE) << "too long";
    EXPECT_EQ(take("abcdefghijklm"), -ERANGE);
    EXPECT_EQ(take(std::string_view("", 1)), -ERANGE) << "too short";
    EXPECT_EQ(take(std::string_view("abc", 4)), -ERANGE) << "off the step";
    EXPECT_EQ(take(""), -ERANGE) << "no memory";
    EXPECT_EQ(taken(), "abcdefgh") << "an error changes nothing";
}

TEST(FillDefault, blanks_stand_for_no_text) {
    std::array<std::byte, 9> payload{};
    ControlSpec text = spec(V4L2_CTRL_TYPE_STRING, {2, 8, 2, 0});
    fill_default(text, payload);
    EXPECT_STREQ(reinterpret_cast<const char*>(payload.data()), "  ");
    text.default_text = "wxyz";
    fill_default(text, payload);
    EXPECT_STREQ(reinterpret_cast<const char*>(payload.data()), "wxyz");
}

TEST(Printed, value_reads_as_its_type) {
    EXPECT_EQ(printed(integer(0, 9, 1), 5, {}), "5");
    EXPECT_EQ(printed(spec(V4L2_CTRL_TYPE_BOOLEAN, {0, 1, 1, 0}), 1, {}), "true");
    EXPECT_EQ(printed(spec(V4L2_CTRL_TYPE_MENU, {0, 3, 1, 0}), 1, {}), "1 (b)");
    EXPECT_EQ(printed(spec(V4L2_CTRL_TYPE_INTEGER_MENU, {0, 2, 1, 0}), 2, {}), "2 (3)");
    EXPECT_EQ(printed(spec(V4L2_CTRL_TYPE_BITMASK, {0, 0xff, 0, 0}), 0x1f, {}), "0x0000001f");
    const std::array<std::byte, 5> text{std::byte{'h'}, std::byte{'i'}};
    EXPECT_EQ(printed(spec(V4L2_CTRL_TYPE_STRING, {0, 4, 1, 0}), 0, text), "\"hi\"");
    std::array<std::byte, 10> many{};
    many[1] = std::byte{7};
    ControlSpec list = spec(V4L2_CTRL_TYPE_U8, {0, 9, 1, 0});
    list.dims = {10};
    EXPECT_EQ(printed(list, 0, many), "10 elements: 0, 7, 0, 0, 0, 0, 0, 0 ...");
}

}  // namespace
}  // namespace v4lfence
