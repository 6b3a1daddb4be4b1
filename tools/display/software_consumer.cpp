// SPDX-License-Identifier: MIT

#include "tools/display/software_consumer.hpp"

#include <fmt/format.h>
#include <sys/eventfd.h>

#include <array>
#include <cstring>
#include <utility>

#include "tools/stream/stamp_checks.hpp"
#include "tools/video/names.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence {

namespace {

void count_up(int event) {
    const std::uint64_t one = 1;
    // A full counter is as readable as one more.
    static_cast<void>(sys::write(event, std::as_bytes(std::span(&one, 1))));
}

void count_down(int event) {
    std::uint64_t count = 0;
    static_cast<void>(sys::read(event, std::as_writable_bytes(std::span(&count, 1))));
}

/// A word of each line of the cache: who writes a frame writes them all.
std::uint64_t fingerprint_of(std::span<const std::byte> bytes, std::uint64_t seed) {
    constexpr std::uint64_t multiplier = 0x9e3779b97f4a7c15;
    constexpr std::size_t line_bytes = 64;
    std::uint64_t print = seed ^ bytes.size();
    for (std::size_t at = 0; at + sizeof(print) <= bytes.size(); at += line_bytes) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data() + at, sizeof(word));
        print = (print ^ word) * multiplier;
        print ^= print >> 29;
    }
    return print;
}

}  // namespace

Attempt<std::unique_ptr<SoftwareConsumer>> SoftwareConsumer::create(SoftwareChoices choices) {
    auto flips = sys::eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE);
    auto control = sys::eventfd(0, EFD_NONBLOCK);
    auto timer = sys::timerfd_create();
    if (!flips || !control || !timer) {
        return job_failed("the display cannot be made: there are too many open files.");
    }
    std::unique_ptr<SoftwareConsumer> consumer(new SoftwareConsumer(
        std::move(choices), sys::move_high(std::move(*flips)), sys::move_high(std::move(*control)),
        sys::move_high(std::move(*timer))));
    consumer->thread_ = std::thread([display = consumer.get()] { display->run(); });
    return consumer;
}

SoftwareConsumer::SoftwareConsumer(SoftwareChoices choices, UniqueFd flips_shown, UniqueFd control,
                                   UniqueFd timer)
    : choices_(std::move(choices)), flips_shown_(std::move(flips_shown)),
      control_(std::move(control)), timer_(std::move(timer)),
      screen_(SystemClock().now(),
              Nanoseconds(static_cast<std::int64_t>(1e9 / choices_.refresh_hz))) {
    info_.kind = choices_.kind;
    info_.card = choices_.path;
    info_.refresh_hz = choices_.refresh_hz;
    info_.in_fences = true;
    info_.out_fences = choices_.out_fences;
    info_.exact_times = true;
}

SoftwareConsumer::~SoftwareConsumer() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    count_up(control_.get());
    thread_.join();
    if (commit_.out != nullptr) {
        v4lfence_promise_end(commit_.out, -ECANCELED);
    }
}

Attempt<int> SoftwareConsumer::import(const CameraPicture& picture) {
    const std::lock_guard lock(mutex_);
    pictures_.emplace_back(picture);
    return static_cast<int>(pictures_.size());
}

Attempt<DisplayPicture> SoftwareConsumer::allocate(std::uint32_t /*display_fourcc*/,
                                                   ImageSize /*size*/) {
    return machine_lacks("a display of software has no memory of its own.");
}

void SoftwareConsumer::forget(int picture) {
    const std::lock_guard lock(mutex_);
    pictures_[static_cast<std::size_t>(picture) - 1].reset();
}

const CameraPicture* SoftwareConsumer::find(int picture) const {
    const auto number = static_cast<std::size_t>(picture);
    const bool known = picture > 0 && number <= pictures_.size() && pictures_[number - 1];
    return known ? &*pictures_[number - 1] : nullptr;
}

bool SoftwareConsumer::waits_for(int fence) const {
    v4lfence_fence_result result{};
    return v4lfence_fence_status(fence, &result) == 0;
}

Result<UniqueFd> SoftwareConsumer::take_in_fence(const CameraPicture& picture, int in_fence) const {
    UniqueFd fence;
    if (in_fence >= 0) {
        if (!waits_for(in_fence)) {
            return fail(-EINVAL, "in_fence");
        }
        fence = V4LFENCE_TRY(sys::dup(in_fence));
    }
    for (const int dma_buf : choices_.implicit ? picture.dma_bufs : std::vector<int>()) {
        // A dma-buf stands for the fences that it has now.
        const int merged =
            v4lfence_fence_merge("v4lfence display", fence ? fence.get() : dma_buf, dma_buf);
        if (merged < 0) {
            return fail_errno("v4lfence_fence_merge");
        }
        fence.reset(merged);
    }
    return fence;
}

