// SPDX-License-Identifier: MIT

#include "tools/stream/promises.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace v4lfence {

namespace {

struct PromiseText {
    PromiseId id;
    const char* name;
    const char* meaning;
};

constexpr PromiseText texts[] = {
    {PromiseId::AllFrames, "all_frames", "as many frames came as were asked for"},
    {PromiseId::NoneLost, "none_lost", "sequence numbers have no gap"},
    {PromiseId::SequenceRises, "sequence_rises", "sequence numbers rise"},
    {PromiseId::NoErrors, "no_errors", "no frame has the error flag"},
    {PromiseId::InOrder, "in_order", "buffers come back in the order they were queued"},
    {PromiseId::TimestampsRise, "timestamps_rise", "capture times rise"},
    {PromiseId::HasData, "has_data", "every frame has bytes in it"},
    {PromiseId::MemoryWritten, "memory_written",
     "the device wrote the frame's first and last bytes"},
    {PromiseId::PaintedNumber, "painted_number",
     "the number in the picture is the sequence number"},
    {PromiseId::PaintedTime, "painted_time", "the time in the picture is the capture time"},
    {PromiseId::NotTorn, "not_torn", "the picture says the same at its top and at its bottom"},
    {PromiseId::ColourBars, "colour_bars", "the picture shows the colour bars"},
    {PromiseId::FlagsCleared, "flags_cleared", "DQBUF returns no fence flag and no descriptor"},
    {PromiseId::OutFenceReturned, "out_fence_returned", "QBUF returns an out-fence"},
    {PromiseId::OutFencePendingWhileHeld, "out_fence_pending_while_held",
     "a held buffer's out-fence is pending"},
    {PromiseId::OutFenceEndedAtDqbuf, "out_fence_ended_at_dqbuf",
     "the out-fence has ended when DQBUF returns the buffer"},
    {PromiseId::OutFenceTellsError, "out_fence_tells_error",
     "the out-fence ends badly if the frame has the error flag, and only then"},
    {PromiseId::InFenceEndedBeforeFrame, "in_fence_ended_before_frame",
     "no frame of a buffer whose in-fence is pending"},
    {PromiseId::SyncFileInfo, "sync_file_info", "SYNC_IOC_FILE_INFO answers for every out-fence"},
    {PromiseId::NothingPending, "nothing_pending", "STREAMOFF leaves no out-fence pending"},
    {PromiseId::DmaBufWaits, "dma_buf_waits", "who looks at the dma-buf alone waits for the frame"},
    {PromiseId::DmaBufReadyAtDqbuf, "dma_buf_ready_at_dqbuf",
     "the dma-buf can be read when DQBUF returns the buffer"},
    {PromiseId::ShownAfterEnd, "shown_after_end",
     "no picture was shown before its out-fence had ended"},
    {PromiseId::ShownInOrder, "shown_in_order",
     "what was handed to the display was shown, once and in order"},
    {PromiseId::NotGivenOnScreen, "not_given_on_screen",
     "no buffer was given to the device while it was on screen"},
    {PromiseId::StillOnScreen, "still_on_screen",
     "a picture stayed as it was while it was on screen"},
};

static_assert(std::size(texts) == static_cast<std::size_t>(PromiseId::Count));

}  // namespace

Promises::Promises() {
    for (const PromiseText& text : texts) {
        at(text.id).name = text.name;
        at(text.id).meaning = text.meaning;
    }
}

void Promises::forgive(PromiseId id, std::uint64_t breaks) {
    Promise& promise = at(id);
    if (promise.broken <= breaks) {
        promise.forgiven = std::exchange(promise.broken, 0);
    }
}

std::vector<Promise> Promises::made() const {
    std::vector<Promise> list;
    std::copy_if(promises_.begin(), promises_.end(), std::back_inserter(list),
                 [](const Promise& promise) { return promise.made; });
    return list;
}

bool Promises::any_broken() const {
    return std::any_of(promises_.begin(), promises_.end(),
                       [](const Promise& promise) { return promise.broken > 0; });
}

bool Promises::all_held() const {
    return std::all_of(promises_.begin(), promises_.end(),
                       [](const Promise& promise) { return !promise.made || promise.held(); });
}

}  // namespace v4lfence
