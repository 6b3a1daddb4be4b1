// SPDX-License-Identifier: MIT
//
// What a file says about fences, and that it says nothing else new.

#include <array>
#include <cstring>
#include <string>

#include "conformance/cases/cases.hpp"
#include "conformance/stream.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

Checked<> fenced_file_answers(Rig& rig) {
    const Device device = TRY(rig.open());
    TRY(rig.choose_provider(device));
    v4l2_query_fences fences = rig.query();
    TRY(answers(device.ioctl(VIDIOC_QUERY_FENCES, &fences), 0, "QUERY_FENCES"));
    constexpr std::uint32_t both = V4L2_FENCES_IN | V4L2_FENCES_OUT;
    CHECK(fences.version == V4L2_FENCES_VERSION, "version is {}", fences.version);
    CHECK((fences.features & both) == both, "features are {:#x}, expected IN and OUT",
          fences.features);
    CHECK(fences.provider[0] != '\0', "no provider is named");
    CHECK(fences.deadline_ms == 0, "deadline_ms is {}, expected 0: wait for ever",
          fences.deadline_ms);
    const bool kernel_waitable = (fences.features & V4L2_FENCES_KERNEL_WAITABLE) != 0;
    const bool vgem = std::string_view(fences.provider) == "vgem";
    CHECK(!vgem || (kernel_waitable && fences.bound_ms == 8000),
          "vgem fences with features {:#x} and a bound of {} ms, expected waitable and 8000",
          fences.features, fences.bound_ms);
    return {};
}

Checked<> kernel_file_has_none(Rig& rig) {
    const Device raw = TRY(rig.open_raw());
    v4l2_query_fences fences = rig.query();
    TRY(answers(raw.ioctl(VIDIOC_QUERY_FENCES, &fences), ENOTTY, "QUERY_FENCES of the kernel"));
    fences = rig.query();
    const int status = rig.calls().ioctl(raw.fd(), VIDIOC_QUERY_FENCES, &fences);
    CHECK(status == -1 && errno == ENOTTY,
          "QUERY_FENCES on a descriptor that is not managed answered {}, expected ENOTTY", status);
    return {};
}

Checked<> bad_query_refused(Rig& rig) {
    const Device device = TRY(rig.open());
    TRY(rig.choose_provider(device));
    v4l2_query_fences fences = rig.query();
    fences.size = 4;
    TRY(answers(device.ioctl(VIDIOC_QUERY_FENCES, &fences), EINVAL, "a query of size 4"));
    fences = rig.query();
    fences.size = 0;
    TRY(answers(device.ioctl(VIDIOC_QUERY_FENCES, &fences), EINVAL, "a query of size 0"));
    fences = rig.query();
    fences.reserved[7] = 1;
    TRY(answers(device.ioctl(VIDIOC_QUERY_FENCES, &fences), EINVAL,
                "a query with a reserved word"));
    for (const std::uint32_t type : {0U, 77U, unsigned{V4L2_BUF_TYPE_VIDEO_OUTPUT}}) {
        fences = rig.query();
        fences.type = type;
        TRY(answers(device.ioctl(VIDIOC_QUERY_FENCES, &fences), EINVAL,
                    fmt::format("a query of buffer type {}", type)));
    }
    return answers(device.ioctl(VIDIOC_QUERY_FENCES, nullptr), EFAULT, "a query at NULL");
}

Checked<> longer_query_zero_filled(Rig& rig) {
    struct Longer {
        v4l2_query_fences known;
        std::array<std::uint32_t, 4> unknown;
    } longer{};
    const Device device = TRY(rig.open());
    // The size stands in the request too.
    constexpr unsigned long longer_request =
        _IOWR(_IOC_TYPE(VIDIOC_QUERY_FENCES), _IOC_NR(VIDIOC_QUERY_FENCES), Longer);
    for (const unsigned long request :
         {static_cast<unsigned long>(VIDIOC_QUERY_FENCES), longer_request}) {
        longer.known = rig.query();
        longer.known.size = sizeof(longer);
        TRY(answers(device.ioctl(request, &longer), 0, "a longer query"));
        for (const std::uint32_t word : longer.unknown) {
            CHECK(word == 0, "an unknown field of the query is {:#x}, expected 0", word);
        }
        CHECK((longer.known.features & V4L2_FENCES_OUT) != 0, "a longer query found no fences");
    }
    return {};
}

