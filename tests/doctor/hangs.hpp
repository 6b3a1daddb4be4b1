// SPDX-License-Identifier: MIT
//
// The hangs, each a function that stages one on a device, tells its parent and stays so until stdin
// ends. What it tells is what a diagnosis has to find.

#pragma once

#include <string>

namespace v4lfence::hangs {

// Of one process.
void this_program(const std::string& device);
void this_program_socket(const std::string& device);
void nobody(const std::string& device);
void own_cycle_dequeue(const std::string& device);
void own_cycle_poll(const std::string& device);
void idle_producer(const std::string& device);
void starvation(const std::string& device);
void failed_start(const std::string& device);
void never_dequeued(const std::string& device);
void deadline_expired(const std::string& device);
void bound_expired(const std::string& device);
void device_gone(const std::string& device);
void silent_device(const std::string& device);
void nothing_queued(const std::string& device);
void healthy(const std::string& device);

// Of two.
void other_process(const std::string& device);
void stopped_holder(const std::string& device);
void stopped_producer(const std::string& device);

}  // namespace v4lfence::hangs
