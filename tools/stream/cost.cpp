// SPDX-License-Identifier: MIT

#include "tools/stream/cost.hpp"

namespace v4lfence {

namespace {

rusage usage_now() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage;
}

v4lfence_stats stats_now() {
    v4lfence_stats stats{};
    v4lfence_get_stats(&stats, sizeof(stats));
    return stats;
}

double ms_between(const timeval& first, const timeval& last) {
    return double(last.tv_sec - first.tv_sec) * 1e3 + double(last.tv_usec - first.tv_usec) / 1e3;
}

}  // namespace

CostMeter::CostMeter() : usage_(usage_now()), stats_(stats_now()) {}

StreamCost CostMeter::spent() const {
    const rusage usage = usage_now();
    return {ms_between(usage_.ru_utime, usage.ru_utime),
            ms_between(usage_.ru_stime, usage.ru_stime), usage.ru_nvcsw - usage_.ru_nvcsw,
            usage.ru_nivcsw - usage_.ru_nivcsw, stats_now().wakeups - stats_.wakeups};
}

}  // namespace v4lfence
