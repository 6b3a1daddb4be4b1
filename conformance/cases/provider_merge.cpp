// SPDX-License-Identifier: MIT
//
// The contract of fences: merging out-fences, by the kernel where they are sync_files, else by the
// library; and what SYNC_IOC_FILE_INFO says of sync_files.

#include <linux/sync_file.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "conformance/cases/cases.hpp"
#include "conformance/held.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

/// Two stages of one stream: buffer 0 waits for the first fence, `second` for the other one.
struct TwoStages {
    Stream stream;
    TestFence gate;
    TestFence second_gate;
    unsigned second = 0;

    int first_out() const { return stream.out_fence(0); }
    int second_out() const { return stream.out_fence(second); }
};

Checked<TwoStages> two_stages(Rig& rig, bool failing = false) {
    Stream stream = TRY(Stream::open(rig));
    TestFence gate = failing ? TRY(rig.failing_fence()) : TRY(rig.fence());
    // Whatever the driver keeps lies between the two.
    TwoStages stages{std::move(stream), std::move(gate), TRY(rig.fence()), rig.facts().needed()};
    for (unsigned index = 0; index < stages.stream.count(); ++index) {
        Fences fences;
        if (index == 0) {
            fences = {.in = stages.gate.fd.get(), .out = true};
        } else if (index == stages.second) {
            fences = {.in = stages.second_gate.fd.get(), .out = true};
        }
        TRY(stages.stream.queue(index, fences));
    }
    TRY(stages.stream.start());
    return stages;
}

Checked<> can_merge(const Rig& rig) {
    if (!rig.answers_as_sync_files() && rig.calls().merge == nullptr) {
        return skipped("nobody here merges out-fences that are no sync_files");
    }
    return {};
}

Checked<UniqueFd> merged(const Rig& rig, int first, int second) {
    if (rig.answers_as_sync_files()) {
        return TRY(merge_sync_files("conform", first, second));
    }
    TRY(can_merge(rig));
    const int both = rig.calls().merge("conform", first, second);
    CHECK(both >= 0, "merging two out-fences: {}", errno_name(errno));
    return UniqueFd(both);
}

/// The merge ends with the second stage and not before; `inputs` of it are the caller's to close.
Checked<> ends_with_second(TwoStages& stages, int both) {
    const UniqueFd first = TRY(sys::dup(stages.first_out()));
    const UniqueFd second = TRY(sys::dup(stages.second_out()));
    TRY(fence_is_pending(both, "a merge of two pending out-fences"));
    stages.gate.end();
    TRY(fence_ends(first.get(), "the first out-fence"));
    TRY(stays_pending(both, "a merge of an ended and a pending out-fence"));
    stages.second_gate.end();
    TRY(fence_ends(second.get(), "the second out-fence"));
    const FenceStatus status = TRY(fence_ends(both, "a merge of two ended out-fences"));
    CHECK(status.state == FenceState::Signaled, "a merge of good fences ended with {}",
          errno_name(status.error));
    return stages.stream.stop();
}

Checked<> ends_with_later(Rig& rig) {
    for (const bool swapped : {false, true}) {
        TwoStages stages = TRY(two_stages(rig));
        const int first = swapped ? stages.second_out() : stages.first_out();
        const int second = swapped ? stages.first_out() : stages.second_out();
        const UniqueFd both = TRY(merged(rig, first, second));
        CHECK(TRY(is_close_on_exec(both.get())), "a merge is not close-on-exec");
        TRY(ends_with_second(stages, both.get()));
    }
    return {};
}

Checked<> inputs_may_go(Rig& rig) {
    TwoStages stages = TRY(two_stages(rig));
    const UniqueFd first = TRY(sys::dup(stages.first_out()));
    const UniqueFd second = TRY(sys::dup(stages.second_out()));
    UniqueFd copy_of_first = TRY(sys::dup(stages.first_out()));
    UniqueFd copy_of_second = TRY(sys::dup(stages.second_out()));
    const UniqueFd both = TRY(merged(rig, copy_of_first.get(), copy_of_second.get()));
    copy_of_first.reset();
    copy_of_second.reset();
    return ends_with_second(stages, both.get());
}