Checked<v4l2_requestbuffers> request_one(const Rig& rig, const Device& device) {
    v4l2_requestbuffers request{};
    request.count = 4;
    request.type = rig.facts().type;
    request.memory = V4L2_MEMORY_MMAP;
    TRY(answers(device.ioctl(VIDIOC_REQBUFS, &request), 0, "REQBUFS"));
    return request;
}

Checked<> capabilities_on_fenced_files(Rig& rig) {
    constexpr std::uint32_t ours = V4L2_BUF_CAP_SUPPORTS_FENCES | V4L2_BUF_CAP_IS_ORDERED;
    const Device device = TRY(rig.open());
    const std::uint32_t before = TRY(request_one(rig, device)).capabilities;
    CHECK((before & ours) == 0, "a file without fences has REQBUFS capabilities {:#x}", before);
    TRY(rig.choose_provider(device));
    const std::uint32_t after = TRY(request_one(rig, device)).capabilities;
    CHECK((after & V4L2_BUF_CAP_SUPPORTS_FENCES) != 0,
          "a fenced file has REQBUFS capabilities {:#x}, expected bit 31", after);
    CHECK((after & ~ours) == before, "REQBUFS capabilities changed from {:#x} to {:#x}", before,
          after);
    v4l2_create_buffers create{};
    create.memory = V4L2_MEMORY_MMAP;
    create.format.type = rig.facts().type;
    TRY(answers(device.ioctl(VIDIOC_G_FMT, &create.format), 0, "G_FMT"));
    TRY(answers(device.ioctl(VIDIOC_CREATE_BUFS, &create), 0, "CREATE_BUFS of none"));
    CHECK((create.capabilities & ours) == (after & ours),
          "CREATE_BUFS says {:#x}, REQBUFS says {:#x}", create.capabilities, after);
    return {};
}

Checked<> order_has_one_source(Rig& rig) {
    const Device device = TRY(rig.open());
    TRY(rig.choose_provider(device));
    const std::uint32_t capabilities = TRY(request_one(rig, device)).capabilities;
    v4l2_query_fences fences = rig.query();
    TRY(answers(device.ioctl(VIDIOC_QUERY_FENCES, &fences), 0, "QUERY_FENCES"));
    const bool by_query = (fences.features & V4L2_FENCES_ORDERED) != 0;
    const bool by_capability = (capabilities & V4L2_BUF_CAP_IS_ORDERED) != 0;
    CHECK(by_query == by_capability, "the query says ordered {}, REQBUFS says {}", by_query,
          by_capability);
    return {};
}

/// Query and capability of the format that the device has now, and a few frames.
Checked<> streams_as_it_says(Rig& rig) {
    TRY(order_has_one_source(rig));
    Stream stream = TRY(Stream::open(rig));
    v4l2_query_fences fences = rig.query();
    TRY(answers(stream.device().ioctl(VIDIOC_QUERY_FENCES, &fences), 0, "QUERY_FENCES"));
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    const unsigned due = stream.count() - rig.facts().keeps;
    for (unsigned frame = 0; frame < due; ++frame) {
        const Frame came = TRY(stream.dequeue());
        CHECK((fences.features & V4L2_FENCES_ORDERED) == 0 || came.index == frame,
              "buffer {} came in the place of {} in a format that is ordered", came.index, frame);
    }
    return stream.stop();
}

/// On a file of its own: with uvcvideo who sets the format owns the queue.
Checked<> set_format(const Rig& rig, v4l2_format format) {
    const Device device = TRY(rig.open());
    return answers(device.ioctl(VIDIOC_S_FMT, &format), 0, "S_FMT");
}

