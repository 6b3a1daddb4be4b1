// SPDX-License-Identifier: MIT
//
// STREAMON to DQBUF, poll() in each state, and read().

#include <linux/videodev2.h>
#include <poll.h>

#include <string>

#include "tests/unfenced_difference/node.hpp"

namespace v4lfence::difference {

namespace {

constexpr short all_events = POLLIN | POLLOUT | POLLPRI | POLLRDNORM | POLLWRNORM;

std::string first_frame(const Node& node) {
    if (!node.wait_for_frame()) {
        return "no frame";
    }
    v4l2_buffer taken = node.buffer(0);
    const std::string answer = node.io(VIDIOC_DQBUF, &taken);
    return answer + " " + std::to_string(taken.index) + " " + buffer_flags(taken.flags) +
           " sequence " + std::to_string(taken.sequence) + " field " + std::to_string(taken.field) +
           (taken.bytesused == node.frame_size() ? " whole" : " not whole");
}

using C = const Calls&;
using P = const std::string&;

constexpr Probe stream_list[] = {
    {"streamon/no-buffers", [](C c, P p) { return Node(c, p).stream_on(); }},
    {"streamon/none-queued",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), node.stream_on(), node.dequeue()});
     }},
    {"streamon/twice",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.start(4), node.stream_on()});
     }},
    {"streamon/other-type",
     [](C c, P p) {
         std::uint32_t type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
         return Node(c, p).io(VIDIOC_STREAMON, &type);
     }},
    {"streamon/other-file",
     [](C c, P p) {
         const Node node(c, p);
         const Node other(c, p);
         return all({node.request(4), node.queue(0), other.stream_on()});
     }},
    {"streamoff/no-buffers", [](C c, P p) { return Node(c, p).stream_off(); }},
    {"streamoff/other-type",
     [](C c, P p) {
         std::uint32_t type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
         return Node(c, p).io(VIDIOC_STREAMOFF, &type);
     }},
    {"streamoff/queued",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), node.queue(1), node.stream_off(), node.state(1)});
     }},
    {"streamoff/streaming",
     [](C c, P p) {
         const Node node(c, p);
         return all(
             {node.start(4), node.stream_off(), node.state(0), node.dequeue(), node.queue(0)});
     }},
    {"streamoff/other-file",
     [](C c, P p) {
         const Node node(c, p);
         const Node other(c, p);
         return all({node.start(4), other.stream_off()});
     }},
    {"frame/first",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.start(4), first_frame(node)});
     }},
    {"frame/timestamp-source",
     [](C c, P p) {
         const Node node(c, p);
         v4l2_buffer asked = node.buffer(0);
         const std::string answer = all({node.request(1), node.io(VIDIOC_QUERYBUF, &asked)});
         const bool start = (asked.flags & V4L2_BUF_FLAG_TSTAMP_SRC_MASK) != 0;
         return answer + (start ? " start of exposure" : " end of frame");
     }},
    {"frame/after-restart",
     [](C c, P p) {
         const Node node(c, p);
         std::string answer = all({node.start(2), first_frame(node)});
         answer = all({answer, node.stream_off(), node.queue(1), node.stream_on()});
         return all({answer, first_frame(node)});
     }},
    {"frame/done-in-querybuf",
     [](C c, P p) {
         const Node node(c, p);
         std::string answer = node.start(4);
         node.wait_for_frame();
         answer = all({answer, node.state(0), node.dequeue()});
         return all({answer, node.state(0)});
     }},
    {"dqbuf/no-buffers", [](C c, P p) { return Node(c, p).dequeue(); }},
    {"dqbuf/not-streaming",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), node.queue(0), node.dequeue()});
     }},
    {"dqbuf/none-queued",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), node.stream_on(), node.dequeue()});
     }},
    {"dqbuf/other-type",
     [](C c, P p) {
         const Node node(c, p);
         v4l2_buffer wanted = node.buffer(0);
         wanted.type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
         return all({node.start(4), node.io(VIDIOC_DQBUF, &wanted)});
     }},
    {"dqbuf/other-memory",
     [](C c, P p) {
         const Node node(c, p);
         std::string answer = node.start(4);
         node.wait_for_frame();
         v4l2_buffer wanted = node.buffer(0, V4L2_MEMORY_USERPTR);
         return all(
             {answer, node.io(VIDIOC_DQBUF, &wanted), "memory " + std::to_string(wanted.memory)});
     }},
    {"dqbuf/other-file",
     [](C c, P p) {
         const Node node(c, p);
         const Node other(c, p);
         std::string answer = node.start(4);
         node.wait_for_frame();
         return all({answer, other.dequeue()});
     }},
    {"poll/no-buffers-pri", [](C c, P p) { return Node(c, p).poll_now(POLLPRI); }},
    {"poll/no-buffers-out", [](C c, P p) { return Node(c, p).poll_now(POLLOUT); }},
    {"poll/nothing-asked",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.start(4), node.poll_now(0)});
     }},
    {"poll/not-streaming",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), node.queue(0), node.poll_now(all_events)});
     }},
    {"poll/not-queued",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), node.poll_now(POLLIN)});
     }},
    {"poll/streaming-none-queued",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), node.stream_on(), node.poll_now(POLLIN)});
     }},
    {"poll/frame",
     [](C c, P p) {
         const Node node(c, p);
         std::string answer = node.start(4);
         node.wait_for_frame();
         return all({answer, node.poll_now(all_events), node.poll_now(POLLOUT)});
     }},
    {"poll/all-taken",
     [](C c, P p) {
         const Node node(c, p);
         std::string answer = node.start(1);
         answer = all({answer, first_frame(node)});
         return all({answer, node.poll_now(POLLIN)});
     }},
    {"poll/other-file",
     [](C c, P p) {
         const Node node(c, p);
         const Node other(c, p);
         std::string answer = node.start(4);
         node.wait_for_frame();
         return all({answer, other.poll_now(POLLIN)});
     }},
    {"poll/after-streamoff",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.start(4), node.stream_off(), node.poll_now(POLLIN)});
     }},
    {"poll/starts-read",
     [](C c, P p) {
         const Node node(c, p);
         const std::string answer = node.wait_for_frame() ? "a frame" : "none";
         return all({answer, node.read(node.frame_size())});
     }},
    {"read/at-once", [](C c, P p) { return Node(c, p).read(100); }},
    {"read/no-bytes", [](C c, P p) { return Node(c, p).read(0); }},
    {"read/frame",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.start_read(), node.read(node.frame_size())});
     }},
    {"read/parts",
     [](C c, P p) {
         const Node node(c, p);
         node.start_read();
         std::string answer = node.read(node.frame_size() / 2);
         answer = all({answer, node.wait_for_frame() ? "the next one" : "none"});
         return all({answer, node.read(node.frame_size())});
     }},
    {"read/after-reqbufs",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), node.read(100)});
     }},
    {"read/other-file",
     [](C c, P p) {
         const Node node(c, p);
         const Node other(c, p);
         node.start_read();
         return all({node.read(100), other.read(100)});
     }},
    {"read/then-ioctls",
     [](C c, P p) {
         const Node node(c, p);
         node.start_read();
         return all({node.read(100), node.request(4), node.request(0), node.state(0), node.queue(0),
                     node.dequeue(), node.stream_on(), node.stream_off()});
     }},
    {"read/then-format",
     [](C c, P p) {
         const Node node(c, p);
         node.start_read();
         std::string answer = node.read(100);
         v4l2_format format = node.format();
         format.fmt.pix.width = 320;
         format.fmt.pix.height = 180;
         return all({answer, node.io(VIDIOC_S_FMT, &format)});
     }},
};

}  // namespace

std::span<const Probe> stream_probes() {
    return stream_list;
}

}  // namespace v4lfence::difference
