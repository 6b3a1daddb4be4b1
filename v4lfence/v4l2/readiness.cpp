// SPDX-License-Identifier: MIT

#include "v4lfence/v4l2/readiness.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include "v4lfence/base/socket.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

constexpr std::string_view name_stem = sys::file_socket_stem;

/// A default send buffer takes 278 socket buffers of one byte; what lies there must stay below it,
/// or events could not be shown any more. From `bytes_crowded` on it is renewed by whoever has the
/// program's number; at `bytes_max` frames, which show already, send nothing. The room between
/// serves events, of which one byte at most is added without the program's number.
constexpr std::size_t bytes_crowded = 40;
constexpr std::size_t bytes_max = 200;

/// With the smallest send buffer, a socket buffer of this size alone takes POLLOUT off.
constexpr std::size_t fill_size = 700;

/// Room for twice `edges_min` parked bytes: poll() offers a quarter of the buffer to writers, a
/// byte counts 768 there on a 64-bit machine, and the kernel doubles what it is asked for.
constexpr int output_send_buffer = 2 * Readiness::edges_min * 768 * 4 / 2;
constexpr std::size_t parked_limit = 256;

constexpr std::array<std::byte, 1> one_byte{};

bool shows(int fd, short event) noexcept {
    const auto shown = sys::poll_now(fd, event);
    return shown && (*shown & event) != 0;
}

/// "v4lfence-file-PID-COOKIE-", both hexadecimal; the random part follows.
struct Name {
    std::array<char, 64> characters{};
    std::size_t size = 0;
};

Name name_of(const Readiness::Identity& identity) noexcept {
    Name name;
    char* const end = name.characters.data() + name.characters.size();
    char* to = name.characters.data() + name_stem.copy(name.characters.data(), name_stem.size());
    to = std::to_chars(to, end, identity.maker, 16).ptr;
    *to++ = '-';
    to = std::to_chars(to, end, identity.cookie, 16).ptr;
    *to++ = '-';
    name.size = static_cast<std::size_t>(to - name.characters.data());
    return name;
}

std::optional<Readiness::Identity> identity_in(std::string_view name) noexcept {
    if (!name.starts_with(name_stem)) {
        return std::nullopt;
    }
    Readiness::Identity identity;
    const char* const end = name.data() + name.size();
    const auto maker = std::from_chars(name.data() + name_stem.size(), end, identity.maker, 16);
    if (maker.ec != std::errc{} || maker.ptr == end || *maker.ptr != '-') {
        return std::nullopt;
    }
    const auto cookie = std::from_chars(maker.ptr + 1, end, identity.cookie, 16);
    if (cookie.ec != std::errc{} || cookie.ptr == end || *cookie.ptr != '-') {
        return std::nullopt;
    }
    return identity;
}

}  // namespace

Result<NewReadiness> Readiness::create(Directions directions) {
    auto pair = V4LFENCE_TRY(sys::socketpair(0));
    NewReadiness made{Readiness{}, std::move(pair.first)};
    Readiness& self = made.readiness;
    self.our_end_ = sys::move_high(std::move(pair.second));
    self.captures_ = directions != Directions::Output;
    self.cookie_ = V4LFENCE_TRY(sys::socket_cookie(made.program_end.get()));
    const Name name = name_of({self.cookie_, ::getpid()});
    V4LFENCE_TRY(sys::bind_abstract(self.our_end_.get(), {name.characters.data(), name.size}));
    V4LFENCE_TRY(self.prepare_out(made.program_end.get(), directions != Directions::Capture));
    return made;
}

/// Parks until POLLOUT is off: once and for good, or with bytes that can be taken one by one.
Result<> Readiness::prepare_out(int program_fd, bool output) {
    static constexpr std::array<std::byte, fill_size> fill{};
    const std::span<const std::byte> each = output ? std::span<const std::byte>(one_byte) : fill;
    V4LFENCE_TRY(sys::set_send_buffer(program_fd, output ? output_send_buffer : 0));
    std::size_t parked = 0;
    do {
        V4LFENCE_TRY(sys::send(program_fd, each));
        ++parked;
    } while (shows(program_fd, POLLOUT) && parked < parked_limit);
    if (output) {
        parked_ = parked;
        parked_max_ = parked;
    }
    return {};
}

void Readiness::frame_done(Direction direction) noexcept {
    if (direction == Direction::Capture) {
        if (captures_) {
            frames_ = true;
            send_frame_byte();
        }
        return;
    }
    spaces_ = parked_max_ != 0;
    // The last one stays, so that hang_up() leaves unread data and shows POLLERR.
    if (parked_ > 1 && our_end_) {
        std::array<std::byte, 1> byte{};
        if (sys::recv(our_end_.get(), byte)) {
            --parked_;
        }
    }
}

