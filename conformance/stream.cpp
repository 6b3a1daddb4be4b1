// SPDX-License-Identifier: MIT

#include "conformance/stream.hpp"

#include <sys/mman.h>

#include <utility>

namespace v4lfence {

namespace {

constexpr std::uint32_t fence_flags = V4L2_BUF_FLAG_IN_FENCE | V4L2_BUF_FLAG_OUT_FENCE;

/// The third table of SEMANTICS, for QBUF.
Checked<> check_queue_answer(BufferArgument& argument, const Fences& asked) {
    const std::uint32_t flags = argument.buffer.flags;
    if (asked.out) {
        CHECK(argument.fence_fd() >= 0,
              "QBUF with OUT_FENCE returned fence_fd {}, expected a "
              "descriptor",
              argument.fence_fd());
        CHECK((flags & V4L2_BUF_FLAG_OUT_FENCE) != 0,
              "QBUF returned an out-fence without its flag");
    } else {
        const int expected = asked.in ? -1 : 0;
        CHECK(argument.fence_fd() == expected, "QBUF {} in-fence returned fence_fd {}, expected {}",
              asked.in ? "with only an" : "without any", argument.fence_fd(), expected);
        CHECK((flags & V4L2_BUF_FLAG_OUT_FENCE) == 0, "QBUF reports an out-fence nobody wanted");
    }
    CHECK(asked.in || (flags & V4L2_BUF_FLAG_IN_FENCE) == 0,
          "QBUF reports an in-fence nobody gave");
    return {};
}

}  // namespace

Checked<Stream> Stream::open(Rig& rig, const StreamOptions& options) {
    Stream stream(rig, TRY(rig.open(options.open_flags)), options.memory);
    if (options.fenced) {
        TRY(rig.choose_provider(stream.device_));
    }
    constexpr unsigned spare = 4;
    TRY(stream.request(options.count != 0 ? options.count : rig.facts().needed() + spare));
    return stream;
}

Checked<> Stream::request(unsigned count) {
    buffers_.clear();
    v4l2_requestbuffers request{};
    request.count = count;
    request.type = rig_->facts().type;
    request.memory = memory_;
    const int status = device_.ioctl(VIDIOC_REQBUFS, &request);
    if (status == -EINVAL && memory_ != V4L2_MEMORY_MMAP) {
        return skipped(fmt::format("the device has no {} buffers",
                                   memory_ == V4L2_MEMORY_USERPTR ? "USERPTR" : "DMABUF"));
    }
    TRY(answers(status, 0, "REQBUFS"));
    if (request.count < count) {
        return skipped(
            fmt::format("the device has {} buffers, {} are needed", request.count, count));
    }
    for (unsigned index = 0; index < request.count; ++index) {
        buffers_.push_back({});
        buffers_.back().planes =
            memory_ == V4L2_MEMORY_MMAP ? TRY(map_planes(index)) : TRY(allocate_planes());
    }
    return {};
}

Checked<std::vector<MappedPlane>> Stream::map_planes(unsigned index) const {
    BufferArgument argument;
    name(index, argument);
    TRY(answers(device_.ioctl(VIDIOC_QUERYBUF, &argument.buffer), 0, "QUERYBUF"));
    const bool multi = rig_->facts().multi_planar;
    const unsigned count = multi ? argument.buffer.length : 1;
    std::vector<MappedPlane> planes;
    for (unsigned plane = 0; plane < count; ++plane) {
        const std::size_t length = multi ? argument.planes[plane].length : argument.buffer.length;
        const std::int64_t offset =
            multi ? argument.planes[plane].m.mem_offset : argument.buffer.m.offset;
        void* address = rig_->calls().mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED,
                                           device_.fd(), offset);
        CHECK(address != MAP_FAILED, "mapping buffer {}: {}", index, errno_name(errno));
        planes.push_back({Region(rig_->calls(), address, length), UniqueFd()});
    }
    return planes;
}

Checked<std::vector<std::size_t>> Stream::plane_sizes() const {
    v4l2_format format{};
    format.type = rig_->facts().type;
    TRY(answers(device_.ioctl(VIDIOC_G_FMT, &format), 0, "G_FMT"));
    if (!rig_->facts().multi_planar) {
        return std::vector<std::size_t>{format.fmt.pix.sizeimage};
    }
    std::vector<std::size_t> sizes;
    for (unsigned plane = 0; plane < format.fmt.pix_mp.num_planes; ++plane) {
        sizes.push_back(format.fmt.pix_mp.plane_fmt[plane].sizeimage);
    }
    return sizes;
}

