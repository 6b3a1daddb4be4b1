// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

#include "conformance/bounded.hpp"
#include "conformance/probe.hpp"
#include "conformance/runner.hpp"
#include "conformance/stream.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {
namespace {

class RecordingSink final : public ReportSink {
public:
    void on_case(const Report& report) override { begun.push_back(report.running); }
    void on_result(const Report& report) override { ended.push_back(report.results.back().name); }
    void on_finished(const Report& report) override { finished = report.finished; }

    std::vector<std::string> begun;
    std::vector<std::string> ended;
    bool finished = false;
};

Checked<> pass(Rig&) {
    return {};
}
Checked<> break_promise(Rig&) {
    return failed("it came late, expected early");
}
Checked<> lack_something(Rig&) {
    return skipped("no such thing");
}
int leaked_fd = -1;
Checked<> leak_descriptor(Rig&) {
    leaked_fd = std::move(TRY(sys::eventfd(0, 0))).release();
    return {};
}

constexpr std::array<Case, 3> three_cases{{
    {"a@passes", "1.1", "", "Passes", pass},
    {"a@fails", "1.1", "", "Fails", break_promise},
    {"b@skips", "1.1", "", "Skips", lack_something},
}};

/// No case of these tests reaches a device.
Options options_without_device() {
    Options options;
    options.path = "/dev/none";
    options.hang_ms = 0;
    return options;
}

Facts fenced() {
    Facts facts;
    facts.fenced = true;
    return facts;
}

TEST(Runner, results_come_in_order_to_every_sink) {
    RecordingSink sink;
    std::ostringstream out;
    TextSink text(out);
    Options options = options_without_device();
    options.sinks = {&sink, &text};
    const Report report = run_cases(options, three_cases, fenced());
    EXPECT_EQ(report.count(Outcome::Passed), 1U);
    EXPECT_EQ(report.exit_status(), 1);
    EXPECT_EQ(sink.begun, (std::vector<std::string>{"a@passes", "a@fails", "b@skips"}));
    EXPECT_EQ(sink.ended, sink.begun);
    EXPECT_TRUE(sink.finished);
    EXPECT_EQ(out.str(), "ok a@passes\n"
                         "not ok a@fails - it came late, expected early\n"
                         "skip b@skips - no such thing\n"
                         "1 passed, 1 failed, 1 skipped\n");
}

TEST(Runner, patterns_choose_cases) {
    Options options = options_without_device();
    options.patterns = {"b@*"};
    const Report report = run_cases(options, three_cases, fenced());
    ASSERT_EQ(report.results.size(), 1U);
    EXPECT_EQ(report.results[0].name, "b@skips");
}

TEST(Runner, cases_that_need_fences_are_left_out_in_one_line) {
    const std::array<Case, 3> cases{{
        {"a@fences", "1.1", "", "Needs fences", break_promise},
        library_case("a@library", "1.1", "", "Needs the library", break_promise),
        plain_case("vb2@plain", "Needs nothing", pass),
    }};
    const Report report = run_cases(options_without_device(), cases, Facts());
    ASSERT_EQ(report.results.size(), 2U);
    EXPECT_EQ(report.results[0].name, "device@has-fences");
    EXPECT_NE(report.results[0].message.find("left out: 2 cases"), std::string::npos);
    EXPECT_EQ(report.results[1].name, "vb2@plain");
    EXPECT_EQ(report.exit_status(), 0);
}

TEST(Runner, library_case_is_skipped_where_fences_are_the_kernels) {
    const std::array<Case, 1> cases{
        {library_case("a@library", "1.1", "", "Needs the library", break_promise)}};
    const Report report = run_cases(options_without_device(), cases, fenced());
    EXPECT_EQ(report.results[0].outcome, Outcome::Skipped);
}

TEST(Runner, leaked_descriptor_fails_the_case) {
    const std::array<Case, 1> cases{{{"a@leaks", "2.1", "", "Leaks", leak_descriptor}}};
    const Report report = run_cases(options_without_device(), cases, fenced());
    UniqueFd(leaked_fd).reset();
    EXPECT_EQ(report.results[0].outcome, Outcome::Failed);
    EXPECT_NE(report.results[0].message.find("descriptors open"), std::string::npos);
}

TEST(Runner, pending_fence_fails_the_case) {
    Options options = options_without_device();
    options.calls.get_stats = [](CallStats* stats) {
        // One more is pending at each look.
        static std::uint64_t looks = 0;
        stats->fences_made = 3 + looks++;
        stats->fences_ended = 3;
        return 0;
    };
    const std::array<Case, 1> cases{{{"a@passes", "2.1", "", "Passes", pass}}};
    const Report report = run_cases(options, cases, fenced());
    EXPECT_EQ(report.results[0].outcome, Outcome::Failed);
    EXPECT_EQ(report.results[0].message, "the case left 1 fences pending, expected 0");
}

TEST(Runner, slow_case_is_skipped_unless_asked_for) {
    const std::array<Case, 1> cases{{{"a@slow", "5.7", "", "Slow", break_promise, Pace::Slow}}};
    Options options = options_without_device();
    options.slow = false;
    EXPECT_EQ(run_cases(options, cases, fenced()).results[0].outcome, Outcome::Skipped);
    options.slow = true;
    EXPECT_EQ(run_cases(options, cases, fenced()).results[0].outcome, Outcome::Failed);
}

TEST(Runner, hung_case_is_reported_before_the_end) {
    const auto hang = [] {
        const std::array<Case, 1> cases{{{"a@hangs", "7.1", "", "Hangs", [](Rig&) -> Checked<> {
                                              (void)sys::poll({}, -1);
                                              return {};
                                          }}}};
        Options options = options_without_device();
        options.hang_ms = 50;
        std::ostringstream lines;
        class ErrorSink final : public ReportSink {
            void on_result(const Report& report) override {
                std::fprintf(stderr, "%s\n", text_line(report.results.back()).c_str());
            }
        } sink;
        options.sinks = {&sink};
        (void)run_cases(options, cases, fenced());
    };
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(hang(), testing::ExitedWithCode(1), "not ok a@hangs - hung for 50 ms");
}

TEST(Runner, missing_node_is_lacking) {
    Options options = options_without_device();
    const Report report = run(options);
    EXPECT_EQ(report.exit_status(), 77);
    EXPECT_EQ(report.lacking, "cannot open /dev/none: ENOENT");
}

int open_eventfd(const char*, int, ...) {
    return std::move(*sys::eventfd(0, 0)).release();
}

int answer_as_no_video_node(int, unsigned long, ...) {
    errno = ENOTTY;
    return -1;
}

TEST(Runner, file_that_is_no_video_node_is_lacking) {
    Options options = options_without_device();
    options.calls.open = open_eventfd;
    options.calls.ioctl = answer_as_no_video_node;
    EXPECT_EQ(run(options).lacking, "/dev/none is no V4L2 device");
}

TEST(Probe, capture_type_prefers_single_planar) {
    EXPECT_EQ(capture_type(V4L2_CAP_VIDEO_CAPTURE), unsigned{V4L2_BUF_TYPE_VIDEO_CAPTURE});
    EXPECT_EQ(capture_type(V4L2_CAP_VIDEO_CAPTURE_MPLANE),
              unsigned{V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE});
    EXPECT_EQ(capture_type(V4L2_CAP_VIDEO_OUTPUT), 0U);
}

TEST(BoundedThread, answer_of_the_work_comes_back) {
    BoundedThread thread([]() -> Checked<> { return failed("so it is"); });
    const auto result = thread.finish("the work");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message, "so it is");
}