Checked<unsigned> fences_inside(int sync_file) {
    sync_file_info info{};
    TRY(sys::ioctl_retry(sync_file, SYNC_IOC_FILE_INFO, &info));
    return info.num_fences;
}

Checked<> with_itself(Rig& rig) {
    TwoStages stages = TRY(two_stages(rig));
    const UniqueFd both = TRY(merged(rig, stages.second_out(), stages.second_out()));
    if (rig.answers_as_sync_files()) {
        CHECK(TRY(fences_inside(both.get())) == 1, "a merge of one fence with itself has {}",
              TRY(fences_inside(both.get())));
    }
    return ends_with_second(stages, both.get());
}

Checked<> of_merges(Rig& rig) {
    TwoStages stages = TRY(two_stages(rig));
    const UniqueFd one = TRY(merged(rig, stages.first_out(), stages.second_out()));
    const UniqueFd other = TRY(merged(rig, stages.second_out(), stages.first_out()));
    const UniqueFd all = TRY(merged(rig, one.get(), other.get()));
    if (rig.answers_as_sync_files()) {
        const unsigned inside = TRY(fences_inside(all.get()));
        // One timeline needs its last fence alone.
        CHECK(inside == 1 || inside == 2, "a merge of two fences, twice, has {}", inside);
    }
    return ends_with_second(stages, all.get());
}

Checked<> of_ended(Rig& rig) {
    TwoStages stages = TRY(two_stages(rig));
    stages.gate.end();
    stages.second_gate.end();
    TRY(fence_ends(stages.first_out(), "the first out-fence"));
    TRY(fence_ends(stages.second_out(), "the second out-fence"));
    TRY(merged(rig, stages.first_out(), stages.second_out()));
    const std::size_t descriptors = open_descriptors();
    for (unsigned time = 0; time < 100; ++time) {
        const UniqueFd both = TRY(merged(rig, stages.first_out(), stages.second_out()));
        const FenceStatus status = TRY(fence_ends(both.get(), "a merge of two ended fences"));
        CHECK(status.state == FenceState::Signaled, "a merge of good fences ended with {}",
              errno_name(status.error));
    }
    TRY(eventually([&]() -> Checked<bool> { return open_descriptors() <= descriptors; },
                   "the descriptors of 100 merges to be closed"));
    return stages.stream.stop();
}

/// One merge of every out-fence that the queue can have.
Checked<> of_all(Rig& rig) {
    TRY(can_merge(rig));
    const unsigned count = std::min(rig.facts().buffers_max, 32U);
    HeldStream held = TRY(hold_first(rig, {.stream = {.count = count}, .rest_out = true}));
    const unsigned due = count - rig.facts().keeps;
    UniqueFd all = TRY(sys::dup(held.stream.out_fence(due - 1)));
    for (unsigned index = due - 1; index-- > 0;) {
        all = TRY(merged(rig, all.get(), held.stream.out_fence(index)));
    }
    TRY(stays_pending(all.get(), "a merge of every out-fence"));
    held.fence.end();
    TRY(fence_ends(all.get(), "a merge of every out-fence"));
    for (unsigned index = 0; index < due; ++index) {
        const FenceStatus status = TRY(fence_status(held.stream.out_fence(index)));
        CHECK(status.ended(), "a merge ended before out-fence {} of it", index);
    }
    return held.stream.stop();
}

