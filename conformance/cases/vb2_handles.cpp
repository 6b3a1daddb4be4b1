// SPDX-License-Identifier: MIT
//
// Stock V4L2: several handles of one device, priorities, read(), events, unknown calls, close.

#include <array>
#include <cstring>
#include <optional>

#include "conformance/cases/cases.hpp"
#include "conformance/plain.hpp"

namespace v4lfence {

namespace {

/// Each call that wants the owner of the queue.
Checked<> all_busy(const Rig& rig, const Device& other, std::string_view when) {
    BufferArgument argument;
    for (const unsigned long request : {VIDIOC_QBUF, VIDIOC_DQBUF}) {
        address_queue(rig, argument);
        TRY(answers(other.ioctl(request, &argument.buffer), EBUSY,
                    fmt::format("{}: ioctl {:#x} of a second handle", when, request)));
    }
    int type = static_cast<int>(rig.facts().type);
    for (const unsigned long request : {VIDIOC_STREAMON, VIDIOC_STREAMOFF}) {
        TRY(answers(other.ioctl(request, &type), EBUSY,
                    fmt::format("{}: ioctl {:#x} of a second handle", when, request)));
    }
    for (const unsigned count : {0U, 4U}) {
        v4l2_requestbuffers request = request_for(rig, count);
        TRY(answers(other.ioctl(VIDIOC_REQBUFS, &request), EBUSY,
                    fmt::format("{}: REQBUFS({}) of a second handle", when, count)));
    }
    v4l2_create_buffers create = TRY(creation_for(rig, other, 1));
    const int status = other.ioctl(VIDIOC_CREATE_BUFS, &create);
    return status == -ENOTTY
               ? Checked<>()
               : answers(status, EBUSY, fmt::format("{}: CREATE_BUFS of a second handle", when));
}

Checked<> second_handle_busy(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    const Device other = TRY(rig.open());
    TRY(all_busy(rig, other, "with buffers"));
    TRY(stream.queue_rest(0));
    TRY(stream.start());
    TRY(all_busy(rig, other, "while streaming"));
    BufferArgument argument;
    address_queue(rig, argument);
    TRY(answers_others(other.ioctl(VIDIOC_QUERYBUF, &argument.buffer),
                       "QUERYBUF of a second handle"));
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> streams_through(Rig& rig, const Device& device) {
    v4l2_requestbuffers request = request_for(rig, rig.facts().needed() + 1);
    TRY(answers(device.ioctl(VIDIOC_REQBUFS, &request), 0, "REQBUFS of the second handle"));
    for (unsigned index = 0; index < request.count; ++index) {
        BufferArgument argument;
        address_queue(rig, argument, index);
        TRY(answers(device.ioctl(VIDIOC_QBUF, &argument.buffer), 0, "QBUF of the second handle"));
    }
    int type = static_cast<int>(rig.facts().type);
    TRY(answers(device.ioctl(VIDIOC_STREAMON, &type), 0, "STREAMON of the second handle"));
    const int revents = device.poll(POLLIN, must_happen_ms);
    CHECK(revents > 0 && (revents & POLLIN) != 0, "poll said {:#x}, expected POLLIN", revents);
    TRY(answers(device.ioctl(VIDIOC_STREAMOFF, &type), 0, "STREAMOFF of the second handle"));
    return release_buffers(rig, device);
}

/// Who frees the buffers, or is closed, owns nothing.
Checked<> ownership_passes(Rig& rig) {
    Stream first = TRY(open_plain(rig));
    const Device second = TRY(rig.open());
    TRY(all_busy(rig, second, "with buffers"));
    TRY(first.request(0));
    TRY(streams_through(rig, second));
    TRY(first.request(first.count() == 0 ? rig.facts().needed() + 1 : first.count()));
    TRY(first.queue_rest(0));
    TRY(first.start());
    for (unsigned index = 0; index < first.count(); ++index) {
        first.planes(index).clear();  // A mapping keeps the file.
    }
    TRY(answers(first.device().shut(), 0, "close while streaming"));
    return streams_through(rig, second);
}

Checked<> closed_leaves_nothing(Rig& rig) {
    for (unsigned round = 0; round < 3; ++round) {
        {
            Stream stream = TRY(stream_plain(rig));
            if (round > 0) {
                TRY(stream.becomes_readable());
            }
        }
        const Device device = TRY(rig.open());
        BufferArgument argument;
        address_queue(rig, argument);
        TRY(refuses_without_buffers(device.ioctl(VIDIOC_QUERYBUF, &argument.buffer), EINVAL,
                                    "QUERYBUF after the owner was closed"));
    }
    Stream stream = TRY(stream_plain(rig));
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> format_busy(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    v4l2_format format{};
    format.type = rig.facts().type;
    TRY(answers(stream.device().ioctl(VIDIOC_G_FMT, &format), 0, "G_FMT"));
    if (rig.facts().multi_planar) {
        format.fmt.pix_mp.width *= 2;
    } else {
        format.fmt.pix.width *= 2;
    }
    v4l2_format attempt = format;
    TRY(answers(stream.device().ioctl(VIDIOC_TRY_FMT, &attempt), 0, "TRY_FMT with buffers"));
    TRY(answers(stream.device().ioctl(VIDIOC_S_FMT, &format), EBUSY, "S_FMT with buffers"));
    TRY(stream.queue_rest(0));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<int> priority_of(const Device& device) {
    int priority = -1;
    TRY(answers(device.ioctl(VIDIOC_G_PRIORITY, &priority), 0, "G_PRIORITY"));
    return priority;
}

int set_priority(const Device& device, int priority) {
    return device.ioctl(VIDIOC_S_PRIORITY, &priority);
}

Checked<> priorities(Rig& rig) {
    const Device other = TRY(rig.open());
    CHECK(TRY(priority_of(other)) == V4L2_PRIORITY_DEFAULT, "a fresh file has priority {}",
          TRY(priority_of(other)));
    {
        Device recorder = TRY(rig.open());
        TRY(answers(set_priority(recorder, 4711), EINVAL, "S_PRIORITY of 4711"));
        TRY(answers(set_priority(recorder, V4L2_PRIORITY_RECORD), 0, "S_PRIORITY of RECORD"));
        CHECK(TRY(priority_of(other)) == V4L2_PRIORITY_RECORD,
              "the device has priority {} beside a recorder", TRY(priority_of(other)));
        v4l2_requestbuffers request = request_for(rig, 2);
        TRY(answers(other.ioctl(VIDIOC_REQBUFS, &request), EBUSY, "REQBUFS beside a recorder"));
        v4l2_format format{};
        format.type = rig.facts().type;
        TRY(answers(other.ioctl(VIDIOC_G_FMT, &format), 0, "G_FMT beside a recorder"));
        TRY(answers(other.ioctl(VIDIOC_S_FMT, &format), EBUSY, "S_FMT beside a recorder"));
        TRY(answers(set_priority(other, V4L2_PRIORITY_INTERACTIVE), EBUSY,
                    "S_PRIORITY beside a recorder"));
        TRY(answers(recorder.ioctl(VIDIOC_S_FMT, &format), 0, "S_FMT of the recorder"));
    }
    CHECK(TRY(priority_of(other)) == V4L2_PRIORITY_DEFAULT, "priority {} outlives its file",
          TRY(priority_of(other)));
    v4l2_requestbuffers request = request_for(rig, 2);
    return answers(other.ioctl(VIDIOC_REQBUFS, &request), 0, "REQBUFS after the recorder");
}

Checked<> read_excludes_streaming(Rig& rig) {
    if (!rig.facts().has_read) {
        return skipped("the device has no read()");
    }
    const Device device = TRY(rig.open());
    std::array<std::byte, 16> some{};
    const int count = device.read(some.data(), some.size());
    CHECK(count > 0 || count == -EAGAIN, "read answered {}", errno_name(count));
    v4l2_requestbuffers request = request_for(rig, 2);
    TRY(answers(device.ioctl(VIDIOC_REQBUFS, &request), EBUSY, "REQBUFS while read() is active"));
    int type = static_cast<int>(rig.facts().type);
    TRY(answers(device.ioctl(VIDIOC_STREAMON, &type), EBUSY, "STREAMON while read() is active"));
    BufferArgument argument;
    for (const unsigned long call : {VIDIOC_QBUF, VIDIOC_DQBUF}) {
        address_queue(rig, argument);
        TRY(answers(device.ioctl(call, &argument.buffer), EBUSY,
                    fmt::format("ioctl {:#x} while read() is active", call)));
    }
    const int revents = device.poll(POLLIN, must_happen_ms);
    CHECK(revents > 0 && (revents & POLLIN) != 0, "poll said {:#x} of a file that is read",
          revents);
    const int more = device.read(some.data(), some.size());
    CHECK(more == int{some.size()}, "read answered {}, expected 16 bytes", more);
    return {};
}

/// Who polls a file without buffers wants to read.
Checked<> poll_starts_read(Rig& rig) {
    if (!rig.facts().has_read || !rig.has_node()) {
        return skipped("the device has no read(), or a file that cannot know of poll()");
    }
    const Device device = TRY(rig.open());
    CHECK(device.poll(POLLPRI, 0) == 0, "poll for events says that there are some");
    v4l2_requestbuffers request = request_for(rig, 0);
    TRY(answers(device.ioctl(VIDIOC_REQBUFS, &request), 0, "REQBUFS after poll for events"));
    const int revents = device.poll(POLLIN, must_happen_ms);
    CHECK(revents > 0 && (revents & POLLIN) != 0, "poll said {:#x}, expected POLLIN", revents);
    request = request_for(rig, 2);
    return answers(device.ioctl(VIDIOC_REQBUFS, &request), EBUSY,
                   "REQBUFS after poll has started read()");
}

Checked<> streaming_excludes_read(Rig& rig) {
    if (!rig.facts().has_read) {
        return skipped("the device has no read()");
    }
    Stream stream = TRY(open_plain(rig));
    std::array<std::byte, 16> some{};
    TRY(answers(stream.device().read(some.data(), some.size()), EBUSY, "read with buffers"));
    TRY(stream.queue_rest(0));
    TRY(stream.start());
    TRY(answers(stream.device().read(some.data(), some.size()), EBUSY, "read while streaming"));
    TRY(stream.dequeue_good(0));
    TRY(stream.stop());
    TRY(stream.request(0));
    const int count = stream.device().read(some.data(), some.size());
    CHECK(count > 0 || count == -EAGAIN, "read after the buffers were freed answered {}",
          errno_name(count));
    return {};
}

/// A control that can be set; skipped where the device has none.
Checked<v4l2_queryctrl> some_control(const Device& device) {
    for (const std::uint32_t id : {V4L2_CID_BRIGHTNESS, V4L2_CID_CONTRAST, V4L2_CID_SATURATION}) {
        v4l2_queryctrl control{};
        control.id = id;
        constexpr std::uint32_t useless = V4L2_CTRL_FLAG_DISABLED | V4L2_CTRL_FLAG_READ_ONLY |
                                          V4L2_CTRL_FLAG_INACTIVE | V4L2_CTRL_FLAG_GRABBED;
        if (device.ioctl(VIDIOC_QUERYCTRL, &control) == 0 && (control.flags & useless) == 0) {
            return control;
        }
    }
    return skipped("the device has no control to listen to");
}

v4l2_event_subscription control_events(std::uint32_t id, std::uint32_t flags) {
    v4l2_event_subscription wanted{};
    wanted.type = V4L2_EVENT_CTRL;
    wanted.id = id;
    wanted.flags = flags;
    return wanted;
}

Checked<> initial_event(Rig& rig) {
    const Device device = TRY(rig.open());
    const v4l2_queryctrl control = TRY(some_control(device));
    CHECK(device.poll(POLLPRI, 0) == 0, "poll says an event came before any was wanted");
    v4l2_event event{};
    TRY(answers(device.ioctl(VIDIOC_DQEVENT, &event), ENOENT, "DQEVENT without events"));
    v4l2_event_subscription wanted = control_events(control.id, V4L2_EVENT_SUB_FL_SEND_INITIAL);
    TRY(answers(device.ioctl(VIDIOC_SUBSCRIBE_EVENT, &wanted), 0, "SUBSCRIBE_EVENT"));
    const int revents = device.poll(POLLPRI, 0);
    CHECK(revents == POLLPRI, "poll says {:#x} after SEND_INITIAL, expected POLLPRI", revents);
    TRY(answers(device.ioctl(VIDIOC_DQEVENT, &event), 0, "DQEVENT"));
    CHECK(event.type == V4L2_EVENT_CTRL && event.id == control.id && event.pending == 0 &&
              event.u.ctrl.minimum == control.minimum && event.u.ctrl.maximum == control.maximum,
          "the event says type {}, id {:#x}, {} pending", event.type, event.id, event.pending);
    CHECK(device.poll(POLLPRI, 0) == 0, "poll says an event came after it was fetched");
    return answers(device.ioctl(VIDIOC_DQEVENT, &event), ENOENT, "DQEVENT without events");
}

Checked<> event_of_other_handle(Rig& rig) {
    const Device listener = TRY(rig.open());
    const Device changer = TRY(rig.open());
    const v4l2_queryctrl limits = TRY(some_control(listener));
    v4l2_event_subscription wanted = control_events(limits.id, 0);
    TRY(answers(listener.ioctl(VIDIOC_SUBSCRIBE_EVENT, &wanted), 0, "SUBSCRIBE_EVENT"));
    v4l2_control control{limits.id, 0};
    TRY(answers(listener.ioctl(VIDIOC_G_CTRL, &control), 0, "G_CTRL"));
    const std::int32_t before = control.value;
    const auto set = [&](const Device& device, std::int32_t value) {
        v4l2_control change{limits.id, value};
        return answers(device.ioctl(VIDIOC_S_CTRL, &change), 0, "S_CTRL");
    };
    const std::int32_t changed = before == limits.maximum ? limits.minimum : limits.maximum;
    TRY(set(listener, changed));
    const int own = listener.poll(POLLPRI, settle_ms);
    TRY(set(changer, before));
    CHECK(own == 0, "poll says {:#x} of the file's own change, which it did not want to hear", own);
    const int revents = listener.poll(POLLPRI, must_happen_ms);
    CHECK(revents == POLLPRI, "poll says {:#x} after another handle's change", revents);
    v4l2_event event{};
    TRY(answers(listener.ioctl(VIDIOC_DQEVENT, &event), 0, "DQEVENT"));
    CHECK(event.u.ctrl.value == before && (event.u.ctrl.changes & V4L2_EVENT_CTRL_CH_VALUE) != 0,
          "the event says value {}, changes {:#x}", event.u.ctrl.value, event.u.ctrl.changes);
    TRY(answers(listener.ioctl(VIDIOC_UNSUBSCRIBE_EVENT, &wanted), 0, "UNSUBSCRIBE_EVENT"));
    TRY(set(changer, changed));
    const int late = listener.poll(POLLPRI, settle_ms);
    TRY(set(changer, before));
    CHECK(late == 0, "poll says {:#x} of an event that is no longer wanted", late);
    return {};
}

Checked<> unwanted_events(Rig& rig) {
    const Device device = TRY(rig.open());
    TRY(some_control(device));
    v4l2_event_subscription wanted{};
    for (const std::uint32_t type :
         {unsigned{V4L2_EVENT_ALL}, unsigned{V4L2_EVENT_PRIVATE_START}, 4711U}) {
        wanted.type = type;
        TRY(answers(device.ioctl(VIDIOC_SUBSCRIBE_EVENT, &wanted), EINVAL,
                    fmt::format("SUBSCRIBE_EVENT of type {}", type)));
    }
    wanted = control_events(0x4711, 0);
    TRY(answers(device.ioctl(VIDIOC_SUBSCRIBE_EVENT, &wanted), EINVAL,
                "SUBSCRIBE_EVENT of an unknown control"));
    wanted = {};
    wanted.type = V4L2_EVENT_ALL;
    return answers(device.ioctl(VIDIOC_UNSUBSCRIBE_EVENT, &wanted), 0, "UNSUBSCRIBE_EVENT of all");
}

Checked<> unknown_calls(Rig& rig) {
    const Device device = TRY(rig.open());
    std::array<std::byte, 64> argument{};
    constexpr std::array<unsigned long, 4> unknown{_IOWR('V', 255, int), _IOWR('V', 191, int),
                                                   _IO('q', 3), _IOR('V', 0, int)};
    for (const unsigned long request : unknown) {
        TRY(answers(device.ioctl(request, argument.data()), ENOTTY,
                    fmt::format("the unknown ioctl {:#x}", request)));
    }
    return {};
}

Checked<> null_arguments(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    const StreamSnapshot before = TRY(snapshot(rig, stream));
    for (const unsigned long request :
         {VIDIOC_QUERYCAP, VIDIOC_ENUM_FMT, VIDIOC_G_FMT, VIDIOC_S_FMT, VIDIOC_TRY_FMT,
          VIDIOC_REQBUFS, VIDIOC_QUERYBUF, VIDIOC_QBUF, VIDIOC_DQBUF, VIDIOC_STREAMON,
          VIDIOC_STREAMOFF, VIDIOC_G_PRIORITY, VIDIOC_S_PRIORITY}) {
        TRY(answers(stream.device().ioctl(request, nullptr), EFAULT,
                    fmt::format("ioctl {:#x} at NULL", request)));
    }
    return same_as(before, rig, stream, "calls at NULL");
}

constexpr Case cases[] = {
    plain_case("vb2@second-handle-ebusy", "Buffers belong to the handle that made them",
               second_handle_busy),
    plain_case("vb2@ownership-passes", "And to nobody once they are freed, or it is closed",
               ownership_passes),
    plain_case("vb2@close-leaves-nothing",
               "close in mid-stream leaves neither buffers nor a stream", closed_leaves_nothing),
    plain_case("vb2@format-busy-with-buffers", "The format stays while there are buffers",
               format_busy),
    plain_case("vb2@priority-respected", "A recorder's priority keeps others from changing things",
               priorities),
    plain_case("vb2@read-excludes-streaming", "While read() is active there are no buffers to have",
               read_excludes_streaming),
    plain_case("vb2@poll-starts-read", "poll for frames of a file without buffers starts read()",
               poll_starts_read),
    plain_case("vb2@streaming-excludes-read", "And with buffers there is no read()",
               streaming_excludes_read),
    plain_case("vb2@event-initial-pollpri", "SEND_INITIAL raises POLLPRI at once", initial_event),
    plain_case("vb2@event-of-other-handle", "A control that another handle changes is an event",
               event_of_other_handle),
    plain_case("vb2@event-unknown-einval", "Unknown events cannot be subscribed to",
               unwanted_events),
    plain_case("vb2@unknown-ioctl-enotty", "Unknown ioctls are answered ENOTTY", unknown_calls),
    plain_case("vb2@null-efault", "NULL is answered EFAULT", null_arguments),
};

}  // namespace

std::span<const Case> vb2_handle_cases() {
    return cases;
}

}  // namespace v4lfence
