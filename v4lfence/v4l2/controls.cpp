// SPDX-License-Identifier: MIT
//
// The table: its making, queries, and the driver's side. What programs set and get is in
// controls_values.cpp.

#include "v4lfence/v4l2/controls.hpp"

#include <algorithm>
#include <cstring>
#include <set>

namespace v4lfence {

namespace {

std::uint32_t class_of(std::uint32_t id) {
    return static_cast<std::uint32_t>(V4L2_CTRL_ID2CLASS(id));
}

struct ClassName {
    std::uint32_t id;
    std::string_view name;
};

// As programs know them from kernel drivers.
constexpr ClassName class_names[] = {
    {V4L2_CID_USER_CLASS, "User Controls"},
    {V4L2_CID_CODEC_CLASS, "Codec Controls"},
    {V4L2_CID_CAMERA_CLASS, "Camera Controls"},
    {V4L2_CID_FM_TX_CLASS, "FM Radio Modulator Controls"},
    {V4L2_CID_FLASH_CLASS, "Flash Controls"},
    {V4L2_CID_JPEG_CLASS, "JPEG Compression Controls"},
    {V4L2_CID_IMAGE_SOURCE_CLASS, "Image Source Controls"},
    {V4L2_CID_IMAGE_PROC_CLASS, "Image Processing Controls"},
    {V4L2_CID_DV_CLASS, "Digital Video Controls"},
    {V4L2_CID_FM_RX_CLASS, "FM Radio Receiver Controls"},
    {V4L2_CID_RF_TUNER_CLASS, "RF Tuner Controls"},
    {V4L2_CID_DETECT_CLASS, "Detection Controls"},
    {V4L2_CID_COLORIMETRY_CLASS, "Colorimetry Controls"},
};

std::string_view name_of_class(std::uint32_t id) {
    const auto* const known = std::ranges::find(class_names, id, &ClassName::id);
    return known != std::end(class_names) ? known->name : "Driver Controls";
}

/// Completed, with the missing classes, by id.
std::vector<ControlSpec> full_table(std::span<const ControlSpec> specs) {
    std::vector<ControlSpec> table;
    std::set<std::uint32_t> missing;
    for (const ControlSpec& spec : specs) {
        table.push_back(completed(spec));
        missing.insert(class_of(spec.id) | 1);
    }
    for (ControlSpec& spec : table) {
        if (spec.type == V4L2_CTRL_TYPE_CTRL_CLASS) {
            missing.erase(spec.id);
            spec.name = spec.name.empty() ? name_of_class(spec.id) : spec.name;
        }
    }
    for (const std::uint32_t id : missing) {
        ControlSpec added;
        added.id = id;
        added.type = V4L2_CTRL_TYPE_CTRL_CLASS;
        added.name = name_of_class(id);
        table.push_back(completed(added));
    }
    std::ranges::sort(table, {}, &ControlSpec::id);
    return table;
}

/// The range of a spec as V4L2's 32-bit fields name it, wherever they stand.
template <class Fields>
void put_range(const ControlRange& range, Fields& fields) {
    fields.minimum = static_cast<std::int32_t>(range.minimum);
    fields.maximum = static_cast<std::int32_t>(range.maximum);
    fields.step = static_cast<std::int32_t>(range.step);
    fields.default_value = static_cast<std::int32_t>(range.default_value);
}

bool is_ranged_in_32_bits(v4l2_ctrl_type type) {
    return type <= V4L2_CTRL_TYPE_INTEGER_MENU && type != V4L2_CTRL_TYPE_INTEGER64;
}

/// `to` is zeroed and longer than any name.
template <class Character>
void put_name(std::string_view name, Character* to) {
    std::memcpy(to, name.data(), name.size());
}

}  // namespace

Result<std::unique_ptr<ControlSet>> ControlSet::create(std::span<const ControlSpec> specs,
                                                       ControlSink& sink, EventHub& hub) {
    std::vector<ControlSpec> table = full_table(specs);
    for (const ControlSpec& spec : table) {
        V4LFENCE_TRY(check_spec(spec));
    }
    if (std::ranges::adjacent_find(table, {}, &ControlSpec::id) != table.end()) {
        return fail(-EEXIST, "control: id twice");
    }
    return std::unique_ptr<ControlSet>(new ControlSet(table, sink, hub));
}

ControlSet::ControlSet(const std::vector<ControlSpec>& table, ControlSink& sink, EventHub& hub)
    : sink_(sink), hub_(hub) {
    for (const ControlSpec& spec : table) {
        controls_.emplace_back(spec);
    }
}

ControlSet::Control::Control(const ControlSpec& declared)
    : spec(declared), flags(declared.flags), number(0) {
    if (has_payload(spec)) {
        payload.resize(payload_size(spec));
        staged.resize(payload.size());
        fill_default(spec, payload);
    } else {
        number = spec.range.default_value;
    }
}

const ControlSet::Control* ControlSet::look_up(std::uint32_t id) const {
    id &= V4L2_CTRL_ID_MASK;
    if (id >= V4L2_CID_PRIVATE_BASE) {
        return nth_private(id - V4L2_CID_PRIVATE_BASE);
    }
    const auto found = std::ranges::lower_bound(
        controls_, id, {}, [](const Control& control) { return control.spec.id; });
    return found != controls_.end() && found->spec.id == id ? &*found : nullptr;
}

/// Old programs count the driver's own user controls from V4L2_CID_PRIVATE_BASE on.
const ControlSet::Control* ControlSet::nth_private(std::uint32_t index) const {
    for (const Control& control : controls_) {
        if (class_of(control.spec.id) == V4L2_CTRL_CLASS_USER &&
            V4L2_CTRL_DRIVER_PRIV(control.spec.id) && fits_32_bits(control.spec) && index-- == 0) {
            return &control;
        }
    }
    return nullptr;
}

const ControlSet::Control* ControlSet::next(std::uint32_t id, std::uint32_t walk) const {
    const auto found = std::ranges::find_if(controls_, [&](const Control& control) {
        const std::uint32_t kind =
            is_compound(control.spec) ? V4L2_CTRL_FLAG_NEXT_COMPOUND : V4L2_CTRL_FLAG_NEXT_CTRL;
        return control.spec.id > id && (walk & kind) != 0;
    });
    return found != controls_.end() ? &*found : nullptr;
}

Result<> ControlSet::query(v4l2_query_ext_ctrl& query) const {
    const std::uint32_t walk = query.id & (V4L2_CTRL_FLAG_NEXT_CTRL | V4L2_CTRL_FLAG_NEXT_COMPOUND);
    const std::uint32_t id = query.id & V4L2_CTRL_ID_MASK;
    const Control* const control = walk != 0 ? next(id, walk) : look_up(id);
    if (control == nullptr) {
        return fail(-EINVAL, "no such control");
    }
    const ControlSpec& spec = control->spec;
    const bool is_numbered = walk == 0 && id >= V4L2_CID_PRIVATE_BASE;
    query = {};
    query.id = is_numbered ? id : spec.id;
    query.type = spec.type;
    put_name(spec.name, query.name);
    query.flags = control->flags.load();
    query.elem_size = element_size(spec);
    query.elems = element_count(spec);
    query.nr_of_dims = dim_count(spec);
    std::copy_n(spec.dims.begin(), query.nr_of_dims, query.dims);

    const std::lock_guard lock(mutex_);
    query.minimum = spec.range.minimum;
    query.maximum = spec.range.maximum;
    query.step = spec.range.step;
    query.default_value = spec.range.default_value;
    return {};
}

Result<> ControlSet::query(v4l2_queryctrl& query) const {
    v4l2_query_ext_ctrl wide{};
    wide.id = query.id;
    V4LFENCE_TRY(this->query(wide));
    query = {};
    query.id = wide.id;
    query.type = wide.type;
    query.flags = wide.flags;
    std::memcpy(query.name, wide.name, sizeof(query.name));
    if (is_ranged_in_32_bits(static_cast<v4l2_ctrl_type>(wide.type))) {
        put_range({wide.minimum, wide.maximum, wide.step, wide.default_value}, query);
    }
    return {};
}

Result<> ControlSet::query_menu(v4l2_querymenu& query) const {
    const Control* const control = look_up(query.id);
    if (control == nullptr || !is_menu(control->spec)) {
        return fail(-EINVAL, "no such menu");
    }
    const ControlSpec& spec = control->spec;
    const std::lock_guard lock(mutex_);
    if (!has_item(spec, query.index)) {
        return fail(-EINVAL, "no such item of the menu");
    }
    v4l2_querymenu answer{};
    answer.id = query.id;
    answer.index = query.index;
    if (spec.type == V4L2_CTRL_TYPE_MENU) {
        const std::string_view name = spec.items[query.index];
        put_name(name.substr(0, sizeof(answer.name) - 1), answer.name);
    } else {
        answer.value = spec.integer_items[query.index];
    }
    query = answer;
    return {};
}

Result<> ControlSet::subscribe(EventQueue& queue, const v4l2_event_subscription& wanted) {
    const Control* const control = look_up(wanted.id);
    if (control == nullptr || control->spec.id != wanted.id) {
        return fail(-EINVAL, "no such control");
    }
    const std::lock_guard lock(mutex_);
    if ((wanted.flags & V4L2_EVENT_SUB_FL_SEND_INITIAL) == 0 ||
        control->spec.type == V4L2_CTRL_TYPE_CTRL_CLASS) {
        return queue.add(wanted, 1, nullptr);
    }
    const std::uint32_t readable =
        control->has(V4L2_CTRL_FLAG_WRITE_ONLY) ? 0 : V4L2_EVENT_CTRL_CH_VALUE;
    const v4l2_event initial = event_of(*control, V4L2_EVENT_CTRL_CH_FLAGS | readable);
    return queue.add(wanted, 1, &initial);
}

v4l2_event ControlSet::event_of(const Control& control, std::uint32_t changes) {
    v4l2_event event{};
    event.type = V4L2_EVENT_CTRL;
    event.id = control.spec.id;
    event.u.ctrl.changes = changes;
    event.u.ctrl.type = control.spec.type;
    event.u.ctrl.flags = control.flags.load();
    if (control.spec.type == V4L2_CTRL_TYPE_INTEGER64) {
        event.u.ctrl.value64 = control.number.load();
    } else {
        event.u.ctrl.value = static_cast<std::int32_t>(control.number.load());
    }
    put_range(control.spec.range, event.u.ctrl);
    return event;
}

std::vector<std::string> ControlSet::log_status() const {
    struct FlagName {
        std::uint32_t flag;
        const char* name;
    };
    constexpr FlagName shown[] = {{V4L2_CTRL_FLAG_INACTIVE, " inactive"},
                                  {V4L2_CTRL_FLAG_GRABBED, " grabbed"},
                                  {V4L2_CTRL_FLAG_VOLATILE, " volatile"}};
    std::vector<std::string> lines;
    const std::lock_guard lock(mutex_);
    for (const Control& control : controls_) {
        if (control.has(V4L2_CTRL_FLAG_WRITE_ONLY | V4L2_CTRL_FLAG_DISABLED)) {
            continue;
        }
        std::string& line = lines.emplace_back(control.spec.name);
        line += ": " + printed(control.spec, control.number.load(), control.payload);
        for (const FlagName& one : shown) {
            line += control.has(one.flag) ? one.name : "";
        }
    }
    return lines;
}

std::int64_t ControlSet::value(std::uint32_t id) const noexcept {
    const Control* const control = look_up(id);
    return control != nullptr ? control->number.load(std::memory_order_acquire) : 0;
}

std::vector<std::byte> ControlSet::payload(std::uint32_t id) const {
    const Control* const control = look_up(id);
    if (control == nullptr) {
        return {};
    }
    const std::lock_guard lock(mutex_);
    return control->payload;
}

std::string ControlSet::text(std::uint32_t id) const {
    const Control* const control = look_up(id);
    if (control == nullptr || control->spec.type != V4L2_CTRL_TYPE_STRING) {
        return {};
    }
    const std::lock_guard lock(mutex_);
    return std::string(ControlValue{0, control->payload}.text());
}

Result<> ControlSet::set_value(std::uint32_t id, std::int64_t value) {
    Control* const control = look_up(id);
    if (control == nullptr || has_payload(control->spec)) {
        return fail(-EINVAL, "no such control with a number");
    }
    const std::lock_guard lock(mutex_);
    store_by_driver(*control, V4LFENCE_TRY(fitted(control->spec, value)), 0);
    return {};
}

Result<> ControlSet::set_text(std::uint32_t id, std::string_view text) {
    Control* const control = look_up(id);
    if (control == nullptr || control->spec.type != V4L2_CTRL_TYPE_STRING) {
        return fail(-EINVAL, "no such control with a string");
    }
    const std::lock_guard lock(mutex_);
    if (text == ControlValue{0, control->payload}.text()) {
        return {};
    }
    const std::string marked(text);
    const std::span<const char> characters(marked.c_str(), marked.size() + 1);
    V4LFENCE_TRY(take_string(control->spec, characters, control->payload));
    hub_.raise(event_of(*control, V4L2_EVENT_CTRL_CH_VALUE));
    return {};
}

Result<> ControlSet::set_flags(std::uint32_t id, std::uint32_t mask, std::uint32_t flags) {
    Control* const control = look_up(id);
    constexpr std::uint32_t changeable = V4L2_CTRL_FLAG_GRABBED | V4L2_CTRL_FLAG_INACTIVE;
    if (control == nullptr || (mask & ~changeable) != 0 || (flags & ~mask) != 0) {
        return fail(-EINVAL, "no such control or flag");
    }
    const std::lock_guard lock(mutex_);
    const std::uint32_t old = control->flags.load();
    const std::uint32_t changed = (old & ~mask) | flags;
    if (changed != old) {
        control->flags = changed;
        hub_.raise(event_of(*control, V4L2_EVENT_CTRL_CH_FLAGS));
    }
    return {};
}

Result<> ControlSet::set_range(std::uint32_t id, const ControlRange& range) {
    Control* const control = look_up(id);
    if (control == nullptr || has_payload(control->spec)) {
        return fail(-EINVAL, "no such control with a number");
    }
    const std::lock_guard lock(mutex_);
    ControlSpec changed = control->spec;
    changed.range = range;
    changed = completed(changed);
    V4LFENCE_TRY(check_spec(changed));
    if (changed.range == control->spec.range) {
        return {};
    }
    control->spec.range = changed.range;
    const std::int64_t number =
        fitted(changed, control->number.load()).value_or(range.default_value);
    store_by_driver(*control, number, V4L2_EVENT_CTRL_CH_RANGE);
    return {};
}

void ControlSet::store_by_driver(Control& control, std::int64_t number, std::uint32_t changes) {
    if (number != control.number.load()) {
        control.number.store(number, std::memory_order_release);
        changes |= V4L2_EVENT_CTRL_CH_VALUE;
    }
    if (changes != 0) {
        hub_.raise(event_of(control, changes));
    }
}

}  // namespace v4lfence
