// SPDX-License-Identifier: MIT

#include "v4lfence/fence/sync_file.hpp"

#include <linux/dma-buf.h>
#include <linux/sync_file.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

using FenceInfos = std::array<sync_fence_info, sync_fences_max>;

/// Fills `fences` and returns the filled part. Errors: EINVAL more than fit.
Result<std::span<const sync_fence_info>> query_fences(int fd, FenceInfos& fences) {
    sync_file_info info{};
    info.num_fences = sync_fences_max;
    info.sync_fence_info = reinterpret_cast<std::uintptr_t>(fences.data());
    V4LFENCE_TRY(sys::ioctl_retry(fd, SYNC_IOC_FILE_INFO, &info));
    return std::span<const sync_fence_info>(fences).first(
        std::min<std::size_t>(info.num_fences, fences.size()));
}

std::optional<MonotonicTime> latest_end(int fd) {
    FenceInfos fences;
    const auto known = query_fences(fd, fences);
    std::uint64_t latest = 0;
    if (known) {
        for (const sync_fence_info& fence : *known) {
            latest = std::max<std::uint64_t>(latest, fence.timestamp_ns);
        }
    }
    if (latest == 0) {
        return std::nullopt;
    }
    return from_ns(static_cast<std::int64_t>(latest));
}

template <std::size_t Size>
void copy_name(std::array<char, Size>& to, std::string_view from) {
    const std::size_t length = std::min(from.find('\0'), std::min(from.size(), Size - 1));
    std::copy_n(from.begin(), length, to.begin());
}

template <std::size_t Size>
std::string_view view(const char (&text)[Size]) {
    return {text, Size};
}

}  // namespace

Result<FenceStatus> query_sync_state(int fd) {
    sync_file_info info{};
    V4LFENCE_TRY(sys::ioctl_retry(fd, SYNC_IOC_FILE_INFO, &info));
    FenceStatus status;
    if (info.status != 0) {
        status.state = info.status < 0 ? FenceState::Failed : FenceState::Signaled;
        status.error = std::min(info.status, 0);
    }
    return status;
}

Result<FenceStatus> query_sync_file(int fd) {
    FenceStatus status = V4LFENCE_TRY(query_sync_state(fd));
    if (status.ended()) {
        status.ended_at = latest_end(fd);
    }
    return status;
}

Result<FenceNames> query_sync_names(int fd) {
    FenceInfos fences;
    const auto known = V4LFENCE_TRY(query_fences(fd, fences));
    if (known.empty()) {
        return fail(-ENODATA, "sync_file without fences");
    }
    const auto pending = std::find_if(known.begin(), known.end(),
                                      [](const sync_fence_info& f) { return f.status == 0; });
    const sync_fence_info& shown = pending != known.end() ? *pending : known.front();
    FenceNames names;
    copy_name(names.driver, view(shown.driver_name));
    copy_name(names.timeline, view(shown.obj_name));
    return names;
}

Result<UniqueFd> export_sync_file(int dma_buf, DmaBufAccess access) {
    dma_buf_export_sync_file request{};
    request.flags = access == DmaBufAccess::Write ? DMA_BUF_SYNC_WRITE : DMA_BUF_SYNC_READ;
    request.fd = -1;
    V4LFENCE_TRY(sys::ioctl_retry(dma_buf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &request));
    return UniqueFd(request.fd);
}

Result<UniqueFd> merge_sync_files(std::string_view name, int first, int second) {
    sync_merge_data request{};
    const std::size_t length = std::min(name.size(), sizeof(request.name) - 1);
    std::copy_n(name.begin(), length, request.name);
    request.fd2 = second;
    const auto merged = sys::ioctl_retry(first, SYNC_IOC_MERGE, &request);
    if (merged) {
        return UniqueFd(request.fence);
    }
    switch (merged.error().code) {
    case -EBADF:
    case -ENOENT:
    case -ENOTTY:
        return fail(-EINVAL, "merge of what is no sync_file");
    default:
        return tl::unexpected<Error>(merged.error());
    }
}

}  // namespace v4lfence
