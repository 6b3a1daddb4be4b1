// SPDX-License-Identifier: MIT

#include "v4lfence/fence/providers/sw_sync.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <mutex>
#include <utility>

#include "v4lfence/base/shortage.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/providers/point_ledger.hpp"
#include "v4lfence/fence/providers/reason.hpp"

namespace v4lfence {

namespace {

constexpr const char* sw_sync_path = "/sys/kernel/debug/sync/sw_sync";

struct CreateFence {
    std::uint32_t value;
    char name[32];
    std::int32_t fence;
};
static_assert(sizeof(CreateFence) == 40);

constexpr unsigned long create_request = _IOWR('W', 0, CreateFence);
constexpr unsigned long increment_request = _IOW('W', 1, std::uint32_t);
static_assert(create_request == 0xC0285700);
static_assert(increment_request == 0x40045701);

class KernelSwSync final : public SwSyncDevice {
public:
    Result<UniqueFd> open_timeline() override {
        return sys::open(sw_sync_path, O_RDWR).map(sys::move_high);
    }

    Result<UniqueFd> create_fence(int timeline, std::uint32_t point) override {
        CreateFence request{point, "v4lfence", -1};
        V4LFENCE_TRY(sys::ioctl_retry(timeline, create_request, &request));
        return UniqueFd(request.fence);
    }

    Result<> increment(int timeline, std::uint32_t by) override {
        V4LFENCE_TRY(sys::ioctl_retry(timeline, increment_request, &by));
        return {};
    }
};

class SwSyncContext final : public FenceContext {
public:
    explicit SwSyncContext(SwSyncDevice& device) : device_(device) {}

    Result<MintedFence> mint(unsigned /*slot*/) override {
        return timeline_ ? mint_point() : mint_alone();
    }

    Result<> begin_generation(bool ordered) override {
        UniqueFd fresh;
        if (ordered) {
            fresh = V4LFENCE_TRY(device_.open_timeline());
        }
        const std::lock_guard lock(mutex_);
        timeline_ = std::move(fresh);
        points_ = PointLedger();
        return {};
    }

    void abandon() noexcept override { timeline_.reset(); }

protected:
    void end_fence(UniqueFd end, std::uint64_t id, int error) noexcept override {
        if (!end) {
            end_point(id);
        } else if (error == 0) {
            static_cast<void>(device_.increment(end.get(), 1));
        }
    }

private:
    Result<MintedFence> mint_alone() {
        auto timeline = V4LFENCE_TRY(device_.open_timeline());
        auto fence = V4LFENCE_TRY(device_.create_fence(timeline.get(), 1));
        return MintedFence{std::move(fence), FencePromise(*this, std::move(timeline), 1)};
    }

    Result<MintedFence> mint_point() {
        const std::uint64_t point = next_point();
        auto fence =
            V4LFENCE_TRY(device_.create_fence(timeline_.get(), static_cast<std::uint32_t>(point)));
        const std::lock_guard lock(mutex_);
        points_.commit();
        return MintedFence{std::move(fence), FencePromise(*this, UniqueFd(), point)};
    }

    std::uint64_t next_point() {
        const std::lock_guard lock(mutex_);
        return points_.next();
    }

    void end_point(std::uint64_t point) noexcept {
        std::uint32_t moved = 0;
        {
            const std::lock_guard lock(mutex_);
            moved = points_.end(point);
        }
        if (moved > 0) {
            static_cast<void>(device_.increment(timeline_.get(), moved));
        }
    }

    SwSyncDevice& device_;
    UniqueFd timeline_;
    std::mutex mutex_;  ///< For points_.
    PointLedger points_;
};

constexpr ProviderTraits sw_sync_traits{
    .name = "sw_sync",
    .kernel_waitable = true,
    .errors = false,
    .timeline = true,
    .bound = std::nullopt,
};

}  // namespace

SwSyncProvider::SwSyncProvider(std::unique_ptr<SwSyncDevice> device) : device_(std::move(device)) {}

Result<ProbedProvider> SwSyncProvider::find() {
    auto device = std::make_unique<KernelSwSync>();
    const auto timeline = device->open_timeline();
    if (timeline) {
        return ProbedProvider{std::make_unique<SwSyncProvider>(std::move(device)), {}};
    }
    const int error = timeline.error().code;
    if (is_shortage(error)) {
        return fail(error, sw_sync_path);
    }
    return ProbedProvider{nullptr, error == -ENOENT ? std::string("this kernel has no ") +
                                                          sw_sync_path + " (CONFIG_SW_SYNC)"
                                                    : cannot("open", sw_sync_path, error)};
}

const ProviderTraits& SwSyncProvider::traits() const noexcept {
    return sw_sync_traits;
}

Result<std::unique_ptr<FenceContext>> SwSyncProvider::open_context() {
    return std::make_unique<SwSyncContext>(*device_);
}

}  // namespace v4lfence
