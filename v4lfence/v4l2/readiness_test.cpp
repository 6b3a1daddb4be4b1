// SPDX-License-Identifier: MIT

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <set>
#include <sstream>
#include <string>

#include "v4lfence/base/socket.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/v4l2/readiness.hpp"

namespace v4lfence {
namespace {

using Direction = Readiness::Direction;
using Directions = Readiness::Directions;
using Reach = Readiness::Reach;

constexpr std::array<std::byte, 1> one_byte{std::byte{42}};

NewReadiness make(Directions directions) {
    auto made = Readiness::create(directions);
    EXPECT_TRUE(made) << std::strerror(-made.error().code);
    return std::move(*made);
}

short shown(int fd) {
    return sys::poll_now(fd, POLLIN | POLLOUT | POLLPRI).value_or(-1);
}

bool events_work() {
    return Readiness::self_test().value_or(false);
}

#define SKIP_WITHOUT_EVENTS()                                                                      \
    if (!events_work()) {                                                                          \
        GTEST_SKIP() << "needs AF_UNIX with MSG_OOB";                                              \
    }

TEST(Readiness, a_new_file_shows_nothing) {
    for (const auto directions : {Directions::Capture, Directions::Output, Directions::Both}) {
        const auto file = make(directions);
        EXPECT_EQ(shown(file.program_end.get()), 0);
        EXPECT_FALSE(file.readiness.abandoned());
    }
}

TEST(Readiness, a_capture_file_shows_in_until_the_last_frame_is_taken) {
    auto [readiness, end] = make(Directions::Capture);
    readiness.frame_done(Direction::Capture);
    readiness.frame_done(Direction::Capture);
    EXPECT_EQ(shown(end.get()), POLLIN);
    EXPECT_EQ(readiness.frame_taken(Direction::Capture, 1, end.get()), Reach::Reached);
    EXPECT_EQ(shown(end.get()), POLLIN);
    EXPECT_EQ(readiness.frame_taken(Direction::Capture, 0, end.get()), Reach::Reached);
    EXPECT_EQ(shown(end.get()), 0);
}

TEST(Readiness, an_output_file_shows_out_until_the_last_frame_is_taken) {
    auto [readiness, end] = make(Directions::Output);
    readiness.frame_done(Direction::Output);
    readiness.frame_done(Direction::Output);
    EXPECT_EQ(shown(end.get()), POLLOUT);
    EXPECT_EQ(readiness.frame_taken(Direction::Output, 1, end.get()), Reach::Reached);
    EXPECT_EQ(shown(end.get()), POLLOUT);
    EXPECT_EQ(readiness.frame_taken(Direction::Output, 0, end.get()), Reach::Reached);
    EXPECT_EQ(shown(end.get()), 0);
}

TEST(Readiness, both_directions_of_one_file_show_independently) {
    auto [readiness, end] = make(Directions::Both);
    readiness.frame_done(Direction::Capture);
    EXPECT_EQ(shown(end.get()), POLLIN);
    readiness.frame_done(Direction::Output);
    EXPECT_EQ(shown(end.get()), POLLIN | POLLOUT);
    EXPECT_EQ(readiness.frames_gone(Direction::Capture, end.get()), Reach::Reached);
    EXPECT_EQ(shown(end.get()), POLLOUT);
    EXPECT_EQ(readiness.frames_gone(Direction::Output, end.get()), Reach::Reached);
    EXPECT_EQ(shown(end.get()), 0);
}

TEST(Readiness, a_direction_that_the_file_lacks_is_ignored) {
    auto capture = make(Directions::Capture);
    capture.readiness.frame_done(Direction::Output);
    EXPECT_EQ(shown(capture.program_end.get()), 0);
    EXPECT_EQ(capture.readiness.settle(-1), Reach::Reached) << "nothing was to be done";
    auto output = make(Directions::Output);
    output.readiness.frame_done(Direction::Capture);
    EXPECT_EQ(shown(output.program_end.get()), 0);
}

TEST(Readiness, stream_off_takes_every_frame) {
    auto [readiness, end] = make(Directions::Both);
    for (int i = 0; i < 100; ++i) {
        readiness.frame_done(Direction::Capture);
        readiness.frame_done(Direction::Output);
    }
    EXPECT_EQ(shown(end.get()), POLLIN | POLLOUT);
    EXPECT_EQ(readiness.frames_gone(Direction::Capture, end.get()), Reach::Reached);
    EXPECT_EQ(readiness.frames_gone(Direction::Output, end.get()), Reach::Reached);
    EXPECT_EQ(shown(end.get()), 0);
}

TEST(Readiness, an_event_shows_pri_beside_frames_and_after_them) {
    SKIP_WITHOUT_EVENTS();
    auto [readiness, end] = make(Directions::Capture);
    readiness.frame_done(Direction::Capture);
    readiness.event_pending();
    readiness.event_pending();
    EXPECT_EQ(shown(end.get()), POLLIN | POLLPRI);
    EXPECT_EQ(readiness.frame_taken(Direction::Capture, 0, end.get()), Reach::Reached);
    EXPECT_EQ(shown(end.get()), POLLIN | POLLPRI) << "POLLIN comes with an event alone";
    EXPECT_EQ(readiness.events_gone(end.get()), Reach::Reached);
    EXPECT_EQ(shown(end.get()), 0);
}

TEST(Readiness, a_frame_still_shows_once_the_events_are_taken) {
    SKIP_WITHOUT_EVENTS();
    auto [readiness, end] = make(Directions::Capture);
    readiness.event_pending();
    readiness.frame_done(Direction::Capture);
    EXPECT_EQ(readiness.events_gone(end.get()), Reach::Reached);
    EXPECT_EQ(shown(end.get()), POLLIN);
    EXPECT_EQ(readiness.frame_taken(Direction::Capture, 0, end.get()), Reach::Reached);
    EXPECT_EQ(shown(end.get()), 0);
}

// A taken event byte in front of data once hid that data from the drain (6.1).
TEST(Readiness, many_taken_events_in_one_list_of_frames_leave_nothing_behind) {
    SKIP_WITHOUT_EVENTS();
    auto [readiness, end] = make(Directions::Capture);
    for (std::size_t events = 0; events < 12; ++events) {
        for (std::size_t pattern = 0; pattern < 4; ++pattern) {
            readiness.frame_done(Direction::Capture);
            for (std::size_t i = 0; i < events; ++i) {
                readiness.event_pending();
                EXPECT_EQ(readiness.events_gone(end.get()), Reach::Reached);
                if (i % 4 >= pattern) {
                    readiness.frame_done(Direction::Capture);
                }
            }
            ASSERT_EQ(shown(end.get()), POLLIN);
            EXPECT_EQ(readiness.frames_gone(Direction::Capture, end.get()), Reach::Reached);
            ASSERT_EQ(shown(end.get()), 0) << events << " events, pattern " << pattern;
        }
    }
}

TEST(Readiness, an_event_shows_after_frames_that_nobody_took) {
    SKIP_WITHOUT_EVENTS();
    auto [readiness, end] = make(Directions::Capture);
    for (int i = 0; i < 1000; ++i) {
        readiness.frame_done(Direction::Capture);
    }
    readiness.event_pending();
    EXPECT_EQ(shown(end.get()), POLLIN | POLLPRI);
}

TEST(Readiness, hang_up_shows_all_that_an_unplugged_device_does) {
    for (const auto directions : {Directions::Capture, Directions::Output, Directions::Both}) {
        auto [readiness, end] = make(directions);
        for (int i = 0; i < 100; ++i) {
            readiness.frame_done(Direction::Output);
        }
        readiness.hang_up();
        const short device = POLLHUP | POLLERR | (events_work() ? POLLPRI : 0);
        EXPECT_EQ(shown(end.get()), device | POLLIN | POLLOUT);
        readiness.frame_done(Direction::Capture);
        readiness.event_pending();
        EXPECT_EQ(readiness.frames_gone(Direction::Capture, end.get()), Reach::Reached);
        EXPECT_EQ(readiness.events_gone(end.get()), Reach::Reached);
        readiness.hang_up();
        EXPECT_EQ(shown(end.get()), device | POLLIN | POLLOUT);
        EXPECT_FALSE(readiness.abandoned());
        EXPECT_EQ(readiness.watch_fd(), -1);
    }
}

TEST(Readiness, the_last_close_is_seen_and_no_earlier_one) {
    for (const auto directions : {Directions::Capture, Directions::Output}) {
        auto [readiness, end] = make(directions);
        auto copy = sys::dup(end.get());
        ASSERT_TRUE(copy);
        readiness.frame_done(Direction::Capture);
        end.reset();
        EXPECT_FALSE(readiness.abandoned());
        copy->reset();
        EXPECT_TRUE(readiness.abandoned());
        const pollfd watch{readiness.watch_fd(), 0, 0};
        std::array<pollfd, 1> watches{watch};
        EXPECT_EQ(sys::poll(watches, 0).value(), 1);
        // Nothing that still comes may signal SIGPIPE.
        readiness.frame_done(Direction::Capture);
        readiness.event_pending();
        readiness.hang_up();
    }
}

TEST(Readiness, a_closed_number_is_stale_and_the_next_right_one_catches_up) {
    auto [readiness, end] = make(Directions::Both);
    const auto copy = sys::dup(end.get());
    ASSERT_TRUE(copy);
    readiness.frame_done(Direction::Capture);
    readiness.frame_done(Direction::Output);
    const int closed = end.get();
    end.reset();
    EXPECT_EQ(readiness.frame_taken(Direction::Capture, 0, closed), Reach::Stale);
    EXPECT_EQ(readiness.frame_taken(Direction::Output, 0, closed), Reach::Stale);
    EXPECT_EQ(shown(copy->get()), POLLIN | POLLOUT);
    EXPECT_EQ(readiness.settle(copy->get()), Reach::Reached);
    EXPECT_EQ(shown(copy->get()), 0);
}

TEST(Readiness, a_replaced_number_loses_no_byte_to_us) {
    SKIP_WITHOUT_EVENTS();
    auto [readiness, end] = make(Directions::Both);
    const auto copy = sys::dup(end.get());
    const auto stranger = sys::socketpair(0);
    ASSERT_TRUE(copy && stranger);
    ASSERT_TRUE(sys::send(stranger->second.get(), one_byte));
    ASSERT_TRUE(sys::send(stranger->second.get(), one_byte, MSG_OOB));
    ASSERT_EQ(::dup2(stranger->first.get(), end.get()), end.get());

    readiness.frame_done(Direction::Capture);
    readiness.frame_done(Direction::Output);
    readiness.event_pending();
    EXPECT_EQ(readiness.frame_taken(Direction::Capture, 0, end.get()), Reach::Reached)
        << "POLLIN stays for the event: nothing was to be done";
    EXPECT_EQ(readiness.frame_taken(Direction::Output, 0, end.get()), Reach::Stale);
    EXPECT_EQ(readiness.events_gone(end.get()), Reach::Stale);
    EXPECT_EQ(shown(stranger->first.get()), POLLIN | POLLPRI | POLLOUT);
    EXPECT_EQ(shown(stranger->second.get()), POLLOUT) << "nothing was sent into it";

    // An event that comes in the meantime must show like any other.
    readiness.event_pending();
    EXPECT_EQ(shown(copy->get()), POLLIN | POLLPRI | POLLOUT);
    EXPECT_EQ(readiness.events_gone(copy->get()), Reach::Reached);
    EXPECT_EQ(shown(copy->get()), 0);
}

TEST(Readiness, a_number_that_is_another_readiness_is_stale) {
    auto one = make(Directions::Capture);
    auto other = make(Directions::Capture);
    one.readiness.frame_done(Direction::Capture);
    other.readiness.frame_done(Direction::Capture);
    EXPECT_EQ(one.readiness.frames_gone(Direction::Capture, other.program_end.get()), Reach::Stale);
    EXPECT_EQ(shown(other.program_end.get()), POLLIN);
}

TEST(Readiness, no_stale_number_ever_fills_the_socket) {
    SKIP_WITHOUT_EVENTS();
    auto [readiness, end] = make(Directions::Both);
    for (int i = 0; i < 1000; ++i) {
        readiness.frame_done(Direction::Capture);
        readiness.frame_done(Direction::Output);
        readiness.event_pending();
        EXPECT_EQ(readiness.events_gone(-1), Reach::Stale);
        EXPECT_EQ(readiness.frame_taken(Direction::Capture, 0, -1), Reach::Stale);
        EXPECT_EQ(readiness.frame_taken(Direction::Output, 0, -1), Reach::Stale);
    }
    EXPECT_EQ(shown(end.get()), POLLIN | POLLPRI | POLLOUT);
    EXPECT_EQ(readiness.settle(end.get()), Reach::Reached);
    EXPECT_EQ(shown(end.get()), 0);
}

TEST(Readiness, bytes_that_the_program_swallowed_do_no_harm) {
    auto [readiness, end] = make(Directions::Capture);
    readiness.frame_done(Direction::Capture);
    std::array<std::byte, 16> buffer{};
    ASSERT_EQ(sys::read(end.get(), buffer).value(), 1U);
    EXPECT_EQ(readiness.frame_taken(Direction::Capture, 0, end.get()), Reach::Reached);
    readiness.frame_done(Direction::Capture);
    EXPECT_EQ(shown(end.get()), POLLIN);
}

TEST(Readiness, every_copy_is_recognised_and_nothing_else) {
    auto [readiness, end] = make(Directions::Capture);
    EXPECT_TRUE(readiness.is_program_end(end.get()));
    const auto copy = sys::dup(end.get());
    const auto stranger = sys::socketpair(0);
    const auto pipe = sys::pipe(0);
    ASSERT_TRUE(copy && stranger && pipe);
    const auto identity = Readiness::identify(copy->get());
    ASSERT_TRUE(identity);
    EXPECT_EQ(identity->cookie, readiness.cookie());
    EXPECT_EQ(identity->maker, ::getpid());
    EXPECT_EQ(Readiness::identify(stranger->first.get()).error().code, -ENODEV);
    EXPECT_EQ(Readiness::identify(readiness.watch_fd()).error().code, -ENODEV);
    const UniqueFd alone(::socket(AF_UNIX, SOCK_STREAM, 0));
    EXPECT_EQ(Readiness::identify(alone.get()).error().code, -ENODEV);
    EXPECT_EQ(Readiness::identify(pipe->read_end.get()).error().code, -ENOTSOCK);
    EXPECT_EQ(Readiness::identify(-1).error().code, -EBADF);
    readiness.hang_up();
    EXPECT_EQ(Readiness::identify(copy->get())->cookie, readiness.cookie());
}

TEST(Readiness, a_forged_name_claims_no_socket_but_its_own) {
    const auto file = make(Directions::Capture);
    const auto name = sys::peer_name(file.program_end.get());
    ASSERT_TRUE(name);
    for (const auto& stem : {std::string(name->view().substr(0, name->size - 16)),
                             std::string(name->view().substr(0, 13)), std::string("v4lfence-"),
                             std::string("v4lfence-file-zz-1-"), std::string("v4lfence-file-1-")}) {
        const auto forged = sys::socketpair(0);
        ASSERT_TRUE(forged && sys::bind_abstract(forged->second.get(), stem));
        EXPECT_EQ(Readiness::identify(forged->first.get()).error().code, -ENODEV) << stem;
    }
    for (const auto* stem : {"v4lfence-file-1-", "v4lfence-disk-1-"}) {
        const auto forged = sys::socketpair(0);
        ASSERT_TRUE(forged);
        const auto cookie = sys::socket_cookie(forged->first.get()).value();
        std::ostringstream own;
        own << stem << std::hex << cookie << '-';
        ASSERT_TRUE(sys::bind_abstract(forged->second.get(), own.str()));
        const auto identity = Readiness::identify(forged->first.get());
        ASSERT_EQ(identity.has_value(), own.str().starts_with("v4lfence-file-"));
        EXPECT_EQ(identity ? identity->cookie : cookie, cookie);
    }
}

int exit_status_of(pid_t child) {
    int status = -1;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Readiness, a_child_sees_and_recognises_what_the_parent_serves) {
    auto [readiness, end] = make(Directions::Capture);
    readiness.frame_done(Direction::Capture);
    const pid_t child = ::fork();
    if (child == 0) {
        const auto identity = Readiness::identify(end.get());
        const bool known =
            identity && identity->cookie == readiness.cookie() && identity->maker == ::getppid();
        ::_exit(known && shown(end.get()) == POLLIN ? 0 : 1);
    }
    EXPECT_EQ(exit_status_of(child), 0);
    EXPECT_EQ(shown(end.get()), POLLIN);
}

TEST(Readiness, a_child_that_destroys_its_object_neither_hangs_up_nor_prevents_it) {
    auto [readiness, end] = make(Directions::Capture);
    auto gone = sys::pipe(0);
    auto done = sys::pipe(0);
    ASSERT_TRUE(gone && done);
    std::array<std::byte, 1> byte{};
    const pid_t child = ::fork();
    if (child == 0) {
        { const Readiness dropped = std::move(readiness); }
        (void)sys::write(gone->write_end.get(), one_byte);
        (void)sys::read(done->read_end.get(), byte);
        ::_exit(shown(end.get()) & POLLHUP ? 0 : 1);
    }
    ASSERT_TRUE(sys::read(gone->read_end.get(), byte));
    EXPECT_EQ(shown(end.get()), 0);
    end.reset();
    EXPECT_FALSE(readiness.abandoned()) << "the child has a copy";
    readiness.hang_up();
    ASSERT_TRUE(sys::write(done->write_end.get(), one_byte));
    EXPECT_EQ(exit_status_of(child), 0);
}

TEST(Readiness, a_descriptor_sent_to_another_socket_is_the_same_file) {
    auto [readiness, end] = make(Directions::Capture);
    const auto mail = sys::socketpair(0);
    ASSERT_TRUE(mail);
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    char letter = 'x';
    iovec text{&letter, 1};
    msghdr message{};
    message.msg_iov = &text;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int sent = end.get();
    std::memcpy(CMSG_DATA(header), &sent, sizeof(sent));
    ASSERT_EQ(::sendmsg(mail->first.get(), &message, 0), 1);
    end.reset();
    EXPECT_FALSE(readiness.abandoned()) << "it is on its way";

    ASSERT_EQ(::recvmsg(mail->second.get(), &message, MSG_CMSG_CLOEXEC), 1);
    int received = -1;
    std::memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(received));
    UniqueFd arrived(received);
    EXPECT_TRUE(readiness.is_program_end(arrived.get()));
    readiness.frame_done(Direction::Capture);
    EXPECT_EQ(shown(arrived.get()), POLLIN);
    EXPECT_EQ(readiness.frames_gone(Direction::Capture, arrived.get()), Reach::Reached);
    EXPECT_EQ(shown(arrived.get()), 0);
    arrived.reset();
    EXPECT_TRUE(readiness.abandoned());
}

// Pins: 7.5
TEST(Readiness, the_program_gets_the_lowest_number_and_ours_is_out_of_the_way) {
    const int lowest = sys::dup(0)->get();
    const auto file = make(Directions::Capture);
    EXPECT_EQ(file.program_end.get(), lowest);
    EXPECT_GE(file.readiness.watch_fd(), 256);
    EXPECT_NE(::fcntl(file.program_end.get(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_NE(::fcntl(file.readiness.watch_fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(Readiness, without_descriptors_it_is_not_made_and_leaves_none) {
    const std::size_t before = testing::open_descriptors();
    const unsigned failures = testing::until_it_fits([](unsigned limit) {
        const testing::DescriptorLimit lower(limit);
        const auto made = Readiness::create(Directions::Both);
        if (!made) {
            EXPECT_EQ(made.error().code, -EMFILE);
        }
        return made.has_value();
    });
    EXPECT_GT(failures, 0U);
    EXPECT_EQ(testing::open_descriptors(), before);
}

TEST(Readiness, many_files_are_told_apart) {
    std::set<std::uint64_t> cookies;
    for (int i = 0; i < 100; ++i) {
        cookies.insert(make(Directions::Capture).readiness.cookie());
    }
    EXPECT_EQ(cookies.size(), 100U);
}

}  // namespace
}  // namespace v4lfence
