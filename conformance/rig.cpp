// SPDX-License-Identifier: MIT

#include "conformance/rig.hpp"

#include <utility>

namespace v4lfence {

namespace {

const DeviceCalls& kernel_calls() {
    static const DeviceCalls calls = raw_calls();
    return calls;
}

Checked<Device> open_with(const DeviceCalls& calls, const std::string& path, int flags) {
    const int fd = calls.open(path.c_str(), flags | O_CLOEXEC);
    CHECK(fd >= 0, "open {}: {}", path, errno_name(errno));
    return Device(calls, fd);
}

Checked<TestFence> make_fence(std::optional<FenceMaker>& maker, std::string_view name) {
    if (!maker) {
        maker.emplace(TRY(FenceMaker::open(name)));
    }
    return maker->make();
}

}  // namespace

Checked<Device> Rig::open(int flags) const {
    return open_with(calls_, path_, flags);
}

Checked<Device> Rig::open_raw(int flags) const {
    if (!has_node()) {
        return skipped("there is no kernel's node behind a virtual device");
    }
    if (calls_.preloaded) {
        return skipped("a preloaded program has no way to the kernel's own node");
    }
    if (facts_.fenced && !facts_.query) {
        return skipped("it is the kernel's own node that is judged");
    }
    return open_with(kernel_calls(), path_, flags);
}

Checked<> Rig::choose_provider(const Device& device) const {
    if (!facts_.query) {
        return {};
    }
    if (calls_.set_provider != nullptr) {
        const int status = calls_.set_provider(device.fd(), provider_.c_str());
        CHECK(status == 0, "choosing {} fences: {}", provider_, errno_name(errno));
        return {};
    }
    v4l2_query_fences fences = query();
    return answers(device.ioctl(VIDIOC_QUERY_FENCES, &fences), 0, "QUERY_FENCES");
}

Checked<TestFence> Rig::fence() {
    return make_fence(maker_, provider_);
}

Checked<TestFence> Rig::failing_fence() {
    // Of the kinds that the kernel makes itself, sw_sync alone tells an error.
    return make_fence(failing_maker_, facts_.takes_pollables ? "user" : "sw_sync");
}

v4l2_query_fences Rig::query() const {
    v4l2_query_fences fences{};
    fences.size = sizeof(fences);
    fences.type = facts_.type;
    return fences;
}

Checked<CallStats> Rig::stats() const {
    if (calls_.get_stats == nullptr) {
        return skipped("this way to the device has no counters");
    }
    CallStats stats;
    CHECK(calls_.get_stats(&stats) == 0, "reading the counters: {}", errno_name(errno));
    return stats;
}

void Rig::forget_fences() {
    maker_.reset();
    failing_maker_.reset();
}

std::uint64_t fences_pending(const Rig& rig) {
    const auto stats = rig.stats();
    return stats ? stats->fences_made - stats->fences_ended : 0;
}

}  // namespace v4lfence
