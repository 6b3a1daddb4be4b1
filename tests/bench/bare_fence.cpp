// SPDX-License-Identifier: MIT

#include "tests/bench/bare_fence.hpp"

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/sync_file.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/providers/drm.hpp"

namespace v4lfence::bench {

namespace {

bool is_readable(int fd) {
    pollfd entry{fd, POLLIN, 0};
    return ::poll(&entry, 1, 0) == 1 && (entry.revents & POLLIN) != 0;
}

/// The first node of vgem whose name starts with `prefix`.
UniqueFd open_vgem(const std::string& prefix) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/dev/dri", error)) {
        if (!entry.path().filename().string().starts_with(prefix)) {
            continue;
        }
        auto node = sys::open(entry.path().c_str(), O_RDWR);
        if (node && drm::driver_name(node->get()).value_or("") == "vgem") {
            return std::move(*node);
        }
    }
    return {};
}

}  // namespace

bool bare_pipe_life() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
        return false;
    }
    const bool told = ::write(ends[1], "", 1) == 1;
    ::close(ends[1]);
    const bool ended = is_readable(ends[0]);
    ::close(ends[0]);
    return told && ended;
}

bool bare_eventfd_life() {
    const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const std::uint64_t one = 1;
    const bool told = ::write(fd, &one, sizeof one) == sizeof one;
    const bool ended = is_readable(fd);
    ::close(fd);
    return told && ended;
}

std::optional<BareVgem> BareVgem::open() {
    BareVgem made;
    made.node_ = open_vgem("renderD");
    const UniqueFd card = open_vgem("card");
    if (!made.node_ || !card) {
        return std::nullopt;
    }
    auto object = drm::create_dumb_dma_buf(card.get(), 4096);
    if (!object) {
        return std::nullopt;
    }
    made.object_ = std::move(*object);
    const auto handle = drm::import_dma_buf(made.node_.get(), made.object_.get());
    if (!handle) {
        return std::nullopt;
    }
    made.handle_ = *handle;
    return made;
}

bool BareVgem::life() {
    const auto fence = drm::attach_fence(node_.get(), handle_);
    dma_buf_export_sync_file exported{DMA_BUF_SYNC_WRITE, -1};
    if (!fence || ::ioctl(object_.get(), DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &exported) < 0) {
        return false;
    }
    const bool told = drm::signal_fence(node_.get(), *fence).has_value();
    sync_file_info info{};
    const bool asked = ::ioctl(exported.fd, SYNC_IOC_FILE_INFO, &info) == 0;
    ::close(exported.fd);
    return told && asked && info.status == 1;
}

}  // namespace v4lfence::bench
