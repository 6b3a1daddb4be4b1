// SPDX-License-Identifier: MIT

#include "v4lfence/fence/timeline/syncobj.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

struct Create {
    std::uint32_t handle;
    std::uint32_t flags;
};

struct Destroy {
    std::uint32_t handle;
    std::uint32_t pad;
};

struct HandleFd {
    std::uint32_t handle;
    std::uint32_t flags;
    std::int32_t fd;
    std::uint32_t pad;
};

struct Points {
    std::uint64_t handles;  ///< Address of an array of 32-bit handles.
    std::uint64_t points;   ///< Address of an array of 64-bit points.
    std::uint32_t count;
    std::uint32_t flags;
};

struct Transfer {
    std::uint32_t from;
    std::uint32_t to;
    std::uint64_t from_point;
    std::uint64_t to_point;
    std::uint32_t flags;
    std::uint32_t pad;
};

struct Notify {
    std::uint32_t handle;
    std::uint32_t flags;
    std::uint64_t point;
    std::int32_t fd;
    std::uint32_t pad;
};

constexpr unsigned long create_request = _IOWR('d', 0xbf, Create);
constexpr unsigned long destroy_request = _IOWR('d', 0xc0, Destroy);
constexpr unsigned long handle_to_fd_request = _IOWR('d', 0xc1, HandleFd);
constexpr unsigned long fd_to_handle_request = _IOWR('d', 0xc2, HandleFd);
constexpr unsigned long query_request = _IOWR('d', 0xcb, Points);
constexpr unsigned long transfer_request = _IOWR('d', 0xcc, Transfer);
constexpr unsigned long signal_request = _IOWR('d', 0xcd, Points);
constexpr unsigned long notify_request = _IOWR('d', 0xcf, Notify);

static_assert(create_request == 0xC00864BF);
static_assert(destroy_request == 0xC00864C0);
static_assert(handle_to_fd_request == 0xC01064C1);
static_assert(fd_to_handle_request == 0xC01064C2);
static_assert(query_request == 0xC01864CB);
static_assert(transfer_request == 0xC02064CC);
static_assert(signal_request == 0xC01864CD);
static_assert(notify_request == 0xC01864CF);

constexpr std::uint32_t create_signaled = 1;
constexpr std::uint32_t as_sync_file = 1;
constexpr std::uint32_t last_submitted = 1;

std::uint64_t address(const void* of) {
    return reinterpret_cast<std::uintptr_t>(of);
}

}  // namespace

Result<SyncobjDevice> SyncobjDevice::open(const std::string& path) {
    return SyncobjDevice(V4LFENCE_TRY(sys::open(path.c_str(), O_RDWR).map(sys::move_high)));
}

Result<DrmSyncobj> DrmSyncobj::create(const SyncobjDevice& device, Start start) {
    Create create{0, start == Start::Signaled ? create_signaled : 0};
    V4LFENCE_TRY(sys::ioctl_retry(device.fd(), create_request, &create));
    return DrmSyncobj(device, create.handle);
}

Result<DrmSyncobj> DrmSyncobj::import(const SyncobjDevice& device, int fd) {
    HandleFd request{0, 0, fd, 0};
    V4LFENCE_TRY(sys::ioctl_retry(device.fd(), fd_to_handle_request, &request));
    return DrmSyncobj(device, request.handle);
}

DrmSyncobj::~DrmSyncobj() {
    if (handle_ != 0) {
        Destroy request{handle_, 0};
        static_cast<void>(sys::ioctl_retry(device_->fd(), destroy_request, &request));
    }
}

Result<UniqueFd> DrmSyncobj::export_fd() const {
    HandleFd request{handle_, 0, -1, 0};
    V4LFENCE_TRY(sys::ioctl_retry(device_->fd(), handle_to_fd_request, &request));
    return UniqueFd(request.fd);
}

Result<> DrmSyncobj::put_sync_file(int sync_file) {
    HandleFd request{handle_, as_sync_file, sync_file, 0};
    V4LFENCE_TRY(sys::ioctl_retry(device_->fd(), fd_to_handle_request, &request));
    return {};
}

Result<UniqueFd> DrmSyncobj::export_sync_file() const {
    HandleFd request{handle_, as_sync_file, -1, 0};
    V4LFENCE_TRY(sys::ioctl_retry(device_->fd(), handle_to_fd_request, &request));
    return UniqueFd(request.fd);
}

Result<> DrmSyncobj::signal(std::uint64_t point) {
    Points request{address(&handle_), address(&point), 1, 0};
    V4LFENCE_TRY(sys::ioctl_retry(device_->fd(), signal_request, &request));
    return {};
}

Result<> DrmSyncobj::take_fence(const DrmSyncobj& binary, std::uint64_t point) {
    Transfer request{binary.handle_, handle_, 0, point, 0, 0};
    V4LFENCE_TRY(sys::ioctl_retry(device_->fd(), transfer_request, &request));
    return {};
}

Result<std::uint64_t> DrmSyncobj::query(std::uint32_t flags) const {
    std::uint64_t point = 0;
    Points request{address(&handle_), address(&point), 1, flags};
    V4LFENCE_TRY(sys::ioctl_retry(device_->fd(), query_request, &request));
    return point;
}

Result<std::uint64_t> DrmSyncobj::reached() const {
    return query(0);
}

Result<std::uint64_t> DrmSyncobj::submitted() const {
    return query(last_submitted);
}

Result<> DrmSyncobj::notify(std::uint64_t point, int eventfd) const {
    Notify request{handle_, 0, point, eventfd, 0};
    const auto asked = sys::ioctl_retry(device_->fd(), notify_request, &request);
    if (asked) {
        return {};
    }
    switch (asked.error().code) {
    case -EINVAL:  // An ioctl that this kernel's DRM does not know.
    case -ENOTTY:
    case -EOPNOTSUPP:
        return fail(-ENOTTY, "no eventfds of timelines (before Linux 6.6)");
    default:
        return tl::unexpected<Error>(asked.error());
    }
}

}  // namespace v4lfence
