// SPDX-License-Identifier: MIT
//
// Moments, in ns of CLOCK_MONOTONIC, as one JSON object. Each job has two sides, ours and bare:
//
//   bench_wake reactor COUNT            both sides in turns: [ended, noticed] on another thread
//   bench_wake given ours|bare COUNT NODE   the end of each buffer's in-fence; the kernel's
//                                           tracepoint vb2_qbuf tells when it was given
//   bench_wake awake ours|bare COUNT NODE   who waits for a frame on something else than the file
//                                           wakes; vb2_buf_done tells when the driver was done

#include <fcntl.h>
#include <linux/videodev2.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/bench/capture.hpp"
#include "tests/bench/samples.hpp"
#include "v4lfence/base/time.hpp"
#include "v4lfence/fence/fence.hpp"
#include "v4lfence/fence/reactor.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence::bench {

namespace {

constexpr int wait_ms = 10'000;

/// A loop of its own on nothing but epoll. `Ready` is called on its thread.
template <class Ready>
class BareLoop {
public:
    explicit BareLoop(Ready ready) : ready_(ready) {
        epoll_event event{EPOLLIN, {.u64 = stop_number}};
        check(::epoll_ctl(epoll_, EPOLL_CTL_ADD, stop_, &event), "epoll_ctl");
        thread_ = std::thread([this] { run(); });
    }
    ~BareLoop() {
        const std::uint64_t one = 1;
        (void)!::write(stop_, &one, sizeof one);
        thread_.join();
        ::close(stop_);
        ::close(epoll_);
    }
    BareLoop(const BareLoop&) = delete;
    BareLoop& operator=(const BareLoop&) = delete;

    void add(int fd, std::uint64_t number) {
        epoll_event event{EPOLLIN | EPOLLET, {.u64 = number}};
        check(::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    }
    void remove(int fd) { ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr); }

private:
    static constexpr std::uint64_t stop_number = UINT64_MAX;

    void run() {
        std::array<epoll_event, 8> events;
        while (true) {
            const int count = ::epoll_wait(epoll_, events.data(), events.size(), -1);
            for (int i = 0; i < count; ++i) {
                const std::uint64_t number = events[static_cast<std::size_t>(i)].data.u64;
                if (number == stop_number) {
                    return;
                }
                ready_(number);
            }
        }
    }

    Ready ready_;
    int epoll_ = check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    int stop_ = check(::eventfd(0, EFD_CLOEXEC), "eventfd");
    std::thread thread_;
};

/// One fence's end, seen on another thread.
class Noticed {
public:
    void tell() {
        at_ns_.store(now_ns());
        at_ns_.notify_one();
    }
    std::int64_t wait() {
        at_ns_.wait(0);
        return at_ns_.exchange(0);
    }

private:
    std::atomic<std::int64_t> at_ns_{0};
};

/// As the bridge does it: the callback asks the fence how it ended.
class StatusListener final : public Reactor::Listener {
public:
    void expect(const Fence& fence) { fence_ = &fence; }
    std::int64_t wait() { return noticed_.wait(); }
    void on_ready(std::uint64_t /*cookie*/, std::uint32_t /*events*/) override {
        if (fence_.load()->status().ended()) {
            noticed_.tell();
        }
    }

private:
    std::atomic<const Fence*> fence_{nullptr};
    Noticed noticed_;
};

void end_pipe_fence(const PipeFence& fence) {
    check(static_cast<int>(::write(fence.write_end, "", 1)), "write");
}

void print_object(const std::string& body) {
    std::printf("{%s}\n", body.c_str());
}

// --- reactor -------------------------------------------------------------------------------------

/// The scheduler shall not put one side's thread beside the program's and the other's far away.
void stay_on_one_cpu() {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(check(::sched_getcpu(), "sched_getcpu")), &one);
    check(::sched_setaffinity(0, sizeof one, &one), "sched_setaffinity");
}

void measure_reactor(unsigned count) {
    stay_on_one_cpu();
    const SystemClock clock;
    auto reactor = Reactor::create(clock);
    if (!reactor->start_thread()) {
        give_up("reactor");
    }
    StatusListener listener;
    Noticed noticed;
    const auto tell = [&](std::uint64_t) { noticed.tell(); };
    BareLoop bare(tell);
    std::vector<std::int64_t> ours_ns;
    std::vector<std::int64_t> bare_ns;
    for (unsigned i = 0; i < count; ++i) {
        const std::vector<PipeFence> pipes = make_pipe_fences(2);
        const Fence fence = Fence::adopt(UniqueFd(pipes[0].read_end), FenceKind::Stream);
        listener.expect(fence);
        const auto watch = reactor->watch(fence.fd(), EPOLLIN | EPOLLET, listener, i);
        if (!watch) {
            give_up("watch");
        }
        std::int64_t ended_at = now_ns();
        end_pipe_fence(pipes[0]);
        ours_ns.push_back(listener.wait() - ended_at);
        reactor->unwatch(*watch);

        bare.add(pipes[1].read_end, i);
        ended_at = now_ns();
        end_pipe_fence(pipes[1]);
        bare_ns.push_back(noticed.wait() - ended_at);
        bare.remove(pipes[1].read_end);
        ::close(pipes[0].write_end);
        ::close(pipes[1].read_end);
        ::close(pipes[1].write_end);
    }
    reactor->stop_thread();
    print_object("\"ours\": " + json_list(ours_ns) + ", \"bare\": " + json_list(bare_ns));
}

