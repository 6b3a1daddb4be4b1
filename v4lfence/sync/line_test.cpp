// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <utility>

#include "v4lfence/sync/line.hpp"

namespace v4lfence {
namespace {

class NoFences final : public FenceContext {
public:
    Result<MintedFence> mint(unsigned /*slot*/) override { return fail(-ENOMEM, "none here"); }
    Result<> begin_generation(bool /*ordered*/) override { return {}; }
    void abandon() noexcept override {}

private:
    void end_fence(UniqueFd /*end*/, std::uint64_t /*id*/, int /*error*/) noexcept override {}
};

constexpr std::optional<unsigned> none;

class LineTest : public ::testing::Test {
protected:
    LineTest() { line_.resize(8); }

    /// One letter for each buffer from 0: h(eld), w(aiting: with a pending in-fence), I (being
    /// given), g(iven), d(one), f(ailed). Capitals of these have an out-fence.
    void make(const std::string& letters) {
        for (unsigned index = 0; index < letters.size(); ++index) {
            const char letter = letters[index];
            line_.append(index);
            if (letter >= 'A' && letter <= 'Z') {
                line_[index].out = FencePromise(fences_, UniqueFd(), index);
            }
            switch (letter | 0x20) {
            case 'w':
                line_[index].in_pending = true;
                break;
            case 'i':
                go(index, {SlotState::Giving});
                break;
            case 'g':
                go(index, {SlotState::Giving, SlotState::Given});
                break;
            case 'd':
                go(index, {SlotState::Giving, SlotState::Given, SlotState::Done});
                break;
            case 'f':
                go(index, {SlotState::Failed});
                break;
            default:
                break;
            }
        }
    }

    void go(unsigned index, std::initializer_list<SlotState> states) {
        for (const SlotState state : states) {
            line_.move_to(index, state);
        }
    }

    std::string walk() const {
        std::string indices;
        for (auto index = line_.first(); index; index = line_.after(*index)) {
            indices += static_cast<char>('0' + *index);
        }
        return indices;
    }