Checked<std::vector<MappedPlane>> Stream::allocate_planes() const {
    std::vector<MappedPlane> planes;
    for (const std::size_t size : TRY(plane_sizes())) {
        if (memory_ == V4L2_MEMORY_DMABUF) {
            planes.push_back(TRY(allocate_dma_buf(rig_->calls(), size)));
        } else {
            planes.push_back({TRY(allocate_pages(rig_->calls(), size)), UniqueFd()});
        }
    }
    return planes;
}

void Stream::name(unsigned index, BufferArgument& argument) const {
    argument.buffer.type = rig_->facts().type;
    argument.buffer.memory = memory_;
    argument.buffer.index = index;
    if (rig_->facts().multi_planar) {
        argument.buffer.m.planes = argument.planes.data();
        argument.buffer.length = VIDEO_MAX_PLANES;
    }
}

void Stream::prepare(unsigned index, BufferArgument& argument) const {
    name(index, argument);
    const std::vector<MappedPlane>& planes = buffers_[index].planes;
    const auto fill = [&](auto& m, std::uint32_t& length, const MappedPlane& memory) {
        if (memory_ == V4L2_MEMORY_USERPTR) {
            m.userptr = reinterpret_cast<unsigned long>(memory.region.data());
        } else if (memory_ == V4L2_MEMORY_DMABUF) {
            m.fd = memory.dma_buf.get();
        }
        length = static_cast<std::uint32_t>(memory.region.size());
    };
    if (!rig_->facts().multi_planar) {
        fill(argument.buffer.m, argument.buffer.length, planes[0]);
        return;
    }
    argument.buffer.length = static_cast<std::uint32_t>(planes.size());
    for (std::size_t plane = 0; plane < planes.size(); ++plane) {
        fill(argument.planes[plane].m, argument.planes[plane].length, planes[plane]);
    }
}

int Stream::call_qbuf(unsigned index, const Fences& fences, BufferArgument& argument) {
    prepare(index, argument);
    if (fences.in) {
        argument.buffer.flags |= V4L2_BUF_FLAG_IN_FENCE;
        argument.fence_fd() = *fences.in;
    }
    if (fences.out) {
        argument.buffer.flags |= V4L2_BUF_FLAG_OUT_FENCE;
    }
    std::vector<std::int64_t> given;
    if (memory_ == V4L2_MEMORY_DMABUF) {
        given = memory_of(argument);
    }
    const int status = device_.ioctl(VIDIOC_QBUF, &argument.buffer);
    if (status == 0) {
        buffers_[index].given = std::move(given);
        buffers_[index].out.reset(fences.out ? argument.fence_fd() : -1);
    }
    return status;
}

Checked<> Stream::queue(unsigned index, const Fences& fences) {
    BufferArgument argument;
    TRY(answers(call_qbuf(index, fences, argument), 0, fmt::format("QBUF of buffer {}", index)));
    TRY(check_memory(TRY(view_of(argument, "QBUF")), "QBUF"));
    return check_queue_answer(argument, fences);
}

int Stream::try_queue(unsigned index, const Fences& fences) {
    BufferArgument argument;
    return call_qbuf(index, fences, argument);
}

int Stream::try_prepare(unsigned index) {
    BufferArgument argument;
    prepare(index, argument);
    return device_.ioctl(VIDIOC_PREPARE_BUF, &argument.buffer);
}

Checked<> Stream::prepare_ahead(unsigned index) {
    const int status = try_prepare(index);
    if (status == -ENOTTY) {
        return skipped("the device has no PREPARE_BUF");
    }
    return answers(status, 0, "PREPARE_BUF");
}

Checked<> Stream::queue_rest(unsigned first, bool out) {
    for (unsigned index = first; index < count(); ++index) {
        TRY(queue(index, {.out = out}));
    }
    return {};
}

int Stream::try_start() {
    int type = static_cast<int>(rig_->facts().type);
    return device_.ioctl(VIDIOC_STREAMON, &type);
}

int Stream::try_stop() {
    int type = static_cast<int>(rig_->facts().type);
    return device_.ioctl(VIDIOC_STREAMOFF, &type);
}

Checked<> Stream::start() {
    return answers(try_start(), 0, "STREAMON");
}

Checked<> Stream::stop() {
    return answers(try_stop(), 0, "STREAMOFF");
}

