// SPDX-License-Identifier: MIT

#include "v4lfence/fence/providers/drm.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <limits>
#include <system_error>

#include "v4lfence/base/shortage.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence::drm {

namespace {

struct Version {
    std::int32_t major;
    std::int32_t minor;
    std::int32_t patch;
    std::size_t name_size;
    char* name;
    std::size_t date_size;
    char* date;
    std::size_t description_size;
    char* description;
};

struct CreateDumb {
    std::uint32_t height;
    std::uint32_t width;
    std::uint32_t bits_per_pixel;
    std::uint32_t flags;
    std::uint32_t handle;
    std::uint32_t pitch;
    std::uint64_t size;
};

struct GemClose {
    std::uint32_t handle;
    std::uint32_t pad;
};

struct PrimeHandle {
    std::uint32_t handle;
    std::uint32_t flags;
    std::int32_t fd;
};

struct VgemAttach {
    std::uint32_t handle;
    std::uint32_t flags;
    std::uint32_t fence;
    std::uint32_t pad;
};

struct VgemSignal {
    std::uint32_t fence;
    std::uint32_t flags;
};

static_assert(sizeof(Version) == 12 + (sizeof(void*) == 8 ? 4 : 0) + 6 * sizeof(void*));
static_assert(sizeof(CreateDumb) == 32);
static_assert(sizeof(GemClose) == 8);
static_assert(sizeof(PrimeHandle) == 12);
static_assert(sizeof(VgemAttach) == 16);
static_assert(sizeof(VgemSignal) == 8);

constexpr unsigned long version_request = _IOWR('d', 0x00, Version);
constexpr unsigned long gem_close_request = _IOW('d', 0x09, GemClose);
constexpr unsigned long handle_to_fd_request = _IOWR('d', 0x2d, PrimeHandle);
constexpr unsigned long fd_to_handle_request = _IOWR('d', 0x2e, PrimeHandle);
constexpr unsigned long create_dumb_request = _IOWR('d', 0xb2, CreateDumb);
constexpr unsigned long attach_request = _IOWR('d', 0x41, VgemAttach);
constexpr unsigned long signal_request = _IOW('d', 0x42, VgemSignal);

static_assert(attach_request == 0xC0106441);
static_assert(signal_request == 0x40086442);

constexpr std::uint32_t attach_for_writing = 1;

}  // namespace

Result<std::vector<std::string>> list_nodes(std::string_view prefix, const char* folder) {
    std::vector<std::string> paths;
    std::error_code error;
    // Not a range-for: its ++ throws where readdir() fails.
    std::filesystem::directory_iterator entry(folder, error);
    for (const std::filesystem::directory_iterator end; !error && entry != end;
         entry.increment(error)) {
        if (entry->path().filename().string().starts_with(prefix)) {
            paths.push_back(entry->path().string());
        }
    }
    if (is_shortage(-error.value())) {
        return fail(-error.value(), "list nodes");
    }
    std::sort(paths.begin(), paths.end());
    return paths;
}

Result<std::string> driver_name(int fd) {
    std::array<char, 32> name{};
    Version version{};
    version.name = name.data();
    version.name_size = name.size() - 1;
    V4LFENCE_TRY(sys::ioctl_retry(fd, version_request, &version));
    return std::string(name.data());
}

Result<UniqueFd> create_dumb_dma_buf(int card, std::size_t size) {
    // It is a picture: one with rows of a page.
    constexpr std::uint32_t row_pixels = 1024;
    constexpr std::size_t row_bytes = std::size_t{row_pixels} * 4;
    const std::size_t rows = size / row_bytes + (size % row_bytes != 0 ? 1 : 0);
    if (rows > std::numeric_limits<std::uint32_t>::max()) {
        return fail(-ENOMEM, "dumb buffer");
    }
    CreateDumb create{};
    create.width = row_pixels;
    create.height = static_cast<std::uint32_t>(rows);
    create.bits_per_pixel = 32;
    V4LFENCE_TRY(sys::ioctl_retry(card, create_dumb_request, &create));
    PrimeHandle prime{create.handle, O_CLOEXEC | O_RDWR, -1};
    const auto exported = sys::ioctl_retry(card, handle_to_fd_request, &prime);
    GemClose close{create.handle, 0};
    static_cast<void>(sys::ioctl_retry(card, gem_close_request, &close));
    if (!exported) {
        return tl::unexpected<Error>(exported.error());
    }
    return UniqueFd(prime.fd);
}

Result<std::uint32_t> import_dma_buf(int fd, int dma_buf) {
    PrimeHandle prime{0, 0, dma_buf};
    V4LFENCE_TRY(sys::ioctl_retry(fd, fd_to_handle_request, &prime));
    return prime.handle;
}

Result<std::uint32_t> attach_fence(int fd, std::uint32_t handle) {
    VgemAttach attach{handle, attach_for_writing, 0, 0};
    V4LFENCE_TRY(sys::ioctl_retry(fd, attach_request, &attach));
    return attach.fence;
}

Result<> signal_fence(int fd, std::uint32_t fence) {
    VgemSignal signal{fence, 0};
    V4LFENCE_TRY(sys::ioctl_retry(fd, signal_request, &signal));
    return {};
}

}  // namespace v4lfence::drm
