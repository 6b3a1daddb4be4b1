// SPDX-License-Identifier: MIT
//
// Fences that never end: deadlines of in-fences, the bound of kernel-waitable out-fences.

#include <linux/sync_file.h>

#include <cstring>
#include <optional>
#include <set>
#include <string>

#include "conformance/cases/cases.hpp"
#include "conformance/stream.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

Checked<> set_deadline(const Rig& rig, Stream& stream, unsigned ms) {
    if (rig.calls().set_deadline == nullptr) {
        return skipped("this way to the device has no deadlines");
    }
    CHECK(rig.calls().set_deadline(stream.device().fd(), ms) == 0, "setting a deadline: {}",
          errno_name(errno));
    return {};
}

Checked<ExpiryReport> last_expiry(const Rig& rig, Stream& stream) {
    if (rig.calls().last_expiry == nullptr) {
        return skipped("this way to the device has no reports of expiry");
    }
    ExpiryReport report;
    CHECK(rig.calls().last_expiry(stream.device().fd(), &report) == 0, "the last expiry: {}",
          errno_name(errno));
    return report;
}

constexpr unsigned short_deadline_ms = 300;

Checked<> expired_fails(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(set_deadline(rig, stream, short_deadline_ms));
    TestFence fence = TRY(rig.fence());
    stream.paint_buffer(0);
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    TRY(stream.queue_rest(1, true));
    TRY(stream.start());
    TRY(stream.dequeue_bad(0));
    CHECK(stream.changed_bytes(0) == 0, "the device wrote to a buffer whose deadline had passed");
    TRY(stream.out_fence_failed(0, ETIME, 0));
    TRY(stream.dequeue_good(1));
    fence.end();
    const BufferView view = TRY(stream.look(0));
    CHECK(!view.queued() && !view.done(), "a late end of the fence changed flags to {:#x}",
          view.flags);
    return stream.stop();
}

struct FenceNames {
    std::string driver;
    std::string timeline;
};

/// What the kernel calls a pending fence, or nothing where it is no sync_file.
Checked<std::optional<FenceNames>> names_of(const TestFence& fence) {
    sync_fence_info inside{};
    sync_file_info info{};
    info.num_fences = 1;
    info.sync_fence_info = reinterpret_cast<std::uintptr_t>(&inside);
    if (!sys::ioctl_retry(fence.fd.get(), SYNC_IOC_FILE_INFO, &info)) {
        return std::nullopt;
    }
    CHECK(info.num_fences == 1, "a fresh sync_file has {} fences", info.num_fences);
    const auto text = [](const auto& name) {
        return std::string(name, ::strnlen(name, sizeof(name)));
    };
    return FenceNames{text(inside.driver_name), text(inside.obj_name)};
}

Checked<> expiry_is_reported(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    CHECK(TRY(last_expiry(rig, stream)).count == 0, "an expiry is reported before there was one");
    TRY(set_deadline(rig, stream, short_deadline_ms));
    TestFence fence = TRY(rig.fence());
    const std::optional<FenceNames> names = TRY(names_of(fence));
    TRY(stream.queue(2, {.in = fence.fd.get(), .out = true}));
    TRY(stream.start());
    TRY(stream.dequeue_bad(2));
    const ExpiryReport report = TRY(last_expiry(rig, stream));
    CHECK(report.count == 1 && report.index == 2 && report.type == rig.facts().type &&
              report.error == -ETIME && !report.bound,
          "the report says count {}, index {}, type {}, {}, bound {}", report.count, report.index,
          report.type, errno_name(report.error), report.bound);
    const std::int64_t waited_ns = report.expired_at_ns - report.queued_at_ns;
    CHECK(waited_ns >= std::int64_t{short_deadline_ms} * 1'000'000,
          "the report says the fence was given up on after {} ns", waited_ns);
    CHECK(!names ||
              (report.driver_name == names->driver && report.timeline_name == names->timeline),
          "the report names the fence {}, {}, the kernel {}, {}", report.driver_name,
          report.timeline_name, names->driver, names->timeline);
    CHECK(!report.driver_name.empty(), "the report does not name the fence");
    return stream.stop();
}

Checked<> counts_before_streamon(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(set_deadline(rig, stream, short_deadline_ms));
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    TRY(stream.queue_rest(1, true));
    TRY(eventually([&]() -> Checked<bool> { return TRY(last_expiry(rig, stream)).count == 1; },
                   "the deadline to pass before STREAMON"));
    TRY(answers(stream.try_dequeue(), EINVAL, "DQBUF before STREAMON"));
    TRY(stream.start());
    TRY(stream.dequeue_bad(0));
    TRY(stream.dequeue_good(1));
    return stream.stop();
}

