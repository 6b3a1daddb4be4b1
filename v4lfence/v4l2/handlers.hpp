// SPDX-License-Identifier: MIT
//
// The handlers of dispatch.cpp's table, by group. Each gets an argument whose type, size and
// pointers are right, and answers in it.

#pragma once

#include "v4lfence/v4l2/dispatch.hpp"

namespace v4lfence::ioctls {

/// Errors: EINVAL the device has no queue of this type.
Result<> check_type(const FileHandle& file, std::uint32_t type);
/// The same, for calls that use the queue. Errors: EBUSY read() has it for itself.
Result<> check_queue_call(FileHandle& file, std::uint32_t type);

// ioctl_caps.cpp
Result<> querycap(FileHandle& file, Call& call);
Result<> log_status(FileHandle& file, Call& call);
Result<> g_priority(FileHandle& file, Call& call);
Result<> s_priority(FileHandle& file, Call& call);

// ioctl_format.cpp
Result<> enum_fmt(FileHandle& file, Call& call);
Result<> g_fmt(FileHandle& file, Call& call);
Result<> s_fmt(FileHandle& file, Call& call);
Result<> try_fmt(FileHandle& file, Call& call);
Result<> enum_framesizes(FileHandle& file, Call& call);
Result<> enum_frameintervals(FileHandle& file, Call& call);
Result<> g_parm(FileHandle& file, Call& call);
Result<> s_parm(FileHandle& file, Call& call);

// ioctl_input.cpp
Result<> enum_input(FileHandle& file, Call& call);
Result<> g_input(FileHandle& file, Call& call);
Result<> s_input(FileHandle& file, Call& call);
Result<> enum_std(FileHandle& file, Call& call);
Result<> g_std(FileHandle& file, Call& call);
Result<> s_std(FileHandle& file, Call& call);
Result<> querystd(FileHandle& file, Call& call);
Result<> enum_dv_timings(FileHandle& file, Call& call);
Result<> g_dv_timings(FileHandle& file, Call& call);
Result<> s_dv_timings(FileHandle& file, Call& call);
Result<> query_dv_timings(FileHandle& file, Call& call);
Result<> dv_timings_cap(FileHandle& file, Call& call);

// ioctl_selection.cpp
Result<> g_selection(FileHandle& file, Call& call);
Result<> s_selection(FileHandle& file, Call& call);
Result<> cropcap(FileHandle& file, Call& call);
Result<> g_crop(FileHandle& file, Call& call);
Result<> s_crop(FileHandle& file, Call& call);

// ioctl_controls.cpp
Result<> queryctrl(FileHandle& file, Call& call);
Result<> query_ext_ctrl(FileHandle& file, Call& call);
Result<> querymenu(FileHandle& file, Call& call);
Result<> g_ctrl(FileHandle& file, Call& call);
Result<> s_ctrl(FileHandle& file, Call& call);
Result<> g_ext_ctrls(FileHandle& file, Call& call);
Result<> s_ext_ctrls(FileHandle& file, Call& call);
Result<> try_ext_ctrls(FileHandle& file, Call& call);

// ioctl_events.cpp
Result<> subscribe_event(FileHandle& file, Call& call);
Result<> unsubscribe_event(FileHandle& file, Call& call);
Result<> dqevent(FileHandle& file, Call& call);

// ioctl_buffers.cpp
Result<> reqbufs(FileHandle& file, Call& call);
Result<> create_bufs(FileHandle& file, Call& call);
Result<> remove_bufs(FileHandle& file, Call& call);
Result<> querybuf(FileHandle& file, Call& call);
Result<> prepare_buf(FileHandle& file, Call& call);
Result<> qbuf(FileHandle& file, Call& call);
Result<> dqbuf(FileHandle& file, Call& call);
Result<> expbuf(FileHandle& file, Call& call);

// ioctl_stream.cpp
Result<> streamon(FileHandle& file, Call& call);
Result<> streamoff(FileHandle& file, Call& call);
Result<> query_fences(FileHandle& file, Call& call);

}  // namespace v4lfence::ioctls
