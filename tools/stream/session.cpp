// SPDX-License-Identifier: MIT

#include "tools/stream/session.hpp"

#include <fmt/format.h>

#include "tools/stream/cost.hpp"
#include "tools/stream/diagnosis.hpp"
#include "tools/video/names.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence {

namespace {

std::int64_t now_ns() {
    return to_ns(SystemClock().now());
}

}  // namespace

StreamSession::StreamSession(const StreamChoices& options, const Camera& camera,
                             const BufferPool& pool, const ChainPlan& plan,
                             const Interrupt& interrupt, Progress& progress)
    : options_(options), camera_(camera), pool_(pool), plan_(plan), interrupt_(interrupt),
      progress_(progress), frame_checks_(options, camera, pool, promises_, counters_),
      fence_checks_(options, camera.fences(), promises_, counters_),
      implicit_(options, camera, pool, promises_), out_fences_(pool.count(), plan.depth),
      buffers_(pool.count()), random_(options.seed),
      given_probe_(camera, pool.memory(), options.frames), capture_to_out_fence_(options.frames),
      out_fence_to_dqbuf_(options.frames) {
    poll_set_.reserve(pool.count() + 1);
    polled_.reserve(pool.count());
    if (options.in_fence.mode == InFenceMode::Timer) {
        timer_.emplace(options.provider.value_or("user"), given_probe_);
    }
}

StreamResult StreamSession::run() {
    StreamResult result;
    const CostMeter meter;
    const Attempt<> streamed = stream();
    stop();
    result.cost = meter.spent();
    if (!interrupted_) {
        promises_.make(PromiseId::AllFrames);
        promises_.check(PromiseId::AllFrames, counters_.frames >= options_.frames,
                        [] { return std::string("the stream ended early"); });
    }
    if (!streamed) {
        result.failure = streamed.error();
        result.failure->message += fences_left_text();
    } else if (save_failure_) {
        result.failure = Failure{ExitStatus::JobFailed, *save_failure_};
    }
    collect(result);
    return result;
}

Attempt<> StreamSession::stream() {
    if (auto begun = implicit_.begin(); !begun) {
        return begun;
    }
    for (unsigned index = 0; index < pool_.count(); ++index) {
        if (auto queued = queue(index); !queued) {
            return queued;
        }
    }
    std::uint32_t type = camera_.format().type;
    if (const auto on = camera_.file().ioctl(VIDIOC_STREAMON, &type); !on) {
        return job_failed(
            fmt::format("the stream does not start (STREAMON): {}.", errno_text(on.error().code)));
    }
    started_ns_ = now_ns();
    while (counters_.frames < options_.frames) {
        const auto wake = wait_for_frame();
        if (!wake) {
            return tl::unexpected(wake.error());
        }
        if (*wake == Wake::Interrupted) {
            interrupted_ = true;
            return {};
        }
        const auto taken = take_frame();
        if (!taken) {
            return tl::unexpected(taken.error());
        }
        progress_.show(counters_.frames, counters_.lost);
    }
    return {};
}

Attempt<> StreamSession::choose_in_fence(QueuedBuffer& buffer, unsigned index) {
    buffer.in_fence = -1;
    buffer.own_in_fence.reset();
    const int chained = options_.in_fence.mode == InFenceMode::Chain && buffer.number >= plan_.depth
                            ? out_fences_.find(buffer.number - plan_.depth)
                            : -1;
    if (chained >= 0) {
        // A hold of our own: that frame may be back, and its fence closed, before this one.
        auto hold = sys::dup(chained);
        if (!hold) {
            return job_failed(
                fmt::format("an in-fence cannot be held: {}.", errno_text(hold.error().code)));
        }
        buffer.own_in_fence = std::move(*hold);
        // QBUF gets what QBUF has returned: by its number a trace knows whose fence it is.
        buffer.in_fence = chained;
    }
    if (timer_) {
        std::uniform_int_distribution<unsigned> delay(options_.timer.min_ms, options_.timer.max_ms);
        auto fence =
            timer_->arm(std::chrono::milliseconds(delay(random_)), {index, previous_index_});
        if (!fence) {
            return job_failed(fmt::format("no fence for frame {}: {}.", buffer.number,
                                          errno_text(fence.error().code)));
        }
        buffer.own_in_fence = std::move(*fence);
        buffer.in_fence = buffer.own_in_fence.get();
    }
    return {};
}

