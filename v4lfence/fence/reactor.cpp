// SPDX-License-Identifier: MIT

#include "v4lfence/fence/reactor.hpp"

#include "v4lfence/fence/reactor_impl.hpp"

namespace v4lfence {

Reactor::Reactor(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}

Reactor::~Reactor() {
    if (impl_->dead()) {
        // Threads that do not exist in this process may hold its lock and wait on its condition: it
        // is left alone.
        static_cast<void>(impl_.release());
    }
}

std::unique_ptr<Reactor> Reactor::create(const Clock& clock) {
    return std::unique_ptr<Reactor>(new Reactor(std::make_unique<Impl>(clock)));
}

Result<Reactor::WatchId> Reactor::watch(int fd, std::uint32_t events, Listener& listener,
                                        std::uint64_t cookie) {
    return impl_->watch(fd, events, listener, cookie);
}

Result<> Reactor::change(WatchId id, std::uint32_t events) {
    return impl_->change(id, events);
}

Result<> Reactor::renew(WatchId id, std::uint32_t events) {
    return impl_->renew(id, events);
}

void Reactor::unwatch(WatchId id) {
    impl_->unwatch(id);
}

Result<Reactor::TimerId> Reactor::add_timer(TimerListener& listener) {
    return impl_->add_timer(listener);
}

void Reactor::set_timer(TimerId id, Deadline deadline) {
    impl_->set_timer(id, deadline);
}

void Reactor::remove_timer(TimerId id) {
    impl_->remove_timer(id);
}

Result<> Reactor::start_thread() {
    return impl_->start_thread();
}

void Reactor::stop_thread() {
    impl_->stop_thread();
}

void Reactor::close_idle() {
    impl_->close_idle();
}

bool Reactor::has_thread() const noexcept {
    return impl_->has_thread();
}

bool Reactor::on_dispatching_thread() const {
    return impl_->called_from_callback();
}

Result<> Reactor::use_own_loop() {
    return impl_->use_own_loop();
}

int Reactor::fd() const noexcept {
    return impl_->fd();
}

std::size_t Reactor::dispatch() {
    return impl_->dispatch();
}

std::uint64_t Reactor::wakeups() const noexcept {
    return impl_->wakeups();
}

void Reactor::prepare_fork() {
    impl_->prepare_fork();
}

void Reactor::resume_after_fork() {
    impl_->resume_after_fork();
}

void Reactor::abandon_after_fork() {
    impl_->abandon_after_fork();
}

}  // namespace v4lfence
