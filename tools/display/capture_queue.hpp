// SPDX-License-Identifier: MIT
//
// CaptureQueue: the camera's side of the cycle, buffers with fences, by ioctls that never block.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/failure.hpp"
#include "tools/stream/buffers.hpp"
#include "tools/stream/number_checks.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

struct QueuedFrame {
    std::uint64_t number = 0;  ///< Of this QBUF, from 0.
    UniqueFd out_fence;        ///< Empty where none was asked for.
    bool held = false;         ///< Its in-fence had not ended when QBUF returned.
};

/// Failures are sentences that name the device.
class CaptureQueue {
public:
    virtual ~CaptureQueue() = default;

    virtual unsigned count() const = 0;
    /// `in_fence` -1: none; it stays the caller's.
    virtual Attempt<QueuedFrame> queue(unsigned index, int in_fence) = 0;
    virtual Attempt<> start() = 0;
    /// Empty: nothing has been finished.
    virtual Attempt<std::optional<TakenFrame>> take() = 0;
    virtual void stop() = 0;

    /// Readable while there is something to take. Borrowed.
    virtual int fd() const = 0;
    /// Of a buffer: "with the device", "held", "done". For diagnosis.
    virtual std::string state_text(unsigned index) const = 0;
};

/// Where the camera puts pictures into the pool's buffers. A driver need not say it before a frame
/// is there; most that leave bytes at all do when a buffer is prepared. Fails with a sentence.
Attempt<DataOffsets> learn_data_offsets(const Camera& camera, const BufferPool& pool);

/// Fails with a sentence where a frame lies elsewhere than whoever shows it was told.
Attempt<> check_data_offsets(const Camera& camera, const DataOffsets& told,
                             const DataOffsets& learnt);

/// The buffers of a camera, as they are. Both are borrowed.
class CameraQueue final : public CaptureQueue {
public:
    /// `told`: where whoever shows the buffers takes pictures from; empty: it goes by the frame.
    CameraQueue(const Camera& camera, const BufferPool& pool, bool out_fences,
                const std::optional<DataOffsets>& told = std::nullopt);

    unsigned count() const override { return pool_.count(); }
    Attempt<QueuedFrame> queue(unsigned index, int in_fence) override;
    Attempt<> start() override;
    Attempt<std::optional<TakenFrame>> take() override;
    void stop() override;
    int fd() const override { return camera_.file().fd(); }
    std::string state_text(unsigned index) const override;

private:
    tl::unexpected<Failure> lost_device(const char* call, int code) const;

    const Camera& camera_;
    const BufferPool& pool_;
    const bool out_fences_;
    const std::optional<DataOffsets> told_;
    std::vector<std::uint64_t> numbers_;  ///< Of each buffer's last QBUF.
    std::uint64_t next_number_ = 0;
    std::uint64_t taken_ = 0;
};

}  // namespace v4lfence