Attempt<> StreamSession::queue(unsigned index) {
    QueuedBuffer& buffer = buffers_[index];
    buffer.number = next_number_;
    buffer.out_seen_ns = 0;
    frame_checks_.prepare(index);
    if (auto chosen = choose_in_fence(buffer, index); !chosen) {
        return chosen;
    }
    IoctlBuffer argument(camera_.format(), pool_.memory(), index);
    pool_.attach(index, argument);
    const bool implicit_in = buffer.in_fence >= 0 && implicit_.takes_in_fences();
    if (implicit_in) {
        if (auto put = implicit_.put(index, buffer.in_fence); !put) {
            return put;
        }
    } else if (buffer.in_fence >= 0) {
        argument->flags |= V4L2_BUF_FLAG_IN_FENCE;
        v4l2_buffer_fence_fd(argument.get()) = buffer.in_fence;
    }
    if (options_.out_fence) {
        argument->flags |= V4L2_BUF_FLAG_OUT_FENCE;
    }
    if (const auto given = camera_.file().ioctl(VIDIOC_QBUF, argument.get()); !given) {
        const int code = given.error().code;
        if (code == -ENODEV || code == -EIO) {
            return lost_device(code);
        }
        return job_failed(fmt::format("buffer {} cannot be queued as frame {} (QBUF): {}.", index,
                                      buffer.number, errno_text(code)));
    }
    if (buffer.own_in_fence) {
        buffer.in_fence = buffer.own_in_fence.get();
    }
    ++next_number_;
    buffer.queued = true;
    previous_index_ = index;
    frame_checks_.queued(buffer.number);
    buffer.out_fence = -1;
    if (options_.out_fence) {
        buffer.out_fence = v4l2_buffer_fence_fd(argument.get());
        out_fences_.put(buffer.number, UniqueFd(buffer.out_fence));
    }
    const bool held =
        implicit_in ? implicit_.held(index) : (argument->flags & V4L2_BUF_FLAG_IN_FENCE) != 0;
    fence_checks_.after_qbuf(fences_of(buffer), held);
    implicit_.after_qbuf(index, buffer.number);
    return {};
}

Attempt<StreamSession::Wake> StreamSession::wait_for_frame() {
    poll_set_.assign(1, {interrupt_.fd(), POLLIN, 0});
    polled_.clear();
    bool fence_seen = false;
    for (unsigned index = 0; options_.out_fence && index < buffers_.size(); ++index) {
        const QueuedBuffer& buffer = buffers_[index];
        if (!buffer.queued || buffer.out_fence < 0) {
            continue;
        }
        // An ordered queue finishes its oldest buffer first, and one descriptor tells; but a buffer
        // whose in-fence failed may come back ahead of the others.
        if (camera_.fences().ordered && options_.in_fence.mode == InFenceMode::None &&
            buffer.number != frame_checks_.outstanding().front()) {
            continue;
        }
        fence_seen |= buffer.out_seen_ns != 0;
        poll_set_.push_back({buffer.out_fence, POLLIN, 0});
        polled_.push_back(index);
    }
    // A frame that was announced and did not come yet, or no fence to wait for: the device itself.
    const bool by_device = polled_.empty() || fence_seen;
    if (by_device) {
        polled_.clear();
        poll_set_.resize(1);
        poll_set_.push_back({camera_.file().fd(), POLLIN, 0});
    }
    const int timeout_ms = static_cast<int>(options_.timeout_s * 1000);
    const auto count = camera_.file().poll(poll_set_, timeout_ms);
    if (poll_set_.front().revents != 0 || (!count && count.error().code == -EINTR)) {
        return interrupt_.raised() ? Wake::Interrupted : Wake::Ready;
    }
    if (!count) {
        return job_failed(fmt::format("poll: {}.", errno_text(count.error().code)));
    }
    if (*count == 0) {
        return no_frame();
    }
    device_events_ = by_device ? poll_set_.back().revents : short{0};
    const std::int64_t seen_ns = now_ns();
    for (std::size_t entry = 0; entry < polled_.size(); ++entry) {
        if (poll_set_[entry + 1].revents != 0) {
            buffers_[polled_[entry]].out_seen_ns = seen_ns;
        }
    }
    return Wake::Ready;
}

Attempt<bool> StreamSession::take_frame() {
    IoctlBuffer argument(camera_.format(), pool_.memory());
    const auto taken = camera_.file().ioctl(VIDIOC_DQBUF, argument.get());
    if (!taken) {
        if (taken.error().code != -EAGAIN) {
            return lost_device(taken.error().code);
        }
        if ((std::exchange(device_events_, short{0}) & POLLERR) != 0) {
            return job_failed(
                "poll() reports an error of the device and DQBUF has nothing to say.");
        }
        return false;
    }
    const std::int64_t taken_ns = now_ns();
    const unsigned index = argument->index;
    if (index >= buffers_.size() || !buffers_[index].queued) {
        return job_failed(fmt::format("DQBUF returned buffer {}, which was not queued.", index));
    }
    QueuedBuffer& buffer = buffers_[index];
    buffer.queued = false;
    const bool error = (argument->flags & V4L2_BUF_FLAG_ERROR) != 0;
    note_latencies(buffer, error ? 0 : argument.timestamp_ns(), taken_ns);
    fence_checks_.check_cleared(buffer.number, argument->flags,
                                v4l2_buffer_fence_fd(argument.get()));
    fence_checks_.after_dqbuf(fences_of(buffer), error);
    implicit_.after_dqbuf(index, buffer.number);
    const TakenFrame frame{buffer.number,           index, argument->sequence,
                           argument.timestamp_ns(), error, argument.bytes_used(0),
                           argument.data_offsets()};
    frame_checks_.check(frame);
    first_frame_ns_ = first_frame_ns_ == 0 ? taken_ns : first_frame_ns_;
    last_frame_ns_ = taken_ns;
    note_footprint();
    if (counters_.frames == options_.frames) {
        save_picture(frame);
        return true;
    }
    if (auto queued = queue(index); !queued) {
        return tl::unexpected(queued.error());
    }
    return true;
}

