// SPDX-License-Identifier: MIT
//
// KernelDrm: a Drm that is a node of the kernel, by libdrm.

#pragma once

#include <string>
#include <utility>
#include <vector>

#include "v4lfence/kms/drm.hpp"

namespace v4lfence {

class KernelDrm final : public Drm {
public:
    /// Takes over a card's descriptor. It must not block: next_flip() reads from it.
    explicit KernelDrm(UniqueFd fd) noexcept : fd_(std::move(fd)) {}

    /// Of the driver behind a descriptor.
    static Result<std::string> driver_name(int fd);

    int fd() const override { return fd_.get(); }
    Result<std::uint64_t> capability(std::uint64_t name) override;
    Result<> set_client_capability(std::uint64_t name, std::uint64_t value) override;
    Result<> become_master() override;
    void drop_master() override;
    Result<DrmResources> resources() override;
    Result<DrmConnector> connector(std::uint32_t id) override;
    Result<std::vector<std::uint32_t>> planes() override;
    Result<DrmPlane> plane(std::uint32_t id) override;
    Result<std::vector<DrmProperty>> properties(std::uint32_t id, DrmObject kind) override;
    Result<std::vector<std::byte>> read_blob(std::uint32_t id) override;
    Result<std::uint32_t> create_blob(std::span<const std::byte> content) override;
    void destroy_blob(std::uint32_t id) override;
    Result<DumbMemory> create_dumb(std::uint32_t width, std::uint32_t height,
                                   std::uint32_t bits_per_pixel) override;
    Result<std::uint32_t> import_dma_buf(int dma_buf) override;
    Result<UniqueFd> export_dma_buf(std::uint32_t handle) override;
    void close_handle(std::uint32_t handle) override;
    Result<std::uint32_t> add_framebuffer(const DrmFramebuffer& framebuffer) override;
    void remove_framebuffer(std::uint32_t id) override;
    Result<> commit(const AtomicRequest& request, std::uint32_t flags) override;
    Result<std::optional<DrmFlip>> next_flip() override;

private:
    UniqueFd fd_;
    std::vector<DrmFlip> flips_;  ///< Read, and not taken yet. The kernel's events point here.
};

}  // namespace v4lfence
