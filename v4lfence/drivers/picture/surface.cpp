// SPDX-License-Identifier: MIT

#include "v4lfence/drivers/picture/surface.hpp"

namespace v4lfence {
namespace {

/// Weights of red, green and blue in 65536ths; those of the differences add up to nothing.
struct Matrix {
    std::array<int, 3> luma;
    std::array<int, 3> cb;
    std::array<int, 3> cr;
    int black;
};

constexpr Matrix limited{{16829, 33039, 6416}, {-9714, -19070, 28784}, {28784, -24103, -4681}, 16};
// Half a unit less than 32768, or the purest blue and red would be 256.
constexpr Matrix full{{19595, 38470, 7471}, {-11056, -21704, 32760}, {32760, -27432, -5328}, 0};

std::uint8_t weigh(const std::array<int, 3>& weights, const Pixel& rgb, int zero) {
    const int sum = weights[0] * rgb[0] + weights[1] * rgb[1] + weights[2] * rgb[2];
    return static_cast<std::uint8_t>((sum + zero * 65536 + 32768) >> 16);
}

std::byte mean(const Pixel& first, const Pixel& second, unsigned number) {
    return static_cast<std::byte>((first[number] + second[number] + 1) / 2);
}

std::byte mean(std::span<const Pixel> upper, std::span<const Pixel> lower, std::size_t x,
               unsigned number) {
    const int sum =
        upper[x][number] + upper[x + 1][number] + lower[x][number] + lower[x + 1][number];
    return static_cast<std::byte>((sum + 2) / 4);
}

}  // namespace

Coding coding_of(const PictureFormat& format) {
    const bool rgb = format.family == PictureFamily::Packed && format.pixel_bytes > 1;
    return rgb ? Coding::Rgb : Coding::Limited;
}

void to_coding(std::span<Pixel> pixels, Coding coding) {
    if (coding == Coding::Rgb) {
        return;
    }
    const Matrix& matrix = coding == Coding::Full ? full : limited;
    for (Pixel& pixel : pixels) {
        pixel = {weigh(matrix.luma, pixel, matrix.black), weigh(matrix.cb, pixel, 128),
                 weigh(matrix.cr, pixel, 128)};
    }
}

Result<PictureMemory> PictureMemory::create(const PictureLayout& layout) {
    std::size_t size = 0;
    for (const PlaneLayout& plane : layout.planes) {
        size += plane.sizeimage;
    }
    PictureMemory memory;
    memory.bytes_.reset(static_cast<std::byte*>(std::calloc(size, 1)));
    if (memory.bytes_ == nullptr) {
        return fail(-ENOMEM, "PictureMemory");
    }
    memory.count_ = layout.plane_count;
    std::byte* next = memory.bytes_.get();
    for (unsigned i = 0; i < memory.count_; ++i) {
        memory.planes_[i] = {next, layout.planes[i].sizeimage};
        next += layout.planes[i].sizeimage;
    }
    return memory;
}

Surface::Surface(const PictureLayout& layout, std::span<const std::span<std::byte>> planes)
    : format_(find_picture_format(layout.fourcc)), width_(layout.width), height_(layout.height),
      components_(components_of(layout)) {
    for (unsigned i = 0; i < components_.count; ++i) {
        data_[i] = planes[components_.each[i].plane].data() + components_.each[i].offset;
    }
}

void Surface::put_rows(std::uint32_t y, std::span<const Pixel> upper,
                       std::span<const Pixel> lower) const {
    put_row(row(0, y), upper);
    put_row(row(0, y + 1), lower);
    if (components_.count > 1) {
        put_chroma(y / 2, upper, lower);
    }
}

void Surface::put_row(std::byte* to, std::span<const Pixel> pixels) const {
    if (format_->family == PictureFamily::Packed422) {
        for (std::size_t x = 0; x < pixels.size(); x += 2, to += 4) {
            to[0] = std::byte{pixels[x][0]};
            to[1] = mean(pixels[x], pixels[x + 1], 1);
            to[2] = std::byte{pixels[x + 1][0]};
            to[3] = mean(pixels[x], pixels[x + 1], 2);
        }
    } else if (format_->pixel_bytes == 1) {
        for (const Pixel& pixel : pixels) {
            *to++ = std::byte{pixel[0]};
        }
    } else {
        for (const Pixel& pixel : pixels) {
            to[format_->pixel_bytes - 1] = std::byte{255};  // X, where no colour is
            for (unsigned number = 0; number < 3; ++number) {
                to[format_->positions[number]] = std::byte{pixel[number]};
            }
            to += format_->pixel_bytes;
        }
    }
}

void Surface::put_chroma(std::uint32_t pair, std::span<const Pixel> upper,
                         std::span<const Pixel> lower) const {
    const bool planar = format_->family == PictureFamily::Planar;
    std::byte* cb = row(1, pair);
    std::byte* cr = planar ? row(2, pair) : cb + 1;
    for (std::size_t x = 0; x < upper.size(); x += 2) {
        *cb = mean(upper, lower, x, 1);
        *cr = mean(upper, lower, x, 2);
        cb += planar ? 1 : 2;
        cr += planar ? 1 : 2;
    }
}

}  // namespace v4lfence
