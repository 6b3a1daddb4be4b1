// SPDX-License-Identifier: MIT

#include "v4lfence/bridge/buffer_table.hpp"

namespace v4lfence {

BridgeBuffer& BufferTable::make(unsigned index) {
    std::atomic<Chunk*>& place = chunks_[index / chunk_size];
    if (place.load() == nullptr) {
        place.store(std::make_unique<Chunk>().release(), std::memory_order_release);
    }
    std::atomic<BridgeBuffer*>& buffer = (*place.load())[index % chunk_size];
    if (buffer.load() == nullptr) {
        buffer.store(std::make_unique<BridgeBuffer>().release(), std::memory_order_release);
    }
    return *buffer.load();
}

BufferTable::~BufferTable() {
    for (const auto& place : chunks_) {
        const std::unique_ptr<Chunk> chunk(place.load());
        for (unsigned index = 0; chunk && index < chunk_size; ++index) {
            const std::unique_ptr<BridgeBuffer> buffer((*chunk)[index].load());
        }
    }
}

}  // namespace v4lfence
