// SPDX-License-Identifier: MIT

#include "v4lfence/fence/end_mark.hpp"

#include <sys/stat.h>

#include <array>
#include <cstddef>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {
/// Set-user-ID means nothing on a pipe, and pipes are made without it.
constexpr mode_t marked = S_ISUID;
/// The permission bits: enough for every errno that user space sees, and no bit that the kernel may
/// strip.
constexpr int marked_errno_max = 0777;
}  // namespace

mode_t end_mark(int error) noexcept {
    if (error == 0) {
        return marked;
    }
    const bool fits = error < 0 && -error <= marked_errno_max;
    return marked | static_cast<mode_t>(fits ? -error : EIO);
}

std::optional<int> marked_error(mode_t mode) noexcept {
    if (!S_ISFIFO(mode) || (mode & marked) == 0) {
        return std::nullopt;
    }
    return -static_cast<int>(mode & marked_errno_max);
}

void end_pipe(int write_end, int error) noexcept {
    static_cast<void>(sys::fchmod(write_end, end_mark(error)));
    if (error == 0) {
        // Without memory for the byte, the mark and the hang-up still say that all went well.
        // No reader is left where the program has closed its end: nobody minds.
        constexpr std::array<std::byte, 1> byte{};
        static_cast<void>(sys::write_quietly(write_end, byte));
    }
}

}  // namespace v4lfence
