// SPDX-License-Identifier: MIT
//
// Controls: QUERYCTRL to TRY_EXT_CTRLS. What they mean is ControlSet's.

#include <span>

#include "v4lfence/v4l2/device.hpp"
#include "v4lfence/v4l2/handlers.hpp"

namespace v4lfence::ioctls {

namespace {

Result<ControlSet*> controls_of(FileHandle& file) {
    if (ControlSet* const controls = file.device().controls()) {
        return controls;
    }
    return fail(-ENOTTY, "the device has no controls");
}

std::span<v4l2_ext_control> array_of(const v4l2_ext_controls& head) {
    return {head.controls, head.controls != nullptr ? head.count : 0};
}

}  // namespace

Result<> queryctrl(FileHandle& file, Call& call) {
    return V4LFENCE_TRY(controls_of(file))->query(call.as<v4l2_queryctrl>());
}

Result<> query_ext_ctrl(FileHandle& file, Call& call) {
    return V4LFENCE_TRY(controls_of(file))->query(call.as<v4l2_query_ext_ctrl>());
}

Result<> querymenu(FileHandle& file, Call& call) {
    return V4LFENCE_TRY(controls_of(file))->query_menu(call.as<v4l2_querymenu>());
}

Result<> g_ctrl(FileHandle& file, Call& call) {
    return V4LFENCE_TRY(controls_of(file))->get(call.as<v4l2_control>());
}

Result<> s_ctrl(FileHandle& file, Call& call) {
    return V4LFENCE_TRY(controls_of(file))->set(call.as<v4l2_control>(), &file.events());
}

Result<> g_ext_ctrls(FileHandle& file, Call& call) {
    auto& head = call.as<v4l2_ext_controls>();
    return V4LFENCE_TRY(controls_of(file))->get_ext(head, array_of(head));
}

Result<> s_ext_ctrls(FileHandle& file, Call& call) {
    auto& head = call.as<v4l2_ext_controls>();
    return V4LFENCE_TRY(controls_of(file))->set_ext(head, array_of(head), &file.events());
}

Result<> try_ext_ctrls(FileHandle& file, Call& call) {
    auto& head = call.as<v4l2_ext_controls>();
    return V4LFENCE_TRY(controls_of(file))->try_ext(head, array_of(head));
}

}  // namespace v4lfence::ioctls
