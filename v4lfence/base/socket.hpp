// SPDX-License-Identifier: MIT
//
// The socket calls of the library, as syscall.hpp has the others. None of them waits but where it
// is told to, and none raises SIGPIPE, whatever flags the descriptor has.

#pragma once

#include <sys/types.h>
#include <sys/un.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence::sys {

/// `flags` may be 0 or MSG_OOB. Errors: EAGAIN (full), EPIPE, ECONNRESET, EOPNOTSUPP (no MSG_OOB).
Result<std::size_t> send(int fd, std::span<const std::byte> data, int flags = 0);

/// 0 after the end of the stream. `flags` may be 0 or MSG_OOB. Errors: EAGAIN (empty), ECONNRESET;
/// EINVAL when there is no out-of-band byte.
Result<std::size_t> recv(int fd, std::span<std::byte> buffer, int flags = 0);

/// The kernel's number of a socket: the same for every descriptor of it in every process, and never
/// given to another. Errors: ENOTSOCK, EBADF.
Result<std::uint64_t> socket_cookie(int fd);

/// Half of what poll() and send() go by: the kernel doubles it, and raises it to its minimum.
Result<> set_send_buffer(int fd, int bytes);

/// An address of AF_UNIX's abstract space, without its leading NUL.
struct AbstractName {
    static constexpr std::size_t size_max = sizeof(sockaddr_un{}.sun_path) - 1;

    std::array<char, size_max> characters{};
    std::size_t size = 0;

    std::string_view view() const { return {characters.data(), size}; }
};

/// Binds to an abstract address that begins with `stem` and ends in sixteen random hexadecimal
/// digits, so that nobody can take it first. Errors: ENAMETOOLONG, EADDRINUSE.
Result<> bind_abstract(int fd, std::string_view stem);

/// The address of the other end; empty when it has none that is abstract. It outlives the other
/// end. Errors: ENOTSOCK, ENOTCONN, EBADF.
Result<AbstractName> peer_name(int fd);

/// How the peers' names begin of sockets that stand for a file: what is readable there is no
/// message to whoever has the descriptor.
inline constexpr std::string_view file_socket_stem = "v4lfence-file-";
bool stands_for_file(int fd);

// --- messages between processes ------------------------------------------------------------------

/// Listens for connections of whole messages (SOCK_SEQPACKET). "@NAME" is of the abstract space;
/// anything else a path, made with mode 0600; a socket there that nobody listens at is replaced.
/// Errors: EADDRINUSE somebody does, or it is no socket; EINVAL no address; ENAMETOOLONG; EMFILE.
Result<UniqueFd> listen_at(std::string_view address);

/// Its calls wait where they are told to. Errors: ECONNREFUSED, ENOENT nobody listens; EACCES.
Result<UniqueFd> connect_to(std::string_view address);

/// Never waits. Errors: EAGAIN nobody is there; EMFILE, ENFILE; ECONNABORTED.
Result<UniqueFd> accept(int fd);

struct Peer {
    pid_t pid = 0;
    uid_t uid = 0;
};
/// Who made the other end, when it was made: the effective user. Errors: ENOTSOCK, EBADF.
Result<Peer> peer_of(int fd);

enum class Waiting : std::uint8_t { No, Yes };

/// Descriptors in one message.
inline constexpr std::size_t message_descriptors_max = 16;
/// Bytes of one message may lie in so many places.
inline constexpr std::size_t message_parts_max = 4;

/// One message. Retried when a signal interrupts it. Errors: EPIPE, ECONNRESET; EAGAIN full, where
/// it does not wait; EMSGSIZE; EBADF one of `descriptors`; ETOOMANYREFS; EINVAL too many parts.
Result<> send_message(int fd, std::span<const std::span<const std::byte>> parts,
                      std::span<const int> descriptors, Waiting waiting);

struct Received {
    std::size_t size = 0;  ///< 0: the end of the connection.
    std::size_t descriptors = 0;
};
/// One message, with the descriptors in it (close-on-exec). Retried when a signal interrupts it.
/// Errors: EAGAIN none, where it does not wait; ECONNRESET. The message is used up, and what came
/// with it closed: EMSGSIZE longer than `buffer`; EMFILE not all descriptors had room, here or in
/// the process.
Result<Received> receive_message(int fd, std::span<std::byte> buffer,
                                 std::span<UniqueFd> descriptors, Waiting waiting);

}  // namespace v4lfence::sys
