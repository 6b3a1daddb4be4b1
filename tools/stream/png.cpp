// SPDX-License-Identifier: MIT

#include <cairo.h>
#include <fmt/format.h>

#include <memory>

#include "tools/stream/picture.hpp"

namespace v4lfence {

Attempt<> save_png(const ImageView& image, const std::string& path) {
    const auto free_surface = [](cairo_surface_t* surface) { cairo_surface_destroy(surface); };
    const ImageSize size = image.size();
    const std::unique_ptr<cairo_surface_t, decltype(free_surface)> surface(
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, static_cast<int>(size.width),
                                   static_cast<int>(size.height)),
        free_surface);
    // A surface that could not be made has no memory to write to.
    unsigned char* data = cairo_image_surface_get_data(surface.get());
    if (data != nullptr) {
        const int stride = cairo_image_surface_get_stride(surface.get());
        cairo_surface_flush(surface.get());
        for (std::uint32_t y = 0; y < size.height; ++y) {
            auto* row = reinterpret_cast<std::uint32_t*>(data + std::size_t{y} * stride);
            for (std::uint32_t x = 0; x < size.width; ++x) {
                const Rgb colour = image.pixel(x, y);
                row[x] = std::uint32_t{colour.red} << 16 | std::uint32_t{colour.green} << 8 |
                         colour.blue;
            }
        }
        cairo_surface_mark_dirty(surface.get());
    }
    const cairo_status_t status = cairo_surface_write_to_png(surface.get(), path.c_str());
    if (status != CAIRO_STATUS_SUCCESS) {
        return job_failed(fmt::format("the picture {} cannot be written: {}.", path,
                                      cairo_status_to_string(status)));
    }
    return {};
}

}  // namespace v4lfence
