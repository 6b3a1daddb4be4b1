// SPDX-License-Identifier: MIT
//
// DescriptorIndex: which process has which end of a pipe, a socket, an eventfd or a DRM node open,
// by one walk over /proc/*/fd.

#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "tools/doctor/snapshot.hpp"

namespace v4lfence {

class DescriptorIndex {
public:
    static DescriptorIndex scan();

    /// Descriptors by which somebody can end what a link of /proc/PID/fd is ("pipe:[4711]"): write
    /// ends of a pipe, any of a socket or a device.
    std::vector<FenceEnd> writers(const std::string& link) const;

    /// Every descriptor of an eventfd, by its eventfd-id.
    std::vector<FenceEnd> eventfds(std::uint64_t id) const;

    /// Processes that could not be looked at.
    unsigned hidden() const { return hidden_; }

private:
    void add(pid_t pid);

    std::map<std::string, std::vector<FenceEnd>> by_link_;
    std::map<std::uint64_t, std::vector<FenceEnd>> by_eventfd_;
    unsigned hidden_ = 0;
};

/// The peers of Unix sockets by their inodes, which are the numbers in their links, as the kernel
/// tells them for this network namespace. Empty where it does not.
std::map<std::uint64_t, std::uint64_t> read_socket_peers();

}  // namespace v4lfence