    NoFences fences_;
    Line line_;
};

TEST(LineMoves, table_is_the_life_of_a_buffer) {
    constexpr auto dequeued = SlotState::Dequeued;
    constexpr auto held = SlotState::Held;
    constexpr auto giving = SlotState::Giving;
    constexpr auto given = SlotState::Given;
    constexpr auto done = SlotState::Done;
    constexpr auto failed = SlotState::Failed;
    const std::initializer_list<std::pair<SlotState, SlotState>> legal{
        {dequeued, held}, {held, dequeued}, {held, giving},   {held, failed},    {giving, dequeued},
        {giving, held},   {giving, given},  {giving, done},   {giving, failed},  {given, dequeued},
        {given, held},    {given, done},    {done, dequeued}, {failed, dequeued}};
    std::size_t count = 0;
    for (const auto& row : legal_moves) {
        for (const bool is_one : row) {
            count += is_one ? 1 : 0;
        }
    }
    EXPECT_EQ(count, legal.size());
    for (const auto& [from, to] : legal) {
        EXPECT_TRUE(is_legal(from, to)) << static_cast<int>(from) << static_cast<int>(to);
    }
}

// Pins: 5.1
TEST(LineMoves, what_has_failed_is_never_the_devices) {
    EXPECT_FALSE(is_legal(SlotState::Failed, SlotState::Giving));
    EXPECT_FALSE(is_legal(SlotState::Failed, SlotState::Given));
    EXPECT_FALSE(is_legal(SlotState::Failed, SlotState::Held));
}

TEST_F(LineTest, counts_follow_the_moves) {
    EXPECT_EQ(line_.count(SlotState::Dequeued), 8U);
    make("hwigdf");
    EXPECT_EQ(line_.count(SlotState::Held), 2U);
    EXPECT_EQ(line_.count(SlotState::Giving), 1U);
    EXPECT_EQ(line_.count(SlotState::Given), 1U);
    EXPECT_EQ(line_.count(SlotState::Done), 1U);
    EXPECT_EQ(line_.count(SlotState::Failed), 1U);
    EXPECT_EQ(line_.count(SlotState::Dequeued), 2U);
    line_.resize(6);
    EXPECT_EQ(line_.count(SlotState::Dequeued), 0U);
    line_.resize(9);
    EXPECT_EQ(line_.count(SlotState::Dequeued), 3U);
}

TEST_F(LineTest, slots_stay_where_they_are_when_more_come) {
    const Slot* const slot = &line_[7];
    line_.resize(200);
    EXPECT_EQ(&line_[7], slot);
}

TEST_F(LineTest, walks_in_order_of_appending) {
    for (const unsigned index : {3U, 0U, 7U, 1U}) {
        line_.append(index);
    }
    EXPECT_EQ(walk(), "3071");
}

TEST_F(LineTest, walks_on_when_first_middle_and_last_leave) {
    make("ddddd");
    go(2, {SlotState::Dequeued});
    EXPECT_EQ(walk(), "0134");
    go(0, {SlotState::Dequeued});
    EXPECT_EQ(walk(), "134");
    go(4, {SlotState::Dequeued});
    EXPECT_EQ(walk(), "13");
    line_.append(0);
    EXPECT_EQ(walk(), "130");
    go(1, {SlotState::Dequeued});
    go(3, {SlotState::Dequeued});
    go(0, {SlotState::Dequeued});
    EXPECT_EQ(walk(), "");
    EXPECT_EQ(line_.first(), none);
}

TEST_F(LineTest, job_is_told_from_later_ones_on_its_index) {
    const Job first = line_.append(2);
    EXPECT_TRUE(line_.is(first, SlotState::Held));
    EXPECT_FALSE(line_.is(first, SlotState::Given));
    go(2, {SlotState::Dequeued});
    EXPECT_FALSE(line_.is(first, SlotState::Dequeued));
    const Job second = line_.append(2);
    EXPECT_FALSE(line_.is(first, SlotState::Held));
    EXPECT_TRUE(line_.is(second, SlotState::Held));
    EXPECT_GT(second.position, first.position);
}

TEST_F(LineTest, job_of_a_buffer_that_is_gone_is_no_job) {
    const Job job = line_.append(7);
    go(7, {SlotState::Dequeued});
    line_.resize(4);
    EXPECT_FALSE(line_.is(job, SlotState::Held));
    EXPECT_FALSE(line_.next_given_fence(job).has_value());
}

TEST_F(LineTest, leaving_forgets_what_was_with_the_buffer) {
    make("W");
    line_[0].error = -EIO;
    line_[0].due = line_[0].expired = line_[0].was_held = true;
    line_[0].out = FencePromise();
    go(0, {SlotState::Dequeued});
    EXPECT_FALSE(line_[0].in_pending || line_[0].due || line_[0].expired || line_[0].was_held);
    EXPECT_EQ(line_[0].error, 0);
    EXPECT_EQ(line_[0].position, 0U);
}

// Pins: 4.2
TEST_F(LineTest, gate_is_the_first_held_and_waits_for_its_fence) {
    make("gdfwh");
    EXPECT_EQ(line_.next_to_give(), none);
    line_[3].in_pending = false;
    EXPECT_EQ(line_.next_to_give(), 3U);
    go(3, {SlotState::Giving});
    EXPECT_EQ(line_.next_to_give(), 4U);
    go(4, {SlotState::Giving});
    EXPECT_EQ(line_.next_to_give(), none);
}

TEST_F(LineTest, gate_skips_what_has_failed_behind_it) {
    make("hhhh");
    go(1, {SlotState::Failed});
    go(2, {SlotState::Dequeued});
    EXPECT_EQ(line_.next_to_give(), 0U);
    go(0, {SlotState::Giving});
    EXPECT_EQ(line_.next_to_give(), 3U);
}

TEST_F(LineTest, gate_goes_back_when_buffers_come_back) {
    make("gghh");
    EXPECT_EQ(line_.next_to_give(), 2U);
    go(1, {SlotState::Held});
    EXPECT_EQ(line_.next_to_give(), 1U);
    go(0, {SlotState::Held});
    EXPECT_EQ(line_.next_to_give(), 0U);
    go(0, {SlotState::Giving});
    EXPECT_EQ(line_.next_to_give(), 1U);
}

TEST_F(LineTest, gate_opens_for_a_buffer_appended_to_a_line_without_held_ones) {
    make("gg");
    EXPECT_EQ(line_.next_to_give(), none);
    line_.append(5);
    EXPECT_EQ(line_.next_to_give(), 5U);
    line_.append(4);
    EXPECT_EQ(line_.next_to_give(), 5U);
}

// Pins: 4.2, 5.1
TEST_F(LineTest, ready_prefix_ends_at_the_first_pending_in_fence) {
    EXPECT_EQ(line_.ready_prefix(), 0U);
    make("hhfhwh");
    EXPECT_EQ(line_.ready_prefix(), 3U);
    line_[4].in_pending = false;
    EXPECT_EQ(line_.ready_prefix(), 5U);
    line_[0].in_pending = true;
    EXPECT_EQ(line_.ready_prefix(), 0U);
}

// Pins: 4.7
TEST_F(LineTest, due_fence_of_an_ordered_queue_waits_for_earlier_fences) {
    make("GD");
    EXPECT_EQ(line_.next_due_fence(true), none);
    EXPECT_EQ(line_.next_due_fence(false), 1U);
    go(0, {SlotState::Done});
    EXPECT_EQ(line_.next_due_fence(true), 0U);
    line_[0].out = FencePromise();
    EXPECT_EQ(line_.next_due_fence(true), 1U);
}

TEST_F(LineTest, due_fence_does_not_wait_for_buffers_without_fences) {
    make("gD");
    EXPECT_EQ(line_.next_due_fence(true), 1U);
}

// Pins: 5.1
TEST_F(LineTest, due_fence_of_a_failed_buffer_has_its_turn) {
    make("GFW");
    EXPECT_EQ(line_.next_due_fence(true), none);
    EXPECT_EQ(line_.next_due_fence(false), 1U);
    line_[0].out = FencePromise();
    EXPECT_EQ(line_.next_due_fence(true), 1U);
}

// Pins: 5.1
TEST_F(LineTest, due_fence_of_a_failed_buffer_does_not_wait_when_stalled) {
    make("GF");
    EXPECT_EQ(line_.next_due_fence(true), 1U);
    line_.append(2);
    EXPECT_EQ(line_.next_due_fence(true), none);
    go(2, {SlotState::Giving});
    EXPECT_EQ(line_.next_due_fence(true), 1U);
}

// Pins: 5.7
TEST_F(LineTest, due_fence_ends_whatever_comes_before) {
    make("WGG");
    EXPECT_EQ(line_.next_due_fence(true), none);
    line_[2].due = true;
    EXPECT_EQ(line_.next_due_fence(true), 2U);
}

// Pins: 5.1
TEST_F(LineTest, failed_buffer_comes_after_all_earlier_ones) {
    make("dffw");
    EXPECT_EQ(line_.next_failed(true), none);
    EXPECT_EQ(line_.next_failed(false), 1U);
    go(0, {SlotState::Dequeued});
    EXPECT_EQ(line_.next_failed(true), 1U);
    go(1, {SlotState::Dequeued});
    EXPECT_EQ(line_.next_failed(true), 2U);
    go(2, {SlotState::Dequeued});
    EXPECT_EQ(line_.next_failed(true), none);
    EXPECT_EQ(line_.next_failed(false), none);
}

// Pins: 5.1
TEST_F(LineTest, failed_buffer_comes_at_once_when_the_device_holds_all_else) {
    make("gifg");
    EXPECT_EQ(line_.next_failed(true), none);
    EXPECT_EQ(line_.next_failed_when_stalled(), 2U);
    line_.append(6);
    EXPECT_EQ(line_.next_failed_when_stalled(), none);
    go(6, {SlotState::Giving});
    EXPECT_EQ(line_.next_failed_when_stalled(), 2U);
    go(0, {SlotState::Done});
    EXPECT_EQ(line_.next_failed_when_stalled(), none);
}

// Pins: 1.5
TEST_F(LineTest, oldest_but_failed_is_what_an_ordered_device_finishes_first) {
    make("fgg");
    EXPECT_TRUE(line_.is_oldest_but_failed(1));
    EXPECT_FALSE(line_.is_oldest_but_failed(2));
}

TEST_F(LineTest, oldest_given_passes_what_is_not_the_devices) {
    EXPECT_EQ(line_.oldest_given(), none);
    make("dfig");
    EXPECT_EQ(line_.oldest_given(), 2U);
}

TEST_F(LineTest, given_fences_are_walked_from_the_oldest) {
    make("DgGFIGW");
    auto job = line_.first_given_fence();
    std::string walked;
    while (job) {
        walked += static_cast<char>('0' + job->index);
        job = line_.next_given_fence(*job);
    }
    EXPECT_EQ(walked, "245");
}

TEST_F(LineTest, given_fences_are_walked_on_behind_the_place_of_a_job_that_has_left) {
    make("GGGG");
    const Job third{2, line_[2].position};
    go(2, {SlotState::Done, SlotState::Dequeued});
    EXPECT_EQ(line_.next_given_fence(third)->index, 3U);
}

TEST_F(LineTest, given_fences_are_walked_on_when_the_job_has_left) {
    make("GGG");
    const Job first = *line_.first_given_fence();
    const Job second = *line_.next_given_fence(first);
    go(1, {SlotState::Done, SlotState::Dequeued});
    line_.append(1);  // The same index, another job.
    EXPECT_EQ(line_.next_given_fence(second)->index, 2U);
    go(0, {SlotState::Done, SlotState::Dequeued});
    EXPECT_EQ(line_.next_given_fence(first)->index, 2U);
    go(2, {SlotState::Done, SlotState::Dequeued});
    EXPECT_FALSE(line_.next_given_fence(second).has_value());
}

}  // namespace
}  // namespace v4lfence
