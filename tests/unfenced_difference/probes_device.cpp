// SPDX-License-Identifier: MIT
//
// mmap() and EXPBUF; formats, priorities, controls and events.

#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <sys/mman.h>

#include <string>

#include "tests/unfenced_difference/node.hpp"

namespace v4lfence::difference {

namespace {

std::string exported(const Calls& calls, const Node& node, unsigned index, unsigned plane,
                     std::uint32_t flags) {
    v4l2_exportbuffer wanted{};
    wanted.type = Node::type;
    wanted.index = index;
    wanted.plane = plane;
    wanted.flags = flags;
    const std::string answer = node.io(VIDIOC_EXPBUF, &wanted);
    if (answer == "ok") {
        calls.close(wanted.fd);
    }
    return answer;
}

std::string set_format(const Node& node, std::uint32_t width, std::uint32_t height,
                       unsigned long request = VIDIOC_S_FMT) {
    v4l2_format format = node.format();
    format.fmt.pix.width = width;
    format.fmt.pix.height = height;
    format.fmt.pix.bytesperline = 0;
    format.fmt.pix.sizeimage = 0;
    return node.io(request, &format);
}

std::string same_format(const Node& node) {
    v4l2_format format = node.format();
    return node.io(VIDIOC_S_FMT, &format);
}

std::string set_rate(const Node& node) {
    v4l2_streamparm wanted{};
    wanted.type = Node::type;
    wanted.parm.capture.timeperframe = {1, 25};
    return node.io(VIDIOC_S_PARM, &wanted);
}

std::string set_input(const Node& node, int input) {
    return node.io(VIDIOC_S_INPUT, &input);
}

std::string set_control(const Node& node, std::uint32_t id, std::int32_t value) {
    v4l2_control control{id, value};
    const std::string answer = node.io(VIDIOC_S_CTRL, &control);
    return answer == "ok" ? "ok " + std::to_string(control.value) : answer;
}

std::string extended(const Node& node, unsigned long request, std::uint32_t which, std::uint32_t id,
                     std::int32_t value, unsigned count = 1) {
    v4l2_ext_control element{};
    element.id = id;
    element.value = value;
    v4l2_ext_controls list{};
    list.which = which;
    list.count = count;
    list.controls = &element;
    const std::string answer = node.io(request, &list);
    return answer + " error at " + std::to_string(list.error_idx) + " value " +
           std::to_string(element.value);
}

std::string set_priority(const Node& node, std::uint32_t priority) {
    return node.io(VIDIOC_S_PRIORITY, &priority);
}

std::string priority(const Node& node) {
    std::uint32_t now = 0;
    const std::string answer = node.io(VIDIOC_G_PRIORITY, &now);
    return answer + " " + std::to_string(now);
}

std::string subscribed(const Node& node, std::uint32_t type, std::uint32_t id,
                       std::uint32_t flags = 0, unsigned long request = VIDIOC_SUBSCRIBE_EVENT) {
    v4l2_event_subscription wanted{};
    wanted.type = type;
    wanted.id = id;
    wanted.flags = flags;
    return node.io(request, &wanted);
}

std::string event(const Node& node) {
    v4l2_event taken{};
    const std::string answer = node.io(VIDIOC_DQEVENT, &taken);
    return answer != "ok"
               ? answer
               : "ok type " + std::to_string(taken.type) + " changes " +
                     std::to_string(taken.u.ctrl.changes) + " pending " +
                     std::to_string(taken.pending) + " sequence " + std::to_string(taken.sequence);
}

constexpr std::uint32_t brightness = V4L2_CID_BRIGHTNESS;
constexpr std::uint32_t no_control = V4L2_CID_USER_BASE + 0xeee;

/// Both devices have 0..255 and 128.
void restore(const Node& node) {
    set_control(node, brightness, 128);
}

using C = const Calls&;
using P = const std::string&;

constexpr Probe memory_list[] = {
    {"mmap/read-write",
     [](C c, P p) {
         Node node(c, p);
         return all({node.request(2), node.map(1, 0, PROT_READ | PROT_WRITE, MAP_SHARED)});
     }},
    {"mmap/read-only",
     [](C c, P p) {
         Node node(c, p);
         return all({node.request(2), node.map(1, 0, PROT_READ, MAP_SHARED)});
     }},
    {"mmap/write-only",
     [](C c, P p) {
         Node node(c, p);
         return all({node.request(2), node.map(1, 0, PROT_WRITE, MAP_SHARED)});
     }},
    {"mmap/private",
     [](C c, P p) {
         Node node(c, p);
         return all({node.request(2), node.map(1, 0, PROT_READ, MAP_PRIVATE)});
     }},
    {"mmap/shorter",
     [](C c, P p) {
         Node node(c, p);
         return all({node.request(2), node.map(1, 4096, PROT_READ, MAP_SHARED)});
     }},
    {"mmap/longer",
     [](C c, P p) {
         Node node(c, p);
         return all({node.request(2), node.map(1, 2 * node.frame_size(), PROT_READ, MAP_SHARED)});
     }},
    {"mmap/other-offset",
     [](C c, P p) {
         Node node(c, p);
         return all({node.request(2), node.map(1, 0, PROT_READ, MAP_SHARED, 4096)});
     }},
    {"mmap/twice",
     [](C c, P p) {
         Node node(c, p);
         return all({node.request(2), node.map(1, 0, PROT_READ, MAP_SHARED),
                     node.map(1, 0, PROT_READ, MAP_SHARED)});
     }},
    {"mmap/userptr",
     [](C c, P p) {
         Node node(c, p);
         return all(
             {node.request(2, V4L2_MEMORY_USERPTR), node.map(1, 4096, PROT_READ, MAP_SHARED)});
     }},
    {"mmap/other-file",
     [](C c, P p) {
         const Node node(c, p);
         Node other(c, p);
         return all({node.request(2), other.map(1, 0, PROT_READ, MAP_SHARED)});
     }},
    {"expbuf/no-buffers", [](C c, P p) { return exported(c, Node(c, p), 0, 0, O_RDWR); }},
    {"expbuf/one",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(2), exported(c, node, 1, 0, O_RDWR | O_CLOEXEC)});
     }},
    {"expbuf/past-the-end",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(2), exported(c, node, 2, 0, O_RDWR)});
     }},
    {"expbuf/plane",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(2), exported(c, node, 1, 1, O_RDWR)});
     }},
    {"expbuf/flags",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(2), exported(c, node, 1, 0, O_RDWR | O_NONBLOCK)});
     }},
    {"expbuf/userptr",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(2, V4L2_MEMORY_USERPTR), exported(c, node, 1, 0, O_RDWR)});
     }},
};

}  // namespace

