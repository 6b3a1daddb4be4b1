// SPDX-License-Identifier: MIT

#include "tests/vm/camera/options.hpp"

#include <getopt.h>

#include <charconv>
#include <cstdio>
#include <optional>
#include <string_view>

#include "tests/vm/camera/descriptors.hpp"

namespace v4lfence {
namespace {

constexpr const char* usage =
    R"(usage: uvc_camera [options]
Plugs an emulated USB camera into the virtual host controller (module vhci-hcd), where the kernel's
uvcvideo makes a video node of it, and serves it until SIGTERM or SIGINT. Needs root.

  --serial TEXT       USB serial number, by which it is found (default v4lfence-0)
  --controller DIR    of sysfs (default /sys/devices/platform/vhci_hcd.0)
  --ready-fd N        print the node's path to this descriptor (default 1)
  --wait-gone         plug nothing in; wait until the camera with this serial is gone (10 s at most)
  --unplug-after N    be pulled out in the middle of the frame after N frames
  --freeze-after N    stay plugged in and send nothing after N frames
  --error-every N     set the error bit of every Nth frame
  --short-every N     send half of every Nth frame
SIGUSR1 freezes and thaws the picture.
)";

enum Option { Help = 'h', Serial, Controller, ReadyFd, WaitGone, Unplug, Freeze, Broken, Short };

const option long_options[] = {{"help", no_argument, nullptr, Help},
                               {"serial", required_argument, nullptr, Serial},
                               {"controller", required_argument, nullptr, Controller},
                               {"ready-fd", required_argument, nullptr, ReadyFd},
                               {"wait-gone", no_argument, nullptr, WaitGone},
                               {"unplug-after", required_argument, nullptr, Unplug},
                               {"freeze-after", required_argument, nullptr, Freeze},
                               {"error-every", required_argument, nullptr, Broken},
                               {"short-every", required_argument, nullptr, Short},
                               {nullptr, 0, nullptr, 0}};

std::optional<unsigned> count_from(std::string_view text) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

unsigned* count_of(int which, CameraOptions& options) {
    switch (which) {
    case Unplug:
        return &options.misbehaviour.unplug_after;
    case Freeze:
        return &options.misbehaviour.freeze_after;
    case Broken:
        return &options.misbehaviour.error_every;
    case Short:
        return &options.misbehaviour.short_every;
    default:
        return nullptr;
    }
}

int wrong(const char* what) {
    std::fprintf(stderr, "uvc_camera: %s (see --help)\n", what);
    return 2;
}

}  // namespace

std::variant<CameraOptions, int> parse_options(int argc, char** argv) {
    CameraOptions options;
    for (int which; (which = getopt_long(argc, argv, "h", long_options, nullptr)) != -1;) {
        if (which == Help) {
            std::fputs(usage, stdout);
            return 0;
        }
        if (which == '?') {
            return 2;
        }
        if (which == Serial) {
            options.serial = optarg;
        } else if (which == Controller) {
            options.controller = optarg;
        } else if (which == WaitGone) {
            options.wait_gone = true;
        } else {
            const auto count = count_from(optarg);
            if (!count) {
                return wrong("not a number");
            }
            if (which == ReadyFd) {
                options.ready_fd = static_cast<int>(*count);
            } else {
                *count_of(which, options) = *count;
            }
        }
    }
    if (optind < argc) {
        return wrong("it takes options only");
    }
    if (options.serial.empty() || options.serial.size() > serial_length_max) {
        return wrong("a serial number has 1 to 126 characters");
    }
    return options;
}

}  // namespace v4lfence