Checked<> in_time_is_good(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    constexpr unsigned long_deadline_ms = 60000;
    TRY(set_deadline(rig, stream, long_deadline_ms));
    v4l2_query_fences fences = rig.query();
    TRY(answers(stream.device().ioctl(VIDIOC_QUERY_FENCES, &fences), 0, "QUERY_FENCES"));
    CHECK(fences.deadline_ms == long_deadline_ms, "the query says a deadline of {} ms",
          fences.deadline_ms);
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    TRY(stream.queue_rest(1));
    TRY(stream.start());
    TRY(stream.nothing_to_dequeue());
    fence.end();
    TRY(stream.dequeue_good(0));
    TRY(set_deadline(rig, stream, 0));
    return stream.stop();
}

Checked<> waits_by_default(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.failing_fence());
    TRY(stream.queue(0, {.in = fence.fd.get()}));
    TRY(stream.queue_rest(1));
    TRY(stream.start());
    // Longer than the bound of any provider.
    constexpr int long_wait_ms = 12000;
    const int revents = stream.device().poll(POLLIN, long_wait_ms);
    CHECK(revents == 0, "poll says {:#x} in {} ms, expected nothing", revents, long_wait_ms);
    TRY(stream.is_held(0));
    fence.end();
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> streamon_after_bound(Rig& rig) {
    if (rig.facts().bound_ms == 0) {
        return skipped("these out-fences have no bound");
    }
    Stream stream = TRY(Stream::open(rig));
    TestFence fence = TRY(rig.failing_fence());
    TRY(stream.queue(0, {.out = true}));
    TRY(stream.queue(1, {.in = fence.fd.get(), .out = true}));
    TRY(fence_is_pending(stream.out_fence(0), "a fresh out-fence"));
    constexpr int later_ms = 12000;
    pause_ms(later_ms);
    for (unsigned index = 0; index < 2; ++index) {
        CHECK(TRY(fence_status(stream.out_fence(index))).ended(),
              "out-fence {} is pending after {} ms, the bound is {} ms", index, later_ms,
              rig.facts().bound_ms);
    }
    for (unsigned index = 2; index < stream.count(); ++index) {
        TRY(stream.queue(index));
    }
    TRY(stream.start());
    std::set<unsigned> came;
    for (unsigned frame = 0; frame < 2; ++frame) {
        const Frame late = TRY(stream.dequeue());
        CHECK(late.index < 2 && late.failed(),
              "buffer {} came with flags {:#x}, expected the first two with ERROR", late.index,
              late.flags);
        came.insert(late.index);
    }
    CHECK(came.size() == 2, "one buffer came twice");
    v4l2_query_fences fences = rig.query();
    TRY(answers(stream.device().ioctl(VIDIOC_QUERY_FENCES, &fences), 0, "QUERY_FENCES"));
    CHECK((fences.features & V4L2_FENCES_KERNEL_WAITABLE) == 0,
          "after the bound the query still says kernel-waitable ({})", fences.provider);
    TRY(stream.queue(0, {.out = true}));
    sync_file_info info{};
    CHECK(rig.calls().preloaded ||
              !sys::ioctl_retry(stream.out_fence(0), SYNC_IOC_FILE_INFO, &info),
          "the generation goes on with sync_files, expected user-space fences");
    TRY(stream.stop());
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

constexpr Case cases[] = {
    {"deadline@expired-fails", "5.6", "", "After its deadline an in-fence counts as failed",
     expired_fails},
    {"deadline@expiry-reported", "5.6", "", "The report names buffer, time and fence",
     expiry_is_reported},
    {"deadline@before-streamon-counts", "5.6", "", "It counts from QBUF, before STREAMON too",
     counts_before_streamon},
    {"deadline@in-time-good", "5.6", "", "A fence that ends in time is good", in_time_is_good},
    {"deadline@none-waits", "5.6", "#105", "By default a buffer waits for as long as it takes",
     waits_by_default, Pace::Slow},
    {"bound@streamon-after-12s", "5.7", "V10",
     "Kernel-waitable out-fences end at their bound, and their buffers carry ERROR",
     streamon_after_bound, Pace::Slow},
};

}  // namespace

std::span<const Case> deadline_cases() {
    return cases;
}

}  // namespace v4lfence
