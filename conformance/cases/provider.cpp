// SPDX-License-Identifier: MIT
//
// The contract of fences, of the out-fences that a device returns: one descriptor, and everybody
// who waits for it. README.md lists which of the known rules apply.

#include <linux/sync_file.h>
#include <sys/ioctl.h>

#include <array>
#include <vector>

#include "conformance/bounded.hpp"
#include "conformance/cases/cases.hpp"
#include "conformance/held.hpp"
#include "conformance/readiness.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

constexpr std::string_view fence_name = "the out-fence";

/// What poll() says of the fence now.
Checked<int> ready_bits(int fd, short events, int timeout_ms) {
    std::array<pollfd, 1> entry{pollfd{fd, events, 0}};
    (void)TRY(sys::poll(entry, timeout_ms));
    return entry[0].revents;
}

Checked<> is_ready(int fd, std::string_view when, int timeout_ms = 0) {
    const int revents = TRY(ready_bits(fd, POLLIN, timeout_ms));
    CHECK((revents & (POLLIN | POLLHUP)) != 0 && (revents & POLLNVAL) == 0,
          "poll says {:#x} of the out-fence {}, expected it ready", revents, when);
    return {};
}

Checked<> pending_then_ended(Rig& rig) {
    HeldStream held = TRY(hold_first(rig));
    const int fence = held.stream.out_fence(0);
    for (const int timeout_ms : {0, settle_ms}) {
        const int revents = TRY(ready_bits(fence, POLLIN | POLLPRI | POLLOUT, timeout_ms)) &
                            (POLLIN | POLLHUP | POLLERR);
        CHECK(revents == 0, "poll says {:#x} of a pending out-fence", revents);
    }
    TRY(fence_is_pending(fence, fence_name));
    held.fence.end();
    TRY(is_ready(fence, "after the frame", must_happen_ms));
    const FenceStatus status = TRY(fence_status(fence));
    CHECK(status.state == FenceState::Signaled, "the out-fence ended with {}",
          errno_name(status.error));
    return held.stream.stop();
}

Checked<> has_ended_well(int fence, std::string_view when) {
    TRY(is_ready(fence, when));
    const FenceStatus status = TRY(fence_status(fence));
    CHECK(status.state == FenceState::Signaled, "{} the out-fence says {}", when,
          status.ended() ? errno_name(status.error) : "pending");
    return {};
}

/// Whatever happens to its buffer, to its file, or to what can be read from it.
Checked<> ended_stays_ended(Rig& rig) {
    UniqueFd fence;
    {
        HeldStream held = TRY(hold_first(rig));
        TRY(release_first(held));
        fence = held.stream.take_out_fence(0);
        TRY(has_ended_well(fence.get(), "after DQBUF"));
        for (unsigned time = 0; time < 3; ++time) {
            std::array<std::byte, 8> some{};
            // A pipe has a byte, an eventfd a count, a sync_file cannot be read.
            (void)sys::read(fence.get(), some);
            TRY(has_ended_well(fence.get(), "after somebody read from it"));
        }
        TRY(held.stream.queue(0, {.out = true}));
        TRY(has_ended_well(fence.get(), "after its buffer was queued again"));
        TRY(held.stream.stop());
        TRY(has_ended_well(fence.get(), "after STREAMOFF"));
    }
    return has_ended_well(fence.get(), "after close");
}

Checked<> duplicates_end_alike(Rig& rig) {
    HeldStream held = TRY(hold_first(rig));
    std::vector<UniqueFd> copies;
    for (unsigned copy = 0; copy < 4; ++copy) {
        copies.push_back(TRY(sys::dup(held.stream.out_fence(0))));
    }
    held.stream.take_out_fence(0).reset();
    copies.pop_back();
    for (const UniqueFd& copy : copies) {
        TRY(fence_is_pending(copy.get(), "a copy of an out-fence"));
    }
    held.fence.end();
    for (const UniqueFd& copy : copies) {
        TRY(fence_ends(copy.get(), "a copy of an out-fence"));
        TRY(has_ended_well(copy.get(), "after the frame"));
    }
    return held.stream.stop();
}

Checked<> wakes_all(Rig& rig) {
    HeldStream held = TRY(hold_first(rig));
    constexpr unsigned waiters = 8;
    std::vector<UniqueFd> copies;
    std::vector<BoundedThread> threads;
    for (unsigned waiter = 0; waiter < waiters; ++waiter) {
        copies.push_back(TRY(sys::dup(held.stream.out_fence(0))));
        const int fence = waiter % 2 == 0 ? copies.back().get() : held.stream.out_fence(0);
        threads.emplace_back([fence] { return is_ready(fence, "to its waiter", must_happen_ms); });
    }
    for (const BoundedThread& thread : threads) {
        TRY(thread.falls_asleep("poll on a pending out-fence"));
    }
    held.fence.end();
    for (BoundedThread& thread : threads) {
        TRY(thread.finish("a waiter for an out-fence"));
    }
    return held.stream.stop();
}

