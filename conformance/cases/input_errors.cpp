// SPDX-License-Identifier: MIT
//
// Wrong fences in QBUF: each refused with the errno of SEMANTICS 2, and nothing changed.

#include <drm.h>
#include <fcntl.h>

#include <array>
#include <string>

#include "conformance/cases/cases.hpp"
#include "conformance/stream.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

/// QBUF with each fence alone and with an out-fence beside it.
Checked<> refuses_in_fence(Rig& rig, int fd, std::string_view what) {
    Stream stream = TRY(Stream::open(rig));
    const StreamSnapshot before = TRY(snapshot(rig, stream));
    for (const bool out : {false, true}) {
        TRY(answers(stream.try_queue(0, {.in = fd, .out = out}), EINVAL,
                    fmt::format("QBUF with {} as in-fence", what)));
        TRY(same_as(before, rig, stream, fmt::format("QBUF with {} as in-fence", what)));
    }
    return stream.queue(0);
}

Checked<> negative_refused(Rig& rig) {
    for (const int fd : {-1, -2, -100, INT32_MIN}) {
        TRY(refuses_in_fence(rig, fd, std::to_string(fd)));
    }
    return {};
}

Checked<> closed_refused(Rig& rig) {
    for (const int fd : {999999, INT32_MAX}) {
        TRY(refuses_in_fence(rig, fd, "a descriptor that is not open"));
    }
    return {};
}

Checked<> path_refused(Rig& rig, const char* path, int flags, std::string_view what) {
    const UniqueFd file = TRY(sys::open(path, flags));
    return refuses_in_fence(rig, file.get(), what);
}

Checked<> regular_file_refused(Rig& rig) {
    return path_refused(rig, "/proc/self/exe", O_RDONLY, "a regular file");
}

Checked<> directory_refused(Rig& rig) {
    return path_refused(rig, "/", O_RDONLY | O_DIRECTORY, "a directory");
}

Checked<> device_node_refused(Rig& rig) {
    return path_refused(rig, "/dev/null", O_RDWR, "a device node");
}

Checked<> v4l2_file_refused(Rig& rig) {
    if (rig.has_node()) {
        const Device other = TRY(rig.open());
        TRY(refuses_in_fence(rig, other.fd(), "a V4L2 file"));
    }
    Stream stream = TRY(Stream::open(rig));
    return answers(stream.try_queue(0, {.in = stream.device().fd()}), EINVAL,
                   "QBUF with its own file as in-fence");
}

Checked<> write_end_refused(Rig& rig) {
    const sys::Pipe pipe = TRY(sys::pipe(0));
    return refuses_in_fence(rig, pipe.write_end.get(), "the write end of a pipe");
}

Checked<> epoll_refused(Rig& rig) {
    const UniqueFd epoll = TRY(sys::epoll_create());
    return refuses_in_fence(rig, epoll.get(), "an epoll descriptor");
}

Result<UniqueFd> make_syncobj(int render_node) {
    drm_syncobj_create create{};
    V4LFENCE_TRY(sys::ioctl_retry(render_node, DRM_IOCTL_SYNCOBJ_CREATE, &create));
    drm_syncobj_handle exported{};
    exported.handle = create.handle;
    V4LFENCE_TRY(sys::ioctl_retry(render_node, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &exported));
    return UniqueFd(exported.fd);
}

Checked<> syncobj_refused(Rig& rig) {
    for (int node = 128; node < 144; ++node) {
        const std::string path = fmt::format("/dev/dri/renderD{}", node);
        const auto render = sys::open(path.c_str(), O_RDWR);
        if (auto syncobj =
                render ? make_syncobj(render->get()) : Result<UniqueFd>(fail(-ENODEV, "open"))) {
            return refuses_in_fence(rig, syncobj->get(), "a raw syncobj");
        }
    }
    return skipped("no render node here makes syncobjs");
}

Checked<> stray_fence_fd_refused(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    const UniqueFd open_file = TRY(sys::open("/dev/null", O_RDWR));
    const StreamSnapshot before = TRY(snapshot(rig, stream));
    for (const int fd : {-2, -5, 1, 5, open_file.get(), INT32_MAX}) {
        for (const unsigned long request : {VIDIOC_QBUF, VIDIOC_PREPARE_BUF}) {
            for (const std::uint32_t flags : {0U, unsigned{V4L2_BUF_FLAG_OUT_FENCE}}) {
                BufferArgument argument;
                stream.prepare(0, argument);
                argument.buffer.flags = flags;
                argument.fence_fd() = fd;
                const std::string what =
                    fmt::format("{} with fence_fd {} and no IN_FENCE",
                                request == VIDIOC_QBUF ? "QBUF" : "PREPARE_BUF", fd);
                TRY(answers(stream.device().ioctl(request, &argument.buffer), EINVAL, what));
                TRY(same_as(before, rig, stream, what));
            }
        }
    }
    return {};
}

