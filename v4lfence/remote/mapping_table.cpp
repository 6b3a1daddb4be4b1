// SPDX-License-Identifier: MIT

#include "v4lfence/remote/mapping_table.hpp"

#include <algorithm>

namespace v4lfence::remote {

void MappingTable::Mapping::uncount() const {
    if (const auto mapped = memory.lock()) {
        mapped->mappings.fetch_sub(1);
    }
}

Result<std::int64_t> MappingTable::add(int connection, const Program& program,
                                       const std::shared_ptr<BufferMemory>& memory) {
    const std::lock_guard lock(mutex_);
    const auto count = std::count_if(mappings_.begin(), mappings_.end(), [&](const auto& entry) {
        return entry.second.program == program;
    });
    if (static_cast<std::size_t>(count) >= mappings_max) {
        return fail(-ENOMEM, "mappings of a program");
    }
    mappings_.emplace(++last_, Mapping{connection, program, memory});
    memory->mappings.fetch_add(1);
    return last_;
}

void MappingTable::remove(std::int64_t number, const Program& program) {
    const std::lock_guard lock(mutex_);
    const auto found = mappings_.find(number);
    if (found != mappings_.end() && found->second.program == program) {
        found->second.uncount();
        mappings_.erase(found);
    }
}

void MappingTable::end(int connection) {
    const std::lock_guard lock(mutex_);
    std::erase_if(mappings_, [&](const auto& entry) {
        const bool ends = entry.second.connection == connection;
        if (ends) {
            entry.second.uncount();
        }
        return ends;
    });
}

}  // namespace v4lfence::remote
