// SPDX-License-Identifier: MIT

#include "v4lfence/sync/implicit.hpp"

#include <utility>

namespace v4lfence {

Result<> check_implicit(unsigned flags, Core& core) {
    if ((flags & ~(implicit_in | implicit_out)) != 0) {
        return fail(-EINVAL, "no such kind of implicit synchronization");
    }
    if (flags != 0) {
        V4LFENCE_TRY(check_dma_buf_fences());
    }
    if ((flags & implicit_out) != 0) {
        V4LFENCE_TRY(core.provider(implicit_provider));
    }
    return {};
}

Result<std::optional<Fence>> ImplicitFences::take() const {
    if ((flags_ & implicit_in) == 0) {
        return std::optional<Fence>();
    }
    return pending_fences(dma_bufs_, access_);
}

bool ImplicitFences::puts_out_fence(const QueueView& queue) const noexcept {
    return (flags_ & implicit_out) != 0 && !queue.degraded && !dma_bufs_.empty();
}

Result<OutFence> ImplicitFences::mint(OutFences& fences, const FileOptions& options, unsigned index,
                                      const QueueView& queue, bool asked) const {
    const bool put = puts_out_fence(queue);
    if (!asked && !put) {
        return OutFence{};
    }
    OutFence out = V4LFENCE_TRY(fences.mint(options.maker(flags_), index, queue));
    if (put) {
        const auto done = put_fence(out.fd.get(), dma_bufs_, access_);
        if (!done) {
            out = OutFence{};  // Ends it, wherever it was put.
            fences.forget(index);
            return tl::unexpected<Error>(done.error());
        }
    }
    if (!asked) {
        out.fd.reset();
    }
    const char* const kind = access_ == DmaBufAccess::Write ? "capture" : "output";
    if (out.kernel_waitable) {
        out.fd = options.labels.put_on(std::move(out.fd), kind, index, queue.next_position);
    }
    return out;
}

}  // namespace v4lfence
