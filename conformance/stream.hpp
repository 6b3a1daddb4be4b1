// SPDX-License-Identifier: MIT
//
// Stream: one open file with its buffers, as a program would hold it. What every QBUF, QUERYBUF and
// DQBUF has to answer by the tables of SEMANTICS 2 and 3 is checked in each call, whatever the case
// is about.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "conformance/buffer_memory.hpp"
#include "conformance/check.hpp"
#include "conformance/device.hpp"
#include "conformance/rig.hpp"
#include "conformance/wait.hpp"
#include "v4lfence/uapi_fences.h"

namespace v4lfence {

struct StreamOptions {
    std::uint32_t memory = V4L2_MEMORY_MMAP;
    unsigned count = 0;  ///< 0: enough for any case: Facts::needed() and four more.
    int open_flags = O_RDWR | O_NONBLOCK;
    bool fenced = true;  ///< Choose the provider at once.
};

/// What a QBUF asks for.
struct Fences {
    std::optional<int> in = std::nullopt;
    bool out = false;
};

/// v4l2_buffer with its planes. Not to be copied: it points into itself.
struct BufferArgument {
    BufferArgument() = default;
    BufferArgument(const BufferArgument&) = delete;
    BufferArgument& operator=(const BufferArgument&) = delete;

    __s32& fence_fd() { return v4l2_buffer_fence_fd(&buffer); }

    v4l2_buffer buffer{};
    std::array<v4l2_plane, VIDEO_MAX_PLANES> planes{};
};

/// What QUERYBUF or DQBUF says of a buffer.
struct BufferView {
    unsigned index = 0;
    std::uint32_t flags = 0;
    std::uint32_t sequence = 0;
    std::uint32_t bytes_used = 0;  ///< Of all planes.
    std::uint32_t field = 0;
    std::int64_t timestamp_us = 0;
    std::vector<std::int64_t> memory;  ///< Offset, address or descriptor, as reported, per plane.

    bool has(std::uint32_t flag) const { return (flags & flag) != 0; }
    bool in_pending() const { return has(V4L2_BUF_FLAG_IN_FENCE); }
    bool out_pending() const { return has(V4L2_BUF_FLAG_OUT_FENCE); }
    bool failed() const { return has(V4L2_BUF_FLAG_ERROR); }
    bool queued() const { return has(V4L2_BUF_FLAG_QUEUED); }
    bool done() const { return has(V4L2_BUF_FLAG_DONE); }
};

/// A buffer that came back, and how its out-fence had ended by then, if it had one.
struct Frame : BufferView {
    std::optional<FenceStatus> out;
};

/// Thread: queue() and dequeue() of different buffers may run at once, where a case says so it uses
/// the raw calls.
class Stream {
public:
    static Checked<Stream> open(Rig& rig, const StreamOptions& options = {});

    Device& device() { return device_; }
    unsigned count() const { return static_cast<unsigned>(buffers_.size()); }
    std::uint32_t memory_type() const { return memory_; }

    /// An argument for `index` as a program fills it in for QBUF.
    void prepare(unsigned index, BufferArgument& argument) const;
    /// The same for calls that want only type, index and memory.
    void name(unsigned index, BufferArgument& argument) const;

    /// QBUF; checks what it returns, keeps the out-fence.
    Checked<> queue(unsigned index, const Fences& fences = {});
    /// QBUF, for what must fail: 0 or the negative errno. An out-fence is closed.
    int try_queue(unsigned index, const Fences& fences = {});
    /// PREPARE_BUF: 0 or the negative errno.
    int try_prepare(unsigned index);
    /// PREPARE_BUF; skipped where the device has none.
    Checked<> prepare_ahead(unsigned index);
    /// Every buffer from `first` on, without in-fence.
    Checked<> queue_rest(unsigned first, bool out = false);

    /// STREAMON and STREAMOFF.
    int try_start();
    int try_stop();
    Checked<> start();
    Checked<> stop();

