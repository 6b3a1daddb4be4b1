// SPDX-License-Identifier: MIT

#include "v4lfence/remote/device_call.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/uapi_fences.h"

namespace v4lfence::remote {

namespace {

/// What an answer has is as long as what was sent, or is not there.
bool fits(std::span<const std::byte> came, std::span<const std::byte> sent) {
    return came.empty() || came.size() == sent.size();
}

}  // namespace

bool DeviceCall::queues() const {
    return entry_.request == VIDIOC_QBUF || entry_.request == VIDIOC_PREPARE_BUF;
}

Result<> DeviceCall::copy_in(ControlSizes& sizes, std::uint32_t request, void* argument) {
    V4LFENCE_TRY(flat_.copy_in(sizes, entry_, request, argument));
    if (queues() && buffer().memory == V4L2_MEMORY_USERPTR) {
        check_user_memory();
    }
    return {};
}

/// What the kernel would find when it pins the pages. The server has other checks to make first, so
/// memory that is no good travels as none, and is refused in its turn.
void DeviceCall::check_user_memory() {
    v4l2_buffer& buffer = this->buffer();
    const MemoryUse use =
        V4L2_TYPE_IS_OUTPUT(buffer.type) ? MemoryUse::ReadOnly : MemoryUse::ReadWrite;
    if (!V4L2_TYPE_IS_MULTIPLANAR(buffer.type)) {
        check_user_plane(buffer, use);
        return;
    }
    for (v4l2_plane& plane : std::span(buffer.m.planes, buffer.length)) {
        check_user_plane(plane, use);
    }
}

template <class Plane>
void DeviceCall::check_user_plane(Plane& plane, MemoryUse use) {
    if (plane.length == 0) {
        return;
    }
    const auto usable = sys::fault_in(plane.m.userptr, plane.length, use);
    if (!usable) {
        memory_error_ = usable.error().code;
        plane.m.userptr = 0;
    }
}

std::size_t DeviceCall::argument_size() const {
    return _IOC_DIR(entry_.request) != _IOC_NONE ? _IOC_SIZE(entry_.request) : 0;
}

std::size_t DeviceCall::awaited() {
    const bool exports = entry_.request == VIDIOC_EXPBUF;
    const bool fences =
        entry_.request == VIDIOC_QBUF && (buffer().flags & V4L2_BUF_FLAG_OUT_FENCE) != 0;
    return exports || fences ? 1 : 0;
}

Message DeviceCall::message(Closed closed) {
    const Call& call = flat_.call();
    Message message(Op::Ioctl, fd_);
    const std::span argument(static_cast<const std::byte*>(call.argument), argument_size());
    wide_ = to_wide({call.request, argument, call.payload}, room_);
    message.header.request = wide_.request;
    message.argument = wide_.argument;
    message.payload = wide_.payload;
    message.awaited = awaited();
    const auto is_passed = [closed](int fd) {
        return fd >= 0 && (closed == Closed::Pass || sys::get_status_flags(fd));
    };
    if (is_passed(call.in_fence)) {
        message.header.has_in_fence = 1;
        message.add(call.in_fence);
    }
    for (unsigned plane = 0; plane < planes_max; ++plane) {
        if (is_passed(call.memory_fds[plane])) {
            message.header.memory_fds |= static_cast<std::uint8_t>(1U << plane);
            message.add(call.memory_fds[plane]);
        }
    }
    return message;
}

Result<Client::Lease> DeviceCall::ask(Client& client, const WakeOf& wanted) {
    auto lease = client.ask(message(Closed::Pass), wanted);
    if (lease || lease.error().code != -EBADF) {
        return lease;
    }
    // A number that is no descriptor: the server says what becomes of that.
    return client.ask(message(Closed::LeaveOut), wanted);
}

Result<Reply> DeviceCall::make(Client& client, const WakeOf& wanted) {
    flat_.to_offsets();
    const auto lease = V4LFENCE_TRY(ask(client, wanted));
    Connection& connection = *lease;
    Reply reply = connection.answer().head();
    V4LFENCE_TRY(take_content(connection));
    V4LFENCE_TRY(take_descriptor(connection.answer()));
    flat_.copy_out(reply.error == 0);
    if (reply.error == -EFAULT && memory_error_ != 0) {
        reply.error = memory_error_;
    }
    return reply;
}

Result<> DeviceCall::take_content(Connection& connection) {
    Incoming<Reply>& answer = connection.answer();
    Call& call = flat_.call();
    const std::span<std::byte> argument(static_cast<std::byte*>(call.argument), argument_size());
    const bool reads = (_IOC_DIR(entry_.request) & _IOC_READ) != 0;
    const bool missing = answer.head().error == 0 && reads && answer.argument().empty();
    if (missing || !fits(answer.argument(), wide_.argument) ||
        !fits(answer.payload(), wide_.payload)) {
        connection.give_up();
        return fail(-ENODEV, "an answer of another size");
    }
    from_wide({wide_.request, answer.argument(), answer.payload()}, call.request, argument,
              call.payload);
    flat_.to_pointers();
    return {};
}

/// It came with the lowest free number, and keeps it.
Result<> DeviceCall::take_descriptor(Incoming<Reply>& answer) {
    UniqueFd& taken = flat_.call().fd_out;
    taken = answer.next_descriptor();
    if (taken && entry_.request == VIDIOC_EXPBUF) {
        const auto flags = flat_.call().as<v4l2_exportbuffer>().flags;
        V4LFENCE_TRY(sys::set_open_flags(taken.get(), static_cast<int>(flags)));
    }
    return {};
}

}  // namespace v4lfence::remote
