// SPDX-License-Identifier: MIT
//
// A process with a trace board, for tests.

#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <span>
#include <string_view>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/trace_board.hpp"

namespace v4lfence {

/// What a child shows while it lives.
struct ShownBoard {
    TraceBoard& board;
    TraceBoard::Source& source;

    /// To make of it what a writer leaves that has stopped in the middle.
    TraceBoardLayout& memory() const { return const_cast<TraceBoardLayout&>(board.shown()); }
    void record(std::uint32_t event, unsigned times = 1) const {
        for (unsigned i = 0; i < times; ++i) {
            source.record({.time_ns = 1000 + event, .kind = event, .index = 2, .job = event});
        }
    }
};

/// It ends with this object.
class BoardChild {
public:
    using Life = std::function<void(const ShownBoard&)>;
    static constexpr std::string_view source_name = "/dev/video7 capture";

    /// `life` has been lived when this returns; more of it at each step(). The source is of `kind`.
    BoardChild(std::uint32_t kind, const Life& life, const Life& later = nullptr) {
        auto line = sys::socketpair(0);
        pid_ = ::fork();
        if (pid_ == 0) {
            live(kind, life, later, line->first.get());
        }
        line_ = std::move(line->second);
        line->first.reset();
        await();
    }
    BoardChild(const BoardChild&) = delete;
    BoardChild& operator=(const BoardChild&) = delete;
    ~BoardChild() { kill(); }

    pid_t pid() const { return pid_; }

    void step() {
        const std::byte go{1};
        static_cast<void>(sys::write(line_.get(), std::span(&go, 1)));
        await();
    }

    void stop() const {
        ::kill(pid_, SIGSTOP);
        int status = 0;
        ::waitpid(pid_, &status, WUNTRACED);
        ASSERT_TRUE(WIFSTOPPED(status));
    }

    void kill() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
            pid_ = -1;
        }
    }

private:
    void await() const {
        std::byte ready{};
        const auto told = sys::read(line_.get(), std::span(&ready, 1));
        EXPECT_TRUE(told && *told == 1);
    }

    [[noreturn]] static void live(std::uint32_t kind, const Life& life, const Life& later,
                                  int line) {
        auto board = TraceBoard::create();
        if (!board) {
            ::_exit(1);
        }
        auto source = (*board)->add_source(kind, source_name);
        life({**board, source});
        std::byte word{1};
        for (;;) {
            static_cast<void>(sys::write(line, std::span(&word, 1)));
            const auto told = sys::read(line, std::span(&word, 1));
            if (!told || *told == 0 || !later) {
                ::_exit(0);
            }
            later({**board, source});
        }
    }

    pid_t pid_ = -1;
    UniqueFd line_;
};

}  // namespace v4lfence
