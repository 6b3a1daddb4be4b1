// SPDX-License-Identifier: MIT

#include "v4lfence/base/socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "v4lfence/base/syscall.hpp"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define V4LFENCE_TELLS_TSAN 1
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#endif
#endif

namespace v4lfence::sys {

namespace {

// That a message was sent before it was received is an order between threads, which the thread
// sanitizer does not see in a kernel's socket.
#ifdef V4LFENCE_TELLS_TSAN
char all_messages;
void note_sending() noexcept {
    __tsan_release(&all_messages);
}
void note_received() noexcept {
    __tsan_acquire(&all_messages);
}
#else
void note_sending() noexcept {}
void note_received() noexcept {}
#endif

constexpr int bind_attempts_max = 4;
constexpr std::size_t random_digits = 16;
/// What stands before an abstract name in a sockaddr_un: the family and the NUL.
constexpr std::size_t name_offset = offsetof(sockaddr_un, sun_path) + 1;

Result<std::array<char, random_digits>> random_name() {
    const std::uint64_t number = V4LFENCE_TRY(random_number());
    std::array<char, random_digits> digits{};
    digits.fill('0');
    std::array<char, random_digits> short_form{};
    const auto end =
        std::to_chars(short_form.data(), short_form.data() + random_digits, number, 16);
    std::copy_backward(short_form.data(), end.ptr, digits.data() + random_digits);
    return digits;
}

constexpr int backlog = 64;

struct Address {
    sockaddr_un name{};
    socklen_t size = 0;

    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&name); }
    bool is_path() const { return name.sun_path[0] != '\0'; }
};

/// "@NAME" or a path.
Result<Address> parse_address(std::string_view text) {
    constexpr std::size_t path_offset = offsetof(sockaddr_un, sun_path);
    Address address;
    address.name.sun_family = AF_UNIX;
    const bool abstract = text.starts_with('@');
    if (text.size() <= (abstract ? 1U : 0U) || text.find('\0') != std::string_view::npos) {
        return fail(-EINVAL, "the address of a socket");
    }
    if (text.size() >= sizeof address.name.sun_path) {
        return fail(-ENAMETOOLONG, "the address of a socket");
    }
    std::copy(text.begin(), text.end(), &address.name.sun_path[0]);
    if (abstract) {
        address.name.sun_path[0] = '\0';
    }
    address.size = static_cast<socklen_t>(path_offset + text.size() + (abstract ? 0 : 1));
    return address;
}

/// `flags`: SOCK_NONBLOCK or none.
Result<UniqueFd> message_socket(int flags = 0) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0));
    if (!fd) {
        return fail_errno("socket");
    }
    return fd;
}

/// Removes a socket that was left behind, if it is still there. Never waits: a listener whose
/// queue is full says EAGAIN. Errors: EADDRINUSE it is in use, or something else.
Result<> remove_stale(const Address& address) {
    const UniqueFd probe = V4LFENCE_TRY(message_socket(SOCK_NONBLOCK));
    struct stat info {};
    if (::lstat(&address.name.sun_path[0], &info) == 0 && !S_ISSOCK(info.st_mode)) {
        return fail(-EADDRINUSE, "a file that is no socket");
    }
    const int status = ::connect(probe.get(), address.get(), address.size);
    if (status < 0 && errno == ENOENT) {
        return {};  // Who had it has just removed it.
    }
    if (status == 0 || errno != ECONNREFUSED) {
        return fail(-EADDRINUSE, "somebody listens there");
    }
    if (::unlink(&address.name.sun_path[0]) < 0 && errno != ENOENT) {
        return fail_errno("unlink");
    }
    return {};
}

/// Room for the descriptors of one message, aligned as the kernel wants it.
struct Control {
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int) * message_descriptors_max)> bytes;
};

