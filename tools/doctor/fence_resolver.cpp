// SPDX-License-Identifier: MIT

#include "tools/doctor/fence_resolver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "tools/doctor/sysfs.hpp"

namespace v4lfence {

namespace {

constexpr std::string_view eventfd_link = "anon_inode:[eventfd]";
constexpr std::string_view sync_file_link = "anon_inode:sync_file";
constexpr std::string_view dma_buf_link = "/dmabuf:";
constexpr std::string_view socket_prefix = "socket:[";
constexpr std::string_view crtc_prefix = "CRTC:";

/// What a label has of a device's name.
constexpr std::size_t label_device_max = 15;

FenceShape shape_of(std::string_view link) {
    if (link.starts_with("pipe:[")) {
        return FenceShape::Pipe;
    }
    if (link.starts_with(socket_prefix)) {
        return FenceShape::Socket;
    }
    if (link == eventfd_link) {
        return FenceShape::EventFd;
    }
    if (link == sync_file_link) {
        return FenceShape::SyncFile;
    }
    return link.starts_with(dma_buf_link) ? FenceShape::DmaBuf : FenceShape::Unknown;
}

std::uint64_t number_after(std::string_view text, std::string_view prefix) {
    return std::strtoull(std::string(text.substr(prefix.size())).c_str(), nullptr, 10);
}

/// "video0 capture 3 #17"; the kernel's own names have no blanks.
bool is_label(std::string_view name) {
    return name.find(" #") != std::string_view::npos;
}

std::string why_not(pid_t pid, const Error& error) {
    return error.code == -EPERM || error.code == -EACCES
               ? debugging_forbidden_text()
               : fmt::format("descriptors of process {} cannot be looked at", pid);
}

}  // namespace

FenceResolver::FenceResolver(Snapshot& snapshot) : snapshot_(snapshot) {
    for (std::size_t i = 0; i < snapshot.queues.size(); ++i) {
        learn_out_fences(i);
    }
    for (const SeenDisplay& display : snapshot.displays) {
        librarys_.insert({display.pid, display.head.in_fence_fd});
    }
}

void FenceResolver::learn_out_fences(std::size_t place) {
    const SeenQueue& queue = snapshot_.queues[place];
    for (unsigned i = 0; i < queue.buffers.size(); ++i) {
        const QueueCell& cell = queue.buffers[i].cell;
        librarys_.insert({queue.pid, cell.in_fence_fd});
        librarys_.insert({queue.pid, cell.out_end_fd});
        if (cell.out_pending == 0) {
            continue;
        }
        Identity end = identify(queue.pid, cell.out_end_fd, read_link(queue.pid, cell.out_end_fd));
        if (end.shape != FenceShape::Pipe && end.shape != FenceShape::EventFd) {
            // Nothing by which it is ended is the fence itself, but the program may have that open.
            end = identify(queue.program, cell.out_fence_fd,
                           read_link(queue.program, cell.out_fence_fd));
        }
        const bool pending_sync_file = end.shape == FenceShape::SyncFile && !end.kernel.ended;
        if (end.shape == FenceShape::Pipe || end.shape == FenceShape::EventFd ||
            pending_sync_file) {
            out_fences_.insert({end.key, {place, i}});
        }
    }
}

FenceResolver::Identity FenceResolver::identify(pid_t pid, int fd, const std::string& link) {
    Identity identity;
    identity.shape = shape_of(link);
    identity.key = identity.name = link;
    switch (identity.shape) {
    case FenceShape::EventFd: {
        const auto info = read_fdinfo(pid, fd);
        identity.eventfd_id = info ? info->eventfd_id : std::nullopt;
        identity.kernel.ended = info && info->eventfd_count.value_or(0) != 0;
        identity.name = identity.eventfd_id ? fmt::format("eventfd {}", *identity.eventfd_id)
                                            : fmt::format("the eventfd of descriptor {}", fd);
        identity.key = identity.name;
        break;
    }
    case FenceShape::SyncFile:
    case FenceShape::DmaBuf:
        identify_sync_file(pid, fd, identity);
        break;
    case FenceShape::Unknown:
        identity.key = identity.name = fmt::format("descriptor {} of process {}", fd, pid);
        identity.unknown = link.empty() ? "its descriptor cannot be looked at"
                                        : fmt::format("its descriptor is {}", link);
        break;
    case FenceShape::Pipe:
    case FenceShape::Socket:
        break;
    }
    return identity;
}

void FenceResolver::identify_sync_file(pid_t pid, int fd, Identity& identity) {
    const bool dma_buf = identity.shape == FenceShape::DmaBuf;
    auto facts = dma_buf ? read_dma_buf(pid, fd) : read_sync_file(pid, fd);
    identity.key = identity.name = fmt::format("{} of descriptor {} of process {}",
                                               dma_buf ? "the dma-buf" : "the sync_file", fd, pid);
    if (!facts) {
        identity.unknown = why_not(pid, facts.error());
        return;
    }
    if (!dma_buf && !facts->name.empty()) {
        identity.name = fmt::format("sync_file {}", facts->name);
        // A label, unlike the kernel's own name, may be another fence's in another process.
        identity.key =
            is_label(facts->name) ? fmt::format("{} of {}", identity.name, pid) : identity.name;
    }
    identity.kernel = std::move(*facts);
}

std::size_t FenceResolver::resolve(pid_t pid, int fd) {
    const Identity identity = identify(pid, fd, read_link(pid, fd));
    const auto known = known_.find(identity.key);
    return known == known_.end() ? add(identity) : known->second;
}

std::optional<std::size_t> FenceResolver::resolve_known(pid_t pid, int fd) {
    const std::string link = read_link(pid, fd);
    if (shape_of(link) == FenceShape::Unknown) {
        return std::nullopt;
    }
    const Identity identity = identify(pid, fd, link);
    if (const auto known = known_.find(identity.key); known != known_.end()) {
        return known->second;
    }
    return out_fences_.contains(identity.key) ? std::optional(add(identity)) : std::nullopt;
}

std::optional<std::size_t> FenceResolver::resolve_pending(pid_t pid, const ProcFd& descriptor) {
    const FenceShape shape = shape_of(descriptor.link);
    if (shape != FenceShape::SyncFile && shape != FenceShape::DmaBuf) {
        return std::nullopt;
    }
    const Identity identity = identify(pid, descriptor.fd, descriptor.link);
    if (const auto known = known_.find(identity.key); known != known_.end()) {
        return known->second;
    }
    return identity.kernel.pending.empty() ? std::nullopt : std::optional(add(identity));
}

std::size_t FenceResolver::add(const Identity& identity) {
    SeenFence fence;
    fence.shape = identity.shape;
    fence.name = identity.name;
    fence.kernel = identity.kernel.pending;
    fence.ended = identity.kernel.ended;
    fence.unknown = identity.unknown;
    if (const auto own = out_fences_.find(identity.key); own != out_fences_.end()) {
        fence.buffer = own->second;
    } else if (const auto labelled = find_labelled(identity.kernel.name)) {
        fence.buffer = labelled;
    } else if (!fence.ended) {
        find_ends(identity, fence);
        fence.buffer = guess_out_fence(fence);
        fence.guessed = fence.buffer.has_value();
    }
    if (!fence.buffer && !fence.display && fence.ends.empty() && fence.kernel.empty() &&
        fence.unknown.empty() && hidden() > 0) {
        fence.unknown = fmt::format("{} processes may not be looked at", hidden());
    }
    snapshot_.fences.push_back(std::move(fence));
    known_.insert({identity.key, snapshot_.fences.size() - 1});
    return snapshot_.fences.size() - 1;
}

std::optional<BufferPlace> FenceResolver::find_labelled(const std::string& label) const {
    std::optional<BufferPlace> found;
    for (std::size_t place = 0; is_label(label) && place < snapshot_.queues.size(); ++place) {
        const SeenQueue& queue = snapshot_.queues[place];
        for (unsigned i = 0; i < queue.buffers.size(); ++i) {
            const QueueCell& cell = queue.buffers[i].cell;
            const std::string end = fmt::format(" {} #{}", i, cell.position);
            const std::string device = queue.device.substr(queue.device.rfind('/') + 1);
            const bool same_device = label.starts_with(device.substr(0, label_device_max) + " ");
            if (cell.out_pending != 0 && same_device && label.ends_with(end)) {
                if (found) {
                    return std::nullopt;
                }
                found = BufferPlace{place, i};
            }
        }
    }
    return found;
}

std::optional<unsigned> FenceResolver::oldest_unseen(std::size_t place) const {
    const SeenQueue& queue = snapshot_.queues[place];
    std::optional<unsigned> oldest;
    for (unsigned i = 0; i < queue.buffers.size(); ++i) {
        const QueueCell& cell = queue.buffers[i].cell;
        const auto same = [&](const auto& one) { return one.second == BufferPlace{place, i}; };
        const bool seen = std::any_of(out_fences_.begin(), out_fences_.end(), same);
        if (cell.out_pending != 0 && !seen &&
            (!oldest || cell.position < queue.buffers[*oldest].cell.position)) {
            oldest = i;
        }
    }
    return oldest;
}

std::optional<BufferPlace> FenceResolver::guess_out_fence(const SeenFence& fence) const {
    std::optional<BufferPlace> oldest;
    for (std::size_t place = 0; place < snapshot_.queues.size(); ++place) {
        const SeenQueue& queue = snapshot_.queues[place];
        const FenceEnd by_device{queue.pid, -1};
        if (std::string_view(queue.head.provider) != "vgem" ||
            std::find(fence.ends.begin(), fence.ends.end(), by_device) == fence.ends.end()) {
            continue;
        }
        const auto index = oldest_unseen(place);
        if (index) {
            if (oldest) {
                return std::nullopt;
            }
            oldest = BufferPlace{place, *index};
        }
    }
    return oldest;
}

void FenceResolver::find_ends(const Identity& identity, SeenFence& fence) {
    switch (identity.shape) {
    case FenceShape::Pipe:
        keep_programs_ends(index().writers(identity.name), fence);
        break;
    case FenceShape::EventFd:
        if (identity.eventfd_id) {
            keep_programs_ends(index().eventfds(*identity.eventfd_id), fence);
        } else {
            fence.unknown = "this kernel does not tell one eventfd from another";
        }
        break;
    case FenceShape::Socket: {
        const auto peers = read_socket_peers();
        const auto peer = peers.find(number_after(identity.name, socket_prefix));
        if (peer == peers.end()) {
            fence.unknown = "the kernel does not tell the socket's other end";
        } else {
            keep_programs_ends(index().writers(fmt::format("socket:[{}]", peer->second)), fence);
        }
        break;
    }
    case FenceShape::SyncFile:
    case FenceShape::DmaBuf:
        find_kernel_ends(fence);
        break;
    case FenceShape::Unknown:
        break;
    }
}

void FenceResolver::find_kernel_ends(SeenFence& fence) {
    for (const KernelFence& kernel : fence.kernel) {
        for (std::size_t i = 0; i < snapshot_.displays.size(); ++i) {
            const SeenDisplay& display = snapshot_.displays[i];
            const std::string timeline = fmt::format("{}{}-", crtc_prefix, display.head.crtc_id);
            if (kernel.timeline.starts_with(timeline) &&
                (display.driver.empty() || display.driver == kernel.driver)) {
                fence.display = i;
            }
        }
        if (kernel.driver != "vgem") {
            continue;
        }
        for (const std::string& node : read_vgem_nodes()) {
            for (const FenceEnd& end : index().writers(node)) {
                const FenceEnd by_device{end.pid, -1};
                if (std::find(fence.ends.begin(), fence.ends.end(), by_device) ==
                    fence.ends.end()) {
                    fence.ends.push_back(by_device);
                }
            }
        }
    }
}

void FenceResolver::keep_programs_ends(std::vector<FenceEnd> ends, SeenFence& fence) const {
    for (const FenceEnd& end : ends) {
        if (!librarys_.contains({end.pid, end.fd})) {
            fence.ends.push_back(end);
        }
    }
}

const DescriptorIndex& FenceResolver::index() {
    if (!index_) {
        index_ = DescriptorIndex::scan();
    }
    return *index_;
}

}  // namespace v4lfence
