// SPDX-License-Identifier: MIT

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "tools/doctor/fence_resolver.hpp"
#include "tools/doctor/testing/scene.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::Scene;

/// A scene of this very process, whose descriptors can be looked at.
struct Here : Scene {
    Here() { process(getpid(), "here"); }

    const SeenFence& resolve(int fd) {
        FenceResolver resolver(snapshot);
        return snapshot.fences[resolver.resolve(getpid(), fd)];
    }
};

TEST(FenceResolver, pipe_is_ended_by_whoever_has_its_write_end) {
    const auto pipe = sys::pipe(0);
    ASSERT_TRUE(pipe);
    const auto second = sys::dup(pipe->write_end.get());
    Here here;

    const SeenFence& fence = here.resolve(pipe->read_end.get());
    EXPECT_EQ(fence.shape, FenceShape::Pipe);
    EXPECT_EQ(fence.name, read_link(getpid(), pipe->read_end.get()));
    EXPECT_THAT(fence.ends, ElementsAre(FenceEnd{getpid(), pipe->write_end.get()},
                                        FenceEnd{getpid(), second->get()}));
}

TEST(FenceResolver, write_end_of_a_queue_makes_it_that_buffers_out_fence) {
    const auto pipe = sys::pipe(0);
    ASSERT_TRUE(pipe);
    Here here;
    const std::size_t queue = here.queue(getpid(), "/dev/video0", 4);
    QueueCell& cell = here.buffer(queue, 3, SlotState::Given);
    cell.out_pending = 1;
    cell.out_end_fd = pipe->write_end.get();

    const SeenFence& fence = here.resolve(pipe->read_end.get());
    EXPECT_EQ(fence.buffer, (BufferPlace{queue, 3}));
    EXPECT_THAT(fence.ends, IsEmpty());
}

TEST(FenceResolver, out_fence_that_has_ended_is_nobodys) {
    const auto pipe = sys::pipe(0);
    ASSERT_TRUE(pipe);
    Here here;
    const std::size_t queue = here.queue(getpid(), "/dev/video0", 4);
    here.buffer(queue, 3, SlotState::Done).out_end_fd = pipe->write_end.get();

    EXPECT_FALSE(here.resolve(pipe->read_end.get()).buffer);
}

TEST(FenceResolver, eventfd_is_ended_by_its_holders_but_not_by_the_librarys_duplicate) {
    const auto fence_fd = sys::eventfd(0, 0);
    const auto other_fd = sys::eventfd(0, 0);
    ASSERT_TRUE(fence_fd && other_fd);
    const auto duplicate = sys::dup(fence_fd->get());
    Here here;
    const std::size_t queue = here.queue(getpid(), "/dev/video0", 4);
    here.buffer(queue, 0, SlotState::Held).in_fence_fd = duplicate->get();

    const SeenFence& fence = here.resolve(duplicate->get());
    EXPECT_EQ(fence.shape, FenceShape::EventFd);
    EXPECT_THAT(fence.ends, ElementsAre(FenceEnd{getpid(), fence_fd->get()}));
    EXPECT_FALSE(fence.ended);
}

TEST(FenceResolver, eventfd_with_a_count_has_ended) {
    const auto fence_fd = sys::eventfd(1, 0);
    ASSERT_TRUE(fence_fd);
    Here here;

    EXPECT_TRUE(here.resolve(fence_fd->get()).ended);
}

TEST(FenceResolver, socket_is_ended_by_its_other_end) {
    const auto pair = sys::socketpair(0);
    ASSERT_TRUE(pair);
    if (read_socket_peers().empty()) {
        GTEST_SKIP() << "needs a kernel with CONFIG_UNIX_DIAG";
    }
    Here here;

    EXPECT_THAT(here.resolve(pair->first.get()).ends,
                ElementsAre(FenceEnd{getpid(), pair->second.get()}));
}

TEST(FenceResolver, same_fence_by_two_descriptors_is_one) {
    const auto pipe = sys::pipe(0);
    ASSERT_TRUE(pipe);
    const auto second = sys::dup(pipe->read_end.get());
    Here here;
    FenceResolver resolver(here.snapshot);

    EXPECT_EQ(resolver.resolve(getpid(), pipe->read_end.get()),
              resolver.resolve(getpid(), second->get()));
}

TEST(FenceResolver, what_is_no_fence_says_what_it_is) {
    Here here;
    EXPECT_THAT(here.resolve(1 << 20).unknown, ::testing::HasSubstr("cannot be looked at"));

    const auto folder = sys::open("/proc/self", 0);
    ASSERT_TRUE(folder);
    EXPECT_THAT(here.resolve(folder->get()).unknown, ::testing::HasSubstr("/proc/"));
}

TEST(FenceResolver, only_known_descriptors_are_told_of_what_is_polled) {
    const auto known = sys::pipe(0);
    const auto unknown = sys::pipe(0);
    ASSERT_TRUE(known && unknown);
    Here here;
    FenceResolver resolver(here.snapshot);
    const std::size_t place = resolver.resolve(getpid(), known->read_end.get());

    EXPECT_EQ(resolver.resolve_known(getpid(), known->read_end.get()), place);
    EXPECT_FALSE(resolver.resolve_known(getpid(), unknown->read_end.get()));
    EXPECT_FALSE(resolver.resolve_pending(getpid(), {known->read_end.get(), "pipe:[1]"}));
}

}  // namespace
}  // namespace v4lfence
