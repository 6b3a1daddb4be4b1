// SPDX-License-Identifier: MIT
//
// Stock videobuf2: REQBUFS, CREATE_BUFS, REMOVE_BUFS, and what QUERYBUF says of what they made.

#include <algorithm>
#include <array>

#include "conformance/cases/cases.hpp"
#include "conformance/plain.hpp"

namespace v4lfence {

namespace {

int query_buffer(const Rig& rig, const Device& device, unsigned index) {
    BufferArgument argument;
    address_queue(rig, argument, index);
    return device.ioctl(VIDIOC_QUERYBUF, &argument.buffer);
}

/// So many buffers can be queried, and not one more.
Checked<> has_buffers(const Rig& rig, const Device& device, unsigned count) {
    for (unsigned index = 0; index < count; ++index) {
        TRY(answers(query_buffer(rig, device, index), 0, fmt::format("QUERYBUF of {}", index)));
    }
    return answers(query_buffer(rig, device, count), EINVAL,
                   fmt::format("QUERYBUF of {}, of {} buffers", count, count));
}

Checked<> reqbufs_gives(Rig& rig) {
    const Device device = TRY(rig.open());
    for (const unsigned wanted : {4U, 2U, 5U}) {
        v4l2_requestbuffers request = request_for(rig, wanted);
        TRY(answers(device.ioctl(VIDIOC_REQBUFS, &request), 0, "REQBUFS"));
        CHECK(request.count >= wanted || request.count == rig.facts().buffers_max,
              "REQBUFS of {} buffers gave {}", wanted, request.count);
        CHECK((request.capabilities & rig.facts().memory) == rig.facts().memory,
              "REQBUFS says capabilities {:#x}, and said {:#x}", request.capabilities,
              rig.facts().memory);
        TRY(has_buffers(rig, device, request.count));
    }
    return {};
}

Checked<> reqbufs_zero_frees(Rig& rig) {
    const Device device = TRY(rig.open());
    for (const unsigned before : {0U, 4U}) {
        v4l2_requestbuffers request = request_for(rig, before);
        TRY(answers(device.ioctl(VIDIOC_REQBUFS, &request), 0, "REQBUFS"));
        request = request_for(rig, 0);
        TRY(answers(device.ioctl(VIDIOC_REQBUFS, &request), 0, "REQBUFS of no buffers"));
        CHECK(request.count == 0, "REQBUFS of no buffers gave {}", request.count);
        CHECK((request.capabilities & V4L2_BUF_CAP_SUPPORTS_MMAP) != 0,
              "REQBUFS of no buffers says capabilities {:#x}", request.capabilities);
        TRY(refuses_without_buffers(query_buffer(rig, device, 0), EINVAL,
                                    "QUERYBUF of a buffer that was freed"));
    }
    return {};
}

Checked<> reqbufs_clamps(Rig& rig) {
    const Device device = TRY(rig.open());
    v4l2_requestbuffers request = request_for(rig, 100000);
    TRY(answers(device.ioctl(VIDIOC_REQBUFS, &request), 0, "REQBUFS of 100000 buffers"));
    CHECK(request.count > 0 && request.count < 100000, "REQBUFS of 100000 buffers gave {}",
          request.count);
    return has_buffers(rig, device, request.count);
}

Checked<> reqbufs_arguments(Rig& rig) {
    const Device device = TRY(rig.open());
    for (const std::uint32_t type : {0U, 4711U, unsigned{V4L2_BUF_TYPE_VIDEO_OUTPUT}}) {
        for (const unsigned count : {0U, 4U}) {
            v4l2_requestbuffers request = request_for(rig, count);
            request.type = type;
            TRY(answers(device.ioctl(VIDIOC_REQBUFS, &request), EINVAL,
                        fmt::format("REQBUFS of type {}", type)));
        }
    }
    for (const std::uint32_t memory : {0U, unsigned{V4L2_MEMORY_OVERLAY}, 99U}) {
        for (const unsigned count : {0U, 4U}) {
            v4l2_requestbuffers request = request_for(rig, count, memory);
            TRY(answers(device.ioctl(VIDIOC_REQBUFS, &request), EINVAL,
                        fmt::format("REQBUFS of memory type {}", memory)));
        }
    }
    return {};
}

Checked<> reqbufs_unknown_flags(Rig& rig) {
    const Device device = TRY(rig.open());
    v4l2_requestbuffers request = request_for(rig, 2);
    request.flags = 0xff;
    std::fill(std::begin(request.reserved), std::end(request.reserved), std::uint8_t{0xff});
    TRY(answers(device.ioctl(VIDIOC_REQBUFS, &request), 0, "REQBUFS with unknown flags"));
    CHECK((request.flags & ~unsigned{V4L2_MEMORY_FLAG_NON_COHERENT}) == 0,
          "REQBUFS returned flags {:#x}", request.flags);
    const bool cleared = std::all_of(std::begin(request.reserved), std::end(request.reserved),
                                     [](std::uint8_t byte) { return byte == 0; });
    CHECK(cleared, "REQBUFS left the reserved bytes as they were");
    return {};
}

Checked<> reqbufs_while_streaming(Rig& rig) {
    Stream stream = TRY(stream_plain(rig));
    for (const unsigned count : {0U, 3U}) {
        v4l2_requestbuffers request = request_for(rig, count);
        TRY(answers(stream.device().ioctl(VIDIOC_REQBUFS, &request), EBUSY,
                    fmt::format("REQBUFS({}) while streaming", count)));
    }
    TRY(stream_frames(stream, 3));
    return stream.stop();
}

Checked<> reqbufs_takes_queued_back(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    TRY(stream.queue_rest(0));
    TRY(stream.request(stream.count()));
    for (unsigned index = 0; index < stream.count(); ++index) {
        TRY(stream.is_dequeued(index));
    }
    TRY(stream.queue_rest(0));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> create_none(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    v4l2_create_buffers create = TRY(creation_for(rig, stream.device(), 0));
    const int status = stream.device().ioctl(VIDIOC_CREATE_BUFS, &create);
    if (status == -ENOTTY) {
        return skipped("the device has no CREATE_BUFS");
    }
    TRY(answers(status, 0, "CREATE_BUFS of none"));
    CHECK(create.index == stream.count() && create.count == 0,
          "CREATE_BUFS of none says index {} and count {}, expected {} and 0", create.index,
          create.count, stream.count());
    CHECK((create.capabilities & rig.facts().memory) == rig.facts().memory,
          "CREATE_BUFS says capabilities {:#x}, REQBUFS {:#x}", create.capabilities,
          rig.facts().memory);
    return has_buffers(rig, stream.device(), stream.count());
}

/// The length of a buffer's first plane.
Checked<std::size_t> length_of(const Rig& rig, const Device& device, unsigned index) {
    BufferArgument argument;
    address_queue(rig, argument, index);
    TRY(answers(device.ioctl(VIDIOC_QUERYBUF, &argument.buffer), 0, "QUERYBUF"));
    return rig.facts().multi_planar ? argument.planes[0].length : argument.buffer.length;
}

std::uint32_t size_of(const Rig& rig, const v4l2_create_buffers& create) {
    return rig.facts().multi_planar ? create.format.fmt.pix_mp.plane_fmt[0].sizeimage
                                    : create.format.fmt.pix.sizeimage;
}

void set_size(const Rig& rig, v4l2_create_buffers& create, std::uint32_t size) {
    if (rig.facts().multi_planar) {
        create.format.fmt.pix_mp.plane_fmt[0].sizeimage = size;
    } else {
        create.format.fmt.pix.sizeimage = size;
    }
}

Checked<> create_larger(Rig& rig) {
    const Device device = TRY(rig.open());
    v4l2_create_buffers create = TRY(creation_for(rig, device, 2));
    const std::uint32_t usual = size_of(rig, create);
    set_size(rig, create, 2 * usual);
    const int status = device.ioctl(VIDIOC_CREATE_BUFS, &create);
    if (status == -ENOTTY) {
        return skipped("the device has no CREATE_BUFS");
    }
    TRY(answers(status, 0, "CREATE_BUFS of larger buffers"));
    CHECK(create.index == 0 && create.count == 2, "CREATE_BUFS made {} from index {}", create.count,
          create.index);
    const std::size_t length = TRY(length_of(rig, device, 0));
    CHECK(length >= 2 * std::size_t{usual}, "a buffer of {} bytes was made with {}", 2 * usual,
          length);
    v4l2_create_buffers more = TRY(creation_for(rig, device, 1));
    TRY(answers(device.ioctl(VIDIOC_CREATE_BUFS, &more), 0, "CREATE_BUFS of one more"));
    CHECK(more.index == 2 && more.count == 1,
          "CREATE_BUFS made {} from index {}, expected 1 from 2", more.count, more.index);
    const std::size_t ordinary = TRY(length_of(rig, device, 2));
    CHECK(ordinary >= usual && ordinary < length, "the ordinary buffer has {} bytes, the larger {}",
          ordinary, length);
    return has_buffers(rig, device, 3);
}

Checked<> create_arguments(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    const auto create_with = [&](auto&& change) -> Checked<int> {
        v4l2_create_buffers create = TRY(creation_for(rig, stream.device(), 1));
        change(create);
        return stream.device().ioctl(VIDIOC_CREATE_BUFS, &create);
    };
    const int plain = TRY(create_with([](v4l2_create_buffers& create) { create.count = 0; }));
    if (plain == -ENOTTY) {
        return skipped("the device has no CREATE_BUFS");
    }
    for (const std::uint32_t type : {0U, 4711U, unsigned{V4L2_BUF_TYPE_VIDEO_OUTPUT}}) {
        TRY(answers(
            TRY(create_with([&](v4l2_create_buffers& create) { create.format.type = type; })),
            EINVAL, fmt::format("CREATE_BUFS of type {}", type)));
    }
    for (const std::uint32_t memory : {0U, unsigned{V4L2_MEMORY_OVERLAY}, 99U}) {
        TRY(answers(TRY(create_with([&](v4l2_create_buffers& create) { create.memory = memory; })),
                    EINVAL, fmt::format("CREATE_BUFS of memory type {}", memory)));
    }
    if ((rig.facts().memory & V4L2_BUF_CAP_SUPPORTS_USERPTR) != 0) {
        TRY(answers(TRY(create_with(
                        [](v4l2_create_buffers& create) { create.memory = V4L2_MEMORY_USERPTR; })),
                    EINVAL, "CREATE_BUFS of another memory type than the queue has"));
    }
    TRY(answers(TRY(create_with([&](v4l2_create_buffers& create) { set_size(rig, create, 1); })),
                EINVAL, "CREATE_BUFS of buffers of one byte"));
    if (rig.facts().multi_planar) {
        for (const std::uint8_t planes : {std::uint8_t{0}, std::uint8_t{VIDEO_MAX_PLANES + 1}}) {
            TRY(answers(TRY(create_with([&](v4l2_create_buffers& create) {
                            create.format.fmt.pix_mp.num_planes = planes;
                        })),
                        EINVAL, fmt::format("CREATE_BUFS of {} planes", planes)));
        }
    }
    return has_buffers(rig, stream.device(), stream.count());
}

Checked<> create_plane_mismatch(Rig& rig) {
    if (!rig.facts().multi_planar) {
        return skipped("the device is single-planar");
    }
    Stream stream = TRY(open_plain(rig));
    v4l2_create_buffers create = TRY(creation_for(rig, stream.device(), 1));
    auto& format = create.format.fmt.pix_mp;
    format.plane_fmt[format.num_planes] = format.plane_fmt[0];
    ++format.num_planes;
    const int status = stream.device().ioctl(VIDIOC_CREATE_BUFS, &create);
    if (status == -ENOTTY) {
        return skipped("the device has no CREATE_BUFS");
    }
    TRY(answers(status, EINVAL, "CREATE_BUFS of one plane too many"));
    return has_buffers(rig, stream.device(), stream.count());
}

Checked<> create_when_full(Rig& rig) {
    const Device device = TRY(rig.open());
    v4l2_requestbuffers request = request_for(rig, 100000);
    TRY(answers(device.ioctl(VIDIOC_REQBUFS, &request), 0, "REQBUFS of 100000 buffers"));
    v4l2_create_buffers create = TRY(creation_for(rig, device, 1));
    const int status = device.ioctl(VIDIOC_CREATE_BUFS, &create);
    if (status == -ENOTTY) {
        return skipped("the device has no CREATE_BUFS");
    }
    // Whatever room REQBUFS left, there is an end to it.
    int last = status;
    for (unsigned more = 0; last == 0 && more < 40000; ++more) {
        create = TRY(creation_for(rig, device, 64));
        last = device.ioctl(VIDIOC_CREATE_BUFS, &create);
    }
    return answers(last, ENOBUFS, "CREATE_BUFS of a full queue");
}

Checked<> created_buffer_streams(Rig& rig) {
    const Device device = TRY(rig.open());
    v4l2_create_buffers create = TRY(creation_for(rig, device, rig.facts().needed() + 2));
    const int status = device.ioctl(VIDIOC_CREATE_BUFS, &create);
    if (status == -ENOTTY) {
        return skipped("the device has no CREATE_BUFS");
    }
    TRY(answers(status, 0, "CREATE_BUFS without REQBUFS"));
    for (unsigned index = 0; index < create.count; ++index) {
        BufferArgument argument;
        address_queue(rig, argument, index);
        TRY(answers(device.ioctl(VIDIOC_QBUF, &argument.buffer), 0, "QBUF of a created buffer"));
    }
    int type = static_cast<int>(rig.facts().type);
    TRY(answers(device.ioctl(VIDIOC_STREAMON, &type), 0, "STREAMON"));
    const int revents = device.poll(POLLIN, must_happen_ms);
    CHECK(revents > 0 && (revents & POLLIN) != 0, "poll said {:#x}, expected POLLIN", revents);
    BufferArgument came;
    address_queue(rig, came);
    TRY(answers(device.ioctl(VIDIOC_DQBUF, &came.buffer), 0, "DQBUF"));
    return answers(device.ioctl(VIDIOC_STREAMOFF, &type), 0, "STREAMOFF");
}

Checked<> remove_unused(Rig& rig) {
    TRY(has_remove_buffers(rig));
    Stream stream = TRY(open_plain(rig));
    const Device& device = stream.device();
    const auto remove = [&](RemoveBuffers what) {
        return device.ioctl(remove_buffers_request, &what);
    };
    const std::uint32_t type = rig.facts().type;
    TRY(answers(remove({0, 0, type, {}}), 0, "REMOVE_BUFS of none"));
    TRY(answers(remove({stream.count(), 1, type, {}}), EINVAL, "REMOVE_BUFS beyond the last"));
    TRY(answers(remove({0, stream.count() + 1, type, {}}), EINVAL, "REMOVE_BUFS of too many"));
    TRY(answers(remove({0xffffffff, 2, type, {}}), EINVAL, "REMOVE_BUFS from 0xffffffff"));
    TRY(answers(remove({0, 1, V4L2_BUF_TYPE_VIDEO_OUTPUT, {}}), EINVAL,
                "REMOVE_BUFS of an output"));
    TRY(stream.queue(2));
    TRY(answers(remove({2, 1, type, {}}), EBUSY, "REMOVE_BUFS of a queued buffer"));
    TRY(answers(remove({1, 2, type, {}}), EBUSY, "REMOVE_BUFS of a range with a queued buffer"));
    TRY(answers(query_buffer(rig, device, 1), 0, "QUERYBUF after a refused REMOVE_BUFS"));
    stream.planes(1).clear();
    TRY(answers(remove({1, 1, type, {}}), 0, "REMOVE_BUFS"));
    TRY(answers(query_buffer(rig, device, 1), EINVAL, "QUERYBUF of a removed buffer"));
    TRY(answers(stream.try_queue(1), EINVAL, "QBUF of a removed buffer"));
    TRY(answers(remove({1, 1, type, {}}), EINVAL, "REMOVE_BUFS of a removed buffer"));
    // The hole is filled again.
    v4l2_create_buffers create = TRY(creation_for(rig, device, 1));
    TRY(answers(device.ioctl(VIDIOC_CREATE_BUFS, &create), 0, "CREATE_BUFS"));
    CHECK(create.index == 1 && create.count == 1, "CREATE_BUFS made {} from index {}, expected 1",
          create.count, create.index);
    return answers(query_buffer(rig, device, 1), 0, "QUERYBUF of the new buffer");
}

constexpr Case cases[] = {
    plain_case("vb2@reqbufs-gives-buffers", "As many as were asked for can be queried",
               reqbufs_gives),
    plain_case("vb2@reqbufs-zero-frees", "REQBUFS of none frees all, and tells the capabilities",
               reqbufs_zero_frees),
    plain_case("vb2@reqbufs-count-clamped", "Too large a count gives as many as there can be",
               reqbufs_clamps),
    plain_case("vb2@reqbufs-bad-type-or-memory-einval", "REQBUFS checks type and memory",
               reqbufs_arguments),
    plain_case("vb2@reqbufs-unknown-flags-cleared", "What REQBUFS does not know comes back as zero",
               reqbufs_unknown_flags),
    plain_case("vb2@reqbufs-streaming-ebusy", "REQBUFS while streaming is refused",
               reqbufs_while_streaming),
    plain_case("vb2@reqbufs-takes-queued-back", "REQBUFS forgets what was queued",
               reqbufs_takes_queued_back),
    plain_case("vb2@create-bufs-none-counts", "CREATE_BUFS of none says how many there are",
               create_none),
    plain_case("vb2@create-bufs-larger", "CREATE_BUFS makes buffers of the size asked for",
               create_larger),
    plain_case("vb2@create-bufs-bad-argument-einval", "CREATE_BUFS checks type, memory and size",
               create_arguments),
    plain_case("vb2@create-bufs-plane-mismatch-einval", "And the number of planes",
               create_plane_mismatch),
    plain_case("vb2@create-bufs-full-enobufs", "A full queue takes no more", create_when_full),
    plain_case("vb2@create-bufs-alone-streams", "Buffers can be made without REQBUFS",
               created_buffer_streams),
    plain_case("vb2@remove-bufs-unused-only", "REMOVE_BUFS takes what nobody uses, and makes room",
               remove_unused),
};

}  // namespace

std::span<const Case> vb2_request_cases() {
    return cases;
}

}  // namespace v4lfence
