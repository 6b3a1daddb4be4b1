// SPDX-License-Identifier: MIT
//
// One fence from mint to close, each provider beside the bare calls of its kind. Names are
// ours/PROVIDER and bare/PROVIDER; a provider that the machine lacks has no entry.

#include <benchmark/benchmark.h>

#include <string>
#include <utility>

#include "tests/bench/bare_fence.hpp"
#include "v4lfence/fence/fence.hpp"
#include "v4lfence/fence/provider.hpp"

namespace v4lfence::bench {

namespace {

void ours(benchmark::State& state, FenceProvider& provider, FenceKind kind) {
    const auto context = provider.open_context();
    if (!context || !(*context)->begin_generation(true)) {
        state.SkipWithError("no context");
        return;
    }
    for (auto iteration : state) {
        static_cast<void>(iteration);
        auto minted = (*context)->mint(0);
        if (!minted) {
            state.SkipWithError("mint");
            return;
        }
        const Fence held = Fence::adopt(std::move(minted->fd), kind);
        std::move(minted->promise).end(0);
        if (held.status().state != FenceState::Signaled) {
            state.SkipWithError("it did not end well");
            return;
        }
    }
}

template <class Life>
void bare(benchmark::State& state, Life life) {
    for (auto iteration : state) {
        static_cast<void>(iteration);
        if (!life()) {
            state.SkipWithError("a bare call failed");
            return;
        }
    }
}

template <class Life>
void add_pair(const std::string& name, FenceKind kind, Life life) {
    auto probed = probe_provider(name);
    if (!probed || !probed->provider) {
        return;
    }
    // It lives as long as the process, as in a program.
    FenceProvider* const provider = probed->provider.release();
    benchmark::RegisterBenchmark(
        ("ours/" + name).c_str(),
        [provider, kind](benchmark::State& state) { ours(state, *provider, kind); });
    benchmark::RegisterBenchmark(("bare/" + name).c_str(),
                                 [life](benchmark::State& state) { bare(state, life); });
}

}  // namespace

}  // namespace v4lfence::bench

int main(int argc, char** argv) {
    using namespace v4lfence;
    using namespace v4lfence::bench;
    benchmark::Initialize(&argc, argv);
    add_pair("user", FenceKind::Stream, bare_pipe_life);
    add_pair("eventfd", FenceKind::EventFd, bare_eventfd_life);
    static auto vgem = BareVgem::open();
    if (vgem) {
        add_pair("vgem", FenceKind::SyncFile, [] { return vgem->life(); });
    }
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
