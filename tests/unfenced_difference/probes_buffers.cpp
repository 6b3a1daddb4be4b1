// SPDX-License-Identifier: MIT
//
// REQBUFS to REMOVE_BUFS.

#include <sys/mman.h>

#include <algorithm>
#include <string>

#include "tests/unfenced_difference/node.hpp"

namespace v4lfence::difference {

namespace {

constexpr unsigned long remove_bufs_request = _IOWR('V', 104, std::uint32_t[16]);

std::string created(const Node& node, unsigned count, std::uint32_t memory, long more_bytes) {
    v4l2_create_buffers wanted{};
    wanted.count = count;
    wanted.memory = memory;
    wanted.format = node.format();
    wanted.format.fmt.pix.sizeimage =
        static_cast<std::uint32_t>(wanted.format.fmt.pix.sizeimage + more_bytes);
    const std::string answer = node.io(VIDIOC_CREATE_BUFS, &wanted);
    return answer == "ok" ? "ok " + std::to_string(wanted.count) + " from " +
                                std::to_string(std::min(wanted.index, 1000U))
                          : answer;
}

std::string removed(const Node& node, unsigned first, unsigned count) {
    std::uint32_t wanted[16] = {first, count, Node::type};
    return node.io(remove_bufs_request, wanted);
}

std::string capabilities(const Node& node, std::uint32_t memory, std::uint32_t flags = 0) {
    v4l2_requestbuffers wanted{};
    wanted.type = Node::type;
    wanted.memory = memory;
    wanted.flags = static_cast<std::uint8_t>(flags);
    const std::string answer = node.io(VIDIOC_REQBUFS, &wanted);
    return answer + " " + std::to_string(wanted.capabilities) + " flags " +
           std::to_string(wanted.flags);
}

std::string queued(const Node& node, const v4l2_buffer& wanted) {
    v4l2_buffer copy = wanted;
    const std::string answer = node.io(VIDIOC_QBUF, &copy);
    return answer == "ok" ? "ok " + buffer_flags(copy.flags) : answer;
}

std::string prepared(const Node& node, unsigned index) {
    v4l2_buffer wanted = node.buffer(index);
    const std::string answer = node.io(VIDIOC_PREPARE_BUF, &wanted);
    return answer == "ok" ? "ok " + buffer_flags(wanted.flags) : answer;
}

using C = const Calls&;
using P = const std::string&;

constexpr Probe buffer_list[] = {
    {"reqbufs/none", [](C c, P p) { return Node(c, p).request(0); }},
    {"reqbufs/one", [](C c, P p) { return Node(c, p).request(1); }},
    {"reqbufs/four", [](C c, P p) { return Node(c, p).request(4); }},
    {"reqbufs/hundred", [](C c, P p) { return Node(c, p).request(100); }},
    {"reqbufs/userptr", [](C c, P p) { return Node(c, p).request(4, V4L2_MEMORY_USERPTR); }},
    {"reqbufs/dmabuf", [](C c, P p) { return Node(c, p).request(4, V4L2_MEMORY_DMABUF); }},
    {"reqbufs/overlay", [](C c, P p) { return Node(c, p).request(4, V4L2_MEMORY_OVERLAY); }},
    {"reqbufs/memory-0", [](C c, P p) { return Node(c, p).request(4, 0); }},
    {"reqbufs/memory-5", [](C c, P p) { return Node(c, p).request(4, 5); }},
    {"reqbufs/capabilities", [](C c, P p) { return capabilities(Node(c, p), 1); }},
    {"reqbufs/flags", [](C c, P p) { return capabilities(Node(c, p), 1, 0xff); }},
    {"reqbufs/other-type",
     [](C c, P p) {
         v4l2_requestbuffers wanted{};
         wanted.count = 4;
         wanted.type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
         wanted.memory = V4L2_MEMORY_MMAP;
         return Node(c, p).io(VIDIOC_REQBUFS, &wanted);
     }},
    {"reqbufs/again",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), node.request(2), node.state(2)});
     }},
    {"reqbufs/other-memory-again",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), node.request(4, V4L2_MEMORY_USERPTR)});
     }},
    {"reqbufs/while-mapped",
     [](C c, P p) {
         Node node(c, p);
         return all({node.request(4), node.map(0, 0, PROT_READ, MAP_SHARED), node.request(4),
                     node.request(0)});
     }},
    {"reqbufs/while-queued",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), node.queue(0), node.request(4), node.state(0)});
     }},
    {"reqbufs/while-streaming",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.start(4), node.request(4)});
     }},
    {"reqbufs/none-while-streaming",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.start(4), node.request(0), node.stream_on()});
     }},
    {"reqbufs/other-file",
     [](C c, P p) {
         const Node node(c, p);
         const Node other(c, p);
         return all({node.request(4), other.request(4), other.request(0)});
     }},
    {"reqbufs/after-owner-frees",
     [](C c, P p) {
         const Node node(c, p);
         const Node other(c, p);
         return all({node.request(4), node.request(0), other.request(4)});
     }},
    {"reqbufs/after-owner-closes",
     [](C c, P p) {
         const Node other(c, p);
         const std::string first = Node(c, p).request(4);
         return all({first, other.request(4)});
     }},
    {"create-bufs/none", [](C c, P p) { return created(Node(c, p), 0, 1, 0); }},
    {"create-bufs/two", [](C c, P p) { return created(Node(c, p), 2, 1, 0); }},
    {"create-bufs/hundred", [](C c, P p) { return created(Node(c, p), 100, 1, 0); }},
    {"create-bufs/larger", [](C c, P p) { return created(Node(c, p), 2, 1, 4096); }},
    {"create-bufs/smaller", [](C c, P p) { return created(Node(c, p), 2, 1, -4096); }},
    {"create-bufs/memory-5", [](C c, P p) { return created(Node(c, p), 2, 5, 0); }},
    {"create-bufs/after-reqbufs",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), created(node, 2, 1, 0), node.state(5)});
     }},
    {"create-bufs/other-memory",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), created(node, 2, V4L2_MEMORY_USERPTR, 0)});
     }},
    {"create-bufs/while-streaming",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.start(4), created(node, 1, 1, 0), node.queue(4)});
     }},
    {"create-bufs/other-file",
     [](C c, P p) {
         const Node node(c, p);
         const Node other(c, p);
         return all({node.request(4), created(other, 2, 1, 0), created(other, 0, 1, 0)});
     }},
    {"create-bufs/full",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(100), created(node, 1, 1, 0)});
     }},
    {"remove-bufs/no-buffers", [](C c, P p) { return removed(Node(c, p), 0, 1); }},
    {"remove-bufs/none", [](C c, P p) { return removed(Node(c, p), 0, 0); }},
    {"remove-bufs/one",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), removed(node, 1, 1), node.state(1), node.state(2)});
     }},
    {"remove-bufs/queued",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), node.queue(1), removed(node, 0, 2), node.state(0)});
     }},
    {"remove-bufs/too-many",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), removed(node, 2, 10)});
     }},
    {"querybuf/no-buffers", [](C c, P p) { return Node(c, p).state(0); }},
    {"querybuf/past-the-end",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), node.state(3), node.state(4)});
     }},
    {"querybuf/length",
     [](C c, P p) {
         const Node node(c, p);
         v4l2_buffer asked = node.buffer(0);
         const std::string answer = all({node.request(4), node.io(VIDIOC_QUERYBUF, &asked)});
         const std::size_t page = 4096;
         const std::size_t whole = (node.frame_size() + page - 1) / page * page;
         return answer + (asked.length == whole               ? ", whole pages"
                          : asked.length == node.frame_size() ? ", sizeimage"
                                                              : ", another");
     }},
    {"querybuf/other-type",
     [](C c, P p) {
         const Node node(c, p);
         v4l2_buffer asked = node.buffer(0);
         asked.type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
         return all({node.request(4), node.io(VIDIOC_QUERYBUF, &asked)});
     }},
    {"querybuf/other-memory-ignored",
     [](C c, P p) {
         const Node node(c, p);
         v4l2_buffer asked = node.buffer(0, V4L2_MEMORY_USERPTR);
         return all({node.request(4), node.io(VIDIOC_QUERYBUF, &asked),
                     "memory " + std::to_string(asked.memory)});
     }},
    {"querybuf/other-file",
     [](C c, P p) {
         const Node node(c, p);
         const Node other(c, p);
         return all({node.request(4), other.state(0)});
     }},
    {"querybuf/mapped",
     [](C c, P p) {
         Node node(c, p);
         const std::string answer =
             all({node.request(4), node.map(0, 0, PROT_READ, MAP_SHARED), node.state(0)});
         node.unmap_all();
         return all({answer, node.state(0)});
     }},
    {"prepare-buf/fresh",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), prepared(node, 0), node.state(0)});
     }},
    {"prepare-buf/twice",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), prepared(node, 0), prepared(node, 0)});
     }},
    {"prepare-buf/queued",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), node.queue(0), prepared(node, 0)});
     }},
    {"prepare-buf/then-qbuf",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), prepared(node, 0), node.queue(0)});
     }},
    {"prepare-buf/then-stream-off",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), prepared(node, 0), node.stream_off(), node.state(0)});
     }},
    {"prepare-buf/past-the-end",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), prepared(node, 4)});
     }},
    {"qbuf/no-buffers", [](C c, P p) { return Node(c, p).queue(0); }},
    {"qbuf/past-the-end",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), node.queue(4)});
     }},
    {"qbuf/twice",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), node.queue(0), node.queue(0)});
     }},
    {"qbuf/other-file",
     [](C c, P p) {
         const Node node(c, p);
         const Node other(c, p);
         return all({node.request(4), other.queue(0)});
     }},
    {"qbuf/other-memory",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4), queued(node, node.buffer(0, V4L2_MEMORY_USERPTR))});
     }},
    {"qbuf/other-type",
     [](C c, P p) {
         const Node node(c, p);
         v4l2_buffer wanted = node.buffer(0);
         wanted.type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
         return all({node.request(4), queued(node, wanted)});
     }},
    {"qbuf/program-flags",
     [](C c, P p) {
         const Node node(c, p);
         v4l2_buffer wanted = node.buffer(0);
         wanted.flags = V4L2_BUF_FLAG_KEYFRAME | V4L2_BUF_FLAG_DONE | V4L2_BUF_FLAG_ERROR |
                        V4L2_BUF_FLAG_NO_CACHE_CLEAN | V4L2_BUF_FLAG_TIMECODE;
         return all({node.request(4), queued(node, wanted)});
     }},
    {"qbuf/request",
     [](C c, P p) {
         const Node node(c, p);
         v4l2_buffer wanted = node.buffer(0);
         wanted.flags = V4L2_BUF_FLAG_REQUEST_FD;
         wanted.request_fd = -1;
         return all({node.request(4), queued(node, wanted)});
     }},
    {"qbuf/userptr-null",
     [](C c, P p) {
         const Node node(c, p);
         return all({node.request(4, V4L2_MEMORY_USERPTR),
                     queued(node, node.buffer(0, V4L2_MEMORY_USERPTR))});
     }},
    {"qbuf/userptr-short",
     [](C c, P p) {
         const Node node(c, p);
         std::vector<char> memory(node.frame_size());
         v4l2_buffer wanted = node.buffer(0, V4L2_MEMORY_USERPTR);
         wanted.m.userptr = reinterpret_cast<unsigned long>(memory.data());
         wanted.length = static_cast<std::uint32_t>(memory.size() / 2);
         return all({node.request(4, V4L2_MEMORY_USERPTR), queued(node, wanted)});
     }},
    {"qbuf/userptr-nowhere",
     [](C c, P p) {
         const Node node(c, p);
         v4l2_buffer wanted = node.buffer(0, V4L2_MEMORY_USERPTR);
         wanted.m.userptr = 4096;
         wanted.length = static_cast<std::uint32_t>(node.frame_size());
         return all({node.request(4, V4L2_MEMORY_USERPTR), queued(node, wanted)});
     }},
    {"qbuf/userptr",
     [](C c, P p) {
         const Node node(c, p);
         std::vector<char> memory(node.frame_size());
         v4l2_buffer wanted = node.buffer(0, V4L2_MEMORY_USERPTR);
         wanted.m.userptr = reinterpret_cast<unsigned long>(memory.data());
         wanted.length = static_cast<std::uint32_t>(memory.size());
         const std::string answer =
             all({node.request(4, V4L2_MEMORY_USERPTR), queued(node, wanted)});
         return all({answer, node.request(0, V4L2_MEMORY_USERPTR)});
     }},
    {"qbuf/dmabuf-no-descriptor",
     [](C c, P p) {
         const Node node(c, p);
         v4l2_buffer wanted = node.buffer(0, V4L2_MEMORY_DMABUF);
         wanted.m.fd = -1;
         return all({node.request(4, V4L2_MEMORY_DMABUF), queued(node, wanted)});
     }},
    {"qbuf/dmabuf-of-no-dmabuf",
     [](C c, P p) {
         const Node node(c, p);
         v4l2_buffer wanted = node.buffer(0, V4L2_MEMORY_DMABUF);
         wanted.m.fd = 1;
         return all({node.request(4, V4L2_MEMORY_DMABUF), queued(node, wanted)});
     }},
};

}  // namespace

std::span<const Probe> buffer_probes() {
    return buffer_list;
}

}  // namespace v4lfence::difference
