// SPDX-License-Identifier: MIT

#include "tools/trace/board_collector.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

namespace v4lfence {

namespace {

std::string name_of(pid_t pid) {
    std::ifstream file(fmt::format("/proc/{}/comm", pid));
    std::string name;
    std::getline(file, name);
    return name;
}

void add_children(pid_t pid, std::vector<pid_t>& tree) {
    std::error_code error;
    const std::string tasks = fmt::format("/proc/{}/task", pid);
    for (std::filesystem::directory_iterator at(tasks, error), end; !error && at != end;
         at.increment(error)) {
        std::ifstream file(at->path() / "children");
        pid_t child = 0;
        while (file >> child) {
            tree.push_back(child);
        }
    }
}

}  // namespace

Attempt<> BoardCollector::look_for_boards(pid_t pid) {
    auto found = BoardReader::find(pid);
    if (!found) {
        return tl::unexpected<Failure>(found.error());
    }
    for (BoardReader& reader : *found) {
        if (known_.insert(reader.identity()).second) {
            boards_.push_back({std::move(reader), process_of(pid)});
            look_at_sources(boards_.back());
        }
    }
    return {};
}

std::size_t BoardCollector::process_of(pid_t pid) {
    auto& processes = recording_.processes;
    const auto found = std::find_if(processes.begin(), processes.end(),
                                    [pid](const auto& each) { return each.pid == pid; });
    if (found != processes.end()) {
        return static_cast<std::size_t>(found - processes.begin());
    }
    processes.push_back({.pid = pid, .name = name_of(pid)});
    return processes.size() - 1;
}

void BoardCollector::look_at_sources(Board& board) {
    for (BoardSource& seen : board.reader.sources()) {
        RecordedSource& source = recording_.sources[source_of(board, seen.serial)];
        source.kind = seen.kind;
        source.name = std::move(seen.name);
        source.head = seen.head;
    }
}

std::size_t BoardCollector::source_of(Board& board, std::uint64_t serial) {
    const auto [at, is_new] = board.sources.try_emplace(serial, recording_.sources.size());
    if (is_new) {
        // One that has come and gone between two looks is known by its events alone.
        recording_.sources.push_back({.process = board.process, .name = "unknown"});
    }
    return at->second;
}

void BoardCollector::collect(UnfinishedRecord unfinished) {
    for (Board& board : boards_) {
        look_at_sources(board);
        const BoardEvents read = board.reader.events(board.next, unfinished);
        board.next = read.next;
        recording_.processes[board.process].lost += read.lost;
        for (const TraceEvent& event : read.events) {
            recording_.events.push_back({source_of(board, event.source), event});
        }
    }
}

std::vector<pid_t> process_tree(pid_t root) {
    std::vector<pid_t> tree = {root};
    for (std::size_t i = 0; i < tree.size(); ++i) {
        add_children(tree[i], tree);
    }
    return tree;
}

}  // namespace v4lfence
