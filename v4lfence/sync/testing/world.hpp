// SPDX-License-Identifier: MIT
//
// World: a Sync with all its neighbours, whose every move is a choice on a Tape, watched by an
// Oracle. Within a call-out of the Sync other calls may happen, as if other threads made them at
// that moment.

#pragma once

#include <string>
#include <vector>

#include "v4lfence/fence/testing/scripted_clock.hpp"
#include "v4lfence/sync/sync.hpp"
#include "v4lfence/sync/testing/oracle.hpp"
#include "v4lfence/sync/testing/tape.hpp"

namespace v4lfence::testing {

enum class Move : std::uint8_t {
    QueuePlain,      ///< With an out-fence only.
    QueueBare,       ///< Without any fence.
    QueueIn,         ///< With an in-fence and an out-fence.
    QueueInOnly,     ///< With an in-fence only.
    QueueInFailed,   ///< The in-fence had failed already.
    QueueUnwatched,  ///< Its in-fence cannot be watched.
    InEnds,
    InFails,
    Finish,
    FinishBad,
    DequeueDone,
    DequeueFailed,
    StreamOn,
    Stop,
    StopWithLast,  ///< The device finishes its oldest buffer while it is stopped.
    Tick,          ///< Every deadline and bound passes.
    Break,
};

struct WorldRules {
    OracleRules queue;
    unsigned buffers = 2;
    std::vector<Move> outer;
    std::vector<Move> inner;     ///< What may happen within a call-out.
    unsigned inner_max = 1;      ///< How much of it within one outer call.
    bool answers = false;        ///< The Taker says any of its answers, not only Taken.
    unsigned finish_any = true;  ///< The device finishes in any order.
};

class World final : private Taker, private FenceWaits, private FenceContext {
public:
    World(const WorldRules& rules, Tape& tape, bool keeps_story = false);

    /// One outer call of the tape's choice. False: the Oracle objects.
    bool step();

    /// "None" may be chosen: then step() did nothing.
    std::string key() const { return oracle_.key(); }
    /// The moves, and the rule that was broken.
    std::string story() const { return story_ + " => " + oracle_.violation(); }

private:
    struct Choice {
        Move move;
        unsigned index;
    };
    void tell(const char* what, unsigned index, bool is_outer);
    void add_choices(Move move);
    void collect(const std::vector<Move>& moves);
    void add_each(Move move, Oracle::At at, bool needs_in_fence);
    void do_move(Choice choice, bool is_outer);
    void queue(Move move, unsigned index, bool is_outer);
    void stop(bool with_last);
    void inner_moves();
    void check_views();
    void check_queue_view();
    Taker::Answer choose_answer();

    Answer give(unsigned index) override;
    Answer start(unsigned count) override;
    Result<> watch(Job job, const Fence& fence) override;
    void unwatch(unsigned index) override { watched_[index] = false; }
    void set_deadline(Deadline deadline) override { deadline_ = deadline; }
    void wake() override {}
    void on_given() override {}
    Result<MintedFence> mint(unsigned slot) override;
    Result<> begin_generation(bool) override { return {}; }
    void abandon() noexcept override {}
    void end_fence(UniqueFd end, std::uint64_t id, int error) noexcept override;

    const WorldRules& rules_;
    Tape& tape_;
    const bool keeps_story_;
    Oracle oracle_;
    ScriptedClock clock_;
    FenceCounters counters_;
    std::vector<bool> watched_;
    std::vector<Job> jobs_;
    std::vector<Choice> choices_;
    std::string story_;
    Deadline deadline_;
    unsigned inner_left_ = 0;
    bool watch_fails_ = false;
    bool is_starting_ = false;
    Sync sync_;
};

}  // namespace v4lfence::testing
