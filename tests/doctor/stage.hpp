// SPDX-License-Identifier: MIT
//
// What the programs that hang on purpose have in common: a capture queue, fences, and how they tell
// their parent that the hang is there.

#pragma once

#include <linux/videodev2.h>

#include <optional>
#include <string>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/v4lfence.hpp"

namespace v4lfence::hangs {

/// Ends the program with a sentence and status 1. A test may do that.
[[noreturn]] void give_up(const std::string& why);
/// Ends it where a call has returned less than 0.
int well(int status, const char* what);

/// Buffers of a capture device, in its own memory, single-planar.
class Stream {
public:
    Stream(const std::string& device, unsigned buffers);

    int fd() const { return file_.fd(); }
    /// Returns the out-fence where one is wanted.
    api::Fence queue(unsigned index, int in_fence = -1, bool out = false);
    void start();
    /// Blocks. What DQBUF returned.
    int dequeue();
    void set_control(unsigned id, int value);
    /// Until the library has something for the program: a failed buffer, or a failed queue.
    void wait_for_news();

private:
    api::File file_;
};

/// Where an unnamed pipe is the fence.
sys::Pipe make_pipe();

/// Tells the parent, by a line on stdout: "staged KEY=VALUE ...".
void tell_staged(const std::string& facts);
/// Until stdin ends.
void stay();

/// A process of its own, with this name, that closes all of `not_its` and runs `what`; it ends with
/// its parent.
pid_t start_child(const char* name, std::vector<int> not_its, void (*what)(int argument),
                  int argument);
/// Until it is stopped by a signal.
void wait_until_stopped(pid_t child);

}  // namespace v4lfence::hangs
