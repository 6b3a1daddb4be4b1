// SPDX-License-Identifier: MIT
//
// DeviceHost: virtual devices that live in this process, for others to open.

#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "v4lfence/base/result.hpp"

namespace v4lfence {

/// The kinds of virtual devices there are.
std::vector<std::string> virtual_kind_names();
bool is_virtual_kind(std::string_view name);

struct HostedDevice {
    std::string path;  ///< By which programs open it: "/dev/video80".
    unsigned minor = 0;
    std::string kind;
};

struct HostOptions {
    std::string provider = "auto";
    bool rfc_caps = false;
};

class DeviceHost {
public:
    /// Has the devices and listens, without a thread so far: the process may fork. `address` as
    /// remote::Server::listen() has it; the kinds are known. Errors: EADDRINUSE, ENAMETOOLONG,
    /// EACCES, ENOENT of the address; EMFILE, ENFILE, ENOMEM.
    static Result<DeviceHost> listen(const std::string& address,
                                     const std::vector<HostedDevice>& devices,
                                     const HostOptions& options);

    DeviceHost(DeviceHost&& other) noexcept;
    DeviceHost& operator=(DeviceHost&&) = delete;
    /// The devices go, for whoever has them open.
    ~DeviceHost();

    /// Serves from now on, by threads with the caller's signal mask. Errors: EAGAIN.
    Result<> start();

private:
    struct Parts;
    explicit DeviceHost(std::unique_ptr<Parts> parts) noexcept;

    std::unique_ptr<Parts> parts_;
};

}  // namespace v4lfence
