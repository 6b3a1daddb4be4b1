// SPDX-License-Identifier: MIT
//
// What /proc tells of processes and their descriptors, without stopping or asking them. A process
// that ends meanwhile has nothing to tell: that is no error.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

struct ProcStat {
    std::string name;
    char state = '?';
};
/// The content of /proc/PID/stat. The name may hold blanks and parentheses.
std::optional<ProcStat> parse_stat(std::string_view text);
std::optional<ProcStat> read_stat(pid_t pid);

struct FdInfo {
    unsigned flags = 0;  ///< As open(2).
    std::optional<std::uint64_t> eventfd_id;
    std::optional<std::uint64_t> eventfd_count;

    bool writable() const;
};
/// The content of /proc/PID/fdinfo/N. Empty: no flags in it.
std::optional<FdInfo> parse_fdinfo(std::string_view text);
std::optional<FdInfo> read_fdinfo(pid_t pid, int fd);

/// What /proc/PID/fd/N leads to: "pipe:[4711]". Empty: not open, or it may not be looked at.
std::string read_link(pid_t pid, int fd);

/// Every process.
std::vector<pid_t> read_pids();

struct ProcFd {
    int fd = -1;
    std::string link;
};
/// All descriptors of a process. Errors: EACCES; ENOENT no such process.
Result<std::vector<ProcFd>> read_descriptors(pid_t pid);

/// Descriptors that the threads of a process wait for in poll() and read() at this moment. Needs
/// the rights of a debugger; without them it is empty.
std::vector<int> read_awaited(pid_t pid);

/// A duplicate of a descriptor of another process, for questions to what it is. Errors: EPERM
/// forbidden, as debugging the process would be; EBADF; ESRCH.
Result<UniqueFd> take_descriptor(pid_t pid, int fd);

/// Why take_descriptor() may be forbidden on this machine, for a person.
std::string debugging_forbidden_text();

}  // namespace v4lfence