    Checked<BufferView> look(unsigned index) const;
    /// Held: queued, waits for its own fence, and the device has not touched what was painted.
    Checked<> is_held(unsigned index) const;
    /// The rules of 3.2 for a buffer that waits behind others: queued, not done.
    Checked<> is_queued(unsigned index) const;
    Checked<> is_dequeued(unsigned index) const;

    /// Waits until a buffer can be fetched and fetches it.
    Checked<Frame> dequeue();
    /// Empty: EAGAIN.
    Checked<std::optional<Frame>> dequeue_now();
    /// DQBUF, for what must fail: 0 or the negative errno.
    int try_dequeue();
    /// Fetches the next frame, which must be `index`, well or with ERROR.
    Checked<Frame> dequeue_good(unsigned index);
    Checked<Frame> dequeue_bad(unsigned index);
    /// Fetches `index`; what comes before it is queued again, without fences.
    Checked<Frame> dequeue_until(unsigned index);

    /// Neither poll() nor DQBUF has anything.
    Checked<> nothing_to_dequeue();
    Checked<> becomes_readable();

    /// Waits until QUERYBUF says that the device has finished it.
    Checked<BufferView> becomes_done(unsigned index);

    /// Borrowed; -1 when it has none. A QBUF closes the one before.
    int out_fence(unsigned index) const { return buffers_[index].out.get(); }
    UniqueFd take_out_fence(unsigned index) { return std::move(buffers_[index].out); }
    /// The out-fence has ended with an error, as far as its kind can carry one. `error` 0: any.
    Checked<> out_fence_failed(unsigned index, int error, int bound_ms = must_happen_ms) const;

    void paint_buffer(unsigned index) { paint(buffers_[index].planes, paint_byte); }
    std::size_t changed_bytes(unsigned index) const {
        return count_changed(buffers_[index].planes, paint_byte);
    }
    std::vector<MappedPlane>& planes(unsigned index) { return buffers_[index].planes; }

    /// REQBUFS; forgets every buffer, and maps or allocates the new ones.
    Checked<> request(unsigned count);

    static constexpr std::byte paint_byte{0xa7};

private:
    struct Buffer {
        std::vector<MappedPlane> planes;
        UniqueFd out;
        std::vector<std::int64_t> given;  ///< The descriptors of the last QBUF, of DMABUF planes.
    };

    Stream(Rig& rig, Device device, std::uint32_t memory)
        : rig_(&rig), device_(std::move(device)), memory_(memory) {}

    Checked<std::vector<MappedPlane>> map_planes(unsigned index) const;
    Checked<std::vector<MappedPlane>> allocate_planes() const;
    Checked<std::vector<std::size_t>> plane_sizes() const;
    int call_qbuf(unsigned index, const Fences& fences, BufferArgument& argument);
    std::vector<std::int64_t> memory_of(const BufferArgument& argument) const;
    /// A DMABUF buffer that the device has, or had, carries the program's numbers (SEMANTICS 6.5).
    Checked<> check_memory(const BufferView& view, std::string_view what) const;
    Checked<BufferView> view_of(BufferArgument& argument, std::string_view what) const;
    Checked<Frame> came_back(BufferArgument& argument);

    Rig* rig_;
    Device device_;
    std::uint32_t memory_;
    std::vector<Buffer> buffers_;
};

/// What nothing may change that was refused (SEMANTICS 2.1): descriptors, fences, the state of each
/// buffer.
struct StreamSnapshot {
    std::size_t descriptors = 0;
    std::uint64_t fences_pending = 0;
    std::vector<std::uint32_t> flags;
    bool operator==(const StreamSnapshot&) const = default;
};
Checked<StreamSnapshot> snapshot(const Rig& rig, const Stream& stream);
Checked<> same_as(const StreamSnapshot& before, const Rig& rig, const Stream& stream,
                  std::string_view what);

}  // namespace v4lfence
