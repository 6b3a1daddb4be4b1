// SPDX-License-Identifier: MIT
//
// The owning C++ types: no close() to forget, errors as values. Two frames are merged into one
// fence, as a stage that needs a pair would wait for it.
//
//     cpp_raii [DEVICE [PAIRS]]      default: /dev/video0 10; DEVICE may be virtual:camera

#include <fcntl.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <v4lfence/v4lfence.hpp>

namespace {

using v4lfence::api::Fence;
using v4lfence::api::File;

constexpr int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
constexpr unsigned buffers_wanted = 4;
constexpr int pair_timeout_ms = 5000;

v4l2_buffer name_buffer(unsigned index) {
    v4l2_buffer buffer{};
    buffer.index = index;
    buffer.type = type;
    buffer.memory = V4L2_MEMORY_MMAP;
    return buffer;
}

/// Says what failed, if `status` is a negative errno.
bool failed(const char* what, int status) {
    if (status < 0) {
        std::fprintf(stderr, "cpp_raii: %s: %s\n", what, std::strerror(-status));
    }
    return status < 0;
}

/// A camera that streams, and the out-fence of the frame each buffer waits for.
class Stream {
public:
    static std::optional<Stream> start(const char* path) {
        Stream stream(File(path, O_RDWR));
        if (!stream.camera_) {
            failed(path, -errno);
            return std::nullopt;
        }
        v4l2_requestbuffers request{};
        request.count = buffers_wanted;
        request.type = type;
        request.memory = V4L2_MEMORY_MMAP;
        if (failed("VIDIOC_REQBUFS", stream.camera_.ioctl(VIDIOC_REQBUFS, &request))) {
            return std::nullopt;
        }
        stream.count_ = request.count;
        for (unsigned index = 0; index < stream.count_; ++index) {
            v4l2_buffer buffer = name_buffer(index);
            if (stream.queue(buffer) < 0) {
                return std::nullopt;
            }
        }
        int stream_type = type;
        if (failed("VIDIOC_STREAMON", stream.camera_.ioctl(VIDIOC_STREAMON, &stream_type))) {
            return std::nullopt;
        }
        return stream;
    }

    /// Waits for the next two frames by one fence. 0 or a negative errno, which has been said.
    int take_pair() {
        const Fence pair =
            Fence::merge("pair", fences_[next_ % count_], fences_[(next_ + 1) % count_]);
        const int waited = pair ? pair.wait(pair_timeout_ms) : -errno;
        if (failed("a pair of frames", waited)) {
            return waited;
        }
        std::printf("pair %u, %s:", next_ / 2,
                    pair.status().state == V4LFENCE_SIGNALED ? "well" : "damaged");
        for (int frame = 0; frame < 2; ++frame, ++next_) {
            v4l2_buffer buffer = name_buffer(0);
            int status = camera_.ioctl(VIDIOC_DQBUF, &buffer);
            if (failed("VIDIOC_DQBUF", status)) {
                return status;
            }
            std::printf(" frame %u", buffer.sequence);
            status = queue(buffer);
            if (status < 0) {
                return status;
            }
        }
        std::printf("\n");
        return 0;
    }

private:
    explicit Stream(File camera) : camera_(std::move(camera)) {}

    int queue(v4l2_buffer& buffer) {
        Fence out;
        const int status = camera_.queue(buffer, nullptr, &out);
        if (!failed("VIDIOC_QBUF", status)) {
            fences_[buffer.index] = std::move(out);
        }
        return status;
    }

    File camera_;
    unsigned count_ = 0;
    unsigned next_ = 0;
    std::array<Fence, VIDEO_MAX_FRAME> fences_;
};

}  // namespace

int main(int argc, char** argv) {
    const int pairs = argc > 2 ? std::atoi(argv[2]) : 10;
    if (argc > 3 || pairs <= 0) {
        std::fprintf(stderr, "usage: %s [DEVICE [PAIRS]]\n", argv[0]);
        return 2;
    }
    auto stream = Stream::start(argc > 1 ? argv[1] : "/dev/video0");
    for (int pair = 0; stream && pair < pairs; ++pair) {
        if (stream->take_pair() < 0) {
            return 1;
        }
    }
    return stream ? 0 : 1;
}
