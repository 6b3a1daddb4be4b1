// SPDX-License-Identifier: MIT

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "tools/trace/kernel_trace.hpp"

namespace v4lfence {
namespace {

namespace fs = std::filesystem;

/// A folder that has the place for instances, and nothing that the kernel puts into one.
class EmptyTracefs {
public:
    EmptyTracefs() {
        std::string name = fs::temp_directory_path() / "v4lfence-trace-XXXXXX";
        folder_ = ::mkdtemp(name.data());
        fs::create_directory(folder_ / "instances");
    }
    EmptyTracefs(const EmptyTracefs&) = delete;
    EmptyTracefs& operator=(const EmptyTracefs&) = delete;
    ~EmptyTracefs() { fs::remove_all(folder_); }

    std::string path() const { return folder_; }
    fs::path instance(pid_t pid) const {
        return folder_ / "instances" / fmt::format("v4lfence-{}", pid);
    }

private:
    fs::path folder_;
};

pid_t ended_process() {
    const pid_t child = ::fork();
    if (child == 0) {
        ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
    return child;
}

TEST(KernelTrace, failure_leaves_no_instance) {
    const EmptyTracefs tracefs;
    const auto trace = KernelTrace::start(tracefs.path());
    ASSERT_FALSE(trace);
    EXPECT_EQ(trace.error().status, ExitStatus::MachineLacks);
    EXPECT_THAT(trace.error().message, testing::HasSubstr("trace_clock"));
    EXPECT_FALSE(fs::exists(tracefs.instance(::getpid())));
}

TEST(KernelTrace, instances_of_traces_that_were_killed_go) {
    const EmptyTracefs tracefs;
    const fs::path dead = tracefs.instance(ended_process());
    const fs::path living = tracefs.instance(::getppid());
    const fs::path foreign = fs::path(tracefs.path()) / "instances" / "mine";
    for (const fs::path& each : {dead, living, foreign}) {
        fs::create_directory(each);
    }
    static_cast<void>(KernelTrace::start(tracefs.path()));
    EXPECT_FALSE(fs::exists(dead));
    EXPECT_TRUE(fs::exists(living));
    EXPECT_TRUE(fs::exists(foreign));
}

TEST(KernelTrace, instance_of_a_killed_trace_with_this_number_goes) {
    const EmptyTracefs tracefs;
    const fs::path left = tracefs.instance(::getpid());
    fs::create_directory(left);

    const auto trace = KernelTrace::start(tracefs.path());
    ASSERT_FALSE(trace);
    EXPECT_THAT(trace.error().message, testing::HasSubstr("trace_clock"));
    EXPECT_FALSE(fs::exists(left));
}

TEST(KernelText, lines_may_come_in_pieces) {
    const std::string text = "a-1 [000] ..... 1.000001: vb2_qbuf: index = 1\n"
                             "CPU:0 [LOST 3 EVENTS]\n"
                             "a-1 [000] ..... 1.000002: vb2_buf_queue: index = 1\n";
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        KernelText kernel;
        kernel.add(std::string_view(text).substr(0, cut));
        kernel.add(std::string_view(text).substr(cut));
        ASSERT_EQ(kernel.events().size(), 2U) << cut;
        EXPECT_EQ(kernel.events()[0].name, "vb2_qbuf");
        EXPECT_EQ(kernel.events()[1].field("index"), "1");
        EXPECT_EQ(kernel.lost(), 3U);
    }
}

}  // namespace
}  // namespace v4lfence
