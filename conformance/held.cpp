// SPDX-License-Identifier: MIT

#include "conformance/held.hpp"

namespace v4lfence {

namespace {

Checked<HeldStream> open_for(Rig& rig, const HoldOptions& options) {
    Stream stream = TRY(Stream::open(rig, options.stream));
    TestFence fence = options.failing ? TRY(rig.failing_fence()) : TRY(rig.fence());
    return HeldStream{std::move(stream), std::move(fence)};
}

}  // namespace

Checked<HeldStream> hold_first(Rig& rig, const HoldOptions& options) {
    HeldStream held = TRY(open_for(rig, options));
    held.stream.paint_buffer(0);
    TRY(held.stream.queue(0, {.in = held.fence.fd.get(), .out = options.out}));
    TRY(held.stream.queue_rest(1, options.rest_out));
    if (options.start) {
        TRY(held.stream.start());
    }
    return held;
}

Checked<HeldStream> hold_all(Rig& rig, const HoldOptions& options) {
    HeldStream held = TRY(open_for(rig, options));
    for (unsigned index = 0; index < held.stream.count(); ++index) {
        TRY(held.stream.queue(index, {.in = held.fence.fd.get(), .out = options.out}));
    }
    if (options.start) {
        TRY(held.stream.start());
    }
    return held;
}

Checked<Frame> release_first(HeldStream& held) {
    TRY(held.stream.nothing_to_dequeue());
    TRY(held.stream.is_held(0));
    const std::size_t changed = held.stream.changed_bytes(0);
    CHECK(changed == 0, "{} bytes of held buffer 0 were written, expected none", changed);
    held.fence.end();
    return held.stream.dequeue_good(0);
}

}  // namespace v4lfence
