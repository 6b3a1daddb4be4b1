// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "conformance/probe.hpp"
#include "conformance/runner.hpp"
#include "conformance/testing/fake_kernel.hpp"
#include "conformance/wait.hpp"

namespace v4lfence {
namespace {

Report judge(KernelFences fences, std::vector<std::string> patterns) {
    Options options;
    options.calls = fake_kernel(fences);
    options.path = "/dev/none";
    options.hang_ms = 0;
    options.patterns = std::move(patterns);
    return run(options);
}

TEST(Detection, stock_kernel_echoes_and_has_no_fences) {
    const auto facts = probe_device(fake_kernel(KernelFences::None), "/dev/none", "user");
    ASSERT_TRUE(facts) << facts.error().message;
    EXPECT_FALSE(facts->fenced);
    EXPECT_EQ(facts->buffers_max, 64U);
    EXPECT_EQ(facts->start_minimum, 1U);
}

// Pins: 1.4
TEST(Detection, kernel_that_refuses_an_invalid_in_fence_has_fences) {
    const std::size_t descriptors = open_descriptors();
    const auto facts = probe_device(fake_kernel(KernelFences::Any), "/dev/none", "user");
    ASSERT_TRUE(facts) << facts.error().message;
    EXPECT_TRUE(facts->fenced);
    EXPECT_FALSE(facts->query);
    EXPECT_TRUE(facts->takes_pollables);
    EXPECT_FALSE(facts->kernel_waitable());
    EXPECT_EQ(facts->provider, "kernel");
    EXPECT_EQ(open_descriptors(), descriptors);
}

TEST(Detection, kernel_that_wants_sync_files_wants_their_provider) {
    const auto facts = probe_device(fake_kernel(KernelFences::SyncFile), "/dev/none", "user");
    ASSERT_FALSE(facts);
    EXPECT_EQ(facts.error().outcome, Outcome::Skipped);
    EXPECT_NE(facts.error().message.find("--fences vgem or sw_sync"), std::string::npos)
        << facts.error().message;
}

TEST(Detection, on_a_stock_kernel_plain_cases_run_and_the_others_are_one_line) {
    const Report report = judge(KernelFences::None, {"vb2@frames-in-qbuf-order", "query@*"});
    ASSERT_EQ(report.results.size(), 2U);
    EXPECT_EQ(text_line(report.results[0]).find("skip device@has-fences - no fences here"), 0U);
    EXPECT_EQ(text_line(report.results[1]), "ok vb2@frames-in-qbuf-order");
    EXPECT_EQ(report.exit_status(), 0);
}

TEST(Detection, where_no_case_needs_fences_nothing_is_said_of_them) {
    const Report report = judge(KernelFences::None, {"vb2@frames-in-qbuf-order"});
    ASSERT_EQ(report.results.size(), 1U);
}

TEST(Detection, kernel_with_fences_is_not_asked_what_the_library_alone_knows) {
    const Report report =
        judge(KernelFences::Any, {"query@bad-in-fence-probes", "query@fenced-file-answers",
                                  "query@querycap-unchanged", "vb2@frames-in-qbuf-order"});
    std::vector<std::string> lines;
    for (const CaseResult& result : report.results) {
        lines.push_back(text_line(result));
    }
    EXPECT_EQ(lines, (std::vector<std::string>{
                         "skip query@fenced-file-answers - the device does not answer "
                         "VIDIOC_QUERY_FENCES",
                         "skip query@querycap-unchanged - it is the kernel's own node that is "
                         "judged",
                         "ok query@bad-in-fence-probes", "ok vb2@frames-in-qbuf-order"}));
}

}  // namespace
}  // namespace v4lfence
