// SPDX-License-Identifier: MIT
//
// What a display of the kernel says to wrong choices and other programs, and what it leaves behind
// when it is closed or its program killed, by v4lfence/kms.h.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>

#include "tests/support/kernel_display.hpp"
#include "v4lfence/base/testing/descriptors.hpp"

namespace v4lfence {
namespace {

using namespace std::chrono_literals;
using namespace v4lfence::testing;
using ::testing::HasSubstr;

class KernelManners : public KernelDisplay {};

TEST_P(KernelManners, wrong_choices_are_explained) {
    auto choice = wish(GetParam());
    choice.connector = "VGA-9";
    Opened opened = open_display(choice);
    EXPECT_EQ(opened.error, ENODEV);
    EXPECT_THAT(opened.why, HasSubstr(std::string(info_.connector) + " (connected)"));
    choice = wish(GetParam());
    choice.mode = "1x1";
    opened = open_display(choice);
    EXPECT_EQ(opened.error, EINVAL);
    EXPECT_THAT(opened.why, HasSubstr("640x480"));
    choice.mode = "large";
    EXPECT_EQ(open_display(choice).error, EINVAL);
    choice = wish(GetParam());
    choice.fourcc = DRM_FORMAT_YUYV;
    opened = open_display(choice);
    EXPECT_EQ(opened.error, ENODEV) << "neither driver has it";
    EXPECT_THAT(opened.why, HasSubstr("XR24"));
    choice = wish("/dev/dri/card63");
    EXPECT_EQ(open_display(choice).error, ENOENT);
    opened = open_display(wish("no-such-driver"));
    EXPECT_EQ(opened.error, ENOENT);
    EXPECT_THAT(opened.why, HasSubstr(GetParam()));
    EXPECT_EQ(open_display(wish("vgem")).error, ENODEV);
    EXPECT_EQ(open_display(wish("/dev/null")).error, ENODEV);
    choice = wish(GetParam());
    choice.size = 0;
    EXPECT_EQ(open_display(choice).error, EINVAL);
}

TEST_P(KernelManners, busy_master_is_named) {
    const OtherProgram other([&] { return open().release() != nullptr; });
    ASSERT_TRUE(other.is_there());
    const Opened opened = open_display(wish(GetParam()));
    EXPECT_EQ(opened.error, EBUSY);
    EXPECT_THAT(opened.why, HasSubstr("(pid " + std::to_string(other.pid()) + ")"));
}

TEST_P(KernelManners, missing_permission_names_node_and_group) {
    const std::string path = info_.card;
    const OtherProgram other([&] {
        constexpr uid_t nobody = 65534;
        const bool is_nobody = ::setgid(nobody) == 0 && ::setuid(nobody) == 0;
        const Opened opened = open_display(wish(path.c_str()));
        const Opened any = open_display(wish(nullptr));
        return is_nobody && opened.error == EACCES && any.error == EACCES &&
               opened.why.find(path + " (group ") != std::string::npos &&
               any.why.find(path + " (group ") != std::string::npos;
    });
    EXPECT_TRUE(other.is_there());
}

/// A program that showed something before, without being master any more.
class Before {
public:
    Before(const v4lfence_display_info& info, const char* mode_name)
        : fd_(std::move(*sys::open(info.card, O_RDWR))), crtc_(info.crtc_id) {
        drmModeConnector* const connector = drmModeGetConnector(fd_.get(), info.connector_id);
        std::uint32_t handle = 0;
        std::uint32_t stride = 0;
        std::uint64_t size = 0;
        for (int i = 0; i < connector->count_modes && framebuffer == 0; ++i) {
            drmModeModeInfo& mode = connector->modes[i];
            if (std::string(mode.name) == mode_name) {
                drmModeCreateDumbBuffer(fd_.get(), mode.hdisplay, mode.vdisplay, 32, 0, &handle,
                                        &stride, &size);
                drmModeAddFB(fd_.get(), mode.hdisplay, mode.vdisplay, 24, 32, stride, handle,
                             &framebuffer);
                std::uint32_t id = info.connector_id;
                is_shown = drmModeSetCrtc(fd_.get(), crtc_, framebuffer, 0, 0, &id, 1, &mode) == 0;
            }
        }
        drmModeFreeConnector(connector);
        drmDropMaster(fd_.get());
    }

    /// "1024x768 17", the mode and the framebuffer that are on now.
    std::string shown() const {
        drmModeCrtc* const crtc = drmModeGetCrtc(fd_.get(), crtc_);
        const std::string text = crtc->mode_valid != 0 ? std::string(crtc->mode.name) + " " +
                                                             std::to_string(crtc->buffer_id)
                                                       : "off";
        drmModeFreeCrtc(crtc);
        return text;
    }
    void remove_framebuffer() { drmModeRmFB(fd_.get(), framebuffer); }

