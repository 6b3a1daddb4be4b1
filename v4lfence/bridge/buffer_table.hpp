// SPDX-License-Identifier: MIT
//
// BufferTable: what the bridge keeps per buffer index. Found without a lock, also while others are
// added; one that was made stays until the table goes.

#pragma once

#include <array>
#include <atomic>
#include <memory>

#include "v4lfence/bridge/payload.hpp"
#include "v4lfence/fence/fence.hpp"
#include "v4lfence/fence/reactor.hpp"

namespace v4lfence {

struct BridgeBuffer {
    Payload payload;      ///< Of the latest QBUF.
    BufferCopy geometry;  ///< As QUERYBUF showed it when it was made: memory, planes, offsets.
    BufferCopy taken;     ///< The kernel's answer to the latest QBUF; its own thread's to read.
    std::atomic<bool> exists{false};                              ///< The kernel has it.
    std::atomic<Reactor::WatchId> watch{Reactor::WatchId::None};  ///< Of its latest in-fence.
    const Fence* watched = nullptr;
};

/// Thread: find() from any thread; the rest is the caller's to serialize.
class BufferTable {
public:
    /// The highest index videobuf2 can have, plus one, on any kernel (32768 from 6.9 on).
    static constexpr unsigned buffers_max = 32768;

    /// NULL where none was ever made.
    BridgeBuffer* find(unsigned index) const {
        if (index >= buffers_max) {
            return nullptr;
        }
        const Chunk* chunk = chunks_[index / chunk_size].load(std::memory_order_acquire);
        return chunk == nullptr ? nullptr
                                : (*chunk)[index % chunk_size].load(std::memory_order_acquire);
    }

    /// Makes it where there is none.
    BridgeBuffer& make(unsigned index);

    BufferTable() = default;
    BufferTable(const BufferTable&) = delete;
    BufferTable& operator=(const BufferTable&) = delete;
    ~BufferTable();

private:
    static constexpr unsigned chunk_size = 64;
    using Chunk = std::array<std::atomic<BridgeBuffer*>, chunk_size>;

    std::array<std::atomic<Chunk*>, buffers_max / chunk_size> chunks_{};
};

}  // namespace v4lfence