std::span<const Probe> memory_probes() {
    return memory_list;
}

namespace {

constexpr Probe device_list[] = {
    {"format/other-type",
     [](C c, P p) {
         v4l2_format format{};
         format.type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
         return Node(c, p).io(VIDIOC_G_FMT, &format);
     }},
    {"format/multi-planar-type",
     [](C c, P p) {
         v4l2_format format{};
         format.type = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
         return Node(c, p).io(VIDIOC_G_FMT, &format);
     }},
    {"format/busy",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(2), set_format(node, 320, 180), same_format(node),
                     set_format(node, 320, 180, VIDIOC_TRY_FMT)});
     }},
    {"format/busy-by-other-file",
     [](C c, P p) {
         const Node node(c, p);
         const Node other(c, p);
         return all({node.request(2), set_format(other, 320, 180)});
     }},
    {"format/streaming",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.start(2), set_format(node, 320, 180)});
     }},
    {"format/last",
     [](C c, P p) {
         v4l2_fmtdesc entry{};
         entry.index = 1000;
         entry.type = Node::type;
         return Node(c, p).io(VIDIOC_ENUM_FMT, &entry);
     }},
    {"parm/busy",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(2), set_rate(node)});
     }},
    {"parm/other-type",
     [](C c, P p) {
         v4l2_streamparm wanted{};
         wanted.type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
         return Node(c, p).io(VIDIOC_G_PARM, &wanted);
     }},
    {"input/busy",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(2), set_input(node, 0), set_input(node, 1)});
     }},
    {"input/past-the-end", [](C c, P p) { return set_input(Node(c, p), 100); }},
    {"priority/at-first", [](C c, P p) { return priority(Node(c, p)); }},
    {"priority/unknown", [](C c, P p) { return set_priority(Node(c, p), 7); }},
    {"priority/unset", [](C c, P p) { return set_priority(Node(c, p), 0); }},
    {"priority/record-keeps-others-out",
     [](C c, P p) {
         const Node node(c, p);
         const Node other(c, p);
         return all({set_priority(node, V4L2_PRIORITY_RECORD), priority(other), same_format(other),
                     other.request(2), set_control(other, brightness, 128), other.stream_on(),
                     set_priority(other, V4L2_PRIORITY_BACKGROUND)});
     }},
    {"priority/record-ends-with-close",
     [](C c, P p) {
         const Node other(c, p);
         const std::string first = set_priority(Node(c, p), V4L2_PRIORITY_RECORD);
         return all({first, same_format(other), priority(other)});
     }},
    {"control/unknown",
     [](C c, P p) {
         v4l2_control control{no_control, 0};
         return Node(c, p).io(VIDIOC_G_CTRL, &control);
     }},
    {"control/too-high",
     [](C c, P p) {
         const Node node(c, p);
         const std::string answer = set_control(node, brightness, 1000);
         restore(node);
         return answer;
     }},
    {"control/query-unknown",
     [](C c, P p) {
         v4l2_queryctrl query{};
         query.id = no_control;
         return Node(c, p).io(VIDIOC_QUERYCTRL, &query);
     }},
    {"control/ext-none",
     [](C c, P p) { return extended(Node(c, p), VIDIOC_G_EXT_CTRLS, 0, brightness, 0, 0); }},
    {"control/ext-get",
     [](C c, P p) { return extended(Node(c, p), VIDIOC_G_EXT_CTRLS, 0, brightness, 0); }},
    {"control/ext-unknown",
     [](C c, P p) { return extended(Node(c, p), VIDIOC_S_EXT_CTRLS, 0, no_control, 0); }},
    {"control/ext-wrong-class",
     [](C c, P p) {
         return extended(Node(c, p), VIDIOC_G_EXT_CTRLS, V4L2_CTRL_CLASS_CAMERA, brightness, 0);
     }},
    {"control/ext-default",
     [](C c, P p) {
         return extended(Node(c, p), VIDIOC_G_EXT_CTRLS, V4L2_CTRL_WHICH_DEF_VAL, brightness, 0);
     }},
    {"control/ext-set-default",
     [](C c, P p) {
         return extended(Node(c, p), VIDIOC_S_EXT_CTRLS, V4L2_CTRL_WHICH_DEF_VAL, brightness, 0);
     }},
    {"control/ext-try-too-high",
     [](C c, P p) { return extended(Node(c, p), VIDIOC_TRY_EXT_CTRLS, 0, brightness, 1000); }},
    {"control/while-streaming",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.start(2), set_control(node, brightness, 128)});
     }},
    {"event/none", [](C c, P p) { return event(Node(c, p)); }},
    {"event/unknown-type", [](C c, P p) { return subscribed(Node(c, p), 0x7777, 0); }},
    {"event/all", [](C c, P p) { return subscribed(Node(c, p), V4L2_EVENT_ALL, 0); }},
    {"event/unknown-control",
     [](C c, P p) { return subscribed(Node(c, p), V4L2_EVENT_CTRL, no_control); }},
    {"event/source-change",
     [](C c, P p) { return subscribed(Node(c, p), V4L2_EVENT_SOURCE_CHANGE, 0); }},
    {"event/eos", [](C c, P p) { return subscribed(Node(c, p), V4L2_EVENT_EOS, 0); }},
    {"event/send-initial",
     [](C c, P p) {
         const Node node(c, p);
         const std::string answer =
             subscribed(node, V4L2_EVENT_CTRL, brightness, V4L2_EVENT_SUB_FL_SEND_INITIAL);
         return all({answer, node.poll_now(POLLPRI), event(node), event(node)});
     }},
    {"event/by-other-file",
     [](C c, P p) {
         const Node node(c, p);
         const Node other(c, p);
         std::string answer = subscribed(node, V4L2_EVENT_CTRL, brightness);
         set_control(node, brightness, 100);
         answer = all({answer, event(node)});
         set_control(other, brightness, 110);
         set_control(other, brightness, 120);
         answer = all({answer, node.poll_now(POLLPRI), event(node), event(node)});
         restore(other);
         return answer;
     }},
    {"event/unsubscribed",
     [](C c, P p) {
         const Node node(c, p);
         std::string answer =
             subscribed(node, V4L2_EVENT_CTRL, brightness, V4L2_EVENT_SUB_FL_SEND_INITIAL);
         answer = all({answer, subscribed(node, V4L2_EVENT_ALL, 0, 0, VIDIOC_UNSUBSCRIBE_EVENT)});
         return all({answer, event(node)});
     }},
    {"event/beside-frame",
     [](C c, P p) {
         const Node node(c, p);
         std::string answer =
             subscribed(node, V4L2_EVENT_CTRL, brightness, V4L2_EVENT_SUB_FL_SEND_INITIAL);
         answer = all({answer, node.start(4)});
         node.wait_for_frame();
         return all({answer, node.poll_now(POLLIN | POLLPRI), node.poll_now(POLLPRI)});
     }},
    {"other/unknown-ioctl",
     [](C c, P p) {
         std::uint32_t argument = 0;
         return Node(c, p).io(_IOWR('V', 250, std::uint32_t), &argument);
     }},
    {"other/other-magic",
     [](C c, P p) {
         std::uint32_t argument = 0;
         return Node(c, p).io(_IOWR('q', 1, std::uint32_t), &argument);
     }},
    {"other/null-argument", [](C c, P p) { return Node(c, p).io(VIDIOC_QUERYCAP, nullptr); }},
    {"other/null-buffer", [](C c, P p) { return Node(c, p).io(VIDIOC_QBUF, nullptr); }},
    {"other/log-status", [](C c, P p) { return Node(c, p).io(VIDIOC_LOG_STATUS, nullptr); }},
    {"other/tuner",
     [](C c, P p) {
         v4l2_modulator modulator{};
         return Node(c, p).io(VIDIOC_G_MODULATOR, &modulator);
     }},
    {"other/overlay",
     [](C c, P p) {
         int on = 1;
         return Node(c, p).io(VIDIOC_OVERLAY, &on);
     }},
    {"other/encoder",
     [](C c, P p) {
         v4l2_encoder_cmd command{};
         return Node(c, p).io(VIDIOC_ENCODER_CMD, &command);
     }},
};

}  // namespace

std::span<const Probe> device_probes() {
    return device_list;
}

}  // namespace v4lfence::difference
