// SPDX-License-Identifier: MIT
//
// IndexTable: one object per small number, such as a buffer's index. Found without a lock, also
// while others are added; one that was made stays where it is until the table goes.

#pragma once

#include <array>
#include <atomic>
#include <memory>

namespace v4lfence {

/// Thread: find() from any thread; the rest is the caller's to serialize.
template <class T>
class IndexTable {
public:
    /// The highest index a V4L2 queue can have, plus one, on any kernel (32768 from 6.9 on).
    static constexpr unsigned size_max = 32768;

    IndexTable() = default;
    IndexTable(const IndexTable&) = delete;
    IndexTable& operator=(const IndexTable&) = delete;
    ~IndexTable() {
        for (const auto& place : chunks_) {
            const std::unique_ptr<Chunk> chunk(place.load());
            for (unsigned index = 0; chunk && index < chunk_size; ++index) {
                const std::unique_ptr<T> object((*chunk)[index].load());
            }
        }
    }

    /// NULL where none was ever made.
    T* find(unsigned index) const {
        if (index >= size_max) {
            return nullptr;
        }
        const Chunk* chunk = chunks_[index / chunk_size].load(std::memory_order_acquire);
        return chunk == nullptr ? nullptr
                                : (*chunk)[index % chunk_size].load(std::memory_order_acquire);
    }

    /// Makes it where there is none. `index` is below size_max.
    T& make(unsigned index) {
        std::atomic<Chunk*>& place = chunks_[index / chunk_size];
        if (place.load() == nullptr) {
            place.store(std::make_unique<Chunk>().release(), std::memory_order_release);
        }
        std::atomic<T*>& object = (*place.load())[index % chunk_size];
        if (object.load() == nullptr) {
            object.store(std::make_unique<T>().release(), std::memory_order_release);
        }
        return *object.load();
    }

private:
    static constexpr unsigned chunk_size = 64;
    using Chunk = std::array<std::atomic<T*>, chunk_size>;

    std::array<std::atomic<Chunk*>, size_max / chunk_size> chunks_{};
};

}  // namespace v4lfence
