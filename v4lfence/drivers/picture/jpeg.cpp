// SPDX-License-Identifier: MIT

#include "v4lfence/drivers/picture/jpeg.hpp"

#include <csetjmp>
#include <cstdio>
#include <utility>

extern "C" {
#include <jpeglib.h>
}

#include <algorithm>
#include <array>

namespace v4lfence {
namespace {

constexpr unsigned rows_at_once = 16;  // that libjpeg takes with 4:2:0

}  // namespace

/// libjpeg keeps pointers to these: they stay where they are.
struct JpegEncoder::State {
    jpeg_compress_struct job{};
    jpeg_error_mgr errors{};
    jpeg_destination_mgr destination{};
    std::jmp_buf escape{};  ///< libjpeg's way out of an error, which must not return.
    std::span<std::byte> to;
    bool full = false;
    std::array<JOCTET, 512> overflow{};  ///< Takes what no longer fits, again and again.

    bool create();
    bool encode(const Surface& picture);
    void set_parameters(const Surface& picture);
    void write_rows(const Surface& picture);

    static State& of(j_common_ptr job) { return *static_cast<State*>(job->client_data); }
    static State& of(j_compress_ptr job) { return *static_cast<State*>(job->client_data); }
};

bool JpegEncoder::State::create() {
    job.err = jpeg_std_error(&errors);
    job.client_data = this;
    errors.error_exit = [](j_common_ptr failed) { std::longjmp(of(failed).escape, 1); };
    errors.emit_message = [](j_common_ptr, int) {};
    errors.output_message = [](j_common_ptr) {};
    if (setjmp(escape) != 0) {
        return false;
    }
    jpeg_create_compress(&job);
    destination.init_destination = [](j_compress_ptr started) {
        State& state = of(started);
        state.full = false;
        state.destination.next_output_byte = reinterpret_cast<JOCTET*>(state.to.data());
        state.destination.free_in_buffer = state.to.size();
    };
    destination.empty_output_buffer = [](j_compress_ptr running) -> boolean {
        State& state = of(running);
        state.full = true;
        state.destination.next_output_byte = state.overflow.data();
        state.destination.free_in_buffer = state.overflow.size();
        return TRUE;
    };
    destination.term_destination = [](j_compress_ptr) {};
    job.dest = &destination;
    return true;
}

bool JpegEncoder::State::encode(const Surface& picture) {
    if (setjmp(escape) != 0) {
        jpeg_abort_compress(&job);
        return false;
    }
    set_parameters(picture);
    jpeg_start_compress(&job, TRUE);
    write_rows(picture);
    jpeg_finish_compress(&job);
    return true;
}

void JpegEncoder::State::set_parameters(const Surface& picture) {
    job.image_width = picture.width();
    job.image_height = picture.height();
    job.input_components = 3;
    job.in_color_space = JCS_YCbCr;
    jpeg_set_defaults(&job);  // 4:2:0 is one of them
    jpeg_set_quality(&job, jpeg_quality, TRUE);
    job.raw_data_in = TRUE;
}

void JpegEncoder::State::write_rows(const Surface& picture) {
    std::array<std::array<JSAMPROW, rows_at_once>, 3> rows;
    std::array<JSAMPARRAY, 3> components{rows[0].data(), rows[1].data(), rows[2].data()};
    while (job.next_scanline < job.image_height) {
        for (unsigned i = 0; i < 3; ++i) {
            const unsigned share = i == 0 ? 1 : 2;
            for (unsigned row = 0; row < rows_at_once / share; ++row) {
                // Below the picture its last row goes on.
                const unsigned y =
                    std::min(job.next_scanline / share + row, picture.component(i).rows - 1);
                rows[i][row] = reinterpret_cast<JSAMPROW>(picture.row(i, y));
            }
        }
        jpeg_write_raw_data(&job, components.data(), rows_at_once);
    }
}

JpegEncoder::JpegEncoder(std::unique_ptr<State> state) : state_(std::move(state)) {}
JpegEncoder::JpegEncoder(JpegEncoder&&) noexcept = default;
JpegEncoder& JpegEncoder::operator=(JpegEncoder&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
}

JpegEncoder::~JpegEncoder() {
    if (state_ != nullptr) {
        jpeg_destroy_compress(&state_->job);
    }
}

Result<JpegEncoder> JpegEncoder::create() {
    auto state = std::make_unique<State>();
    if (!state->create()) {
        return fail(-ENOMEM, "jpeg_create_compress");
    }
    return JpegEncoder(std::move(state));
}

Result<std::size_t> JpegEncoder::encode(const Surface& picture, std::span<std::byte> to) {
    if (to.empty()) {
        return fail(-ENOSPC, "JpegEncoder");
    }
    state_->to = to;
    if (!state_->encode(picture)) {
        return fail(-EIO, "jpeg_write_raw_data");
    }
    if (state_->full) {
        return fail(-ENOSPC, "jpeg_write_raw_data");
    }
    return to.size() - state_->destination.free_in_buffer;
}

}  // namespace v4lfence
