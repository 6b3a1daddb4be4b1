// SPDX-License-Identifier: MIT
//
// The fixed structs of layouts.hpp against the videodev2.h that this is compiled with: once for
// each of the layouts. Nothing of it runs.

#include <linux/videodev2.h>

#include <cstddef>
#include <ctime>
#include <type_traits>

#include "v4lfence/uapi/layouts.hpp"

namespace v4lfence {

namespace {

#define SAME(ours, theirs, field) offsetof(ours, field) == offsetof(theirs, field)
#define SAME_AS(ours, field, theirs, member) offsetof(ours, field) == offsetof(theirs, member)

template <class Buffer, class Plane>
constexpr bool check_buffer() {
    static_assert(sizeof(Buffer) == sizeof(v4l2_buffer));
    static_assert(SAME(Buffer, v4l2_buffer, bytesused) && SAME(Buffer, v4l2_buffer, flags) &&
                  SAME(Buffer, v4l2_buffer, field));
    static_assert(SAME_AS(Buffer, tv_sec, v4l2_buffer, timestamp.tv_sec) &&
                  SAME_AS(Buffer, tv_usec, v4l2_buffer, timestamp.tv_usec));
    static_assert(SAME(Buffer, v4l2_buffer, timecode) && SAME(Buffer, v4l2_buffer, sequence) &&
                  SAME(Buffer, v4l2_buffer, memory) && SAME(Buffer, v4l2_buffer, m));
    static_assert(SAME(Buffer, v4l2_buffer, length) && SAME(Buffer, v4l2_buffer, reserved2) &&
                  SAME(Buffer, v4l2_buffer, request_fd));
    static_assert(sizeof(Buffer::tv_sec) == sizeof(v4l2_buffer{}.timestamp.tv_sec));
    static_assert(sizeof(Buffer::m) == sizeof(v4l2_buffer{}.m));
    static_assert(sizeof(Plane) == sizeof(v4l2_plane) && SAME(Plane, v4l2_plane, m) &&
                  SAME(Plane, v4l2_plane, data_offset) && SAME(Plane, v4l2_plane, reserved));
    return true;
}

template <class Event>
constexpr bool check_event() {
    static_assert(sizeof(Event) == sizeof(v4l2_event));
    static_assert(SAME(Event, v4l2_event, u) && SAME(Event, v4l2_event, pending) &&
                  SAME(Event, v4l2_event, sequence) && SAME(Event, v4l2_event, id) &&
                  SAME(Event, v4l2_event, reserved));
    static_assert(SAME_AS(Event, tv_sec, v4l2_event, timestamp.tv_sec) &&
                  SAME_AS(Event, tv_nsec, v4l2_event, timestamp.tv_nsec));
    return true;
}

template <class Controls, class Format, class CreateBuffers>
constexpr bool check_with_pointers() {
    static_assert(sizeof(Controls) == sizeof(v4l2_ext_controls));
    static_assert(
        SAME(Controls, v4l2_ext_controls, count) && SAME(Controls, v4l2_ext_controls, error_idx) &&
        SAME(Controls, v4l2_ext_controls, request_fd) &&
        SAME(Controls, v4l2_ext_controls, reserved) && SAME(Controls, v4l2_ext_controls, controls));
    static_assert(sizeof(v4l2_ext_control) == 20 && offsetof(v4l2_ext_control, value64) == 12);
    static_assert(sizeof(Format) == sizeof(v4l2_format) && SAME(Format, v4l2_format, fmt));
    static_assert(sizeof(CreateBuffers) == sizeof(v4l2_create_buffers));
    static_assert(SAME(CreateBuffers, v4l2_create_buffers, memory) &&
                  SAME(CreateBuffers, v4l2_create_buffers, format) &&
                  SAME_AS(CreateBuffers, last, v4l2_create_buffers, capabilities));
    return true;
}

template <class Input, class Standard>
constexpr bool check_inputs() {
    static_assert(sizeof(Input) == sizeof(v4l2_input));
    static_assert(offsetof(v4l2_input, std) == 48 && offsetof(v4l2_input, capabilities) == 60);
    static_assert(sizeof(Standard) == sizeof(v4l2_standard));
    static_assert(SAME(Standard, v4l2_standard, id) &&
                  SAME_AS(Standard, rest, v4l2_standard, name));
    return true;
}

/// What travels as it is.
static_assert(sizeof(v4l2_capability) == 104 && sizeof(v4l2_fmtdesc) == 64 &&
              sizeof(v4l2_frmsizeenum) == 44 && sizeof(v4l2_frmivalenum) == 52 &&
              sizeof(v4l2_streamparm) == 204 && sizeof(v4l2_std_id) == 8);
static_assert(sizeof(v4l2_enum_dv_timings) == 148 && sizeof(v4l2_dv_timings) == 132 &&
              sizeof(v4l2_dv_timings_cap) == 144 && sizeof(v4l2_selection) == 64 &&
              sizeof(v4l2_cropcap) == 44 && sizeof(v4l2_crop) == 20);
static_assert(sizeof(v4l2_queryctrl) == 68 && sizeof(v4l2_query_ext_ctrl) == 232 &&
              offsetof(v4l2_query_ext_ctrl, minimum) == 40 && sizeof(v4l2_querymenu) == 44 &&
              sizeof(v4l2_control) == 8 && sizeof(v4l2_event_subscription) == 32);
static_assert(sizeof(v4l2_requestbuffers) == 20 && sizeof(v4l2_exportbuffer) == 64);

#undef SAME
#undef SAME_AS

constexpr bool is_64_bit = sizeof(void*) == 8;
constexpr bool has_32_bit_times = sizeof(std::time_t) == 4;

template <class Wide, class Narrow, class Time32 = Narrow>
using Here =
    std::conditional_t<is_64_bit, Wide, std::conditional_t<has_32_bit_times, Time32, Narrow>>;

static_assert(check_buffer<Here<Buffer64, Buffer32, Buffer32Time32>, Here<Plane64, Plane32>>());
static_assert(check_event<Here<Event64, Event32, Event32Time32>>());
static_assert(check_with_pointers<Here<ExtControls64, ExtControls32>, Here<Format64, Format32>,
                                  Here<CreateBuffers64, CreateBuffers32>>());
static_assert(check_inputs<Here<Input64, Input32>, Here<Standard64, Standard32>>());

}  // namespace

}  // namespace v4lfence
