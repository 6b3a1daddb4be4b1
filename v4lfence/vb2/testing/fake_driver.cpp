// SPDX-License-Identifier: MIT

#include "v4lfence/vb2/testing/fake_driver.hpp"

#include <chrono>

namespace v4lfence::testing {

namespace {

Result<> scripted(int& error) {
    const int now = std::exchange(error, 0);
    return now != 0 ? Result<>(fail(now, "scripted")) : Result<>();
}

}  // namespace

/// Notices when two of a group are under way.
class FakeDriver::Call {
public:
    Call(FakeDriver& driver, std::atomic<unsigned>& calls) : calls_(calls) {
        driver.overlaps.fetch_add(calls_.fetch_add(1) > 0 ? 1 : 0);
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call() { calls_.fetch_sub(1); }

private:
    std::atomic<unsigned>& calls_;
};

Result<BufferShape> FakeDriver::queue_setup(unsigned& count, const BufferShape* wanted) {
    const Call call(*this, program_calls_);
    V4LFENCE_TRY(scripted(setup_error));
    count = setup_count != 0 ? setup_count : count;
    if (wanted == nullptr) {
        return shape;
    }
    if (wanted->plane_count != shape.plane_count) {
        return fail(-EINVAL, "another plane count");
    }
    return *wanted;
}

Result<> FakeDriver::buf_init(const BufferMemory& /*memory*/) {
    const Call call(*this, program_calls_);
    ++inits;
    return scripted(init_error);
}

Result<> FakeDriver::buf_prepare(const BufferMemory& /*memory*/, const BufferSettings& buffer) {
    const Call call(*this, program_calls_);
    V4LFENCE_TRY(scripted(prepare_error));
    ++prepares;
    prepared_settings = buffer;
    return {};
}

void FakeDriver::buf_finish(unsigned /*index*/) {
    ++finishes;
}

void FakeDriver::buf_queue(ActiveBuffer buffer) {
    const Call call(*this, token_calls_);
    if (fast) {
        given_count.fetch_add(1);
        end(std::move(buffer));
        return;
    }
    const std::lock_guard lock(mutex_);
    if (remembers) {
        given.push_back(buffer.index());
    }
    buffers_[(first_ + count_++) % buffers_.size()].emplace(std::move(buffer));
    given_count.fetch_add(1);
    came_.notify_all();
}

Result<> FakeDriver::start_streaming(unsigned count) {
    const Call call(*this, token_calls_);
    starts.push_back(count);
    if (on_start) {
        on_start();
    }
    const auto started = scripted(start_error);
    if (!started && !keeps_after_failed_start) {
        drop_all();
    }
    return started;
}

void FakeDriver::stop_streaming() {
    const Call call(*this, token_calls_);
    const std::lock_guard work(work_mutex_);
    ++stops;
    if (on_stop) {
        on_stop();
    }
    if (at_stop == AtStop::Drop) {
        drop_all();
    }
    while (at_stop == AtStop::Finish && held() > 0) {
        end(std::move(*take()));
    }
}

std::optional<ActiveBuffer> FakeDriver::take() {
    const std::lock_guard lock(mutex_);
    if (count_ == 0) {
        return std::nullopt;
    }
    --count_;
    auto& place = buffers_[first_];
    first_ = (first_ + 1) % static_cast<unsigned>(buffers_.size());
    return std::exchange(place, std::nullopt);
}

std::optional<ActiveBuffer> FakeDriver::take(unsigned index) {
    const std::lock_guard lock(mutex_);
    std::optional<ActiveBuffer> taken;
    const unsigned count = std::exchange(count_, 0);
    for (unsigned i = 0; i < count; ++i) {
        auto buffer = std::exchange(buffers_[(first_ + i) % buffers_.size()], std::nullopt);
        if (!taken && buffer->index() == index) {
            taken.emplace(std::move(*buffer));
        } else {
            buffers_[(first_ + count_++) % buffers_.size()].emplace(std::move(*buffer));
        }
    }
    return taken;
}

unsigned FakeDriver::held() const {
    const std::lock_guard lock(mutex_);
    return count_;
}

FinishedBuffer FakeDriver::finished() {
    FinishedBuffer said;
    said.sequence = sequence_.fetch_add(1);
    said.bytes_used.fill(100);
    said.timestamp_ns = 5'000 + said.sequence;
    said.field = 1;
    said.last = is_last;
    return said;
}

void FakeDriver::end(ActiveBuffer buffer) {
    if (finish_error != 0) {
        std::move(buffer).fail(finish_error, finished());
    } else {
        std::move(buffer).done(finished());
    }
}

bool FakeDriver::finish_one() {
    const std::lock_guard work(work_mutex_);
    auto buffer = take();
    if (buffer) {
        end(std::move(*buffer));
    }
    return buffer.has_value();
}

bool FakeDriver::finish(unsigned index) {
    const std::lock_guard work(work_mutex_);
    auto buffer = take(index);
    if (buffer) {
        end(std::move(*buffer));
    }
    return buffer.has_value();
}

void FakeDriver::drop_all() {
    while (take()) {}
}

bool FakeDriver::wait_until_given(unsigned count) {
    std::unique_lock lock(mutex_);
    return came_.wait_for(lock, std::chrono::seconds(10),
                          [&] { return given_count.load() >= count; });
}

}  // namespace v4lfence::testing
