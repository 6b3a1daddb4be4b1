// SPDX-License-Identifier: MIT

#include "v4lfence/v4l2/events.hpp"

#include <algorithm>
#include <utility>

namespace v4lfence {

namespace {

timespec to_timespec(MonotonicTime time) {
    constexpr std::int64_t second = 1'000'000'000;
    timespec split{};
    split.tv_sec = static_cast<time_t>(to_ns(time) / second);
    split.tv_nsec = static_cast<long>(to_ns(time) % second);
    return split;
}

/// What the older of two events said has changed has changed for the newer one too.
void merge_changes(const v4l2_event& older, v4l2_event& newer) {
    if (newer.type == V4L2_EVENT_CTRL) {
        newer.u.ctrl.changes |= older.u.ctrl.changes;
    } else if (newer.type == V4L2_EVENT_SOURCE_CHANGE) {
        newer.u.src_change.changes |= older.u.src_change.changes;
    }
}

}  // namespace

EventHub::EventHub(const Clock& clock, std::vector<EventType> types)
    : clock_(clock), types_(std::move(types)) {}

void EventHub::raise(const v4l2_event& event, const EventQueue* cause) {
    const std::lock_guard lock(mutex_);
    const MonotonicTime now = clock_.now();
    for (EventQueue* const queue : queues_) {
        queue->take_in(event, cause, now);
    }
}

EventQueue::EventQueue(EventHub& hub, ControlEvents* controls, EventListener& listener)
    : hub_(hub), controls_(controls), listener_(listener) {
    const std::lock_guard lock(hub_.mutex_);
    hub_.queues_.push_back(this);
}

EventQueue::~EventQueue() {
    const std::lock_guard lock(hub_.mutex_);
    std::erase(hub_.queues_, this);
}

Result<> EventQueue::subscribe(const v4l2_event_subscription& wanted) {
    if (wanted.type == V4L2_EVENT_CTRL) {
        return controls_ != nullptr ? controls_->subscribe(*this, wanted)
                                    : fail(-EINVAL, "no controls to have events of");
    }
    const auto known = std::ranges::find(hub_.types_, wanted.type, &EventType::type);
    if (wanted.type == V4L2_EVENT_ALL || known == hub_.types_.end()) {
        return fail(-EINVAL, "type of event");
    }
    return add(wanted, known->depth, nullptr);
}

Result<> EventQueue::add(const v4l2_event_subscription& wanted, unsigned depth,
                         const v4l2_event* initial) {
    const std::lock_guard lock(mutex_);
    if (find(wanted.type, wanted.id) != nullptr) {
        return {};
    }
    if (subscriptions_.size() >= event_subscriptions_max) {
        return fail(-ENOMEM, "subscriptions of a file");
    }
    Subscription& added = subscriptions_.emplace_back();
    added.type = wanted.type;
    added.id = wanted.id;
    added.flags = wanted.flags;
    added.ring.resize(std::clamp(depth, 1U, event_depth_max));
    if (initial != nullptr) {
        put(added, *initial, hub_.clock_.now());
    }
    return {};
}

void EventQueue::unsubscribe(const v4l2_event_subscription& which) {
    const std::lock_guard lock(mutex_);
    std::size_t forgotten = 0;
    std::erase_if(subscriptions_, [&](const Subscription& one) {
        const bool goes =
            which.type == V4L2_EVENT_ALL || (which.type == one.type && which.id == one.id);
        forgotten += goes ? one.count : 0;
        return goes;
    });
    if (forgotten > 0) {
        set_pending(pending() - static_cast<unsigned>(forgotten));
    }
}

Result<v4l2_event> EventQueue::dequeue() {
    if (pending() == 0) {
        return fail(-ENOENT, "no event");
    }
    const std::lock_guard lock(mutex_);
    Subscription* oldest = nullptr;
    for (Subscription& one : subscriptions_) {
        if (one.count > 0 && (oldest == nullptr || one.at(0).order < oldest->at(0).order)) {
            oldest = &one;
        }
    }
    if (oldest == nullptr) {
        return fail(-ENOENT, "no event");
    }
    v4l2_event event = oldest->at(0).event;
    oldest->drop_first();
    event.pending = pending() - 1;
    set_pending(event.pending);
    return event;
}

EventQueue::Subscription* EventQueue::find(std::uint32_t type, std::uint32_t id) {
    const auto found = std::ranges::find_if(
        subscriptions_, [&](const Subscription& one) { return one.type == type && one.id == id; });
    return found != subscriptions_.end() ? &*found : nullptr;
}

void EventQueue::take_in(const v4l2_event& event, const EventQueue* cause, MonotonicTime now) {
    const std::lock_guard lock(mutex_);
    Subscription* const subscription = find(event.type, event.id);
    if (subscription == nullptr ||
        (cause == this && (subscription->flags & V4L2_EVENT_SUB_FL_ALLOW_FEEDBACK) == 0)) {
        return;
    }
    put(*subscription, event, now);
}

void EventQueue::put(Subscription& subscription, const v4l2_event& event, MonotonicTime now) {
    v4l2_event filled{};
    filled.type = event.type;
    filled.id = event.id;
    filled.u = event.u;
    filled.sequence = static_cast<std::uint32_t>(queued_);
    filled.timestamp = to_timespec(now);

    unsigned waiting = pending();
    if (subscription.count == subscription.ring.size()) {
        const v4l2_event& dropped = subscription.at(0).event;
        merge_changes(dropped, subscription.count > 1 ? subscription.at(1).event : filled);
        subscription.drop_first();
        --waiting;
    }
    subscription.at(subscription.count) = {filled, queued_};
    ++subscription.count;
    ++queued_;

    pending_.store(waiting + 1, std::memory_order_release);
    listener_.events_changed(waiting + 1);
}

void EventQueue::set_pending(unsigned pending) {
    pending_.store(pending, std::memory_order_release);
    if (pending == 0) {
        listener_.events_changed(0);
    }
}

}  // namespace v4lfence
