// SPDX-License-Identifier: MIT

#include "tools/doctor/proc.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

// glibc 2.36 forgets to say that these are C.
extern "C" {
#include <sys/pidfd.h>
}

namespace v4lfence {

namespace {

namespace fs = std::filesystem;

/// No link that matters here is longer.
constexpr std::size_t link_bytes_max = 256;

/// As many descriptors of one poll() are looked at.
constexpr std::size_t polled_max = 256;

std::optional<std::string> read_text(const std::string& path) {
    std::ifstream file(path);
    if (!file) {
        return std::nullopt;
    }
    return std::string(std::istreambuf_iterator<char>(file), {});
}

template <class Number>
std::optional<Number> number(std::string_view text, int base = 10) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    return error == std::errc() && end != text.data() ? std::optional(value) : std::nullopt;
}

/// The value of "key:   value" in a line of its own.
std::string_view field(std::string_view text, std::string_view key) {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = text.substr(at, end - at);
        if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ':') {
            const std::size_t value = line.find_first_not_of(" \t", key.size() + 1);
            return value == std::string_view::npos ? std::string_view() : line.substr(value);
        }
        at = end + 1;
    }
    return {};
}

/// The numbered entries of a folder of /proc.
Result<std::vector<int>> numbers_in(const std::string& folder) {
    std::error_code error;
    fs::directory_iterator at(folder, error);
    if (error) {
        return fail(-error.value(), "opendir");
    }
    std::vector<int> numbers;
    for (const fs::directory_iterator end; at != end && !error; at.increment(error)) {
        if (const auto value = number<int>(at->path().filename().native())) {
            numbers.push_back(*value);
        }
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

std::string link_of(const std::string& path) {
    std::array<char, link_bytes_max> link{};
    const ssize_t size = readlink(path.c_str(), link.data(), link.size());
    return size > 0 ? std::string(link.data(), static_cast<std::size_t>(size)) : std::string();
}

void add_polled(pid_t pid, std::uint64_t address, std::uint64_t count, std::vector<int>& fds) {
    std::array<pollfd, polled_max> polled{};
    const std::size_t size = std::min<std::size_t>(count, polled.size()) * sizeof(pollfd);
    iovec here{polled.data(), size};
    iovec there{reinterpret_cast<void*>(address), size};
    const ssize_t got = process_vm_readv(pid, &here, 1, &there, 1, 0);
    for (std::size_t i = 0; got > 0 && i < static_cast<std::size_t>(got) / sizeof(pollfd); ++i) {
        fds.push_back(polled[i].fd);
    }
}

/// /proc/PID/task/TID/syscall: the number of the call and its arguments.
void add_awaited(pid_t pid, const std::string& text, std::vector<int>& fds) {
    std::istringstream words(text);
    std::string call;
    std::string first;
    std::string second;
    words >> call >> first >> second;
    const auto nr = number<long>(call);
    if (!nr || first.size() < 3 || second.size() < 3) {
        return;
    }
    const auto argument = number<std::uint64_t>(std::string_view(first).substr(2), 16);
    const auto count = number<std::uint64_t>(std::string_view(second).substr(2), 16);
    if (!argument || !count) {
        return;
    }
    bool polls = *nr == SYS_ppoll;
#ifdef SYS_poll
    polls = polls || *nr == SYS_poll;
#endif
    if (polls) {
        add_polled(pid, *argument, *count, fds);
    } else if (*nr == SYS_read) {
        fds.push_back(static_cast<int>(*argument));
    }
}

}  // namespace

bool FdInfo::writable() const {
    return (flags & O_ACCMODE) != O_RDONLY;
}

std::optional<ProcStat> parse_stat(std::string_view text) {
    const std::size_t open = text.find('(');
    const std::size_t close = text.rfind(')');
    if (open == std::string_view::npos || close == std::string_view::npos || close < open ||
        close + 2 >= text.size()) {
        return std::nullopt;
    }
    return ProcStat{std::string(text.substr(open + 1, close - open - 1)), text[close + 2]};
}

std::optional<ProcStat> read_stat(pid_t pid) {
    const auto text = read_text(fmt::format("/proc/{}/stat", pid));
    return text ? parse_stat(*text) : std::nullopt;
}

std::optional<FdInfo> parse_fdinfo(std::string_view text) {
    const auto flags = number<unsigned>(field(text, "flags"), 8);
    if (!flags) {
        return std::nullopt;
    }
    FdInfo info;
    info.flags = *flags;
    info.eventfd_id = number<std::uint64_t>(field(text, "eventfd-id"));
    info.eventfd_count = number<std::uint64_t>(field(text, "eventfd-count"), 16);
    return info;
}

std::optional<FdInfo> read_fdinfo(pid_t pid, int fd) {
    const auto text = read_text(fmt::format("/proc/{}/fdinfo/{}", pid, fd));
    return text ? parse_fdinfo(*text) : std::nullopt;
}

std::string read_link(pid_t pid, int fd) {
    return fd < 0 ? std::string() : link_of(fmt::format("/proc/{}/fd/{}", pid, fd));
}

std::vector<pid_t> read_pids() {
    return numbers_in("/proc").value_or(std::vector<int>());
}

Result<std::vector<ProcFd>> read_descriptors(pid_t pid) {
    const std::string folder = fmt::format("/proc/{}/fd", pid);
    const auto numbers = V4LFENCE_TRY(numbers_in(folder));
    std::vector<ProcFd> descriptors;
    descriptors.reserve(numbers.size());
    for (const int fd : numbers) {
        descriptors.push_back({fd, link_of(fmt::format("{}/{}", folder, fd))});
    }
    return descriptors;
}

std::vector<int> read_awaited(pid_t pid) {
    const std::string folder = fmt::format("/proc/{}/task", pid);
    std::vector<int> fds;
    for (const int thread : numbers_in(folder).value_or(std::vector<int>())) {
        if (const auto text = read_text(fmt::format("{}/{}/syscall", folder, thread))) {
            add_awaited(pid, *text, fds);
        }
    }
    return fds;
}

Result<UniqueFd> take_descriptor(pid_t pid, int fd) {
    const UniqueFd process(pidfd_open(pid, 0));
    if (!process) {
        return fail_errno("pidfd_open");
    }
    UniqueFd taken(pidfd_getfd(process.get(), fd, 0));
    if (!taken) {
        return fail_errno("pidfd_getfd");
    }
    return taken;
}

std::string debugging_forbidden_text() {
    const auto scope = read_text("/proc/sys/kernel/yama/ptrace_scope");
    if (scope && !scope->starts_with('0')) {
        return "kernel.yama.ptrace_scope lets only root look inside another program's descriptors";
    }
    return "looking inside another program's descriptors needs its user's rights, or root's";
}

}  // namespace v4lfence
