// SPDX-License-Identifier: MIT

#include "v4lfence/sync/reactor_waits.hpp"

namespace v4lfence {

namespace {

/// A watch's cookie: the buffer's index, and enough of the job's position to tell it from others.
constexpr unsigned index_bits = 16;

std::uint64_t cookie_of(Job job) {
    return job.position << index_bits | job.index;
}

Job job_of(std::uint64_t cookie) {
    return Job{static_cast<unsigned>(cookie & ((1U << index_bits) - 1)), cookie >> index_bits};
}

}  // namespace

ReactorWaits::~ReactorWaits() {
    if (timer_ != Reactor::TimerId::None) {
        reactor_.remove_timer(timer_);
    }
}

Result<> ReactorWaits::open() {
    timer_ = V4LFENCE_TRY(reactor_.add_timer(*this));
    return {};
}

void ReactorWaits::resize(unsigned count) {
    for (; count_ < count; ++count_) {
        watched_.make(count_);
    }
}

Result<> ReactorWaits::watch(Job job, const Fence& fence) {
    Watched& place = *watched_.find(job.index);
    place.fence = &fence;
    place.id.store(
        V4LFENCE_TRY(reactor_.watch(fence.fd(), Fence::watch_events, *this, cookie_of(job))));
    return {};
}

void ReactorWaits::unwatch(unsigned index) {
    reactor_.unwatch(watched_.find(index)->id.load());
}

void ReactorWaits::set_deadline(Deadline deadline) {
    reactor_.set_timer(timer_, deadline);
}

void ReactorWaits::on_ready(std::uint64_t cookie, std::uint32_t events) {
    const Job job = job_of(cookie);
    // The fence lives: it goes only after unwatch(), which waits for this call.
    sync_.on_in_fence(job, watched_.find(job.index)->fence->outcome(events));
}

void ReactorWaits::on_deadline(MonotonicTime now) {
    sync_.on_deadline(now);
}

}  // namespace v4lfence
