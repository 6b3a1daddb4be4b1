// SPDX-License-Identifier: MIT
//
// Client: a program's side of a device server: its connections, and the files it opens there.

#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"
#include "v4lfence/remote/connection.hpp"
#include "v4lfence/remote/wire.hpp"
#include "v4lfence/uapi/file.hpp"

namespace v4lfence::remote {

class RemoteFile;

/// Must outlive its files and their mappings. Thread: every member may be called from any thread. A
/// thread that is cancelled, or interrupted by a signal, leaves no call half done: a call is short,
/// and cancellation is put off meanwhile (DeferredCancellation).
class Client {
public:
    /// `address` as Server::listen(). Connects when it is first needed.
    explicit Client(std::string address);
    ~Client();

    struct Opened {
        std::unique_ptr<RemoteFile> file;
        UniqueFd fd;  ///< The program's: the lowest free number.
    };
    /// Errors: ENODEV no server, or no such device any more; EACCES the server is another user's;
    /// ENOENT no such device; EMFILE, ENFILE, ENOMEM.
    Result<Opened> open(std::string_view name, int flags);

    /// The file behind a descriptor that came by another way. Errors: ENODEV it is none of that
    /// server's.
    Result<std::unique_ptr<RemoteFile>> attach(int fd);

    /// A connection for one call, or for a wait and the calls in it. Goes back when it is
    /// destroyed; is closed instead if it broke or the process has forked since.
    class [[nodiscard]] Lease {
    public:
        Lease(Lease&& other) noexcept = default;
        Lease& operator=(Lease&&) = delete;
        ~Lease();

        Connection& operator*() const noexcept { return *connection_; }
        Connection* operator->() const noexcept { return connection_.get(); }
        const std::shared_ptr<Connection>& shared() const noexcept { return connection_; }

    private:
        friend class Client;
        Lease(Client& client, std::shared_ptr<Connection> connection) noexcept
            : client_(&client), connection_(std::move(connection)) {}

        Client* client_;
        std::shared_ptr<Connection> connection_;  ///< NULL after a move.
    };
    /// That of this thread's wait for `wanted`, if it waits; else one that has the descriptor to
    /// wait at, if there is such a one. The server knows by its connection who it is that waits:
    /// for anybody else a DQBUF is EBUSY meanwhile. Errors: as open().
    Result<Lease> lease(const WakeOf& wanted = {});

    /// One call, on a connection that is lent for it; once more on a fresh one if the first had
    /// broken before. The answer is the connection's, as long as it is lent.
    /// Errors: as open(), ENODEV the connection broke; what Connection::call() says.
    Result<Lease> ask(const Message& message, const WakeOf& wanted = {});

    // Waits. Their connections are kept here, so that nothing of C++ is in the way of a thread that
    // is cancelled while it waits.
    /// `kernel_fd` of the plan is -1. Errors: as ask(), and what the server answers.
    Result<WaitPlan> begin_wait(int fd, const WakeOf& wake_of, const Awaited& awaited);
    /// Nothing, where that wait was the parent process's. Errors: as begin_wait().
    Result<> end_wait(const WakeOf& wake_of, int wake_fd);
    /// All waits for that file end: whoever waits looks again. No descriptor to wait for it is
    /// kept.
    void forget_file(std::uint64_t cookie);

    /// Counts forks: what was learnt in another generation was the parent's.
    std::uint64_t generation() const noexcept { return generation_.load(); }

    /// For the fork handlers: the child has connections of its own.
    void lock_for_fork() { mutex_.lock(); }
    void unlock_after_fork() { mutex_.unlock(); }
    /// In the child, with the lock held. The parent's waits and mappings are to end with the
    /// parent, so no descriptor of its connections stays.
    void abandon() noexcept;

    /// Of the program's descriptors, so many are the connections' now. For tests.
    std::size_t count_connections();

private:
    enum class State : std::uint8_t { Idle, Lent, Waiting };
    struct Entry {
        std::shared_ptr<Connection> connection;
        State state = State::Idle;
        int waiter = 0;  ///< sys::thread_id() of whose wait it is.
    };

    Result<Lease> lease_another(const WakeOf& wanted);
    Result<Lease> connect();
    Result<int> spare_fd();
    Entry* find_wait(const WakeOf& wanted);
    Entry* find_idle(const WakeOf& wanted);
    Entry* find(const Connection& connection);
    void drop_idle();
    void give_back(const std::shared_ptr<Connection>& connection) noexcept;
    Result<> ask_for_wait(const Lease& lease, int fd, const WakeOf& wake_of,
                          const Awaited& awaited);
    void keep_waiting(const Lease& lease);
    std::shared_ptr<Connection> take_waiting(const WakeOf& wake_of, int wake_fd);
    Result<std::uint64_t> space_id();

    const std::string address_;
    std::atomic<std::uint64_t> generation_{0};
    std::mutex mutex_;  ///< Guards what follows; never held over a call.
    std::vector<Entry> connections_;
    std::uint64_t space_id_ = 0;  ///< Of this address space; 0: not made yet.
    UniqueFd spare_;              ///< Connection::open()'s; made when it is first needed.
};

}  // namespace v4lfence::remote
