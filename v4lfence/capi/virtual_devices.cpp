// SPDX-License-Identifier: MIT

#include "v4lfence/capi/virtual_devices.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/drivers/camera/camera.hpp"

namespace v4lfence::capi {

namespace {

constexpr std::string_view prefix = "virtual:";

using DriverOf = Result<std::unique_ptr<DeviceOps>> (*)(unsigned number);

struct Kind {
    std::string_view name;
    DriverOf make;
};

constexpr std::array<Kind, 2> kinds{{
    {"camera", [](unsigned number) { return make_camera({.number = number}); }},
    {"camera-mplane",
     [](unsigned number) { return make_camera({.multi_planar = true, .number = number}); }},
}};

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
    const auto* kind = std::find_if(kinds.begin(), kinds.end(),
                                    [&](const Kind& each) { return each.name == kind_name; });
    if (kind == kinds.end()) {
        return fail(-ENOENT, "no virtual device of this kind");
    }
    auto driver = V4LFENCE_TRY(kind->make(static_cast<unsigned>(devices_.size())));
    auto made = V4LFENCE_TRY(VideoDevice::create(std::move(driver), context_.core(), makers_));
    std::shared_ptr<VideoDevice> device(std::move(made));
    devices_.insert_or_assign(name, device);
    return device;
}

Result<VirtualFile::Opened> VirtualDevices::open(std::string_view path, int flags) {
    std::shared_ptr<VideoDevice> wanted;
    {
        const std::lock_guard lock(mutex_);
        wanted = V4LFENCE_TRY(device(std::string(path.substr(prefix.size()))));
    }
    auto opened = V4LFENCE_TRY(VirtualFile::open(std::move(wanted)));
    V4LFENCE_TRY(sys::set_open_flags(opened.fd.get(), flags));
    return opened;
}

unsigned VirtualDevices::fenced_files() const {
    const std::lock_guard lock(mutex_);
    unsigned count = 0;
    for (const auto& [name, device] : devices_) {
        count += device->fenced_files();
    }
    return count;
}

void VirtualDevices::lock_for_fork() {
    mutex_.lock();
    for (const auto& [name, device] : devices_) {
        device->lock_for_fork();
    }
}

void VirtualDevices::unlock_after_fork() {
    for (const auto& [name, device] : devices_) {
        device->unlock_after_fork();
    }
    mutex_.unlock();
}

void VirtualDevices::abandon() noexcept {
    for (const auto& [name, device] : devices_) {
        device->abandon();
        device->unlock_after_fork();
        abandoned_.push_back(device);
    }
    devices_.clear();
}

}  // namespace v4lfence::capi