void StreamSession::note_latencies(QueuedBuffer& buffer, std::int64_t timestamp_ns,
                                   std::int64_t taken_ns) {
    if (buffer.out_seen_ns == 0) {
        return;
    }
    out_fence_to_dqbuf_.add(taken_ns - buffer.out_seen_ns);
    if (timestamp_ns != 0) {
        capture_to_out_fence_.add(buffer.out_seen_ns - timestamp_ns);
    }
}

void StreamSession::note_footprint() {
    // Both at the same point of a frame's life, or the count of descriptors would differ.
    if (counters_.frames == warm_frames) {
        static_cast<void>(measure_footprint());  // measuring too has pages of its own
        warm_ = measure_footprint();
    }
    if (counters_.frames == options_.frames) {
        at_end_ = measure_footprint();
    }
}

void StreamSession::save_picture(const TakenFrame& frame) {
    if (!options_.save) {
        return;
    }
    pool_.begin_read(frame.index);
    const auto image = frame_checks_.view(frame);
    if (!image) {
        pool_.end_read(frame.index);
        save_failure_ = fmt::format(
            "--save: frames in {} cannot be made a picture. Choose another with --format, such as "
            "YUYV, NV12 or RGB3.",
            fourcc_text(camera_.format().fourcc));
        return;
    }
    const auto saved = save_png(*image, *options_.save);
    pool_.end_read(frame.index);
    if (!saved) {
        save_failure_ = saved.error().message;
    } else {
        saved_ = options_.save;
    }
}

void StreamSession::stop() {
    std::uint32_t type = camera_.format().type;
    // A device that went away refuses; its fences must have ended all the same.
    static_cast<void>(camera_.file().ioctl(VIDIOC_STREAMOFF, &type));
    for (QueuedBuffer& buffer : buffers_) {
        if (std::exchange(buffer.queued, false)) {
            fence_checks_.after_streamoff(fences_of(buffer));
        }
    }
    if (timer_) {
        timer_->stop();
    }
    promises_.forgive(PromiseId::NoErrors, options_.bad_frames_allowed);
    if (counters_.lost + counters_.errors + counters_.repeated <= options_.bad_frames_allowed) {
        promises_.forgive(PromiseId::NoneLost, options_.bad_frames_allowed);
        promises_.forgive(PromiseId::SequenceRises, counters_.repeated);
    }
    progress_.clear();
}

void StreamSession::collect(StreamResult& result) const {
    result.format = camera_.format();
    result.fences = camera_.fences();
    result.card = camera_.card();
    result.driver = camera_.driver();
    result.bus = camera_.bus();
    result.buffers = pool_.count();
    result.chain_depth = plan_.depth;
    result.counters = counters_;
    result.seconds = last_frame_ns_ == 0 ? 0 : double(last_frame_ns_ - started_ns_) / 1e9;
    if (counters_.frames > 1) {
        result.rate = double(counters_.frames - 1) * 1e9 / double(last_frame_ns_ - first_frame_ns_);
    }
    result.latencies = {given_probe_.samples().summary(), capture_to_out_fence_.summary(),
                        out_fence_to_dqbuf_.summary()};
    result.warm = warm_;
    result.at_end = at_end_;
    result.promises = promises_.made();
    result.all_held = promises_.all_held();
    result.any_broken = promises_.any_broken();
    result.interrupted = interrupted_;
    result.saved = saved_;
    v4lfence_expiry expiry{};
    if (options_.fenced() && v4lfence_last_expiry(camera_.file().fd(), &expiry) == 0) {
        result.counters.expired = expiry.count;
        result.last_expiry = expiry_text(expiry);
    }
}

tl::unexpected<Failure> StreamSession::lost_device(int code) const {
    if (code == -ENODEV) {
        return job_failed(
            fmt::format("{} went away in mid-stream, after {} frames. Was it unplugged?",
                        options_.device, counters_.frames));
    }
    return job_failed(fmt::format("{} failed in mid-stream, after {} frames: {}.", options_.device,
                                  counters_.frames, errno_text(code)));
}

std::string StreamSession::fences_left_text() const {
    const std::uint64_t ended = counters_.out_fences_ended + counters_.out_fences_cancelled;
    if (counters_.out_fences_made == 0) {
        return {};
    }
    return ended == counters_.out_fences_made
               ? fmt::format("\nAll {} out-fences have ended.", ended)
               : fmt::format("\n{} of {} out-fences are still pending.",
                             counters_.out_fences_made - ended, counters_.out_fences_made);
}

tl::unexpected<Failure> StreamSession::no_frame() const {
    return job_failed(fmt::format("no frame for {} s, after {} frames.\n{}", options_.timeout_s,
                                  counters_.frames,
                                  diagnose(camera_, pool_.memory(), buffers_, plan_.depth)));
}

}  // namespace v4lfence
