// SPDX-License-Identifier: MIT
//
// ProgramMemory: the memory of another process, by its /proc/self/mem: whoever has that descriptor
// may use it, whatever the machine says of ptrace, and a process that is gone is never mistaken for
// another one that got its number.

#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

/// Thread: every member may be called from any thread.
class ProgramMemory {
public:
    /// One address space.
    struct Identity {
        pid_t pid = 0;            ///< As the kernel says.
        std::int64_t number = 0;  ///< As the program says: exec() changes it.

        bool operator==(const Identity&) const = default;
    };

    /// `mem` is open for reading and writing. Errors: EINVAL it is no file of /proc.
    static Result<ProgramMemory> create(UniqueFd mem, const Identity& identity);

    /// One that does not say: every access is EFAULT.
    static ProgramMemory unreachable(const Identity& identity) noexcept {
        return ProgramMemory(UniqueFd(), identity);
    }

    /// All of it, or: Errors: EFAULT part of it is not there, or the program is gone.
    Result<> read(std::uintptr_t address, std::span<std::byte> target) const;
    /// Read-only memory is written too, as a debugger would: whether the program may write there is
    /// to be known before.
    Result<> write(std::uintptr_t address, std::span<const std::byte> source) const;

    bool is_same(const ProgramMemory& other) const { return identity_ == other.identity_; }

private:
    ProgramMemory(UniqueFd mem, const Identity& identity) noexcept
        : mem_(std::move(mem)), identity_(identity) {}

    UniqueFd mem_;
    Identity identity_;
};

}  // namespace v4lfence