TEST(BoundedThread, blocked_call_is_interrupted_and_named) {
    BoundedThread thread([]() -> Checked<> {
        (void)sys::poll({}, -1);
        return {};
    });
    const auto result = thread.finish("the wait", 20);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message, "the wait did not return in 20 ms");
}

TEST(BoundedThread, thread_in_a_blocking_call_is_asleep) {
    BoundedThread thread([]() -> Checked<> {
        (void)sys::poll({}, -1);
        return {};
    });
    EXPECT_TRUE(thread.falls_asleep("the wait"));
    thread.interrupt();
    EXPECT_TRUE(thread.finish("the wait"));
}

TEST(BoundedThread, work_that_returns_does_not_fall_asleep) {
    BoundedThread thread([]() -> Checked<> { return {}; });
    const auto result = thread.falls_asleep("the wait");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message, "the wait returned, expected it to wait");
}

TEST(Child, message_of_a_failure_comes_back) {
    auto child = Child::fork([]() -> Checked<> { return failed("no frame"); });
    ASSERT_TRUE(child);
    const auto result = child->finish("the child");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message, "the child: no frame");
}

TEST(Child, child_that_hangs_is_killed_and_named) {
    auto child = Child::fork([]() -> Checked<> {
        (void)sys::poll({}, -1);
        return {};
    });
    ASSERT_TRUE(child);
    const auto result = child->finish("the child", 20);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message, "the child did not end in 20 ms");
}

TEST(Child, descriptor_comes_through_a_socket) {
    auto pair = sys::socketpair(0);
    ASSERT_TRUE(pair);
    auto child = Child::fork([&]() -> Checked<> {
        const UniqueFd event = TRY(sys::eventfd(7, 0));
        return send_descriptor(pair->second.get(), event.get());
    });
    ASSERT_TRUE(child);
    const auto received = receive_descriptor(pair->first.get());
    ASSERT_TRUE(received);
    EXPECT_TRUE(child->finish("the child"));
    EXPECT_EQ(*sys::describe_fd(received->get()), "anon_inode:[eventfd]");
    const auto status = fence_status(received->get());
    ASSERT_TRUE(status);
    EXPECT_EQ(status->state, FenceState::Signaled);
}

TEST(FenceMaker, many_pending_fences_end_in_any_order) {
    auto maker = FenceMaker::open("user");
    ASSERT_TRUE(maker);
    std::vector<TestFence> fences;
    for (unsigned count = 0; count < 40; ++count) {
        fences.push_back(*maker->make());
    }
    for (std::size_t at = fences.size(); at-- > 0;) {
        EXPECT_TRUE(fence_is_pending(fences[at].fd.get(), "a fence"));
        fences[at].end(at % 2 == 0 ? 0 : -EPROTO);
        EXPECT_TRUE(fence_ends(fences[at].fd.get(), "a fence"));
    }
}

}  // namespace
}  // namespace v4lfence