    std::uint32_t framebuffer = 0;
    bool is_shown = false;

private:
    UniqueFd fd_;
    std::uint32_t crtc_;
};

TEST_P(KernelManners, close_puts_back_what_was_shown) {
    Before before(info_, "1024x768");
    ASSERT_TRUE(before.is_shown);
    const std::string shown = before.shown();
    for (const bool is_gone : {false, true}) {
        OwnedDisplay display = open();
        const int picture = allocate(display.get(), info_.width, info_.height);
        // The driver lets go of what was on screen one commit later.
        for (int times = 0; times < 3; ++times) {
            show(display.get(), picture);
        }
        EXPECT_NE(before.shown(), shown);
        if (is_gone) {
            before.remove_framebuffer();
        }
        display.reset();
        EXPECT_EQ(before.shown(), is_gone ? "off" : shown);
    }
}

TEST_P(KernelManners, close_waits_for_the_commit_under_way) {
    const std::size_t before = open_descriptors();
    OwnedDisplay display = open();
    const int picture = allocate(display.get(), info_.width, info_.height);
    MintedFence in = mint();
    ASSERT_EQ(try_show(display.get(), picture, in.fd.get(), nullptr), 0);
    std::move(in.promise).end(0);
    in.fd.reset();
    display.reset();
    EXPECT_LE(open_descriptors(), before + 1) << "vgem's own memory for its fences, once";
}

/// Opens the display as soon as it can be had, and shows something.
void wait_until_free(const std::function<Opened()>& try_open) {
    const auto begin = std::chrono::steady_clock::now();
    Opened opened = try_open();
    while (!opened.display && std::chrono::steady_clock::now() - begin < 15s) {
        ::poll(nullptr, 0, 10);
        opened = try_open();
    }
    ASSERT_TRUE(opened.display) << opened.why;
    show(opened.display.get(), allocate(opened.display.get()));
}

/// How long it takes from SIGKILL to the program's end and to where the display can be had.
/// `meanwhile`: what others do that it may wait for.
std::chrono::milliseconds until_free(
    OtherProgram& program, const std::function<Opened()>& try_open,
    const std::function<void()>& meanwhile = [] {}) {
    const auto begin = std::chrono::steady_clock::now();
    program.send_kill();
    meanwhile();
    program.kill();
    wait_until_free(try_open);
    const auto took = std::chrono::steady_clock::now() - begin;
    return std::chrono::duration_cast<std::chrono::milliseconds>(took);
}

TEST_P(KernelManners, killed_program_leaves_a_display_that_opens) {
    const auto try_open = [&] { return open_display(wish(GetParam())); };
    OtherProgram idle([&] {
        v4lfence_display* const display = open().release();
        show(display, allocate(display, info_.width, info_.height));
        return true;
    });
    ASSERT_TRUE(idle.is_there());
    EXPECT_LT(until_free(idle, try_open), 3s);

    // With a commit that waits for a fence of its own, which ends with it.
    fences_.reset();
    provider_.reset();
    OtherProgram waiting([&] {
        auto provider = std::move(probe_provider("vgem")->provider);
        FenceContext* const context = std::move(*provider.release()->open_context()).release();
        v4lfence_display* const display = open().release();
        static MintedFence in = std::move(*context->mint(0));
        return try_show(display, allocate(display, info_.width, info_.height), in.fd.get(),
                        nullptr) == 0;
    });
    ASSERT_TRUE(waiting.is_there());
    const auto took = until_free(waiting, try_open);
    std::printf("free %lld ms after SIGKILL with its own fence pending\n",
                static_cast<long long>(took.count()));
    EXPECT_LT(took, 3s);
}

TEST_P(KernelManners, killed_program_frees_the_display_with_the_fence_of_another) {
    MintedFence in = mint();
    OtherProgram waiting([&] {
        v4lfence_display* const display = open().release();
        return try_show(display, allocate(display, info_.width, info_.height), in.fd.get(),
                        nullptr) == 0;
    });
    ASSERT_TRUE(waiting.is_there());
    const auto took = until_free(
        waiting, [&] { return open_display(wish(GetParam())); },
        [&] { std::move(in.promise).end(0); });
    EXPECT_LT(took, 3s);
}

// Pins: 7.4
TEST_P(KernelManners, forked_child_has_the_display_for_as_long_as_it_keeps_the_descriptors) {
    auto hold = std::move(*sys::pipe(0));
    OtherProgram parent([&] {
        hold.write_end.reset();
        v4lfence_display* const display = open().release();
        const int picture = allocate(display, info_.width, info_.height);
        show(display, picture);
        if (::fork() == 0) {
            char none = 0;
            static_cast<void>(::read(hold.read_end.get(), &none, 1));
            ::_exit(0);
        }
        show(display, picture);
        return !::testing::Test::HasFailure();
    });
    ASSERT_TRUE(parent.is_there());
    parent.kill();
    EXPECT_EQ(open_display(wish(GetParam())).error, EBUSY);
    hold.write_end.reset();
    wait_until_free([&] { return open_display(wish(GetParam())); });
}

INSTANTIATE_TEST_SUITE_P(Drivers, KernelManners, ::testing::Values("virtio_gpu", "vkms"),
                         driver_of);

}  // namespace
}  // namespace v4lfence
