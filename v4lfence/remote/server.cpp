// SPDX-License-Identifier: MIT

#include "v4lfence/remote/server.hpp"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "v4lfence/base/socket.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/remote/session.hpp"

namespace v4lfence::remote {

namespace {

// What an event of the epoll is about; anything else is the address of a Session. While a worker
// has a session, no other gets an event of it (EPOLLONESHOT).
constexpr std::uint64_t at_stop = 0;
constexpr std::uint64_t at_listener = 1;
constexpr std::uint64_t at_file = 2;

constexpr unsigned threads_max = 64;

class ServerImpl final : public Server, private FileWatch {
public:
    explicit ServerImpl(const ServerOptions& options) { shared_.options = options; }
    Result<> open(std::string_view address);
    ~ServerImpl() override;

    void add(std::string name, std::shared_ptr<VideoDevice> device) override {
        device->show_as(name);
        shared_.devices.insert_or_assign(std::move(name), std::move(device));
    }
    Result<> start() override;
    Counts counts() const override;

private:
    Result<> watch(const ServedFile& file) override;

    static void* run(void* self);
    void work();
    void serve(Session& session, Incoming<Request>& incoming);
    void accept_one();
    void begin_session(UniqueFd connection);
    void end_session(Session& session);
    void listen_again();
    Result<> arm(int operation, int fd, std::uint32_t events, std::uint64_t data);

    Shared shared_;
    std::string path_;  ///< To be removed; empty: the address is abstract.
    UniqueFd epoll_;
    UniqueFd stop_;
    UniqueFd listener_;
    std::vector<pthread_t> threads_;
    /// What was done with a session before arm() is done before its next event is served. The
    /// kernel's epoll orders that; this says it to the language too.
    std::atomic<std::uint64_t> armed_{0};

