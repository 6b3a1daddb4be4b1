// SPDX-License-Identifier: MIT

#include "v4lfence/sync/testing/world.hpp"

#include <array>
#include <chrono>
#include <utility>

namespace v4lfence::testing {

namespace {

using namespace std::chrono_literals;

constexpr int in_error = -ENODATA;
constexpr int device_error = -EIO;
constexpr int refused_error = -EINVAL;
constexpr int start_error = -EPIPE;
constexpr int gone_error = -ENODEV;
constexpr int stop_error = -ECANCELED;

constexpr std::array move_names{
    "queue",           "queue bare",     "queue+in",  "queue+in only", "queue+failed in",
    "queue unwatched", "in ends",        "in fails",  "finish",        "finish bad",
    "dequeue",         "dequeue failed", "stream on", "stop",          "stop w. last",
    "time passes",     "break",
};

constexpr std::array answer_names{"taken", "refused", "start failed", "gone"};

bool is_at(const Oracle::Item& item, SlotState state) {
    switch (state) {
    case SlotState::Held:
        return item.at == Oracle::At::Held;
    case SlotState::Giving:
    case SlotState::Given:
        return item.at == Oracle::At::Device;
    case SlotState::Done:
        return item.at == Oracle::At::Done;
    case SlotState::Failed:
        return item.at == Oracle::At::Failed;
    case SlotState::Dequeued:
        return false;
    }
    return false;
}

}  // namespace

World::World(const WorldRules& rules, Tape& tape, bool keeps_story)
    : rules_(rules), tape_(tape), keeps_story_(keeps_story), oracle_(rules.queue),
      watched_(rules.buffers), jobs_(rules.buffers), sync_(*this, *this, clock_, counters_) {
    sync_.set_options({.ordered = rules.queue.ordered,
                       .taker_starts = rules.queue.taker_starts,
                       .minimum = rules.queue.minimum});
    sync_.resize(rules.buffers);
}

bool World::step() {
    inner_left_ = rules_.inner_max;
    collect(rules_.outer);
    do_move(choices_[tape_.choose(static_cast<unsigned>(choices_.size()))], true);
    if (!tape_.is_in_prefix()) {
        oracle_.check_gate();
        check_queue_view();
    }
    return oracle_.violation().empty();
}

void World::tell(const char* what, unsigned index, bool is_outer) {
    if (keeps_story_) {
        story_ += is_outer ? "; " : " (";
        story_ += what + std::string(" ") + std::to_string(index);
        story_ += is_outer ? "" : ")";
    }
}

// --- what may happen -----------------------------------------------------------------------------

void World::collect(const std::vector<Move>& moves) {
    choices_.clear();
    for (const Move move : moves) {
        add_choices(move);
    }
}

void World::add_choices(Move move) {
    switch (move) {
    case Move::InEnds:
    case Move::InFails:
        return add_each(move, Oracle::At::Held, true);
    case Move::Finish:
    case Move::FinishBad:
        if (oracle_.device_runs() && !is_starting_) {
            add_each(move, Oracle::At::Device, false);
        }
        return;
    case Move::DequeueDone:
        if (const auto index = oracle_.oldest_done()) {
            choices_.push_back({move, *index});
        }
        return;
    case Move::DequeueFailed:
        if (const auto index = oracle_.next_failed() ? oracle_.next_failed()
                                                     : oracle_.next_failed_when_stalled()) {
            choices_.push_back({move, *index});
        }
        return;
    case Move::StreamOn:
        if (!oracle_.is_streaming()) {
            choices_.push_back({move, 0});
        }
        return;
    case Move::Stop:
    case Move::StopWithLast:
    case Move::Tick:
    case Move::Break:
        choices_.push_back({move, 0});
        return;
    default:  // A QBUF, of any buffer that is free: the first stands for all.
        for (unsigned index = 0; index < rules_.buffers; ++index) {
            if (oracle_.find(index) == nullptr) {
                choices_.push_back({move, index});
                return;
            }
        }
    }
}

void World::add_each(Move move, Oracle::At at, bool needs_in_fence) {
    for (const Oracle::Item& item : oracle_.line()) {
        if (item.at == at && !item.leaving && (item.in_pending || !needs_in_fence)) {
            choices_.push_back({move, item.index});
            if (at == Oracle::At::Device && !rules_.finish_any) {
                return;
            }
        }
    }
}

// --- moves ---------------------------------------------------------------------------------------

void World::do_move(Choice choice, bool is_outer) {
    const unsigned index = choice.index;
    tell(move_names[static_cast<std::size_t>(choice.move)], index, is_outer);
    if (is_outer) {
        oracle_.begin_call(choice.move <= Move::QueueUnwatched || choice.move == Move::StreamOn);
    }
    switch (choice.move) {
    case Move::InEnds:
    case Move::InFails: {
        const int error = choice.move == Move::InEnds ? 0 : in_error;
        oracle_.in_fence_ended(index, error);
        const auto state = error == 0 ? FenceState::Signaled : FenceState::Failed;
        sync_.on_in_fence(jobs_[index], {state, error, std::nullopt});
        break;
    }
    case Move::Finish:
    case Move::FinishBad: {
        const int error = choice.move == Move::Finish ? 0 : device_error;
        oracle_.finished(index, error);
        sync_.finish(sync_.view(index).job, error);
        break;
    }
    case Move::DequeueDone:
    case Move::DequeueFailed:
        oracle_.begin_dequeue(index);
        sync_.dequeue(index);
        oracle_.end_dequeue(index);
        break;
    case Move::StreamOn: {
        oracle_.stream_on();
        const auto result = sync_.stream_on();
        oracle_.expect((result ? 0 : result.error().code) == oracle_.end_call(),
                       "STREAMON has a wrong result");
        break;
    }
    case Move::Stop:
    case Move::StopWithLast:
        stop(choice.move == Move::StopWithLast);
        break;
    case Move::Tick:
        clock_.advance(10s);
        oracle_.time_passed();
        sync_.on_deadline(clock_.now());
        break;
    case Move::Break:
        oracle_.break_queue(gone_error);
        sync_.fail_queue(gone_error);
        break;
    default:
        queue(choice.move, index, is_outer);
        break;
    }
    oracle_.check_fences();
    if (!tape_.is_in_prefix()) {
        check_views();
    }
}

void World::queue(Move move, unsigned index, bool is_outer) {
    const bool in_pending =
        move == Move::QueueIn || move == Move::QueueInOnly || move == Move::QueueUnwatched;
    const bool out = move != Move::QueueBare && move != Move::QueueInOnly;
    const int failure = oracle_.failure();
    Submission submission;
    submission.index = index;
    submission.in_error = move == Move::QueueInFailed ? in_error : 0;
    const std::uint64_t serial =
        oracle_.queue(index, in_pending, submission.in_error, out, is_outer);
    if (in_pending) {
        submission.in = Fence::adopt(UniqueFd(), FenceKind::Stream);
    }
    if (out) {
        submission.out = FencePromise(*this, UniqueFd(), serial);
    } else if (failure != 0) {
        oracle_.fence_ended(serial, -ECANCELED);
    }
    if (rules_.queue.has_deadline && in_pending) {
        submission.deadline = 5s;
    }
    if (rules_.queue.has_bound && out) {
        submission.bound = 8s;
    }
    watch_fails_ = move == Move::QueueUnwatched;
    const auto result = sync_.queue(std::move(submission));
    watch_fails_ = false;
    int expected = is_outer ? oracle_.end_call() : 0;
    expected = failure != 0 ? failure : expected;
    if (failure == 0 && move == Move::QueueUnwatched) {
        expected = -ENOMEM;
    }
    oracle_.expect((result ? 0 : result.error().code) == expected, "QBUF has a wrong result");
}

void World::stop(bool with_last) {
    const std::vector<Oracle::Item> before = oracle_.line();
    std::vector<Job> stale;
    for (const Oracle::Item& item : before) {
        stale.push_back(sync_.view(item.index).job);
    }
    {
        const Sync::Pause pause(sync_);
        if (with_last && oracle_.device_runs()) {
            for (const Oracle::Item& item : before) {
                if (item.at == Oracle::At::Device) {
                    oracle_.finished(item.index, 0);
                    sync_.finish(sync_.view(item.index).job, 0);
                    break;
                }
            }
        }
        oracle_.begin_cancel(stop_error);
        sync_.cancel(stop_error);
        oracle_.end_cancel();
    }
    // Whoever comes too late changes nothing.
    for (const Job job : stale) {
        sync_.on_in_fence(job, {FenceState::Signaled, 0, std::nullopt});
        sync_.finish(job, 0);
    }
}

void World::inner_moves() {
    while (inner_left_ > 0 && oracle_.violation().empty()) {
        collect(rules_.inner);
        const unsigned choice = tape_.choose(static_cast<unsigned>(choices_.size()) + 1);
        if (choice == 0) {
            return;
        }
        --inner_left_;
        do_move(choices_[choice - 1], false);
    }
}

// --- call-outs -----------------------------------------------------------------------------------

Taker::Answer World::choose_answer() {
    static constexpr std::array all{
        Answer{Verdict::Taken, 0},
        Answer{Verdict::Refused, refused_error},
        Answer{Verdict::StartFailed, start_error},
        Answer{Verdict::Gone, gone_error},
    };
    return all[rules_.answers ? tape_.choose(all.size()) : 0];
}

Taker::Answer World::give(unsigned index) {
    oracle_.given(index);
    inner_moves();
    const Oracle::Item* const item = oracle_.find(index);
    const bool is_undecided = item != nullptr && item->at == Oracle::At::Device;
    Answer answer = is_undecided ? choose_answer() : Answer{};
    if (answer.verdict == Verdict::StartFailed && !rules_.queue.taker_starts) {
        answer = Answer{};
    }
    tell(answer_names[static_cast<std::size_t>(answer.verdict)], index, false);
    oracle_.answered(index, answer);
    return answer;
}

Taker::Answer World::start(unsigned count) {
    oracle_.start_called(count);
    is_starting_ = true;
    inner_moves();
    is_starting_ = false;
    const Answer answer = rules_.answers && tape_.choose(2) == 1
                              ? Answer{Verdict::StartFailed, start_error}
                              : Answer{};
    tell(answer_names[static_cast<std::size_t>(answer.verdict)], count, false);
    oracle_.start_answered(answer);
    return answer;
}

Result<> World::watch(Job job, const Fence& /*fence*/) {
    if (watch_fails_) {
        oracle_.watch_failed();
        return fail(-ENOMEM, "scripted");
    }
    oracle_.expect(!watched_[job.index], "a buffer is watched twice");
    watched_[job.index] = true;
    jobs_[job.index] = job;
    return {};
}

Result<MintedFence> World::mint(unsigned /*slot*/) {
    return fail(-ENOMEM, "made without a descriptor");
}

void World::end_fence(UniqueFd /*end*/, std::uint64_t id, int error) noexcept {
    oracle_.fence_ended(id, error);
}

// --- what is to be seen --------------------------------------------------------------------------

void World::check_views() {
    for (unsigned index = 0; index < rules_.buffers; ++index) {
        const SlotView view = sync_.view(index);
        const Oracle::Item* const item = oracle_.find(index);
        if (item == nullptr) {
            oracle_.expect(view.state == SlotState::Dequeued, "a free buffer is not Dequeued");
            oracle_.expect(!watched_[index], "a free buffer is watched");
            continue;
        }
        oracle_.expect(is_at(*item, view.state), "a buffer is in the wrong state");
        oracle_.expect(view.in_fence_pending == item->in_pending, "a wrong flag of an in-fence");
        oracle_.expect(view.out_fence_pending == item->out_pending, "a wrong flag of an out-fence");
        oracle_.expect(view.expired == item->expired, "expiry is seen wrongly");
        oracle_.expect(watched_[index] == item->in_pending, "watched without need, or not at all");
        const bool has_time = (rules_.queue.has_deadline && item->in_pending) ||
                              (rules_.queue.has_bound && item->out_pending);
        oracle_.expect(!has_time || deadline_.has_value(), "a deadline was not armed");
    }
    oracle_.expect(sync_.next_failed() == oracle_.next_failed(), "next_failed is wrong");
    oracle_.expect(sync_.next_failed_when_stalled() == oracle_.next_failed_when_stalled(),
                   "next_failed_when_stalled is wrong");
}

void World::check_queue_view() {
    const QueueView view = sync_.view();
    unsigned counts[4] = {};
    bool given_fences = false;
    for (const Oracle::Item& item : oracle_.line()) {
        ++counts[static_cast<std::size_t>(item.at)];
        given_fences = given_fences || (item.at == Oracle::At::Device && item.out_pending);
    }
    oracle_.expect(view.held == counts[0] && view.given == counts[1] && view.done == counts[2] &&
                       view.failed == counts[3],
                   "a count of the queue is wrong");
    oracle_.expect(view.given_fences == given_fences, "given_fences is wrong");
    oracle_.expect(view.streaming == oracle_.is_streaming(), "streaming is wrong");
    oracle_.expect(view.ordered == oracle_.is_ordered(), "ordered is wrong");
    oracle_.expect(view.degraded == oracle_.is_degraded(), "degraded is wrong");
    oracle_.expect(view.failure == oracle_.failure(), "failure is wrong");
}

}  // namespace v4lfence::testing