Checked<> order_follows_format(Rig& rig) {
    const Device device = TRY(rig.open());
    v4l2_format before{};
    before.type = rig.facts().type;
    TRY(answers(device.ioctl(VIDIOC_G_FMT, &before), 0, "G_FMT"));
    constexpr unsigned formats_max = 4;
    Checked<> result;
    v4l2_fmtdesc description{};
    description.type = rig.facts().type;
    for (; result && description.index < formats_max &&
           device.ioctl(VIDIOC_ENUM_FMT, &description) == 0;
         ++description.index) {
        v4l2_format format = before;
        if (rig.facts().multi_planar) {
            format.fmt.pix_mp.pixelformat = description.pixelformat;
            format.fmt.pix_mp.num_planes = 0;
        } else {
            format.fmt.pix.pixelformat = description.pixelformat;
            format.fmt.pix.bytesperline = 0;
        }
        TRY(set_format(rig, format));
        result = streams_as_it_says(rig);
    }
    TRY(set_format(rig, before));
    return result;
}

Checked<> querycap_is_the_kernels(Rig& rig) {
    const Device device = TRY(rig.open());
    const Device raw = TRY(rig.open_raw());
    TRY(rig.choose_provider(device));
    v4l2_capability ours{};
    v4l2_capability kernels{};
    TRY(answers(device.ioctl(VIDIOC_QUERYCAP, &ours), 0, "QUERYCAP"));
    TRY(answers(raw.ioctl(VIDIOC_QUERYCAP, &kernels), 0, "QUERYCAP of the kernel"));
    CHECK(std::memcmp(&ours, &kernels, sizeof(ours)) == 0,
          "QUERYCAP says device_caps {:#x}, the kernel {:#x}", ours.device_caps,
          kernels.device_caps);
    return {};
}

/// v5's CAP_ORDERED, for programs built against its header.
Checked<> rfc_capability_on_request(Rig& rig) {
    if (rig.calls().set_rfc_caps == nullptr) {
        return skipped("there is no switch for the capability of v5");
    }
    constexpr std::uint32_t cap_ordered = 0x20000000;
    const Device device = TRY(rig.open());
    v4l2_query_fences fences = rig.query();
    TRY(answers(device.ioctl(VIDIOC_QUERY_FENCES, &fences), 0, "QUERY_FENCES"));
    const std::uint32_t ordered = (fences.features & V4L2_FENCES_ORDERED) != 0 ? cap_ordered : 0;
    v4l2_capability before{};
    TRY(answers(device.ioctl(VIDIOC_QUERYCAP, &before), 0, "QUERYCAP"));
    for (const int on : {1, 0}) {
        TRY(answers(rig.calls().set_rfc_caps(device.fd(), on), 0, "the switch"));
        v4l2_capability caps{};
        TRY(answers(device.ioctl(VIDIOC_QUERYCAP, &caps), 0, "QUERYCAP"));
        const std::uint32_t expected = on != 0 ? ordered : before.device_caps & cap_ordered;
        CHECK((caps.device_caps & cap_ordered) == expected,
              "with the switch at {} QUERYCAP says device_caps {:#x}", on, caps.device_caps);
    }
    return {};
}

Checked<> probing_by_a_bad_fence_works(Rig& rig) {
    Stream stream = TRY(Stream::open(rig, {.fenced = false}));
    TRY(answers(stream.try_queue(0, {.in = -1}), EINVAL, "QBUF with the in-fence -1"));
    TRY(stream.is_dequeued(0));
    v4l2_query_fences fences = rig.query();
    return answers(stream.device().ioctl(VIDIOC_QUERY_FENCES, &fences),
                   rig.facts().query ? 0 : ENOTTY, "QUERY_FENCES");
}

