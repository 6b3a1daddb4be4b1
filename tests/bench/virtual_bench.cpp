// SPDX-License-Identifier: MIT
//
// What a virtual device costs, without a fence: QBUF and DQBUF of one whose driver does nothing,
// beside four bare system calls; and the picture of a frame, beside the copy of as many bytes. And
// what the trace board costs: QBUF with an out-fence and DQBUF, beside the same without a board.
// Names are ours/WHAT and bare/WHAT.

#include <benchmark/benchmark.h>
#include <linux/videodev2.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/drivers/picture/painter.hpp"
#include "v4lfence/sync/core.hpp"
#include "v4lfence/uapi_fences.h"
#include "v4lfence/v4l2/device.hpp"
#include "v4lfence/v4l2/virtual_file.hpp"
#include "v4lfence/vb2/memory_makers.hpp"

namespace v4lfence::bench {

namespace {

constexpr std::uint32_t frame_bytes = 4096;

/// Has a format and a queue, and finishes a frame when it is told to.
class IdleDevice final : public DeviceOps, private Driver {
public:
    IdleDevice() {
        identity_.card = "idle";
        identity_.bus_info = "platform:idle";
        identity_.device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
    }

    const DeviceIdentity& identity() const override { return identity_; }
    QueueTraits queue_traits() const override {
        QueueTraits traits;
        traits.memory_kinds = memory_bit(MemoryKind::Mmap);
        return traits;
    }
    Driver& driver() override { return *this; }
    Result<> enum_fmt(v4l2_fmtdesc& /*format*/) override { return lacking(); }
    Result<> g_fmt(v4l2_format& format) override {
        format.fmt.pix.sizeimage = frame_bytes;
        return {};
    }
    Result<> try_fmt(v4l2_format& format) override { return g_fmt(format); }
    Result<> s_fmt(v4l2_format& format) override { return g_fmt(format); }

    void finish_frame() {
        FinishedBuffer finished;
        finished.bytes_used[0] = frame_bytes;
        finished.sequence = sequence_++;
        std::move(*std::exchange(buffer_, std::nullopt)).done(finished);
    }

private:
    Result<BufferShape> queue_setup(unsigned& /*count*/, const BufferShape* /*wanted*/) override {
        BufferShape shape;
        shape.sizes[0] = frame_bytes;
        return shape;
    }
    void buf_queue(ActiveBuffer buffer) override { buffer_.emplace(std::move(buffer)); }
    Result<> start_streaming(unsigned /*count*/) override { return {}; }
    void stop_streaming() override { buffer_.reset(); }

    DeviceIdentity identity_;
    std::optional<ActiveBuffer> buffer_;
    std::uint32_t sequence_ = 0;
};

/// A file of one, with one buffer, and its stream on.
class IdleStream {
public:
    static std::optional<IdleStream> start(bool seen) {
        IdleStream stream;
        if (!stream.core_->use_board(seen)) {
            return std::nullopt;
        }
        auto idle = std::make_unique<IdleDevice>();
        stream.idle_ = idle.get();
        auto device = VideoDevice::create(std::move(idle), *stream.core_, *stream.makers_);
        if (!device) {
            return std::nullopt;
        }
        auto opened = VirtualFile::open(std::shared_ptr<VideoDevice>(std::move(*device)));
        if (!opened) {
            return std::nullopt;
        }
        stream.opened_ = std::move(*opened);
        v4l2_requestbuffers request{};
        request.count = 1;
        request.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
        request.memory = V4L2_MEMORY_MMAP;
        if (!stream.call(VIDIOC_REQBUFS, &request) ||
            !stream.call(VIDIOC_STREAMON, &request.type)) {
            return std::nullopt;
        }
        return stream;
    }

    IdleStream(IdleStream&&) = default;
    IdleStream& operator=(IdleStream&&) = delete;
    ~IdleStream() {
        if (opened_.file) {
            opened_.file->close();
        }
    }

    bool frame() {
        v4l2_buffer buffer = mapped_buffer();
        if (!call(VIDIOC_QBUF, &buffer)) {
            return false;
        }
        idle_->finish_frame();
        return call(VIDIOC_DQBUF, &buffer);
    }

    bool fenced_frame() {
        v4l2_buffer buffer = mapped_buffer();
        buffer.flags = V4L2_BUF_FLAG_OUT_FENCE;
        if (!call(VIDIOC_QBUF, &buffer)) {
            return false;
        }
        const UniqueFd out_fence(v4l2_buffer_fence_fd(&buffer));
        idle_->finish_frame();
        buffer = mapped_buffer();
        return call(VIDIOC_DQBUF, &buffer);
    }

private:
    IdleStream() = default;

