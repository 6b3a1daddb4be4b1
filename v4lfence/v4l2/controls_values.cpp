// SPDX-License-Identifier: MIT
//
// What programs get and set: G_CTRL, S_CTRL and the three of extended controls.

#include <algorithm>
#include <cstring>

#include "v4lfence/v4l2/controls.hpp"

namespace v4lfence {

namespace {

bool is_class(std::uint32_t which) {
    return which != V4L2_CTRL_WHICH_CUR_VAL && which != V4L2_CTRL_WHICH_DEF_VAL;
}

std::int64_t number_in(const ControlSpec& spec, const v4l2_ext_control& element) {
    return spec.type == V4L2_CTRL_TYPE_INTEGER64 ? element.value64 : element.value;
}

void put_number(const ControlSpec& spec, std::int64_t number, v4l2_ext_control& element) {
    if (spec.type == V4L2_CTRL_TYPE_INTEGER64) {
        element.value64 = number;
    } else {
        element.value = static_cast<std::int32_t>(number);
    }
}

v4l2_ext_control as_element(const v4l2_control& control) {
    v4l2_ext_control element{};
    element.id = control.id;
    element.value = control.value;
    return element;
}

/// The struct as V4L2 wants it back whatever happens.
std::uint32_t begin(v4l2_ext_controls& head, std::span<v4l2_ext_control> array) {
    head.error_idx = static_cast<std::uint32_t>(array.size());
    head.reserved[0] = 0;
    for (v4l2_ext_control& element : array) {
        element.reserved2[0] = 0;
    }
    return static_cast<std::uint32_t>(V4L2_CTRL_ID2WHICH(head.which));
}

}  // namespace

Result<ControlSet::Turn> ControlSet::take_turn() {
    std::unique_lock lock(mutex_);
    if (turn_ == std::this_thread::get_id()) {
        return fail(-EDEADLK, "control set from within s_ctrl()");
    }
    turn_is_free_.wait(lock, [this] { return turn_ == std::thread::id(); });
    turn_ = std::this_thread::get_id();
    return Turn(this);
}

void ControlSet::EndTurn::operator()(ControlSet* set) const {
    const std::lock_guard lock(set->mutex_);
    set->turn_ = std::thread::id();
    set->turn_is_free_.notify_one();
}

Result<> ControlSet::get(v4l2_control& control) {
    const Control* const found = look_up(control.id);
    if (found == nullptr || !fits_32_bits(found->spec)) {
        return fail(-EINVAL, "no such control of 32 bits");
    }
    if (found->has(V4L2_CTRL_FLAG_WRITE_ONLY)) {
        return fail(-EACCES, "write-only control");
    }
    v4l2_ext_control element = as_element(control);
    V4LFENCE_TRY(read_value(*found, false, element));
    control.value = element.value;
    return {};
}

Result<> ControlSet::set(v4l2_control& control, const EventQueue* cause) {
    Control* const found = look_up(control.id);
    if (found == nullptr || !fits_32_bits(found->spec)) {
        return fail(-EINVAL, "no such control of 32 bits");
    }
    const Turn turn = V4LFENCE_TRY(take_turn());
    v4l2_ext_control element = as_element(control);
    V4LFENCE_TRY(stage(*found, element, Purpose::Set));
    V4LFENCE_TRY(apply(*found, element, cause));
    control.value = element.value;
    return {};
}

Result<> ControlSet::get_ext(v4l2_ext_controls& head, std::span<v4l2_ext_control> array) {
    const std::uint32_t which = begin(head, array);
    V4LFENCE_TRY(check_which(which, array.empty()));
    for (v4l2_ext_control& element : array) {
        V4LFENCE_TRY(check_found(which, element, Purpose::Get));
    }
    for (const v4l2_ext_control& element : array) {
        if (look_up(element.id)->has(V4L2_CTRL_FLAG_WRITE_ONLY)) {
            return fail(-EACCES, "write-only control");
        }
    }
    for (std::size_t index = 0; index < array.size(); ++index) {
        const Control& control = *look_up(array[index].id);
        head.error_idx = static_cast<std::uint32_t>(index);
        V4LFENCE_TRY(read_value(control, which == V4L2_CTRL_WHICH_DEF_VAL, array[index]));
    }
    return {};
}

Result<> ControlSet::try_ext(v4l2_ext_controls& head, std::span<v4l2_ext_control> array) {
    const Turn turn = V4LFENCE_TRY(take_turn());
    return stage_all(head, array, Purpose::Try);
}

Result<> ControlSet::set_ext(v4l2_ext_controls& head, std::span<v4l2_ext_control> array,
                             const EventQueue* cause) {
    const Turn turn = V4LFENCE_TRY(take_turn());
    const Result<> staged = stage_all(head, array, Purpose::Set);
    head.error_idx = static_cast<std::uint32_t>(array.size());
    V4LFENCE_TRY(staged);
    for (std::size_t index = 0; index < array.size(); ++index) {
        const Result<> applied = apply(*look_up(array[index].id), array[index], cause);
        if (!applied) {
            head.error_idx = static_cast<std::uint32_t>(index);
            return applied;
        }
    }
    return {};
}

/// `is_empty`: nothing but the question whether there is such a class.
Result<> ControlSet::check_which(std::uint32_t which, bool is_empty) const {
    if (which == V4L2_CTRL_WHICH_REQUEST_VAL) {
        return fail(-EINVAL, "device without requests");
    }
    if (is_empty && is_class(which) && look_up(which | 1) == nullptr) {
        return fail(-EINVAL, "no such class of controls");
    }
    return {};
}

/// Whether an element names a control with room for its payload; returns `size` of a compound one.
Result<> ControlSet::check_found(std::uint32_t which, v4l2_ext_control& element,
                                 Purpose purpose) const {
    const std::uint32_t id = element.id & V4L2_CTRL_ID_MASK;
    if (is_class(which) && V4L2_CTRL_ID2WHICH(id) != which) {
        return fail(-EINVAL, "control of another class");
    }
    const Control* const control = id < V4L2_CID_PRIVATE_BASE ? look_up(id) : nullptr;
    if (control == nullptr || control->has(V4L2_CTRL_FLAG_DISABLED)) {
        return fail(-EINVAL, "no such control");
    }
    if (is_compound(control->spec)) {
        const std::size_t size = payload_size(control->spec);
        const bool is_short = element.size < size;
        element.size = static_cast<std::uint32_t>(size);
        if (is_short) {
            return fail(purpose == Purpose::Get ? -ENOSPC : -EFAULT, "room for an array");
        }
    }
    return {};
}

Result<> ControlSet::read_value(const Control& control, bool is_default,
                                v4l2_ext_control& element) {
    const ControlSpec& spec = control.spec;
    if (!is_default && control.has(V4L2_CTRL_FLAG_VOLATILE)) {
        put_number(spec, V4LFENCE_TRY(sink_.g_volatile_ctrl(spec.id)), element);
        return {};
    }
    const std::lock_guard lock(mutex_);
    if (!has_payload(spec)) {
        const std::int64_t number = is_default ? spec.range.default_value : control.number.load();
        put_number(spec, number, element);
        return {};
    }
    std::vector<std::byte> defaults;
    if (is_default) {
        defaults.resize(payload_size(spec));
        fill_default(spec, defaults);
    }
    const std::span<const std::byte> payload = is_default ? defaults : control.payload;
    std::size_t size = payload.size();
    if (spec.type == V4L2_CTRL_TYPE_STRING) {
        size = ControlValue{0, payload}.text().size() + 1;
        if (element.size < size) {
            element.size = element_size(spec);
            return fail(-ENOSPC, "room for a string");
        }
    }
    std::memcpy(element.string, payload.data(), size);
    return {};
}

Result<> ControlSet::stage_all(v4l2_ext_controls& head, std::span<v4l2_ext_control> array,
                               Purpose purpose) {
    const std::uint32_t which = begin(head, array);
    if (which == V4L2_CTRL_WHICH_DEF_VAL) {
        return fail(-EINVAL, "defaults cannot be set");
    }
    V4LFENCE_TRY(check_which(which, array.empty()));
    for (std::size_t index = 0; index < array.size(); ++index) {
        head.error_idx = static_cast<std::uint32_t>(index);
        V4LFENCE_TRY(check_found(which, array[index], purpose));
    }
    for (std::size_t index = 0; index < array.size(); ++index) {
        head.error_idx = static_cast<std::uint32_t>(index);
        V4LFENCE_TRY(stage(*look_up(array[index].id), array[index], purpose));
    }
    return {};
}

Result<> ControlSet::stage(Control& control, v4l2_ext_control& element, Purpose purpose) {
    const ControlSpec& spec = control.spec;
    if (control.has(V4L2_CTRL_FLAG_READ_ONLY)) {
        return fail(-EACCES, "read-only control");
    }
    if (purpose == Purpose::Set && control.has(V4L2_CTRL_FLAG_GRABBED)) {
        return fail(-EBUSY, "grabbed control");
    }
    if (!has_payload(spec)) {
        const std::lock_guard lock(mutex_);
        put_number(spec, V4LFENCE_TRY(fitted(spec, number_in(spec, element))), element);
        return {};
    }
    std::size_t size = control.staged.size();
    if (spec.type == V4L2_CTRL_TYPE_STRING) {
        V4LFENCE_TRY(take_string(spec, {element.string, element.size}, control.staged));
        size = ControlValue{0, control.staged}.text().size() + 1;
    } else {
        std::memcpy(control.staged.data(), element.string, size);
        V4LFENCE_TRY(fit_elements(spec, control.staged));
    }
    std::memcpy(element.string, control.staged.data(), size);
    return {};
}

Result<> ControlSet::apply(Control& control, const v4l2_ext_control& element,
                           const EventQueue* cause) {
    const ControlSpec& spec = control.spec;
    const bool is_always = control.has(V4L2_CTRL_FLAG_EXECUTE_ON_WRITE);
    const bool is_volatile = control.has(V4L2_CTRL_FLAG_VOLATILE);
    ControlValue value;
    {
        const std::lock_guard lock(mutex_);
        if (control.has(V4L2_CTRL_FLAG_GRABBED)) {
            return fail(-EBUSY, "grabbed control");
        }
        if (has_payload(spec)) {
            value.payload = control.staged;
        } else {
            // Once more: the driver may have changed the range since.
            value.number = V4LFENCE_TRY(fitted(spec, number_in(spec, element)));
        }
        const bool is_same = value.number == control.number.load() &&
                             std::ranges::equal(value.payload, control.payload);
        if (!is_always && (is_volatile || is_same)) {
            return {};
        }
    }
    V4LFENCE_TRY(sink_.s_ctrl(spec.id, value));
    if (is_volatile) {
        return {};
    }
    const std::lock_guard lock(mutex_);
    if (has_payload(spec)) {
        std::ranges::copy(control.staged, control.payload.begin());
    } else {
        const std::int64_t number = fitted(spec, value.number).value_or(spec.range.default_value);
        control.number.store(number, std::memory_order_release);
    }
    hub_.raise(event_of(control, V4L2_EVENT_CTRL_CH_VALUE), cause);
    return {};
}

}  // namespace v4lfence
