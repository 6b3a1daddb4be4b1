// SPDX-License-Identifier: MIT
//
// Streams a number of frames and prints, as one JSON object, what the steady state cost:
// processor time, that of the process that started it, context switches, wake-ups of the reactor,
// allocations.
//
// For those who count system calls from outside there are four getppid(): before the file is
// opened, where the steady state begins, where it ends, after the file was closed. What ends an
// in-fence on behalf of somebody else is the only writev(). The processor's time is read outside of
// the second and the third.

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "tests/bench/capture.hpp"
#include "tests/bench/samples.hpp"
#include "tests/bench/wrong_calls.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence::bench {

namespace {

/// The chain's in-fence is the out-fence of so many frames ago.
constexpr unsigned chain = 2;

struct Mode {
    const char* name;
    bool library;
    bool fenced;  ///< The file, if not its frames.
    bool in;
    bool out;
};
constexpr std::array modes{
    Mode{"raw", false, false, false, false},  Mode{"none", true, false, false, false},
    Mode{"fenced", true, true, false, false}, Mode{"in", true, true, true, false},
    Mode{"out", true, true, false, true},     Mode{"both", true, true, true, true},
};

struct Options {
    const char* node = nullptr;
    Mode mode = modes[0];
    const char* provider = "user";
    unsigned frames = 100;
    unsigned warm_up = 20;
    bool polled = false;
    bool results = false;
    bool unseen = false;  ///< Without a trace board.
};

struct Usage {
    std::int64_t cpu_ns = 0;
    std::int64_t parent_cpu_ns = 0;
    std::int64_t switches = 0;
    std::uint64_t wakeups = 0;
    std::uint64_t allocations = 0;
};

constexpr std::uint64_t no_count = UINT64_MAX;

/// no_count where bench_allocs is not preloaded.
std::uint64_t allocations_so_far() {
    using Count = std::uint64_t (*)();
    static const Count count = reinterpret_cast<Count>(::dlsym(RTLD_DEFAULT, "bench_allocations"));
    return count != nullptr ? count() : no_count;
}

/// That a process has used; its own for 0.
std::int64_t cpu_ns_of(pid_t process) {
    clockid_t clock{};
    timespec cpu{};
    if (const int error = clock_getcpuclockid(process, &clock); error != 0) {
        errno = error;
        give_up("clock_getcpuclockid");
    }
    check(clock_gettime(clock, &cpu), "clock_gettime");
    return std::int64_t{cpu.tv_sec} * 1'000'000'000 + cpu.tv_nsec;
}

Usage usage(pid_t parent) {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    v4lfence_stats stats{};
    v4lfence_get_stats(&stats, sizeof stats);
    return {cpu_ns_of(0), cpu_ns_of(parent), used.ru_nvcsw, stats.wakeups, allocations_so_far()};
}

/// Frame after frame, each buffer queued again as soon as it is there.
class Stream {
public:
    explicit Stream(const Options& options)
        : options_(options), capture_(options.mode.library ? library_calls() : raw_calls(),
                                      options.node, options.polled ? O_NONBLOCK : 0) {
        if (options.mode.fenced) {
            check(v4lfence_set_provider(capture_.fd(), options.provider), options.provider);
        }
        if (options.mode.in && !options.mode.out) {
            in_fences_ = make_pipe_fences(make_count());
        }
        out_fences_.assign(make_count(), -1);
        frames_.reserve(make_count());
        pairs_ns_.reserve(make_count());
    }

    void begin() {
        capture_.request_buffers();
        for (unsigned index = 0; index < Capture::buffers; ++index) {
            queue(index);
        }
        capture_.start();
    }

    void run(unsigned frames) {
        for (unsigned frame = 0; frame < frames; ++frame) {
            const v4l2_buffer buffer = next();
            frames_.push_back(buffer);
            queue(buffer.index);
            if (options_.polled) {
                pairs_ns_.push_back(now_ns() - awake_ns_);
            }
        }
    }

    void end() { capture_.stop(); }

    /// Of a polled stream: how long DQBUF and QBUF took together, of each frame.
    const std::vector<std::int64_t>& pairs_ns() const { return pairs_ns_; }

    std::string wrong_calls() const { return json_of_wrong_calls(capture_); }

    const std::vector<v4l2_buffer>& frames() const { return frames_; }

private:
    unsigned make_count() const { return options_.frames + options_.warm_up + Capture::buffers; }

    v4l2_buffer next() {
        v4l2_buffer buffer{};
        if (!options_.polled) {
            buffer = capture_.dequeue();
        } else {
            do {
                capture_.wait();
                awake_ns_ = now_ns();
            } while (!capture_.try_dequeue(buffer));
        }
        if (options_.mode.out && !options_.mode.in) {
            ::close(out_fences_[frames_.size()]);
        }
        return buffer;
    }

