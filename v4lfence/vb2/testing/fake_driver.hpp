// SPDX-License-Identifier: MIT
//
// FakeDriver: a device that finishes what it has when a test says so, and notices when it is called
// against the rules.

#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "v4lfence/vb2/driver.hpp"

namespace v4lfence::testing {

/// Thread: any; what a test may set is set before the threads start.
class FakeDriver final : public Driver {
public:
    enum class AtStop {
        Drop,    ///< What it has goes back.
        Finish,  ///< What it has is finished well.
        Keep,    ///< It breaks the rule.
    };

    // What a test may set. The errors are negative errnos of the next call alone.
    BufferShape shape{1, {4096}};
    unsigned setup_count = 0;  ///< 0: as asked.
    int setup_error = 0;
    int init_error = 0;
    int prepare_error = 0;
    int start_error = 0;
    int finish_error = 0;  ///< Of each buffer from now on.
    bool fast = false;     ///< Finishes each buffer within buf_queue().
    bool is_last = false;  ///< So says each buffer.
    AtStop at_stop = AtStop::Drop;
    bool keeps_after_failed_start = false;
    bool remembers = true;           ///< Fills `given`.
    std::function<void()> on_start;  ///< Within start_streaming().
    std::function<void()> on_stop;

    // What it has seen.
    std::vector<unsigned> given;
    std::vector<unsigned> starts;
    std::atomic<unsigned> given_count{0};
    std::atomic<unsigned> inits{0};
    std::atomic<unsigned> prepares{0};
    std::atomic<unsigned> finishes{0};
    std::atomic<unsigned> stops{0};
    std::atomic<unsigned> overlaps{0};  ///< Two calls of one group at once.
    std::atomic<unsigned> late{0};      ///< Buffers given between a stop and the next start's.
    BufferSettings prepared_settings;

    Result<BufferShape> queue_setup(unsigned& count, const BufferShape* wanted) override;
    Result<> buf_init(const BufferMemory& memory) override;
    Result<> buf_prepare(const BufferMemory& memory, const BufferSettings& buffer) override;
    void buf_finish(unsigned index) override;
    void buf_queue(ActiveBuffer buffer) override;
    Result<> start_streaming(unsigned count) override;
    void stop_streaming() override;

    /// The oldest, or that of an index; the device has it no more.
    std::optional<ActiveBuffer> take();
    std::optional<ActiveBuffer> take(unsigned index);
    unsigned held() const;

    /// Finishes the oldest; stop_streaming() waits for it. False: it has none.
    bool finish_one();
    /// Finishes that of an index.
    bool finish(unsigned index);
    void drop_all();

    /// Returns whether `count` buffers have been given in all, at the latest in ten seconds.
    bool wait_until_given(unsigned count);

private:
    class Call;

    FinishedBuffer finished();
    void end(ActiveBuffer buffer);

    std::mutex work_mutex_;  ///< Held while a buffer is finished.
    mutable std::mutex mutex_;
    std::condition_variable came_;
    std::array<std::optional<ActiveBuffer>, 64> buffers_;
    unsigned first_ = 0;
    unsigned count_ = 0;
    std::atomic<std::uint32_t> sequence_{0};
    std::atomic<unsigned> program_calls_{0};
    std::atomic<unsigned> token_calls_{0};
};

}  // namespace v4lfence::testing
