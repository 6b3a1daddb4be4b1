// SPDX-License-Identifier: MIT
//
// ControlSet: the controls of one virtual device, with the behaviour that programs know from the
// kernel's control framework.
//
// A program's values are made to fit and checked, the driver is told (ControlSink), the value is
// stored, and the files that subscribed to it get their V4L2_EVENT_CTRL. Of several values none is
// set unless all are valid. Those that the driver then refuses end the call; the ones before stay.
//
// The structs of the ioctls are read and written in place. The caller has copied them in, has
// checked the count against V4L2_CID_MAX_CTRLS and the program's priority, and copies them out
// again, also after an error: `error_idx` and `size` say what was wrong. The payload pointer of an
// array element points to `size` bytes that can be read and written.
//
// Threads: any, for everything. The table is fixed at create(), so a look-up takes no lock.
//
//  - `mutex_` guards ranges, flags, payloads and the order of events; it is held while an event is
//    queued (see events.hpp for what a listener may do).
//  - The *turn* is the right to change values on behalf of a program, one call at a time; without
//    it the order of the calls of s_ctrl() could differ from the order in which values are stored.
//    It is no lock: readers, events and the driver's own calls pass it by. Only the turn is held
//    while the sink is called, so the sink may call anything here but set(), try_ext() and
//    set_ext() (EDEADLK), and must not wait for a thread that does.

#pragma once

#include <linux/videodev2.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "v4lfence/base/result.hpp"
#include "v4lfence/v4l2/control_spec.hpp"
#include "v4lfence/v4l2/control_values.hpp"
#include "v4lfence/v4l2/events.hpp"

namespace v4lfence {

/// A value on its way to the driver. It has been made to fit.
struct ControlValue {
    std::int64_t number = 0;             ///< 0 where there is a payload.
    std::span<const std::byte> payload;  ///< Elements, or a string with its end mark.

    /// Of a string, without its end mark.
    std::string_view text() const {
        const std::string_view all(reinterpret_cast<const char*>(payload.data()), payload.size());
        return all.substr(0, all.find('\0'));
    }
};

/// The driver. Called by the thread of the program's call, with no lock held; see above.
class ControlSink {
public:
    /// A program sets a value that differs from the present one, or any of a control that is
    /// EXECUTE_ON_WRITE (buttons are). It is stored when this has returned without an error.
    virtual Result<> s_ctrl(std::uint32_t id, const ControlValue& value) = 0;

    /// What a VOLATILE control is now. Calls may come at once from several threads. An error goes
    /// to the program.
    virtual Result<std::int64_t> g_volatile_ctrl(std::uint32_t /*id*/) {
        return fail(-EIO, "volatile control without a reader");
    }

protected:
    ~ControlSink() = default;
};

class ControlSet final : public ControlEvents {
public:
    /// Adds the class of each control where the table has none. The values are the defaults; the
    /// sink is not called. What `specs` points to, the sink and the hub outlive the set.
    /// Errors: EINVAL, with the rule that a spec breaks; EEXIST (an id twice).
    static Result<std::unique_ptr<ControlSet>> create(std::span<const ControlSpec> specs,
                                                      ControlSink& sink, EventHub& hub);

    /// QUERYCTRL and QUERY_EXT_CTRL, with NEXT_CTRL and NEXT_COMPOUND. Errors: EINVAL.
    Result<> query(v4l2_queryctrl& query) const;
    Result<> query(v4l2_query_ext_ctrl& query) const;
    /// QUERYMENU. Errors: EINVAL (no such control, no menu, no such item).
    Result<> query_menu(v4l2_querymenu& query) const;

    /// G_CTRL. Errors: EINVAL (no such control, or more than 32 bits), EACCES (write-only), the
    /// sink's for a volatile one.
    Result<> get(v4l2_control& control);
    /// S_CTRL; `control` returns the value that it became. `cause`: the file that calls.
    /// Errors: EINVAL (as get(); a skipped item), EACCES (read-only), EBUSY (grabbed), ERANGE (no
    /// such item), the sink's.
    Result<> set(v4l2_control& control, const EventQueue* cause);

