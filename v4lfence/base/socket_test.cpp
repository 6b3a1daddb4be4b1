// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <string>

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

}  // namespace
}  // namespace v4lfence
