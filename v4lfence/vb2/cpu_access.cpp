// SPDX-License-Identifier: MIT

#include "v4lfence/vb2/cpu_access.hpp"

#include <linux/dma-buf.h>
#include <poll.h>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

/// The interface allows EAGAIN as often as it likes; no exporter is known to use it.
constexpr unsigned sync_tries_max = 64;

Result<> sync(int dma_buf, std::uint64_t flags) {
    dma_buf_sync request{flags};
    auto result = sys::ioctl_retry(dma_buf, DMA_BUF_IOCTL_SYNC, &request);
    for (unsigned tries = 1; !result && result.error().code == -EAGAIN && tries < sync_tries_max;
         ++tries) {
        result = sys::ioctl_retry(dma_buf, DMA_BUF_IOCTL_SYNC, &request);
    }
    if (!result) {
        return fail(result.error().code, "DMA_BUF_IOCTL_SYNC");
    }
    return {};
}

std::uint64_t direction(DeviceAccess access) {
    return access == DeviceAccess::Write ? DMA_BUF_SYNC_WRITE : DMA_BUF_SYNC_READ;
}

}  // namespace

Result<> CpuAccess::begin(int dma_buf) {
    // Readable: those who write have ended; writable: those who read as well.
    const short idle = access_ == DeviceAccess::Write ? POLLOUT : POLLIN;
    const short ready = V4LFENCE_TRY(sys::poll_now(dma_buf, idle));
    if ((ready & idle) == 0) {
        return {};
    }
    V4LFENCE_TRY(sync(dma_buf, DMA_BUF_SYNC_START | direction(access_)));
    begun_ = true;
    return {};
}

void CpuAccess::end(int dma_buf) noexcept {
    if (begun_) {
        begun_ = false;
        static_cast<void>(sync(dma_buf, DMA_BUF_SYNC_END | direction(access_)));
    }
}

}  // namespace v4lfence
