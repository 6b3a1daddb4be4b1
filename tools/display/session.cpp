// SPDX-License-Identifier: MIT

#include "tools/display/session.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdio>

#include "tools/stream/cost.hpp"
#include "tools/stream/diagnosis.hpp"
#include "tools/video/names.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence {

namespace {

using std::chrono::milliseconds;

/// What a picture on its way may need at the end: a slow camera's frame and a few refreshes.
constexpr milliseconds drain_patience{500};

std::int64_t now_ns() {
    return to_ns(SystemClock().now());
}

CycleRules limited(CycleRules rules, unsigned frames) {
    rules.commits_max = frames;
    return rules;
}

}  // namespace

DisplaySession::DisplaySession(const DisplayChoices& choices, const Camera& camera,
                               Consumer& consumer, PictureMemory& memory, const CycleRules& rules,
                               const Interrupt& interrupt, Progress& progress)
    : choices_(choices), camera_(camera), consumer_(consumer), memory_(memory),
      interrupt_(interrupt), progress_(progress), rules_(rules),
      checks_(camera, consumer.info(), memory, choices.frames),
      cycle_(memory.queue(), consumer, memory.pictures(), limited(rules, choices.frames), checks_) {
}

DisplayResult DisplaySession::run() {
    DisplayResult result;
    const CostMeter meter;
    const Attempt<> streamed = show();
    result.cost = meter.spent();
    progress_.clear();
    drain(!streamed.has_value());
    if (streamed) {
        save_picture();
        hold();
    }
    cycle_.stop();
    const bool judged = !interrupted_ && choices_.frames != 0;
    checks_.check_end(judged ? std::optional<std::uint64_t>(choices_.frames) : std::nullopt,
                      cycle_.fences_pending());
    if (!streamed) {
        result.failure = streamed.error();
    } else {
        result.failure = save_failure_;
    }
    collect(result);
    return result;
}

Attempt<> DisplaySession::show() {
    started_ns_ = now_ns();
    if (auto started = cycle_.start(); !started) {
        return started;
    }
    const std::chrono::seconds patience(choices_.timeout_s);
    MonotonicTime last_flip = SystemClock().now();
    while (!all_shown()) {
        const auto awaited = cycle_.awaited();
        if (!awaited) {
            return job_failed(
                fmt::format("nothing is on its way any more.\n{}", cycle_.diagnosis()));
        }
        const auto passed = SystemClock().now() - last_flip;
        const auto left = std::chrono::ceil<milliseconds>(patience - passed);
        const auto wake = wait(*awaited, std::max(left, milliseconds(0)));
        if (!wake) {
            return tl::unexpected(wake.error());
        }
        if (*wake == Wake::Interrupted) {
            interrupted_ = true;
            return {};
        }
        if (*wake == Wake::TimedOut) {
            return job_failed(fmt::format("no picture for {} s, after {}.\n{}", choices_.timeout_s,
                                          cycle_.shown(), cycle_.diagnosis()));
        }
        ++wakeups_;
        const std::uint64_t before = cycle_.shown() + cycle_.told();
        if (auto stepped = cycle_.step(); !stepped) {
            return stepped;
        }
        if (cycle_.shown() + cycle_.told() != before) {
            last_flip = SystemClock().now();
            if (choices_.frames != 0) {
                progress_.show(cycle_.shown(), 0);
            }
        }
    }
    return {};
}

Attempt<DisplaySession::Wake> DisplaySession::wait(int fd, milliseconds patience) {
    std::array<pollfd, 2> entries = {{{interrupt_.fd(), POLLIN, 0}, {fd, POLLIN, 0}}};
    const auto count = camera_.file().poll(entries, static_cast<int>(patience.count()));
    if (!count && count.error().code != -EINTR) {
        return job_failed(fmt::format("poll: {}.", errno_text(count.error().code)));
    }
    if (interrupt_.raised()) {
        return Wake::Interrupted;
    }
    return count && *count == 0 ? Wake::TimedOut : Wake::Ready;
}

void DisplaySession::drain(bool failed) {
    cycle_.show_no_more();
    const auto wait_for_flip = [&] {
        const MonotonicTime end = SystemClock().now() + drain_patience;
        while (cycle_.commit_under_way() && SystemClock().now() < end) {
            std::array<pollfd, 1> entry = {{{consumer_.fd(), POLLIN, 0}}};
            static_cast<void>(camera_.file().poll(entry, static_cast<int>(drain_patience.count())));
            if (!cycle_.step()) {
                return;
            }
        }
    };
    if (!failed) {
        wait_for_flip();
    }
    if (cycle_.commit_under_way()) {
        cycle_.stop();  // Its fence ends, and so the display lets go.
        wait_for_flip();
    }
}

void DisplaySession::hold() {
    if (choices_.hold_s == 0 || interrupted_ || !checks_.last()) {
        return;
    }
    fmt::print(stderr, "v4lfence display: frame {} stays on screen for {} s\n",
               checks_.last()->sequence, choices_.hold_s);
    std::fflush(stderr);
    const MonotonicTime end = SystemClock().now() + std::chrono::seconds(choices_.hold_s);
    while (SystemClock().now() < end && !interrupted_) {
        std::array<pollfd, 1> entry = {{{interrupt_.fd(), POLLIN, 0}}};
        static_cast<void>(camera_.file().poll(
            entry,
            static_cast<int>(std::chrono::ceil<milliseconds>(end - SystemClock().now()).count())));
        interrupted_ = interrupt_.raised();
    }
}

void DisplaySession::save_picture() {
    const auto on_screen = cycle_.on_screen();
    const bool to_file = choices_.to.target == Target::Png;
    if ((!choices_.shot && !to_file) || !on_screen || !checks_.last()) {
        return;
    }
    memory_.begin_read(*on_screen);
    const auto image =
        memory_.view(*on_screen, checks_.last()->bytes_used, checks_.last()->data_offsets);
    for (const auto& path : {choices_.shot, to_file ? std::optional(choices_.to.path)
                                                    : std::optional<std::string>()}) {
        if (!path) {
            continue;
        }
        const auto saved =
            image ? save_png(*image, *path)
                  : job_failed(fmt::format("the last picture cannot be saved: frames in {} cannot "
                                           "be looked at. Choose another --format.",
                                           fourcc_text(camera_.format().fourcc)));
        if (saved) {
            saved_ = path;
        } else {
            save_failure_ = saved.error();
        }
    }
    memory_.end_read(*on_screen);
}

void DisplaySession::collect(DisplayResult& result) const {
    result.device = camera_.device();
    result.card = camera_.card();
    result.driver = camera_.driver();
    result.bus = camera_.bus();
    result.format = camera_.format();
    result.fences = camera_.fences();
    result.consumer = consumer_.info();
    result.memory = memory_.way();
    result.refusals = memory_.refusals();
    result.buffers = memory_.camera_buffers();
    result.pictures = memory_.queue().count();
    result.rules = rules_;
    result.degraded = rules_.early && !cycle_.rules().early;
    result.cycle = cycle_.counters();
    result.wakeups = wakeups_;
    checks_.collect(result);
    result.display.unfinished = cycle_.shown() - result.display.shown;
    if (result.last) {
        result.seconds = double(result.last->flip_ns - started_ns_) / 1e9;
    }
    result.interrupted = interrupted_;
    result.saved = saved_;
    v4lfence_expiry expiry{};
    if (choices_.fences && v4lfence_last_expiry(camera_.file().fd(), &expiry) == 0) {
        result.expired = expiry.count;
        result.last_expiry = expiry_text(expiry);
    }
}

}  // namespace v4lfence
