// SPDX-License-Identifier: MIT

#include "v4lfence/kms/framebuffer.hpp"

#include <drm.h>
#include <drm_fourcc.h>

#include <algorithm>
#include <vector>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

/// GEM handles, each closed once: the kernel gives the same one for the same memory, and does not
/// count.
class GemHandles {
public:
    explicit GemHandles(Drm& drm) : drm_(drm) {}
    GemHandles(const GemHandles&) = delete;
    GemHandles& operator=(const GemHandles&) = delete;
    ~GemHandles() {
        for (const std::uint32_t handle : handles_) {
            drm_.close_handle(handle);
        }
    }

    void add(std::uint32_t handle) {
        if (std::find(handles_.begin(), handles_.end(), handle) == handles_.end()) {
            handles_.push_back(handle);
        }
    }

private:
    Drm& drm_;
    std::vector<std::uint32_t> handles_;
};

std::string size_words(Extent size) {
    return words(size.width, "x", size.height);
}

bool lies_plainly(std::uint64_t modifier) {
    return modifier == DRM_FORMAT_MOD_LINEAR || modifier == DRM_FORMAT_MOD_INVALID;
}

Outcome<> check_format(std::uint32_t fourcc, std::uint64_t modifier,
                       std::span<const PlaneFormat> formats) {
    if (!takes_format(formats, fourcc)) {
        return refuse(-EINVAL, "the plane does not take the format ", fourcc_name(fourcc), ", but ",
                      list_formats(formats));
    }
    if (!takes_modifier(formats, fourcc, modifier)) {
        return refuse(-EINVAL, "the plane does not take ", fourcc_name(fourcc),
                      " with the modifier ", modifier);
    }
    return {};
}

Outcome<> check_planes(const PictureMemory& memory) {
    if (memory.size.width == 0 || memory.size.height == 0) {
        return refuse(-EINVAL, "a picture of ", size_words(memory.size), " has no pixels");
    }
    if (memory.plane_count == 0 || memory.plane_count > framebuffer_planes_max) {
        return refuse(-EINVAL, "a picture has 1 to 4 planes, not ", memory.plane_count);
    }
    const auto layout = layout_of(memory.fourcc);
    if (!layout || !lies_plainly(memory.modifier)) {
        return {};
    }
    if (memory.plane_count != layout->planes) {
        return refuse(-EINVAL, fourcc_name(memory.fourcc), " has ", layout->planes, " planes, not ",
                      memory.plane_count);
    }
    for (unsigned plane = 0; plane < memory.plane_count; ++plane) {
        const std::uint64_t least = layout->line_bytes(plane, memory.size.width);
        if (memory.planes[plane].stride < least) {
            return refuse(-EINVAL, "a line of plane ", plane, " has ", memory.planes[plane].stride,
                          " bytes; ", fourcc_name(memory.fourcc), " of this width needs ", least);
        }
    }
    return {};
}

/// Without the modifier where the driver knows none, or not this one of memory that lies plainly.
Result<std::uint32_t>
add_framebuffer(Drm& drm, const PictureMemory& memory,
                const std::array<std::uint32_t, framebuffer_planes_max>& gem) {
    DrmFramebuffer framebuffer;
    framebuffer.width = memory.size.width;
    framebuffer.height = memory.size.height;
    framebuffer.fourcc = memory.fourcc;
    framebuffer.handles = gem;
    for (unsigned plane = 0; plane < memory.plane_count; ++plane) {
        framebuffer.strides[plane] = memory.planes[plane].stride;
        framebuffer.offsets[plane] = memory.planes[plane].offset;
    }
    if (memory.modifier != DRM_FORMAT_MOD_INVALID &&
        drm.capability(DRM_CAP_ADDFB2_MODIFIERS).value_or(0) != 0) {
        framebuffer.modifier = memory.modifier;
        const auto made = drm.add_framebuffer(framebuffer);
        if (made || !lies_plainly(memory.modifier)) {
            return made;
        }
        framebuffer.modifier.reset();
    }
    return drm.add_framebuffer(framebuffer);
}

Outcome<UniqueFd> share(Drm& drm, std::uint32_t handle, const std::string& driver) {
    auto dma_buf = drm.export_dma_buf(handle);
    if (!dma_buf) {
        const int code = dma_buf.error().code == -ENOSYS ? -EOPNOTSUPP : dma_buf.error().code;
        return refuse(code, "the driver ", driver,
                      " does not give its memory to other devices: ", errno_words(code));
    }
    return sys::move_high(std::move(*dma_buf));
}

}  // namespace

Framebuffer::~Framebuffer() {
    if (drm_ != nullptr) {
        drm_->remove_framebuffer(id_);
    }
}

