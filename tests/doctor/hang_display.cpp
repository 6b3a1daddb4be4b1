// SPDX-License-Identifier: MIT
//
// doctor_hang_display HANG DEVICE CARD: as doctor_hang, with a display behind a capture device.
//   waiting-display  The camera waits for KMS, and KMS for a fence of vgem that nobody ends; after
//                    10 s the kernel does.
//   frozen-camera    KMS waits for a fence of the camera's, which gives no frames. The program has
//                    closed that fence, as it may.
//   display-off      The camera waits for what the program ends when its next picture is shown.
//                    The display is off, and KMS refuses that picture.
//   display-idle     The display is off too; the program has forgotten what the camera waits for.

#include <drm_fourcc.h>
#include <fmt/format.h>
#include <poll.h>
#include <xf86drmMode.h>

#include <array>
#include <cstdio>
#include <string>
#include <string_view>

#include "tests/doctor/stage.hpp"
#include "v4lfence/drivers/camera/controls.hpp"
#include "v4lfence/kms.h"

namespace v4lfence::hangs {

namespace {

constexpr std::uint32_t width = 640;
constexpr std::uint32_t height = 480;
constexpr int flip_timeout_ms = 10'000;

/// A display with two pictures of its own memory, of which the first is on screen.
class Screen {
public:
    explicit Screen(const char* card) {
        v4lfence_display_choice choice{};
        choice.size = sizeof choice;
        choice.card = card;
        choice.width = width;
        choice.height = height;
        choice.fourcc = DRM_FORMAT_XRGB8888;
        std::array<char, 256> why{};
        display_ = v4lfence_display_open(&choice, why.data(), why.size());
        if (display_ == nullptr) {
            give_up(why.data());
        }
        for (int& picture : pictures_) {
            v4lfence_picture made{};
            made.size = sizeof made;
            made.width = width;
            made.height = height;
            made.fourcc = DRM_FORMAT_XRGB8888;
            picture = checked(v4lfence_display_allocate(display_, &made));
        }
        show(0, -1);
        wait_for_flip();
    }
    Screen(const Screen&) = delete;
    Screen& operator=(const Screen&) = delete;
    ~Screen() { v4lfence_display_close(display_); }

    api::Fence show(unsigned picture, int in_fence) {
        int out = -1;
        checked(try_show(picture, in_fence, &out));
        return api::Fence(out);
    }

    /// KMS does not take it.
    bool refuses(unsigned picture) { return try_show(picture, -1, nullptr) < 0; }

    v4lfence_display_info info() const {
        v4lfence_display_info info{};
        well(v4lfence_display_get_info(display_, &info, sizeof info), "display info");
        return info;
    }

    /// As a desktop blanks it.
    void switch_off() {
        const int card = v4lfence_display_fd(display_);
        const std::uint32_t connector = info().connector_id;
        drmModeConnector* const found = drmModeGetConnectorCurrent(card, connector);
        for (int i = 0; found != nullptr && i < found->count_props; ++i) {
            drmModePropertyRes* const property = drmModeGetProperty(card, found->props[i]);
            if (property != nullptr && std::string_view(property->name) == "DPMS") {
                well(drmModeConnectorSetProperty(card, connector, property->prop_id,
                                                 DRM_MODE_DPMS_OFF),
                     "DPMS");
            }
            drmModeFreeProperty(property);
        }
        drmModeFreeConnector(found);
    }

private:
    int try_show(unsigned picture, int in_fence, int* out) {
        v4lfence_display_frame frame{};
        frame.size = sizeof frame;
        frame.picture = pictures_[picture];
        frame.in_fence = in_fence;
        return v4lfence_display_show(display_, &frame, out);
    }

    int checked(int status) {
        if (status < 0) {
            give_up(v4lfence_display_error(display_));
        }
        return status;
    }

    void wait_for_flip() {
        v4lfence_flip flip{};
        flip.size = sizeof flip;
        while (checked(v4lfence_display_next_flip(display_, &flip)) == 0) {
            pollfd polled{v4lfence_display_fd(display_), POLLIN, 0};
            if (well(::poll(&polled, 1, flip_timeout_ms), "poll") == 0) {
                give_up("the first picture is not shown");
            }
        }
    }

    v4lfence_display* display_ = nullptr;
    std::array<int, 2> pictures_{};
};

void waiting_display(const std::string& device, const char* card) {
    Screen screen(card);
    int pending = -1;
    v4lfence_promise* const promise = v4lfence_promise_create("vgem", &pending);
    well(promise == nullptr ? -1 : 0, "vgem");
    const api::Fence in(pending);
    const api::Fence shown = screen.show(1, in.fd());
    Stream stream(device, 4);
    stream.queue(0, shown.fd());
    stream.start();
    tell_staged(fmt::format("card={} connector={}", screen.info().card, screen.info().connector));
    stay();
    v4lfence_promise_end(promise, 0);
}

void frozen_camera(const std::string& device, const char* card) {
    Screen screen(card);
    Stream stream(device, 4);
    stream.set_control(camera_freeze, 1);
    well(v4lfence_set_provider(stream.fd(), "vgem"), "vgem");
    {
        const api::Fence out = stream.queue(0, -1, true);
        stream.start();
        screen.show(1, out.fd());
    }
    tell_staged(fmt::format("card={} connector={} device={}", screen.info().card,
                            screen.info().connector, device));
    stay();
}

/// With or without an attempt to show something.
void display_off(const std::string& device, const char* card, bool shows) {
    Screen screen(card);
    Stream stream(device, 4);
    const sys::Pipe shown = make_pipe();
    stream.queue(0, shown.read_end.get());
    stream.start();
    screen.switch_off();
    if (shows && !screen.refuses(1)) {
        give_up("a display that is off takes a picture");
    }
    tell_staged(fmt::format("card={} connector={} fd={}", screen.info().card,
                            screen.info().connector, shown.write_end.get()));
    stay();
}

}  // namespace
}  // namespace v4lfence::hangs

int main(int argc, char** argv) {
    using namespace v4lfence::hangs;
    const std::string_view hang = argc == 4 ? argv[1] : "";
    if (hang == "waiting-display") {
        waiting_display(argv[2], argv[3]);
    } else if (hang == "frozen-camera") {
        frozen_camera(argv[2], argv[3]);
    } else if (hang == "display-off" || hang == "display-idle") {
        display_off(argv[2], argv[3], hang == "display-off");
    } else {
        fmt::print(stderr, "usage: doctor_hang_display "
                           "waiting-display|frozen-camera|display-off|display-idle DEVICE CARD\n");
        return 2;
    }
    return 0;
}
