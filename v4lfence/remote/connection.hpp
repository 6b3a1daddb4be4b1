// SPDX-License-Identifier: MIT
//
// Connection: one of a program's connections to a device server, and a call on it.

#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"
#include "v4lfence/remote/wire.hpp"
#include "v4lfence/uapi/file.hpp"

namespace v4lfence::remote {

/// While it lives the thread is not cancelled. What was asked for meanwhile may happen at its end:
/// to a thread of asynchronous cancellation, even there.
class [[nodiscard]] DeferredCancellation {
public:
    DeferredCancellation();
    ~DeferredCancellation() noexcept(false);
    DeferredCancellation(const DeferredCancellation&) = delete;
    DeferredCancellation& operator=(const DeferredCancellation&) = delete;

    /// What it is for the thread otherwise: PTHREAD_CANCEL_ENABLE or _DISABLE.
    int before() const noexcept { return before_; }

private:
    int before_ = 0;
};

/// What is said to the server.
struct Message {
    Request header{};
    std::span<const std::byte> argument{};
    std::span<const std::byte> payload{};
    std::array<int, descriptors_max> descriptors{};  ///< As `header` says; borrowed.
    std::size_t descriptor_count = 0;
    /// The answer may have so many. Numbers for them are made sure of before anything is said, so
    /// that a call is not made, and its descriptor lost for want of a number.
    std::size_t awaited = 0;

    explicit Message(Op op) { header.op = op; }
    /// A call for the file of this descriptor.
    Message(Op op, int fd) : Message(op) {
        header.has_file = 1;
        add(fd);
    }
    void add(int fd) { descriptors[descriptor_count++] = fd; }
};

/// What the server says to a call. Errors: the reply's.
Result<> error_of(const Reply& reply);

/// Whose descriptor to wait at.
struct WakeOf {
    std::uint64_t cookie = 0;  ///< The file's; 0: nobody's.
    Awaited::What what = Awaited::What::Buffer;

    bool operator==(const WakeOf&) const = default;
};

/// Thread: one at a time, but post() from any.
class Connection {
public:
    /// Connects. `spare_fd` is borrowed for as long as it lives: whatever nobody minds two of, even
    /// in a forked child. Errors: ENODEV nobody is there; EACCES the server is another user's;
    /// EMFILE, ENFILE, ENOMEM.
    static Result<std::shared_ptr<Connection>> open(std::string_view address, int spare_fd);
    /// The first call; the connection is broken if it fails. Errors: ENODEV whoever is there speaks
    /// otherwise; EMFILE, ENFILE, also the server's; ENOMEM.
    Result<> say_hello(std::uint64_t space_id);

    /// Asks, and waits for the answer. Errors: ENODEV it broke; EBADF one of the descriptors is
    /// none; EMFILE no numbers for what is awaited, or none any more for what has come: then
    /// answer().head() is what came.
    Result<> call(const Message& message);
    /// Of the last call, until the next. Its error is the server's.
    Incoming<Reply>& answer() noexcept { return answer_; }
    /// Says something that is not answered. Nobody hears it on a broken connection.
    void post(const Request& header) noexcept;

    /// No further call will be answered.
    bool broken() const noexcept { return broken_; }
    void give_up() noexcept { broken_ = true; }
    /// The last call has not reached the server.
    bool unsent() const noexcept { return unsent_; }

    /// Mappings of the program that the server counts for as long as this lives.
    std::atomic<unsigned> mappings{0};

    /// Closes what it has, in a forked child.
    void abandon() noexcept;

    /// A descriptor to wait at, kept for the next wait of the same file.
    struct Wake {
        WakeOf of;
        std::uint64_t generation = 0;  ///< WaitPlan::generation
        UniqueFd fd;
    };
    Wake wake;

private:
    Connection(UniqueFd socket, int spare_fd) noexcept
        : socket_(std::move(socket)), spare_fd_(spare_fd) {}

    Result<> welcome(const Message& hello);
    bool hear_refusal();
    tl::unexpected<Error> not_sent(Error error);

    UniqueFd socket_;
    const int spare_fd_;
    Incoming<Reply> answer_;
    bool broken_ = false;
    bool unsent_ = false;
};

}  // namespace v4lfence::remote
