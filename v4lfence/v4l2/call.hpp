// SPDX-License-Identifier: MIT
//
// Call: one ioctl as a device gets it: the request, its argument with all that it points to, and
// the descriptors that cross with it. Nothing in it is a program's pointer, so that the device may
// live in another process.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/unique_fd.hpp"
#include "v4lfence/vb2/buffer.hpp"

namespace v4lfence {

struct Call {
    std::uint32_t request = 0;
    /// The request's struct, _IOC_SIZE(request) bytes; in it, pointers lead into `payload`.
    void* argument = nullptr;
    /// The array that the struct points to, and what that points to.
    std::span<std::byte> payload{};

    // Borrowed; -1 where the program passed none.
    int in_fence = -1;
    std::array<int, planes_max> memory_fds{-1, -1, -1, -1, -1, -1, -1, -1};

    /// Whose addresses are in it; NULL: this process's.
    std::shared_ptr<const ProgramMemory> program;
    /// Who calls, as Queue::dequeue() has it.
    int caller = sys::thread_id();

    /// Goes to the program: an out-fence or an exported dma-buf. Its number is written by whoever
    /// hands it over.
    UniqueFd fd_out;

    template <class T>
    T& as() const {
        return *static_cast<T*>(argument);
    }
    std::uint32_t& word() const { return as<std::uint32_t>(); }
};

}  // namespace v4lfence
