// SPDX-License-Identifier: MIT

#include "v4lfence/remote/connection.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <utility>

#include "v4lfence/base/shortage.hpp"
#include "v4lfence/base/socket.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence::remote {

namespace {

/// Numbers that are free again when it goes. What they are meanwhile is not the connection: a
/// fork() by another thread would leave it open in a child that knows nothing of it.
class Reservation {
public:
    /// Errors: EMFILE.
    Result<> take(int fd, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            numbers_[i] = V4LFENCE_TRY(sys::dup(fd));
        }
        return {};
    }

private:
    std::array<UniqueFd, descriptors_max> numbers_;
};

}  // namespace

DeferredCancellation::DeferredCancellation() {
    ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_);
}

DeferredCancellation::~DeferredCancellation() noexcept(false) {
    ::pthread_setcancelstate(before_, nullptr);
}

Result<> error_of(const Reply& reply) {
    if (reply.error < 0) {
        return fail(reply.error, "the device server");
    }
    return {};
}

Result<std::shared_ptr<Connection>> Connection::open(std::string_view address, int spare_fd) {
    auto socket = sys::connect_to(address);
    if (!socket) {
        const int error = socket.error().code;
        return fail(is_shortage(error) || error == -EACCES ? error : -ENODEV, "connect");
    }
    const auto peer = V4LFENCE_TRY(sys::peer_of(socket->get()));
    if (peer.uid != ::geteuid()) {
        return fail(-EACCES, "the server is another user's");
    }
    return std::shared_ptr<Connection>(
        new Connection(sys::move_high(std::move(*socket)), spare_fd));
}

Result<> Connection::say_hello(std::uint64_t space_id) {
    Message hello(Op::Hello);
    hello.header.numbers = {protocol_version, static_cast<std::int64_t>(space_id)};
    // A program that may not be looked at has none: what needs it answers an error.
    const auto memory = sys::open("/proc/self/mem", O_RDWR);
    if (memory) {
        hello.header.has_file = 1;
        hello.add(memory->get());
    }
    const auto welcomed = welcome(hello);
    broken_ = broken_ || !welcomed;
    return welcomed;
}

Result<> Connection::welcome(const Message& hello) {
    const auto called = call(hello);
    if (!called && !(broken_ && hear_refusal())) {
        return called;
    }
    const int error = answer_.head().error;
    if (error != 0) {
        return fail(is_shortage(error) || error == -EACCES ? error : -ENODEV, "Hello");
    }
    return called;
}

/// A server that has no room says so before it has heard anything, and hangs up. That is told
/// first, once.
bool Connection::hear_refusal() {
    for (int attempt = 0; attempt < 2; ++attempt) {
        if (answer_.receive(socket_.get(), sys::Waiting::No)) {
            return true;
        }
    }
    return false;
}

Result<> Connection::call(const Message& message) {
    unsent_ = true;
    if (broken_ || !socket_) {
        broken_ = true;
        return fail(-ENODEV, "a broken connection");
    }
    {
        Reservation reservation;
        V4LFENCE_TRY(reservation.take(spare_fd_, message.awaited));
        const std::span descriptors(message.descriptors.data(), message.descriptor_count);
        const auto sent = remote::send(socket_.get(), message.header, message.argument,
                                       message.payload, descriptors, sys::Waiting::Yes);
        if (!sent) {
            return not_sent(sent.error());
        }
        unsent_ = false;
    }
    const auto received = answer_.receive(socket_.get(), sys::Waiting::Yes);
    if (received || received.error().code == -EMFILE) {
        return received;
    }
    broken_ = true;
    return fail(-ENODEV, "the server is gone");
}

tl::unexpected<Error> Connection::not_sent(Error error) {
    switch (error.code) {
    case -EBADF:
        // Also after a fork in the middle, when nothing of it is left.
        if (socket_) {
            return tl::unexpected<Error>(error);
        }
        break;
    case -ETOOMANYREFS:
        return fail(-EMFILE, "too many descriptors on their way");
    case -ENOMEM:
    case -ENOBUFS:
    case -EMSGSIZE:
        return fail(-ENOMEM, error.where);
    default:
        break;
    }
    broken_ = true;
    return fail(-ENODEV, "the server is gone");
}

void Connection::post(const Request& header) noexcept {
    (void)remote::send(socket_.get(), header, {}, {}, {}, sys::Waiting::Yes);
}

void Connection::abandon() noexcept {
    socket_.reset();
    wake.fd.reset();
    wake.of = {};
}

}  // namespace v4lfence::remote
