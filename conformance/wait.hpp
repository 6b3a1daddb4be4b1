// SPDX-License-Identifier: MIT
//
// Waiting in cases. What must happen gets a generous bound, because the machine may be an emulated
// one; that something does not happen is shown by a short look and by what must have happened
// before it, never by a measured time.

#pragma once

#include <functional>
#include <string_view>

#include "conformance/check.hpp"
#include "v4lfence/base/time.hpp"
#include "v4lfence/fence/fence.hpp"

namespace v4lfence {

/// For what must happen: no machine that works is slower.
inline constexpr int must_happen_ms = 20000;

/// How long a case looks whether something happens that must not.
inline constexpr int settle_ms = 120;

/// Empty deadline plus `ms` from now.
Deadline deadline_in(int ms);

/// The milliseconds that are left, at least 0.
int left_ms(Deadline deadline);

/// How a fence stands now. Fails where `fd` is no fence.
Checked<FenceStatus> fence_status(int fd);

/// Waits until the fence has ended, well or badly.
Checked<FenceStatus> fence_ends(int fd, std::string_view what, int bound_ms = must_happen_ms);

/// The fence has not ended.
Checked<> fence_is_pending(int fd, std::string_view what);

/// Looks for settle_ms whether `fd` becomes readable or hangs up, which it must not.
Checked<> stays_pending(int fd, std::string_view what);

/// Looks again and again, with a pause that grows to 10 ms, until `condition` says so.
Checked<> eventually(const std::function<Checked<bool>()>& condition, std::string_view what,
                     int bound_ms = must_happen_ms);

/// Waits in poll() on nothing.
void pause_ms(int ms);

/// CPU time of this process so far.
Nanoseconds cpu_time();

/// Open descriptors of this process.
std::size_t open_descriptors();

/// Threads of this process. One that was joined may still be on its way out: it gets a moment to go
/// while there are more than `expected`.
std::size_t running_threads(std::size_t expected);

/// Whether /proc says that `fd` is close-on-exec. Fails where it is not open.
Checked<bool> is_close_on_exec(int fd);

}  // namespace v4lfence