Checked<> across_streams(Rig& rig) {
    HeldStream held = TRY(hold_first(rig));
    TRY(release_first(held));
    const UniqueFd before = held.stream.take_out_fence(0);
    TRY(held.stream.stop());
    TestFence gate = TRY(rig.fence());
    TRY(held.stream.queue(0, {.in = gate.fd.get(), .out = true}));
    TRY(held.stream.queue_rest(1));
    const UniqueFd both = TRY(merged(rig, before.get(), held.stream.out_fence(0)));
    TRY(held.stream.start());
    TRY(stays_pending(both.get(), "a merge of fences of two streams, one of them pending,"));
    gate.end();
    TRY(fence_ends(held.stream.out_fence(0), "the out-fence of the second stream"));
    TRY(fence_ends(both.get(), "a merge of fences of two streams"));
    return held.stream.stop();
}

Checked<> carries_error(Rig& rig) {
    if (!rig.facts().errors()) {
        return skipped("these out-fences carry no errors");
    }
    TwoStages stages = TRY(two_stages(rig, true));
    const UniqueFd both = TRY(merged(rig, stages.first_out(), stages.second_out()));
    TRY(fence_is_pending(both.get(), "a merge of two pending out-fences"));
    stages.gate.end(-EPROTO);
    stages.second_gate.end();
    TRY(fence_ends(stages.second_out(), "the second out-fence"));
    const FenceStatus status = TRY(fence_ends(both.get(), "a merge with a fence that failed"));
    CHECK(status.state == FenceState::Failed, "a merge with a fence that failed ended well");
    return stages.stream.stop();
}

Checked<> of_no_fence(Rig& rig) {
    TRY(can_merge(rig));
    TwoStages stages = TRY(two_stages(rig));
    const int fence = stages.first_out();
    const UniqueFd null = TRY(sys::open("/dev/null", O_RDWR));
    const UniqueFd file = TRY(sys::open("/proc/self/exe", O_RDONLY));
    const std::size_t descriptors = open_descriptors();
    for (const int wrong : {-1, 999999, null.get(), file.get(), stages.stream.device().fd()}) {
        for (const bool swapped : {false, true}) {
            const int first = swapped ? wrong : fence;
            const int second = swapped ? fence : wrong;
            const bool accepted = rig.answers_as_sync_files()
                                      ? merge_sync_files("conform", first, second).has_value()
                                      : rig.calls().merge("conform", first, second) >= 0;
            CHECK(!accepted, "descriptors {} and {} were merged, one of which is no fence", first,
                  second);
        }
    }
    TRY(eventually([&]() -> Checked<bool> { return open_descriptors() <= descriptors; },
                   "the descriptors of refused merges to be closed"));
    TRY(fence_is_pending(fence, "an out-fence that could not be merged"));
    stages.gate.end();
    TRY(fence_ends(fence, "an out-fence that could not be merged"));
    return stages.stream.stop();
}

Checked<> wants_sync_files(const Rig& rig) {
    if (!rig.answers_as_sync_files()) {
        return skipped("these out-fences are no sync_files");
    }
    return {};
}

/// What a kernel's sync_file has and a pipe or an eventfd, answering in its place, has no room for.
Checked<> wants_kernel_fences(Rig& rig) {
    if (!rig.facts().kernel_waitable()) {
        return skipped("these out-fences have no room for a name or the time of their end");
    }
    return {};
}

Checked<> name_is_kept(Rig& rig) {
    TRY(wants_kernel_fences(rig));
    TwoStages stages = TRY(two_stages(rig));
    constexpr std::string_view name = "a name of thirty-one characters";
    static_assert(name.size() == 31);
    const UniqueFd both = TRY(merge_sync_files(name, stages.first_out(), stages.second_out()));
    sync_file_info info{};
    TRY(sys::ioctl_retry(both.get(), SYNC_IOC_FILE_INFO, &info));
    CHECK(name == std::string_view(info.name, ::strnlen(info.name, sizeof(info.name))),
          "the merge is called {}", info.name);
    return stages.stream.stop();
}