Outcome<Framebuffer> Framebuffer::import(Drm& drm, const PictureMemory& memory,
                                         std::span<const PlaneFormat> formats,
                                         const std::string& driver) {
    if (auto checked = check_planes(memory); !checked) {
        return tl::unexpected<KmsError>(std::move(checked.error()));
    }
    if (auto checked = check_format(memory.fourcc, memory.modifier, formats); !checked) {
        return tl::unexpected<KmsError>(std::move(checked.error()));
    }
    GemHandles handles(drm);
    std::array<std::uint32_t, framebuffer_planes_max> gem{};
    for (unsigned plane = 0; plane < memory.plane_count; ++plane) {
        const auto handle = drm.import_dma_buf(memory.planes[plane].dma_buf);
        if (!handle && handle.error().code == -EBADF) {
            return refuse(-EINVAL, "descriptor ", memory.planes[plane].dma_buf,
                          " of the picture is not open");
        }
        if (!handle) {
            return refuse(
                handle.error().code, "the driver ", driver,
                " does not take the memory of another device: ", errno_words(handle.error().code));
        }
        handles.add(*handle);
        gem[plane] = *handle;
    }
    const auto id = add_framebuffer(drm, memory, gem);
    if (!id) {
        return refuse(id.error().code, "the driver ", driver, " makes no framebuffer of ",
                      size_words(memory.size), " ", fourcc_name(memory.fourcc), ": ",
                      errno_words(id.error().code));
    }
    PictureMemory known = memory;
    for (MemoryPlane& plane : known.planes) {
        plane.dma_buf = -1;
    }
    return Framebuffer(drm, *id, known, UniqueFd());
}

Outcome<Framebuffer> Framebuffer::allocate(Drm& drm, Extent size, std::uint32_t fourcc,
                                           std::span<const PlaneFormat> formats,
                                           const std::string& driver, Sharing sharing) {
    const auto layout = layout_of(fourcc);
    if (!layout || layout->planes > 2) {
        return refuse(-EINVAL, fourcc_name(fourcc), " is no format of one or two planes");
    }
    if (auto checked = check_format(fourcc, DRM_FORMAT_MOD_LINEAR, formats); !checked) {
        return tl::unexpected<KmsError>(std::move(checked.error()));
    }
    if (size.width == 0 || size.height == 0 || size.width % layout->horizontal_sampling != 0 ||
        size.height % layout->vertical_sampling != 0) {
        return refuse(-EINVAL, "a picture of ", size_words(size), " cannot be ",
                      fourcc_name(fourcc));
    }
    // The second plane lies behind the first in lines of the same length, as V4L2 has it too.
    const std::uint64_t second_bytes =
        layout->planes == 1 ? 0 : layout->line_bytes(1, size.width) * layout->lines(1, size.height);
    const std::uint64_t line = layout->line_bytes(0, size.width);
    const auto rows = static_cast<std::uint32_t>(size.height + (second_bytes + line - 1) / line);
    const auto dumb = drm.create_dumb(size.width, rows, layout->bits_per_pixel);
    if (!dumb) {
        const int code = dumb.error().code == -ENOSYS ? -EOPNOTSUPP : dumb.error().code;
        return refuse(code, "the driver ", driver, " gives no memory for a picture of ",
                      size_words(size), ": ", errno_words(code));
    }
    GemHandles handles(drm);
    handles.add(dumb->handle);
    auto owned = sharing == Sharing::Exported ? share(drm, dumb->handle, driver) : UniqueFd();
    if (!owned) {
        return tl::unexpected<KmsError>(std::move(owned.error()));
    }
    PictureMemory memory{size, fourcc, DRM_FORMAT_MOD_LINEAR, layout->planes, {}};
    memory.planes[0] = {owned->get(), 0, dumb->stride};
    if (layout->planes == 2) {
        // 4:4:4 has twice as many bytes of chroma in a line as of luma.
        const auto stride =
            static_cast<std::uint32_t>(dumb->stride * layout->line_bytes(1, size.width) / line);
        memory.planes[1] = {owned->get(), dumb->stride * size.height, stride};
    }
    std::array<std::uint32_t, framebuffer_planes_max> gem{};
    std::fill_n(gem.begin(), layout->planes, dumb->handle);
    const auto id = add_framebuffer(drm, memory, gem);
    if (!id) {
        return refuse(id.error().code, "the driver ", driver, " makes no framebuffer of ",
                      size_words(size), " ", fourcc_name(fourcc), ": ",
                      errno_words(id.error().code));
    }
    return Framebuffer(drm, *id, memory, std::move(*owned));
}

}  // namespace v4lfence
