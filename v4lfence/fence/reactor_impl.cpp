// SPDX-License-Identifier: MIT

#include "v4lfence/fence/reactor_impl.hpp"

#include <sys/eventfd.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <utility>

namespace v4lfence {

namespace {

/// What the kernel hands back for our own two descriptors; ids of registrations are above 32 bits.
constexpr std::uint64_t wake_event = 0;
constexpr std::uint64_t timer_event = 1;

constexpr std::uint64_t timer_bit = std::uint64_t{1} << 63;

std::uint64_t raw(Reactor::WatchId id) {
    return static_cast<std::uint64_t>(id);
}

std::uint64_t raw(Reactor::TimerId id) {
    return static_cast<std::uint64_t>(id) & ~timer_bit;
}

tl::unexpected<Error> dead_reactor() {
    return fail(-EIO, "reactor of the parent process");
}

}  // namespace

Result<> Reactor::Impl::open() {
    if (epoll_) {
        return {};
    }
    UniqueFd epoll = sys::move_high(V4LFENCE_TRY(sys::epoll_create()));
    UniqueFd timer = sys::move_high(V4LFENCE_TRY(sys::timerfd_create()));
    UniqueFd wake = sys::move_high(V4LFENCE_TRY(sys::eventfd(0, EFD_NONBLOCK)));
    // Edge-triggered: a new expiry or count is a new event, so neither is ever read.
    V4LFENCE_TRY(
        sys::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, timer.get(), EPOLLIN | EPOLLET, timer_event));
    V4LFENCE_TRY(
        sys::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), EPOLLIN | EPOLLET, wake_event));
    epoll_ = std::move(epoll);
    timer_ = std::move(timer);
    wake_ = std::move(wake);
    return {};
}

void Reactor::Impl::close_idle() {
    if (dead()) {
        return;
    }
    const std::lock_guard threads(thread_mutex_);
    const Lock lock(mutex_);
    bool watched = false;
    watches_.for_each([&](std::uint64_t, const Watch&) { watched = true; });
    if (has_thread() || own_loop_ || dispatching_ || watched) {
        return;
    }
    armed_.reset();
    epoll_.reset();
    timer_.reset();
    wake_.reset();
}

Result<Reactor::WatchId> Reactor::Impl::watch(int fd, std::uint32_t events, Listener& listener,
                                              std::uint64_t cookie) {
    if (dead()) {
        return dead_reactor();
    }
    const Lock lock(mutex_);
    V4LFENCE_TRY(open());
    const std::uint64_t id = watches_.add({fd, &listener, cookie});
    const auto added = sys::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, events | EPOLLET, id);
    if (!added) {
        watches_.remove(id);
        return tl::unexpected<Error>(added.error());
    }
    return WatchId{id};
}

Result<> Reactor::Impl::change(WatchId id, std::uint32_t events) {
    if (dead()) {
        return dead_reactor();
    }
    const Lock lock(mutex_);
    const Watch* const watch = watches_.find(raw(id));
    if (watch == nullptr) {
        return fail(-ENOENT, "no such watch");
    }
    return sys::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, watch->fd, events | EPOLLET, raw(id));
}

Result<> Reactor::Impl::renew(WatchId id, std::uint32_t events) {
    if (dead()) {
        return dead_reactor();
    }
    const Lock lock(mutex_);
    const Watch* const watch = watches_.find(raw(id));
    if (watch == nullptr) {
        return fail(-ENOENT, "no such watch");
    }
    V4LFENCE_TRY(sys::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, watch->fd, 0, 0));
    return sys::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, watch->fd, events | EPOLLET, raw(id));
}

void Reactor::Impl::unwatch(WatchId id) {
    if (dead() || id == WatchId::None) {
        return;
    }
    Lock lock(mutex_);
    if (const Watch* const watch = watches_.find(raw(id))) {
        // The kernel has forgotten a descriptor that was closed too early: nothing is left to do.
        static_cast<void>(sys::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, watch->fd, 0, 0));
        watches_.remove(raw(id));
    }
    wait_for_callback(lock, raw(id));
}