Checked<> unfenced_file_is_the_kernels(Rig& rig) {
    if (!rig.has_node()) {
        return skipped("behind a virtual device there is a driver's thread, and its memory");
    }
    const std::size_t threads = running_threads(1);
    const std::size_t descriptors = open_descriptors();
    Stream stream = TRY(Stream::open(rig, {.fenced = false}));
    CHECK(open_descriptors() == descriptors + 1, "opening took {} descriptors, expected 1",
          open_descriptors() - descriptors);
    const std::string link = TRY(sys::describe_fd(stream.device().fd()));
    CHECK(link == rig.path() || !rig.path().starts_with("/dev/video"),
          "the descriptor is {}, expected the node itself", link);
    TRY(stream.queue_rest(0));
    TRY(stream.start());
    for (unsigned frame = 0; frame < 5; ++frame) {
        const unsigned index = TRY(stream.dequeue()).index;
        TRY(stream.queue(index));
    }
    const std::size_t now = running_threads(threads);
    CHECK(now == threads, "{} threads run, expected none beside the {} before", now, threads);
    return stream.stop();
}

Checked<> unfenced_field_ignored(Rig& rig) {
    Stream stream = TRY(Stream::open(rig, {.fenced = false}));
    BufferArgument argument;
    stream.prepare(0, argument);
    argument.fence_fd() = 77;
    TRY(answers(stream.device().ioctl(VIDIOC_QBUF, &argument.buffer), 0,
                "QBUF with fence_fd 77 on a file without fences"));
    CHECK(argument.fence_fd() == 0, "it returned fence_fd {}, expected 0", argument.fence_fd());
    return {};
}

Checked<> unknown_calls_pass(Rig& rig) {
    const Device device = TRY(rig.open());
    const Device raw = TRY(rig.open_raw());
    TRY(rig.choose_provider(device));
    std::array<std::byte, 64> argument{};
    constexpr std::array<unsigned long, 3> unknown{_IOWR('V', 255, int), _IO('q', 3),
                                                   _IOR('V', 191, int)};
    for (const unsigned long request : unknown) {
        const int kernels = raw.ioctl(request, argument.data());
        TRY(answers(device.ioctl(request, argument.data()), -kernels,
                    fmt::format("the unknown ioctl {:#x}", request)));
    }
    return {};
}

constexpr Case cases[] = {
    library_case("query@fenced-file-answers", "1.2", "#5",
                 "The query names features, provider and bound", fenced_file_answers),
    library_case("query@kernel-file-enotty", "1.2", "#5 #42",
                 "A file that is not managed has no query", kernel_file_has_none),
    library_case("query@bad-argument-refused", "1.2", "",
                 "Size, reserved words, type and NULL are checked", bad_query_refused),
    library_case("query@longer-argument-zero-filled", "1.2", "",
                 "Fields unknown to the library stay zero", longer_query_zero_filled),
    library_case("query@fenced-file-capabilities", "1.2", "#5 #24 #50",
                 "REQBUFS and CREATE_BUFS say it with bit 31", capabilities_on_fenced_files),
    library_case("query@order-one-source", "1.5", "#1 #2 #3",
                 "Capability and query agree on the order", order_has_one_source),
    library_case("query@order-follows-format", "1.5", "#1 #2 #36 #47",
                 "They agree in every format, and fences come in order where they say so",
                 order_follows_format),
    {"query@querycap-unchanged", "1.2", "#5 #46 #63", "QUERYCAP never shows a fence capability",
     querycap_is_the_kernels},
    {"query@rfc-capability-on-request", "1.3", "#5 #46",
     "A switch lets QUERYCAP say what v5 said of an ordered queue", rfc_capability_on_request},
    {"query@bad-in-fence-probes", "1.4", "#5 #107", "An invalid in-fence tells support from echo",
     probing_by_a_bad_fence_works},
    {"unfenced@stream-untouched", "6.1, 7.3", "#12 #25 #84",
     "Without fences there is the kernel's file and no thread", unfenced_file_is_the_kernels},
    {"unfenced@fence-fd-ignored", "2, 6.1", "#27 #82",
     "A file that never used fences ignores the field", unfenced_field_ignored},
    {"bridge@unknown-calls-pass", "6.2", "", "What is not about buffers goes to the kernel",
     unknown_calls_pass},
};

}  // namespace

std::span<const Case> query_cases() {
    return cases;
}

}  // namespace v4lfence