// --- given ---------------------------------------------------------------------------------------

/// `hold` queues the buffer behind the fence; then the fence ends.
template <class Hold>
void measure_given(Capture& capture, unsigned count, Hold hold) {
    const std::vector<PipeFence> fences = make_pipe_fences(count);
    std::vector<std::int64_t> ended_ns;
    for (unsigned i = 0; i < count; ++i) {
        const v4l2_buffer buffer = capture.dequeue();
        hold(buffer.index, fences[i]);
        ended_ns.push_back(now_ns());
        end_pipe_fence(fences[i]);
    }
    // The last ones are given before anything goes.
    for (unsigned left = 0; left < Capture::buffers; ++left) {
        capture.dequeue();
    }
    print_object("\"at\": " + json_list(ended_ns));
}

void measure_given(bool ours, unsigned count, const char* node) {
    Capture capture(ours ? library_calls() : raw_calls(), node, 0);
    capture.request_buffers();
    for (unsigned index = 0; index < Capture::buffers; ++index) {
        capture.queue(index);
    }
    capture.start();
    if (ours) {
        measure_given(capture, count, [&](unsigned index, const PipeFence& fence) {
            capture.queue(index, V4L2_BUF_FLAG_IN_FENCE, fence.read_end);
        });
    } else {
        std::array<int, Capture::buffers> waiting{};
        const auto give = [&](std::uint64_t index) { capture.queue(static_cast<unsigned>(index)); };
        BareLoop loop(give);
        measure_given(capture, count, [&](unsigned index, const PipeFence& fence) {
            if (const int before = std::exchange(waiting[index], fence.read_end)) {
                loop.remove(before);
            }
            loop.add(fence.read_end, index);
        });
    }
    capture.stop();
}

// --- awake ---------------------------------------------------------------------------------------

/// The moment of waking for each frame; 0 for one that came while its forerunner was looked after.
template <class Wait, class Again>
void measure_awake(Capture& capture, unsigned count, Wait wait, Again again) {
    std::vector<std::int64_t> awake_ns;
    while (awake_ns.size() < count) {
        wait(awake_ns.size());
        std::int64_t at = now_ns();
        v4l2_buffer buffer{};
        while (capture.try_dequeue(buffer)) {
            awake_ns.push_back(std::exchange(at, 0));
            again(buffer.index);
        }
    }
    awake_ns.resize(count);
    print_object("\"at\": " + json_list(awake_ns));
}

void wait_readable(int fd) {
    pollfd entry{fd, POLLIN, 0};
    if (check(::poll(&entry, 1, wait_ms), "poll") == 0) {
        errno = ETIME;
        give_up("a frame");
    }
}

void measure_awake_ours(unsigned count, const char* node, const char* provider) {
    Capture capture(library_calls(), node, O_NONBLOCK);
    check(v4lfence_set_provider(capture.fd(), provider), provider);
    capture.request_buffers();
    std::vector<int> fences;
    fences.reserve(count + 2 * Capture::buffers);
    const auto again = [&](unsigned index) {
        fences.push_back(capture.queue(index, V4L2_BUF_FLAG_OUT_FENCE));
    };
    for (unsigned index = 0; index < Capture::buffers; ++index) {
        again(index);
    }
    capture.start();
    unsigned closed = 0;
    const auto wait = [&](std::size_t frame) {
        while (closed < frame) {
            ::close(fences[closed++]);
        }
        wait_readable(fences[frame]);
    };
    measure_awake(capture, count, wait, again);
    capture.stop();
}

void measure_awake_bare(unsigned count, const char* node) {
    Capture capture(raw_calls(), node, O_NONBLOCK);
    capture.request_buffers();
    for (unsigned index = 0; index < Capture::buffers; ++index) {
        capture.queue(index);
    }
    capture.start();
    const PipeFence pipe = make_pipe_fences(1)[0];
    const auto tell = [&](std::uint64_t) { end_pipe_fence(pipe); };
    BareLoop loop(tell);
    loop.add(capture.fd(), 0);
    const auto wait = [&](std::size_t) {
        wait_readable(pipe.read_end);
        char bytes[16];
        (void)!::read(pipe.read_end, bytes, sizeof bytes);
    };
    measure_awake(capture, count, wait, [&](unsigned index) { capture.queue(index); });
    loop.remove(capture.fd());
    capture.stop();
}

int run(const std::vector<std::string>& words) {
    const std::string job = words.empty() ? "" : words[0];
    if (job == "reactor" && words.size() == 2) {
        measure_reactor(static_cast<unsigned>(std::atoi(words[1].c_str())));
        return 0;
    }
    if (words.size() < 4 || (words[1] != "ours" && words[1] != "bare")) {
        std::fprintf(stderr, "usage: bench_wake reactor COUNT\n"
                             "       bench_wake given|awake ours|bare COUNT NODE [PROVIDER]\n");
        return 2;
    }
    const bool ours = words[1] == "ours";
    const auto count = static_cast<unsigned>(std::atoi(words[2].c_str()));
    const char* const node = words[3].c_str();
    if (job == "given") {
        measure_given(ours, count, node);
    } else if (ours) {
        measure_awake_ours(count, node, words.size() > 4 ? words[4].c_str() : "user");
    } else {
        measure_awake_bare(count, node);
    }
    return 0;
}

}  // namespace

}  // namespace v4lfence::bench

int main(int argc, char** argv) {
    return v4lfence::bench::run({argv + 1, argv + argc});
}
