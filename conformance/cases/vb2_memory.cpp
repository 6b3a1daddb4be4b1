// SPDX-License-Identifier: MIT
//
// Stock videobuf2: mmap, user memory, dma-bufs and their export.

#include <fcntl.h>
#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "conformance/cases/cases.hpp"
#include "conformance/plain.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

struct MmapRequest {
    std::size_t length = 0;
    std::int64_t offset = 0;
    int protection = PROT_READ | PROT_WRITE;
    int flags = MAP_SHARED;
};

/// 0 or the negative errno; what was mapped is unmapped again.
int try_map(const Rig& rig, const Device& device, const MmapRequest& request) {
    void* address = rig.calls().mmap(nullptr, request.length, request.protection, request.flags,
                                     device.fd(), request.offset);
    if (address == MAP_FAILED) {
        return -errno;
    }
    rig.calls().munmap(address, request.length);
    return 0;
}

/// Of the first plane of a buffer, all of it.
Checked<MmapRequest> whole_buffer(const Rig& rig, Stream& stream, unsigned index) {
    BufferArgument argument;
    stream.name(index, argument);
    TRY(answers(stream.device().ioctl(VIDIOC_QUERYBUF, &argument.buffer), 0, "QUERYBUF"));
    const bool multi = rig.facts().multi_planar;
    MmapRequest request;
    request.length = multi ? argument.planes[0].length : argument.buffer.length;
    request.offset = multi ? argument.planes[0].m.mem_offset : argument.buffer.m.offset;
    return request;
}

Checked<> mmap_arguments(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    const Device& device = stream.device();
    const MmapRequest good = TRY(whole_buffer(rig, stream, 0));
    TRY(answers(try_map(rig, device, good), 0, "mmap a second time"));
    MmapRequest wrong = good;
    // 6.12 looks at 30 bits of it.
    wrong.offset = good.offset + 0x30000000;
    TRY(answers(try_map(rig, device, wrong), EINVAL, "mmap at an offset of no buffer"));
    wrong = good;
    wrong.length = good.length + (std::size_t{1} << 20);
    TRY(answers(try_map(rig, device, wrong), EINVAL, "mmap of more than the buffer has"));
    wrong = good;
    wrong.flags = MAP_PRIVATE;
    TRY(answers(try_map(rig, device, wrong), EINVAL, "a private mmap"));
    wrong = good;
    wrong.protection = PROT_WRITE;
    TRY(answers(try_map(rig, device, wrong), EINVAL, "mmap for writing alone"));
    wrong = good;
    wrong.protection = PROT_READ;
    TRY(answers(try_map(rig, device, wrong), 0, "mmap for reading alone"));
    wrong = good;
    wrong.length = 1;
    return answers(try_map(rig, device, wrong), 0, "mmap of the first page");
}

Checked<> mmap_of_freed(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    const MmapRequest good = TRY(whole_buffer(rig, stream, 0));
    TRY(stream.request(0));
    return answers(try_map(rig, stream.device(), good), EINVAL, "mmap of a buffer that was freed");
}

/// The program still maps a buffer when REQBUFS frees it.
Checked<> mapping_outlives_buffer(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    MappedPlane kept = std::move(stream.planes(0)[0]);
    v4l2_requestbuffers request = request_for(rig, 0);
    const int status = stream.device().ioctl(VIDIOC_REQBUFS, &request);
    if ((rig.facts().memory & V4L2_BUF_CAP_SUPPORTS_ORPHANED_BUFS) == 0) {
        return answers(status, EBUSY, "REQBUFS(0) of buffers that are mapped");
    }
    TRY(answers(status, 0, "REQBUFS(0) of buffers that are mapped"));
    const std::span<const MappedPlane> memory(&kept, 1);
    paint(memory, std::byte{0x5a});
    Stream other = TRY(open_plain(rig));
    TRY(other.queue_rest(0));
    TRY(other.start());
    TRY(stream_frames(other, other.count()));
    TRY(other.stop());
    CHECK(count_changed(memory, std::byte{0x5a}) == 0,
          "memory of a buffer that was freed is used for another");
    return {};
}

Checked<> other_handle_maps(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    const Device other = TRY(rig.open());
    const MmapRequest good = TRY(whole_buffer(rig, stream, 0));
    void* address =
        rig.calls().mmap(nullptr, good.length, PROT_READ, MAP_SHARED, other.fd(), good.offset);
    CHECK(address != MAP_FAILED, "mmap through a second handle: {}", errno_name(errno));
    const Region second(rig.calls(), address, good.length);
    stream.paint_buffer(0);
    CHECK(second.data()[good.length / 2] == Stream::paint_byte,
          "a second handle maps other memory than the first");
    return {};
}

/// QBUF of buffer 0 with its first plane changed.
template <class Change>
int queue_changed(const Rig& rig, Stream& stream, Change&& change, unsigned long request) {
    BufferArgument argument;
    stream.prepare(0, argument);
    if (rig.facts().multi_planar) {
        change(argument.planes[0].m, argument.planes[0].length);
    } else {
        change(argument.buffer.m, argument.buffer.length);
    }
    return stream.device().ioctl(request, &argument.buffer);
}

