// SPDX-License-Identifier: MIT

#include "tools/stream/number_checks.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace v4lfence {

NumberChecks::NumberChecks(Promises& promises, StreamCounters& counters, unsigned buffers)
    : promises_(promises), counters_(counters) {
    outstanding_.reserve(buffers);
}

void NumberChecks::check(const TakenFrame& frame) {
    ++counters_.frames;
    counters_.errors += frame.error ? 1 : 0;
    check_order(frame);
    check_sequence(frame);
    promises_.check(PromiseId::NoErrors, !frame.error, [&] {
        return fmt::format("frame {} (buffer {}) has the error flag", frame.number, frame.index);
    });
    if (frame.error) {
        return;
    }
    promises_.check(PromiseId::TimestampsRise, frame.timestamp_ns > last_timestamp_ns_, [&] {
        return fmt::format("frame {} was captured at {} ns, the one before at {} ns", frame.number,
                           frame.timestamp_ns, last_timestamp_ns_);
    });
    last_timestamp_ns_ = frame.timestamp_ns;
}

void NumberChecks::check_order(const TakenFrame& frame) {
    const auto place = std::find(outstanding_.begin(), outstanding_.end(), frame.number);
    const bool first = place == outstanding_.begin();
    const std::uint64_t oldest = outstanding_.front();
    outstanding_.erase(place);
    // A buffer whose in-fence failed may be returned ahead of buffers that the driver keeps.
    if (frame.error) {
        return;
    }
    if (!first) {
        ++counters_.out_of_order;
    }
    promises_.check(PromiseId::InOrder, first || order_lost_, [&] {
        return fmt::format("frame {} came before frame {}", frame.number, oldest);
    });
}

void NumberChecks::check_sequence(const TakenFrame& frame) {
    // A buffer that never reached the driver has no number; one that it filled badly has.
    if (frame.error && frame.sequence <= last_sequence_.value_or(0)) {
        return;
    }
    const std::uint32_t step = last_sequence_ ? frame.sequence - *last_sequence_ : 1;
    const bool rises = step >= 1 && step < (1U << 31);
    const auto explain = [&] {
        return fmt::format("frame {} has sequence {} after {}", frame.number, frame.sequence,
                           last_sequence_.value_or(0));
    };
    promises_.check(PromiseId::NoneLost, step == 1, explain);
    promises_.check(PromiseId::SequenceRises, rises, explain);
    counters_.lost += rises ? step - 1 : 0;
    counters_.repeated += step == 0 ? 1 : 0;
    last_sequence_ = frame.sequence;
}

}  // namespace v4lfence
