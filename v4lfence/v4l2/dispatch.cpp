// SPDX-License-Identifier: MIT

#include "v4lfence/v4l2/dispatch.hpp"

#include <linux/videodev2.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

#include "v4lfence/uapi/fence_query.hpp"
#include "v4lfence/uapi/remove_bufs.hpp"
#include "v4lfence/v4l2/device.hpp"
#include "v4lfence/v4l2/handlers.hpp"

namespace v4lfence {

namespace {

constexpr auto prio = IoctlEntry::NeedsPriority;
constexpr auto owner = IoctlEntry::NeedsOwner;
constexpr auto unlocked = IoctlEntry::Unlocked;
constexpr auto answers = IoctlEntry::AnswersOnError;

constexpr std::uint8_t both(std::uint8_t a, std::uint8_t b) {
    return static_cast<std::uint8_t>(a | b);
}

/// Bytes of a struct up to the end of a field.
#define UP_TO(type, field)                                                                         \
    static_cast<std::uint16_t>(offsetof(type, field) + sizeof(std::declval<type&>().field))

#define ENTRY(request, handler, ...)                                                               \
    IoctlEntry {                                                                                   \
        static_cast<std::uint32_t>(request), #request, ioctls::handler, __VA_ARGS__                \
    }

constexpr std::array unsorted{
    // Capabilities.
    ENTRY(VIDIOC_QUERYCAP, querycap),
    ENTRY(VIDIOC_LOG_STATUS, log_status),
    ENTRY(VIDIOC_G_PRIORITY, g_priority),
    ENTRY(VIDIOC_S_PRIORITY, s_priority, prio),
    // Formats.
    ENTRY(VIDIOC_ENUM_FMT, enum_fmt),
    ENTRY(VIDIOC_G_FMT, g_fmt),
    ENTRY(VIDIOC_S_FMT, s_fmt, prio),
    ENTRY(VIDIOC_TRY_FMT, try_fmt),
    ENTRY(VIDIOC_ENUM_FRAMESIZES, enum_framesizes, 0, UP_TO(v4l2_frmsizeenum, pixel_format)),
    ENTRY(VIDIOC_ENUM_FRAMEINTERVALS, enum_frameintervals, 0, UP_TO(v4l2_frmivalenum, height)),
    ENTRY(VIDIOC_G_PARM, g_parm, 0, UP_TO(v4l2_streamparm, type)),
    ENTRY(VIDIOC_S_PARM, s_parm, prio),
    // Inputs.
    ENTRY(VIDIOC_ENUMINPUT, enum_input, 0, UP_TO(v4l2_input, index)),
    ENTRY(VIDIOC_G_INPUT, g_input),
    ENTRY(VIDIOC_S_INPUT, s_input, prio),
    ENTRY(VIDIOC_ENUMSTD, enum_std, 0, UP_TO(v4l2_standard, index)),
    ENTRY(VIDIOC_G_STD, g_std),
    ENTRY(VIDIOC_S_STD, s_std, prio),
    ENTRY(VIDIOC_QUERYSTD, querystd),
    ENTRY(VIDIOC_ENUM_DV_TIMINGS, enum_dv_timings, 0, UP_TO(v4l2_enum_dv_timings, pad)),
    ENTRY(VIDIOC_G_DV_TIMINGS, g_dv_timings),
    ENTRY(VIDIOC_S_DV_TIMINGS, s_dv_timings, prio, UP_TO(v4l2_dv_timings, bt.flags)),
    ENTRY(VIDIOC_QUERY_DV_TIMINGS, query_dv_timings, answers),
    ENTRY(VIDIOC_DV_TIMINGS_CAP, dv_timings_cap, 0, UP_TO(v4l2_dv_timings_cap, pad)),
    // Selection.
    ENTRY(VIDIOC_G_SELECTION, g_selection, 0, UP_TO(v4l2_selection, r)),
    ENTRY(VIDIOC_S_SELECTION, s_selection, prio, UP_TO(v4l2_selection, r)),
    ENTRY(VIDIOC_CROPCAP, cropcap, 0, UP_TO(v4l2_cropcap, type)),
    ENTRY(VIDIOC_G_CROP, g_crop, 0, UP_TO(v4l2_crop, type)),
    ENTRY(VIDIOC_S_CROP, s_crop, prio),
    // Controls.
    ENTRY(VIDIOC_QUERYCTRL, queryctrl, 0, UP_TO(v4l2_queryctrl, id)),
    ENTRY(VIDIOC_QUERY_EXT_CTRL, query_ext_ctrl, 0, UP_TO(v4l2_query_ext_ctrl, id)),
    ENTRY(VIDIOC_QUERYMENU, querymenu, 0, UP_TO(v4l2_querymenu, index)),
    ENTRY(VIDIOC_G_CTRL, g_ctrl, 0, UP_TO(v4l2_control, id)),
    ENTRY(VIDIOC_S_CTRL, s_ctrl, prio),
    ENTRY(VIDIOC_G_EXT_CTRLS, g_ext_ctrls, answers),
    ENTRY(VIDIOC_S_EXT_CTRLS, s_ext_ctrls, both(prio, answers)),
    ENTRY(VIDIOC_TRY_EXT_CTRLS, try_ext_ctrls, answers),
    // Events.
    ENTRY(VIDIOC_SUBSCRIBE_EVENT, subscribe_event),
    ENTRY(VIDIOC_UNSUBSCRIBE_EVENT, unsubscribe_event),
    ENTRY(VIDIOC_DQEVENT, dqevent, unlocked),
    // Buffers.
    ENTRY(VIDIOC_REQBUFS, reqbufs, both(prio, owner)),
    ENTRY(VIDIOC_CREATE_BUFS, create_bufs, prio),
    ENTRY(remove_bufs_request, remove_bufs, both(prio, owner), UP_TO(RemoveBuffers, type)),
    ENTRY(VIDIOC_QUERYBUF, querybuf, unlocked, UP_TO(v4l2_buffer, length)),
    ENTRY(VIDIOC_PREPARE_BUF, prepare_buf, owner),
    ENTRY(VIDIOC_QBUF, qbuf, owner),
    ENTRY(VIDIOC_DQBUF, dqbuf, both(owner, unlocked)),
    ENTRY(VIDIOC_EXPBUF, expbuf, owner, UP_TO(v4l2_exportbuffer, flags)),
    // The stream.
    ENTRY(VIDIOC_STREAMON, streamon, both(prio, owner)),
    ENTRY(VIDIOC_STREAMOFF, streamoff, both(prio, owner)),
    ENTRY(VIDIOC_QUERY_FENCES, query_fences),
};

#undef ENTRY
#undef UP_TO

constexpr auto table = [] {
    auto sorted = unsorted;
    std::sort(sorted.begin(), sorted.end(),
              [](const IoctlEntry& a, const IoctlEntry& b) { return a.request < b.request; });
    return sorted;
}();

/// Errors: as dispatch() has them, before the handler.
Result<> check(FileHandle& file, const IoctlEntry& entry) {
    VideoDevice& device = file.device();
    if (device.is_gone()) {
        return fail(-ENODEV, "the device is gone");
    }
    if (entry.flags & IoctlEntry::NeedsPriority) {
        V4LFENCE_TRY(device.check_priority(file));
    }
    if (entry.flags & IoctlEntry::NeedsOwner) {
        V4LFENCE_TRY(device.check_owner(file));
    }
    return {};
}

}  // namespace

const IoctlEntry* find_ioctl(std::uint32_t request) {
    if (is_fence_query(request)) {
        request = VIDIOC_QUERY_FENCES;
    }
    const auto found = std::lower_bound(
        table.begin(), table.end(), request,
        [](const IoctlEntry& entry, std::uint32_t wanted) { return entry.request < wanted; });
    return found != table.end() && found->request == request ? &*found : nullptr;
}

Result<> dispatch(FileHandle& file, const IoctlEntry& entry, Call& call) {
    std::optional<VideoDevice::Turn> turn;
    if (!(entry.flags & IoctlEntry::Unlocked)) {
        turn.emplace(file.device());
    }
    V4LFENCE_TRY(check(file, entry));
    return entry.handler(file, call);
}

}  // namespace v4lfence