Checked<> info_is_checked(Rig& rig) {
    TRY(wants_sync_files(rig));
    TwoStages stages = TRY(two_stages(rig));
    // An array of two, or the later of one timeline.
    const UniqueFd both = TRY(merged(rig, stages.first_out(), stages.second_out()));
    std::array<sync_fence_info, 2> inside{};
    const auto ask = [&](unsigned room, unsigned flags) {
        sync_file_info info{};
        info.num_fences = room;
        info.flags = flags;
        info.sync_fence_info = room > 0 ? reinterpret_cast<std::uintptr_t>(inside.data()) : 0;
        const auto answer = sys::ioctl_retry(both.get(), SYNC_IOC_FILE_INFO, &info);
        return answer ? static_cast<int>(info.num_fences) : answer.error().code;
    };
    const int count = ask(0, 0);
    CHECK(count == 1 || count == 2, "SYNC_IOC_FILE_INFO without room answered {}", count);
    TRY(answers(ask(0, 1), EINVAL, "SYNC_IOC_FILE_INFO with a flag"));
    if (count == 2) {
        TRY(answers(ask(1, 0), EINVAL, "SYNC_IOC_FILE_INFO with too little room"));
    }
    CHECK(ask(2, 0) == count, "SYNC_IOC_FILE_INFO with room answered otherwise");
    for (int fence = 0; fence < count; ++fence) {
        CHECK(inside[static_cast<unsigned>(fence)].status == 0,
              "fence {} of a pending merge has "
              "status {}",
              fence, inside[static_cast<unsigned>(fence)].status);
    }
    return stages.stream.stop();
}

Checked<> end_time_is_told(Rig& rig) {
    TRY(wants_kernel_fences(rig));
    HeldStream held = TRY(hold_first(rig));
    const std::int64_t before_ns = to_ns(SystemClock().now());
    TRY(release_first(held));
    const std::int64_t after_ns = to_ns(SystemClock().now());
    const FenceStatus status = TRY(fence_status(held.stream.out_fence(0)));
    CHECK(status.ended_at.has_value(), "the out-fence does not say when it ended");
    const std::int64_t ended_ns = to_ns(*status.ended_at);
    CHECK(ended_ns >= before_ns && ended_ns <= after_ns,
          "the out-fence says it ended at {} ns, which was between {} and {}", ended_ns, before_ns,
          after_ns);
    return held.stream.stop();
}

constexpr Case cases[] = {
    {"provider@merge-ends-with-later", "4.7", "#68 M04 M06 M08", "A merge ends with the later",
     ends_with_later},
    {"provider@merge-inputs-may-go", "4.7", "M12", "Nobody has to keep what was merged",
     inputs_may_go},
    {"provider@merge-with-itself", "4.7", "M07", "A merge of a fence with itself ends with it",
     with_itself},
    {"provider@merge-of-merges", "4.7", "M05", "Merges may be merged", of_merges},
    {"provider@merge-of-all", "4.7", "M08 M11", "All that a queue can have may be one merge",
     of_all},
    {"provider@merge-of-ended", "4.7", "M10", "A merge of ended fences has ended", of_ended},
    {"provider@merge-across-streams", "4.7", "#122", "Fences of two streams may be merged",
     across_streams},
    {"provider@merge-carries-error", "4.7, 5.1", "M13",
     "A merge fails where one of its fences does", carries_error},
    {"provider@merge-no-fence-refused", "4.7", "M09", "What is no fence is not merged",
     of_no_fence},
    {"provider@merge-keeps-name", "4.7", "M15", "A merge has the name it was given", name_is_kept},
    {"provider@file-info-checked", "4.7", "M16", "SYNC_IOC_FILE_INFO checks its argument",
     info_is_checked},
    {"provider@file-info-end-time", "4.8", "", "And says when the fence ended", end_time_is_told},
};

}  // namespace

std::span<const Case> provider_merge_cases() {
    return cases;
}

}  // namespace v4lfence
