// SPDX-License-Identifier: MIT
//
// What a program that uses the library shows of itself, as another one would find it.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/board_view.hpp"
#include "v4lfence/capi/testing/virtual_camera.hpp"
#include "v4lfence/sync/queue_trace.hpp"
#include "v4lfence/uapi_fences.h"

namespace v4lfence {
namespace {

using testing::Camera;
using testing::capture;

/// Of this process; empty: it has none.
std::optional<MappedMemory> find_board() {
    const std::string wanted = "/memfd:" + std::string(trace_board_name) + " (deleted)";
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        if (std::filesystem::read_symlink(entry.path(), gone) == wanted) {
            const auto fd = sys::open(entry.path().c_str(), O_RDONLY);
            auto memory =
                MappedMemory::create(fd->get(), sizeof(TraceBoardLayout), MemoryUse::ReadOnly);
            EXPECT_TRUE(memory);
            return std::move(*memory);
        }
    }
    return std::nullopt;
}

const TraceBoardLayout& layout_of(const MappedMemory& memory) {
    return *reinterpret_cast<const TraceBoardLayout*>(memory.bytes().data());
}

/// Queues with an out-fence, which it returns.
UniqueFd queue_out(const Camera& camera, unsigned index) {
    v4l2_buffer queued = Camera::buffer(index);
    queued.flags = V4L2_BUF_FLAG_OUT_FENCE;
    EXPECT_EQ(camera.ioctl(VIDIOC_QBUF, &queued), 0);
    return UniqueFd(v4l2_buffer_fence_fd(&queued));
}

// Pins: 6.1
TEST(Shown, program_without_fences_shows_nothing) {
    const Camera camera("shown-plain");
    camera.stream_dry();
    EXPECT_FALSE(find_board());
}

TEST(Shown, frames_of_a_virtual_camera) {
    constexpr unsigned frames = 6;
    const Camera camera("shown");
    ASSERT_EQ(camera.request(3), 0);
    std::vector<UniqueFd> fences;
    for (unsigned index = 0; index < 3; ++index) {
        fences.push_back(queue_out(camera, index));
    }
    ASSERT_EQ(camera.stream(true), 0);
    const auto memory = find_board();
    ASSERT_TRUE(memory);
    testing::BoardView view(layout_of(*memory));
    EXPECT_EQ(view.name(0), "virtual:camera@shown capture");
    std::vector<v4l2_buffer> taken;
    for (unsigned frame = 0; frame < frames; ++frame) {
        v4l2_buffer buffer = Camera::buffer();
        ASSERT_EQ(camera.ioctl(VIDIOC_DQBUF, &buffer), 0);
        taken.push_back(buffer);
        fences.push_back(queue_out(camera, buffer.index));
    }
    ASSERT_EQ(camera.stream(false), 0);

    // Each job's events in their order, with times that never go back.
    std::map<std::uint64_t, std::string> lives;
    std::int64_t last = 0;
    unsigned dequeued = 0;
    for (const TraceEvent& event : view.new_events()) {
        EXPECT_LE(last, event.time_ns + 1'000'000) << "two threads may be a little apart";
        last = std::max(last, event.time_ns);
        if (event.job != 0) {
            lives[event.job] += "?QIGDMEdFX"[std::min(event.kind, 9U)];
        }
        if (event.kind == static_cast<std::uint32_t>(QueueEvent::Dequeued)) {
            EXPECT_EQ(event.index, taken[dequeued].index);
            ++dequeued;
        }
    }
    EXPECT_EQ(dequeued, frames);
    ASSERT_EQ(lives.size(), frames + 3U);
    for (std::uint64_t job = 1; job <= frames; ++job) {
        EXPECT_EQ(lives[job], "QMGDEd") << job;
    }
    const auto head = view.head<QueueHead>(0);
    EXPECT_EQ(head.type, capture);
    EXPECT_EQ(head.fd, camera.fd());
    EXPECT_EQ(head.streaming, 0);
    EXPECT_EQ(head.held + head.given + head.done + head.failed, 0U);
}

TEST(Shown, nothing_where_no_board_is_wanted) {
    ASSERT_EQ(v4lfence_use_board(0), 0);
    {
        const Camera camera("shown-not");
        ASSERT_EQ(camera.request(2), 0);
        const UniqueFd fence = queue_out(camera, 0);
        EXPECT_FALSE(find_board());
        EXPECT_EQ(v4lfence_use_board(1), -1);
        EXPECT_EQ(errno, EBUSY);
        ASSERT_EQ(camera.stream(true), 0);
        EXPECT_EQ(camera.dequeue(), 0) << "fences need none";
    }
    EXPECT_EQ(v4lfence_use_board(1), 0);
    const Camera camera("shown-again");
    ASSERT_EQ(camera.request(2), 0);
    const UniqueFd fence = queue_out(camera, 0);
    EXPECT_TRUE(find_board());
}

TEST(Shown, nothing_is_left_when_the_last_file_is_closed) {
    {
        const Camera camera("shown-closed");
        ASSERT_EQ(camera.request(2), 0);
        const UniqueFd fence = queue_out(camera, 0);
        EXPECT_TRUE(find_board());
    }
    EXPECT_FALSE(find_board());
}

}  // namespace
}  // namespace v4lfence
