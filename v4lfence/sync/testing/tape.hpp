// SPDX-License-Identifier: MIT
//
// Tape: the choices of one run, so that the next run takes the next ones: all of them are seen,
// depth first.

#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace v4lfence::testing {

class Tape {
public:
    /// Runs begin with `prefix`, which never changes.
    explicit Tape(std::vector<std::uint8_t> prefix = {})
        : taken_(std::move(prefix)), options_(taken_.size(), 0), fixed_(taken_.size()) {}

    /// For one run more, in which nothing counts as prefix.
    static Tape of_run(std::vector<std::uint8_t> taken) {
        Tape tape(std::move(taken));
        tape.fixed_ = 0;
        return tape;
    }

    /// 0 to `options` - 1.
    unsigned choose(unsigned options) {
        if (at_ == taken_.size()) {
            taken_.push_back(0);
            options_.push_back(static_cast<std::uint8_t>(options));
        }
        return taken_[at_++];
    }

    bool is_in_prefix() const { return at_ < fixed_; }

    /// Rewinds for the next run. False: all have been.
    bool advance() {
        at_ = 0;
        while (taken_.size() > fixed_ && taken_.back() + 1 == options_.back()) {
            taken_.pop_back();
            options_.pop_back();
        }
        if (taken_.size() == fixed_) {
            return false;
        }
        ++taken_.back();
        return true;
    }

    const std::vector<std::uint8_t>& taken() const { return taken_; }

private:
    std::vector<std::uint8_t> taken_;
    std::vector<std::uint8_t> options_;
    std::size_t fixed_;
    std::size_t at_ = 0;
};

}  // namespace v4lfence::testing
