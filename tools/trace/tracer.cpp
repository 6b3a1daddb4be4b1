// SPDX-License-Identifier: MIT

#include "tools/trace/tracer.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include "tools/trace/board_collector.hpp"
#include "tools/trace/kernel_trace.hpp"

namespace v4lfence {

namespace {

using std::chrono::milliseconds;

/// A ring of 16384 events holds 10 s and more of a fast camera: this is often enough.
constexpr milliseconds tick(20);
/// Looking for new boards takes at most this share of the time ...
constexpr int looking_share = 20;
/// ... and happens this seldom.
constexpr milliseconds looking_interval_max(500);

bool is_gone(pid_t pid) {
    std::error_code error;
    static_cast<void>(std::filesystem::read_symlink(fmt::format("/proc/{}/exe", pid), error));
    // A zombie has no program any more.
    return error == std::errc::no_such_file_or_directory || error == std::errc::no_such_process;
}

class Tracer {
public:
    Tracer(const TraceWishes& wishes, MonotonicTime now)
        : wishes_(wishes), begun_(now), boards_(to_ns(now)), ending_(ending_signals()) {}

    Attempt<Traced> run();

private:
    Attempt<> start_kernel();
    Attempt<> start_program();
    Attempt<> begin();
    void look();
    void look_at(pid_t pid);
    void collect(UnfinishedRecord unfinished);
    bool is_over(MonotonicTime now);
    /// Waits for a signal, up to a tick.
    void wait();
    void take(const siginfo_t& signal);
    Traced finish();

    bool has_program() const { return !wishes_.program.path.empty(); }

    const TraceWishes& wishes_;
    MonotonicTime begun_;
    SystemClock clock_;
    BoardCollector boards_;
    std::optional<KernelTrace> kernel_;
    KernelText kernel_text_;
    sigset_t ending_;
    SignalState signals_;
    MonotonicTime next_look_{};
    std::set<std::string> notes_;
    pid_t child_ = 0;
    std::optional<int> child_status_;
    int interrupts_ = 0;
    std::string kernel_missing_;
};

Attempt<> Tracer::start_kernel() {
    if (wishes_.kernel == KernelUse::No) {
        kernel_missing_ = "kernel events: not wanted.";
        return {};
    }
    auto kernel = KernelTrace::start();
    if (kernel) {
        kernel_.emplace(std::move(*kernel));
        return {};
    }
    kernel_missing_ = kernel.error().message;
    return wishes_.kernel == KernelUse::Yes ? tl::unexpected<Failure>(kernel.error()) : Attempt<>();
}

Attempt<> Tracer::start_program() {
    signals_ = hold_signals();
    auto child = WaitingChild::fork(wishes_.program, signals_);
    if (!child) {
        return tl::unexpected<Failure>(child.error());
    }
    if (const auto kernel = start_kernel(); !kernel) {
        std::move(*child).end();
        return kernel;
    }
    child_ = child->pid();
    return std::move(*child).go(wishes_.program);
}

Attempt<> Tracer::begin() {
    if (has_program()) {
        return start_program();
    }
    pthread_sigmask(SIG_BLOCK, &ending_, &signals_.mask);
    for (const pid_t pid : wishes_.pids) {
        if (const auto looked = boards_.look_for_boards(pid); !looked) {
            return looked;
        }
    }
    return start_kernel();
}

void Tracer::look_at(pid_t pid) {
    const auto looked = boards_.look_for_boards(pid);
    if (!looked && !is_gone(pid)) {
        notes_.insert(looked.error().message);
    }
}

void Tracer::look() {
    const MonotonicTime before = clock_.now();
    if (before < next_look_) {
        return;
    }
    if (has_program()) {
        for (const pid_t pid : process_tree(child_)) {
            look_at(pid);
        }
    } else {
        const auto pids = wishes_.pids.empty() ? processes_with_boards() : wishes_.pids;
        std::for_each(pids.begin(), pids.end(), [this](pid_t pid) { look_at(pid); });
    }
    const MonotonicTime now = clock_.now();
    next_look_ = now + std::min<Nanoseconds>((now - before) * looking_share, looking_interval_max);
}

void Tracer::collect(UnfinishedRecord unfinished) {
    boards_.collect(unfinished);
    if (kernel_) {
        kernel_->collect(kernel_text_);
    }
}

bool Tracer::is_over(MonotonicTime now) {
    if (has_program() ? child_status_ || interrupts_ > 1 : interrupts_ > 0) {
        return true;
    }
    if (wishes_.duration && now - begun_ >= *wishes_.duration) {
        return true;
    }
    if (has_program()) {
        return false;
    }
    if (!wishes_.pids.empty() &&
        std::all_of(wishes_.pids.begin(), wishes_.pids.end(), is_gone)) {
        return true;
    }
    return wishes_.frames != 0 && count_frames(boards_.recording()) >= wishes_.frames;
}

void Tracer::take(const siginfo_t& signal) {
    interrupts_ += sigismember(&ending_, signal.si_signo) == 1 ? 1 : 0;
    if (!has_program()) {
        return;
    }
    if (signal.si_signo != SIGCHLD) {
        pass_on(signal, child_);
    } else if (const auto ended = look_after(child_)) {
        child_status_ = ended;
    }
}

void Tracer::wait() {
    const sigset_t awaited = has_program() ? waiting_signals() : ending_;
    const timespec time{0, Nanoseconds(tick).count()};
    siginfo_t signal{};
    if (::sigtimedwait(&awaited, &signal, &time) > 0) {
        take(signal);
    }
}

Traced Tracer::finish() {
    if (kernel_) {
        kernel_->stop();
    }
    // What has just begun to be written is soon whole, but for a process that is gone.
    look();
    collect(UnfinishedRecord::Skip);
    kernel_.reset();
    Traced traced;
    traced.recording = std::move(boards_.recording());
    Recording& recording = traced.recording;
    recording.end_ns = to_ns(clock_.now());
    recording.kernel_events = std::move(kernel_text_.events());
    std::erase_if(recording.kernel_events, [&recording](const KernelEvent& event) {
        return event.time_ns < recording.begin_ns;
    });
    recording.kernel_lost = kernel_text_.lost();
    recording.kernel_missing = kernel_missing_;
    sort_by_time(recording);
    if (wishes_.duration == Nanoseconds::zero() && !recording.events.empty()) {
        recording.begin_ns = std::min(recording.begin_ns, recording.events.front().event.time_ns);
    }
    traced.notes.assign(notes_.begin(), notes_.end());
    if (child_status_) {
        traced.program_ended = exit_status(*child_status_);
    } else {
        traced.running = child_;
        traced.abandoned = interrupts_ > 1;
    }
    if (traced.running == 0 || traced.abandoned) {
        // One more signal ends what is still to be written.
        pthread_sigmask(SIG_SETMASK, &signals_.mask, nullptr);
    }
    return traced;
}

Attempt<Traced> Tracer::run() {
    if (const auto begun = begin(); !begun) {
        return tl::unexpected<Failure>(begun.error());
    }
    for (;;) {
        look();
        collect(UnfinishedRecord::Await);
        if (is_over(clock_.now())) {
            return finish();
        }
        wait();
    }
}

}  // namespace

Attempt<Traced> trace(const TraceWishes& wishes) {
    return Tracer(wishes, SystemClock().now()).run();
}

}  // namespace v4lfence
