// SPDX-License-Identifier: MIT
//
// A connection to a server that has no room for it, or that does not listen yet.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "v4lfence/base/socket.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/remote/connection.hpp"
#include "v4lfence/remote/testing/remote_rig.hpp"

namespace v4lfence::remote {
namespace {

using v4lfence::testing::open_descriptors;

/// Refuses the first connection, as a server without a number for it does.
void refuse(const UniqueFd& listener) {
    const UniqueFd refused = std::move(*sys::accept(listener.get()));
    Reply reply;
    reply.error = -EMFILE;
    EXPECT_TRUE(send(refused.get(), reply, {}, {}, {}, sys::Waiting::No));
}

/// This process's descriptors of one socket.
std::vector<int> numbers_of_socket(std::uint64_t cookie) {
    std::vector<int> numbers;
    for (int fd = 0; fd < 1024; ++fd) {
        const auto found = sys::socket_cookie(fd);
        if (found && *found == cookie) {
            numbers.push_back(fd);
        }
    }
    return numbers;
}

/// The first socket that the process gets while it lives.
class NewSocket {
public:
    NewSocket() : before_(all()) {}
    int fd() const {
        for (const int each : all()) {
            if (std::find(before_.begin(), before_.end(), each) == before_.end()) {
                return each;
            }
        }
        return -1;
    }

private:
    static std::vector<int> all() {
        std::vector<int> numbers;
        for (int fd = 0; fd < 1024; ++fd) {
            if (sys::socket_cookie(fd)) {
                numbers.push_back(fd);
            }
        }
        return numbers;
    }
    const std::vector<int> before_;
};

struct Lonely {
    const std::string address = "@v4lfence-room-" + std::to_string(::getpid());
    UniqueFd listener = std::move(*sys::listen_at(address));
    const UniqueFd spare = testing::some_descriptor();
    const NewSocket socket;
    std::shared_ptr<Connection> connection = std::move(*Connection::open(address, spare.get()));
};

TEST(Connection, refusal_before_hello_is_heard) {
    Lonely rig;
    refuse(rig.listener);
    EXPECT_EQ(rig.connection->say_hello(1).error().code, -EMFILE);
    EXPECT_TRUE(rig.connection->broken());
}

TEST(Connection, refusal_that_leaves_hello_unread_is_heard) {
    Lonely rig;
    // As if Hello had been sent: the end of what is unread is a reset.
    ASSERT_TRUE(sys::send(rig.socket.fd(), std::as_bytes(std::span("Hello"))));
    refuse(rig.listener);
    EXPECT_EQ(rig.connection->say_hello(1).error().code, -EMFILE);
}

TEST(Connection, nothing_stands_in_for_it_while_it_sends) {
    Lonely rig;
    const int socket = rig.socket.fd();
    const std::uint64_t cookie = *sys::socket_cookie(socket);
    const std::array<std::byte, 1024> full{};
    while (sys::send(socket, full)) {}
    const std::size_t before = open_descriptors();
    std::thread caller([&] {
        Message message(Op::Open);
        message.awaited = 2;
        EXPECT_EQ(rig.connection->call(message).error().code, -ENODEV);
    });
    while (open_descriptors() < before + 2) {
        std::this_thread::yield();
    }
    EXPECT_EQ(numbers_of_socket(cookie).size(), 1U);
    rig.listener.reset();
    caller.join();
}

}  // namespace
}  // namespace v4lfence::remote
