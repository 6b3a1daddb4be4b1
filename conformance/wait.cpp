// SPDX-License-Identifier: MIT

#include "conformance/wait.hpp"

#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

std::size_t entries_of(const char* folder) {
    std::error_code error;
    return static_cast<std::size_t>(std::distance(
        std::filesystem::directory_iterator(folder, error), std::filesystem::directory_iterator()));
}

}  // namespace

Deadline deadline_in(int ms) {
    return deadline_after_ms(ms, SystemClock().now());
}

int left_ms(Deadline deadline) {
    return std::max(timeout_ms(deadline, SystemClock().now()), 0);
}

Checked<FenceStatus> fence_status(int fd) {
    auto imported = Fence::import(fd, DmaBufAccess::Write);
    CHECK(imported, "descriptor {} is no fence: {}", fd, errno_name(imported.error().code));
    return imported->status;
}

Checked<FenceStatus> fence_ends(int fd, std::string_view what, int bound_ms) {
    const Deadline deadline = deadline_in(bound_ms);
    FenceStatus status = TRY(fence_status(fd));
    while (!status.ended() && left_ms(deadline) > 0) {
        pollfd entry{fd, POLLIN, 0};
        if (auto polled = sys::poll({&entry, 1}, left_ms(deadline));
            !polled && polled.error().code != -EINTR) {
            TRY(std::move(polled));
        }
        status = TRY(fence_status(fd));
    }
    CHECK(status.ended(), "{} is still pending after {} ms, expected it to end", what, bound_ms);
    return status;
}

Checked<> fence_is_pending(int fd, std::string_view what) {
    const FenceStatus status = TRY(fence_status(fd));
    CHECK(!status.ended(), "{} has ended ({}), expected it pending", what,
          errno_name(status.error));
    return {};
}

Checked<> stays_pending(int fd, std::string_view what) {
    pollfd entry{fd, POLLIN, 0};
    (void)sys::poll({&entry, 1}, settle_ms);
    return fence_is_pending(fd, what);
}

Checked<> eventually(const std::function<Checked<bool>()>& condition, std::string_view what,
                     int bound_ms) {
    const Deadline deadline = deadline_in(bound_ms);
    for (int nap_ms = 1;; nap_ms = std::min(nap_ms * 2, 10)) {
        if (TRY(condition())) {
            return {};
        }
        CHECK(left_ms(deadline) > 0, "waited {} ms in vain for {}", bound_ms, what);
        pause_ms(nap_ms);
    }
}

void pause_ms(int ms) {
    (void)sys::poll({}, ms);
}

Nanoseconds cpu_time() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + Nanoseconds(now.tv_nsec);
}

std::size_t open_descriptors() {
    // The listing itself holds one.
    return entries_of("/proc/self/fd") - 1;
}

std::size_t running_threads(std::size_t expected) {
    std::size_t count = entries_of("/proc/self/task");
    constexpr int moment_ms = 500;
    const Deadline deadline = deadline_in(moment_ms);
    while (count > expected && left_ms(deadline) > 0) {
        pause_ms(5);
        count = entries_of("/proc/self/task");
    }
    return count;
}

Checked<bool> is_close_on_exec(int fd) {
    std::ifstream info(fmt::format("/proc/self/fdinfo/{}", fd));
    for (std::string word; info >> word;) {
        if (word == "flags:" && info >> word) {
            constexpr unsigned long close_on_exec = 02000000;
            return (std::strtoul(word.c_str(), nullptr, 8) & close_on_exec) != 0;
        }
    }
    return failed(fmt::format("descriptor {} is not open", fd));
}

}  // namespace v4lfence