Checked<UniqueFd> epoll_of_fence(int fence, std::uint32_t events) {
    UniqueFd epoll = TRY(sys::epoll_create());
    TRY(sys::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fence, events, epoll_word));
    return epoll;
}

Checked<> epoll_tells(Rig& rig) {
    HeldStream held = TRY(hold_first(rig));
    const int fence = held.stream.out_fence(0);
    const UniqueFd level = TRY(epoll_of_fence(fence, EPOLLIN));
    const UniqueFd edge = TRY(epoll_of_fence(fence, EPOLLIN | EPOLLET));
    for (const UniqueFd* epoll : {&level, &edge}) {
        CHECK(TRY(epoll_events(epoll->get(), 0)) == 0, "epoll says that a pending fence is ready");
    }
    held.fence.end();
    TRY(fence_ends(fence, fence_name));
    for (unsigned time = 0; time < 3; ++time) {
        CHECK(TRY(epoll_events(level.get(), must_happen_ms)) != 0,
              "epoll forgot a fence that has ended");
    }
    CHECK(TRY(epoll_events(edge.get(), must_happen_ms)) != 0, "there was no edge");
    // A pipe may say that it has hung up after it has said that it can be read.
    const auto again = TRY(epoll_events(edge.get(), settle_ms));
    CHECK(again == 0 || (again & EPOLLHUP) != 0, "a fence that had ended made an edge");
    CHECK(TRY(epoll_events(edge.get(), settle_ms)) == 0, "a fence that had ended made edges");
    const UniqueFd late = TRY(epoll_of_fence(fence, EPOLLIN | EPOLLET));
    CHECK(TRY(epoll_events(late.get(), 0)) != 0, "a fence that was added ended has no edge");
    return held.stream.stop();
}

/// By SCM_RIGHTS while it is pending, by SCM_RIGHTS afterwards, and by fork.
Checked<> crosses_processes(Rig& rig) {
    HeldStream held = TRY(hold_first(rig));
    const int fence = held.stream.out_fence(0);
    sys::SocketPair pair = TRY(sys::socketpair(0));
    Child child = TRY(Child::fork([&]() -> Checked<> {
        const int socket = pair.second.get();
        const UniqueFd sent = TRY(receive_descriptor(socket));
        TRY(fence_is_pending(sent.get(), "an out-fence that was sent"));
        TRY(fence_is_pending(fence, "an out-fence that was inherited"));
        TRY(tell(socket));
        TRY(fence_ends(sent.get(), "an out-fence that was sent"));
        TRY(has_ended_well(sent.get(), "in the other process"));
        TRY(fence_ends(fence, "an out-fence that was inherited"));
        const UniqueFd late = TRY(receive_descriptor(socket));
        return has_ended_well(late.get(), "when it was sent");
    }));
    const int socket = pair.first.get();
    TRY(send_descriptor(socket, fence));
    TRY(await_word(socket, "the other process"));
    held.fence.end();
    TRY(fence_ends(fence, fence_name));
    TRY(send_descriptor(socket, fence));
    TRY(child.finish("a process that was sent an out-fence"));
    return held.stream.stop();
}

enum class EndOfStream : std::uint8_t { StreamOff, Close };

/// Somebody waits while the fence's maker goes: never lost.
Checked<> waiter_wakes_at(Rig& rig, EndOfStream end) {
    HeldStream held = TRY(hold_first(rig));
    const UniqueFd fence = held.stream.take_out_fence(0);
    BoundedThread waiter(
        [&fence] { return is_ready(fence.get(), "to its waiter", must_happen_ms); });
    TRY(waiter.falls_asleep("poll on a pending out-fence"));
    if (end == EndOfStream::StreamOff) {
        TRY(held.stream.stop());
    } else {
        TRY(answers(held.stream.device().shut(), 0, "close"));
    }
    TRY(waiter.finish("a waiter for an out-fence whose stream has ended"));
    const FenceStatus status = TRY(fence_status(fence.get()));
    CHECK(!rig.facts().errors() || status.error == -ECANCELED,
          "an out-fence that was cancelled says {}, expected ECANCELED", errno_name(status.error));
    return {};
}

Checked<> waiter_wakes_at_end(Rig& rig) {
    TRY(waiter_wakes_at(rig, EndOfStream::StreamOff));
    return waiter_wakes_at(rig, EndOfStream::Close);
}

Checked<> error_is_told(Rig& rig) {
    if (!rig.facts().errors()) {
        return skipped("these out-fences carry no errors");
    }
    for (const int error : {EPROTO, EIO, ETIME}) {
        HeldStream held = TRY(hold_first(rig, {.failing = true}));
        const int fence = held.stream.out_fence(0);
        TRY(fence_is_pending(fence, fence_name));
        held.fence.end(-error);
        TRY(held.stream.out_fence_failed(0, error));
        TRY(is_ready(fence, "that failed"));
        // It cannot be made good.
        TRY(held.stream.dequeue_bad(0));
        TRY(held.stream.queue(0, {.out = false}));
        TRY(held.stream.dequeue_until(0));
        TRY(held.stream.stop());
    }
    return {};
}

