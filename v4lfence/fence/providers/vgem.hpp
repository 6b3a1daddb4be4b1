// SPDX-License-Identifier: MIT
//
// Kernel fences from user space, by the render node of the module "vgem". What to know of them:
// they carry no errors, the kernel ends them 10 s after they were minted or when our DRM file
// closes, both as if all had gone well, and each has a kernel timeline of its own.

#pragma once

#include <string>

#include "v4lfence/fence/provider.hpp"
#include "v4lfence/fence/providers/private_buffer.hpp"

namespace v4lfence {

/// Paths of the nodes of DRM devices whose driver is vgem; empty where there is none.
struct VgemNodes {
    std::string render;
    std::string card;
    std::string refused;  ///< Why the first render node that cannot be opened cannot.
    /// EMFILE, ENFILE or ENOMEM, negative: not all were looked at, and one is missing.
    int shortage = 0;
};

/// Looks by the driver's name, never by number: opens each node of the folder.
VgemNodes find_vgem_nodes(const char* folder = "/dev/dri");

class VgemProvider final : public FenceProvider {
public:
    /// Does not try a fence out. Errors: EMFILE, ENFILE, ENOMEM.
    static Result<ProbedProvider> find();

    const ProviderTraits& traits() const noexcept override;
    Result<std::unique_ptr<FenceContext>> open_context() override;

    VgemProvider(std::string render_node, PrivateBuffers buffers);

private:
    std::string render_node_;
    PrivateBuffers buffers_;
};

/// A DRM file never forgets the number of an ended fence: 9 bytes of kernel memory each. So it is
/// renewed after so many; at 60 frames per second every 18 minutes.
inline constexpr std::uint32_t vgem_fences_per_file = 1U << 16;

}  // namespace v4lfence