    void queue(unsigned index) {
        const unsigned number = queued_++;
        if (!options_.mode.in && !options_.mode.out) {
            capture_.queue(index);
        } else if (!options_.mode.in) {
            out_fences_[number] = capture_.queue(index, V4L2_BUF_FLAG_OUT_FENCE);
        } else if (!options_.mode.out) {
            queue_held(index, number);
        } else {
            queue_chained(index, number);
        }
    }

    /// The in-fence of a buffer ends when the next one is queued: one is always held.
    void queue_held(unsigned index, unsigned number) {
        capture_.queue(index, V4L2_BUF_FLAG_IN_FENCE, in_fences_[number].read_end);
        if (number > 0) {
            char byte = 0;
            const iovec data{&byte, 1};
            (void)!::writev(in_fences_[number - 1].write_end, &data, 1);
        }
    }

    void queue_chained(unsigned index, unsigned number) {
        unsigned flags = V4L2_BUF_FLAG_OUT_FENCE;
        int before = -1;
        if (number >= chain) {
            flags |= V4L2_BUF_FLAG_IN_FENCE;
            before = out_fences_[number - chain];
        }
        out_fences_[number] = capture_.queue(index, flags, before);
        if (before >= 0) {
            ::close(before);
        }
    }

    const Options& options_;
    Capture capture_;
    unsigned queued_ = 0;
    std::vector<PipeFence> in_fences_;
    std::vector<int> out_fences_;
    std::vector<v4l2_buffer> frames_;
    std::int64_t awake_ns_ = 0;
    std::vector<std::int64_t> pairs_ns_;
};

std::string json_of(const std::vector<v4l2_buffer>& frames) {
    std::string text;
    for (const v4l2_buffer& buffer : frames) {
        text += (text.empty() ? "" : ", ") +
                json_list({buffer.index, buffer.flags, buffer.bytesused, buffer.length,
                           buffer.field, buffer.memory, buffer.m.offset, buffer.reserved2});
    }
    return "[" + text + "]";
}

/// 0 when there is none.
std::int64_t median(std::vector<std::int64_t> values) {
    if (values.empty()) {
        return 0;
    }
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

void print(const Options& options, const Usage& before, const Usage& after,
           const std::string& results) {
    const std::string allocations = after.allocations == no_count
                                        ? "null"
                                        : std::to_string(after.allocations - before.allocations);
    std::printf("{\"mode\": \"%s\", \"frames\": %u, \"cpu_ns\": %lld, "
                "\"parent_cpu_ns\": %lld, \"switches\": %lld, \"wakeups\": %llu, "
                "\"allocations\": %s%s}\n",
                options.mode.name, options.frames,
                static_cast<long long>(after.cpu_ns - before.cpu_ns),
                static_cast<long long>(after.parent_cpu_ns - before.parent_cpu_ns),
                static_cast<long long>(after.switches - before.switches),
                static_cast<unsigned long long>(after.wakeups - before.wakeups),
                allocations.c_str(), results.c_str());
}

void measure(const Options& options) {
    if (options.unseen) {
        check(v4lfence_use_board(0), "v4lfence_use_board");
    }
    Usage before;
    Usage after;
    std::string results;
    const pid_t parent = ::getppid();
    {
        Stream stream(options);
        stream.begin();
        stream.run(options.warm_up);
        before = usage(parent);
        ::getppid();
        stream.run(options.frames);
        ::getppid();
        after = usage(parent);
        stream.end();
        if (options.polled) {
            results = ", \"pair_ns\": " + std::to_string(median(stream.pairs_ns()));
        }
        if (options.results) {
            results += ", \"results\": " + json_of(stream.frames()) +
                       ", \"wrong_calls\": " + stream.wrong_calls();
        }
    }
    ::getppid();
    print(options, before, after, results);
}

Options parse(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        const bool has_value = i + 1 < argc;
        if (word == "--polled") {
            options.polled = true;
        } else if (word == "--results") {
            options.results = true;
        } else if (word == "--unseen") {
            options.unseen = true;
        } else if (word == "--provider" && has_value) {
            options.provider = argv[++i];
        } else if (word == "--frames" && has_value) {
            options.frames = static_cast<unsigned>(std::atoi(argv[++i]));
        } else if (word == "--mode" && has_value) {
            const std::string name = argv[++i];
            for (const Mode& mode : modes) {
                options.mode = name == mode.name ? mode : options.mode;
            }
        } else {
            options.node = argv[i];
        }
    }
    if (options.node == nullptr || options.frames == 0) {
        std::fprintf(stderr, "usage: bench_stream [--mode raw|none|fenced|in|out|both] [--polled]"
                             " [--provider NAME] [--frames N] [--results] [--unseen] NODE\n");
        std::exit(2);
    }
    return options;
}

}  // namespace

}  // namespace v4lfence::bench

int main(int argc, char** argv) {
    v4lfence::bench::measure(v4lfence::bench::parse(argc, argv));
    return 0;
}
