// SPDX-License-Identifier: MIT
//
// Oracle: what a queue has to do, in its plainest form, to judge what a Sync did. It shares no code
// with it: a list of buffers in order of QBUF, searched from the front for every question.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "v4lfence/sync/taker.hpp"

namespace v4lfence::testing {

struct OracleRules {
    bool ordered = true;
    bool taker_starts = true;
    unsigned minimum = 1;
    bool has_deadline = false;
    bool has_bound = false;
};

class Oracle {
public:
    enum class At : std::uint8_t { Held, Device, Done, Failed };

    struct Item {
        unsigned index = 0;
        std::uint64_t serial = 0;  ///< Also of its out-fence.
        At at = At::Held;
        bool in_pending = false;
        bool out_pending = false;
        bool due = false;
        bool expired = false;
        bool leaving = false;
        int error = 0;
    };

    explicit Oracle(const OracleRules& rules) : rules_(rules), ordered_(rules.ordered) {}

    // What happens to the queue; each before the Sync is told.
    void begin_call(bool is_told);
    std::uint64_t queue(unsigned index, bool in_pending, int in_error, bool out, bool is_outer);
    void watch_failed() { undo(line_.back().serial); }
    void in_fence_ended(unsigned index, int error);
    void finished(unsigned index, int error);
    void begin_dequeue(unsigned index);
    void end_dequeue(unsigned index);
    void stream_on();
    void begin_cancel(int error);
    void end_cancel();
    void break_queue(int error);
    void time_passed();

    // Call-outs of the Sync.
    void given(unsigned index);
    void answered(unsigned index, Taker::Answer answer);
    void start_called(unsigned count);
    void start_answered(Taker::Answer answer);
    void fence_ended(std::uint64_t serial, int error);

    /// What the call has to return. Ends it.
    int end_call();

    /// After each call, also one from within a call-out.
    void check_fences();
    /// After each outer call.
    void check_gate();

    // What has to be seen.
    const std::vector<Item>& line() const { return line_; }
    const Item* find(unsigned index) const;
    std::optional<unsigned> next_failed() const;
    std::optional<unsigned> next_failed_when_stalled() const;
    std::optional<unsigned> oldest_done() const;
    bool is_streaming() const { return streaming_; }
    bool is_ordered() const { return ordered_; }
    bool is_degraded() const { return degraded_; }
    int failure() const { return failure_; }
    bool device_runs() const { return rules_.taker_starts || started_; }
    const OracleRules& rules() const { return rules_; }

    /// The first rule that was broken; empty: none.
    const std::string& violation() const { return violation_; }
    void expect(bool holds, const char* rule);

    /// Equal for states with the same future.
    std::string key() const;

private:
    Item& at(unsigned index);
    unsigned count(At at) const;
    bool is_stalled() const { return count(At::Held) == 0 && count(At::Done) == 0; }
    bool is_first_pending(const Item& item) const;
    bool is_due(const Item& item) const;
    unsigned ready_prefix() const;
    void fail(Item& item, int error);
    void fail_all(int error);
    void undo(std::uint64_t serial);
    bool tell(int error);

    OracleRules rules_;
    std::vector<Item> line_;
    std::vector<unsigned> done_order_;
    std::vector<std::uint64_t> undone_;  ///< Out-fences that nobody was given.
    std::uint64_t serials_ = 0;
    bool streaming_ = false;
    bool started_ = false;
    bool ordered_ = true;
    bool degraded_ = false;
    bool may_be_late_ = false;  ///< A start has failed: the next call tries again.
    int failure_ = 0;
    int ending_all_ = 0;  ///< All fences end, with this.

    // The call under way.
    bool told_ = false;
    bool is_stream_on_ = false;
    bool tries_start_ = false;
    bool stopped_ = false;
    std::uint64_t own_ = 0;
    int result_ = 0;

    std::string violation_;
};

}  // namespace v4lfence::testing
