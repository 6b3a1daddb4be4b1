// SPDX-License-Identifier: MIT

#include "v4lfence/fence/providers/vgem.hpp"

#include <fcntl.h>

#include <array>
#include <atomic>
#include <utility>
#include <vector>

#include "v4lfence/base/shortage.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/providers/drm.hpp"
#include "v4lfence/fence/providers/reason.hpp"
#include "v4lfence/fence/sync_file.hpp"

namespace v4lfence {

namespace {

constexpr ProviderTraits vgem_traits{
    .name = "vgem",
    .kernel_waitable = true,
    .errors = false,
    .timeline = false,
    .bound = std::chrono::milliseconds(8000),
};

Result<UniqueFd> open_node(const std::string& path) {
    return sys::open(path.c_str(), O_RDWR).map(sys::move_high);
}

/// One open of the render node, and how many fences hang on it.
struct DrmFile {
    UniqueFd fd;
    std::uint32_t serial = 0;  ///< Of all files of the context; 0 is none.
    std::uint32_t minted = 0;
    std::atomic<std::uint32_t> pending{0};
};

/// The object of one slot. Only one of its fences is pending at a time, or the kernel says EBUSY.
struct Slot {
    UniqueFd object;
    std::uint32_t handle = 0;
    std::uint32_t serial = 0;  ///< The DrmFile that the handle belongs to.
};

/// Two DRM files: while fences of the old one are pending, new ones come from the other.
class VgemContext final : public FenceContext {
public:
    VgemContext(std::string node, const PrivateBuffers& buffers, UniqueFd first)
        : node_(std::move(node)), buffers_(buffers) {
        start_file(current(), std::move(first));
    }

    Result<MintedFence> mint(unsigned slot) override;

    Result<> begin_generation(bool /*ordered*/) override {
        close_drained();
        return {};
    }

    void forget(unsigned index) noexcept override {
        if (index < slots_.size()) {
            slots_[index] = Slot();
        }
    }

    void abandon() noexcept override {
        for (DrmFile& file : files_) {
            file.fd.reset();
        }
        for (Slot& slot : slots_) {
            slot.object.reset();
        }
    }

protected:
    void end_fence(UniqueFd /*end*/, std::uint64_t id, int /*error*/) noexcept override {
        DrmFile& file = files_[id >> 32];
        // ETIMEDOUT: the kernel was first.
        static_cast<void>(drm::signal_fence(file.fd.get(), static_cast<std::uint32_t>(id)));
        file.pending.fetch_sub(1, std::memory_order_release);
    }

private:
    DrmFile& current() { return files_[current_]; }
    DrmFile& other() { return files_[1 - current_]; }

    void start_file(DrmFile& file, UniqueFd fd) {
        file.fd = std::move(fd);
        file.serial = ++serials_;
        file.minted = 0;
    }

    void close_drained() {
        if (other().fd && other().pending.load(std::memory_order_acquire) == 0) {
            other().fd.reset();
        }
    }

    /// Stays with the file it has while the node cannot be opened: that leaks a little and hurts
    /// nobody.
    void renew() {
        close_drained();
        if (current().minted < vgem_fences_per_file || other().fd) {
            return;
        }
        if (auto fresh = open_node(node_)) {
            start_file(other(), std::move(*fresh));
            current_ = 1 - current_;
        }
    }

    Result<const Slot*> prepare_slot(unsigned index);

    std::string node_;
    PrivateBuffers buffers_;
    std::array<DrmFile, 2> files_;
    unsigned current_ = 0;
    std::uint32_t serials_ = 0;
    std::vector<Slot> slots_;
};

Result<const Slot*> VgemContext::prepare_slot(unsigned index) {
    if (index >= slots_.size()) {
        slots_.resize(index + 1);
    }
    Slot& slot = slots_[index];
    if (!slot.object) {
        slot.object = V4LFENCE_TRY(buffers_.make());
    }
    if (slot.serial != current().serial) {
        slot.handle = V4LFENCE_TRY(drm::import_dma_buf(current().fd.get(), slot.object.get()));
        slot.serial = current().serial;
    }
    return &slot;
}

Result<MintedFence> VgemContext::mint(unsigned index) {
    renew();
    const Slot* const slot = V4LFENCE_TRY(prepare_slot(index));
    DrmFile& file = current();
    const std::uint32_t fence = V4LFENCE_TRY(drm::attach_fence(file.fd.get(), slot->handle));
    ++file.minted;
    auto fd = export_sync_file(slot->object.get(), DmaBufAccess::Write);
    if (!fd) {
        static_cast<void>(drm::signal_fence(file.fd.get(), fence));
        return tl::unexpected<Error>(fd.error());
    }
    file.pending.fetch_add(1, std::memory_order_relaxed);
    const std::uint64_t id = (std::uint64_t{current_} << 32) | fence;
    return MintedFence{std::move(*fd), FencePromise(*this, UniqueFd(), id)};
}

}  // namespace

VgemNodes find_vgem_nodes(const char* folder) {
    VgemNodes nodes;
    for (const bool render : {false, true}) {
        const auto paths = drm::list_nodes(render ? "renderD" : "card", folder);
        if (!paths) {
            nodes.shortage = paths.error().code;
            return nodes;
        }
        for (const std::string& path : *paths) {
            const auto node = sys::open(path.c_str(), O_RDWR);
            if (!node) {
                if (is_shortage(node.error().code)) {
                    nodes.shortage = node.error().code;
                }
                if (render && nodes.refused.empty()) {
                    nodes.refused = cannot("open", path, node.error().code);
                }
                continue;
            }
            if (drm::driver_name(node->get()).value_or("") == "vgem") {
                (render ? nodes.render : nodes.card) = path;
            }
        }
    }
    if (!nodes.render.empty() && !nodes.card.empty()) {
        nodes.shortage = 0;
    }
    return nodes;
}

VgemProvider::VgemProvider(std::string render_node, PrivateBuffers buffers)
    : render_node_(std::move(render_node)), buffers_(std::move(buffers)) {}

Result<ProbedProvider> VgemProvider::find() {
    const VgemNodes nodes = find_vgem_nodes();
    if (nodes.shortage != 0) {
        return fail(nodes.shortage, "look for vgem");
    }
    if (nodes.render.empty()) {
        return ProbedProvider{nullptr, nodes.refused.empty()
                                           ? "module vgem is not loaded: no DRM node named vgem"
                                           : nodes.refused};
    }
    const FoundBufferSource found = PrivateBuffers::find(nodes.card);
    if (!found.source) {
        if (is_shortage(found.source.error().code)) {
            return tl::unexpected<Error>(found.source.error());
        }
        return ProbedProvider{nullptr, found.tried.empty() ? "no source of dma-bufs" : found.tried};
    }
    return ProbedProvider{
        std::make_unique<VgemProvider>(nodes.render, PrivateBuffers(*found.source, nodes.card)),
        {}};
}

const ProviderTraits& VgemProvider::traits() const noexcept {
    return vgem_traits;
}

Result<std::unique_ptr<FenceContext>> VgemProvider::open_context() {
    auto file = V4LFENCE_TRY(open_node(render_node_));
    return std::make_unique<VgemContext>(render_node_, buffers_, std::move(file));
}

}  // namespace v4lfence