Checked<> waiters_cannot_end_it(Rig& rig) {
    if (rig.facts().provider == "eventfd") {
        return skipped("whoever holds an eventfd can end it, which is why it is not the default");
    }
    HeldStream held = TRY(hold_first(rig));
    const int fence = held.stream.out_fence(0);
    const std::uint64_t one = 1;
    const auto written = sys::write_quietly(fence, std::as_bytes(std::span(&one, 1)));
    CHECK(!written, "a waiter wrote {} bytes to an out-fence", *written);
    std::array<std::byte, 8> some{};
    const auto read = sys::read(fence, some);
    CHECK(!read, "a waiter read {} bytes from a pending out-fence", *read);
    TRY(fence_is_pending(fence, "an out-fence that a waiter wrote to and read from"));
    TRY(release_first(held));
    return held.stream.stop();
}

/// All that the queue can have at once; every one is a fence of its own.
Checked<> many_at_once(Rig& rig) {
    const unsigned count = std::min(rig.facts().buffers_max, 32U);
    HeldStream held = TRY(hold_first(rig, {.stream = {.count = count}, .rest_out = true}));
    for (unsigned index = 0; index < count; ++index) {
        TRY(fence_is_pending(held.stream.out_fence(index), fmt::format("out-fence {}", index)));
    }
    held.fence.end();
    const unsigned due = count - rig.facts().keeps;
    for (unsigned index = 0; index < due; ++index) {
        TRY(fence_ends(held.stream.out_fence(index), fmt::format("out-fence {}", index)));
    }
    for (unsigned index = 0; index < due; ++index) {
        TRY(held.stream.dequeue_good(index));
    }
    return held.stream.stop();
}

/// The ioctls of sync_files, of what is none.
Checked<> no_sync_file_enotty(Rig& rig) {
    if (rig.answers_as_sync_files()) {
        return skipped("these out-fences are sync_files, or answer as such");
    }
    HeldStream held = TRY(hold_first(rig));
    const int fence = held.stream.out_fence(0);
    sync_file_info info{};
    sync_merge_data merge{};
    merge.fd2 = fence;
    const auto refused = [&](unsigned long request, void* argument) -> Checked<> {
        const auto status = sys::ioctl_retry(fence, request, argument);
        CHECK(!status && (status.error().code == -ENOTTY || status.error().code == -EINVAL),
              "ioctl {:#x} of an out-fence that is no sync_file answered {}", request,
              status ? "0" : errno_name(status.error().code));
        return {};
    };
    TRY(refused(SYNC_IOC_FILE_INFO, &info));
    TRY(refused(SYNC_IOC_MERGE, &merge));
    return fence_is_pending(fence, "an out-fence after ioctls of sync_files");
}

constexpr Case cases[] = {
    {"provider@pending-then-ended", "3, 4.8", "F01 F08 F10 Q07",
     "Nothing shows on a pending fence, and ready is what it is afterwards", pending_then_ended},
    {"provider@ended-stays-ended", "3, 5.4", "F02 F03 F14 S08",
     "A fence that has ended stays so, whoever reads from it", ended_stays_ended},
    {"provider@copies-end-alike", "3", "F14 S06",
     "Copies end alike, and one that is closed takes "
     "nothing from the others",
     duplicates_end_alike},
    {"provider@wakes-every-waiter", "3, 7.2", "F04 F11 F13 S10", "Many may wait for one fence",
     wakes_all},
    {"provider@epoll-level-and-edge", "3", "F04 F05",
     "epoll tells it at level and once at the edge", epoll_tells},
    {"provider@crosses-processes", "3, 7.4", "S05 S06",
     "A fence may be sent to another process, and inherited", crosses_processes},
    {"provider@waiter-wakes-at-end", "5.4", "F16 S07 Q10 Q11",
     "Who waits when the stream ends is woken, with an error", waiter_wakes_at_end},
    {"provider@error-told", "5.1, 5.2", "F09 S07 Q04",
     "A fence that failed says with which error, and not before", error_is_told},
    {"provider@waiters-cannot-end-it", "5.5", "", "Who holds a fence can neither end nor use it up",
     waiters_cannot_end_it},
    {"provider@many-at-once", "4.7", "Q17", "Every buffer may have one at the same time",
     many_at_once},
    {"provider@no-sync-file-enotty", "1.2", "M09",
     "What is no sync_file does not pretend to be one", no_sync_file_enotty},
};

}  // namespace

std::span<const Case> provider_cases() {
    return cases;
}

}  // namespace v4lfence
