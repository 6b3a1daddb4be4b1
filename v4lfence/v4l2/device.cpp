// SPDX-License-Identifier: MIT

#include "v4lfence/v4l2/device.hpp"

#include <algorithm>
#include <iterator>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/v4l2/file_handle.hpp"

namespace v4lfence {

// --- a turn --------------------------------------------------------------------------------------

VideoDevice::Turn::Turn(VideoDevice& device) : device_(device) {
    device_.ioctl_mutex_.lock();
    device_.turn_tid_.store(sys::thread_id());
}

VideoDevice::Turn::~Turn() {
    device_.turn_tid_.store(0);
    device_.ioctl_mutex_.unlock();
    device_.finish_disconnect();
}

// --- the device ----------------------------------------------------------------------------------

Result<std::unique_ptr<VideoDevice>> VideoDevice::create(std::unique_ptr<DeviceOps> ops, Core& core,
                                                         MemoryMakers& makers) {
    std::unique_ptr<VideoDevice> device(new VideoDevice(std::move(ops), core));
    V4LFENCE_TRY(device->open(makers));
    return device;
}

Result<> VideoDevice::open(MemoryMakers& makers) {
    events_ = std::make_unique<EventHub>(core_.clock(), ops_->events());
    if (!ops_->controls().empty()) {
        controls_ = V4LFENCE_TRY(ControlSet::create(ops_->controls(), *this, *events_));
    }
    queue_ =
        V4LFENCE_TRY(Queue::create(ops_->queue_traits(), ops_->driver(), core_, makers, *this));
    queue_->set_ordered(identity().ordered);
    show_as(identity().card);
    file_io_ = std::make_unique<FileIo>(*queue_);
    ops_->attach(*this);
    return {};
}

VideoDevice::~VideoDevice() {
    if (queue_) {
        queue_->close();
    }
    // The driver may still hold buffers of a stream that has ended; they point to the queue.
    ops_.reset();
}

void VideoDevice::show_as(std::string_view name) {
    queue_->show_as(std::string(name) + (is_output() ? " output" : " capture"), buffer_type());
}

Result<> VideoDevice::s_ctrl(std::uint32_t id, const ControlValue& value) {
    return ops_->s_ctrl(id, value);
}

Result<std::int64_t> VideoDevice::g_volatile_ctrl(std::uint32_t id) {
    return ops_->g_volatile_ctrl(id);
}

void VideoDevice::log_status() {
    std::vector<std::string> lines = ops_->log_status();
    if (controls_) {
        std::vector<std::string> values = controls_->log_status();
        std::move(values.begin(), values.end(), std::back_inserter(lines));
    }
    const std::lock_guard lock(log_mutex_);
    log_ = std::move(lines);
}

std::vector<std::string> VideoDevice::last_log() const {
    const std::lock_guard lock(log_mutex_);
    return log_;
}

// --- files ---------------------------------------------------------------------------------------

void VideoDevice::add(FileHandle& handle) {
    const std::lock_guard lock(files_mutex_);
    files_.push_back(&handle);
    ++priorities_[handle.priority()];
}

void VideoDevice::remove(FileHandle& handle) {
    const Turn turn(*this);
    if (is_owner(handle)) {
        file_io_->stop();
        queue_->close();
    }
    const std::lock_guard lock(files_mutex_);
    if (is_owner(handle)) {
        owner_.store(nullptr);
    }
    std::erase(files_, &handle);
    --priorities_[handle.priority()];
}

void VideoDevice::ready_changed() {
    const std::lock_guard lock(files_mutex_);
    if (FileHandle* const owner = owner_.load()) {
        owner->update_readiness();
    }
}

// --- priority ------------------------------------------------------------------------------------

v4l2_priority VideoDevice::highest_priority() const {
    const std::lock_guard lock(files_mutex_);
    for (unsigned priority = V4L2_PRIORITY_RECORD; priority > V4L2_PRIORITY_UNSET; --priority) {
        if (priorities_[priority] > 0) {
            return static_cast<v4l2_priority>(priority);
        }
    }
    return V4L2_PRIORITY_UNSET;
}

Result<> VideoDevice::check_priority(const FileHandle& handle) const {
    if (handle.priority() < highest_priority()) {
        return fail(-EBUSY, "a file of higher priority is open");
    }
    return {};
}

Result<> VideoDevice::set_priority(FileHandle& handle, std::uint32_t priority) {
    if (priority < V4L2_PRIORITY_BACKGROUND || priority > V4L2_PRIORITY_RECORD) {
        return fail(-EINVAL, "no such priority");
    }
    const std::lock_guard lock(files_mutex_);
    --priorities_[handle.priority()];
    ++priorities_[priority];
    handle.store_priority(static_cast<v4l2_priority>(priority));
    return {};
}

// --- whose queue it is ---------------------------------------------------------------------------

Result<> VideoDevice::check_owner(const FileHandle& handle) const {
    const FileHandle* const owner = owner_.load();
    if (owner != nullptr && owner != &handle) {
        return fail(-EBUSY, "another file has the queue");
    }
    return {};
}

// --- the end of the device -----------------------------------------------------------------------

void VideoDevice::disconnect() {
    gone_.store(true);
    disconnect_due_.store(true);
    if (turn_tid_.load() != sys::thread_id()) {
        finish_disconnect();
    }
}

void VideoDevice::finish_disconnect() {
    if (!disconnect_due_.load()) {
        return;
    }
    {
        const std::lock_guard lock(ioctl_mutex_);
        if (!disconnect_due_.exchange(false)) {
            return;
        }
        queue_->fail(-ENODEV);
    }
    const std::lock_guard lock(files_mutex_);
    for (FileHandle* const file : files_) {
        file->hang_up();
    }
}

// --- fork ----------------------------------------------------------------------------------------

void VideoDevice::lock_for_fork() {
    queue_->lock_calls_for_fork();
    files_mutex_.lock();
    queue_->lock_sync_for_fork();
}

void VideoDevice::unlock_after_fork() {
    queue_->unlock_sync_after_fork();
    files_mutex_.unlock();
    queue_->unlock_calls_after_fork();
}

void VideoDevice::abandon() noexcept {
    abandoned_.store(true);
    queue_->abandon();
    for (FileHandle* const file : files_) {
        file->abandon();
    }
}

bool VideoDevice::has_files() const {
    const std::lock_guard lock(files_mutex_);
    return !files_.empty();
}

unsigned VideoDevice::fenced_files() const {
    const std::lock_guard lock(files_mutex_);
    return static_cast<unsigned>(std::count_if(files_.begin(), files_.end(),
                                               [](const FileHandle* f) { return f->fenced(); }));
}

}  // namespace v4lfence
