// SPDX-License-Identifier: MIT

#include "v4lfence/vb2/program_memory.hpp"

#include <linux/magic.h>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

/// `transfer` all of it, however many calls it takes.
template <class Bytes, class Transfer>
Result<> transfer_all(std::uintptr_t address, Bytes bytes, Transfer transfer) {
    while (!bytes.empty()) {
        const auto count = transfer(bytes, static_cast<std::int64_t>(address));
        if (!count || *count == 0) {
            return fail(-EFAULT, "the program's memory");
        }
        bytes = bytes.subspan(*count);
        address += *count;
    }
    return {};
}

}  // namespace

Result<ProgramMemory> ProgramMemory::create(UniqueFd mem, const Identity& identity) {
    // A file that somebody else serves could keep its reader waiting for good.
    if (V4LFENCE_TRY(sys::filesystem_magic(mem.get())) != PROC_SUPER_MAGIC) {
        return fail(-EINVAL, "no memory of a process");
    }
    return ProgramMemory(sys::move_high(std::move(mem)), identity);
}

Result<> ProgramMemory::read(std::uintptr_t address, std::span<std::byte> target) const {
    return transfer_all(address, target, [&](std::span<std::byte> part, std::int64_t at) {
        return sys::read_at(mem_.get(), part, at);
    });
}

Result<> ProgramMemory::write(std::uintptr_t address, std::span<const std::byte> source) const {
    return transfer_all(address, source, [&](std::span<const std::byte> part, std::int64_t at) {
        return sys::write_at(mem_.get(), part, at);
    });
}

}  // namespace v4lfence