/// By QBUF, and by PREPARE_BUF where there is one.
template <class Change>
Checked<> refuses_memory(const Rig& rig, Stream& stream, int error, std::string_view what,
                         Change&& change) {
    const StreamSnapshot before = TRY(snapshot(rig, stream));
    for (const unsigned long request : {VIDIOC_QBUF, VIDIOC_PREPARE_BUF}) {
        const int status = queue_changed(rig, stream, change, request);
        if (request == VIDIOC_QBUF || status != -ENOTTY) {
            TRY(answers(status, error, fmt::format("ioctl {:#x} with {}", request, what)));
        }
        TRY(same_as(before, rig, stream, what));
    }
    return {};
}

Checked<> user_memory_checked(Rig& rig) {
    Stream stream = TRY(open_plain(rig, {.memory = V4L2_MEMORY_USERPTR}));
    TRY(refuses_memory(rig, stream, EINVAL, "user memory that is too short",
                       [](auto&, std::uint32_t& length) { length = 16; }));
    TRY(refuses_memory(rig, stream, EFAULT, "user memory at NULL",
                       [](auto& m, std::uint32_t&) { m.userptr = 0; }));
    Region gone = TRY(allocate_pages(rig.calls(), stream.planes(0)[0].region.size()));
    const auto address = reinterpret_cast<unsigned long>(gone.data());
    gone.unmap();
    TRY(refuses_memory(rig, stream, EFAULT, "user memory that is not mapped",
                       [address](auto& m, std::uint32_t&) { m.userptr = address; }));
    TRY(stream.queue_rest(0));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> dma_bufs_checked(Rig& rig) {
    Stream stream = TRY(open_plain(rig, {.memory = V4L2_MEMORY_DMABUF}));
    const UniqueFd file = TRY(sys::open("/dev/null", O_RDWR));
    for (const int fd : {-1, 999999, file.get()}) {
        TRY(refuses_memory(rig, stream, EINVAL, fmt::format("descriptor {} as dma-buf", fd),
                           [fd](auto& m, std::uint32_t&) { m.fd = fd; }));
    }
    TRY(refuses_memory(rig, stream, EINVAL, "a dma-buf of which too little is offered",
                       [](auto&, std::uint32_t& length) { length = 16; }));
    constexpr std::size_t too_small = 4096;
    const MappedPlane small = TRY(allocate_dma_buf(rig.calls(), too_small));
    TRY(refuses_memory(rig, stream, EINVAL, "a dma-buf that is too small",
                       [&](auto& m, std::uint32_t& length) {
                           m.fd = small.dma_buf.get();
                           length = 0;
                       }));
    TRY(stream.queue_rest(0));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

/// Each memory type carries frames; other memory may be queued each time.
Checked<> frames_in(Rig& rig, std::uint32_t memory) {
    Stream stream = TRY(open_plain(rig, {.memory = memory}));
    for (unsigned index = 0; index < stream.count(); ++index) {
        stream.paint_buffer(index);
    }
    TRY(stream.queue_rest(0));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    CHECK(stream.changed_bytes(0) > 0, "no frame was written to the program's memory");
    TRY(stream.dequeue_good(1));
    std::swap(stream.planes(0), stream.planes(1));
    stream.paint_buffer(0);
    TRY(stream.queue(0));
    TRY(stream.queue(1));
    TRY(stream.dequeue_until(0));
    CHECK(stream.changed_bytes(0) > 0, "no frame was written to memory that changed its index");
    return stream.stop();
}

Checked<> frames_in_user_memory(Rig& rig) {
    return frames_in(rig, V4L2_MEMORY_USERPTR);
}

Checked<> frames_in_dma_bufs(Rig& rig) {
    return frames_in(rig, V4L2_MEMORY_DMABUF);
}

v4l2_exportbuffer export_of(const Rig& rig, unsigned index, std::uint32_t flags) {
    v4l2_exportbuffer request{};
    request.type = rig.facts().type;
    request.index = index;
    request.flags = flags;
    return request;
}

/// A dma-buf of buffer 0; skipped where the device exports nothing.
Checked<UniqueFd> exported(const Rig& rig, const Device& device, std::uint32_t flags) {
    v4l2_exportbuffer request = export_of(rig, 0, flags);
    const int status = device.ioctl(VIDIOC_EXPBUF, &request);
    if (status == -ENOTTY || status == -EINVAL) {
        return skipped("the device does not export buffers");
    }
    TRY(answers(status, 0, "EXPBUF"));
    return UniqueFd(request.fd);
}

Checked<> export_arguments(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    const Device& device = stream.device();
    TRY(exported(rig, device, O_RDWR));
    const std::array<std::pair<std::string_view, v4l2_exportbuffer>, 5> wrongs{{
        {"an index of no buffer", export_of(rig, stream.count(), O_RDWR)},
        {"a plane of no buffer",
         [&] {
             v4l2_exportbuffer request = export_of(rig, 0, O_RDWR);
             request.plane = VIDEO_MAX_PLANES;
             return request;
         }()},
        {"another queue's type",
         [&] {
             v4l2_exportbuffer request = export_of(rig, 0, O_RDWR);
             request.type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
             return request;
         }()},
        {"O_APPEND", export_of(rig, 0, O_RDWR | O_APPEND)},
        {"O_NONBLOCK", export_of(rig, 0, O_RDWR | O_NONBLOCK)},
    }};
    const std::size_t descriptors = open_descriptors();
    for (const auto& [what, request] : wrongs) {
        v4l2_exportbuffer attempt = request;
        TRY(answers(device.ioctl(VIDIOC_EXPBUF, &attempt), EINVAL,
                    fmt::format("EXPBUF with {}", what)));
    }
    CHECK(open_descriptors() == descriptors, "a refused EXPBUF left a descriptor open");
    return {};
}

Checked<> export_flags(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    const UniqueFd plain = TRY(exported(rig, stream.device(), O_RDWR));
    CHECK(!TRY(is_close_on_exec(plain.get())), "EXPBUF without O_CLOEXEC is close-on-exec");
    const UniqueFd closing = TRY(exported(rig, stream.device(), O_RDWR | O_CLOEXEC));
    CHECK(TRY(is_close_on_exec(closing.get())), "EXPBUF with O_CLOEXEC is not close-on-exec");
    CHECK(plain.get() != closing.get(), "EXPBUF returned the same descriptor twice");
    const UniqueFd reading = TRY(exported(rig, stream.device(), O_RDONLY | O_CLOEXEC));
    const int access = TRY(sys::get_status_flags(reading.get())) & O_ACCMODE;
    // A program that makes a dma-buf of its memory has no way to make it one for reading alone.
    CHECK(access == O_RDONLY || !rig.has_node(), "EXPBUF with O_RDONLY gave access mode {}",
          access);
    return {};
}

Checked<> export_same_memory(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    const UniqueFd dma_buf = TRY(exported(rig, stream.device(), O_RDWR | O_CLOEXEC));
    const std::size_t length = stream.planes(0)[0].region.size();
    void* address =
        rig.calls().mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, dma_buf.get(), 0);
    if (address == MAP_FAILED) {
        return skipped("the exported dma-buf cannot be mapped");
    }
    std::array<MappedPlane, 1> mapping{
        MappedPlane{Region(rig.calls(), address, length), UniqueFd()}};
    stream.paint_buffer(0);
    CHECK(count_changed(mapping, Stream::paint_byte) == 0,
          "the dma-buf shows other memory than the mapped buffer");
    // It outlives the buffer.
    stream.planes(0).clear();
    TRY(stream.request(0));
    CHECK(count_changed(mapping, Stream::paint_byte) == 0,
          "the memory of the dma-buf went with its buffer");
    return {};
}

Checked<> export_of_user_memory(Rig& rig) {
    {
        Stream mapped = TRY(open_plain(rig));
        TRY(exported(rig, mapped.device(), O_RDWR));
    }
    Stream stream = TRY(open_plain(rig, {.memory = V4L2_MEMORY_USERPTR}));
    v4l2_exportbuffer request = export_of(rig, 0, O_RDWR);
    TRY(answers(stream.device().ioctl(VIDIOC_EXPBUF, &request), EINVAL, "EXPBUF of user memory"));
    return answers(try_map(rig, stream.device(), {.length = 4096}), EINVAL, "mmap of user memory");
}

constexpr Case cases[] = {
    plain_case("vb2@mmap-arguments", "mmap wants an offset of QUERYBUF, shared, and readable",
               mmap_arguments),
    plain_case("vb2@mmap-freed-einval", "A buffer that was freed cannot be mapped", mmap_of_freed),
    plain_case("vb2@mmap-outlives-buffer",
               "A mapping keeps the memory of a freed buffer, or the "
               "buffer is not freed",
               mapping_outlives_buffer),
    plain_case("vb2@mmap-through-other-handle", "Every handle maps the same buffers",
               other_handle_maps),
    plain_case("vb2@userptr-checked", "User memory must be there, and long enough",
               user_memory_checked),
    plain_case("vb2@dma-buf-checked", "A dma-buf must be one, and large enough", dma_bufs_checked),
    plain_case("vb2@userptr-streams", "Frames in the program's own memory", frames_in_user_memory),
    plain_case("vb2@dma-buf-streams", "Frames in somebody else's dma-bufs", frames_in_dma_bufs),
    plain_case("vb2@expbuf-arguments", "EXPBUF checks type, index, plane and flags",
               export_arguments),
    plain_case("vb2@expbuf-flags", "EXPBUF gives a descriptor of its own, as its flags say",
               export_flags),
    plain_case("vb2@expbuf-same-memory", "A dma-buf is the buffer's memory, and outlives it",
               export_same_memory),
    plain_case("vb2@expbuf-mmap-only", "Only memory of the device's own can be mapped and exported",
               export_of_user_memory),
};

}  // namespace

std::span<const Case> vb2_memory_cases() {
    return cases;
}

}  // namespace v4lfence
