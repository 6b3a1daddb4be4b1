// SPDX-License-Identifier: MIT
//
// All that can happen to a small queue, in every order, also within the call-outs: judged by the
// Oracle.

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "v4lfence/sync/testing/world.hpp"

namespace v4lfence {
namespace {

using testing::Move;
using testing::OracleRules;
using testing::Tape;
using testing::World;
using testing::WorldRules;

const std::vector<Move> all_moves{
    Move::QueuePlain, Move::QueueBare, Move::QueueIn,      Move::QueueInOnly, Move::QueueInFailed,
    Move::InEnds,     Move::InFails,   Move::Finish,       Move::DequeueDone, Move::DequeueFailed,
    Move::StreamOn,   Move::Stop,      Move::StopWithLast, Move::Tick,        Move::Break,
};
const std::vector<Move> other_threads{
    Move::QueueIn, Move::QueuePlain,  Move::InEnds,        Move::InFails, Move::Finish,
    Move::Tick,    Move::DequeueDone, Move::DequeueFailed, Move::Break,
};

const std::vector<Move> few_moves{
    Move::QueuePlain,  Move::QueueIn,       Move::InEnds,   Move::InFails, Move::Finish,
    Move::DequeueDone, Move::DequeueFailed, Move::StreamOn, Move::Stop,    Move::Tick,
};

struct Explored {
    std::size_t states = 0;
    std::size_t runs = 0;
    std::string objection;
};

void print(const char* name, const Explored& explored) {
    std::printf("%-24s %8zu states %9zu sequences\n", name, explored.states, explored.runs);
}

/// Plays the run of `tape` again, to be told.
std::string story_of(const WorldRules& rules, const Tape& tape) {
    Tape again = Tape::of_run(tape.taken());
    World world(rules, again, true);
    while (world.step()) {}
    return world.story();
}

/// Every sequence of `depth` calls, from the beginning.
Explored explore_sequences(const WorldRules& rules, unsigned depth) {
    Explored explored;
    std::unordered_set<std::string> seen;
    Tape tape;
    do {
        World world(rules, tape);
        for (unsigned done = 0; done < depth; ++done) {
            if (!world.step()) {
                explored.objection = story_of(rules, tape);
                return explored;
            }
        }
        ++explored.runs;
        seen.insert(world.key());
    } while (tape.advance());
    explored.states = seen.size();
    return explored;
}

/// Every call from every state, until none is new or there are `states_max`.
Explored explore_states(const WorldRules& rules, std::size_t states_max) {
    struct Node {
        std::vector<std::uint8_t> path;
        unsigned steps = 0;
    };
    Explored explored;
    std::unordered_set<std::string> seen;
    std::vector<Node> nodes(1);
    for (std::size_t at = 0; at < nodes.size(); ++at) {
        const Node node = std::exchange(nodes[at], Node());
        Tape tape(node.path);
        do {
            World world(rules, tape);
            for (unsigned done = 0; done <= node.steps; ++done) {
                if (!world.step()) {
                    explored.objection = story_of(rules, tape);
                    return explored;
                }
            }
            ++explored.runs;
            if (seen.size() < states_max && seen.insert(world.key()).second) {
                nodes.push_back({tape.taken(), node.steps + 1});
            }
        } while (tape.advance());
    }
    explored.states = seen.size();
    return explored;
}

WorldRules rules_for(OracleRules queue, unsigned buffers) {
    queue.has_deadline = queue.has_bound = true;
    return {.queue = queue,
            .buffers = buffers,
            .outer = all_moves,
            .inner = other_threads,
            .inner_max = 1,
            .answers = true,
            .finish_any = true};
}

struct Case {
    const char* name;
    OracleRules queue;
};
constexpr Case cases[] = {
    {"bridge ordered", {.ordered = true}},
    {"bridge unordered", {.ordered = false}},
    {"minimum 0", {.ordered = true, .taker_starts = false, .minimum = 0}},
    {"minimum 1", {.ordered = true, .taker_starts = false, .minimum = 1}},
    {"minimum 2", {.ordered = true, .taker_starts = false, .minimum = 2}},
    {"minimum 2 unordered", {.ordered = false, .taker_starts = false, .minimum = 2}},
};

// Pins: 4.1, 4.2, 4.3, 4.4, 4.5, 4.7, 5.1, 5.4, 5.6, 5.7
TEST(Explore, every_state_of_two_buffers_is_right) {
    for (const Case& one : cases) {
        WorldRules rules = rules_for(one.queue, 2);
        rules.inner_max = 2;
        const Explored explored = explore_states(rules, 20000);
        print(one.name, explored);
        EXPECT_EQ(explored.objection, "") << one.name;
        EXPECT_GT(explored.states, 1000U) << one.name;
        EXPECT_LT(explored.states, 20000U) << one.name << ": some were not seen";
        EXPECT_GT(explored.runs, 50000U) << one.name;
    }
}

TEST(Explore, states_of_three_buffers_are_right) {
    for (const Case& one : cases) {
        const Explored explored = explore_states(rules_for(one.queue, 3), 1500);
        print(one.name, explored);
        EXPECT_EQ(explored.objection, "") << one.name;
        EXPECT_EQ(explored.states, 1500U) << one.name;
    }
}

// Without leaving out what leads to a state that was seen before.
TEST(Explore, every_sequence_is_right) {
    for (const Case& one : cases) {
        WorldRules rules = rules_for(one.queue, 3);
        rules.outer = few_moves;
        rules.inner_max = 0;
        rules.answers = false;
        const Explored explored = explore_sequences(rules, 7);
        print(one.name, explored);
        EXPECT_EQ(explored.objection, "") << one.name;
        EXPECT_GT(explored.runs, 90000U) << one.name;
    }
}

TEST(Explore, every_short_sequence_with_all_within_is_right) {
    for (const Case& one : cases) {
        const Explored explored = explore_sequences(rules_for(one.queue, 2), 3);
        print(one.name, explored);
        EXPECT_EQ(explored.objection, "") << one.name;
        EXPECT_GT(explored.runs, 1500U) << one.name;
    }
}

}  // namespace
}  // namespace v4lfence
