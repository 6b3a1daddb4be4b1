// SPDX-License-Identifier: MIT

#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "tests/doctor/hangs.hpp"
#include "tests/doctor/stage.hpp"

namespace v4lfence::hangs {

namespace {

/// Of what the children of stopped_producer() need beside their argument.
std::string producer_device;

void hold(int /*fd*/) {
    stay();
    pause();
}

void stop(int /*fd*/) {
    raise(SIGSTOP);
    pause();
}

void send_descriptor(int socket, int fd) {
    char byte = 0;
    iovec data{&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fd)> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    well(static_cast<int>(sendmsg(socket, &message, 0)), "sendmsg");
}

api::Fence receive_descriptor(int socket) {
    char byte = 0;
    iovec data{&byte, 1};
    int fd = -1;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fd)> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    well(static_cast<int>(recvmsg(socket, &message, MSG_CMSG_CLOEXEC)), "recvmsg");
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header == nullptr) {
        give_up("no fence came");
    }
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return api::Fence(fd);
}

/// Its stream could run; it is stopped, so that its fence cannot end.
void produce_and_stop(int socket) {
    Stream producer(producer_device, 2);
    const api::Fence out = producer.queue(1, -1, true);
    send_descriptor(socket, out.fd());
    raise(SIGSTOP);
    stay();
}

void hang_on_child(const std::string& device, const char* name, void (*what)(int), bool stops) {
    sys::Pipe fence = make_pipe();
    const int end = fence.write_end.get();
    const pid_t child = start_child(name, {fence.read_end.get()}, what, end);
    fence.write_end.reset();
    Stream stream(device, 4);
    stream.queue(0, fence.read_end.get());
    stream.start();
    if (stops) {
        wait_until_stopped(child);
    }
    tell_staged(fmt::format("party={} process={} fd={} index=0", child, name, end));
    stay();
    kill(child, SIGKILL);
}

}  // namespace

void other_process(const std::string& device) {
    hang_on_child(device, "fence-holder", hold, false);
}

void stopped_holder(const std::string& device) {
    hang_on_child(device, "fence-holder", stop, true);
}

void stopped_producer(const std::string& device) {
    producer_device = device + "@producer";
    const auto sockets = sys::socketpair(0);
    const pid_t child =
        start_child("producer", {sockets->first.get()}, produce_and_stop, sockets->second.get());
    const api::Fence out = receive_descriptor(sockets->first.get());
    wait_until_stopped(child);
    Stream stream(device, 4);
    stream.queue(0, out.fd());
    stream.start();
    tell_staged(fmt::format("party={} process=producer index=1 device={}", child, producer_device));
    stay();
    kill(child, SIGKILL);
}

}  // namespace v4lfence::hangs
