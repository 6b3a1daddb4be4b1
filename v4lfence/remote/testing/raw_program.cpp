// SPDX-License-Identifier: MIT

#include "v4lfence/remote/testing/raw_program.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <utility>

#include "v4lfence/base/socket.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/fence.hpp"

namespace v4lfence::remote::testing {

using v4lfence::testing::FakeDevice;

short wait_for(int fd, short events) {
    pollfd entry{fd, events, 0};
    const auto count = sys::poll({&entry, 1}, 10'000);
    return count && *count > 0 ? entry.revents : short{0};
}

// --- a connection --------------------------------------------------------------------------------

RawProgram::RawProgram(const std::string& address, std::int64_t number, bool silent) {
    auto connection = sys::connect_to(address);
    EXPECT_TRUE(connection);
    if (!connection) {
        return;
    }
    connection_ = std::move(*connection);
    if (!silent) {
        EXPECT_EQ(hello(protocol_version, number).error, 0);
    }
}

bool RawProgram::say(Request request, const Passed& passed) {
    std::vector<int> descriptors;
    request.has_file = passed.file >= 0;
    request.has_in_fence = passed.in_fence >= 0;
    request.memory_fds = passed.memory >= 0;
    for (const int fd : {passed.file, passed.in_fence, passed.memory}) {
        if (fd >= 0) {
            descriptors.push_back(fd);
        }
    }
    return send(fd(), request, passed.argument, passed.payload, descriptors, sys::Waiting::Yes)
        .has_value();
}

Told RawProgram::hear() {
    Told told;
    if (wait_for(fd(), POLLIN) == 0) {
        told.error = -ETIMEDOUT;
        return told;
    }
    if (const auto received = incoming_.receive(fd(), sys::Waiting::Yes); !received) {
        told.error = received.error().code;
        return told;
    }
    told.error = incoming_.head().error;
    told.numbers = incoming_.head().numbers;
    told.argument.assign(incoming_.argument().begin(), incoming_.argument().end());
    told.payload.assign(incoming_.payload().begin(), incoming_.payload().end());
    while (UniqueFd descriptor = incoming_.next_descriptor()) {
        told.descriptors.push_back(std::move(descriptor));
    }
    return told;
}

Told RawProgram::ask(Request request, const Passed& passed) {
    if (!say(request, passed)) {
        Told told;
        told.error = -EPIPE;
        return told;
    }
    return hear();
}

Told RawProgram::hello(std::int64_t version, std::int64_t number, bool with_memory) {
    Request request;
    request.op = Op::Hello;
    request.numbers = {version, number, 0, 0};
    const auto memory = sys::open("/proc/self/mem", O_RDWR);
    return ask(request, {.file = with_memory && memory ? memory->get() : -1});
}

void RawProgram::closed() {
    Request request;
    request.op = Op::Closed;
    EXPECT_EQ(ask(request).error, 0);
}

// --- a file --------------------------------------------------------------------------------------

RawFile RawFile::open(RawProgram& program, const char* name) {
    Request request;
    request.op = Op::Open;
    Told told =
        program.ask(request, {.payload = std::as_bytes(std::span(name, std::strlen(name)))});
    EXPECT_EQ(told.error, 0);
    RawFile file{program, UniqueFd(), MappedMemory()};
    EXPECT_EQ(told.descriptors.size(), 2U);
    if (told.descriptors.size() == 2) {
        file.fd = std::move(told.descriptors[0]);
        auto page =
            MappedMemory::create(told.descriptors[1].get(), page_size(), MemoryUse::ReadOnly);
        EXPECT_TRUE(page);
        file.page = page ? std::move(*page) : MappedMemory();
    }
    return file;
}

/// The controls of the fake device, as a client would ask for them.
class FakeSizes final : public ControlSizes {
public:
    std::uint32_t payload_size(std::uint32_t id) override {
        return id == v4lfence::testing::text_control    ? v4lfence::testing::text_max + 1
               : id == v4lfence::testing::array_control ? v4lfence::testing::array_elements
                                                        : 0;
    }
};

int RawFile::call(std::uint32_t request, void* argument, int in_fence, int memory, RawProgram* as) {
    const IoctlEntry& entry = *find_ioctl(request);
    FlatCall flat;
    FakeSizes sizes;
    if (const auto copied = flat.copy_in(sizes, entry, request, argument); !copied) {
        return copied.error().code;
    }
    flat.to_offsets();
    Call& call = flat.call();
    const std::size_t size = _IOC_DIR(request) == _IOC_NONE ? 0 : _IOC_SIZE(entry.request);
    Request message;
    message.op = Op::Ioctl;
    message.request = request;
    Told answer = (as != nullptr ? *as : program)
                      .ask(message, {fd.get(),
                                     in_fence,
                                     memory,
                                     {static_cast<const std::byte*>(call.argument), size},
                                     call.payload});
    EXPECT_LE(answer.argument.size(), size);
    EXPECT_TRUE(answer.payload.empty() || answer.payload.size() == call.payload.size());
    std::copy(answer.argument.begin(), answer.argument.end(),
              static_cast<std::byte*>(call.argument));
    std::copy(answer.payload.begin(), answer.payload.end(), call.payload.begin());
    if (!answer.descriptors.empty()) {
        call.fd_out = std::move(answer.descriptors.front());
    }
    flat.to_pointers();
    flat.copy_out(answer.error == 0);
    told = answer.numbers;
    return answer.error;
}

Told RawFile::ask(Op op, std::array<std::int64_t, 4> numbers, RawProgram* as) const {
    Request request;
    request.op = op;
    request.numbers = numbers;
    return (as != nullptr ? *as : program).ask(request, {.file = fd.get()});
}

short RawFile::poll(short events) const {
    const auto shown = sys::poll_now(fd.get(), events);
    return shown ? *shown : POLLNVAL;
}

v4l2_buffer mmap_buffer(unsigned index) {
    v4l2_buffer buffer{};
    buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buffer.memory = V4L2_MEMORY_MMAP;
    buffer.index = index;
    return buffer;
}

int RawFile::request_buffers(unsigned count, std::uint32_t memory) {
    v4l2_requestbuffers request{};
    request.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    request.memory = memory;
    request.count = count;
    return (*this)(VIDIOC_REQBUFS, request);
}

int RawFile::queue(unsigned index) {
    v4l2_buffer buffer = mmap_buffer(index);
    return (*this)(VIDIOC_QBUF, buffer);
}

void RawFile::stream(unsigned count) {
    ASSERT_EQ(request_buffers(count), 0);
    for (unsigned i = 0; i < count; ++i) {
        ASSERT_EQ(queue(i), 0);
    }
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    ASSERT_EQ((*this)(VIDIOC_STREAMON, type), 0);
}

int RawFile::dequeue(RawProgram* as) {
    v4l2_buffer buffer = mmap_buffer(0);
    const int error = call(VIDIOC_DQBUF, &buffer, -1, -1, as);
    return error < 0 ? error : static_cast<int>(buffer.index);
}

std::uint64_t RawFile::changes() const {
    // A program looks at it as it is: nothing else orders the two processes either.
    return *reinterpret_cast<const volatile std::uint64_t*>(page.bytes().data());
}

std::uint32_t flags_of(RawFile& file, unsigned index) {
    v4l2_buffer buffer = mmap_buffer(index);
    EXPECT_EQ(file(VIDIOC_QUERYBUF, buffer), 0);
    return buffer.flags;
}

int outcome(int fence) {
    const auto seen = Fence::import(fence, DmaBufAccess::Write);
    return !seen ? seen.error().code : seen->status.ended() ? seen->status.error : 1;
}

// --- the rig -------------------------------------------------------------------------------------

ServerRig::ServerRig(const ServerOptions& options)
    : ServerRig(std::make_unique<FakeDevice>(), options) {}

ServerRig::ServerRig(std::unique_ptr<FakeDevice> fake, const ServerOptions& options)
    : rig(std::move(fake)) {
    static std::atomic<unsigned> count{0};
    address = "@v4lfence-server-test-" + std::to_string(::getpid()) + "-" +
              std::to_string(count.fetch_add(1));
    auto listening = Server::listen(address, options);
    EXPECT_TRUE(listening);
    server = std::move(*listening);
    // The rig has the device for as long as the server has it.
    server->add(device_name, std::shared_ptr<VideoDevice>(rig.device.get(), [](VideoDevice*) {}));
    EXPECT_TRUE(server->start());
}

void ServerRig::finish_frame() {
    // The device's buffers are what the latest QBUF has left: it had this lock.
    const std::lock_guard lock(rig.device->ioctl_mutex());
    ASSERT_FALSE(rig.fake.buffers.empty());
    rig.fake.finish_frame();
}

}  // namespace v4lfence::remote::testing
