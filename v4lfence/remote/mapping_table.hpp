// SPDX-License-Identifier: MIT
//
// The programs' mappings of buffers: each is counted in its buffer until it is unmapped, or until
// the connection that made it ends.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "v4lfence/base/result.hpp"
#include "v4lfence/vb2/buffer.hpp"
#include "v4lfence/vb2/program_memory.hpp"

namespace v4lfence::remote {

/// As many as a process can have by default (vm.max_map_count).
inline constexpr std::size_t mappings_max = 65530;

/// Thread: every member may be called from any thread.
class MappingTable {
public:
    using Program = ProgramMemory::Identity;

    /// Its number. Errors: ENOMEM the program's process has mappings_max, by whatever numbers of
    /// address spaces.
    Result<std::int64_t> add(int connection, const Program& program,
                             const std::shared_ptr<BufferMemory>& memory);
    /// Nothing where it is none of that program's.
    void remove(std::int64_t number, const Program& program);
    void end(int connection);

private:
    struct Mapping {
        int connection = 0;
        Program program;
        std::weak_ptr<BufferMemory> memory;
    };

    /// With the lock.
    void uncount(pid_t pid);
    /// Without: the last reference to memory may go here.
    static void uncount(const Mapping& mapping);

    std::mutex mutex_;
    std::unordered_map<std::int64_t, Mapping> mappings_;
    std::unordered_map<pid_t, std::size_t> counts_;  ///< Of each process that has some.
    std::int64_t last_ = 0;
};

}  // namespace v4lfence::remote