    /// G_EXT_CTRLS, with `which` 0, a class or V4L2_CTRL_WHICH_DEF_VAL; an empty array asks whether
    /// the class exists. Errors: EINVAL (no such control or class, another class,
    /// WHICH_REQUEST_VAL), EACCES (write-only), ENOSPC (`size` too small; returns the right one),
    /// the sink's. `error_idx` is the count, or once reading began the index of the last one read.
    Result<> get_ext(v4l2_ext_controls& head, std::span<v4l2_ext_control> array);
    /// TRY_EXT_CTRLS: returns what the values would become. `error_idx` is the index.
    /// Errors: EINVAL (as get_ext(), and WHICH_DEF_VAL), EACCES (read-only), ERANGE (no such item,
    /// length of a string), EFAULT (payload too small; `size` returns the right one).
    Result<> try_ext(v4l2_ext_controls& head, std::span<v4l2_ext_control> array);
    /// S_EXT_CTRLS. Errors: those of try_ext(), EBUSY (grabbed), the sink's. `error_idx` is the
    /// count as long as nothing was set, else the index at which the sink refused.
    Result<> set_ext(v4l2_ext_controls& head, std::span<v4l2_ext_control> array,
                     const EventQueue* cause);

    /// V4L2_EVENT_CTRL.
    Result<> subscribe(EventQueue& queue, const v4l2_event_subscription& wanted) override;

    /// LOG_STATUS: a line for each control that can be read.
    std::vector<std::string> log_status() const;

    // The driver's side. Its calls do not reach the sink, and their events go to every file.

    /// The number stored last; 0 for no such control, or one with a payload. Takes no lock.
    std::int64_t value(std::uint32_t id) const noexcept;
    /// A copy; empty for no such control, or one without payload.
    std::vector<std::byte> payload(std::uint32_t id) const;
    /// A copy, without its end mark; empty for no such control, or no string.
    std::string text(std::uint32_t id) const;

    /// Stores a number, made to fit: also of a read-only control. Allocates nothing.
    /// Errors: EINVAL (no such control, a payload, a skipped item), ERANGE (no such item).
    Result<> set_value(std::uint32_t id, std::int64_t value);
    /// Errors: EINVAL (no such string), ERANGE (its length).
    Result<> set_text(std::uint32_t id, std::string_view text);
    /// Changes flags of `mask`, which may hold GRABBED and INACTIVE. Errors: EINVAL.
    Result<> set_flags(std::uint32_t id, std::uint32_t mask, std::uint32_t flags);
    /// The present value is made to fit, or becomes the default where no item of a menu fits.
    /// Errors: EINVAL (no such control, a payload, a range that create() would refuse).
    Result<> set_range(std::uint32_t id, const ControlRange& range);

private:
    struct Control {
        explicit Control(const ControlSpec& declared);

        ControlSpec spec;  ///< Its range and flags change under mutex_.
        std::atomic<std::uint32_t> flags;
        std::atomic<std::int64_t> number;  ///< Written under mutex_.
        std::vector<std::byte> payload;
        std::vector<std::byte> staged;  ///< The turn's.

        bool has(std::uint32_t flag) const { return (flags.load() & flag) != 0; }
    };
    struct EndTurn {
        void operator()(ControlSet* set) const;
    };
    using Turn = std::unique_ptr<ControlSet, EndTurn>;
    enum class Purpose { Get, Try, Set };

    ControlSet(const std::vector<ControlSpec>& table, ControlSink& sink, EventHub& hub);

    const Control* look_up(std::uint32_t id) const;
    Control* look_up(std::uint32_t id) {
        return const_cast<Control*>(std::as_const(*this).look_up(id));
    }
    const Control* nth_private(std::uint32_t index) const;
    const Control* next(std::uint32_t id, std::uint32_t walk) const;

    /// Waits for it. Errors: EDEADLK (the calling thread has it).
    Result<Turn> take_turn();

    Result<> check_which(std::uint32_t which, bool is_empty) const;
    Result<> check_found(std::uint32_t which, v4l2_ext_control& element, Purpose purpose) const;
    Result<> read_value(const Control& control, bool is_default, v4l2_ext_control& element);
    /// Makes a program's value fit: a number in `element`, a payload in Control::staged.
    Result<> stage(Control& control, v4l2_ext_control& element, Purpose purpose);
    Result<> stage_all(v4l2_ext_controls& head, std::span<v4l2_ext_control> array, Purpose purpose);
    Result<> apply(Control& control, const v4l2_ext_control& element, const EventQueue* cause);
    /// Under mutex_.
    void store_by_driver(Control& control, std::int64_t number, std::uint32_t changes);
    static v4l2_event event_of(const Control& control, std::uint32_t changes);

    ControlSink& sink_;
    EventHub& hub_;
    std::deque<Control> controls_;  ///< By id. The list itself never changes.

    mutable std::mutex mutex_;
    std::condition_variable turn_is_free_;
    std::thread::id turn_;  ///< Whose it is.
};

}  // namespace v4lfence
