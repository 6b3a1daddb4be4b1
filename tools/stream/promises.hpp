// SPDX-License-Identifier: MIT
//
// What a stream or a display promises, how often each promise was looked at, and whether it held.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace v4lfence {

enum class PromiseId : std::uint8_t {
    AllFrames,
    NoneLost,
    SequenceRises,
    NoErrors,
    InOrder,
    TimestampsRise,
    HasData,
    MemoryWritten,
    PaintedNumber,
    PaintedTime,
    NotTorn,
    ColourBars,
    FlagsCleared,
    OutFenceReturned,
    OutFencePendingWhileHeld,
    OutFenceEndedAtDqbuf,
    OutFenceTellsError,
    InFenceEndedBeforeFrame,
    SyncFileInfo,
    NothingPending,
    DmaBufWaits,
    DmaBufReadyAtDqbuf,
    ShownAfterEnd,
    ShownInOrder,
    NotGivenOnScreen,
    StillOnScreen,
    Count,
};

struct Promise {
    const char* name = "";     ///< As JSON has it.
    const char* meaning = "";  ///< For a person.
    bool made = false;         ///< This run has to check it.
    std::uint64_t checked = 0;
    std::uint64_t broken = 0;
    std::uint64_t forgiven = 0;  ///< Breaks that the caller allows.
    std::string first_break;

    bool held() const { return broken == 0 && checked > 0; }
};

class Promises {
public:
    Promises();

    /// A promise that is made and then never checked counts as broken.
    void make(PromiseId id) { at(id).made = true; }

    /// `explain` is called for the first break alone. Ignored when the promise was not made.
    template <class Explain>
    void check(PromiseId id, bool held, Explain explain) {
        Promise& promise = at(id);
        if (!promise.made) {
            return;
        }
        ++promise.checked;
        if (!held && promise.broken++ == 0) {
            promise.first_break = explain();
        }
    }

    /// Up to so many breaks are forgiven, all or none.
    void forgive(PromiseId id, std::uint64_t breaks);

    std::vector<Promise> made() const;
    bool any_broken() const;
    bool all_held() const;

private:
    Promise& at(PromiseId id) { return promises_[static_cast<std::size_t>(id)]; }

    std::array<Promise, static_cast<std::size_t>(PromiseId::Count)> promises_;
};

}  // namespace v4lfence
