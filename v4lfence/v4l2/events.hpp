// SPDX-License-Identifier: MIT
//
// Events of a virtual device: VIDIOC_SUBSCRIBE_EVENT, UNSUBSCRIBE_EVENT and DQEVENT.
//
// A device has one EventHub, where drivers and the ControlSet raise events; each open file has an
// EventQueue, where those that it subscribed to wait. Memory for them is taken at subscribe(), so
// raising one allocates nothing.
//
// Threads: any, for everything but construction and destruction. Locks, in the order in which they
// are taken: ControlSet's, EventHub::mutex_ (the list of files), EventQueue::mutex_. The listener
// is called with them held: so its news come in order, and have come when the call that caused
// them returns. It may take locks under which nobody calls an EventQueue, EventHub or ControlSet.

#pragma once

#include <linux/videodev2.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/time.hpp"

namespace v4lfence {

class EventQueue;

/// Of one open file; a program can ask for any id of some types. Our own limit.
inline constexpr std::size_t event_subscriptions_max = 1024;
/// Of one subscription. Our own limit.
inline constexpr unsigned event_depth_max = 64;

/// A type of event that a device raises, beside V4L2_EVENT_CTRL.
struct EventType {
    std::uint32_t type = 0;
    /// So many of one (type, id) wait; one more replaces the oldest. 0 counts as 1.
    unsigned depth = 1;
};

/// Who shows the events of a file to poll().
class EventListener {
public:
    /// `pending` is not 0: an event was queued, maybe in the place of another one. 0: the last one
    /// was dequeued, or its subscription went.
    virtual void events_changed(unsigned pending) = 0;

protected:
    ~EventListener() = default;
};

/// Where the events of controls come from: a ControlSet.
class ControlEvents {
public:
    /// Calls queue.add(), with an event that says how the control is if SEND_INITIAL asks for it,
    /// while nothing can change. Errors: EINVAL (no such control), and those of add().
    virtual Result<> subscribe(EventQueue& queue, const v4l2_event_subscription& wanted) = 0;

protected:
    ~ControlEvents() = default;
};

class EventHub {
public:
    /// `types` are those of the device. The clock outlives the hub, the hub the queues.
    EventHub(const Clock& clock, std::vector<EventType> types);
    EventHub(const EventHub&) = delete;
    EventHub& operator=(const EventHub&) = delete;

    /// Queues the event, of which type, id and payload are read, on each file that subscribed to
    /// it. `cause` is the file whose call raised it: it gets the event only if it asked for
    /// V4L2_EVENT_SUB_FL_ALLOW_FEEDBACK. nullptr: no file's.
    void raise(const v4l2_event& event, const EventQueue* cause = nullptr);

private:
    friend class EventQueue;

    const Clock& clock_;
    const std::vector<EventType> types_;

    std::mutex mutex_;
    std::vector<EventQueue*> queues_;
};

class EventQueue {
public:
    /// `controls` is nullptr for a device without any. All three outlive the queue.
    EventQueue(EventHub& hub, ControlEvents* controls, EventListener& listener);
    ~EventQueue();
    EventQueue(const EventQueue&) = delete;
    EventQueue& operator=(const EventQueue&) = delete;

    /// A second subscription to the same (type, id) changes nothing, flags included.
    /// V4L2_EVENT_SUB_FL_SEND_INITIAL means something to V4L2_EVENT_CTRL alone.
    /// Errors: EINVAL (V4L2_EVENT_ALL, a type that the device lacks, no such control),
    /// ENOMEM (event_subscriptions_max).
    Result<> subscribe(const v4l2_event_subscription& wanted);

    /// Forgets what waits of it. V4L2_EVENT_ALL: all. No error where nothing is subscribed.
    void unsubscribe(const v4l2_event_subscription& which);

    /// The oldest one, with how many remain; `sequence` counts all that were queued on this file.
    /// Does not wait. Errors: ENOENT.
    Result<v4l2_event> dequeue();

    /// What dequeue() would find. Takes no lock.
    unsigned pending() const noexcept { return pending_.load(std::memory_order_acquire); }

    /// For ControlEvents: the subscription proper, and its first event unless nullptr.
    /// Errors: ENOMEM.
    Result<> add(const v4l2_event_subscription& wanted, unsigned depth, const v4l2_event* initial);

private:
    friend class EventHub;

    struct Waiting {
        v4l2_event event{};
        std::uint64_t order = 0;  ///< Among all of the file; does not wrap as `sequence` does.
    };
    /// `ring` has the depth as its size.
    struct Subscription {
        std::uint32_t type = 0;
        std::uint32_t id = 0;
        std::uint32_t flags = 0;
        std::size_t first = 0;
        std::size_t count = 0;
        std::vector<Waiting> ring;

        Waiting& at(std::size_t place) { return ring[(first + place) % ring.size()]; }
        void drop_first() {
            first = (first + 1) % ring.size();
            --count;
        }
    };

    Subscription* find(std::uint32_t type, std::uint32_t id);
    void take_in(const v4l2_event& event, const EventQueue* cause, MonotonicTime now);
    void put(Subscription& subscription, const v4l2_event& event, MonotonicTime now);
    void set_pending(unsigned pending);

    EventHub& hub_;
    ControlEvents* const controls_;
    EventListener& listener_;

    std::mutex mutex_;
    std::vector<Subscription> subscriptions_;
    std::uint64_t queued_ = 0;
    std::atomic<unsigned> pending_{0};  // Written under mutex_.
};

}  // namespace v4lfence