Result<Reactor::TimerId> Reactor::Impl::add_timer(TimerListener& listener) {
    if (dead()) {
        return dead_reactor();
    }
    const Lock lock(mutex_);
    return TimerId{timers_.add({&listener, std::nullopt}) | timer_bit};
}

void Reactor::Impl::set_timer(TimerId id, Deadline deadline) {
    if (dead()) {
        return;
    }
    const Lock lock(mutex_);
    Timer* const timer = timers_.find(raw(id));
    if (timer == nullptr) {
        return;
    }
    timer->deadline = deadline;
    // A later one is seen when the kernel's timer fires for the one it is armed for.
    if (deadline && (!armed_ || *deadline < *armed_) && open()) {
        arm(*deadline);
    }
}

void Reactor::Impl::remove_timer(TimerId id) {
    if (dead() || id == TimerId::None) {
        return;
    }
    Lock lock(mutex_);
    timers_.remove(raw(id));
    wait_for_callback(lock, static_cast<std::uint64_t>(id));
}

void Reactor::Impl::wait_for_callback(Lock& lock, std::uint64_t id) {
    if (!on_dispatching_thread()) {
        changed_.wait(lock, [&] { return running_ != id; });
    }
}

Result<> Reactor::Impl::start_thread() {
    if (dead()) {
        return dead_reactor();
    }
    const std::lock_guard lock(thread_mutex_);
    if (has_thread()) {
        return {};
    }
    if (own_loop_) {
        return fail(-EBUSY, "the caller's loop dispatches");
    }
    V4LFENCE_TRY(open_locked());
    stop_.store(false);
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&thread_, nullptr, run_thread, this);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (error != 0) {
        return fail(-error, "pthread_create");
    }
    has_thread_.store(true, std::memory_order_release);
    return {};
}

void Reactor::Impl::stop_thread() {
    if (dead()) {
        return;
    }
    const std::lock_guard lock(thread_mutex_);
    if (!has_thread()) {
        return;
    }
    stop_.store(true);
    constexpr std::uint64_t one = 1;
    static_cast<void>(sys::write(wake_.get(), std::as_bytes(std::span(&one, 1))));
    pthread_join(thread_, nullptr);
    has_thread_.store(false, std::memory_order_release);
}

Result<> Reactor::Impl::use_own_loop() {
    if (dead()) {
        return dead_reactor();
    }
    const std::lock_guard lock(thread_mutex_);
    if (has_thread()) {
        return fail(-EBUSY, "the reactor's thread dispatches");
    }
    V4LFENCE_TRY(open_locked());
    own_loop_ = true;
    return {};
}

void* Reactor::Impl::run_thread(void* impl) {
    pthread_setname_np(pthread_self(), "v4lfence");
    sys::note_signals_blocked();
    static_cast<Impl*>(impl)->run();
    return nullptr;
}

bool Reactor::Impl::become_dispatcher() {
    const Lock lock(mutex_);
    if (dispatching_) {
        return false;
    }
    dispatching_ = true;
    dispatcher_ = std::this_thread::get_id();
    return true;
}

void Reactor::Impl::resign_dispatcher() {
    const Lock lock(mutex_);
    dispatching_ = false;
    dispatcher_ = {};
    changed_.notify_all();
}

void Reactor::Impl::run() {
    {
        Lock lock(mutex_);
        // A dispatch() of the caller's may still be under way.
        changed_.wait(lock, [&] { return !dispatching_; });
        dispatching_ = true;
        dispatcher_ = std::this_thread::get_id();
    }
    while (!stop_.load()) {
        if (!pass(-1)) {
            break;
        }
    }
    resign_dispatcher();
}

std::size_t Reactor::Impl::dispatch() {
    if (dead() || !become_dispatcher()) {
        return 0;
    }
    const auto ran = pass(0);
    resign_dispatcher();
    return ran.value_or(0);
}

