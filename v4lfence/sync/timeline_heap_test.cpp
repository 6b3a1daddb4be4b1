// SPDX-License-Identifier: MIT
//
// What a promised point costs on the heap. Here because what counts allocations is.

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <span>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/reactor.hpp"
#include "v4lfence/fence/timeline/timeline.hpp"
#include "v4lfence/sync/testing/allocations.hpp"

namespace v4lfence {
namespace {

/// Remembers the last point alone.
class LastPoint final : public KernelTimeline {
public:
    explicit LastPoint(std::uint64_t& last) : last_(last) {}

    Result<> signal(std::uint64_t point) override {
        last_ = point;
        return {};
    }
    Result<> carry(std::uint64_t, int) override { return fail(-EINVAL, "no sync_file"); }
    Result<std::uint64_t> reached() const override { return last_; }
    Result<std::uint64_t> submitted() const override { return last_; }
    Result<> notify(std::uint64_t, int) const override { return fail(-ENOTTY, "no eventfds"); }
    Result<UniqueFd> export_fd() const override { return fail(-EMFILE, "no descriptor"); }
    void abandon() noexcept override {}

private:
    std::uint64_t& last_;
};

class PromisedPoints {
public:
    PromisedPoints() { EXPECT_TRUE(reactor_->use_own_loop()); }

    /// Four are pending at any time.
    void keep(std::uint64_t points) {
        for (; points > 0; --points) {
            sys::Pipe& pipe = pipes_[promised_ % pipes_.size()];
            if (pipe.write_end) {
                constexpr std::byte byte{1};
                ASSERT_TRUE(sys::write(pipe.write_end.get(), std::span(&byte, 1)));
                reactor_->dispatch();
            }
            pipe = std::move(*sys::pipe(0));
            ASSERT_TRUE(timeline_->promise(++promised_, pipe.read_end.get()));
        }
        ASSERT_EQ(last_, promised_ - pipes_.size());
    }

private:
    SystemClock clock_;
    std::uint64_t last_ = 0;
    std::uint64_t promised_ = 0;
    std::array<sys::Pipe, 4> pipes_;
    std::unique_ptr<Reactor> reactor_ = Reactor::create(clock_);
    std::unique_ptr<Timeline> timeline_ =
        std::move(*Timeline::create(*reactor_, std::make_unique<LastPoint>(last_)));
};

TEST(TimelineHeap, promised_point_costs_no_allocation) {
    PromisedPoints points;
    points.keep(20);
    const std::uint64_t before = testing::count_allocations();
    points.keep(1000);
    EXPECT_EQ(testing::count_allocations(), before);
}

}  // namespace
}  // namespace v4lfence
