// SPDX-License-Identifier: MIT

#include "tests/vm/camera/usbip.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cstring>

namespace v4lfence {
namespace {

constexpr std::uint32_t submit_command = 1;
constexpr std::uint32_t unlink_command = 2;
constexpr std::uint32_t submit_answer = 3;
constexpr std::uint32_t unlink_answer = 4;

// Words of a header. From word 5 on they differ by command.
constexpr std::size_t command_word = 0;
constexpr std::size_t seqnum_word = 1;
constexpr std::size_t direction_word = 3;
constexpr std::size_t endpoint_word = 4;
constexpr std::size_t victim_word = 5;
constexpr std::size_t status_word = 5;
constexpr std::size_t length_word = 6;
constexpr std::size_t setup_word = 10;

// Far above what a camera without controls is sent.
constexpr std::uint32_t out_length_max = 1 << 20;

UsbSetup setup_from(const std::uint32_t* words) {
    std::array<std::uint8_t, 8> b;
    std::memcpy(b.data(), words, b.size());
    const auto u16 = [&b](std::size_t at) {
        return static_cast<std::uint16_t>(b[at] | b[at + 1] << 8);
    };
    return {b[0], b[1], u16(2), u16(4), u16(6)};
}

iovec part(std::span<const std::uint8_t> bytes) {
    return {const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
}

// Drops the first `sent` bytes.
void advance(std::span<iovec>& parts, std::size_t sent) {
    while (!parts.empty() && sent >= parts.front().iov_len) {
        sent -= parts.front().iov_len;
        parts = parts.subspan(1);
    }
    if (!parts.empty()) {
        parts.front().iov_base = static_cast<std::uint8_t*>(parts.front().iov_base) + sent;
        parts.front().iov_len -= sent;
    }
}

}  // namespace

Result<> UsbIpLink::receive_all(void* to, std::size_t size) {
    auto* at = static_cast<std::uint8_t*>(to);
    while (size > 0) {
        const ssize_t got = recv(fd(), at, size, MSG_WAITALL);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return fail(-ENODEV, "the host has closed the connection");
        }
        at += got;
        size -= static_cast<std::size_t>(got);
    }
    return {};
}

Result<UsbMessage> UsbIpLink::receive() {
    Header w;
    V4LFENCE_TRY(receive_all(w.data(), sizeof w));
    const std::uint32_t seqnum = ntohl(w[seqnum_word]);
    if (ntohl(w[command_word]) == unlink_command) {
        return UsbUnlink{seqnum, ntohl(w[victim_word])};
    }
    if (ntohl(w[command_word]) != submit_command) {
        return fail(-EPROTO, "USB/IP command");
    }
    UsbTransfer transfer{seqnum,
                         ntohl(w[endpoint_word]),
                         ntohl(w[direction_word]) != 0,
                         ntohl(w[length_word]),
                         setup_from(&w[setup_word]),
                         {}};
    if (!transfer.in) {
        if (transfer.length > out_length_max) {
            return fail(-EPROTO, "USB/IP transfer length");
        }
        transfer.data.resize(transfer.length);
        V4LFENCE_TRY(receive_all(transfer.data.data(), transfer.data.size()));
    }
    return transfer;
}

Result<> UsbIpLink::send(std::uint32_t command, std::uint32_t seqnum, int status,
                         std::uint32_t actual, std::span<const std::uint8_t> head,
                         std::span<const std::uint8_t> body) {
    Header w{};
    w[command_word] = htonl(command);
    w[seqnum_word] = htonl(seqnum);
    w[status_word] = htonl(static_cast<std::uint32_t>(status));
    w[length_word] = htonl(actual);
    std::array<iovec, 3> all{{{w.data(), sizeof w}, part(head), part(body)}};
    for (std::span<iovec> parts(all); !parts.empty();) {
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = parts.size();
        const ssize_t sent = sendmsg(fd(), &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            return fail_errno("sendmsg to the host");
        }
        advance(parts, static_cast<std::size_t>(sent));
    }
    return {};
}

Result<> UsbIpLink::answer(std::uint32_t seqnum, std::span<const std::uint8_t> head,
                           std::span<const std::uint8_t> body) {
    const auto actual = static_cast<std::uint32_t>(head.size() + body.size());
    return send(submit_answer, seqnum, 0, actual, head, body);
}

Result<> UsbIpLink::acknowledge(std::uint32_t seqnum, std::uint32_t taken) {
    return send(submit_answer, seqnum, 0, taken);
}

Result<> UsbIpLink::refuse(std::uint32_t seqnum, int status) {
    return send(submit_answer, seqnum, status, 0);
}

Result<> UsbIpLink::answer_unlink(const UsbUnlink& unlink, bool found) {
    return send(unlink_answer, unlink.seqnum, found ? -ECONNRESET : 0, 0);
}

}  // namespace v4lfence
