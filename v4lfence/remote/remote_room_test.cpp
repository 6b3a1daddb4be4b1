// SPDX-License-Identifier: MIT
//
// Client and server in two processes, of which one runs out of descriptors.

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "v4lfence/remote/testing/server_process.hpp"

namespace v4lfence::remote {
namespace {

using testing::capture;
using testing::ProgramFile;
using testing::queue_with_out_fence;
using testing::request;
using testing::ServerProcess;
using testing::stream;
using v4lfence::testing::DescriptorLimit;
using v4lfence::testing::open_descriptors;
using v4lfence::testing::until_it_fits;

TEST(RemoteProcess, descriptors_have_the_lowest_number) {
    const ServerProcess server;
    Client client(server.address);
    const ProgramFile first = testing::open_file(client);
    const int lowest = std::move(*sys::dup(0)).get();
    const ProgramFile second = testing::open_file(client);
    EXPECT_EQ(second.fd.get(), lowest);
    ASSERT_EQ(request(second, 1), 0);
    const int next = std::move(*sys::dup(0)).get();
    UniqueFd fence;
    ASSERT_EQ(queue_with_out_fence(second, fence), 0);
    EXPECT_EQ(fence.get(), next);
}

TEST(RemoteProcess, few_descriptors_are_an_error_and_none_is_lost) {
    const ServerProcess server;
    for (const bool connected : {false, true}) {
        Client client(server.address);
        ProgramFile warm = connected ? testing::open_file(client) : ProgramFile();
        const std::size_t before = open_descriptors();
        const unsigned failures = until_it_fits([&](unsigned limit) {
            ProgramFile file;
            {
                const DescriptorLimit few(limit);
                auto opened = client.open("/dev/video80", O_RDWR);
                if (!opened) {
                    EXPECT_EQ(opened.error().code, -EMFILE) << opened.error().where;
                    return false;
                }
                file = {std::move(opened->file), std::move(opened->fd)};
            }
            return true;
        });
        EXPECT_GT(failures, 0U);
        EXPECT_LE(open_descriptors(), before + (connected ? 0 : 2)) << "a connection and its spare";
    }
}

// Pins: 2.1
TEST(RemoteProcess, out_fence_without_a_number_queues_nothing) {
    const ServerProcess server;
    Client client(server.address);
    const ProgramFile file = testing::open_file(client);
    ASSERT_EQ(request(file, 1), 0);
    UniqueFd fence;
    const unsigned failures = until_it_fits([&](unsigned limit) {
        const DescriptorLimit few(limit);
        const int result = queue_with_out_fence(file, fence);
        if (result != 0) {
            EXPECT_EQ(result, -EMFILE);
            v4l2_buffer buffer = ProgramFile::buffer();
            EXPECT_EQ(file(VIDIOC_QUERYBUF, buffer), 0);
            EXPECT_EQ(buffer.flags & V4L2_BUF_FLAG_QUEUED, 0U);
        }
        return result == 0;
    });
    EXPECT_GT(failures, 0U);
    EXPECT_TRUE(fence);
}

/// Takes every number that is left.
std::vector<UniqueFd> take_all_numbers() {
    std::vector<UniqueFd> taken;
    while (auto one = sys::dup(0)) {
        taken.push_back(std::move(*one));
    }
    return taken;
}

// Pins: 2.1
TEST(RemoteProcess, wait_needs_no_number_but_the_one_it_has) {
    const ServerProcess server;
    Client client(server.address);
    const ProgramFile file = testing::open_file(client);
    ASSERT_EQ(request(file, 1), 0);
    ASSERT_EQ(stream(file, true), 0);
    constexpr Awaited awaited{Awaited::What::Buffer, capture};
    const DescriptorLimit none_is_high(200);
    const auto first = file.file->begin_wait(file.fd.get(), awaited);
    ASSERT_TRUE(first);
    ASSERT_TRUE(file.file->end_wait(awaited, *first));
    const auto taken = take_all_numbers();
    const auto again = file.file->begin_wait(file.fd.get(), awaited);
    ASSERT_TRUE(again) << again.error().where;
    EXPECT_EQ(again->wake_fd, first->wake_fd) << "nothing was sent";
    ASSERT_TRUE(file.file->end_wait(awaited, *again));
    ASSERT_EQ(stream(file, false), 0);
    ASSERT_EQ(stream(file, true), 0);
    const auto fresh = file.file->begin_wait(file.fd.get(), awaited);
    ASSERT_TRUE(fresh) << fresh.error().where;
    EXPECT_NE(fresh->generation, first->generation);
    EXPECT_EQ(*sys::poll_now(fresh->wake_fd, POLLIN), 0);
    EXPECT_TRUE(file.file->end_wait(awaited, *fresh));
}

TEST(RemoteProcess, client_of_a_full_server_is_told) {
    const ServerProcess server(40);
    Client first(server.address);
    const ProgramFile file = testing::open_file(first);
    std::vector<std::unique_ptr<Client>> clients;
    int error = 0;
    while (clients.size() < 60 && error == 0) {
        clients.push_back(std::make_unique<Client>(server.address));
        const auto attached = clients.back()->attach(file.fd.get());
        error = attached ? 0 : attached.error().code;
    }
    EXPECT_EQ(error, -EMFILE);
    for (int attempt = 0; attempt < 50; ++attempt) {
        Client late(server.address);
        EXPECT_EQ(late.attach(file.fd.get()).error().code, -EMFILE);
    }
}

}  // namespace
}  // namespace v4lfence::remote
