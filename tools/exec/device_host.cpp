// SPDX-License-Identifier: MIT

#include "tools/exec/device_host.hpp"

#include <utility>

#include "v4lfence/drivers/kinds.hpp"
#include "v4lfence/remote/server.hpp"
#include "v4lfence/sync/core.hpp"
#include "v4lfence/v4l2/device.hpp"
#include "v4lfence/vb2/memory_makers.hpp"

namespace v4lfence {

/// In the order in which each needs those before it.
struct DeviceHost::Parts {
    std::string provider;
    Core core;
    MemoryMakers makers;
    std::unique_ptr<remote::Server> server;
};

std::vector<std::string> virtual_kind_names() {
    std::vector<std::string> names;
    for (const VirtualKind& kind : virtual_kinds()) {
        names.emplace_back(kind.name);
    }
    return names;
}

bool is_virtual_kind(std::string_view name) {
    return find_virtual_kind(name) != nullptr;
}

DeviceHost::DeviceHost(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {}
DeviceHost::DeviceHost(DeviceHost&& other) noexcept = default;
DeviceHost::~DeviceHost() = default;

Result<DeviceHost> DeviceHost::listen(const std::string& address,
                                      const std::vector<HostedDevice>& devices,
                                      const HostOptions& options) {
    auto parts = std::make_unique<Parts>();
    parts->provider = options.provider;
    parts->server = V4LFENCE_TRY(remote::Server::listen(
        address, {.provider = parts->provider.c_str(), .rfc_caps = options.rfc_caps}));
    for (const HostedDevice& each : devices) {
        const VirtualKind* kind = find_virtual_kind(each.kind);
        if (kind == nullptr) {
            return fail(-ENOENT, "no virtual device of this kind");
        }
        auto driver = V4LFENCE_TRY(kind->make(each.minor));
        auto device =
            V4LFENCE_TRY(VideoDevice::create(std::move(driver), parts->core, parts->makers));
        parts->server->add(each.path, std::move(device));
    }
    return DeviceHost(std::move(parts));
}

Result<> DeviceHost::start() {
    return parts_->server->start();
}

}  // namespace v4lfence
