// SPDX-License-Identifier: MIT
//
// Stock videobuf2: what a frame that came back carries.

#include <vector>

#include "conformance/cases/cases.hpp"
#include "conformance/plain.hpp"

namespace v4lfence {

namespace {

constexpr unsigned some_frames = 12;

Checked<> sequence_rises(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    for (unsigned round = 0; round < 2; ++round) {
        TRY(stream.queue_rest(0));
        TRY(stream.start());
        const std::uint32_t first = TRY(stream.dequeue()).sequence;
        TRY(stream.queue(0));
        std::uint32_t last = first;
        for (unsigned frame = 1; frame < some_frames; ++frame) {
            const Frame came = TRY(stream.dequeue());
            // vivid on a slow machine gives a number twice.
            CHECK(came.sequence >= last, "sequence {} after {}", came.sequence, last);
            last = came.sequence;
            TRY(stream.queue(came.index));
        }
        CHECK(last > first, "{} frames are all number {}", some_frames, first);
        TRY(stream.stop());
    }
    return {};
}

/// The first frame of each stream has the same number, which is small: it does not go on.
Checked<> sequence_restarts(Rig& rig) {
    Stream stream = TRY(stream_plain(rig));
    const std::uint32_t first = TRY(stream.dequeue()).sequence;
    TRY(stream.queue(0));
    TRY(stream_frames(stream, some_frames));
    const std::uint32_t last = TRY(stream.dequeue()).sequence;
    TRY(stream.stop());
    TRY(stream.queue_rest(0));
    TRY(stream.start());
    const std::uint32_t again = TRY(stream.dequeue()).sequence;
    CHECK(first < some_frames && again < last,
          "a stream began with {}, went to {}, the next with {}", first, last, again);
    return stream.stop();
}

Checked<> timestamps_rise(Rig& rig) {
    Stream stream = TRY(stream_plain(rig));
    std::int64_t last = 0;
    for (unsigned frame = 0; frame < some_frames; ++frame) {
        const Frame came = TRY(stream.dequeue());
        CHECK(came.timestamp_us > last, "timestamp {} us after {} us", came.timestamp_us, last);
        CHECK((came.flags & V4L2_BUF_FLAG_TIMESTAMP_MASK) == V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC,
              "flags {:#x} do not say CLOCK_MONOTONIC", came.flags);
        last = came.timestamp_us;
        TRY(stream.queue(came.index));
    }
    const std::int64_t now_us = to_ns(SystemClock().now()) / 1000;
    // Some drivers stamp a frame up to one interval ahead.
    constexpr std::int64_t second_us = 1'000'000;
    CHECK(last < now_us + second_us && last > now_us - 60 * second_us,
          "timestamp {} us is not of CLOCK_MONOTONIC, now {} us", last, now_us);
    return stream.stop();
}

/// Capture: what the program wrote there is overwritten or ignored.
Checked<> program_fields_ignored(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    for (unsigned index = 0; index < stream.count(); ++index) {
        BufferArgument argument;
        stream.prepare(index, argument);
        argument.buffer.timestamp = {4711, 815};
        argument.buffer.field = V4L2_FIELD_INTERLACED_BT;
        if (rig.facts().multi_planar) {
            argument.planes[0].bytesused = 0xffffffff;
            argument.planes[0].data_offset = 0xffffffff;
        } else {
            argument.buffer.bytesused = 0xffffffff;
        }
        TRY(answers(stream.device().ioctl(VIDIOC_QBUF, &argument.buffer), 0,
                    "QBUF with stray fields"));
    }
    TRY(stream.start());
    const Frame frame = TRY(stream.dequeue_good(0));
    CHECK(frame.timestamp_us / 1'000'000 != 4711, "DQBUF returned the program's timestamp");
    CHECK(frame.field != V4L2_FIELD_INTERLACED_BT, "DQBUF returned the program's field");
    return stream.stop();
}

Checked<> bytes_fit(Rig& rig) {
    Stream stream = TRY(stream_plain(rig));
    for (unsigned frame = 0; frame < some_frames; ++frame) {
        BufferArgument argument;
        stream.name(0, argument);
        TRY(stream.becomes_readable());
        TRY(answers(stream.device().ioctl(VIDIOC_DQBUF, &argument.buffer), 0, "DQBUF"));
        const std::vector<MappedPlane>& planes = stream.planes(argument.buffer.index);
        if (!rig.facts().multi_planar) {
            CHECK(argument.buffer.length == planes[0].region.size() &&
                      argument.buffer.bytesused > 0 &&
                      argument.buffer.bytesused <= argument.buffer.length,
                  "a frame of {} bytes in a buffer of {}", argument.buffer.bytesused,
                  argument.buffer.length);
        } else {
            CHECK(argument.buffer.length == planes.size(), "DQBUF says {} planes, expected {}",
                  argument.buffer.length, planes.size());
            for (std::size_t plane = 0; plane < planes.size(); ++plane) {
                const v4l2_plane& said = argument.planes[plane];
                CHECK(said.length == planes[plane].region.size() && said.bytesused > 0 &&
                          said.bytesused <= said.length && said.data_offset < said.bytesused,
                      "plane {} has {} bytes from {} on, in {}", plane, said.bytesused,
                      said.data_offset, said.length);
            }
        }
        TRY(stream.queue(argument.buffer.index));
    }
    return stream.stop();
}

Checked<> query_agrees(Rig& rig) {
    Stream stream = TRY(stream_plain(rig));
    const BufferView seen = TRY(stream.becomes_done(0));
    const Frame frame = TRY(stream.dequeue_good(0));
    CHECK(seen.sequence == frame.sequence && seen.timestamp_us == frame.timestamp_us &&
              seen.bytes_used == frame.bytes_used && seen.field == frame.field &&
              seen.memory == frame.memory,
          "QUERYBUF said sequence {} at {} us with {} bytes, DQBUF {} at {} us with {}",
          seen.sequence, seen.timestamp_us, seen.bytes_used, frame.sequence, frame.timestamp_us,
          frame.bytes_used);
    return stream.stop();
}

Checked<> every_buffer_written(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    for (unsigned index = 0; index < stream.count(); ++index) {
        stream.paint_buffer(index);
    }
    TRY(stream.queue_rest(0));
    TRY(stream.start());
    const unsigned due = stream.count() - rig.facts().keeps;
    for (unsigned index = 0; index < due; ++index) {
        TRY(stream.dequeue_good(index));
        CHECK(stream.changed_bytes(index) > 0, "nobody wrote to buffer {}", index);
        TRY(stream.queue(index));
    }
    return stream.stop();
}

/// What comes back is the program's until it queues it again.
Checked<> fetched_is_left_alone(Rig& rig) {
    Stream stream = TRY(stream_plain(rig));
    TRY(stream.dequeue_good(0));
    stream.paint_buffer(0);
    TRY(stream_frames(stream, 2 * stream.count()));
    CHECK(stream.changed_bytes(0) == 0, "the device wrote to a buffer that the program has");
    TRY(stream.queue(0));
    TRY(stream.dequeue_until(0));
    CHECK(stream.changed_bytes(0) > 0, "nobody wrote to buffer 0 after it was queued again");
    return stream.stop();
}

/// Any order of QBUF is the order of the frames.
Checked<> order_of_qbuf(Rig& rig) {
    Stream stream = TRY(open_plain(rig));
    std::vector<unsigned> order;
    for (unsigned index = 0; index < stream.count(); index += 2) {
        order.push_back(index);
    }
    for (unsigned index = 1; index < stream.count(); index += 2) {
        order.insert(order.begin(), index);
    }
    for (const unsigned index : order) {
        TRY(stream.queue(index));
    }
    TRY(stream.start());
    const std::size_t due = order.size() - rig.facts().keeps;
    for (std::size_t at = 0; at < due; ++at) {
        TRY(stream.dequeue_good(order[at]));
    }
    return stream.stop();
}

constexpr Case cases[] = {
    plain_case("vb2@sequence-rises", "The number of a frame never falls, and goes up",
               sequence_rises),
    plain_case("vb2@sequence-restarts", "STREAMON begins to count anew", sequence_restarts),
    plain_case("vb2@timestamps-rise", "Timestamps rise, and are of CLOCK_MONOTONIC",
               timestamps_rise),
    plain_case("vb2@frame-fields-the-drivers", "Time, field and sizes are not the program's to say",
               program_fields_ignored),
    plain_case("vb2@bytesused-fits", "Every plane has some bytes, and no more than fit", bytes_fit),
    plain_case("vb2@querybuf-agrees-with-dqbuf", "QUERYBUF of a finished buffer says the same",
               query_agrees),
    plain_case("vb2@every-buffer-written", "Each buffer that comes back was written",
               every_buffer_written),
    plain_case("vb2@fetched-left-alone", "And no longer once the program has it",
               fetched_is_left_alone),
    plain_case("vb2@frames-in-qbuf-order", "Frames come in the order of QBUF, whatever the indices",
               order_of_qbuf),
};

}  // namespace

std::span<const Case> vb2_frame_cases() {
    return cases;
}

}  // namespace v4lfence
