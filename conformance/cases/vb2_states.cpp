// SPDX-License-Identifier: MIT
//
// Stock videobuf2: what each call says in each state of the buffer and of the stream.

#include <array>
#include <functional>

#include "conformance/cases/cases.hpp"
#include "conformance/plain.hpp"

namespace v4lfence {

namespace {

constexpr std::uint32_t state_flags =
    V4L2_BUF_FLAG_QUEUED | V4L2_BUF_FLAG_DONE | V4L2_BUF_FLAG_PREPARED | V4L2_BUF_FLAG_ERROR;

Checked<> has_state(const Stream& stream, unsigned index, std::uint32_t expected,
                    std::string_view when) {
    const BufferView view = TRY(stream.look(index));
    CHECK((view.flags & state_flags) == expected,
          "{} buffer {} has the state {:#x}, expected {:#x}", when, index, view.flags & state_flags,
          expected);
    return {};
}

Checked<> state_flags_follow(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    TRY(has_state(stream, 0, 0, "at first"));
    TRY(stream.queue_rest(0));
    TRY(has_state(stream, 0, V4L2_BUF_FLAG_QUEUED, "after QBUF"));
    TRY(stream.start());
    TRY(stream.becomes_done(0));
    TRY(has_state(stream, 0, V4L2_BUF_FLAG_DONE, "with a frame"));
    const Frame frame = TRY(stream.dequeue_good(0));
    CHECK((frame.flags & state_flags) == 0, "DQBUF returned the state {:#x}, expected none",
          frame.flags & state_flags);
    TRY(has_state(stream, 0, 0, "after DQBUF"));
    TRY(stream.stop());
    TRY(has_state(stream, stream.count() - 1, 0, "after STREAMOFF"));
    return {};
}

Checked<> mapped_flag_follows(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    CHECK(TRY(stream.look(0)).has(V4L2_BUF_FLAG_MAPPED), "a mapped buffer is not MAPPED");
    stream.planes(0).clear();
    CHECK(!TRY(stream.look(0)).has(V4L2_BUF_FLAG_MAPPED), "an unmapped buffer is still MAPPED");
    CHECK(TRY(stream.look(1)).has(V4L2_BUF_FLAG_MAPPED), "the other one is no longer MAPPED");
    return {};
}

Checked<> program_flags_ignored(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    BufferArgument argument;
    stream.prepare(0, argument);
    constexpr std::uint32_t not_the_programs = V4L2_BUF_FLAG_DONE | V4L2_BUF_FLAG_ERROR |
                                               V4L2_BUF_FLAG_PREPARED | V4L2_BUF_FLAG_KEYFRAME |
                                               V4L2_BUF_FLAG_LAST | V4L2_BUF_FLAG_TIMESTAMP_COPY;
    argument.buffer.flags = not_the_programs;
    argument.buffer.sequence = 4711;
    TRY(answers(stream.device().ioctl(VIDIOC_QBUF, &argument.buffer), 0, "QBUF with stray flags"));
    CHECK((argument.buffer.flags & not_the_programs) == 0, "QBUF returned the stray flags {:#x}",
          argument.buffer.flags & not_the_programs);
    CHECK((argument.buffer.flags & V4L2_BUF_FLAG_QUEUED) != 0, "QBUF returned flags {:#x}",
          argument.buffer.flags);
    CHECK((argument.buffer.flags & V4L2_BUF_FLAG_TIMESTAMP_MASK) ==
              V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC,
          "QBUF returned flags {:#x}, expected a monotonic clock", argument.buffer.flags);
    return has_state(stream, 0, V4L2_BUF_FLAG_QUEUED, "after QBUF");
}

Checked<> qbuf_twice(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    TRY(stream.queue_rest(0));
    TRY(answers(stream.try_queue(0), EINVAL, "QBUF of a queued buffer"));
    TRY(stream.start());
    TRY(stream.becomes_done(0));
    TRY(answers(stream.try_queue(0), EINVAL, "QBUF of a finished buffer"));
    TRY(stream.dequeue_good(0));
    TRY(stream.queue(0));
    return stream.stop();
}

/// Each change to a good argument of QUERYBUF, QBUF and PREPARE_BUF, and what all of them answer.
struct WrongArgument {
    std::string_view what;
    int error;
    void (*change)(v4l2_buffer& buffer);
    bool planes = false;    ///< Of multi-planar devices.
    bool queryable = true;  ///< QUERYBUF refuses it too.
};

constexpr WrongArgument wrong_arguments[] = {
    {"index 4095", EINVAL, [](v4l2_buffer& buffer) { buffer.index = 4095; }},
    {"index 0xffffffff", EINVAL, [](v4l2_buffer& buffer) { buffer.index = 0xffffffff; }},
    {"type 0", EINVAL, [](v4l2_buffer& buffer) { buffer.type = 0; }},
    {"type 4711", EINVAL, [](v4l2_buffer& buffer) { buffer.type = 4711; }},
    {"the type of an output", EINVAL,
     [](v4l2_buffer& buffer) { buffer.type = V4L2_BUF_TYPE_VIDEO_OUTPUT; }},
    {"another memory type", EINVAL,
     [](v4l2_buffer& buffer) { buffer.memory = V4L2_MEMORY_USERPTR; }, false, false},
    {"memory type 99", EINVAL, [](v4l2_buffer& buffer) { buffer.memory = 99; }, false, false},
    {"no planes", EFAULT, [](v4l2_buffer& buffer) { buffer.m.planes = nullptr; }, true},
    {"no planes of length 0", EINVAL,
     [](v4l2_buffer& buffer) {
         buffer.m.planes = nullptr;
         buffer.length = 0;
     },
     true},
    {"length 0", EINVAL, [](v4l2_buffer& buffer) { buffer.length = 0; }, true},
    {"length 9", EINVAL, [](v4l2_buffer& buffer) { buffer.length = VIDEO_MAX_PLANES + 1; }, true},
};

Checked<> arguments_checked(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    const StreamSnapshot before = TRY(snapshot(rig, stream));
    BufferArgument beyond;
    stream.name(stream.count(), beyond);
    const bool prepares = stream.device().ioctl(VIDIOC_PREPARE_BUF, &beyond.buffer) != -ENOTTY;
    for (const WrongArgument& wrong : wrong_arguments) {
        for (const unsigned long request : {VIDIOC_QUERYBUF, VIDIOC_QBUF, VIDIOC_PREPARE_BUF}) {
            if ((wrong.planes && !rig.facts().multi_planar) ||
                (request == VIDIOC_QUERYBUF && !wrong.queryable) ||
                (request == VIDIOC_PREPARE_BUF && !prepares)) {
                continue;
            }
            BufferArgument argument;
            stream.prepare(0, argument);
            wrong.change(argument.buffer);
            TRY(answers(stream.device().ioctl(request, &argument.buffer), wrong.error,
                        fmt::format("ioctl {:#x} with {}", request, wrong.what)));
        }
    }
    TRY(same_as(before, rig, stream, "calls with wrong arguments"));
    return stream.queue(0);
}

Checked<> request_field_ignored(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    BufferArgument argument;
    stream.prepare(0, argument);
    argument.buffer.request_fd = 77;
    TRY(answers(stream.device().ioctl(VIDIOC_QBUF, &argument.buffer), 0,
                "QBUF with a request_fd and no flag"));
    CHECK(argument.buffer.request_fd == 0, "QBUF returned request_fd {}",
          argument.buffer.request_fd);
    return {};
}

Checked<> prepare_once(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    TRY(stream.prepare_ahead(0));
    TRY(has_state(stream, 0, V4L2_BUF_FLAG_PREPARED, "after PREPARE_BUF"));
    TRY(answers(stream.try_prepare(0), EINVAL, "PREPARE_BUF of a prepared buffer"));
    TRY(stream.queue_rest(0));
    TRY(has_state(stream, 0, V4L2_BUF_FLAG_QUEUED, "after QBUF of a prepared buffer"));
    TRY(answers(stream.try_prepare(0), EINVAL, "PREPARE_BUF of a queued buffer"));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    TRY(has_state(stream, 0, 0, "after DQBUF of a prepared buffer"));
    return stream.stop();
}

Checked<> prepared_then_stopped(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    TRY(stream.prepare_ahead(0));
    TRY(stream.stop());
    TRY(has_state(stream, 0, 0, "after PREPARE_BUF and STREAMOFF"));
    return stream.queue(0);
}

Checked<> dqbuf_before_stream(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    TRY(answers(stream.try_dequeue(), EINVAL, "DQBUF with nothing queued"));
    TRY(stream.queue_rest(0));
    TRY(answers(stream.try_dequeue(), EINVAL, "DQBUF before STREAMON"));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    TRY(stream.stop());
    return answers(stream.try_dequeue(), EINVAL, "DQBUF after STREAMOFF");
}

Checked<> dqbuf_nothing(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    TRY(stream.start());
    TRY(answers(stream.try_dequeue(), EAGAIN, "DQBUF with nothing queued"));
    TRY(stream.queue_rest(0));
    TRY(run_dry(rig, stream));
    TRY(answers(stream.try_dequeue(), EAGAIN, "DQBUF after everything was fetched"));
    return stream.stop();
}

/// What DQBUF looks at is the type alone.
Checked<> dqbuf_fields(Rig& rig) {
    Stream stream = TRY(stream_plain(rig));
    TRY(stream.becomes_readable());
    for (const std::uint32_t type : {0U, 4711U, unsigned{V4L2_BUF_TYPE_VIDEO_OUTPUT}}) {
        BufferArgument wrong;
        stream.name(0, wrong);
        wrong.buffer.type = type;
        TRY(answers(stream.device().ioctl(VIDIOC_DQBUF, &wrong.buffer), EINVAL,
                    fmt::format("DQBUF of type {}", type)));
    }
    BufferArgument garbage;
    stream.name(4711, garbage);
    garbage.buffer.flags = V4L2_BUF_FLAG_ERROR | V4L2_BUF_FLAG_QUEUED;
    garbage.buffer.sequence = 4711;
    TRY(answers(stream.device().ioctl(VIDIOC_DQBUF, &garbage.buffer), 0, "DQBUF of index 4711"));
    CHECK(garbage.buffer.index == 0, "DQBUF of index 4711 returned buffer {}, expected the first",
          garbage.buffer.index);
    CHECK((garbage.buffer.flags & state_flags) == 0, "DQBUF returned stray flags {:#x}",
          garbage.buffer.flags & state_flags);
    CHECK(garbage.buffer.sequence != 4711, "DQBUF returned the program's sequence");
    return stream.stop();
}

Checked<> dqbuf_planes(Rig& rig) {
    if (!rig.facts().multi_planar) {
        return skipped("the device is single-planar");
    }
    Stream stream = TRY(stream_plain(rig));
    TRY(stream.becomes_readable());
    for (const WrongArgument& wrong : wrong_arguments) {
        if (wrong.planes) {
            BufferArgument argument;
            stream.name(0, argument);
            wrong.change(argument.buffer);
            TRY(answers(stream.device().ioctl(VIDIOC_DQBUF, &argument.buffer), wrong.error,
                        fmt::format("DQBUF with {}", wrong.what)));
        }
    }
    // Nothing was lost by that.
    BufferArgument argument;
    stream.name(0, argument);
    TRY(answers(stream.device().ioctl(VIDIOC_DQBUF, &argument.buffer), 0, "DQBUF"));
    CHECK(argument.buffer.index == 0, "DQBUF returned buffer {}, expected the first",
          argument.buffer.index);
    CHECK(argument.buffer.length == stream.planes(0).size(),
          "DQBUF returned length {}, expected {} planes", argument.buffer.length,
          stream.planes(0).size());
    return stream.stop();
}

Checked<> streamon_without_buffers(Rig& rig) {
    const Device device = TRY(rig.open());
    int type = static_cast<int>(rig.facts().type);
    TRY(refuses_without_buffers(device.ioctl(VIDIOC_STREAMON, &type), EINVAL,
                                "STREAMON without buffers"));
    TRY(refuses_without_buffers(device.ioctl(VIDIOC_STREAMOFF, &type), 0,
                                "STREAMOFF without buffers"));
    BufferArgument argument;
    address_queue(rig, argument);
    for (const unsigned long request : {VIDIOC_QBUF, VIDIOC_DQBUF, VIDIOC_QUERYBUF}) {
        TRY(refuses_without_buffers(device.ioctl(request, &argument.buffer), EINVAL,
                                    fmt::format("ioctl {:#x} without buffers", request)));
    }
    return {};
}

Checked<> stream_twice(Rig& rig) {
    Stream stream = TRY(stream_plain(rig));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    TRY(stream.queue(0));
    TRY(stream.start());
    TRY(stream.dequeue_good(1));
    TRY(stream.stop());
    TRY(stream.stop());
    return answers(stream.try_dequeue(), EINVAL, "DQBUF after STREAMOFF twice");
}

Checked<> stream_of_wrong_type(Rig& rig) {
    Stream stream = TRY(stream_plain(rig));
    for (const int wrong : {0, 4711, int{V4L2_BUF_TYPE_VIDEO_OUTPUT}}) {
        int type = wrong;
        TRY(answers(stream.device().ioctl(VIDIOC_STREAMON, &type), EINVAL,
                    fmt::format("STREAMON of type {}", wrong)));
    }
    TRY(stream_frames(stream, 2));
    return stream.stop();
}

Checked<> stream_off_returns_all(Rig& rig) {
    Stream stream = TRY(stream_plain(rig));
    TRY(stream.becomes_done(0));
    TRY(stream.stop());
    for (unsigned index = 0; index < stream.count(); ++index) {
        TRY(has_state(stream, index, 0, "after STREAMOFF"));
    }
    // Other buffers first: nothing is left of the order before.
    TRY(stream.queue_rest(1));
    TRY(stream.queue(0));
    TRY(stream.start());
    TRY(stream.dequeue_good(1));
    return stream.stop();
}

Checked<> stream_on_then_queue(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    TRY(stream.start());
    TRY(stream.queue_rest(0));
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

constexpr Case cases[] = {
    plain_case("vb2@flags-follow-state", "QUEUED, DONE and none of them, as the buffer goes",
               state_flags_follow),
    plain_case("vb2@flag-mapped-follows", "MAPPED as long as the program maps the buffer",
               mapped_flag_follows),
    plain_case("vb2@qbuf-stray-flags-ignored",
               "The kernel's flags and fields are not the program's", program_flags_ignored),
    plain_case("vb2@qbuf-twice-einval", "QBUF wants a buffer that the program has", qbuf_twice),
    plain_case("vb2@buffer-calls-wrong-argument", "QUERYBUF, QBUF and PREPARE_BUF check alike",
               arguments_checked),
    plain_case("vb2@qbuf-request-field-ignored", "Without REQUEST_FD request_fd means nothing",
               request_field_ignored),
    plain_case("vb2@prepare-once", "PREPARE_BUF prepares once, and says so", prepare_once),
    plain_case("vb2@prepare-undone-by-streamoff", "STREAMOFF undoes it", prepared_then_stopped),
    plain_case("vb2@dqbuf-not-streaming-einval", "DQBUF before and after a stream is refused",
               dqbuf_before_stream),
    plain_case("vb2@dqbuf-nothing-eagain", "Without a frame a file with O_NONBLOCK says EAGAIN",
               dqbuf_nothing),
    plain_case("vb2@dqbuf-garbage-ignored", "DQBUF looks at the type alone", dqbuf_fields),
    plain_case("vb2@dqbuf-wrong-planes-keeps", "A DQBUF with wrong planes fails and loses nothing",
               dqbuf_planes),
    plain_case("vb2@streamon-no-buffers-einval", "Calls on a queue without buffers are refused",
               streamon_without_buffers),
    plain_case("vb2@stream-twice-harmless", "STREAMON and STREAMOFF may be said twice",
               stream_twice),
    plain_case("vb2@streamon-wrong-type-einval", "STREAMON wants the queue's type",
               stream_of_wrong_type),
    plain_case("vb2@streamoff-returns-all", "STREAMOFF gives back every buffer, finished or not",
               stream_off_returns_all),
    plain_case("vb2@streamon-before-qbuf", "A stream may start with nothing queued",
               stream_on_then_queue),
};

}  // namespace

std::span<const Case> vb2_state_cases() {
    return cases;
}

}  // namespace v4lfence
