// SPDX-License-Identifier: MIT
//
// A device that fails: what it can be made to do wrong, and what its fences say of it.

#include <vector>

#include "conformance/cases/cases.hpp"
#include "conformance/faults.hpp"
#include "conformance/held.hpp"
#include "conformance/plain.hpp"

namespace v4lfence {

namespace {

Checked<> queue_setup_told(Rig& rig) {
    const Device device = TRY(rig.open());
    TRY(inject(device, Fault::QueueSetup));
    v4l2_requestbuffers request = request_for(rig, 4);
    TRY(answers(device.ioctl(VIDIOC_REQBUFS, &request), EINVAL, "REQBUFS that fails"));
    request = request_for(rig, 4);
    TRY(answers(device.ioctl(VIDIOC_REQBUFS, &request), 0, "REQBUFS after one that failed"));
    BufferArgument argument;
    address_queue(rig, argument, request.count - 1);
    return answers(device.ioctl(VIDIOC_QUERYBUF, &argument.buffer), 0, "QUERYBUF of the last");
}

/// By QBUF, and by PREPARE_BUF where there is one.
Checked<> prepare_told(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    TRY(inject(stream.device(), Fault::BufPrepare));
    TRY(answers(stream.try_queue(0), EINVAL, "QBUF that fails"));
    TRY(stream.is_dequeued(0));
    TRY(stream.prepare_ahead(1));
    TRY(inject(stream.device(), Fault::BufPrepare));
    TRY(answers(stream.try_prepare(0), EINVAL, "PREPARE_BUF that fails"));
    TRY(stream.is_dequeued(0));
    TRY(stream.queue_rest(0));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> start_told(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    TRY(stream.queue_rest(0));
    TRY(inject(stream.device(), Fault::StartStream));
    CHECK(stream.try_start() < 0, "STREAMON hid a start that failed");
    TRY(stream.is_queued(0));
    TRY(answers(stream.try_dequeue(), EINVAL, "DQBUF after a start that failed"));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> fatal_told(Rig& rig) {
    Stream stream = TRY(stream_plain(rig));
    TRY(inject(stream.device(), Fault::Fatal));
    const int revents = stream.device().poll(POLLIN, must_happen_ms);
    CHECK(revents > 0 && (revents & POLLERR) != 0, "poll says {:#x} of a queue that failed",
          revents);
    TRY(answers(stream.try_dequeue(), EIO, "DQBUF of a queue that failed"));
    TRY(stream.stop());
    for (unsigned index = 0; index < stream.count(); ++index) {
        TRY(stream.is_dequeued(index));
    }
    TRY(stream.queue_rest(0));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

/// At once, and when the turn of a held buffer comes.
Checked<> prepare_refused_with_fences(Rig& rig) {
    HeldStream held = TRY(hold_first(rig, {.rest_out = true}));
    Stream& stream = held.stream;
    TRY(stream.nothing_to_dequeue());
    TRY(inject(stream.device(), Fault::BufPrepare));
    held.fence.end();
    const Frame first = TRY(stream.dequeue());
    CHECK(first.index == 0, "buffer {} came before buffer 0", first.index);
    if (first.failed()) {
        TRY(stream.out_fence_failed(0, EINVAL, 0));
    } else {
        // It was prepared when it was queued: the fault is still to come.
        TRY(answers(stream.try_queue(0, {.out = true}), EINVAL, "QBUF that the driver refuses"));
    }
    TRY(stream.dequeue_good(1));
    std::size_t descriptors = 0;
    for (unsigned time = 0; time < 2; ++time) {
        TRY(inject(stream.device(), Fault::BufPrepare));
        TRY(answers(stream.try_queue(0, {.out = true}), EINVAL, "QBUF that the driver refuses"));
        TRY(stream.is_dequeued(0));
        // What the library opened for the first it may keep.
        CHECK(time == 0 || open_descriptors() <= descriptors,
              "a refused QBUF left a descriptor open");
        descriptors = open_descriptors();
    }
    TRY(stream.queue(0, {.out = true}));
    TRY(stream.dequeue_until(0));
    return stream.stop();
}

/// Held ones and those of the device.
Checked<> fatal_ends_fences(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    TestFence fence = TRY(rig.fence());
    const unsigned held = TRY(stream.dequeue()).index;
    TRY(stream.queue(held, {.in = fence.fd.get(), .out = true}));
    TRY(inject(stream.device(), Fault::Fatal));
    TRY(eventually([&]() -> Checked<bool> { return stream.try_dequeue() == -EIO; },
                   "DQBUF to say EIO"));
    TRY(stream.out_fence_failed(held, 0));
    for (unsigned index = 0; index < stream.count(); ++index) {
        TRY(fence_ends(stream.out_fence(index),
                       fmt::format("out-fence {} of a failed queue", index)));
    }
    TRY(stream.stop());
    fence.end();
    TRY(stream.is_dequeued(held));
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    TRY(stream.dequeue_good(0));
    return stream.stop();
}

Checked<> bad_frame(Rig& rig, Fault fault) {
    Stream stream = TRY(Stream::open(rig));
    TRY(inject(stream.device(), fault));
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    TRY(stream.dequeue_bad(0));
    TRY(stream.out_fence_failed(0, EIO, 0));
    // Once, and the others are good.
    const unsigned due = stream.count() - rig.facts().keeps;
    for (unsigned index = 1; index < due; ++index) {
        TRY(stream.dequeue_good(index));
    }
    TRY(stream.queue(0, {.out = true}));
    TRY(stream.dequeue_until(0));
    return stream.stop();
}

Checked<> frame_error_in_fence(Rig& rig) {
    return bad_frame(rig, Fault::Frame);
}

Checked<> requeue_is_an_error(Rig& rig) {
    return bad_frame(rig, Fault::Requeue);
}

Checked<> streams_out_of_order(Rig& rig) {
    Stream stream = TRY(Stream::open(rig));
    v4l2_query_fences fences = rig.query();
    if (rig.facts().query) {
        TRY(answers(stream.device().ioctl(VIDIOC_QUERY_FENCES, &fences), 0, "QUERY_FENCES"));
        CHECK((fences.features & V4L2_FENCES_ORDERED) == 0, "a device out of order is ordered");
    }
    TRY(stream.queue_rest(0, true));
    TRY(stream.start());
    bool passed = false;
    std::vector<unsigned> queued(stream.count());
    for (unsigned index = 0; index < stream.count(); ++index) {
        queued[index] = index;
    }
    for (unsigned frame = 0; frame < 4 * stream.count(); ++frame) {
        // dequeue() fails where its out-fence is pending.
        const Frame came = TRY(stream.dequeue());
        CHECK(!came.failed() && came.out && came.out->state == FenceState::Signaled,
              "buffer {} came back bad", came.index);
        passed = passed || queued.front() != came.index;
        std::erase(queued, came.index);
        TRY(stream.queue(came.index, {.out = true}));
        queued.push_back(came.index);
    }
    CHECK(passed, "every frame came in the order of QBUF");
    return stream.stop();
}

Checked<> order_of_finishing(Rig& rig) {
    const Device other = TRY(rig.open());
    TRY(inject(other, Fault::OutOfOrder));
    const Checked<> result = streams_out_of_order(rig);
    TRY(take_back(other, Fault::OutOfOrder));
    return result;
}

constexpr Case cases[] = {
    plain_case("vb2@reqbufs-error-told", "A driver that makes no buffers is told of, once",
               queue_setup_told),
    plain_case("vb2@prepare-error-told", "A buffer that the driver refuses stays the program's",
               prepare_told),
    plain_case("vb2@start-error-told", "A start that fails leaves the buffers queued", start_told),
    plain_case("vb2@fatal-error-told", "A queue that failed says EIO until STREAMOFF", fatal_told),
    {"device-error@prepare-refused", "2.1, 6.6", "#35 #78 #116",
     "A buffer that the driver refuses, at once or when its turn comes",
     prepare_refused_with_fences},
    {"device-error@fatal-ends-fences", "5.4, 6.9", "#72",
     "A queue that failed leaves no fence pending", fatal_ends_fences},
    {"device-error@frame-in-fence", "5.2", "#51", "A bad frame has ERROR, and its out-fence EIO",
     frame_error_in_fence},
    {"device-error@requeue-is-error", "5.3", "#22 #62 #89",
     "A buffer with an out-fence is not put back: it comes with ERROR, once", requeue_is_an_error},
    {"device-error@order-of-finishing", "4.6, 4.7", "#54 #103",
     "An unordered queue gives frames and ends fences as they are finished", order_of_finishing},
};

}  // namespace

std::span<const Case> device_error_cases() {
    return cases;
}

}  // namespace v4lfence
