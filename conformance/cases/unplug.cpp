// SPDX-License-Identifier: MIT
//
// The device goes away in mid-stream. Last of all: nothing can be judged afterwards.

#include <cstdlib>

#include "conformance/bounded.hpp"
#include "conformance/cases/cases.hpp"
#include "conformance/stream.hpp"

namespace v4lfence {

namespace {

/// Runs the command in a child, so that the case's descriptors stay out of it.
Checked<> unplug(const Rig& rig) {
    Child child = TRY(Child::fork([&]() -> Checked<> {
        const int status = std::system(rig.unplug_command.c_str());
        CHECK(status == 0, "the command to unplug the device ended with {}", status);
        return {};
    }));
    return child.finish("the command to unplug the device");
}

Checked<> ends_every_fence(Rig& rig) {
    if (rig.unplug_command.empty()) {
        return skipped("no --unplug-command was given");
    }
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    Frame frame = TRY(stream.dequeue_good(0));
    TestFence fence = TRY(rig.fence());
    TRY(stream.queue(0, {.in = fence.fd.get(), .out = true}));
    TRY(unplug(rig));
    for (unsigned index = 0; index < stream.count(); ++index) {
        TRY(fence_ends(stream.out_fence(index), fmt::format("out-fence {} after unplug", index)));
    }
    TRY(stream.out_fence_failed(0, 0));
    const int revents = stream.device().poll(POLLIN, must_happen_ms);
    CHECK(revents > 0 && (revents & (POLLERR | POLLHUP)) != 0,
          "poll says {:#x} of a device that is gone, expected POLLERR or POLLHUP", revents);
    TRY(answers(stream.try_queue(frame.index == 1 ? 2 : 1, {.out = true}), ENODEV,
                "QBUF on a device that is gone"));
    const auto gone = [&]() -> Checked<bool> {
        const int status = stream.try_dequeue();
        CHECK(status == 0 || status == -ENODEV || status == -EIO || status == -EINVAL ||
                  status == -EAGAIN,
              "DQBUF on a device that is gone answered {}", errno_name(status));
        return status == -ENODEV;
    };
    TRY(eventually(gone, "DQBUF to answer ENODEV"));
    fence.end();
    return answers(stream.device().shut(), 0, "close of a device that is gone");
}

constexpr Case cases[] = {
    {"unplug@ends-every-fence", "5.4, 6.9", "Q18",
     "A device that is gone leaves nothing pending and says so", ends_every_fence},
};

}  // namespace

std::span<const Case> unplug_cases() {
    return cases;
}

}  // namespace v4lfence
