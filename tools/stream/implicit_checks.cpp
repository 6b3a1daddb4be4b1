// SPDX-License-Identifier: MIT

#include "tools/stream/implicit_checks.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <utility>

#include "tools/video/names.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/dma_buf_fences.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence {

ImplicitChecks::ImplicitChecks(const StreamChoices& options, const Camera& camera,
                               const BufferPool& pool, Promises& promises)
    : options_(options), camera_(camera), pool_(pool), promises_(promises) {
    if ((options.implicit & V4LFENCE_IMPLICIT_OUT) != 0) {
        promises.make(PromiseId::DmaBufWaits);
        promises.make(PromiseId::DmaBufReadyAtDqbuf);
    }
}

Attempt<> ImplicitChecks::begin() {
    if (options_.implicit == 0) {
        return {};
    }
    if (v4lfence_set_implicit(camera_.file().fd(), options_.implicit) < 0) {
        const int code = errno;
        const char* reason = v4lfence_provider_reason("vgem");
        return machine_lacks(fmt::format(
            "--implicit: {}", code == ENODEV && reason != nullptr ? reason : errno_text(code)));
    }
    dma_bufs_.resize(pool_.count());
    for (unsigned index = 0; index < pool_.count(); ++index) {
        for (unsigned plane = 0; plane < camera_.format().planes.size(); ++plane) {
            auto dma_buf = pool_.memory() == V4L2_MEMORY_MMAP
                               ? pool_.export_plane(index, plane)
                               : sys::dup(pool_.dma_buf(index, plane));
            if (!dma_buf) {
                return machine_lacks(
                    fmt::format("--implicit: buffer {} cannot be had as a dma-buf (EXPBUF): {}.",
                                index, errno_text(dma_buf.error().code)));
            }
            dma_bufs_[index].push_back(std::move(*dma_buf));
        }
    }
    return {};
}

bool ImplicitChecks::takes_in_fences() const {
    return (options_.implicit & V4LFENCE_IMPLICIT_IN) != 0;
}

Attempt<> ImplicitChecks::put(unsigned index, int in_fence) const {
    DmaBufs planes;
    for (const UniqueFd& dma_buf : dma_bufs_[index]) {
        planes.add(dma_buf.get());
    }
    if (const auto done = put_fence(in_fence, planes, DmaBufAccess::Read); !done) {
        return job_failed(fmt::format("no fence can be put into the dma-buf of buffer {}: {}.",
                                      index, errno_text(done.error().code)));
    }
    return {};
}

std::uint32_t ImplicitChecks::flags_of(unsigned index) const {
    IoctlBuffer argument(camera_.format(), pool_.memory(), index);
    return camera_.file().ioctl(VIDIOC_QUERYBUF, argument.get()) ? argument->flags : 0;
}

bool ImplicitChecks::held(unsigned index) const {
    return (flags_of(index) & V4L2_BUF_FLAG_IN_FENCE) != 0;
}

bool ImplicitChecks::readable(unsigned index) const {
    return std::all_of(dma_bufs_[index].begin(), dma_bufs_[index].end(),
                       [](const UniqueFd& dma_buf) {
                           return (sys::poll_now(dma_buf.get(), POLLIN).value_or(0) & POLLIN) != 0;
                       });
}

void ImplicitChecks::after_qbuf(unsigned index, std::uint64_t number) {
    if ((options_.implicit & V4LFENCE_IMPLICIT_OUT) == 0) {
        return;
    }
    // In this order: a fence that is pending afterwards was pending all the time.
    const bool ready = readable(index);
    const bool pending = (flags_of(index) & V4L2_BUF_FLAG_OUT_FENCE) != 0;
    promises_.check(PromiseId::DmaBufWaits, !(ready && pending), [&] {
        return fmt::format("frame {} is pending and its dma-buf can be read", number);
    });
}

void ImplicitChecks::after_dqbuf(unsigned index, std::uint64_t number) {
    if ((options_.implicit & V4LFENCE_IMPLICIT_OUT) == 0) {
        return;
    }
    promises_.check(PromiseId::DmaBufReadyAtDqbuf, readable(index), [&] {
        return fmt::format("frame {} came and who reads its dma-buf still waits", number);
    });
}

}  // namespace v4lfence
