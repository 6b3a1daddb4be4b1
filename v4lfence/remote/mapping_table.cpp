// SPDX-License-Identifier: MIT

#include "v4lfence/remote/mapping_table.hpp"

#include <optional>
#include <utility>
#include <vector>

namespace v4lfence::remote {

void MappingTable::uncount(pid_t pid) {
    const auto count = counts_.find(pid);
    if (--count->second == 0) {
        counts_.erase(count);
    }
}

void MappingTable::uncount(const Mapping& mapping) {
    if (const auto mapped = mapping.memory.lock()) {
        mapped->mappings.fetch_sub(1);
    }
}

Result<std::int64_t> MappingTable::add(int connection, const Program& program,
                                       const std::shared_ptr<BufferMemory>& memory) {
    const std::lock_guard lock(mutex_);
    std::size_t& count = counts_[program.pid];
    if (count >= mappings_max) {
        return fail(-ENOMEM, "mappings of a process");
    }
    ++count;
    mappings_.emplace(++last_, Mapping{connection, program, memory});
    memory->mappings.fetch_add(1);
    return last_;
}

void MappingTable::remove(std::int64_t number, const Program& program) {
    std::optional<Mapping> removed;
    {
        const std::lock_guard lock(mutex_);
        const auto found = mappings_.find(number);
        if (found == mappings_.end() || found->second.program != program) {
            return;
        }
        removed = std::move(found->second);
        mappings_.erase(found);
        uncount(program.pid);
    }
    uncount(*removed);
}

void MappingTable::end(int connection) {
    std::vector<Mapping> ended;
    {
        const std::lock_guard lock(mutex_);
        std::erase_if(mappings_, [&](auto& entry) {
            if (entry.second.connection != connection) {
                return false;
            }
            uncount(entry.second.program.pid);
            ended.push_back(std::move(entry.second));
            return true;
        });
    }
    for (const Mapping& mapping : ended) {
        uncount(mapping);
    }
}

}  // namespace v4lfence::remote
