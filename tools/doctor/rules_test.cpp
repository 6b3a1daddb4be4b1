// SPDX-License-Identifier: MIT

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "tools/doctor/rules.hpp"
#include "tools/doctor/testing/scene.hpp"

namespace v4lfence {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::past_ns;
using testing::Scene;
using testing::second_ns;

constexpr pid_t app = 42;
constexpr pid_t other = 77;

/// An app with a camera of four buffers.
struct Camera : Scene {
    Camera() {
        process(app, "app");
        process(other, "other");
        camera = queue(app, "/dev/video0", 4);
    }
    std::size_t camera = 0;
};

TEST(DoctorRules, flowing_stream_has_no_fault) {
    Camera scene;
    scene.buffer(scene.camera, 0, SlotState::Given);
    scene.buffer(scene.camera, 1, SlotState::Given);
    scene.snapshot.queues[0].head.last_done_at_ns = 10 * second_ns - 1;

    EXPECT_THAT(scene.rules(), IsEmpty());
}

TEST(DoctorRules, young_wait_is_no_fault_until_it_is_old) {
    Camera scene;
    scene.held(scene.camera, 0, scene.fence(FenceShape::Pipe, "pipe:[9]", {{app, 7}}));

    EXPECT_THAT(scene.rules(5 * second_ns + 1), IsEmpty());
    EXPECT_THAT(scene.rules(5 * second_ns), ElementsAre("this-program"));
}

TEST(DoctorRules, fence_of_this_program_names_its_descriptor) {
    Camera scene;
    scene.held(scene.camera, 2, scene.fence(FenceShape::Pipe, "pipe:[9]", {{app, 7}}));

    const auto findings = scene.findings();
    ASSERT_THAT(scene.rules(), ElementsAre("this-program"));
    EXPECT_EQ(findings[0].blamed.pid, app);
    EXPECT_EQ(findings[0].blamed.process, "app");
    EXPECT_EQ(findings[0].blamed.fd, 7);
    EXPECT_EQ(findings[0].waiter.device, "/dev/video0");
    EXPECT_EQ(findings[0].waiter.index, 2U);
    EXPECT_EQ(findings[0].since_ns, past_ns);
    EXPECT_EQ(findings[0].fence, "pipe:[9]");
    EXPECT_THAT(findings[0].verdict, HasSubstr("Buffer 2 of /dev/video0 capture (pid 42 app) has "
                                               "waited for 5.0 s for pipe:[9]"));
    EXPECT_THAT(findings[0].verdict, HasSubstr("pid 42 app (descriptor 7)"));
}

TEST(DoctorRules, fence_of_another_process_names_that) {
    Camera scene;
    scene.held(scene.camera, 0, scene.fence(FenceShape::EventFd, "eventfd 3", {{other, 5}}));

    ASSERT_THAT(scene.rules(), ElementsAre("other-process"));
    EXPECT_EQ(scene.findings()[0].blamed.pid, other);
    EXPECT_EQ(scene.findings()[0].blamed.process, "other");
}

TEST(DoctorRules, another_process_is_named_before_the_program_where_both_can) {
    Camera scene;
    scene.held(scene.camera, 0, scene.fence(FenceShape::Pipe, "pipe:[9]", {{app, 7}, {other, 5}}));

    ASSERT_THAT(scene.rules(), ElementsAre("other-process"));
    EXPECT_EQ(scene.findings()[0].blamed.pid, other);
    EXPECT_THAT(scene.findings()[0].verdict,
                HasSubstr("pid 42 app (descriptor 7) or pid 77 other (descriptor 5)"));
}

TEST(DoctorRules, stopped_holder_is_told_as_such) {
    Camera scene;
    scene.process(other, "other", 'T');
    scene.held(scene.camera, 0, scene.fence(FenceShape::Pipe, "pipe:[9]", {{other, 5}}));

    ASSERT_THAT(scene.rules(), ElementsAre("stopped-producer"));
    EXPECT_EQ(scene.findings()[0].blamed.pid, other);
    EXPECT_THAT(scene.findings()[0].verdict, HasSubstr("pid 77 other (stopped by a signal)"));
    EXPECT_THAT(scene.findings()[0].advice, HasSubstr("kill -CONT 77"));
}

TEST(DoctorRules, out_fence_of_a_stopped_process_is_its) {
    Camera scene;
    scene.process(other, "other", 'T');
    const std::size_t producer = scene.queue(other, "/dev/video9", 2);
    scene.buffer(producer, 1, SlotState::Given);
    scene.held(scene.camera, 0, scene.out_fence(producer, 1));

    const auto findings = scene.findings();
    ASSERT_EQ(findings[0].rule, "stopped-producer");
    EXPECT_EQ(findings[0].blamed.device, "/dev/video9");
    EXPECT_EQ(findings[0].blamed.index, 1U);
    EXPECT_EQ(findings[0].blamed.pid, other);
}

TEST(DoctorRules, producer_that_does_not_stream_is_named) {
    Camera scene;
    const std::size_t producer = scene.queue(other, "/dev/video9", 2);
    scene.buffer(producer, 1, SlotState::Given);
    scene.snapshot.queues[producer].head.streaming = 0;
    scene.held(scene.camera, 0, scene.out_fence(producer, 1));

    ASSERT_THAT(scene.rules(), ElementsAre("idle-producer"));
    EXPECT_EQ(scene.findings()[0].blamed.pid, other);
    EXPECT_EQ(scene.findings()[0].blamed.device, "/dev/video9");
}

TEST(DoctorRules, queue_that_is_not_started_alone_is_no_fault) {
    Camera scene;
    scene.buffer(scene.camera, 0, SlotState::Given);
    scene.snapshot.queues[0].head.streaming = 0;

    EXPECT_THAT(scene.rules(), IsEmpty());
}

TEST(DoctorRules, own_fences_below_the_minimum_starve) {
    Camera scene;
    scene.snapshot.queues[0].head.minimum = 2;
    scene.buffer(scene.camera, 0, SlotState::Given);
    scene.held(scene.camera, 1, scene.out_fence(scene.camera, 0));

    ASSERT_THAT(scene.rules(), ElementsAre("starvation"));
    EXPECT_THAT(scene.findings()[0].verdict, HasSubstr("needs 2 buffers to start and has 1"));
    EXPECT_EQ(scene.findings()[0].blamed.device, "/dev/video0");
}

TEST(DoctorRules, own_fences_starve_where_the_minimum_is_not_known) {
    Camera scene;
    scene.buffer(scene.camera, 0, SlotState::Given);
    scene.held(scene.camera, 1, scene.out_fence(scene.camera, 0));

    EXPECT_THAT(scene.rules(), ElementsAre("starvation"));
}

TEST(DoctorRules, chain_behind_a_driver_that_has_enough_is_the_devices_fault) {
    Camera scene;
    scene.snapshot.queues[0].head.minimum = 1;
    scene.buffer(scene.camera, 0, SlotState::Given);
    scene.held(scene.camera, 1, scene.out_fence(scene.camera, 0));

    ASSERT_THAT(scene.rules(), ElementsAre("silent-device"));
    EXPECT_EQ(scene.findings()[0].blamed.device, "/dev/video0");
}

TEST(DoctorRules, program_that_waits_for_what_it_holds_back_is_a_circle) {
    Camera scene;
    scene.held(scene.camera, 0, scene.fence(FenceShape::EventFd, "eventfd 3", {{app, 5}}));
    scene.snapshot.queues[0].head.waiting_since_ns = past_ns;

    ASSERT_THAT(scene.rules(), ElementsAre("own-cycle"));
    EXPECT_EQ(scene.findings()[0].blamed.pid, app);
    EXPECT_EQ(scene.findings()[0].blamed.fd, 5);
    EXPECT_EQ(scene.findings()[0].fence, "eventfd 3");
}

TEST(DoctorRules, poll_of_the_queues_out_fence_closes_the_circle) {
    Camera scene;
    scene.held(scene.camera, 0, scene.fence(FenceShape::EventFd, "eventfd 3", {{app, 5}}));
    const std::size_t out = scene.out_fence(scene.camera, 0);
    scene.snapshot.processes[0].polls.push_back(out);

    EXPECT_THAT(scene.rules(), ElementsAre("own-cycle"));
}

TEST(DoctorRules, eventfd_that_somebody_else_has_is_no_circle) {
    Camera scene;
    scene.held(scene.camera, 0,
               scene.fence(FenceShape::EventFd, "eventfd 3", {{app, 5}, {other, 6}}));
    scene.snapshot.queues[0].head.waiting_since_ns = past_ns;

    EXPECT_THAT(scene.rules(), ElementsAre("other-process"));
}

TEST(DoctorRules, display_whose_own_fence_is_pending_is_named) {
    Camera scene;
    const std::size_t shown = scene.display(other, "/dev/dri/card0 Virtual-1");
    SeenDisplay& display = scene.snapshot.displays[shown];
    display.head.committed_at_ns = past_ns;
    display.head.pending_picture = 3;
    const std::size_t vgem = scene.kernel_fence("vgem", "unbound");
    scene.snapshot.fences[vgem].ends.push_back({app, -1});
    scene.snapshot.displays[shown].in_fence = vgem;
    const std::size_t flip = scene.kernel_fence("virtio_gpu", "CRTC:51-crtc-0");
    scene.snapshot.fences[flip].display = shown;
    scene.held(scene.camera, 0, flip);

    const auto findings = scene.findings();
    ASSERT_EQ(findings[0].rule, "waiting-display");
    EXPECT_EQ(findings[0].blamed.device, "/dev/dri/card0 Virtual-1");
    EXPECT_EQ(findings[0].blamed.pid, other);
    EXPECT_THAT(findings[0].verdict, HasSubstr("commit of picture 3"));
    EXPECT_THAT(findings[0].verdict, HasSubstr("pid 42 app can end"));
    EXPECT_THAT(findings[0].verdict, HasSubstr("10 s"));
    // The display's own wait.
    ASSERT_EQ(findings.size(), 2U);
    EXPECT_EQ(findings[1].rule, "other-process");
    EXPECT_EQ(findings[1].waiter.device, "/dev/dri/card0 Virtual-1");
}

TEST(DoctorRules, display_that_is_off_is_to_blame_for_its_own_fences) {
    Camera scene;
    const std::size_t shown = scene.display(other, "/dev/dri/card0 Virtual-1");
    scene.snapshot.displays[shown].active = false;
    const std::size_t flip = scene.kernel_fence("virtio_gpu", "CRTC:51-crtc-0");
    scene.snapshot.fences[flip].display = shown;
    scene.held(scene.camera, 0, flip);

    ASSERT_THAT(scene.rules(), ElementsAre("display-off"));
    EXPECT_EQ(scene.findings()[0].blamed.device, "/dev/dri/card0 Virtual-1");

    scene.snapshot.displays[shown].active = true;
    EXPECT_NE(scene.findings()[0].rule, "display-off");
}

TEST(DoctorRules, commit_to_a_display_that_is_off_is_told_as_such) {
    Camera scene;
    const std::size_t shown = scene.display(app, "/dev/dri/card0 Virtual-1");
    scene.snapshot.displays[shown].active = false;
    scene.snapshot.displays[shown].head.committed_at_ns = past_ns;

    EXPECT_THAT(scene.rules(), ElementsAre("display-off"));
}

/// A camera that waits for what its program ends when a picture is shown; the display went off, and
/// the next picture was refused.
struct BlankedCamera : Camera {
    BlankedCamera() : screen(display(app, "/dev/dri/card0 Virtual-1")) {
        held(camera, 0, fence(FenceShape::Pipe, "pipe:[9]", {{app, 7}}));
        shown().active = false;
        shown().head.flips = 1;
        shown().refused = -EINVAL;
        shown().refused_at_ns = past_ns + second_ns;
    }
    SeenDisplay& shown() { return snapshot.displays[screen]; }
    std::size_t screen;
};

TEST(DoctorRules, display_that_is_off_refuses_what_its_program_is_waited_for) {
    BlankedCamera scene;

    ASSERT_THAT(scene.rules(), ElementsAre("display-off"));
    EXPECT_EQ(scene.findings()[0].blamed.device, "/dev/dri/card0 Virtual-1");
    EXPECT_EQ(scene.findings()[0].error, -EINVAL);
    EXPECT_THAT(scene.findings()[0].verdict, HasSubstr("refused its last commit 4.0 s ago"));

    scene.shown().refused = -EACCES;
    EXPECT_THAT(scene.rules(), ElementsAre("display-off")) << "of another terminal's session";
    scene.shown().active = true;
    EXPECT_THAT(scene.rules(), ElementsAre("this-program"));
}

TEST(DoctorRules, refusal_of_a_size_or_of_the_first_picture_says_nothing_of_a_display_that_is_off) {
    BlankedCamera scene;
    scene.shown().refused = -ERANGE;
    EXPECT_THAT(scene.rules(), ElementsAre("this-program"));

    scene.shown().refused = -EINVAL;
    scene.shown().head.flips = 0;
    EXPECT_THAT(scene.rules(), ElementsAre("this-program")) << "it was never on";
}

TEST(DoctorRules, refusal_before_the_wait_has_nothing_to_do_with_it) {
    BlankedCamera scene;
    scene.shown().refused_at_ns = past_ns - 1;

    EXPECT_THAT(scene.rules(), ElementsAre("this-program"));
}

TEST(DoctorRules, program_that_shows_on_another_display_is_to_blame_itself) {
    BlankedCamera scene;
    const std::size_t second = scene.display(app, "/dev/dri/card1 HDMI-A-1");
    EXPECT_THAT(scene.rules(), ElementsAre("this-program"));

    scene.snapshot.displays[second].active.reset();
    EXPECT_THAT(scene.rules(), ElementsAre("this-program")) << "it may be on";
    scene.snapshot.displays[second].active = false;
    EXPECT_THAT(scene.rules(), ElementsAre("display-off"));
    scene.snapshot.displays[second].pid = other;
    scene.snapshot.displays[second].active = true;
    EXPECT_THAT(scene.rules(), ElementsAre("display-off"));
}

TEST(DoctorRules, commit_that_lights_a_display_waits_for_its_own_fence) {
    Camera scene;
    const std::size_t shown = scene.display(other, "/dev/dri/card0 Virtual-1");
    scene.snapshot.displays[shown].active = false;
    scene.snapshot.displays[shown].head.committed_at_ns = past_ns;
    scene.snapshot.displays[shown].in_fence = scene.kernel_fence("vgem", "unbound");
    const std::size_t flip = scene.kernel_fence("virtio_gpu", "CRTC:51-crtc-0");
    scene.snapshot.fences[flip].display = shown;
    scene.held(scene.camera, 0, flip);

    EXPECT_THAT(scene.rules(), ElementsAre("waiting-display", "kernel-fence"));
}

TEST(DoctorRules, program_that_forgot_its_fence_is_to_blame_whatever_its_display_does) {
    Camera scene;
    const std::size_t shown = scene.display(other, "/dev/dri/card0 Virtual-1");
    scene.snapshot.displays[shown].active = false;
    scene.held(scene.camera, 0, scene.fence(FenceShape::Pipe, "pipe:[9]", {{other, 5}}));

    ASSERT_THAT(scene.rules(), ElementsAre("other-process"));
    EXPECT_EQ(scene.findings()[0].blamed.fd, 5);
    EXPECT_THAT(scene.findings()[0].verdict, HasSubstr("/dev/dri/card0 Virtual-1 is off"));

    scene.snapshot.displays[shown].active = true;
    EXPECT_THAT(scene.findings()[0].verdict, Not(HasSubstr("is off")));
}

TEST(DoctorRules, display_that_gets_no_vertical_blank_is_named) {
    Camera scene;
    const std::size_t shown = scene.display(app, "/dev/dri/card0 Virtual-1");
    scene.snapshot.displays[shown].head.committed_at_ns = past_ns;

    ASSERT_THAT(scene.rules(), ElementsAre("silent-display"));
    EXPECT_EQ(scene.findings()[0].blamed.device, "/dev/dri/card0 Virtual-1");
}

TEST(DoctorRules, flip_that_is_not_fetched_is_the_programs_fault) {
    Camera scene;
    const std::size_t shown = scene.display(app, "/dev/dri/card0 Virtual-1");
    scene.snapshot.displays[shown].head.committed_at_ns = past_ns;
    scene.snapshot.displays[shown].flip_unfetched = true;

    ASSERT_THAT(scene.rules(), ElementsAre("unfetched-flip"));
    EXPECT_EQ(scene.findings()[0].blamed.pid, app);
}

TEST(DoctorRules, failed_start_tells_its_error) {
    Camera scene;
    scene.snapshot.queues[0].head.failure = -EIO;
    scene.held(scene.camera, 0, scene.fence(FenceShape::Pipe, "pipe:[9]", {{app, 7}}));

    ASSERT_THAT(scene.rules(), ElementsAre("failed-start"));
    EXPECT_EQ(scene.findings()[0].error, -EIO);

    scene.snapshot.queues[0].start_error = -EINVAL;
    EXPECT_EQ(scene.findings()[0].error, -EINVAL);
    EXPECT_THAT(scene.findings()[0].verdict, HasSubstr("EINVAL"));
}

TEST(DoctorRules, device_that_is_gone_is_told_before_all) {
    Camera scene;
    scene.snapshot.queues[0].head.failure = -ENODEV;

    ASSERT_THAT(scene.rules(), ElementsAre("device-gone"));
    EXPECT_EQ(scene.findings()[0].blamed.device, "/dev/video0");
}

TEST(DoctorRules, frame_that_is_not_fetched_is_the_programs_fault) {
    Camera scene;
    scene.buffer(scene.camera, 1, SlotState::Done);
    scene.buffer(scene.camera, 3, SlotState::Done);

    ASSERT_THAT(scene.rules(), ElementsAre("never-dequeued"));
    EXPECT_EQ(scene.findings()[0].blamed.pid, app);
    EXPECT_EQ(scene.findings()[0].blamed.index, 1U);
    EXPECT_EQ(scene.findings()[0].since_ns, past_ns);
}

TEST(DoctorRules, device_that_returns_nothing_is_named) {
    Camera scene;
    for (unsigned i = 0; i < 3; ++i) {
        scene.buffer(scene.camera, i, SlotState::Given);
    }

    ASSERT_THAT(scene.rules(), ElementsAre("silent-device"));
    EXPECT_EQ(scene.findings()[0].blamed.device, "/dev/video0");
    EXPECT_THAT(scene.findings()[0].verdict, HasSubstr("/dev/video0 has had 3 buffers for 5.0 s"));
}

TEST(DoctorRules, dqbuf_of_an_empty_queue_is_told) {
    Camera scene;
    scene.snapshot.queues[0].head.waiting_since_ns = past_ns;

    ASSERT_THAT(scene.rules(), ElementsAre("too-few-queued"));
    EXPECT_THAT(scene.findings()[0].verdict, HasSubstr("no buffer is queued"));
}

TEST(DoctorRules, bound_is_told_apart_from_a_deadline) {
    Camera scene;
    QueueCell& cell = scene.buffer(scene.camera, 1, SlotState::Failed);
    cell.expired = 2;
    cell.expired_at_ns = past_ns + second_ns;
    cell.bound_ns = past_ns + second_ns;

    ASSERT_THAT(scene.rules(), ElementsAre("bound-expired"));
    EXPECT_EQ(scene.findings()[0].waiter.index, 1U);
    EXPECT_THAT(scene.findings()[0].verdict, HasSubstr("1.0 s after its QBUF, 4.0 s ago"));

    cell.expired = 1;
    EXPECT_THAT(scene.rules(), ElementsAre("deadline-expired"));
}

TEST(DoctorRules, fence_that_nobody_has_can_never_end) {
    Camera scene;
    scene.held(scene.camera, 0, scene.fence(FenceShape::EventFd, "eventfd 3"));

    ASSERT_THAT(scene.rules(), ElementsAre("no-end"));

    scene.snapshot.fences[0].unknown = "3 processes may not be looked at";
    ASSERT_THAT(scene.rules(), ElementsAre("unknown-end"));
    EXPECT_THAT(scene.findings()[0].verdict, HasSubstr("3 processes may not be looked at"));
}

TEST(DoctorRules, fence_of_an_unknown_display_names_driver_and_crtc) {
    Camera scene;
    scene.held(scene.camera, 0, scene.kernel_fence("virtio_gpu", "CRTC:51-crtc-0"));

    ASSERT_THAT(scene.rules(), ElementsAre("kernel-fence"));
    EXPECT_EQ(scene.findings()[0].blamed.device, "virtio_gpu CRTC:51-crtc-0");
}

TEST(DoctorRules, stopped_program_that_waits_for_nobody_is_told) {
    Camera scene;
    scene.process(app, "app", 'T');

    ASSERT_THAT(scene.rules(), ElementsAre("stopped-program"));
    EXPECT_EQ(scene.findings()[0].blamed.pid, app);
}

TEST(DoctorRules, fence_that_a_program_merely_has_counts_where_every_wait_does) {
    Scene scene;
    scene.process(app, "app");
    scene.process(other, "other");
    const std::size_t fence = scene.kernel_fence("vgem", "unbound");
    scene.snapshot.fences[fence].ends.push_back({other, -1});
    scene.snapshot.held.push_back({app, 7, fence});

    EXPECT_THAT(scene.rules(1), IsEmpty());  // nobody knows since when
    ASSERT_THAT(scene.rules(0), ElementsAre("other-process"));
    const Finding finding = scene.findings(0)[0];
    EXPECT_EQ(finding.waiter.pid, app);
    EXPECT_EQ(finding.waiter.fd, 7);
    EXPECT_EQ(finding.blamed.pid, other);
    EXPECT_THAT(finding.verdict, HasSubstr("Pid 42 app waits, it is not known since when, for "
                                           "sync_file vgem"));
}

TEST(DoctorRules, fence_of_the_kernels_that_a_program_has_names_its_driver) {
    Scene scene;
    scene.process(app, "app");
    scene.snapshot.held.push_back({app, 7, scene.kernel_fence("i915", "rcs0")});

    ASSERT_THAT(scene.rules(0), ElementsAre("kernel-fence"));
    EXPECT_EQ(scene.findings(0)[0].blamed.device, "i915 rcs0");
}

TEST(DoctorRules, queues_say_what_a_program_that_has_some_waits_for) {
    Camera scene;
    scene.snapshot.held.push_back({app, 7, scene.kernel_fence("i915", "rcs0")});

    EXPECT_THAT(scene.rules(0), IsEmpty());
}

TEST(DoctorRules, two_buffers_for_one_fence_are_one_finding) {
    Camera scene;
    const std::size_t fence = scene.fence(FenceShape::Pipe, "pipe:[9]", {{app, 7}});
    scene.held(scene.camera, 0, fence);
    scene.held(scene.camera, 1, fence);

    EXPECT_THAT(scene.rules(), ElementsAre("this-program"));
}

TEST(DoctorRules, wait_through_two_queues_ends_at_the_last_one) {
    Camera scene;
    const std::size_t second = scene.queue(other, "/dev/video9", 2);
    scene.held(second, 0, scene.fence(FenceShape::Pipe, "pipe:[9]", {{other, 7}}));
    scene.held(scene.camera, 0, scene.out_fence(second, 0));

    const auto findings = scene.findings();
    ASSERT_THAT(scene.rules(), ElementsAre("other-process", "this-program"));
    EXPECT_EQ(findings[0].waiter.pid, app);
    EXPECT_EQ(findings[0].blamed.pid, other);
}

}  // namespace
}  // namespace v4lfence
