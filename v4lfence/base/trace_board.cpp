// SPDX-License-Identifier: MIT
//
// How a cell is changed while others read it: its version becomes odd, then the words change, then
// it becomes even again. Each word is stored with release and loaded with acquire, so whoever has
// seen a new word finds a version that has changed with it; on x86 that costs nothing.

#include "v4lfence/base/trace_board.hpp"

#include <algorithm>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

void write(TraceCell& cell, const TraceWords& words) noexcept {
    const std::uint64_t version = cell.version.load(std::memory_order_relaxed) | 1U;
    cell.version.store(version, std::memory_order_relaxed);
    for (unsigned i = 0; i < trace_words; ++i) {
        cell.words[i].store(words[i], std::memory_order_release);
    }
    cell.version.store(version + 1, std::memory_order_release);
}

void clear(TraceCell& cell) noexcept {
    if (cell.version.load(std::memory_order_relaxed) != 0) {
        write(cell, TraceWords{});
    }
}

void set_name(TraceSourceLayout& place, std::string_view name) noexcept {
    const std::string_view shown = name.substr(0, place.name.size() - 1);
    for (std::size_t i = 0; i < place.name.size(); ++i) {
        place.name[i].store(i < shown.size() ? shown[i] : '\0', std::memory_order_relaxed);
    }
}

}  // namespace

// --- for a reader --------------------------------------------------------------------------------

std::optional<TraceWords> try_read(const TraceCell& cell) noexcept {
    const std::uint64_t before = cell.version.load(std::memory_order_acquire);
    if (before % 2 != 0) {
        return std::nullopt;
    }
    const TraceWords words = read_torn(cell);
    return cell.version.load(std::memory_order_relaxed) == before ? std::optional(words)
                                                                  : std::nullopt;
}

TraceWords read_torn(const TraceCell& cell) noexcept {
    TraceWords words{};
    for (unsigned i = 0; i < trace_words; ++i) {
        words[i] = cell.words[i].load(std::memory_order_acquire);
    }
    return words;
}

std::optional<TraceEvent> try_read(const TraceRecordLayout& record, std::uint64_t number) noexcept {
    if (record.number.load(std::memory_order_acquire) != number) {
        return std::nullopt;
    }
    const auto word = [&record](unsigned i) {
        return record.words[i].load(std::memory_order_acquire);
    };
    TraceEvent event;
    event.time_ns = static_cast<std::int64_t>(word(0));
    event.source = word(1);
    event.kind = static_cast<std::uint32_t>(word(2));
    event.index = static_cast<std::uint32_t>(word(3));
    event.job = word(4);
    event.value = static_cast<std::int64_t>(word(5));
    event.detail = word(6);
    if (record.number.load(std::memory_order_relaxed) != number) {
        return std::nullopt;
    }
    return event;
}

// --- the board -----------------------------------------------------------------------------------

Result<std::unique_ptr<TraceBoard>> TraceBoard::create() {
    auto memory = V4LFENCE_TRY(sys::sealed_memory(trace_board_name, sizeof(TraceBoardLayout)));
    UniqueFd fd = sys::move_high(std::move(memory));
    auto mapping = V4LFENCE_TRY(
        MappedMemory::create(fd.get(), sizeof(TraceBoardLayout), MemoryUse::ReadWrite));
    // Fresh memory is zeros, which is an empty board; only what tells its layout is missing.
    auto* const layout = reinterpret_cast<TraceBoardLayout*>(mapping.bytes().data());
    layout->version = trace_version;
    layout->size = sizeof(TraceBoardLayout);
    layout->magic = trace_magic;
    return std::unique_ptr<TraceBoard>(new TraceBoard(std::move(fd), std::move(mapping)));
}

TraceBoardLayout& TraceBoard::layout() const noexcept {
    return *reinterpret_cast<TraceBoardLayout*>(memory_.bytes().data());
}

TraceBoard::Source TraceBoard::add_source(std::uint32_t kind, std::string_view name) noexcept {
    if (abandoned_.load(std::memory_order_relaxed)) {
        return {};
    }
    const std::lock_guard lock(mutex_);
    auto& places = layout().sources;
    const auto place = std::find_if(places.begin(), places.end(), [](const auto& each) {
        return each.serial.load(std::memory_order_relaxed) == 0;
    });
    if (place == places.end()) {
        layout().sources_refused.fetch_add(1, std::memory_order_relaxed);
        return {};
    }
    place->kind.store(kind, std::memory_order_relaxed);
    place->cells.store(0, std::memory_order_relaxed);
    set_name(*place, name);
    clear(place->head);
    place->serial.store(++serials_, std::memory_order_release);
    places_taken_.fetch_add(1, std::memory_order_relaxed);
    return {*this, *place};
}

void TraceBoard::record(const TraceEvent& event) noexcept {
    const std::uint64_t number = layout().written.fetch_add(1, std::memory_order_relaxed) + 1;
    TraceRecordLayout& record = layout().records[(number - 1) % trace_records_max];
    // A writer that sleeps here while the ring goes round mixes two records: a risk that is worth
    // the lock it saves.
    record.number.store(0, std::memory_order_relaxed);
    const std::array<std::uint64_t, 7> words = {
        static_cast<std::uint64_t>(event.time_ns), event.source, event.kind, event.index, event.job,
        static_cast<std::uint64_t>(event.value),   event.detail,
    };
    for (unsigned i = 0; i < words.size(); ++i) {
        record.words[i].store(words[i], std::memory_order_release);
    }
    record.number.store(number, std::memory_order_release);
}

void TraceBoard::abandon() noexcept {
    abandoned_.store(true, std::memory_order_relaxed);
    fd_.reset();
}

// --- a source ------------------------------------------------------------------------------------

bool TraceBoard::Source::is_shown() const noexcept {
    return board_ != nullptr && !board_->abandoned_.load(std::memory_order_relaxed);
}

TraceBoard::Source::~Source() {
    if (is_shown()) {
        const std::lock_guard lock(board_->mutex_);
        place_->serial.store(0, std::memory_order_release);
        board_->places_taken_.fetch_sub(1, std::memory_order_relaxed);
    }
}

std::uint64_t TraceBoard::Source::serial() const noexcept {
    return is_shown() ? place_->serial.load(std::memory_order_relaxed) : 0;
}

void TraceBoard::Source::set_cells(unsigned count) noexcept {
    if (!is_shown()) {
        return;
    }
    const unsigned shown = std::min(count, trace_cells_max);
    for (unsigned i = place_->cells.load(std::memory_order_relaxed); i < shown; ++i) {
        clear(place_->cell[i]);
    }
    place_->cells.store(shown, std::memory_order_release);
}

void TraceBoard::Source::set_head(const TraceWords& words) noexcept {
    if (is_shown()) {
        write(place_->head, words);
    }
}

void TraceBoard::Source::set_cell(unsigned index, const TraceWords& words) noexcept {
    if (is_shown() && index < trace_cells_max) {
        write(place_->cell[index], words);
    }
}

void TraceBoard::Source::record(TraceEvent event) noexcept {
    if (is_shown()) {
        event.source = place_->serial.load(std::memory_order_relaxed);
        board_->record(event);
    }
}

}  // namespace v4lfence
