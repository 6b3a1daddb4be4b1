// SPDX-License-Identifier: MIT
//
// MemoryMakers: makes the memory of MMAP buffers, in the way of this machine that lets it be
// exported.

#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "v4lfence/vb2/memory.hpp"

namespace v4lfence {

/// In the order of preference.
enum class MmapSource : std::uint8_t {
    Udmabuf,     ///< A memfd; becomes a dma-buf when it is exported.
    SystemHeap,  ///< A dma-buf of /dev/dma_heap/system.
    VgemCard,    ///< A dma-buf of vgem; the CPU reads it slowly, for it is not cached.
    Memfd,       ///< A memfd that cannot be exported. Always there.
};

/// Thread: any, for all members.
class MemoryMakers {
public:
    /// The first of MmapSource that works here. It is looked for when it is first needed, and
    /// kept.
    MemoryMakers() = default;
    /// This one alone, whether it works or not.
    explicit MemoryMakers(MmapSource source);

    /// Zeroed memory for one plane. Errors: EINVAL `length` is 0; EMFILE, ENFILE, ENOMEM; with a
    /// source that was named: what its device says.
    Result<std::unique_ptr<PlaneMemory>> make(std::size_t length, DeviceAccess access);

    /// Errors: EMFILE, ENFILE, ENOMEM nothing could be tried out; the next call tries again.
    Result<MmapSource> source();

    /// For a person: why better sources cannot be used here, empty where the best one can.
    std::string refused() const;

private:
    struct Choice {
        MmapSource source = MmapSource::Memfd;
        std::string card;  ///< vgem's card node, if it may be needed.
        std::string refused;
    };

    static Result<Choice> choose();
    Result<Choice> choice();

    mutable std::mutex mutex_;  ///< For what follows; not held while memory is made.
    std::optional<Choice> choice_;
};

}  // namespace v4lfence
