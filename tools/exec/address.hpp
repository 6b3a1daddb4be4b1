// SPDX-License-Identifier: MIT
//
// Where devices of this process are reached: a name of AF_UNIX's abstract space ("@NAME") or a
// path.

#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tools/exec/device_host.hpp"
#include "tools/failure.hpp"

namespace v4lfence {

/// One that nobody else takes, and that leaves nothing behind.
std::string private_address();

struct ListeningHost {
    DeviceHost host;
    std::string address;
};
/// `address`: empty takes the first free one of this user. Failures: JobFailed, with the reason.
Attempt<ListeningHost> listen_at(const std::string& address,
                                 const std::vector<HostedDevice>& devices,
                                 const HostOptions& options);

}  // namespace v4lfence
