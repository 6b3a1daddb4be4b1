// SPDX-License-Identifier: MIT

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "v4lfence/base/socket.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {
namespace {

constexpr std::array<std::byte, 3> three_bytes{std::byte{1}, std::byte{2}, std::byte{3}};

sys::SocketPair socket_pair() {
    auto pair = sys::socketpair(0);
    EXPECT_TRUE(pair);
    return std::move(*pair);
}

TEST(Socket, nothing_waits_although_the_descriptor_blocks) {
    const auto pair = socket_pair();
    std::array<std::byte, 8> buffer{};
    EXPECT_EQ(sys::recv(pair.first.get(), buffer).error().code, -EAGAIN);
    EXPECT_EQ(sys::send(pair.second.get(), three_bytes).value(), 3U);
    EXPECT_EQ(sys::recv(pair.first.get(), buffer).value(), 3U);
    EXPECT_EQ(buffer[2], std::byte{3});
    Result<std::size_t> sent = std::size_t{0};
    while (sent) {
        sent = sys::send(pair.second.get(), three_bytes);
    }
    EXPECT_EQ(sent.error().code, -EAGAIN);
}

TEST(Socket, a_lost_peer_is_an_error_and_no_signal) {
    auto pair = socket_pair();
    pair.first.reset();
    EXPECT_EQ(sys::send(pair.second.get(), three_bytes).error().code, -EPIPE);
}

TEST(Socket, a_cookie_is_the_same_for_a_copy_and_for_nothing_else) {
    const auto pair = socket_pair();
    const auto cookie = sys::socket_cookie(pair.first.get());
    ASSERT_TRUE(cookie);
    const auto copy = sys::dup(pair.first.get());
    EXPECT_EQ(sys::socket_cookie(copy->get()).value(), *cookie);
    EXPECT_NE(sys::socket_cookie(pair.second.get()).value(), *cookie);
    const auto pipe = sys::pipe(0);
    EXPECT_EQ(sys::socket_cookie(pipe->read_end.get()).error().code, -ENOTSOCK);
    EXPECT_EQ(sys::socket_cookie(-1).error().code, -EBADF);
}

TEST(Socket, the_send_buffer_decides_about_writability) {
    const auto pair = socket_pair();
    ASSERT_TRUE(sys::set_send_buffer(pair.first.get(), 0));
    EXPECT_EQ(sys::poll_now(pair.first.get(), POLLOUT).value(), POLLOUT);
    const std::array<std::byte, 700> much{};
    ASSERT_EQ(sys::send(pair.first.get(), much).value(), much.size());
    EXPECT_EQ(sys::poll_now(pair.first.get(), POLLOUT).value(), 0);
}

TEST(Socket, an_abstract_name_is_seen_from_the_other_end_and_outlives_its_own) {
    auto pair = socket_pair();
    EXPECT_EQ(sys::peer_name(pair.first.get()).value().size, 0U);
    ASSERT_TRUE(sys::bind_abstract(pair.second.get(), "stem-"));
    const auto name = sys::peer_name(pair.first.get());
    ASSERT_TRUE(name);
    EXPECT_EQ(name->view().substr(0, 5), "stem-");
    EXPECT_EQ(name->size, 5U + 16U);
    EXPECT_EQ(name->view().find_first_not_of("0123456789abcdef", 5), std::string_view::npos);
    pair.second.reset();
    EXPECT_EQ(sys::peer_name(pair.first.get()).value().view(), name->view());
}

TEST(Socket, two_names_of_one_stem_differ) {
    const auto one = socket_pair();
    const auto other = socket_pair();
    ASSERT_TRUE(sys::bind_abstract(one.second.get(), "stem-"));
    ASSERT_TRUE(sys::bind_abstract(other.second.get(), "stem-"));
    EXPECT_NE(sys::peer_name(one.first.get())->view(), sys::peer_name(other.first.get())->view());
}

TEST(Socket, a_stem_that_leaves_no_room_is_refused) {
    const auto pair = socket_pair();
    const std::string longest(sys::AbstractName::size_max - 16, 'a');
    EXPECT_EQ(sys::bind_abstract(pair.second.get(), longest + "a").error().code, -ENAMETOOLONG);
    ASSERT_TRUE(sys::bind_abstract(pair.second.get(), longest));
    EXPECT_EQ(sys::peer_name(pair.first.get())->size, sys::AbstractName::size_max);
}

TEST(Socket, what_has_no_peer_has_no_name_to_show) {
    const auto pipe = sys::pipe(0);
    EXPECT_EQ(sys::peer_name(pipe->read_end.get()).error().code, -ENOTSOCK);
    EXPECT_EQ(sys::peer_name(-1).error().code, -EBADF);
}

// --- messages between processes ------------------------------------------------------------------

std::string address_for_test(const char* name) {
    return "@v4lfence-socket-test-" + std::to_string(::getpid()) + name;
}

TEST(MessageSocket, keeps_messages_apart_and_passes_descriptors) {
    const std::string address = address_for_test("pass");
    const auto listener = sys::listen_at(address);
    ASSERT_TRUE(listener);
    EXPECT_EQ(sys::accept(listener->get()).error().code, -EAGAIN);
    const auto program = sys::connect_to(address);
    const auto server = sys::accept(listener->get());
    ASSERT_TRUE(program && server);
    EXPECT_EQ(sys::peer_of(server->get())->pid, ::getpid());
    EXPECT_EQ(sys::peer_of(server->get())->uid, ::geteuid());

    const auto pipe = sys::pipe(0);
    const std::array<std::span<const std::byte>, 2> parts{std::span(three_bytes).first(1),
                                                          std::span(three_bytes).subspan(1)};
    const std::array fds{pipe->read_end.get(), pipe->write_end.get()};
    ASSERT_TRUE(sys::send_message(program->get(), parts, fds, sys::Waiting::No));
    ASSERT_TRUE(sys::send_message(program->get(), parts, {}, sys::Waiting::No));
    std::array<std::byte, 8> buffer{};
    std::array<UniqueFd, 2> descriptors;
    auto received = sys::receive_message(server->get(), buffer, descriptors, sys::Waiting::No);
    ASSERT_TRUE(received);
    EXPECT_EQ(received->size, 3U);
    EXPECT_EQ(received->descriptors, 2U);
    EXPECT_EQ(buffer[2], std::byte{3});
    EXPECT_TRUE(sys::write(descriptors[1].get(), three_bytes));
    EXPECT_EQ(sys::read(pipe->read_end.get(), buffer).value(), 3U);
    EXPECT_EQ(::fcntl(descriptors[0].get(), F_GETFD), FD_CLOEXEC);
    received = sys::receive_message(server->get(), buffer, {}, sys::Waiting::No);
    ASSERT_TRUE(received);
    EXPECT_EQ(received->descriptors, 0U);
}

TEST(MessageSocket, lost_descriptors_and_bytes_are_errors) {
    const std::string address = address_for_test("lost");
    const auto listener = sys::listen_at(address);
    const auto program = sys::connect_to(address);
    const auto server = sys::accept(listener->get());
    ASSERT_TRUE(program && server);
    const std::array<std::span<const std::byte>, 1> parts{three_bytes};
    const std::array fds{program->get(), program->get()};
    std::array<std::byte, 8> buffer{};
    std::array<UniqueFd, 1> descriptors;
    ASSERT_TRUE(sys::send_message(program->get(), parts, fds, sys::Waiting::No));
    EXPECT_EQ(
        sys::receive_message(server->get(), buffer, descriptors, sys::Waiting::No).error().code,
        -EMFILE);
    EXPECT_FALSE(descriptors[0]) << "everything is closed";
    ASSERT_TRUE(sys::send_message(program->get(), parts, {}, sys::Waiting::No));
    EXPECT_EQ(sys::receive_message(server->get(), std::span(buffer).first(2), descriptors,
                                   sys::Waiting::No)
                  .error()
                  .code,
              -EMSGSIZE);
    const std::array bad{9999};
    EXPECT_EQ(sys::send_message(program->get(), parts, bad, sys::Waiting::No).error().code, -EBADF);
}

TEST(MessageSocket, path_of_a_listener_that_is_busy_is_not_waited_for) {
    const std::string path =
        ::testing::TempDir() + "/v4lfence-socket-test-" + std::to_string(::getpid());
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    ASSERT_LT(path.size(), sizeof name.sun_path);
    std::copy(path.begin(), path.end(), &name.sun_path[0]);
    const auto* const address = reinterpret_cast<const sockaddr*>(&name);
    const UniqueFd busy(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(busy.get(), address, sizeof name), 0);
    ASSERT_EQ(::listen(busy.get(), 0), 0);
    std::vector<UniqueFd> waiting;
    int status = 0;
    while (status == 0) {
        waiting.emplace_back(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        status = ::connect(waiting.back().get(), address, sizeof name);
    }
    ASSERT_EQ(errno, EAGAIN) << "its queue is full";
    EXPECT_EQ(sys::listen_at(path).error().code, -EADDRINUSE);
    ::unlink(path.c_str());
}

TEST(MessageSocket, address_is_one_and_of_one_listener) {
    EXPECT_EQ(sys::listen_at("").error().code, -EINVAL);
    EXPECT_EQ(sys::listen_at("@").error().code, -EINVAL);
    EXPECT_EQ(sys::listen_at(std::string(200, 'a')).error().code, -ENAMETOOLONG);
    const std::string address = address_for_test("one");
    EXPECT_EQ(sys::connect_to(address).error().code, -ECONNREFUSED);
    const auto listener = sys::listen_at(address);
    ASSERT_TRUE(listener);
    EXPECT_EQ(sys::listen_at(address).error().code, -EADDRINUSE);
}

}  // namespace
}  // namespace v4lfence
