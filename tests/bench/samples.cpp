// SPDX-License-Identifier: MIT

#include "tests/bench/samples.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace v4lfence::bench {

std::int64_t now_ns() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

std::string json_list(const std::vector<std::int64_t>& values) {
    std::string text = "[";
    for (const std::int64_t value : values) {
        text += (text.size() > 1 ? "," : "") + std::to_string(value);
    }
    return text + "]";
}

void give_up(const char* what) {
    std::fprintf(stderr, "%s: %s\n", what, std::strerror(errno));
    std::exit(1);
}

int check(int value, const char* what) {
    if (value < 0) {
        give_up(what);
    }
    return value;
}

std::vector<PipeFence> make_pipe_fences(unsigned count) {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 2 * count + 1024);
    setrlimit(RLIMIT_NOFILE, &limit);
    std::vector<PipeFence> fences(count);
    for (PipeFence& fence : fences) {
        int ends[2];
        check(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), "pipe2");
        fence = {ends[0], ends[1]};
    }
    return fences;
}

}  // namespace v4lfence::bench
