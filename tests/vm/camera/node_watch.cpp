// SPDX-License-Identifier: MIT

#include "tests/vm/camera/node_watch.hpp"

#include <sys/inotify.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {
namespace {

namespace fs = std::filesystem;

// Empty where the file is not there (any more).
std::string first_line(const fs::path& file) {
    std::ifstream stream(file);
    std::string line;
    std::getline(stream, line);
    return line;
}

}  // namespace

Result<NodeWatch> NodeWatch::create(std::string serial) {
    UniqueFd inotify(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (!inotify) {
        return fail_errno("inotify_init1");
    }
    if (inotify_add_watch(inotify.get(), "/dev", IN_CREATE | IN_DELETE) < 0) {
        return fail_errno("inotify_add_watch /dev");
    }
    return NodeWatch(std::move(inotify), std::move(serial));
}

void NodeWatch::drain() {
    std::array<std::byte, 4096> events;
    while (sys::read(inotify_.get(), events)) {}
}

std::optional<std::string> NodeWatch::look() {
    // What happens from here on makes the descriptor readable again.
    drain();
    std::error_code error;
    for (fs::directory_iterator entry("/sys/class/video4linux", error), end; !error && entry != end;
         entry.increment(error)) {
        const fs::path& sysfs = entry->path();
        const fs::path node = fs::path("/dev") / sysfs.filename();
        std::error_code absent;
        // The parent of the node's device, a USB interface, is the camera.
        if (first_line(sysfs / "index") == "0" && fs::exists(node, absent) &&
            first_line(fs::path(sysfs / "device").string() + "/../serial") == serial_) {
            return node.string();
        }
    }
    return std::nullopt;
}

Result<> NodeWatch::wait_gone(Deadline deadline) {
    const SystemClock clock;
    while (look()) {
        pollfd change{fd(), POLLIN, 0};
        const int left_ms = timeout_ms(deadline, clock.now());
        const auto ready = sys::poll({&change, 1}, left_ms);
        if (!ready && ready.error().code != -EINTR) {
            return tl::unexpected(ready.error());
        }
        if (left_ms == 0) {
            return fail(-ETIME, "the node is still there");
        }
    }
    return {};
}

}  // namespace v4lfence
