// SPDX-License-Identifier: MIT
//
// Asks a capture device what it does without a fence; writes {probe: answer} as JSON.
// usage: unfenced_probes raw|library DEVICE

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "tests/unfenced_difference/node.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence::difference {

namespace {

constexpr Calls kernel_calls{::open, ::close, ::ioctl, ::mmap, ::munmap, ::read, ::poll};
constexpr Calls library_calls{v4lfence_open,   v4lfence_close, v4lfence_ioctl, v4lfence_mmap,
                              v4lfence_munmap, v4lfence_read,  v4lfence_poll};

/// Both sides alike: the input that is a camera, and a size that either has.
void prepare(const Calls& calls, const std::string& path) {
    const Node node(calls, path);
    int input = 0;
    node.call(VIDIOC_S_INPUT, &input);
    v4l2_format format = node.format();
    format.fmt.pix.pixelformat = V4L2_PIX_FMT_YUYV;
    format.fmt.pix.width = 640;
    format.fmt.pix.height = 360;
    format.fmt.pix.bytesperline = 0;
    format.fmt.pix.sizeimage = 0;
    node.call(VIDIOC_S_FMT, &format);
}

int run(const Calls& calls, const std::string& path) {
    const char* separator = "{";
    for (const auto& group : {buffer_probes(), stream_probes(), memory_probes(), device_probes()}) {
        for (const Probe& probe : group) {
            prepare(calls, path);
            std::printf("%s\n  \"%s\": \"%s\"", separator, probe.name,
                        probe.ask(calls, path).c_str());
            std::fflush(stdout);
            separator = ",";
        }
    }
    std::printf("\n}\n");
    return 0;
}

}  // namespace

}  // namespace v4lfence::difference

int main(int argc, char** argv) {
    using namespace v4lfence::difference;
    const std::string_view side = argc == 3 ? argv[1] : "";
    if (side != "raw" && side != "library") {
        std::fprintf(stderr, "usage: unfenced_probes raw|library DEVICE\n");
        return 2;
    }
    return run(side == "raw" ? kernel_calls : library_calls, argv[2]);
}