Result<std::size_t> Reactor::Impl::pass(int timeout_ms) {
    std::array<epoll_event, batch_max> events;
    if (!epoll_) {
        return std::size_t{0};  // Nothing was ever asked for.
    }
    const std::size_t count = V4LFENCE_TRY(sys::epoll_wait(epoll_.get(), events, timeout_ms));
    wakeups_.fetch_add(1, std::memory_order_relaxed);
    Lock lock(mutex_);
    std::size_t ran = 0;
    bool fired = false;
    for (const epoll_event& event : std::span(events).first(count)) {
        if (event.data.u64 == timer_event) {
            fired = true;
        } else if (event.data.u64 != wake_event && run_ready(lock, event)) {
            ++ran;
        }
    }
    return ran + run_due(lock, fired);
}

template <class Callback>
void Reactor::Impl::call(Lock& lock, std::uint64_t id, Callback callback) {
    running_ = id;
    lock.unlock();
    callback();
    lock.lock();
    running_ = 0;
    changed_.notify_all();
}

bool Reactor::Impl::run_ready(Lock& lock, const epoll_event& event) {
    wait_for_forks(lock);
    // Looked up as late as this: an earlier callback of the batch may have removed it.
    const Watch* const found = watches_.find(event.data.u64);
    if (found == nullptr) {
        return false;
    }
    const Watch watch = *found;
    call(lock, event.data.u64, [&] { watch.listener->on_ready(watch.cookie, event.events); });
    return true;
}

std::size_t Reactor::Impl::run_due(Lock& lock, bool fired) {
    if (!armed_) {
        return 0;
    }
    const MonotonicTime now = clock_.now();
    if (now < *armed_ && !fired) {
        return 0;
    }
    std::size_t ran = 0;
    while (ran < batch_max && run_earliest(lock, now)) {
        ++ran;
    }
    armed_ = earliest_timer().deadline;
    if (armed_) {
        arm(*armed_);
    }
    return ran;
}

bool Reactor::Impl::run_earliest(Lock& lock, MonotonicTime now) {
    wait_for_forks(lock);
    const Earliest earliest = earliest_timer();
    if (!earliest.deadline || *earliest.deadline > now) {
        return false;
    }
    Timer* const timer = timers_.find(earliest.id);
    timer->deadline.reset();
    TimerListener* const listener = timer->listener;
    call(lock, earliest.id | timer_bit, [&] { listener->on_deadline(now); });
    return true;
}

Reactor::Impl::Earliest Reactor::Impl::earliest_timer() {
    Earliest earliest;
    timers_.for_each([&](std::uint64_t id, const Timer& timer) {
        if (timer.deadline && (!earliest.deadline || *timer.deadline < *earliest.deadline)) {
            earliest = {id, timer.deadline};
        }
    });
    return earliest;
}

void Reactor::Impl::arm(MonotonicTime deadline) {
    armed_ = deadline;
    // The kernel counts on its own clock, whatever ours says.
    const auto left = deadline - clock_.now();
    static_cast<void>(sys::timerfd_set(timer_.get(), SystemClock().now() + left));
}

void Reactor::Impl::wait_for_forks(Lock& lock) {
    changed_.wait(lock, [&] { return forks_ == 0; });
}

void Reactor::Impl::prepare_fork() {
    if (dead()) {
        return;
    }
    Lock lock(mutex_);
    ++forks_;
    if (!on_dispatching_thread()) {
        changed_.wait(lock, [&] { return running_ == 0; });
    }
}

void Reactor::Impl::resume_after_fork() {
    if (dead()) {
        return;
    }
    const Lock lock(mutex_);
    --forks_;
    changed_.notify_all();
}

void Reactor::Impl::abandon_after_fork() {
    dead_.store(true, std::memory_order_relaxed);
    has_thread_.store(false, std::memory_order_relaxed);
    epoll_.reset();
    timer_.reset();
    wake_.reset();
}

}  // namespace v4lfence
