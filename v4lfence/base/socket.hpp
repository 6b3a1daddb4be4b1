// SPDX-License-Identifier: MIT
//
// The socket calls of the library, as syscall.hpp has the others. None of them waits, and none
// raises SIGPIPE, whatever flags the descriptor has.

#pragma once

#include <sys/un.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "v4lfence/base/result.hpp"

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

}  // namespace v4lfence::sys