    static v4l2_buffer mapped_buffer() {
        v4l2_buffer buffer{};
        buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
        buffer.memory = V4L2_MEMORY_MMAP;
        return buffer;
    }

    bool call(unsigned long request, void* argument) {
        const auto answer = opened_.file->ioctl(
            opened_.fd.get(), static_cast<std::uint32_t>(request), argument, Look{});
        return answer && !answer->must_wait;
    }

    std::unique_ptr<Core> core_ = std::make_unique<Core>();
    std::unique_ptr<MemoryMakers> makers_ = std::make_unique<MemoryMakers>(MmapSource::Memfd);
    IdleDevice* idle_ = nullptr;
    VirtualFile::Opened opened_;
};

void our_frame(benchmark::State& state) {
    auto stream = IdleStream::start(true);
    for (auto iteration : state) {
        static_cast<void>(iteration);
        if (!stream || !stream->frame()) {
            state.SkipWithError("no frame");
            return;
        }
    }
}

void fenced_frame(benchmark::State& state, bool seen) {
    auto stream = IdleStream::start(seen);
    for (auto iteration : state) {
        static_cast<void>(iteration);
        if (!stream || !stream->fenced_frame()) {
            state.SkipWithError("no frame");
            return;
        }
    }
}

/// Two ioctls that find nothing to do, and the readiness of a descriptor that comes and goes.
void bare_frame(benchmark::State& state) {
    const UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    const auto pipe = sys::pipe(0);
    for (auto iteration : state) {
        static_cast<void>(iteration);
        std::uint64_t count = 1;
        int waiting = 0;
        if (!pipe || ::ioctl(pipe->read_end.get(), FIONREAD, &waiting) != 0 ||
            ::write(event.get(), &count, sizeof(count)) < 0 ||
            ::read(event.get(), &count, sizeof(count)) < 0 ||
            ::ioctl(pipe->read_end.get(), FIONREAD, &waiting) != 0) {
            state.SkipWithError("a bare call failed");
            return;
        }
    }
}

/// The memory of a frame.
struct Planes {
    explicit Planes(const PictureLayout& layout) {
        for (unsigned i = 0; i < layout.plane_count; ++i) {
            memory.emplace_back(layout.planes[i].sizeimage, std::byte{1});
        }
        for (auto& plane : memory) {
            spans.emplace_back(plane);
        }
    }

    std::vector<std::vector<std::byte>> memory;
    std::vector<std::span<std::byte>> spans;
};

void our_picture(benchmark::State& state, const PictureLayout& layout) {
    auto painter = Painter::create(layout, PictureSettings{});
    const Planes frame(layout);
    FrameFacts facts;
    for (auto iteration : state) {
        static_cast<void>(iteration);
        facts.captured_at_ns = std::uint64_t{++facts.sequence} * 33'333'333;
        if (!painter || !painter->paint(frame.spans, facts)) {
            state.SkipWithError("no picture");
            return;
        }
        benchmark::ClobberMemory();
    }
}

void bare_copy(benchmark::State& state, const PictureLayout& layout) {
    const Planes from(layout);
    const Planes to(layout);
    for (auto iteration : state) {
        static_cast<void>(iteration);
        for (unsigned i = 0; i < layout.plane_count; ++i) {
            std::memcpy(to.spans[i].data(), from.spans[i].data(), from.spans[i].size());
        }
        benchmark::ClobberMemory();
    }
}

void add_picture(const std::string& name, std::uint32_t fourcc, std::uint32_t width,
                 std::uint32_t height) {
    const auto layout = layout_of(fourcc, width, height);
    if (!layout) {
        return;
    }
    benchmark::RegisterBenchmark(("ours/" + name).c_str(),
                                 [made = *layout](auto& state) { our_picture(state, made); });
    benchmark::RegisterBenchmark(("bare/" + name).c_str(),
                                 [made = *layout](auto& state) { bare_copy(state, made); });
}

}  // namespace

}  // namespace v4lfence::bench

int main(int argc, char** argv) {
    using namespace v4lfence::bench;
    benchmark::Initialize(&argc, argv);
    benchmark::RegisterBenchmark("ours/frame", our_frame);
    benchmark::RegisterBenchmark("bare/frame", bare_frame);
    benchmark::RegisterBenchmark("ours/fenced frame",
                                 [](auto& state) { fenced_frame(state, true); });
    benchmark::RegisterBenchmark("bare/fenced frame",
                                 [](auto& state) { fenced_frame(state, false); });
    add_picture("YUYV 4K", V4L2_PIX_FMT_YUYV, 3840, 2160);
    add_picture("NV12 4K", V4L2_PIX_FMT_NV12, 3840, 2160);
    add_picture("YUYV 1080p", V4L2_PIX_FMT_YUYV, 1920, 1080);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
