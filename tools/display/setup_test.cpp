// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <sys/time.h>

#include <csignal>
#include <vector>

#include "tools/display/kms_consumer.hpp"
#include "tools/display/setup.hpp"
#include "tools/display/software_consumer.hpp"

namespace v4lfence {
namespace {

ConsumerInfo kms() {
    ConsumerInfo info;
    info.kind = "kms";
    info.in_fences = true;
    info.kernel_fences = true;
    info.out_fences = true;
    return info;
}

ConsumerInfo software() {
    ConsumerInfo info = kms();
    info.kind = "null";
    info.kernel_fences = false;
    return info;
}

QueueFences fences_of(const char* provider, bool kernel_waitable) {
    QueueFences fences;
    fences.provider = provider;
    fences.kernel_waitable = kernel_waitable;
    return fences;
}

TEST(DisplaySetup, kms_gets_fences_of_the_kernel_before_the_frame) {
    const CycleRules rules = plan_rules({}, fences_of("vgem", true), kms(), MemoryWay::Imported);
    EXPECT_TRUE(rules.early);
    EXPECT_TRUE(rules.release_fences);
}

TEST(DisplaySetup, the_cpu_waits_for_fences_of_user_space) {
    const QueueFences user = fences_of("user", false);
    const CycleRules rules = plan_rules({}, user, kms(), MemoryWay::Displays);
    EXPECT_FALSE(rules.early);
    EXPECT_TRUE(rules.release_fences);
    EXPECT_NE(fences_text(rules, user, kms(), MemoryWay::Displays, nullptr)
                  .find("--fences vgem makes such"),
              std::string::npos);
    EXPECT_NE(fences_text(rules, user, kms(), MemoryWay::Displays, "vgem is not loaded")
                  .find("but vgem is not loaded"),
              std::string::npos);
}

TEST(DisplaySetup, a_display_of_software_waits_for_any_fence) {
    EXPECT_TRUE(plan_rules({}, fences_of("user", false), software(), MemoryWay::Mapped).early);
}

TEST(DisplaySetup, a_plane_without_in_fences_makes_the_cpu_wait) {
    ConsumerInfo plane = kms();
    plane.in_fences = false;
    plane.out_fences = false;
    const QueueFences vgem = fences_of("vgem", true);
    const CycleRules rules = plan_rules({}, vgem, plane, MemoryWay::Imported);
    EXPECT_FALSE(rules.early);
    EXPECT_FALSE(rules.release_fences);
    EXPECT_NE(fences_text(rules, vgem, plane, MemoryWay::Imported, nullptr).find("IN_FENCE_FD"),
              std::string::npos);
}

TEST(DisplaySetup, copies_and_no_fences_have_none) {
    DisplayChoices choices;
    EXPECT_FALSE(plan_rules(choices, fences_of("vgem", true), kms(), MemoryWay::Copied).early);
    choices.fences = false;
    const CycleRules rules = plan_rules(choices, {}, software(), MemoryWay::Mapped);
    EXPECT_FALSE(rules.early);
    EXPECT_FALSE(rules.release_fences);
}

TEST(DisplaySetup, what_the_machine_lacks_is_told_from_wrong_usage) {
    EXPECT_EQ(display_open_status(EBUSY), ExitStatus::MachineLacks);
    EXPECT_EQ(display_open_status(EACCES), ExitStatus::MachineLacks);
    EXPECT_EQ(display_open_status(ENODEV), ExitStatus::MachineLacks);
    EXPECT_EQ(display_open_status(EINVAL), ExitStatus::WrongUsage);
    EXPECT_EQ(display_open_status(EMFILE), ExitStatus::JobFailed);
}

/// A display of software that shows a picture after so many ms.
class DisplaySetupFlip : public testing::Test {
protected:
    void make(double refresh_hz) {
        SoftwareChoices choices;
        choices.refresh_hz = refresh_hz;
        auto consumer = SoftwareConsumer::create(std::move(choices));
        ASSERT_TRUE(consumer.has_value());
        consumer_ = std::move(*consumer);
        CameraPicture picture;
        picture.bytes.push_back(memory_);
        number_ = *consumer_->import(picture);
    }

    std::vector<std::byte> memory_ = std::vector<std::byte>(4096);
    std::unique_ptr<SoftwareConsumer> consumer_;
    int number_ = 0;
    Result<Interrupt> interrupt_ = Interrupt::create();
};

extern "C" void ignore_signal(int /*signal*/) {}

TEST_F(DisplaySetupFlip, other_signals_do_not_end_the_wait) {
    ASSERT_NO_FATAL_FAILURE(make(20));
    struct sigaction action {};
    action.sa_handler = ignore_signal;
    struct sigaction before {};
    ASSERT_EQ(::sigaction(SIGALRM, &action, &before), 0);
    ASSERT_TRUE(consumer_->show(number_, -1).has_value());
    const itimerval each_ms = {{0, 1000}, {0, 1000}};
    ASSERT_EQ(::setitimer(ITIMER_REAL, &each_ms, nullptr), 0);

    const auto flip = await_flip(*consumer_, *interrupt_, std::chrono::seconds(10));

    const itimerval off{};
    ::setitimer(ITIMER_REAL, &off, nullptr);
    ::sigaction(SIGALRM, &before, nullptr);
    EXPECT_TRUE(flip.has_value()) << flip.error().message;
}

TEST_F(DisplaySetupFlip, ctrl_c_ends_the_wait_and_the_program_goes_on_to_its_end) {
    ASSERT_NO_FATAL_FAILURE(make(20));
    ::raise(SIGINT);

    const auto flip = await_flip(*consumer_, *interrupt_, std::chrono::seconds(10));
    ASSERT_FALSE(flip.has_value());
    EXPECT_EQ(flip.error().status, ExitStatus::Interrupted);
}

TEST_F(DisplaySetupFlip, display_that_shows_nothing_is_told_as_such) {
    ASSERT_NO_FATAL_FAILURE(make(20));

    const auto flip = await_flip(*consumer_, *interrupt_, std::chrono::milliseconds(1));
    ASSERT_FALSE(flip.has_value());
    EXPECT_EQ(flip.error().status, ExitStatus::JobFailed);
    EXPECT_NE(flip.error().message.find("did not show"), std::string::npos);
}

}  // namespace
}  // namespace v4lfence
