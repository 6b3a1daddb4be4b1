// SPDX-License-Identifier: MIT

#include "v4lfence/fence/providers/private_buffer.hpp"

#include <array>
#include <utility>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

PrivateBuffers::PrivateBuffers(BufferSource source, std::string card)
    : source_(source), card_(std::move(card)) {}

Result<UniqueFd> PrivateBuffers::make() const {
    return allocate_dma_buf(source_, card_, page_size()).map(sys::move_high);
}

FoundBufferSource PrivateBuffers::find(const std::string& card) {
    constexpr std::array order{BufferSource::VgemCard, BufferSource::Udmabuf,
                               BufferSource::SystemHeap};
    return find_buffer_source(order, card);
}

}  // namespace v4lfence
