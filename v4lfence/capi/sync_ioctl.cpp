// SPDX-License-Identifier: MIT

#include "v4lfence/capi/sync_ioctl.hpp"

#include <linux/sync_file.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/base/pointer.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/capi/merge.hpp"
#include "v4lfence/capi/process.hpp"
#include "v4lfence/fence/fence.hpp"
#include "v4lfence/fence/own_fence.hpp"
#include "v4lfence/fence/sync_file.hpp"

namespace v4lfence::capi {

namespace {

/// Since Linux 6.4.
struct SetDeadline {
    std::uint64_t deadline_ns;
    std::uint64_t pad;
};
constexpr std::uint32_t set_deadline_request = _IOW(SYNC_IOC_MAGIC, 5, SetDeadline);
static_assert(set_deadline_request == 0x40103E05);

constexpr std::string_view driver = "v4lfence";

/// What the program's pointer points to, as the kernel would copy it.
template <class Argument>
Result<Argument> copy_in(const void* argument) {
    if (!is_plausible(argument)) {
        return fail(-EFAULT, "the argument");
    }
    V4LFENCE_TRY(sys::fault_in(reinterpret_cast<std::uintptr_t>(argument), sizeof(Argument),
                               MemoryUse::ReadOnly));
    Argument copy{};
    std::memcpy(&copy, argument, sizeof copy);
    return copy;
}

template <class Argument>
Result<> copy_out(void* argument, const Argument& copy) {
    if (!is_plausible(argument)) {
        return fail(-EFAULT, "the argument");
    }
    V4LFENCE_TRY(sys::fault_in(reinterpret_cast<std::uintptr_t>(argument), sizeof copy,
                               MemoryUse::ReadWrite));
    std::memcpy(argument, &copy, sizeof copy);
    return {};
}

/// Appends what fits, with a NUL behind it.
class Name {
public:
    explicit Name(char (&to)[32]) : next_(to), end_(to + sizeof(to) - 1) {}

    Name& add(std::string_view text) {
        next_ = std::copy_n(
            text.begin(),
            std::min<std::size_t>(text.size(), static_cast<std::size_t>(end_ - next_)), next_);
        *next_ = '\0';
        return *this;
    }
    Name& add(std::uint64_t number) {
        char digits[20];
        const auto written = std::to_chars(std::begin(digits), std::end(digits), number);
        return add({digits, static_cast<std::size_t>(written.ptr - digits)});
    }

private:
    char* next_;
    char* const end_;
};

std::int32_t kernel_status(const FenceStatus& status) {
    return status.state == FenceState::Failed ? status.error : status.ended() ? 1 : 0;
}

Result<> file_info(int fd, const OwnFence& fence, void* argument) {
    auto info = V4LFENCE_TRY(copy_in<sync_file_info>(argument));
    if (info.flags != 0 || info.pad != 0) {
        return fail(-EINVAL, "flags of SYNC_IOC_FILE_INFO");
    }
    const ImportedFence imported = V4LFENCE_TRY(Fence::import(fd, DmaBufAccess::Write, fence.kind));
    info.status = kernel_status(imported.status);
    if (info.num_fences > 0) {
        sync_fence_info one{};
        Name(one.obj_name).add(fence.provider);
        Name(one.driver_name).add(driver);
        one.status = info.status;
        // Asked anew: it may have ended only now.
        const auto ended_at = imported.status.ended() ? own_fence_ended_at(fd) : std::nullopt;
        one.timestamp_ns = ended_at ? static_cast<std::uint64_t>(to_ns(*ended_at)) : 0;
        V4LFENCE_TRY(copy_out(reinterpret_cast<void*>(info.sync_fence_info), one));
    }
    std::fill(std::begin(info.name), std::end(info.name), '\0');
    Name(info.name).add(driver).add("-").add(fence.provider).add(fence.inode).add("-1");
    info.num_fences = 1;
    return copy_out(argument, info);
}

Result<> merge(Process& process, int fd, void* argument) {
    auto data = V4LFENCE_TRY(copy_in<sync_merge_data>(argument));
    if (data.flags != 0 || data.pad != 0) {
        return fail(-EINVAL, "flags of SYNC_IOC_MERGE");
    }
    const std::string_view name(data.name, ::strnlen(data.name, sizeof data.name));
    auto merged = merge_fences(process, name, fd, data.fd2);
    if (!merged) {
        return fail(merged.error().code == -EINVAL ? -ENOENT : merged.error().code,
                    "SYNC_IOC_MERGE");
    }
    data.fence = merged->get();
    V4LFENCE_TRY(copy_out(argument, data));
    (void)std::move(*merged).release();
    return {};
}

/// A hint, and nobody here could be hurried.
Result<> set_deadline(const void* argument) {
    const auto data = V4LFENCE_TRY(copy_in<SetDeadline>(argument));
    return data.pad == 0 ? Result<>() : fail(-EINVAL, "padding of SYNC_IOC_SET_DEADLINE");
}

/// The kernel's own sync_file together with a fence that only we know.
bool can_merge(int fd, const void* argument) {
    const auto data = copy_in<sync_merge_data>(argument);
    return data && query_sync_state(fd) && find_own_fence(data->fd2);
}

}  // namespace

bool is_sync_request(std::uint32_t request) {
    return request == SYNC_IOC_FILE_INFO || request == SYNC_IOC_MERGE ||
           request == set_deadline_request;
}

Result<> sync_ioctl(Process& process, int fd, std::uint32_t request, void* argument) {
    const auto fence = find_own_fence(fd);
    if (!fence) {
        return request == SYNC_IOC_MERGE && can_merge(fd, argument)
                   ? merge(process, fd, argument)
                   : fail(-ENOTTY, "no fence of ours");
    }
    switch (request) {
    case SYNC_IOC_FILE_INFO:
        return file_info(fd, *fence, argument);
    case SYNC_IOC_MERGE:
        return merge(process, fd, argument);
    case set_deadline_request:
        return set_deadline(argument);
    default:
        return fail(-ENOTTY, "no ioctl of a sync_file");
    }
}

}  // namespace v4lfence::capi
