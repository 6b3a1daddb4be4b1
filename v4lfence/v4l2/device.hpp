// SPDX-License-Identifier: MIT
//
// VideoDevice: one virtual device with its queue, its controls and the files that are open on it.
// Start here for the v4l2 layer; dispatch.hpp is what an ioctl does.

#pragma once

#include <linux/videodev2.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "v4lfence/sync/core.hpp"
#include "v4lfence/v4l2/controls.hpp"
#include "v4lfence/v4l2/device_ops.hpp"
#include "v4lfence/v4l2/events.hpp"
#include "v4lfence/vb2/file_io.hpp"
#include "v4lfence/vb2/queue.hpp"

namespace v4lfence {

class FileHandle;

/// Thread: every member may be called from any thread.
class VideoDevice final : private ReadyListener, private ControlSink {
public:
    /// `core` and `makers` are borrowed and must outlive it. Errors: ENOMEM; a wrong table of the
    /// driver's (EINVAL).
    static Result<std::unique_ptr<VideoDevice>> create(std::unique_ptr<DeviceOps> ops, Core& core,
                                                       MemoryMakers& makers);
    /// No file is open.
    ~VideoDevice();

    DeviceOps& ops() noexcept { return *ops_; }
    const DeviceOps& ops() const noexcept { return *ops_; }
    const DeviceIdentity& identity() const { return ops_->identity(); }
    std::uint32_t buffer_type() const { return identity().buffer_type; }
    bool multi_planar() const { return V4L2_TYPE_IS_MULTIPLANAR(buffer_type()); }
    bool is_output() const { return V4L2_TYPE_IS_OUTPUT(buffer_type()); }
    Core& core() noexcept { return core_; }
    Queue& queue() noexcept { return *queue_; }
    FileIo& file_io() noexcept { return *file_io_; }
    /// NULL for a device without any: their ioctls are ENOTTY.
    ControlSet* controls() noexcept { return controls_.get(); }
    EventHub& events() noexcept { return *events_; }

    /// The name by which a person knows it, where that is another than its card's. Before it is
    /// opened.
    void show_as(std::string_view name);

    /// Serializes the ioctls of all files, as the lock of a kernel's video_device: all but those
    /// that a frame waits for (DQBUF, QUERYBUF, DQEVENT). Whoever holds it from outside of
    /// dispatch() calls nothing that may disconnect() the device.
    std::mutex& ioctl_mutex() noexcept { return ioctl_mutex_; }

    /// Holds ioctl_mutex(), and does what a disconnect() meanwhile has left to the end.
    class [[nodiscard]] Turn {
    public:
        explicit Turn(VideoDevice& device);
        ~Turn();
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;

    private:
        VideoDevice& device_;
    };

    // --- files -----------------------------------------------------------------------------------

    void add(FileHandle& handle);
    /// Its stream ends and its buffers go, if it has them.
    void remove(FileHandle& handle);
    /// To every file that has subscribed to it.
    void send_event(const v4l2_event& event) { events_->raise(event); }

    /// LOG_STATUS: the lines of the driver and of the controls, kept until the next time.
    void log_status();
    std::vector<std::string> last_log() const;

    // --- priority (VIDIOC_S_PRIORITY) ------------------------------------------------------------

    v4l2_priority highest_priority() const;
    /// Errors: EBUSY a file of higher priority is open.
    Result<> check_priority(const FileHandle& handle) const;
    /// Errors: EINVAL no such priority.
    Result<> set_priority(FileHandle& handle, std::uint32_t priority);

    // --- whose queue it is -----------------------------------------------------------------------

    /// Errors: EBUSY another file has it.
    Result<> check_owner(const FileHandle& handle) const;
    /// The file that has the queue from now on; NULL: none.
    void set_owner(FileHandle* handle) { owner_.store(handle); }
    bool is_owner(const FileHandle& handle) const { return owner_.load() == &handle; }
    /// There are buffers, or a stream that has lost them: formats and inputs cannot change now.
    bool is_busy() const { return queue_->has_buffers() || queue_->view().streaming; }

    // --- the end of the device -------------------------------------------------------------------

    /// It was unplugged: fences end with -ENODEV, every call says ENODEV, every file hangs up.
    /// From within an ioctl (a control's change) the calls say so at once, and the rest happens
    /// when that ioctl is over; otherwise all has happened when it returns. Not from a thread that
    /// stop_streaming() waits for.
    void disconnect();
    bool is_gone() const { return gone_.load(); }
    /// What a disconnect() from within a call has left.
    void finish_disconnect();

    // --- fork ------------------------------------------------------------------------------------

    void lock_for_fork();
    void unlock_after_fork();
    /// In the child: the device is the parent's, and its files here are dead.
    void abandon() noexcept;
    bool is_abandoned() const noexcept { return abandoned_.load(); }

    bool has_files() const;
    /// Files that use fences.
    unsigned fenced_files() const;

private:
    VideoDevice(std::unique_ptr<DeviceOps> ops, Core& core) : ops_(std::move(ops)), core_(core) {}

    void ready_changed() override;
    Result<> s_ctrl(std::uint32_t id, const ControlValue& value) override;
    Result<std::int64_t> g_volatile_ctrl(std::uint32_t id) override;

    Result<> open(MemoryMakers& makers);

    std::unique_ptr<DeviceOps> ops_;
    Core& core_;
    std::unique_ptr<EventHub> events_;
    std::unique_ptr<ControlSet> controls_;
    std::unique_ptr<Queue> queue_;
    std::unique_ptr<FileIo> file_io_;
    std::mutex ioctl_mutex_;
    std::atomic<int> turn_tid_{0};  ///< The thread whose Turn it is.

    /// Guards what follows, and the owner's life while it is told of something. Taken before the
    /// locks of a FileHandle; nobody calls a ControlSet, an EventHub or what changes a Queue with
    /// it.
    mutable std::mutex files_mutex_;
    std::vector<FileHandle*> files_;
    std::array<unsigned, V4L2_PRIORITY_RECORD + 1> priorities_{};

    mutable std::mutex log_mutex_;  ///< Guards what follows.
    std::vector<std::string> log_;

    std::atomic<FileHandle*> owner_{nullptr};
    std::atomic<bool> gone_{false};
    std::atomic<bool> disconnect_due_{false};
    std::atomic<bool> abandoned_{false};
};

}  // namespace v4lfence
