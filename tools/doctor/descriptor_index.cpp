// SPDX-License-Identifier: MIT

#include "tools/doctor/descriptor_index.hpp"

#include <algorithm>
#include <string_view>

#include "tools/doctor/proc.hpp"

namespace v4lfence {

namespace {

bool is_kept(std::string_view link) {
    return link.starts_with("pipe:[") || link.starts_with("socket:[") ||
           link.starts_with("/dev/dri/");
}

template <class Map, class Key>
std::vector<FenceEnd> found_in(const Map& map, const Key& key) {
    const auto found = map.find(key);
    return found == map.end() ? std::vector<FenceEnd>() : found->second;
}

}  // namespace

DescriptorIndex DescriptorIndex::scan() {
    DescriptorIndex index;
    for (const pid_t pid : read_pids()) {
        index.add(pid);
    }
    return index;
}

void DescriptorIndex::add(pid_t pid) {
    const auto descriptors = read_descriptors(pid);
    if (!descriptors) {
        const bool forbidden =
            descriptors.error().code == -EACCES || descriptors.error().code == -EPERM;
        hidden_ += forbidden ? 1 : 0;
        return;
    }
    for (const ProcFd& one : *descriptors) {
        if (is_kept(one.link)) {
            by_link_[one.link].push_back({pid, one.fd});
        } else if (one.link == "anon_inode:[eventfd]") {
            const auto info = read_fdinfo(pid, one.fd);
            if (info && info->eventfd_id) {
                by_eventfd_[*info->eventfd_id].push_back({pid, one.fd});
            }
        }
    }
}

std::vector<FenceEnd> DescriptorIndex::writers(const std::string& link) const {
    std::vector<FenceEnd> ends = found_in(by_link_, link);
    const auto cannot_write = [](const FenceEnd& end) {
        const auto info = read_fdinfo(end.pid, end.fd);
        return !info || !info->writable();
    };
    ends.erase(std::remove_if(ends.begin(), ends.end(), cannot_write), ends.end());
    return ends;
}

std::vector<FenceEnd> DescriptorIndex::eventfds(std::uint64_t id) const {
    return found_in(by_eventfd_, id);
}

}  // namespace v4lfence
