// SPDX-License-Identifier: MIT
//
// The main of every unit test program. It refuses to judge a build without
// assertions, and repeats each skipped test with its reason after the totals.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

namespace {

#ifdef NDEBUG
constexpr bool assertions_on = false;
#else
constexpr bool assertions_on = true;
#endif

class SkipReport : public testing::EmptyTestEventListener {
    void OnTestPartResult(const testing::TestPartResult& part) override {
        if (part.skipped()) {
            reason_ = part.message();
        }
    }

    void OnTestEnd(const testing::TestInfo& test) override {
        if (test.result()->Skipped()) {
            lines_.push_back(std::string(test.test_suite_name()) + "." + test.name() + ": " +
                             reason_);
        }
        reason_.clear();
    }

    void OnTestProgramEnd(const testing::UnitTest& /*all*/) override {
        for (const std::string& line : lines_) {
            std::printf("skipped %s\n", line.c_str());
        }
    }

    std::string reason_;
    std::vector<std::string> lines_;
};

}  // namespace

int main(int argc, char** argv) {
    if (!assertions_on) {
        std::fputs("built with NDEBUG: without assertions a pass proves nothing\n", stderr);
        return 2;
    }
    testing::InitGoogleMock(&argc, argv);
    if (argc > 1) {
        std::fprintf(stderr, "unknown argument: %s\n", argv[1]);
        return 2;
    }
    testing::UnitTest::GetInstance()->listeners().Append(new SkipReport);
    return RUN_ALL_TESTS();
}
