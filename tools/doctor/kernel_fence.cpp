// SPDX-License-Identifier: MIT

#include "tools/doctor/kernel_fence.hpp"

#include <linux/sync_file.h>

#include <array>
#include <string_view>

#include "tools/doctor/proc.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/providers/drm.hpp"
#include "v4lfence/fence/sync_file.hpp"

namespace v4lfence {

namespace {

template <std::size_t size>
std::string text_of(const char (&field)[size]) {
    const std::string_view text(field, size);
    return std::string(text.substr(0, text.find('\0')));
}

Result<SyncFileFacts> ask_sync_file(int fd) {
    std::array<sync_fence_info, sync_fences_max> fences{};
    sync_file_info info{};
    info.num_fences = static_cast<std::uint32_t>(fences.size());
    info.sync_fence_info = reinterpret_cast<std::uintptr_t>(fences.data());
    V4LFENCE_TRY(sys::ioctl_retry(fd, SYNC_IOC_FILE_INFO, &info));
    SyncFileFacts facts;
    facts.name = text_of(info.name);
    facts.ended = info.status != 0;
    for (std::uint32_t i = 0; i < info.num_fences && i < fences.size(); ++i) {
        if (fences[i].status == 0) {
            facts.pending.push_back({text_of(fences[i].driver_name), text_of(fences[i].obj_name)});
        }
    }
    return facts;
}

}  // namespace

Result<SyncFileFacts> read_sync_file(pid_t pid, int fd) {
    const UniqueFd taken = V4LFENCE_TRY(take_descriptor(pid, fd));
    return ask_sync_file(taken.get());
}

Result<SyncFileFacts> read_dma_buf(pid_t pid, int fd) {
    const UniqueFd taken = V4LFENCE_TRY(take_descriptor(pid, fd));
    const UniqueFd fences = V4LFENCE_TRY(export_sync_file(taken.get(), DmaBufAccess::Write));
    return ask_sync_file(fences.get());
}

std::string read_drm_driver(pid_t pid, int fd) {
    const auto taken = take_descriptor(pid, fd);
    return taken ? drm::driver_name(taken->get()).value_or("") : "";
}

std::optional<bool> is_readable(pid_t pid, int fd) {
    const auto taken = take_descriptor(pid, fd);
    if (!taken) {
        return std::nullopt;
    }
    const auto events = sys::poll_now(taken->get(), POLLIN);
    return events ? std::optional((*events & POLLIN) != 0) : std::nullopt;
}

}  // namespace v4lfence