Result<UniqueFd> SoftwareConsumer::show(int picture, int in_fence) {
    std::unique_lock lock(mutex_);
    const CameraPicture* shown = find(picture);
    if (shown == nullptr) {
        return tl::unexpected(remember({-ENOENT, "picture"}, "there is no such picture."));
    }
    if (screen_.busy()) {
        return tl::unexpected(remember({-EBUSY, "show"}, "a commit is under way."));
    }
    auto fence = take_in_fence(*shown, in_fence);
    if (!fence) {
        return tl::unexpected(remember(fence.error(), "it cannot wait for this fence."));
    }
    int out_fence = -1;
    v4lfence_promise* out = nullptr;
    if (choices_.out_fences) {
        out = v4lfence_promise_create(choices_.provider.c_str(), &out_fence);
        if (out == nullptr) {
            return tl::unexpected(
                remember({-errno, "v4lfence_promise_create"},
                         fmt::format("the display cannot make a fence: {}.", errno_text(errno))));
        }
    }
    screen_.commit(picture);
    commit_ = {std::move(*fence), out, 0};
    if (!commit_.in_fence) {
        screen_.fence_ended(SystemClock().now());
    }
    lock.unlock();
    count_up(control_.get());
    return UniqueFd(out_fence);
}

Result<std::optional<Flip>> SoftwareConsumer::next_flip() {
    const std::lock_guard lock(mutex_);
    if (failed_) {
        return fail(-EIO, "sink");
    }
    if (flips_.empty()) {
        return std::optional<Flip>();
    }
    count_down(flips_shown_.get());
    Flip flip = flips_.front();
    flips_.pop_front();
    return std::optional(flip);
}

std::string SoftwareConsumer::why() const {
    const std::lock_guard lock(mutex_);
    return why_;
}

Error SoftwareConsumer::remember(Error error, std::string sentence) {
    why_ = std::move(sentence);
    return error;
}

void SoftwareConsumer::run() {
    while (true) {
        const bool due = wait_for_refresh();
        {
            const std::lock_guard lock(mutex_);
            if (stopping_) {
                return;
            }
        }
        if (due) {
            flip();
        }
    }
}

bool SoftwareConsumer::wait_for_refresh() {
    Deadline due;
    int fence = -1;
    {
        const std::lock_guard lock(mutex_);
        if (screen_.busy()) {
            due = screen_.due();
            fence = commit_.in_fence.get();
        }
    }
    // The commit, and so its fence, stays until flip(), which this thread alone calls.
    static_cast<void>(sys::timerfd_set(timer_.get(), due));
    std::array<pollfd, 2> entries = {
        {{control_.get(), POLLIN, 0}, {due ? timer_.get() : fence, POLLIN, 0}}};
    if (!sys::poll(entries, -1)) {
        return false;
    }
    if (entries[0].revents != 0) {
        count_down(control_.get());
    }
    if (entries[1].revents == 0) {
        return false;
    }
    if (due) {
        return true;
    }
    const std::lock_guard lock(mutex_);
    const MonotonicTime now = SystemClock().now();
    commit_.fence_seen_ns = to_ns(now);
    screen_.fence_ended(now);
    return false;
}

void SoftwareConsumer::flip() {
    const CameraPicture* gone = nullptr;
    const CameraPicture* next = nullptr;
    Flip flip;
    {
        const std::lock_guard lock(mutex_);
        flip.previous = screen_.shown();
        flip.picture = screen_.next();
        gone = find(flip.previous);
        next = find(flip.picture);
    }
    // Both stay while they are on screen or on their way.
    if (gone != nullptr) {
        flip.previous_changed = look_at(*gone).fingerprint != sight_.fingerprint;
    }
    sight_ = look_at(*next);
    flip.sight = sight_;
    v4lfence_promise* out = nullptr;
    {
        const std::lock_guard lock(mutex_);
        const Refresh refresh = screen_.flip(SystemClock().now());
        flip.sequence = refresh.sequence;
        flip.time_ns = to_ns(refresh.time);
        const Commit done = std::exchange(commit_, {});
        flip.fence_seen_ns = done.fence_seen_ns;
        out = done.out;
        flips_.push_back(flip);
    }
    count_up(flips_shown_.get());
    if (out != nullptr) {
        v4lfence_promise_end(out, 0);
    }
    if (!choices_.sink) {
        return;
    }
    // The next commit takes its place at the next refresh at the earliest, which this thread makes.
    if (auto put = choices_.sink->put(*next); !put) {
        const std::lock_guard lock(mutex_);
        why_ = put.error().message;
        failed_ = true;
        count_up(flips_shown_.get());
    }
}

PictureSight SoftwareConsumer::look_at(const CameraPicture& picture) const {
    PictureSight sight;
    for (const std::span<const std::byte> plane : picture.bytes) {
        sight.fingerprint = fingerprint_of(plane, sight.fingerprint);
    }
    const auto image =
        ImageView::create(picture.capture_fourcc, picture.size, picture.bytes, picture.strides);
    if (image) {
        sight.stamps = read_stamps(*image);
    }
    return sight;
}

}  // namespace v4lfence
