// SPDX-License-Identifier: MIT
//
// FenceResolver: from the number of a descriptor in another process to the fence that it is, and to
// who can end that. It fills the fences of a Snapshot.
//
// A board says "buffer 2 waits for descriptor 100007", and no more. What that is, /proc/PID/fd
// tells by its link:
//
//   pipe:[INODE]          Ended by a write or by the end of the last write end. Every process that
//                         has the same inode open for writing (/proc/*/fdinfo, flags) can; where
//                         one of these is the out_end_fd of a queue, it is that buffer's out-fence.
//   socket:[INODE]        As a pipe; the other end has the inode that NETLINK_SOCK_DIAG names.
//   anon_inode:[eventfd]  Everybody who has the same eventfd-id (fdinfo), but the library's own
//                         duplicates, which only wait; or a queue's out_end_fd.
//   anon_inode:sync_file  Its link says nothing: a duplicate of it (pidfd_getfd) is asked for
//                         SYNC_IOC_FILE_INFO. The name has the number of the fence's context, and
//                         so tells one fence from all others in every process: an out-fence of a
//                         queue that its program still has open is known by it, and one that has
//                         a label (fence_labels.hpp of sync) says whose it is. A timeline
//                         "CRTC:ID-..." is a display's. Driver "vgem": whoever has vgem open; where
//                         that is one queue, its oldest out-fence that nobody has open is likely
//                         to be it, for fences are handed on in order.
//
// Inodes, ids and names are the same in every process, so no two descriptors need be compared by
// kcmp(2), which asks for the rights of a debugger.

#pragma once

#include <sys/types.h>

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tools/doctor/descriptor_index.hpp"
#include "tools/doctor/kernel_fence.hpp"
#include "tools/doctor/proc.hpp"
#include "tools/doctor/snapshot.hpp"

namespace v4lfence {

class FenceResolver {
public:
    /// The queues and displays of the snapshot are there; it must outlive this.
    explicit FenceResolver(Snapshot& snapshot);

    /// Place of the fence that a descriptor of a process is.
    std::size_t resolve(pid_t pid, int fd);

    /// The same of a descriptor that may be anything: empty where it is neither an out-fence of a
    /// queue nor a fence that was resolved before.
    std::optional<std::size_t> resolve_known(pid_t pid, int fd);

    /// The same of a sync_file or a dma-buf, empty where nothing is pending there.
    std::optional<std::size_t> resolve_pending(pid_t pid, const ProcFd& descriptor);

    /// Processes that could not be looked at while somebody's ends were searched.
    unsigned hidden() const { return index_ ? index_->hidden() : 0; }

private:
    struct Identity {
        FenceShape shape = FenceShape::Unknown;
        std::string key;  ///< The same for the same fence in every process.
        std::string name;
        std::optional<std::uint64_t> eventfd_id;
        SyncFileFacts kernel;
        std::string unknown;
    };

    static Identity identify(pid_t pid, int fd, const std::string& link);
    static void identify_sync_file(pid_t pid, int fd, Identity& identity);
    void learn_out_fences(std::size_t queue);
    std::size_t add(const Identity& identity);
    std::optional<BufferPlace> find_labelled(const std::string& label) const;
    std::optional<unsigned> oldest_unseen(std::size_t queue) const;
    std::optional<BufferPlace> guess_out_fence(const SeenFence& fence) const;
    void find_ends(const Identity& identity, SeenFence& fence);
    void find_kernel_ends(SeenFence& fence);
    void keep_programs_ends(std::vector<FenceEnd> ends, SeenFence& fence) const;
    const DescriptorIndex& index();

    Snapshot& snapshot_;
    std::optional<DescriptorIndex> index_;  ///< Made when it is first needed.
    std::map<std::string, BufferPlace> out_fences_;
    std::set<std::pair<pid_t, int>> librarys_;  ///< Descriptors that are no program's.
    std::map<std::string, std::size_t> known_;
};

}  // namespace v4lfence