std::vector<std::int64_t> Stream::memory_of(const BufferArgument& argument) const {
    std::vector<std::int64_t> memory;
    const auto add = [&](const auto& m) {
        memory.push_back(memory_ == V4L2_MEMORY_USERPTR ? static_cast<std::int64_t>(m.userptr)
                                                        : std::int64_t{m.fd});
    };
    if (!rig_->facts().multi_planar) {
        add(argument.buffer.m);
        return memory;
    }
    for (unsigned plane = 0; plane < argument.buffer.length; ++plane) {
        add(argument.planes[plane].m);
    }
    return memory;
}

Checked<> Stream::check_memory(const BufferView& view, std::string_view what) const {
    if (view.index >= count()) {
        return {};  // Made by the case itself, later.
    }
    const std::vector<std::int64_t>& given = buffers_[view.index].given;
    CHECK(given.empty() || view.memory == given,
          "{} of buffer {} reports descriptor {}, expected the program's {}", what, view.index,
          view.memory.empty() ? -1 : view.memory[0], given[0]);
    return {};
}

Checked<BufferView> Stream::view_of(BufferArgument& argument, std::string_view what) const {
    const v4l2_buffer& buffer = argument.buffer;
    BufferView view;
    view.index = buffer.index;
    view.flags = buffer.flags;
    view.sequence = buffer.sequence;
    view.field = buffer.field;
    view.timestamp_us =
        buffer.timestamp.tv_sec * std::int64_t{1'000'000} + buffer.timestamp.tv_usec;
    if (!rig_->facts().multi_planar) {
        view.bytes_used = buffer.bytesused;
    } else {
        CHECK(buffer.length <= VIDEO_MAX_PLANES, "{} says {} planes", what, buffer.length);
        for (unsigned plane = 0; plane < buffer.length; ++plane) {
            view.bytes_used += argument.planes[plane].bytesused;
        }
    }
    view.memory = memory_of(argument);
    return view;
}

Checked<BufferView> Stream::look(unsigned index) const {
    BufferArgument argument;
    name(index, argument);
    TRY(answers(device_.ioctl(VIDIOC_QUERYBUF, &argument.buffer), 0, "QUERYBUF"));
    const int expected = (argument.buffer.flags & fence_flags) != 0 ? -1 : 0;
    CHECK(argument.fence_fd() == expected,
          "QUERYBUF with flags {:#x} returned fence_fd {}, expected {}", argument.buffer.flags,
          argument.fence_fd(), expected);
    BufferView view = TRY(view_of(argument, "QUERYBUF"));
    if (view.queued() || view.done()) {
        TRY(check_memory(view, "QUERYBUF"));
    }
    return view;
}

Checked<> Stream::is_queued(unsigned index) const {
    const BufferView view = TRY(look(index));
    CHECK(view.queued() && !view.done(), "buffer {} has flags {:#x}, expected it QUEUED", index,
          view.flags);
    return {};
}

Checked<> Stream::is_held(unsigned index) const {
    const BufferView view = TRY(look(index));
    CHECK(view.queued() && !view.done() && !view.failed(),
          "held buffer {} has flags {:#x}, expected QUEUED", index, view.flags);
    CHECK(view.in_pending(), "buffer {} has flags {:#x}, expected IN_FENCE while it waits", index,
          view.flags);
    return {};
}

Checked<> Stream::is_dequeued(unsigned index) const {
    const BufferView view = TRY(look(index));
    constexpr std::uint32_t busy = V4L2_BUF_FLAG_QUEUED | V4L2_BUF_FLAG_DONE | fence_flags;
    CHECK((view.flags & busy) == 0, "buffer {} has flags {:#x}, expected it DEQUEUED", index,
          view.flags);
    return {};
}

int Stream::try_dequeue() {
    BufferArgument argument;
    name(0, argument);
    return device_.ioctl(VIDIOC_DQBUF, &argument.buffer);
}

Checked<Frame> Stream::came_back(BufferArgument& argument) {
    Frame frame{TRY(view_of(argument, "DQBUF")), std::nullopt};
    TRY(check_memory(frame, "DQBUF"));
    CHECK(argument.fence_fd() == 0, "DQBUF returned fence_fd {}, expected 0", argument.fence_fd());
    CHECK((frame.flags & fence_flags) == 0, "DQBUF returned flags {:#x} with a fence flag",
          frame.flags);
    if (const int fence = out_fence(frame.index); fence >= 0) {
        frame.out = TRY(fence_status(fence));
        CHECK(frame.out->ended(), "DQBUF returned buffer {} before its out-fence had ended",
              frame.index);
    }
    return frame;
}