    mutable std::mutex mutex_;  ///< Guards what follows.
    std::unordered_map<Session*, std::unique_ptr<Session>> sessions_;
    int last_number_ = 0;
    UniqueFd spare_;  ///< So that whoever connects can be told that there is no room.
    bool listener_rests_ = false;
};

// --- begin and end -------------------------------------------------------------------------------

Result<> ServerImpl::open(std::string_view address) {
    epoll_ = sys::move_high(V4LFENCE_TRY(sys::epoll_create()));
    stop_ = sys::move_high(V4LFENCE_TRY(sys::eventfd(0, EFD_NONBLOCK)));
    spare_ = V4LFENCE_TRY(sys::dup_high(stop_.get()));
    V4LFENCE_TRY(sys::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, stop_.get(), EPOLLIN, at_stop));
    listener_ = sys::move_high(V4LFENCE_TRY(sys::listen_at(address)));
    if (!address.starts_with('@')) {
        path_ = address;
    }
    return {};
}

Result<> ServerImpl::start() {
    V4LFENCE_TRY(arm(EPOLL_CTL_ADD, listener_.get(), EPOLLIN, at_listener));
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = 0;
    const unsigned wanted = std::clamp(shared_.options.threads, 1U, threads_max);
    while (error == 0 && threads_.size() < wanted) {
        pthread_t thread{};
        error = pthread_create(&thread, nullptr, run, this);
        if (error == 0) {
            threads_.push_back(thread);
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return threads_.empty() ? fail(-error, "pthread_create") : Result<>();
}

ServerImpl::~ServerImpl() {
    const std::uint64_t one = 1;
    (void)sys::write(stop_.get(), std::as_bytes(std::span(&one, 1)));
    for (const pthread_t thread : threads_) {
        pthread_join(thread, nullptr);
    }
    listener_.reset();
    if (!path_.empty()) {
        ::unlink(path_.c_str());
    }
    sessions_.clear();
    shared_.files.close_all();
}

Server::Counts ServerImpl::counts() const {
    const std::lock_guard lock(mutex_);
    return Counts{static_cast<unsigned>(sessions_.size()), shared_.files.count(),
                  shared_.waits.load()};
}

// --- the workers ---------------------------------------------------------------------------------

void* ServerImpl::run(void* self) {
    pthread_setname_np(pthread_self(), "v4lfence-server");
    sys::note_signals_blocked();
    static_cast<ServerImpl*>(self)->work();
    return nullptr;
}

void ServerImpl::work() {
    Incoming<Request> incoming;
    while (true) {
        epoll_event event{};
        const auto count = sys::epoll_wait(epoll_.get(), {&event, 1}, -1);
        if (!count || *count == 0) {
            continue;
        }
        (void)armed_.load(std::memory_order_acquire);
        switch (event.data.u64) {
        case at_stop:
            return;
        case at_listener:
            accept_one();
            break;
        case at_file:
            shared_.files.sweep();
            listen_again();
            break;
        default:
            serve(*reinterpret_cast<Session*>(event.data.u64), incoming);
        }
    }
}

void ServerImpl::serve(Session& session, Incoming<Request>& incoming) {
    if (session.serve(incoming)) {
        const std::lock_guard lock(session.arming());
        if (arm(EPOLL_CTL_MOD, session.fd(), EPOLLIN, reinterpret_cast<std::uintptr_t>(&session))) {
            return;
        }
    }
    end_session(session);
}

Result<> ServerImpl::arm(int operation, int fd, std::uint32_t events, std::uint64_t data) {
    armed_.fetch_add(1, std::memory_order_release);
    return sys::epoll_ctl(epoll_.get(), operation, fd, events | EPOLLONESHOT, data);
}

Result<> ServerImpl::watch(const ServedFile& file) {
    return arm(EPOLL_CTL_ADD, file.handle().watch_fd(), 0, at_file);
}

// --- connections ---------------------------------------------------------------------------------

/// Where there is no descriptor for one more, whoever connects is told so; where not even that can
/// be done, the listener rests until something is closed.
void ServerImpl::accept_one() {
    auto connection = sys::accept(listener_.get());
    const int error = connection ? 0 : connection.error().code;
    if (error == -EMFILE || error == -ENFILE) {
        const std::lock_guard lock(mutex_);
        spare_.reset();
        if (const auto refused = sys::accept(listener_.get())) {
            Reply reply;
            reply.error = error;
            (void)send(refused->get(), reply, {}, {}, {}, sys::Waiting::No);
        }
        if (auto spare = sys::dup_high(stop_.get())) {
            spare_ = std::move(*spare);
        } else {
            listener_rests_ = true;
            return;
        }
    }
    if (connection) {
        begin_session(std::move(*connection));
    }
    (void)arm(EPOLL_CTL_MOD, listener_.get(), EPOLLIN, at_listener);
}

/// Programs of our user, and of root.
void ServerImpl::begin_session(UniqueFd connection) {
    const auto peer = sys::peer_of(connection.get());
    if (!peer || (peer->uid != ::geteuid() && peer->uid != 0)) {
        return;
    }
    const std::lock_guard lock(mutex_);
    FileWatch& files = *this;
    auto session = std::make_unique<Session>(shared_, files, sys::move_high(std::move(connection)),
                                             peer->pid, --last_number_);
    Session* const begun = session.get();
    sessions_.emplace(begun, std::move(session));
    if (!arm(EPOLL_CTL_ADD, begun->fd(), EPOLLIN, reinterpret_cast<std::uintptr_t>(begun))) {
        sessions_.erase(begun);
    }
}

void ServerImpl::end_session(Session& session) {
    std::unique_ptr<Session> ended;
    {
        const std::lock_guard lock(mutex_);
        const auto found = sessions_.find(&session);
        ended = std::move(found->second);
        sessions_.erase(found);
    }
    { const std::lock_guard armed(ended->arming()); }
    ended.reset();
    listen_again();
}

void ServerImpl::listen_again() {
    const std::lock_guard lock(mutex_);
    if (!listener_rests_) {
        return;
    }
    auto spare = sys::dup_high(stop_.get());
    if (spare) {
        spare_ = std::move(*spare);
        listener_rests_ = false;
        (void)arm(EPOLL_CTL_MOD, listener_.get(), EPOLLIN, at_listener);
    }
}

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(std::string_view address,
                                               const ServerOptions& options) {
    auto server = std::make_unique<ServerImpl>(options);
    V4LFENCE_TRY(server->open(address));
    return std::unique_ptr<Server>(std::move(server));
}

}  // namespace v4lfence::remote
