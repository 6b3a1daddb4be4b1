// SPDX-License-Identifier: MIT

#include "v4lfence/sync/testing/oracle.hpp"

#include <algorithm>
#include <cerrno>

namespace v4lfence::testing {

void Oracle::expect(bool holds, const char* rule) {
    if (!holds && violation_.empty()) {
        violation_ = rule;
    }
}

// --- what happens --------------------------------------------------------------------------------

void Oracle::begin_call(bool is_told) {
    told_ = is_told;
    stopped_ = is_stream_on_ = tries_start_ = false;
    own_ = 0;
    result_ = 0;
}

int Oracle::end_call() {
    told_ = false;
    own_ = 0;
    return std::exchange(result_, 0);
}

std::uint64_t Oracle::queue(unsigned index, bool in_pending, int in_error, bool out,
                            bool is_outer) {
    const std::uint64_t serial = ++serials_;
    if (failure_ != 0) {
        undone_.push_back(serial);
        return serial;
    }
    Item item;
    item.index = index;
    item.serial = serial;
    item.in_pending = in_pending;
    item.out_pending = out;
    line_.push_back(item);
    if (in_error != 0) {
        fail(line_.back(), in_error);
    }
    own_ = is_outer ? serial : own_;
    may_be_late_ = false;
    return serial;
}

void Oracle::in_fence_ended(unsigned index, int error) {
    Item& item = at(index);
    item.in_pending = false;
    if (error != 0) {
        fail(item, error);
    }
    may_be_late_ = false;
}

void Oracle::finished(unsigned index, int error) {
    Item& item = at(index);
    item.at = At::Done;
    item.error = item.expired ? item.error : error;
    done_order_.push_back(index);
}

void Oracle::begin_dequeue(unsigned index) {
    Item& item = at(index);
    const bool overtakes = std::any_of(line_.begin(), line_.end(), [&](const Item& other) {
        return other.serial < item.serial && other.at != At::Failed;
    });
    ordered_ = ordered_ && !(item.at == At::Done && overtakes);
    item.due = item.leaving = true;
}

void Oracle::end_dequeue(unsigned index) {
    std::erase_if(line_, [&](const Item& item) {
        expect(item.index != index || !item.out_pending, "returned with its out-fence pending");
        return item.index == index;
    });
    std::erase(done_order_, index);
}

void Oracle::stream_on() {
    streaming_ = is_stream_on_ = true;
    may_be_late_ = false;
}

void Oracle::begin_cancel(int error) {
    ending_all_ = error;
    for (Item& item : line_) {
        item.in_pending = false;
    }
}

void Oracle::end_cancel() {
    for (const Item& item : line_) {
        expect(!item.out_pending, "an out-fence is pending after cancel()");
    }
    line_.clear();
    done_order_.clear();
    streaming_ = started_ = degraded_ = may_be_late_ = false;
    ordered_ = rules_.ordered;
    failure_ = ending_all_ = 0;
}

void Oracle::break_queue(int error) {
    if (failure_ != 0) {
        return;
    }
    failure_ = error;
    fail_all(error);
}

void Oracle::fail_all(int error) {
    ending_all_ = error;
    for (Item& item : line_) {
        item.in_pending = false;
    }
}

void Oracle::time_passed() {
    if (failure_ != 0) {
        return;
    }
    may_be_late_ = false;
    for (Item& item : line_) {
        const bool late_out = rules_.has_bound && item.out_pending && !item.due;
        const bool late_in = rules_.has_deadline && item.in_pending;
        degraded_ = degraded_ || late_out;
        if (item.at == At::Held && (late_in || late_out)) {
            fail(item, -ETIME);
        } else if (item.at == At::Device && late_out) {
            item.expired = true;
            item.error = -ETIME;
        }
        item.due = item.due || late_out;
    }
}

// --- call-outs -----------------------------------------------------------------------------------

void Oracle::given(unsigned index) {
    const auto first = std::find_if(line_.begin(), line_.end(),
                                    [](const Item& item) { return item.at == At::Held; });
    expect(first != line_.end() && first->index == index, "given out of its turn");
    expect(failure_ == 0, "given to a failed queue");
    expect(!stopped_, "given after a start that failed");
    if (!violation_.empty()) {
        return;
    }
    expect(!first->in_pending, "given before its in-fence has ended");
    expect(device_runs() || streaming_, "given before STREAMON");
    expect(device_runs() || tries_start_ || count(At::Device) + ready_prefix() >= rules_.minimum,
           "given though the minimum is not reached");
    first->at = At::Device;
    tries_start_ = true;
}

void Oracle::answered(unsigned index, Taker::Answer answer) {
    const Item* found = find(index);
    if (found == nullptr || found->at != At::Device || answer.verdict == Taker::Verdict::Taken) {
        told_ = told_ && !(found != nullptr && found->serial == own_);
        return;
    }
    Item& item = at(index);
    item.at = At::Held;
    switch (answer.verdict) {
    case Taker::Verdict::Taken:
        return;
    case Taker::Verdict::Refused:
        if (item.serial == own_) {
            (void)tell(answer.error);
        } else {
            fail(item, answer.error);
        }
        return;
    case Taker::Verdict::StartFailed:
        stopped_ = true;
        if (!tell(answer.error)) {
            break_queue(-EIO);
        }
        return;
    case Taker::Verdict::Gone:
        (void)tell(answer.error);
        break_queue(answer.error);
        return;
    }
}

void Oracle::start_called(unsigned count_given) {
    expect(!rules_.taker_starts && streaming_ && !started_, "started at the wrong time");
    expect(count_given == count(At::Device), "started with a wrong count");
    expect(count_given >= rules_.minimum, "started with too few buffers");
    tries_start_ = false;
}

void Oracle::start_answered(Taker::Answer answer) {
    started_ = answer.verdict == Taker::Verdict::Taken;
    if (started_) {
        return;
    }
    for (Item& item : line_) {
        item.at = item.at == At::Device ? At::Held : item.at;
    }
    stopped_ = true;
    told_ = told_ || own_ != 0;
    if (!tell(answer.error)) {
        break_queue(-EIO);
    }
}

/// Whoever made the call hears of it, and loses his own buffer.
bool Oracle::tell(int error) {
    if (!told_) {
        return false;
    }
    const auto own = std::find_if(line_.begin(), line_.end(),
                                  [&](const Item& item) { return item.serial == own_; });
    if (own_ != 0 && (own == line_.end() || own->at == At::Device || own->at == At::Done)) {
        return false;
    }
    result_ = error;
    may_be_late_ = true;
    if (own_ != 0) {
        undo(own_);
        own_ = 0;
    }
    streaming_ = streaming_ && !is_stream_on_;
    return true;
}

void Oracle::undo(std::uint64_t serial) {
    const auto item = std::find_if(line_.begin(), line_.end(),
                                   [&](const Item& other) { return other.serial == serial; });
    if (item->out_pending) {
        undone_.push_back(serial);
    }
    line_.erase(item);
}

void Oracle::fence_ended(std::uint64_t serial, int error) {
    const auto item = std::find_if(line_.begin(), line_.end(),
                                   [&](const Item& other) { return other.serial == serial; });
    if (item == line_.end()) {
        expect(std::erase(undone_, serial) == 1, "an out-fence of no buffer ended");
        expect(error == -ECANCELED, "an out-fence of an undone QBUF ended strangely");
        return;
    }
    expect(item->out_pending, "an out-fence ended twice");
    item->out_pending = false;
    const bool is_over = item->at == At::Done || item->at == At::Failed || item->expired;
    if (ending_all_ != 0) {
        const bool is_first = is_first_pending(*item);
        expect(is_first || is_due(*item), "not in queue order, all at once");
        expect(error == (is_over ? item->error : ending_all_), "a wrong error, all at once");
        return;
    }
    expect(is_over || item->leaving, "an out-fence ended while the device owns the buffer");
    expect(error == item->error, "an out-fence ended with a wrong error");
    expect(is_due(*item), "an out-fence ended out of order");
}

// --- what has to be ------------------------------------------------------------------------------

void Oracle::check_fences() {
    for (const Item& item : line_) {
        expect(!item.out_pending || failure_ == 0, "an out-fence of a failed queue is pending");
        expect(!item.out_pending || !is_due(item), "an out-fence that is due is pending");
    }
    expect(undone_.empty() || result_ != 0 || told_, "the out-fence of an undone QBUF is pending");
    ending_all_ = failure_ != 0 ? ending_all_ : 0;
}

void Oracle::check_gate() {
    expect(undone_.empty(), "the out-fence of an undone QBUF is pending");
    if (failure_ != 0 || may_be_late_) {
        return;
    }
    if (device_runs()) {
        expect(ready_prefix() == 0, "a ready buffer was forgotten");
    } else if (streaming_) {
        expect(count(At::Device) + ready_prefix() < rules_.minimum, "the start was forgotten");
    }
}

bool Oracle::is_first_pending(const Item& item) const {
    return std::none_of(line_.begin(), line_.end(), [&](const Item& other) {
        return other.serial < item.serial && other.out_pending;
    });
}

bool Oracle::is_due(const Item& item) const {
    const bool in_turn = !ordered_ || is_first_pending(item);
    switch (item.at) {
    case At::Done:
        return item.due || in_turn;
    case At::Failed:
        return item.due || in_turn || is_stalled();
    default:
        return item.due;
    }
}

Oracle::Item& Oracle::at(unsigned index) {
    return const_cast<Item&>(*find(index));
}

const Oracle::Item* Oracle::find(unsigned index) const {
    const auto item = std::find_if(line_.begin(), line_.end(),
                                   [&](const Item& other) { return other.index == index; });
    return item == line_.end() ? nullptr : &*item;
}

unsigned Oracle::count(At where) const {
    return static_cast<unsigned>(std::count_if(line_.begin(), line_.end(), [&](const Item& item) {
        return item.at == where && !item.leaving;
    }));
}

unsigned Oracle::ready_prefix() const {
    unsigned ready = 0;
    for (const Item& item : line_) {
        if (item.at == At::Held && item.in_pending) {
            break;
        }
        ready += item.at == At::Held ? 1 : 0;
    }
    return ready;
}

void Oracle::fail(Item& item, int error) {
    item.in_pending = false;
    item.at = At::Failed;
    item.error = error;
}

std::optional<unsigned> Oracle::next_failed() const {
    for (const Item& item : line_) {
        if (streaming_ && item.at == At::Failed) {
            return item.index;
        }
        if (ordered_) {
            break;
        }
    }
    return std::nullopt;
}

std::optional<unsigned> Oracle::next_failed_when_stalled() const {
    const auto failed = std::find_if(line_.begin(), line_.end(),
                                     [](const Item& item) { return item.at == At::Failed; });
    const bool is_there = streaming_ && is_stalled() && failed != line_.end();
    return is_there ? std::optional(failed->index) : std::nullopt;
}

std::optional<unsigned> Oracle::oldest_done() const {
    return done_order_.empty() ? std::nullopt : std::optional(done_order_.front());
}

std::string Oracle::key() const {
    std::string key;
    for (const Item& item : line_) {
        key += static_cast<char>('0' + item.index);
        key += static_cast<char>('A' + static_cast<int>(item.at));
        key += static_cast<char>('0' + item.in_pending + 2 * item.out_pending + 4 * item.due +
                                 8 * item.expired);
        key += static_cast<char>('a' - item.error % 100);
    }
    key += '|';
    for (const unsigned index : done_order_) {
        key += static_cast<char>('0' + index);
    }
    key += static_cast<char>('0' + streaming_ + 2 * started_ + 4 * ordered_ + 8 * degraded_ +
                             16 * may_be_late_);
    return key + static_cast<char>('a' - failure_ % 100);
}

}  // namespace v4lfence::testing
