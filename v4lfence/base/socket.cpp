// SPDX-License-Identifier: MIT

#include "v4lfence/base/socket.hpp"

#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>

namespace v4lfence::sys {

namespace {

constexpr int bind_attempts_max = 4;
constexpr std::size_t random_digits = 16;
/// What stands before an abstract name in a sockaddr_un: the family and the NUL.
constexpr std::size_t name_offset = offsetof(sockaddr_un, sun_path) + 1;

Result<std::array<char, random_digits>> random_name() {
    std::uint64_t number = 0;
    if (::getrandom(&number, sizeof(number), 0) != static_cast<ssize_t>(sizeof(number))) {
        return fail_errno("getrandom");
    }
    std::array<char, random_digits> digits{};
    digits.fill('0');
    std::array<char, random_digits> short_form{};
    const auto end =
        std::to_chars(short_form.data(), short_form.data() + random_digits, number, 16);
    std::copy_backward(short_form.data(), end.ptr, digits.data() + random_digits);
    return digits;
}

}  // namespace

Result<std::size_t> send(int fd, std::span<const std::byte> data, int flags) {
    const ssize_t count = ::send(fd, data.data(), data.size(), flags | MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0) {
        return fail_errno("send");
    }
    return static_cast<std::size_t>(count);
}

Result<std::size_t> recv(int fd, std::span<std::byte> buffer, int flags) {
    const ssize_t count = ::recv(fd, buffer.data(), buffer.size(), flags | MSG_DONTWAIT);
    if (count < 0) {
        return fail_errno("recv");
    }
    return static_cast<std::size_t>(count);
}

Result<std::uint64_t> socket_cookie(int fd) {
    std::uint64_t cookie = 0;
    socklen_t size = sizeof(cookie);
    if (::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) < 0) {
        return fail_errno("getsockopt");
    }
    return cookie;
}

Result<> set_send_buffer(int fd, int bytes) {
    if (::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) < 0) {
        return fail_errno("setsockopt");
    }
    return {};
}

Result<> bind_abstract(int fd, std::string_view stem) {
    if (stem.size() + random_digits > AbstractName::size_max) {
        return fail(-ENAMETOOLONG, "bind");
    }
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    char* const digits = std::copy(stem.begin(), stem.end(), &address.sun_path[1]);
    const auto size = static_cast<socklen_t>(name_offset + stem.size() + random_digits);
    for (int attempt = 1;; ++attempt) {
        const auto random = V4LFENCE_TRY(random_name());
        std::copy(random.begin(), random.end(), digits);
        if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0) {
            return {};
        }
        if (errno != EADDRINUSE || attempt == bind_attempts_max) {
            return fail_errno("bind");
        }
    }
}

Result<AbstractName> peer_name(int fd) {
    sockaddr_un address{};
    socklen_t size = sizeof(address);
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) < 0) {
        return fail_errno("getpeername");
    }
    AbstractName name;
    if (address.sun_family == AF_UNIX && size > name_offset && address.sun_path[0] == '\0') {
        name.size = std::min<std::size_t>(size - name_offset, AbstractName::size_max);
        std::copy_n(&address.sun_path[1], name.size, name.characters.data());
    }
    return name;
}

bool stands_for_file(int fd) {
    const auto name = peer_name(fd);
    return name && name->view().starts_with(file_socket_stem);
}

}  // namespace v4lfence::sys
