// SPDX-License-Identifier: MIT

#include "tools/stream/jpeg_reader.hpp"

#include <linux/videodev2.h>

#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <vector>

extern "C" {
#include <jpeglib.h>
}

namespace v4lfence {

namespace {

constexpr std::size_t pixel_bytes = 3;

}  // namespace

/// libjpeg keeps pointers to these: they stay where they are.
struct JpegReader::State {
    jpeg_decompress_struct job{};
    jpeg_error_mgr errors{};
    std::jmp_buf escape{};  ///< libjpeg's way out of an error, which must not return.
    ImageSize size;
    std::vector<std::byte> pixels;

    explicit State(ImageSize wanted)
        : size(wanted), pixels(std::size_t{wanted.width} * wanted.height * pixel_bytes) {}
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { jpeg_destroy_decompress(&job); }

    bool create();
    bool read(std::span<const std::byte> jpeg);

    static State& of(j_common_ptr job) { return *static_cast<State*>(job->client_data); }
};

bool JpegReader::State::create() {
    job.err = jpeg_std_error(&errors);
    job.client_data = this;
    errors.error_exit = [](j_common_ptr failed) { std::longjmp(of(failed).escape, 1); };
    // A warning is about data that is spoilt: the rest of the picture would be made up.
    errors.emit_message = [](j_common_ptr spoilt, int level) {
        if (level < 0) {
            std::longjmp(of(spoilt).escape, 1);
        }
    };
    errors.output_message = [](j_common_ptr) {};
    if (setjmp(escape) != 0) {
        return false;
    }
    jpeg_create_decompress(&job);
    return true;
}

bool JpegReader::State::read(std::span<const std::byte> jpeg) {
    if (setjmp(escape) != 0) {
        jpeg_abort_decompress(&job);
        return false;
    }
    jpeg_mem_src(&job, reinterpret_cast<const unsigned char*>(jpeg.data()), jpeg.size());
    jpeg_read_header(&job, TRUE);
    if (job.image_width != size.width || job.image_height != size.height) {
        jpeg_abort_decompress(&job);
        return false;
    }
    job.out_color_space = JCS_RGB;
    // The fast one makes grey of a stamp whose squares are half a block.
    job.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&job);
    while (job.output_scanline < job.output_height) {
        auto* row = reinterpret_cast<JSAMPROW>(pixels.data()) +
                    std::size_t{job.output_scanline} * size.width * pixel_bytes;
        jpeg_read_scanlines(&job, &row, 1);
    }
    jpeg_finish_decompress(&job);
    return true;
}

JpegReader::JpegReader(ImageSize size) : state_(std::make_unique<State>(size)) {
    if (!state_->create()) {
        state_.reset();
    }
}

JpegReader::JpegReader(JpegReader&&) noexcept = default;
JpegReader::~JpegReader() = default;

std::optional<ImageView> JpegReader::read(std::span<const std::byte> jpeg) {
    if (!state_ || jpeg.empty() || !state_->read(jpeg)) {
        return std::nullopt;
    }
    const std::span<const std::byte> plane = state_->pixels;
    const std::uint32_t stride = state_->size.width * pixel_bytes;
    return ImageView::create(V4L2_PIX_FMT_RGB24, state_->size, {&plane, 1}, {&stride, 1});
}

}  // namespace v4lfence
