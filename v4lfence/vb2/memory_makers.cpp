// SPDX-License-Identifier: MIT

#include "v4lfence/vb2/memory_makers.hpp"

#include <array>
#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/providers/dma_buf_source.hpp"
#include "v4lfence/fence/providers/vgem.hpp"
#include "v4lfence/vb2/memory_mmap.hpp"

namespace v4lfence {

namespace {

/// Errors: EMFILE, ENFILE too few are free to try anything out, and all would seem to be missing.
Result<> check_free_descriptors() {
    std::array<UniqueFd, 3> spare;
    for (UniqueFd& fd : spare) {
        fd = V4LFENCE_TRY(sys::eventfd(0, 0));
    }
    return {};
}

MmapSource mmap_source(BufferSource source) {
    switch (source) {
    case BufferSource::Udmabuf:
        return MmapSource::Udmabuf;
    case BufferSource::SystemHeap:
        return MmapSource::SystemHeap;
    case BufferSource::VgemCard:
        return MmapSource::VgemCard;
    }
    return MmapSource::Memfd;
}

}  // namespace

MemoryMakers::MemoryMakers(MmapSource source)
    : choice_(Choice{
          source, source == MmapSource::VgemCard ? find_vgem_nodes().card : std::string(), {}}) {}

Result<MemoryMakers::Choice> MemoryMakers::choose() {
    V4LFENCE_TRY(check_free_descriptors());
    constexpr std::array named{BufferSource::Udmabuf, BufferSource::SystemHeap};
    const FoundBufferSource found = find_buffer_source(named, {});
    if (found.source) {
        return Choice{mmap_source(*found.source), {}, found.tried};
    }
    Choice choice{MmapSource::Memfd, find_vgem_nodes().card, found.tried};
    if (choice.card.empty()) {
        choice.refused += "; module vgem is not loaded, or its card node is closed to us";
        return choice;
    }
    constexpr std::array vgem{BufferSource::VgemCard};
    const FoundBufferSource dumb = find_buffer_source(vgem, choice.card);
    if (dumb.source) {
        choice.source = MmapSource::VgemCard;
    } else {
        choice.refused += "; " + dumb.tried;
    }
    return choice;
}

Result<MemoryMakers::Choice> MemoryMakers::choice() {
    const std::lock_guard lock(mutex_);
    if (!choice_) {
        choice_ = V4LFENCE_TRY(choose());
    }
    return *choice_;
}

Result<MmapSource> MemoryMakers::source() {
    return choice().map([](const Choice& choice) { return choice.source; });
}

std::string MemoryMakers::refused() const {
    const std::lock_guard lock(mutex_);
    return choice_ ? choice_->refused : std::string();
}

Result<std::unique_ptr<PlaneMemory>> MemoryMakers::make(std::size_t length, DeviceAccess access) {
    const Choice chosen = V4LFENCE_TRY(choice());
    const auto from_source = [&](BufferSource source) -> Result<std::unique_ptr<PlaneMemory>> {
        const std::size_t size = V4LFENCE_TRY(MmapMemory::whole_pages(length));
        auto dma_buf = V4LFENCE_TRY(allocate_dma_buf(source, chosen.card, size));
        return MmapMemory::from_dma_buf(std::move(dma_buf), length, access);
    };
    switch (chosen.source) {
    case MmapSource::Udmabuf:
        return MmapMemory::from_memfd(length, access, MmapMemory::Export::ByUdmabuf);
    case MmapSource::SystemHeap:
        return from_source(BufferSource::SystemHeap);
    case MmapSource::VgemCard:
        return from_source(BufferSource::VgemCard);
    case MmapSource::Memfd:
        break;
    }
    return MmapMemory::from_memfd(length, access, MmapMemory::Export::Never);
}

}  // namespace v4lfence