Checked<std::optional<Frame>> Stream::dequeue_now() {
    BufferArgument argument;
    name(0, argument);
    const int status = device_.ioctl(VIDIOC_DQBUF, &argument.buffer);
    if (status == -EAGAIN) {
        return std::optional<Frame>();
    }
    TRY(answers(status, 0, "DQBUF"));
    return std::optional<Frame>(TRY(came_back(argument)));
}

Checked<Frame> Stream::dequeue() {
    const Deadline deadline = deadline_in(must_happen_ms);
    while (left_ms(deadline) > 0) {
        if (auto frame = TRY(dequeue_now())) {
            return *frame;
        }
        const int revents = device_.poll(POLLIN, left_ms(deadline));
        CHECK(revents >= 0 || revents == -EINTR, "poll answered {}", errno_name(revents));
        CHECK(revents < 0 || (revents & (POLLERR | POLLNVAL)) == 0,
              "poll said {:#x} while a buffer is expected", revents);
    }
    return failed(fmt::format("no buffer came back in {} ms", must_happen_ms));
}

Checked<Frame> Stream::dequeue_good(unsigned index) {
    Frame frame = TRY(dequeue());
    CHECK(frame.index == index, "buffer {} came back, expected {}", frame.index, index);
    CHECK(!frame.failed(), "buffer {} came back with ERROR", index);
    CHECK(!frame.out || frame.out->state == FenceState::Signaled,
          "the out-fence of good buffer {} ended with {}", index, errno_name(frame.out->error));
    return frame;
}

Checked<Frame> Stream::dequeue_bad(unsigned index) {
    Frame frame = TRY(dequeue());
    CHECK(frame.index == index, "buffer {} came back, expected {}", frame.index, index);
    CHECK(frame.failed(), "buffer {} came back with flags {:#x}, expected ERROR", index,
          frame.flags);
    return frame;
}

Checked<Frame> Stream::dequeue_until(unsigned index) {
    // An unordered queue may let others pass.
    const unsigned frames_max = 3 * count();
    for (unsigned frame = 0; frame < frames_max; ++frame) {
        Frame came = TRY(dequeue());
        if (came.index == index) {
            return came;
        }
        TRY(queue(came.index));
    }
    return failed(fmt::format("buffer {} is not among {} that came back", index, frames_max));
}

Checked<> Stream::nothing_to_dequeue() {
    const int revents = device_.poll(POLLIN, settle_ms);
    CHECK(revents == 0, "poll said {:#x}, expected nothing", revents);
    return answers(try_dequeue(), EAGAIN, "DQBUF");
}

Checked<> Stream::becomes_readable() {
    const int revents = device_.poll(POLLIN, must_happen_ms);
    CHECK(revents > 0 && (revents & POLLIN) != 0, "poll said {:#x}, expected POLLIN", revents);
    return {};
}

Checked<BufferView> Stream::becomes_done(unsigned index) {
    BufferView view;
    TRY(eventually(
        [&]() -> Checked<bool> {
            view = TRY(look(index));
            return view.done();
        },
        fmt::format("buffer {} to be DONE", index)));
    return view;
}

Checked<> Stream::out_fence_failed(unsigned index, int error, int bound_ms) const {
    const std::string what = fmt::format("the out-fence of buffer {}", index);
    const FenceStatus status = TRY(fence_ends(out_fence(index), what, bound_ms));
    if (!rig_->facts().errors()) {
        return {};
    }
    CHECK(status.state == FenceState::Failed, "{} ended well, expected an error", what);
    CHECK(error == 0 || status.error == -error, "{} ended with {}, expected {}", what,
          errno_name(status.error), errno_name(error));
    return {};
}

Checked<StreamSnapshot> snapshot(const Rig& rig, const Stream& stream) {
    StreamSnapshot now;
    now.descriptors = open_descriptors();
    now.fences_pending = fences_pending(rig);
    for (unsigned index = 0; index < stream.count(); ++index) {
        now.flags.push_back(TRY(stream.look(index)).flags);
    }
    return now;
}

Checked<> same_as(const StreamSnapshot& before, const Rig& rig, const Stream& stream,
                  std::string_view what) {
    const StreamSnapshot now = TRY(snapshot(rig, stream));
    CHECK(now.descriptors == before.descriptors, "{} left {} descriptors open, expected {}", what,
          now.descriptors, before.descriptors);
    CHECK(now.fences_pending == before.fences_pending, "{} left {} fences pending, expected {}",
          what, now.fences_pending, before.fences_pending);
    CHECK(now.flags == before.flags, "{} changed the state of a buffer", what);
    return {};
}

}  // namespace v4lfence
