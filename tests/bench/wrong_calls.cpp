// SPDX-License-Identifier: MIT

#include "tests/bench/wrong_calls.hpp"

#include <sys/ioctl.h>

namespace v4lfence::bench {

namespace {

constexpr unsigned capture_type = V4L2_BUF_TYPE_VIDEO_CAPTURE;

v4l2_buffer buffer_of(unsigned index, unsigned type, unsigned memory) {
    v4l2_buffer buffer{};
    buffer.index = index;
    buffer.type = type;
    buffer.memory = memory;
    return buffer;
}

class Answers {
public:
    explicit Answers(const Capture& capture) : capture_(capture) {}

    void ask(const char* name, unsigned long request, void* argument) {
        text_ += std::string(text_.empty() ? "" : ", ") + "[\"" + name + "\", " +
                 std::to_string(capture_.try_ioctl(request, argument)) + "]";
    }

    void ask_buffer(const char* name, unsigned long request, unsigned index,
                    unsigned type = capture_type, unsigned memory = V4L2_MEMORY_MMAP) {
        v4l2_buffer buffer = buffer_of(index, type, memory);
        ask(name, request, &buffer);
    }

    std::string json() const { return "[" + text_ + "]"; }

private:
    const Capture& capture_;
    std::string text_;
};

void ask_of_buffers(Answers& answers) {
    answers.ask_buffer("QBUF of no such index", VIDIOC_QBUF, 99);
    answers.ask_buffer("QBUF of no such type", VIDIOC_QBUF, 0, 200);
    answers.ask_buffer("QBUF of an output", VIDIOC_QBUF, 0, V4L2_BUF_TYPE_VIDEO_OUTPUT);
    answers.ask_buffer("QBUF of other memory", VIDIOC_QBUF, 0, capture_type, V4L2_MEMORY_USERPTR);
    answers.ask_buffer("QBUF", VIDIOC_QBUF, 0);
    answers.ask_buffer("QBUF of a queued buffer", VIDIOC_QBUF, 0);
    answers.ask_buffer("PREPARE_BUF", VIDIOC_PREPARE_BUF, 1);
    answers.ask_buffer("PREPARE_BUF again", VIDIOC_PREPARE_BUF, 1);
    answers.ask_buffer("QUERYBUF", VIDIOC_QUERYBUF, 0);
    answers.ask_buffer("QUERYBUF of no such index", VIDIOC_QUERYBUF, 99);
    answers.ask_buffer("DQBUF without a stream", VIDIOC_DQBUF, 0);
    answers.ask_buffer("DQBUF of no such type", VIDIOC_DQBUF, 0, 200);
}

void ask_of_the_file(Answers& answers) {
    unsigned type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
    answers.ask("STREAMON of an output", VIDIOC_STREAMON, &type);
    type = 200;
    answers.ask("STREAMOFF of no such type", VIDIOC_STREAMOFF, &type);
    type = capture_type;
    answers.ask("STREAMOFF without a stream", VIDIOC_STREAMOFF, &type);
    v4l2_exportbuffer exported{};
    exported.type = capture_type;
    exported.index = 99;
    answers.ask("EXPBUF of no such index", VIDIOC_EXPBUF, &exported);
    v4l2_control control{};
    answers.ask("G_CTRL of no such control", VIDIOC_G_CTRL, &control);
    for (const unsigned long request : {VIDIOC_QBUF, VIDIOC_QUERYCAP, VIDIOC_REQBUFS}) {
        answers.ask("no argument", request, nullptr);
    }
    int nothing = 0;
    answers.ask("no such request", _IOWR('V', 191, int), &nothing);
    answers.ask("no request of V4L2", _IOR('z', 7, int), &nothing);
    v4l2_requestbuffers request{};
    request.type = 200;
    request.memory = V4L2_MEMORY_MMAP;
    answers.ask("REQBUFS of no such type", VIDIOC_REQBUFS, &request);
    request = {};
    request.type = capture_type;
    request.memory = V4L2_MEMORY_MMAP;
    answers.ask("REQBUFS of none", VIDIOC_REQBUFS, &request);
}

}  // namespace

std::string json_of_wrong_calls(const Capture& capture) {
    Answers answers(capture);
    ask_of_buffers(answers);
    ask_of_the_file(answers);
    return answers.json();
}

}  // namespace v4lfence::bench