Checked<> none_accepted(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    unsigned index = 0;
    for (const int fd : {0, -1}) {
        BufferArgument argument;
        stream.prepare(index++, argument);
        argument.fence_fd() = fd;
        TRY(answers(stream.device().ioctl(VIDIOC_QBUF, &argument.buffer), 0,
                    fmt::format("QBUF with fence_fd {} and no IN_FENCE", fd)));
        CHECK(argument.fence_fd() == 0, "it returned fence_fd {}, expected 0", argument.fence_fd());
    }
    return {};
}

Checked<> request_refused(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.fence());
    const StreamSnapshot before = TRY(snapshot(rig, stream));
    for (const std::uint32_t flags :
         {unsigned{V4L2_BUF_FLAG_IN_FENCE}, unsigned{V4L2_BUF_FLAG_OUT_FENCE},
          unsigned{V4L2_BUF_FLAG_IN_FENCE | V4L2_BUF_FLAG_OUT_FENCE}}) {
        BufferArgument argument;
        stream.prepare(0, argument);
        argument.buffer.flags = flags | V4L2_BUF_FLAG_REQUEST_FD;
        argument.buffer.request_fd = fence.fd.get();
        argument.fence_fd() = (flags & V4L2_BUF_FLAG_IN_FENCE) != 0 ? fence.fd.get() : 0;
        TRY(answers(stream.device().ioctl(VIDIOC_QBUF, &argument.buffer), EINVAL,
                    fmt::format("QBUF with REQUEST_FD and flags {:#x}", flags)));
        TRY(same_as(before, rig, stream, "QBUF with a request and fences"));
    }
    return {};
}

Checked<> file_io_busy(Rig& rig) {
    if (!rig.facts().has_read) {
        return skipped("the device has no read()");
    }
    const Device device = TRY(rig.open());
    TRY(rig.choose_provider(device));
    std::array<std::byte, 16> some{};
    const int count = device.read(some.data(), some.size());
    CHECK(count > 0 || count == -EAGAIN, "read answered {}", errno_name(count));
    TestFence fence = TRY(rig.fence());
    std::size_t descriptors = 0;
    for (unsigned time = 0; time < 2; ++time) {
        for (const std::uint32_t flags :
             {0U, unsigned{V4L2_BUF_FLAG_OUT_FENCE}, unsigned{V4L2_BUF_FLAG_IN_FENCE}}) {
            BufferArgument argument;
            argument.buffer.type = rig.facts().type;
            argument.buffer.memory = V4L2_MEMORY_MMAP;
            argument.buffer.m.planes = rig.facts().multi_planar ? argument.planes.data() : nullptr;
            argument.buffer.length = rig.facts().multi_planar ? VIDEO_MAX_PLANES : 0;
            argument.buffer.flags = flags;
            argument.fence_fd() = (flags & V4L2_BUF_FLAG_IN_FENCE) != 0 ? fence.fd.get() : 0;
            TRY(answers(device.ioctl(VIDIOC_QBUF, &argument.buffer), EBUSY,
                        fmt::format("QBUF with flags {:#x} while read() is active", flags)));
        }
        // What the library opened at the first fence it may keep.
        CHECK(time == 0 || open_descriptors() == descriptors,
              "the refused QBUFs left descriptors open");
        descriptors = open_descriptors();
    }
    return {};
}

constexpr Case cases[] = {
    {"in-fence@negative-einval", "2, 2.1", "#10 #33 #38 Q05", "A negative in-fence is refused",
     negative_refused},
    {"in-fence@closed-einval", "2, 2.1", "#107 #116", "A descriptor that is not open is refused",
     closed_refused},
    {"in-fence@regular-file-einval", "2, 2.1", "", "A regular file is no fence",
     regular_file_refused},
    {"in-fence@directory-einval", "2, 2.1", "", "A directory is no fence", directory_refused},
    {"in-fence@device-node-einval", "2, 2.1", "", "A device node is no fence", device_node_refused},
    {"in-fence@v4l2-file-einval", "2, 2.1", "", "A V4L2 file is no fence, its own neither",
     v4l2_file_refused},
    {"in-fence@write-end-einval", "2, 2.1", "", "The write end of a pipe is no fence",
     write_end_refused},
    {"in-fence@epoll-einval", "2, 2.1", "", "An epoll descriptor is no fence", epoll_refused},
    {"in-fence@syncobj-einval", "2, 2.1", "", "A raw syncobj, whose poll lies, is no fence",
     syncobj_refused},
    {"fence-fd@stray-einval", "2, 2.1", "#4 #33 #49 #74 Q06",
     "A fenced file refuses a fence_fd without IN_FENCE, in PREPARE_BUF too",
     stray_fence_fd_refused},
    {"fence-fd@zero-or-minus-one-none", "2, 3", "#4 #10 #21 #65 #70 #98 #119",
     "Without IN_FENCE, 0 and -1 mean no in-fence", none_accepted},
    {"request@with-fences-einval", "2, 2.1", "", "Requests and fences exclude each other",
     request_refused},
    {"qbuf@file-io-ebusy", "2, 2.1", "", "While read() is active QBUF is refused", file_io_busy},
};

}  // namespace

std::span<const Case> input_error_cases() {
    return cases;
}

}  // namespace v4lfence
