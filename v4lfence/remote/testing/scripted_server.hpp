// SPDX-License-Identifier: MIT
//
// A device server's end of the protocol whose answers a test decides.

#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/base/unique_fd.hpp"
#include "v4lfence/remote/wire.hpp"

namespace v4lfence::remote::testing {

/// One call as it came. What is in `argument` and `payload` goes back.
struct ScriptedCall {
    Request request;
    std::vector<std::byte> argument;
    std::vector<std::byte> payload;
    RequestDescriptors descriptors;

    Reply reply;
    std::vector<UniqueFd> answered;
    bool hangs_up = false;  ///< The connection ends instead.

    template <class T>
    T& as() {
        return *reinterpret_cast<T*>(argument.data());
    }
};

/// Hello, Open, Attach and Closed are answered; everything else as the test says, or with nothing.
class ScriptedServer {
public:
    ScriptedServer();
    ~ScriptedServer();

    const std::string& address() const { return address_; }

    using Script = std::function<void(ScriptedCall&)>;
    /// From now on; on the server's thread.
    void on(Op op, Script script);
    /// What scripts have written can be read afterwards.
    void settle() { const std::lock_guard lock(mutex_); }

    /// Of the one file that there is.
    StatusPage& page() { return *reinterpret_cast<StatusPage*>(page_.bytes().data()); }
    int page_fd() const { return page_fd_.get(); }

    unsigned count(Op op) const { return counts_[static_cast<std::size_t>(op)].load(); }
    unsigned connections() const { return connections_.load(); }
    /// Closes its connections; die(): and everything else.
    void drop_connections() { command(Order::Drop); }
    void die() { command(Order::DropForGood); }

private:
    enum class Order : std::uint8_t { None, Drop, DropForGood, Stop };
    /// Returns when it is done.
    void command(Order order);
    bool obey(Order order);
    void run();
    void serve(std::size_t index);
    void answer(ScriptedCall& call);

    std::string address_;
    UniqueFd listener_;
    UniqueFd page_fd_;
    MappedMemory page_;
    UniqueFd bell_;
    std::mutex mutex_;  ///< Guards what follows.
    std::condition_variable obeyed_;
    Order order_ = Order::None;
    std::map<Op, Script> scripts_;
    std::vector<UniqueFd> peers_;
    std::vector<UniqueFd> file_ends_;
    std::array<std::atomic<unsigned>, 32> counts_{};
    std::atomic<unsigned> connections_{0};
    std::thread thread_;
};

}  // namespace v4lfence::remote::testing