/// What came with a message becomes owned, whatever is done with it afterwards. False: something
/// was lost.
bool own_descriptors(msghdr& header, std::span<UniqueFd> descriptors, std::size_t& count) {
    bool all = (header.msg_flags & MSG_CTRUNC) == 0;
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr;
         part = CMSG_NXTHDR(&header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        const std::size_t numbers = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < numbers; ++i) {
            int number = -1;
            std::memcpy(&number, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
            UniqueFd owned(number);
            if (count < descriptors.size()) {
                descriptors[count++] = std::move(owned);
            } else {
                all = false;
            }
        }
    }
    return all;
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

// --- messages between processes ------------------------------------------------------------------

Result<UniqueFd> listen_at(std::string_view text) {
    const Address address = V4LFENCE_TRY(parse_address(text));
    UniqueFd fd = V4LFENCE_TRY(message_socket(SOCK_NONBLOCK));
    // The mode that the path is made with is that of the socket.
    if (::fchmod(fd.get(), S_IRUSR | S_IWUSR) < 0) {
        return fail_errno("socket");
    }
    int status = ::bind(fd.get(), address.get(), address.size);
    for (int attempt = 1;
         status < 0 && errno == EADDRINUSE && address.is_path() && attempt < bind_attempts_max;
         ++attempt) {
        V4LFENCE_TRY(remove_stale(address));
        status = ::bind(fd.get(), address.get(), address.size);
    }
    if (status < 0 || ::listen(fd.get(), backlog) < 0) {
        return fail_errno("bind");
    }
    return fd;
}

Result<UniqueFd> connect_to(std::string_view text) {
    const Address address = V4LFENCE_TRY(parse_address(text));
    UniqueFd fd = V4LFENCE_TRY(message_socket());
    int status = 0;
    do {
        status = ::connect(fd.get(), address.get(), address.size);
    } while (status < 0 && errno == EINTR);
    if (status < 0) {
        return fail_errno("connect");
    }
    return fd;
}

Result<UniqueFd> accept(int fd) {
    UniqueFd accepted(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!accepted) {
        return fail_errno("accept");
    }
    return accepted;
}

Result<Peer> peer_of(int fd) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) {
        return fail_errno("getsockopt");
    }
    return Peer{credentials.pid, credentials.uid};
}

Result<> send_message(int fd, std::span<const std::span<const std::byte>> parts,
                      std::span<const int> descriptors, Waiting waiting) {
    if (parts.size() > message_parts_max || descriptors.size() > message_descriptors_max) {
        return fail(-EINVAL, "too many parts of a message");
    }
    std::array<iovec, message_parts_max> places{};
    std::size_t used = 0;
    for (const auto part : parts) {
        places[used++] = {const_cast<std::byte*>(part.data()), part.size()};
    }
    msghdr header{};
    header.msg_iov = places.data();
    header.msg_iovlen = used;
    Control control;
    if (!descriptors.empty()) {
        control.bytes.fill(std::byte{});
        header.msg_control = control.bytes.data();
        header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
        cmsghdr* const part = CMSG_FIRSTHDR(&header);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(descriptors.size_bytes());
        std::memcpy(CMSG_DATA(part), descriptors.data(), descriptors.size_bytes());
    }
    const int flags = MSG_NOSIGNAL | (waiting == Waiting::No ? MSG_DONTWAIT : 0);
    note_sending();
    ssize_t sent = 0;
    do {
        sent = ::sendmsg(fd, &header, flags);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        return fail_errno("sendmsg");
    }
    return {};
}

Result<Received> receive_message(int fd, std::span<std::byte> buffer,
                                 std::span<UniqueFd> descriptors, Waiting waiting) {
    iovec place{buffer.data(), buffer.size()};
    msghdr header{};
    header.msg_iov = &place;
    header.msg_iovlen = 1;
    Control control;
    header.msg_control = control.bytes.data();
    header.msg_controllen = control.bytes.size();
    const int flags = MSG_CMSG_CLOEXEC | (waiting == Waiting::No ? MSG_DONTWAIT : 0);
    ssize_t size = 0;
    do {
        size = ::recvmsg(fd, &header, flags);
    } while (size < 0 && errno == EINTR);
    if (size < 0) {
        return fail_errno("recvmsg");
    }
    note_received();
    Received received{static_cast<std::size_t>(size)};
    const bool all = own_descriptors(header, descriptors, received.descriptors);
    const bool whole = (header.msg_flags & MSG_TRUNC) == 0;
    if (!all || !whole) {
        for (UniqueFd& descriptor : descriptors) {
            descriptor.reset();
        }
        return fail(whole ? -EMFILE : -EMSGSIZE, "recvmsg");
    }
    return received;
}

}  // namespace v4lfence::sys
