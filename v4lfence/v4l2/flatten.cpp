// SPDX-License-Identifier: MIT

#include "v4lfence/v4l2/flatten.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "v4lfence/base/pointer.hpp"
#include "v4lfence/uapi_fences.h"
#include "v4lfence/v4l2/device.hpp"

namespace v4lfence {

namespace {

bool has_buffer(std::uint32_t request) {
    return request == VIDIOC_QUERYBUF || request == VIDIOC_PREPARE_BUF || request == VIDIOC_QBUF ||
           request == VIDIOC_DQBUF;
}

bool has_controls(std::uint32_t request) {
    return request == VIDIOC_G_EXT_CTRLS || request == VIDIOC_S_EXT_CTRLS ||
           request == VIDIOC_TRY_EXT_CTRLS;
}

constexpr std::size_t aligned(std::size_t size) {
    return (size + 7) / 8 * 8;
}

/// Bytes of the argument that a handler gets from the program; the rest is zero.
std::size_t read_size(const IoctlEntry& entry) {
    const std::size_t known =
        entry.read_bytes != 0 ? entry.read_bytes : std::size_t{_IOC_SIZE(entry.request)};
    return _IOC_DIR(entry.request) & _IOC_WRITE ? known : 0;
}

v4l2_ext_control* elements_of(const Call& call) {
    return reinterpret_cast<v4l2_ext_control*>(call.payload.data());
}

}  // namespace

std::uint32_t LocalControlSizes::payload_size(std::uint32_t id) {
    v4l2_query_ext_ctrl query{};
    query.id = id & V4L2_CTRL_ID_MASK;
    if (controls_ == nullptr || !controls_->query(query) ||
        !(query.flags & V4L2_CTRL_FLAG_HAS_PAYLOAD)) {
        return 0;
    }
    return query.elem_size * query.elems;
}

// --- in ------------------------------------------------------------------------------------------

Result<> FlatCall::copy_in(FileHandle& file, const IoctlEntry& entry, std::uint32_t request,
                           void* argument) {
    LocalControlSizes sizes(file.device().controls());
    return copy_in(sizes, entry, request, argument);
}

Result<> FlatCall::copy_in(ControlSizes& sizes, const IoctlEntry& entry, std::uint32_t request,
                           void* argument) {
    entry_ = &entry;
    program_argument_ = argument;
    program_array_ = nullptr;
    payloads_.clear();
    call_ = Call{};
    call_.request = request;
    call_.argument = argument_.data();
    // Of a later header's struct, what this one knows.
    const std::size_t size = _IOC_SIZE(entry.request);
    if (_IOC_DIR(entry.request) == _IOC_NONE) {
        return {};
    }
    if (!is_plausible(argument)) {
        return fail(-EFAULT, "the argument is no pointer");
    }
    const std::size_t read = read_size(entry);
    std::memcpy(argument_.data(), argument, read);
    std::memset(argument_.data() + read, 0, size - read);
    if (has_buffer(entry.request)) {
        return copy_in_buffer();
    }
    return has_controls(entry.request) ? copy_in_controls(sizes) : Result<>{};
}

Result<> FlatCall::copy_in_buffer() {
    v4l2_buffer& buffer = this->buffer();
    const bool multi_planar = V4L2_TYPE_IS_MULTIPLANAR(buffer.type);
    if (multi_planar) {
        program_array_ = std::exchange(buffer.m.planes, nullptr);
    }
    if (multi_planar && buffer.length > 0) {
        if (buffer.length > VIDEO_MAX_PLANES) {
            return fail(-EINVAL, "too many planes");
        }
        if (!is_plausible(program_array_)) {
            return fail(-EFAULT, "the planes are no pointer");
        }
        V4LFENCE_TRY(make_payload(buffer.length * sizeof(v4l2_plane)));
        std::memcpy(call_.payload.data(), program_array_, call_.payload.size());
        buffer.m.planes = reinterpret_cast<v4l2_plane*>(call_.payload.data());
    }
    if (entry_->request == VIDIOC_QBUF && (buffer.flags & V4L2_BUF_FLAG_IN_FENCE)) {
        call_.in_fence = v4l2_buffer_fence_fd(&buffer);
    }
    const bool queues = entry_->request == VIDIOC_QBUF || entry_->request == VIDIOC_PREPARE_BUF;
    if (queues && buffer.memory == V4L2_MEMORY_DMABUF) {
        const unsigned count = multi_planar ? buffer.length : 1;
        for (unsigned i = 0; i < count; ++i) {
            call_.memory_fds[i] = multi_planar ? buffer.m.planes[i].m.fd : buffer.m.fd;
        }
    }
    return {};
}

Result<> FlatCall::copy_in_controls(ControlSizes& sizes) {
    v4l2_ext_controls& controls = this->controls();
    program_array_ = std::exchange(controls.controls, nullptr);
    if (controls.count == 0) {
        return {};
    }
    if (controls.count > V4L2_CID_MAX_CTRLS) {
        return fail(-EINVAL, "too many controls");
    }
    if (!is_plausible(program_array_)) {
        return fail(-EFAULT, "the controls are no pointer");
    }
    // Once: what another thread of the program does to it meanwhile changes nothing.
    const auto* const source = static_cast<const v4l2_ext_control*>(program_array_);
    std::vector<v4l2_ext_control> array(source, source + controls.count);
    const std::size_t array_size = array.size() * sizeof(v4l2_ext_control);
    std::size_t total = aligned(array_size);
    for (v4l2_ext_control& element : array) {
        element.reserved2[0] = 0;
        const std::uint32_t whole = sizes.payload_size(element.id);
        ControlPayload payload{total, std::min(element.size, whole), element.size, element.ptr,
                               whole > 0};
        if (payload.size > 0 && !is_plausible(payload.program)) {
            return fail(-EFAULT, "the value of a control is no pointer");
        }
        total += aligned(payload.size);
        payloads_.push_back(payload);
    }
    V4LFENCE_TRY(make_payload(total));
    for (std::size_t i = 0; i < array.size(); ++i) {
        const ControlPayload& payload = payloads_[i];
        if (!payload.exists) {
            continue;
        }
        std::byte* const target = call_.payload.data() + payload.offset;
        if (payload.size > 0) {
            std::memcpy(target, payload.program, payload.size);
        }
        array[i].ptr = target;
        array[i].size = payload.size;
    }
    std::memcpy(call_.payload.data(), array.data(), array_size);
    controls.controls = reinterpret_cast<v4l2_ext_control*>(call_.payload.data());
    return {};
}

Result<> FlatCall::make_payload(std::size_t size) {
    if (size <= payload_.size()) {
        call_.payload = std::span(payload_).first(size);
        return {};
    }
    large_payload_.reset(new (std::nothrow) std::byte[size]);
    if (!large_payload_) {
        return fail(-ENOMEM, "the array of an ioctl");
    }
    call_.payload = {large_payload_.get(), size};
    return {};
}

// --- out -----------------------------------------------------------------------------------------

void FlatCall::copy_out(bool answered) {
    if (!answered && !(entry_->flags & IoctlEntry::AnswersOnError)) {
        call_.fd_out.reset();
        return;
    }
    if (has_buffer(entry_->request)) {
        copy_out_buffer();
    } else if (has_controls(entry_->request)) {
        copy_out_controls();
    } else if (entry_->request == VIDIOC_EXPBUF) {
        call_.as<v4l2_exportbuffer>().fd = std::move(call_.fd_out).release();
    }
    if (_IOC_DIR(entry_->request) & _IOC_READ) {
        std::memcpy(program_argument_, argument_.data(), _IOC_SIZE(entry_->request));
    }
}

void FlatCall::copy_out_buffer() {
    v4l2_buffer& buffer = this->buffer();
    if (!call_.payload.empty()) {
        std::memcpy(program_array_, call_.payload.data(), call_.payload.size());
    }
    if (V4L2_TYPE_IS_MULTIPLANAR(buffer.type)) {
        buffer.m.planes = static_cast<v4l2_plane*>(program_array_);
    }
    if (call_.fd_out) {
        v4l2_buffer_fence_fd(&buffer) = std::move(call_.fd_out).release();
    }
}

void FlatCall::copy_out_controls() {
    v4l2_ext_controls& controls = this->controls();
    auto* const target = static_cast<v4l2_ext_control*>(program_array_);
    for (std::size_t i = 0; i < payloads_.size(); ++i) {
        const ControlPayload& payload = payloads_[i];
        v4l2_ext_control element = controls.controls[i];
        if (payload.exists) {
            const void* const value = call_.payload.data() + payload.offset;
            // A program may set a text that it cannot write to.
            if (payload.size > 0 && std::memcmp(payload.program, value, payload.size) != 0) {
                std::memcpy(payload.program, value, payload.size);
            }
            element.ptr = payload.program;
            element.size = element.size == payload.size ? payload.program_size : element.size;
        }
        std::memcpy(target + i, &element, sizeof element);
    }
    controls.controls = target;
}

// --- between processes ---------------------------------------------------------------------------

void FlatCall::to_offsets() {
    if (call_.payload.empty()) {
        return;
    }
    if (has_buffer(entry_->request)) {
        buffer().m.planes = nullptr;
        return;
    }
    controls().controls = nullptr;
    for (std::size_t i = 0; i < payloads_.size(); ++i) {
        if (payloads_[i].exists) {
            elements_of(call_)[i].ptr = reinterpret_cast<void*>(payloads_[i].offset);
        }
    }
}

/// Of the elements' pointers copy_out() needs none.
void FlatCall::to_pointers() {
    if (call_.payload.empty()) {
        return;
    }
    if (has_buffer(entry_->request)) {
        buffer().m.planes = reinterpret_cast<v4l2_plane*>(call_.payload.data());
    } else {
        controls().controls = elements_of(call_);
    }
}

namespace {

Result<> planes_to_local(Call& call) {
    auto& buffer = call.as<v4l2_buffer>();
    const bool multi_planar = V4L2_TYPE_IS_MULTIPLANAR(buffer.type);
    if (multi_planar && buffer.length > VIDEO_MAX_PLANES) {
        return fail(-EINVAL, "too many planes");
    }
    const std::size_t planes = multi_planar ? buffer.length : 0;
    if (call.payload.size() != planes * sizeof(v4l2_plane)) {
        return fail(-EINVAL, "the planes of a call");
    }
    if (multi_planar) {
        buffer.m.planes = planes > 0 ? reinterpret_cast<v4l2_plane*>(call.payload.data()) : nullptr;
    }
    return {};
}

Result<> controls_to_local(Call& call, ControlSizes& sizes) {
    auto& head = call.as<v4l2_ext_controls>();
    head.controls = nullptr;
    const std::size_t array_size = aligned(std::size_t{head.count} * sizeof(v4l2_ext_control));
    if (head.count > V4L2_CID_MAX_CTRLS || array_size > call.payload.size()) {
        return fail(-EINVAL, "the controls of a call");
    }
    std::size_t total = array_size;
    for (std::size_t i = 0; i < head.count; ++i) {
        v4l2_ext_control& element = elements_of(call)[i];
        element.reserved2[0] = 0;
        const std::uint32_t whole = sizes.payload_size(element.id);
        if (whole == 0) {
            continue;
        }
        const std::size_t size = element.size;
        if (size > whole || aligned(size) > call.payload.size() - total) {
            return fail(-EINVAL, "the value of a control in a call");
        }
        element.ptr = call.payload.data() + total;
        total += aligned(size);
    }
    if (total != call.payload.size()) {
        return fail(-EINVAL, "the values of the controls of a call");
    }
    head.controls = head.count > 0 ? elements_of(call) : nullptr;
    return {};
}

}  // namespace

/// The places are where copy_in() puts them: the offsets that came are not even looked at.
Result<> to_local(Call& call, const IoctlEntry& entry, std::size_t argument_size,
                  ControlSizes& sizes) {
    const std::size_t size = _IOC_DIR(entry.request) == _IOC_NONE ? 0 : _IOC_SIZE(entry.request);
    if (argument_size != size) {
        return fail(-EINVAL, "the size of a call's argument");
    }
    const std::size_t read = read_size(entry);
    if (size > read) {
        std::memset(static_cast<std::byte*>(call.argument) + read, 0, size - read);
    }
    if (has_buffer(entry.request)) {
        return planes_to_local(call);
    }
    if (has_controls(entry.request)) {
        return controls_to_local(call, sizes);
    }
    return call.payload.empty() ? Result<>{} : fail(-EINVAL, "a call with something behind it");
}

void to_remote(Call& call, const IoctlEntry& entry, ControlSizes& sizes) {
    if (call.payload.empty()) {
        return;
    }
    if (has_buffer(entry.request)) {
        call.as<v4l2_buffer>().m.planes = nullptr;
        return;
    }
    auto& head = call.as<v4l2_ext_controls>();
    head.controls = nullptr;
    for (std::size_t i = 0; i < head.count; ++i) {
        v4l2_ext_control& element = elements_of(call)[i];
        if (sizes.payload_size(element.id) > 0) {
            const auto* const value = static_cast<const std::byte*>(element.ptr);
            element.ptr = reinterpret_cast<void*>(value - call.payload.data());
        }
    }
}

}  // namespace v4lfence
