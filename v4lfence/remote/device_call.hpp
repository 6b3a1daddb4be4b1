// SPDX-License-Identifier: MIT
//
// DeviceCall: one ioctl of a program, made by a device server.

#pragma once

#include <linux/videodev2.h>

#include <cstddef>
#include <cstdint>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/base/result.hpp"
#include "v4lfence/remote/client.hpp"
#include "v4lfence/remote/wire.hpp"
#include "v4lfence/uapi/wide_call.hpp"
#include "v4lfence/v4l2/dispatch.hpp"
#include "v4lfence/v4l2/flatten.hpp"

namespace v4lfence::remote {

/// Thread: one. No allocation for what a frame needs.
class DeviceCall {
public:
    /// `fd`: by which the program calls.
    DeviceCall(const IoctlEntry& entry, int fd) : entry_(entry), fd_(fd) {}

    /// Errors: as FlatCall::copy_in().
    Result<> copy_in(ControlSizes& sizes, std::uint32_t request, void* argument);

    /// Asks the server, on a connection as Client::lease() has it, and copies out. The reply's
    /// error is what the ioctl answers. Errors: as Client::ask().
    Result<Reply> make(Client& client, const WakeOf& wanted);

private:
    enum class Closed : std::uint8_t { Pass, LeaveOut };

    v4l2_buffer& buffer() { return flat_.call().as<v4l2_buffer>(); }
    bool queues() const;
    void check_user_memory();
    template <class Plane>
    void check_user_plane(Plane& plane, MemoryUse use);
    Message message(Closed closed);
    Result<Client::Lease> ask(Client& client, const WakeOf& wanted);
    std::size_t argument_size() const;
    std::size_t awaited();
    Result<> take_content(Connection& connection);
    Result<> take_descriptor(Incoming<Reply>& answer);

    const IoctlEntry& entry_;
    const int fd_;
    FlatCall flat_;
    WideRoom room_;
    WideCall wide_;         ///< What is sent.
    int memory_error_ = 0;  ///< Negative errno: USERPTR memory cannot be used.
};

}  // namespace v4lfence::remote
