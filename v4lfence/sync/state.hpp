// SPDX-License-Identifier: MIT
//
// The states of a buffer and the moves between them, as a table: the queue obeys it, the tests
// enumerate it.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace v4lfence {

enum class SlotState : std::uint8_t {
    Dequeued,  ///< The program's.
    Held,      ///< Queued: waits for its in-fence, for earlier buffers, or for the token.
    Giving,    ///< Being handed over by the owner of the token; may be finished already.
    Given,     ///< The device's.
    Done,      ///< The device has finished it; the program has not fetched it.
    Failed,    ///< Never the device's: its in-fence failed or it was refused. Ours to return.
};

inline constexpr std::size_t slot_states = 6;

/// legal_moves[from][to]. A move to itself is none.
inline constexpr std::array<std::array<bool, slot_states>, slot_states> legal_moves{{
    //            Dequeued Held  Giving Given  Done   Failed
    /* Dequeued */ {false, true, false, false, false, false},
    /* Held     */ {true, false, true, false, false, true},  // cancel, undone QBUF; gate; failed
    /* Giving   */ {true, true, false, true, true, true},    // as Held; taken; fast; refused
    /* Given    */ {true, true, false, false, true, false},  // cancel; failed start; finished
    /* Done     */ {true, false, false, false, false, false},
    /* Failed   */ {true, false, false, false, false, false},
}};

constexpr bool is_legal(SlotState from, SlotState to) {
    return legal_moves[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)];
}

}  // namespace v4lfence
