// SPDX-License-Identifier: MIT
//
// Which Unix socket is connected with which: NETLINK_SOCK_DIAG, as ss(8) asks.

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "tools/doctor/descriptor_index.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

namespace {

/// Of one answer; the kernel fills less.
constexpr std::size_t answer_bytes_max = 32768;

struct Request {
    nlmsghdr header{};
    unix_diag_req body{};
};

bool ask(int fd) {
    Request request;
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.body.sdiag_family = AF_UNIX;
    request.body.udiag_states = ~0U;
    request.body.udiag_show = UDIAG_SHOW_PEER;
    return send(fd, &request, sizeof request, 0) == static_cast<ssize_t>(sizeof request);
}

void add_peer(const nlmsghdr& message, std::map<std::uint64_t, std::uint64_t>& peers) {
    const auto* socket = static_cast<const unix_diag_msg*>(NLMSG_DATA(&message));
    auto left = static_cast<int>(message.nlmsg_len - NLMSG_LENGTH(sizeof *socket));
    for (const auto* attribute = reinterpret_cast<const rtattr*>(socket + 1);
         RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
        if (attribute->rta_type == UNIX_DIAG_PEER && RTA_PAYLOAD(attribute) >= 4) {
            std::uint32_t inode = 0;
            std::memcpy(&inode, RTA_DATA(attribute), sizeof inode);
            peers[socket->udiag_ino] = inode;
        }
    }
}

/// Whether there is more to come.
bool add_answer(const char* data, std::size_t size, std::map<std::uint64_t, std::uint64_t>& peers) {
    auto left = static_cast<unsigned>(size);
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(data); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
        if (message->nlmsg_type != SOCK_DIAG_BY_FAMILY) {
            return false;
        }
        add_peer(*message, peers);
    }
    return true;
}

}  // namespace

std::map<std::uint64_t, std::uint64_t> read_socket_peers() {
    std::map<std::uint64_t, std::uint64_t> peers;
    const UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    if (!fd || !ask(fd.get())) {
        return peers;
    }
    alignas(nlmsghdr) std::array<char, answer_bytes_max> answer{};
    for (;;) {
        const ssize_t size = recv(fd.get(), answer.data(), answer.size(), 0);
        if (size <= 0 || !add_answer(answer.data(), static_cast<std::size_t>(size), peers)) {
            return peers;
        }
    }
}

}  // namespace v4lfence