Readiness::Reach Readiness::frame_taken(Direction direction, std::size_t frames_left,
                                        int program_fd) noexcept {
    if (direction == Direction::Capture) {
        frames_ = captures_ && frames_left > 0;
    } else {
        spaces_ = parked_max_ != 0 && frames_left > 0;
    }
    return settle(program_fd);
}

void Readiness::event_pending() noexcept {
    events_ = true;
    if (event_byte_) {
        // A second out-of-band byte would turn the first into data; any byte wakes.
        send_frame_byte();
    } else {
        send_event_byte();
    }
}

Readiness::Reach Readiness::events_gone(int program_fd) noexcept {
    events_ = false;
    return settle(program_fd);
}

Readiness::Reach Readiness::settle(int program_fd) noexcept {
    const std::size_t missing = bytes_to_park();
    const bool in_settled = in_is_settled();
    if (!our_end_ || (in_settled && missing == 0)) {
        return Reach::Reached;
    }
    if (!is_program_end(program_fd)) {
        return Reach::Stale;
    }
    if (!in_settled) {
        settle_in(program_fd);
    }
    park(program_fd, missing);
    return Reach::Reached;
}

bool Readiness::in_is_settled() const noexcept {
    // An event shows POLLIN anyway, so bytes of taken frames may stay as long as one waits.
    const bool bytes_are_due = bytes_ == 0 || frames_ || events_;
    return bytes_are_due && (events_ || !event_byte_) && bytes_ < bytes_crowded;
}

void Readiness::settle_in(int program_fd) noexcept {
    if (frames_ && bytes_ < bytes_crowded) {
        take_event_byte(program_fd);
        return;
    }
    drain(program_fd);
    if (frames_) {
        send_frame_byte();
    }
    if (events_) {
        send_event_byte();
    }
}

void Readiness::send_frame_byte() noexcept {
    if (our_end_ && bytes_ < bytes_max && sys::send(our_end_.get(), one_byte)) {
        ++bytes_;
    }
}

void Readiness::send_event_byte() noexcept {
    if (our_end_ && sys::send(our_end_.get(), one_byte, MSG_OOB)) {
        ++bytes_;
        event_byte_ = true;
    }
}

/// The socket buffer of the byte stays, and shows POLLIN, until something else is read.
void Readiness::take_event_byte(int program_fd) noexcept {
    std::array<std::byte, 1> byte{};
    if (event_byte_ && sys::recv(program_fd, byte, MSG_OOB)) {
        ++taken_event_bytes_;
    }
    event_byte_ = false;
}

/// An out-of-band byte that is still there goes first: a plain recv() would destroy it. A taken one
/// may look like the end of the data although some follows (6.1), so as many ends are passed as
/// there are such, and one more.
void Readiness::drain(int program_fd) noexcept {
    take_event_byte(program_fd);
    std::array<std::byte, bytes_max + bytes_crowded> buffer{};
    std::size_t ends = 0;
    while (ends <= taken_event_bytes_) {
        const auto count = sys::recv(program_fd, buffer);
        if (count && (*count == 0 || taken_event_bytes_ == 0)) {
            break;
        }
        ends = count ? 0 : ends + 1;
    }
    bytes_ = 0;
    taken_event_bytes_ = 0;
}

/// Without output buffers to dequeue, up to where POLLOUT goes; with some, no further than below
/// that, and only once so few are left that edges might run out.
std::size_t Readiness::bytes_to_park() const noexcept {
    if (!spaces_) {
        return parked_max_ - parked_;
    }
    return parked_ <= parked_max_ / 2 ? parked_max_ - 1 - parked_ : 0;
}

/// A socket buffer for each: taking a part of one wakes nobody.
void Readiness::park(int program_fd, std::size_t bytes) noexcept {
    for (; bytes > 0 && sys::send(program_fd, one_byte); --bytes) {
        ++parked_;
    }
}

void Readiness::hang_up() noexcept {
    if (!event_byte_) {
        send_event_byte();
    }
    our_end_.reset();
}

bool Readiness::abandoned() const noexcept {
    return our_end_ && shows(our_end_.get(), POLLHUP);
}

bool Readiness::is_program_end(int fd) const noexcept {
    const auto cookie = sys::socket_cookie(fd);
    return cookie && *cookie == cookie_;
}

Result<Readiness::Identity> Readiness::identify(int fd) {
    const auto name = sys::peer_name(fd);
    if (!name) {
        const int code = name.error().code;
        return fail(code == -ENOTCONN ? -ENODEV : code, "identify");
    }
    const auto identity = identity_in(name->view());
    if (!identity || identity->cookie != V4LFENCE_TRY(sys::socket_cookie(fd))) {
        return fail(-ENODEV, "identify");
    }
    return *identity;
}

Result<bool> Readiness::self_test() {
    const auto pair = V4LFENCE_TRY(sys::socketpair(0));
    return sys::send(pair.second.get(), one_byte, MSG_OOB).has_value() &&
           shows(pair.first.get(), POLLPRI);
}

}  // namespace v4lfence
