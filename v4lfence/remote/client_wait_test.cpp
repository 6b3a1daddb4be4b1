// SPDX-License-Identifier: MIT
//
// The client against a server whose answers are scripted: what takes its time, and who is in the
// way of it: waits, signals, cancellation, fork.

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <future>
#include <thread>
#include <vector>

#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/remote/testing/remote_rig.hpp"

namespace v4lfence::remote {
namespace {

using testing::answer_descriptor;
using testing::capture;
using testing::ProgramFile;
using testing::Rig;
using testing::ScriptedCall;
using v4lfence::testing::open_descriptors;

bool is_cloexec(int fd) {
    return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

/// The exit code of `work`, done in a forked child.
template <class Work>
int in_child(Client& client, const Work& work) {
    client.lock_for_fork();
    const pid_t child = ::fork();
    if (child == 0) {
        client.abandon();
    }
    client.unlock_after_fork();
    if (child == 0) {
        ::_exit(work());
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// A script that stays in a call until the test lets it go.
struct Gate {
    std::promise<void> entered;
    std::promise<void> open;

    void wait() {
        entered.set_value();
        open.get_future().wait();
    }
};

// --- waits ---------------------------------------------------------------------------------------

void answer_wait(ScriptedCall& call) {
    call.reply.numbers[0] = 5;
    const bool known = call.request.numbers[2] == 1 && call.request.numbers[3] == 5;
    if (!known) {
        answer_descriptor(call);
    }
}

constexpr Awaited a_buffer{Awaited::What::Buffer, capture};

TEST(RemoteWait, keeps_its_connection_and_its_descriptor) {
    Rig rig;
    rig.server.on(Op::BeginWait, answer_wait);
    auto plan = rig.file.file->begin_wait(rig.file.fd.get(), a_buffer);
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->kernel_fd, rig.file.fd.get());
    EXPECT_EQ(plan->kernel_events, 0);
    EXPECT_EQ(plan->generation, 5U);
    EXPECT_GE(plan->wake_fd, 512) << "it stays";
    EXPECT_TRUE(is_cloexec(plan->wake_fd));
    EXPECT_EQ(rig.file.queue(), 0);
    EXPECT_EQ(rig.client.count_connections(), 2U);
    EXPECT_EQ(rig.file.dequeue(), 0);
    EXPECT_EQ(rig.client.count_connections(), 2U);
    EXPECT_TRUE(rig.file.file->end_wait(a_buffer, *plan));
    const auto again = rig.file.file->begin_wait(rig.file.fd.get(), a_buffer);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->wake_fd, plan->wake_fd);
    EXPECT_TRUE(rig.file.file->end_wait(a_buffer, *again));
    EXPECT_EQ(rig.server.count(Op::EndWait), 2U);
}

TEST(RemoteWait, errors_are_the_servers) {
    Rig rig;
    rig.server.on(Op::BeginWait, [](ScriptedCall& call) { call.reply.error = -EBUSY; });
    EXPECT_EQ(rig.file.file->begin_wait(rig.file.fd.get(), a_buffer).error().code, -EBUSY);
    rig.server.on(Op::BeginWait, answer_wait);
    rig.server.on(Op::EndWait, [](ScriptedCall& call) { call.reply.error = -EINVAL; });
    const auto plan = rig.file.file->begin_wait(rig.file.fd.get(), a_buffer);
    ASSERT_TRUE(plan);
    EXPECT_EQ(rig.file.file->end_wait(a_buffer, *plan).error().code, -EINVAL);
    EXPECT_EQ(rig.client.count_connections(), 1U);
}

TEST(RemoteWait, several_threads_wait_apart) {
    Rig rig;
    rig.server.on(Op::BeginWait, answer_wait);
    constexpr Awaited an_event{Awaited::What::Event, 0};
    const auto first = rig.file.file->begin_wait(rig.file.fd.get(), an_event);
    const auto second = rig.file.file->begin_wait(rig.file.fd.get(), an_event);
    ASSERT_TRUE(first && second);
    EXPECT_NE(first->wake_fd, second->wake_fd);
    EXPECT_TRUE(rig.file.file->end_wait(an_event, *second));
    EXPECT_TRUE(rig.file.file->end_wait(an_event, *first));
    EXPECT_EQ(rig.server.count(Op::EndWait), 2U);
}

TEST(RemoteWait, close_ends_it_and_keeps_nothing) {
    Rig rig;
    rig.server.on(Op::BeginWait, answer_wait);
    EXPECT_EQ(rig.file.queue(), 0);
    const std::size_t before = open_descriptors();
    const auto plan = rig.file.file->begin_wait(rig.file.fd.get(), a_buffer);
    ASSERT_TRUE(plan);
    rig.file.file->close();
    EXPECT_EQ(rig.client.count_connections(), 0U);
    EXPECT_LT(open_descriptors(), before);
    EXPECT_TRUE(rig.file.file->end_wait(a_buffer, *plan)) << "and is harmless";
}

TEST(RemoteWait, close_wakes_who_waits) {
    Rig rig;
    UniqueFd bell;
    rig.server.on(Op::BeginWait, [&](ScriptedCall& call) {
        answer_descriptor(call);
        bell = std::move(*sys::dup(call.answered.back().get()));
    });
    ASSERT_TRUE(rig.file.file->begin_wait(rig.file.fd.get(), a_buffer));
    rig.server.settle();
    EXPECT_EQ(*sys::poll_now(bell.get(), POLLIN), 0);
    rig.file.file->close();
    EXPECT_EQ(*sys::poll_now(bell.get(), POLLIN), POLLIN);
}

// --- interrupted ---------------------------------------------------------------------------------

TEST(RemoteCall, signal_does_not_interrupt_it) {
    Rig rig;
    Gate gate;
    rig.server.on(Op::Ioctl, [&](ScriptedCall&) { gate.wait(); });
    struct sigaction action = {};
    static std::atomic<unsigned> signals{0};
    action.sa_handler = [](int) { ++signals; };
    struct sigaction before = {};
    ::sigaction(SIGUSR1, &action, &before);
    int result = -1;
    std::thread caller([&] { result = rig.file.queue(); });
    gate.entered.get_future().wait();
    ::pthread_kill(caller.native_handle(), SIGUSR1);
    while (signals.load() == 0) {
        std::this_thread::yield();
    }
    gate.open.set_value();
    caller.join();
    ::sigaction(SIGUSR1, &before, nullptr);
    EXPECT_EQ(result, 0);
    EXPECT_EQ(rig.server.count(Op::Ioctl), 1U);
}

TEST(RemoteFork, connection_that_is_being_made_is_known) {
    testing::ScriptedServer server;
    Gate gate;
    server.on(Op::Hello, [&](ScriptedCall&) { gate.wait(); });
    Client client(server.address());
    std::thread opening([&] { EXPECT_TRUE(client.open("/dev/video80", O_RDWR)); });
    gate.entered.get_future().wait();
    EXPECT_EQ(client.count_connections(), 1U) << "abandon() would close it";
    gate.open.set_value();
    opening.join();
}

TEST(RemoteCall, cancelled_thread_finishes_it) {
    Rig rig;
    Gate gate;
    rig.server.on(Op::Ioctl, [&](ScriptedCall&) { gate.wait(); });
    std::atomic<int> result{-1};
    std::atomic<bool> beyond{false};
    // A cancelled thread leaves its stack as it is, with what the sanitizer has noted there.
    std::thread caller([&]() __attribute__((no_sanitize("address"))) {
        result = rig.file.queue();
        ::pthread_testcancel();
        beyond = true;
    });
    gate.entered.get_future().wait();
    ::pthread_cancel(caller.native_handle());
    gate.open.set_value();
    caller.join();
    EXPECT_EQ(result.load(), 0);
    EXPECT_FALSE(beyond.load());
    rig.answer(0);
    EXPECT_EQ(rig.file.queue(), 0);
    EXPECT_EQ(rig.client.count_connections(), 1U);
}

// --- the end, and fork ---------------------------------------------------------------------------

TEST(RemoteFile, server_hears_when_the_number_is_closed) {
    Rig rig;
    std::uint64_t cookie = 0;
    rig.server.on(Op::Closed, [&](ScriptedCall& call) {
        cookie = static_cast<std::uint64_t>(call.request.numbers[0]);
    });
    rig.file.file->close();
    rig.file.fd.reset();
    rig.file.file->closed();
    rig.server.settle();
    EXPECT_EQ(cookie, rig.file.file->cookie());
}

// Pins: 7.4
TEST(RemoteFork, unfenced_file_goes_on_by_connections_of_its_own) {
    Rig rig;
    std::vector<std::int64_t> spaces;
    rig.server.on(Op::Hello,
                  [&](ScriptedCall& call) { spaces.push_back(call.request.numbers[1]); });
    rig.server.on(Op::BeginWait, answer_wait);
    const auto plan = rig.file.file->begin_wait(rig.file.fd.get(), a_buffer);
    ASSERT_TRUE(plan);
    const int steps = in_child(rig.client, [&] {
        if (rig.client.count_connections() != 0) {
            return 1;
        }
        if (rig.file.queue() != 0) {
            return 2;
        }
        rig.file.file->closed();
        return rig.file.file->end_wait(a_buffer, *plan) ? 0 : 3;
    });
    EXPECT_EQ(steps, 0);
    EXPECT_EQ(rig.server.count(Op::EndWait), 0U) << "the parent still waits";
    EXPECT_EQ(rig.server.count(Op::Closed), 0U);
    EXPECT_TRUE(rig.file.file->end_wait(a_buffer, *plan));
    EXPECT_EQ(rig.server.count(Op::EndWait), 1U);
    rig.server.settle();
    ASSERT_GE(spaces.size(), 1U);
    EXPECT_EQ(rig.file.queue(), 0);
}

// Pins: 7.4
TEST(RemoteFork, fenced_file_is_dead_in_the_child) {
    Rig rig;
    rig.server.on(Op::Ioctl, [](ScriptedCall& call) { call.reply.numbers[1] = 1; });
    EXPECT_EQ(rig.file.queue(), 0);
    const int steps = in_child(rig.client, [&] {
        if (rig.file.queue() != -EIO) {
            return 1;
        }
        if (rig.file.file->set_deadline(1) ||
            rig.file.file->begin_wait(rig.file.fd.get(), a_buffer)) {
            return 2;
        }
        auto attached = rig.client.attach(rig.file.fd.get());
        return attached && ProgramFile{std::move(*attached), std::move(rig.file.fd)}.queue() == 0
                   ? 0
                   : 3;
    });
    EXPECT_EQ(steps, 0);
    EXPECT_EQ(rig.file.queue(), 0);
}

}  // namespace
}  // namespace v4lfence::remote
