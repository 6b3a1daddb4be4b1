// SPDX-License-Identifier: MIT

#include "v4lfence/remote/client.hpp"

#include <sys/eventfd.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <span>
#include <utility>

#include "v4lfence/base/socket.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/remote/remote_file.hpp"

namespace v4lfence::remote {

namespace {

/// More calls at a time are made with connections that do not last.
constexpr std::size_t idle_max = 8;
/// Connections beyond cost an allocation each time the list grows.
constexpr std::size_t connections_expected = 32;

}  // namespace

Client::Client(std::string address) : address_(std::move(address)) {
    connections_.reserve(connections_expected);
}

Client::~Client() = default;

// --- connections ---------------------------------------------------------------------------------

Client::Lease::~Lease() {
    if (connection_) {
        client_->give_back(connection_);
    }
}

Client::Entry* Client::find_wait(const WakeOf& wanted) {
    const auto found =
        std::find_if(connections_.begin(), connections_.end(), [&](const Entry& entry) {
            return entry.state == State::Waiting && entry.connection->wake.of == wanted &&
                   entry.waiter == sys::thread_id();
        });
    return found == connections_.end() ? nullptr : &*found;
}

Client::Entry* Client::find_idle(const WakeOf& wanted) {
    Entry* best = nullptr;
    int best_rank = -1;
    for (Entry& entry : connections_) {
        const WakeOf& has = entry.connection->wake.of;
        const int rank = has == wanted ? 2 : has.cookie == 0 ? 1 : 0;
        if (entry.state == State::Idle && rank > best_rank) {
            best = &entry;
            best_rank = rank;
        }
    }
    return best;
}

Client::Entry* Client::find(const Connection& connection) {
    const auto found =
        std::find_if(connections_.begin(), connections_.end(),
                     [&](const Entry& entry) { return entry.connection.get() == &connection; });
    return found == connections_.end() ? nullptr : &*found;
}

Result<Client::Lease> Client::lease(const WakeOf& wanted) {
    {
        const std::lock_guard lock(mutex_);
        if (Entry* const waiting = find_wait(wanted)) {
            return Lease(*this, waiting->connection);
        }
    }
    return lease_another(wanted);
}

Result<Client::Lease> Client::lease_another(const WakeOf& wanted) {
    {
        const std::lock_guard lock(mutex_);
        if (Entry* const idle = find_idle(wanted)) {
            idle->state = State::Lent;
            return Lease(*this, idle->connection);
        }
    }
    return connect();
}

Result<Client::Lease> Client::connect() {
    const std::uint64_t generation = this->generation();
    const std::uint64_t space = V4LFENCE_TRY(space_id());
    const int spare = V4LFENCE_TRY(spare_fd());
    auto connection = V4LFENCE_TRY(Connection::open(address_, spare));
    {
        // Before anything is said: a fork() by another thread is to find it.
        const std::lock_guard lock(mutex_);
        if (generation == this->generation()) {
            connections_.push_back({connection, State::Lent, 0});
        }
    }
    Lease lease(*this, std::move(connection));
    V4LFENCE_TRY(lease->say_hello(space));
    return lease;
}

Result<int> Client::spare_fd() {
    const std::lock_guard lock(mutex_);
    if (!spare_) {
        spare_ = sys::move_high(V4LFENCE_TRY(sys::eventfd(0, EFD_NONBLOCK)));
    }
    return spare_.get();
}

/// Closes what it closes with no lock held.
void Client::drop_idle() {
    std::vector<Entry> dropped;
    const std::lock_guard lock(mutex_);
    const auto idle =
        std::stable_partition(connections_.begin(), connections_.end(),
                              [](const Entry& entry) { return entry.state != State::Idle; });
    std::move(idle, connections_.end(), std::back_inserter(dropped));
    connections_.erase(idle, connections_.end());
}

void Client::give_back(const std::shared_ptr<Connection>& connection) noexcept {
    Entry unneeded;
    const std::lock_guard lock(mutex_);
    Entry* const found = find(*connection);
    if (found == nullptr || found->state == State::Waiting) {
        return;  // The parent process's, or what end_wait() gives back.
    }
    found->state = State::Idle;
    const auto is_idle = [](const Entry& entry) { return entry.state == State::Idle; };
    const auto idle = std::count_if(connections_.begin(), connections_.end(), is_idle);
    const bool many = static_cast<std::size_t>(idle) > idle_max;
    if (connection->broken() || (many && connection->mappings.load() == 0)) {
        unneeded = std::move(*found);
        connections_.erase(connections_.begin() + (found - connections_.data()));
    }
}

Result<std::uint64_t> Client::space_id() {
    const std::lock_guard lock(mutex_);
    if (space_id_ == 0) {
        space_id_ = V4LFENCE_TRY(sys::random_number());
    }
    return space_id_;
}

void Client::abandon() noexcept {
    generation_.fetch_add(1);
    for (const Entry& entry : connections_) {
        entry.connection->abandon();
    }
    connections_.clear();
    space_id_ = 0;
}

std::size_t Client::count_connections() {
    const std::lock_guard lock(mutex_);
    return connections_.size();
}

// --- calls ---------------------------------------------------------------------------------------

Result<Client::Lease> Client::ask(const Message& message, const WakeOf& wanted) {
    Lease first = V4LFENCE_TRY(lease(wanted));
    const auto asked = first->call(message);
    if (asked) {
        return first;
    }
    if (!first->broken() || !first->unsent()) {
        return tl::unexpected<Error>(asked.error());
    }
    // The server is another one by now, or gone.
    drop_idle();
    Lease fresh = V4LFENCE_TRY(connect());
    V4LFENCE_TRY(fresh->call(message));
    return fresh;
}

Result<Client::Opened> Client::open(std::string_view name, int flags) {
    const DeferredCancellation deferred;
    Message message(Op::Open);
    message.header.numbers = {flags};
    message.payload = std::as_bytes(std::span(name));
    message.awaited = 2;
    const Lease lease = V4LFENCE_TRY(ask(message));
    Incoming<Reply>& answer = lease->answer();
    V4LFENCE_TRY(error_of(answer.head()));
    UniqueFd fd = answer.next_descriptor();
    const UniqueFd page = answer.next_descriptor();
    V4LFENCE_TRY(sys::set_open_flags(fd.get(), flags));
    auto file = V4LFENCE_TRY(RemoteFile::adopt(*this, fd.get(), page.get(), false));
    return Opened{std::move(file), std::move(fd)};
}

Result<std::unique_ptr<RemoteFile>> Client::attach(int fd) {
    if (!sys::stands_for_file(fd)) {
        return fail(-ENODEV, "no virtual device's");
    }
    const DeferredCancellation deferred;
    Message message(Op::Attach, fd);
    message.awaited = 1;
    const Lease lease = V4LFENCE_TRY(ask(message));
    Incoming<Reply>& answer = lease->answer();
    const Reply& reply = answer.head();
    V4LFENCE_TRY(error_of(reply));
    const UniqueFd page = answer.next_descriptor();
    return RemoteFile::adopt(*this, fd, page.get(), reply.numbers[0] != 0);
}

// --- waits ---------------------------------------------------------------------------------------

Result<WaitPlan> Client::begin_wait(int fd, const WakeOf& wake_of, const Awaited& awaited) {
    const DeferredCancellation deferred;
    const Lease lease = V4LFENCE_TRY(lease_another(wake_of));
    auto begun = ask_for_wait(lease, fd, wake_of, awaited);
    if (!begun && begun.error().code == -EMFILE && lease->wake.of == wake_of && !lease->broken()) {
        // The one that is kept is no use any more, and its number the only one there was.
        lease->wake = {};
        begun = ask_for_wait(lease, fd, wake_of, awaited);
    }
    V4LFENCE_TRY(begun);
    const WaitPlan plan{lease->wake.fd.get(), -1, 0, lease->wake.generation};
    keep_waiting(lease);
    return plan;
}

/// When it has succeeded the connection has what to wait at.
Result<> Client::ask_for_wait(const Lease& lease, int fd, const WakeOf& wake_of,
                              const Awaited& awaited) {
    Connection::Wake& wake = lease->wake;
    const bool known = wake.of == wake_of;
    Message message(Op::BeginWait, fd);
    message.header.numbers = {static_cast<std::int64_t>(awaited.what), awaited.type, known ? 1 : 0,
                              static_cast<std::int64_t>(wake.generation)};
    message.awaited = known ? 0 : 1;  // If it has changed there may be a number for it, or not.
    const auto asked = lease->call(message);
    if (!asked) {
        if (asked.error().code == -EMFILE && !lease->unsent()) {
            (void)lease->call(Message(Op::EndWait));
        }
        return tl::unexpected<Error>(asked.error());
    }
    Incoming<Reply>& answer = lease->answer();
    V4LFENCE_TRY(error_of(answer.head()));
    const auto generation = static_cast<std::uint64_t>(answer.head().numbers[0]);
    if (answer.descriptor_count() > 0) {
        wake = {wake_of, generation, sys::move_high(answer.next_descriptor())};
    } else if (!known || wake.generation != generation) {
        lease->give_up();
        return fail(-ENODEV, "a wait without a descriptor");
    }
    return {};
}

Result<> Client::end_wait(const WakeOf& wake_of, int wake_fd) {
    const DeferredCancellation deferred;
    const auto connection = take_waiting(wake_of, wake_fd);
    if (!connection) {
        return {};
    }
    const Lease lease(*this, connection);
    V4LFENCE_TRY(lease->call(Message(Op::EndWait)));
    return error_of(lease->answer().head());
}

void Client::keep_waiting(const Lease& lease) {
    const std::lock_guard lock(mutex_);
    if (Entry* const found = find(*lease)) {
        found->state = State::Waiting;
        found->waiter = sys::thread_id();
    }
}

std::shared_ptr<Connection> Client::take_waiting(const WakeOf& wake_of, int wake_fd) {
    const std::lock_guard lock(mutex_);
    for (Entry& entry : connections_) {
        const Connection::Wake& wake = entry.connection->wake;
        if (entry.state == State::Waiting && wake.of == wake_of && wake.fd.get() == wake_fd) {
            entry.state = State::Lent;
            return entry.connection;
        }
    }
    return nullptr;
}

void Client::forget_file(std::uint64_t cookie) {
    std::vector<Entry> ended;
    std::vector<UniqueFd> unneeded;
    const std::lock_guard lock(mutex_);
    const auto is_its_wait = [&](const Entry& entry) {
        return entry.state == State::Waiting && entry.connection->wake.of.cookie == cookie;
    };
    const auto waiting =
        std::stable_partition(connections_.begin(), connections_.end(), std::not_fn(is_its_wait));
    std::move(waiting, connections_.end(), std::back_inserter(ended));
    connections_.erase(waiting, connections_.end());
    for (const Entry& entry : ended) {
        // The server rings too when it sees the connection end, and so clears this again; but the
        // thread is not to wait for the server.
        const std::uint64_t one = 1;
        (void)sys::write(entry.connection->wake.fd.get(), std::as_bytes(std::span(&one, 1)));
    }
    for (Entry& entry : connections_) {
        Connection::Wake& wake = entry.connection->wake;
        if (entry.state == State::Idle && wake.of.cookie == cookie) {
            unneeded.push_back(std::move(wake.fd));
            wake.of = {};
        }
    }
}

}  // namespace v4lfence::remote
