// SPDX-License-Identifier: MIT

#include "v4lfence/capi/virtual_devices.hpp"

#include <fcntl.h>

#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/drivers/kinds.hpp"

namespace v4lfence::capi {

namespace {

constexpr std::string_view prefix = "virtual:";

}  // namespace

bool VirtualDevices::is_virtual(std::string_view path) {
    return path.starts_with(prefix);
}

Result<std::shared_ptr<VideoDevice>> VirtualDevices::device(const std::string& name) {
    const auto found = devices_.find(name);
    if (found != devices_.end() && !found->second->is_gone()) {
        return found->second;
    }
    const std::string_view kind_name = std::string_view(name).substr(0, name.find('@'));
    const VirtualKind* kind = find_virtual_kind(kind_name);
    if (kind == nullptr) {
        return fail(-ENOENT, "no virtual device of this kind");
    }
    auto driver = V4LFENCE_TRY(kind->make(next_number_++));
    auto made =
        V4LFENCE_TRY(VideoDevice::create(std::move(driver), context_.core(), makers_.back()));
    std::shared_ptr<VideoDevice> device(std::move(made));
    device->show_as(std::string(prefix) + name);
    if (found != devices_.end()) {
        std::erase_if(gone_, [](const auto& each) { return each.expired(); });
        gone_.push_back(found->second);
        held_.push_back(std::move(found->second));
    }
    devices_.insert_or_assign(name, device);
    return device;
}

Result<VirtualFile::Opened> VirtualDevices::open(std::string_view path, int flags) {
    (void)context_.core();  // A fork locks the context before the devices.
    std::vector<std::shared_ptr<VideoDevice>> released;  // They end without the lock.
    std::shared_ptr<VideoDevice> wanted;
    {
        const std::lock_guard lock(mutex_);
        wanted = V4LFENCE_TRY(device(std::string(path.substr(prefix.size()))));
        released.swap(held_);
    }
    auto opened = V4LFENCE_TRY(VirtualFile::open(std::move(wanted)));
    V4LFENCE_TRY(sys::set_open_flags(opened.fd.get(), flags));
    return opened;
}

unsigned VirtualDevices::fenced_files() const {
    std::vector<std::shared_ptr<VideoDevice>> devices;  // The last user may be here.
    const std::lock_guard lock(mutex_);
    devices = all();
    unsigned count = 0;
    for (const auto& device : devices) {
        count += device->fenced_files();
    }
    return count;
}

std::vector<std::shared_ptr<VideoDevice>> VirtualDevices::all() const {
    std::vector<std::shared_ptr<VideoDevice>> found;
    for (const auto& [name, device] : devices_) {
        found.push_back(device);
    }
    for (const auto& each : gone_) {
        if (auto device = each.lock()) {
            found.push_back(std::move(device));
        }
    }
    return found;
}

void VirtualDevices::lock_for_fork() {
    mutex_.lock();
    held_ = all();  // With all that it held before.
    for (const auto& device : held_) {
        // One without files is at rest, and none can be opened meanwhile.
        if (device->has_files()) {
            device->lock_for_fork();
            locked_.push_back(device.get());
        }
    }
}

void VirtualDevices::unlock_after_fork() {
    for (VideoDevice* const device : locked_) {
        device->unlock_after_fork();
    }
    locked_.clear();
    mutex_.unlock();
}

void VirtualDevices::abandon() noexcept {
    for (auto& device : held_) {
        device->abandon();
        abandoned_.push_back(std::move(device));
    }
    held_.clear();
    gone_.clear();
    devices_.clear();
    makers_.emplace_back();
}

}  // namespace v4lfence::capi
