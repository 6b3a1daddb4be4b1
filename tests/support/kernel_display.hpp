// SPDX-License-Identifier: MIT
//
// For tests of v4lfence/kms.h on displays of the kernel: virtio-gpu and vkms of the VM. They change
// what a display shows, so they run in the VM alone.

#pragma once

#include <drm_fourcc.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/provider.hpp"
#include "v4lfence/kms.h"

namespace v4lfence::testing {

inline constexpr int patience_ms = 5000;
inline constexpr unsigned width = 640;
inline constexpr unsigned height = 480;

struct CloseDisplay {
    void operator()(v4lfence_display* display) const { v4lfence_display_close(display); }
};
using OwnedDisplay = std::unique_ptr<v4lfence_display, CloseDisplay>;

struct Opened {
    OwnedDisplay display;
    int error = 0;
    std::string why;
};

inline Opened open_display(const v4lfence_display_choice& choice) {
    char why[512] = "";
    Opened opened;
    opened.display.reset(v4lfence_display_open(&choice, why, sizeof(why)));
    opened.error = opened.display ? 0 : errno;
    opened.why = why;
    return opened;
}

inline v4lfence_display_choice wish(const char* card) {
    v4lfence_display_choice choice{};
    choice.size = sizeof(choice);
    choice.card = card;
    choice.width = width;
    choice.height = height;
    return choice;
}

inline bool is_ready(int fd, int timeout_ms) {
    pollfd entry{fd, POLLIN, 0};
    return sys::poll(std::span(&entry, 1), timeout_ms).value_or(0) == 1;
}

inline int allocate(v4lfence_display* display, unsigned picture_width = width,
                    unsigned picture_height = height) {
    v4lfence_picture picture{};
    picture.size = sizeof(picture);
    picture.width = picture_width;
    picture.height = picture_height;
    picture.fourcc = DRM_FORMAT_XRGB8888;
    const int number = v4lfence_display_allocate(display, &picture);
    EXPECT_GT(number, 0) << v4lfence_display_error(display);
    return number;
}

inline v4lfence_flip take_flip(v4lfence_display* display) {
    v4lfence_flip flip{};
    flip.size = sizeof(flip);
    EXPECT_TRUE(is_ready(v4lfence_display_fd(display), patience_ms)) << "no flip";
    EXPECT_EQ(v4lfence_display_next_flip(display, &flip), 1);
    return flip;
}

inline v4lfence_display_frame frame_of(int picture, int in_fence = -1) {
    v4lfence_display_frame frame{};
    frame.size = sizeof(frame);
    frame.picture = picture;
    frame.in_fence = in_fence;
    return frame;
}

/// As v4lfence_display_show().
inline int try_show(v4lfence_display* display, int picture, int in_fence, int* out_fence) {
    const v4lfence_display_frame frame = frame_of(picture, in_fence);
    return v4lfence_display_show(display, &frame, out_fence);
}

inline void show(v4lfence_display* display, int picture) {
    ASSERT_EQ(try_show(display, picture, -1, nullptr), 0) << v4lfence_display_error(display);
    EXPECT_EQ(take_flip(display).picture, picture);
}

/// A program beside this one, which says by a byte that it is where it wants to be.
class OtherProgram {
public:
    explicit OtherProgram(const std::function<bool()>& body) {
        auto pipe = std::move(*sys::pipe(0));
        pid_ = ::fork();
        if (pid_ == 0) {
            const char there = body() ? '1' : '0';
            static_cast<void>(::write(pipe.write_end.get(), &there, 1));
            ::pause();
            ::_exit(0);
        }
        pipe.write_end.reset();
        char there = '0';
        static_cast<void>(::read(pipe.read_end.get(), &there, 1));
        is_there_ = there == '1';
    }
    ~OtherProgram() { kill(); }

    bool is_there() const { return is_there_; }
    pid_t pid() const { return pid_; }
    /// Returns when it has ended: the kernel has let go of all that it had, and before that of what
    /// waited for a fence.
    void kill() {
        send_kill();
        if (pid_ > 0) {
            ::waitpid(std::exchange(pid_, -1), nullptr, 0);
        }
    }
    /// The beginning of that.
    void send_kill() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
        }
    }

private:
    pid_t pid_ = -1;
    bool is_there_ = false;
};

class KernelDisplay : public ::testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        if (std::getenv("VM_KERNEL") == nullptr) {
            GTEST_SKIP() << "needs a display that nobody looks at: runs in the VM";
        }
        Opened opened = open_display(wish(GetParam()));
        if (opened.error == ENOENT) {
            GTEST_SKIP() << "needs module " << GetParam() << ": " << opened.why;
        }
        ASSERT_TRUE(opened.display) << opened.why;
        v4lfence_display_get_info(opened.display.get(), &info_, sizeof(info_));
        auto probed = probe_provider("vgem");
        ASSERT_TRUE(probed && probed->provider) << "needs module vgem";
        provider_ = std::move(probed->provider);
        fences_ = std::move(*provider_->open_context());
    }

    OwnedDisplay open() {
        Opened opened = open_display(wish(GetParam()));
        EXPECT_TRUE(opened.display) << opened.why;
        return std::move(opened.display);
    }

    MintedFence mint(unsigned slot = 0) { return std::move(*fences_->mint(slot)); }

    v4lfence_display_info info_{};
    std::unique_ptr<FenceProvider> provider_;
    std::unique_ptr<FenceContext> fences_;
};

inline std::string driver_of(const ::testing::TestParamInfo<const char*>& driver) {
    return driver.param;
}

}  // namespace v4lfence::testing
