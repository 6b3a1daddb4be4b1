// SPDX-License-Identifier: MIT
//
// FlatCall: a program's ioctl argument copied in, with the array it points to, and the answer
// copied out. What the kernel does for every driver.

#pragma once

#include <linux/videodev2.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "v4lfence/base/result.hpp"
#include "v4lfence/v4l2/call.hpp"
#include "v4lfence/v4l2/dispatch.hpp"

namespace v4lfence {

class ControlSet;

/// Which controls have a value behind a pointer.
class ControlSizes {
public:
    /// Bytes behind the pointer of this control's element; 0: it has a number, or is unknown.
    virtual std::uint32_t payload_size(std::uint32_t id) = 0;

protected:
    ~ControlSizes() = default;
};

/// Of a device in this process; NULL: it has none.
class LocalControlSizes final : public ControlSizes {
public:
    explicit LocalControlSizes(const ControlSet* controls) noexcept : controls_(controls) {}
    std::uint32_t payload_size(std::uint32_t id) override;

private:
    const ControlSet* controls_;
};

/// Thread: one. No allocation for what a frame needs (a v4l2_buffer and its planes).
class FlatCall {
public:
    /// Copies in, and zeroes what the program must not pass. `request` is the program's, whose size
    /// may be larger than the table's. Errors: EFAULT a pointer is none; EINVAL an array is too
    /// long; ENOMEM.
    Result<> copy_in(ControlSizes& sizes, const IoctlEntry& entry, std::uint32_t request,
                     void* argument);
    /// For a device in this process.
    Result<> copy_in(FileHandle& file, const IoctlEntry& entry, std::uint32_t request,
                     void* argument);

    /// Writes the answer over the program's argument, and the number of the descriptor that the
    /// program gets. `answered`: the handler succeeded; otherwise only what an error leaves.
    void copy_out(bool answered);

    Call& call() noexcept { return call_; }

    // For a device in another process, see to_local() for its side. Before the call is sent: what
    // points into the payload becomes an offset in it. When the answer has been written over
    // call().argument and call().payload, which keep their sizes: what copy_out() needs is back.
    void to_offsets();
    void to_pointers();

    FlatCall() = default;
    FlatCall(const FlatCall&) = delete;
    FlatCall& operator=(const FlatCall&) = delete;

private:
    static constexpr std::size_t argument_max = 256;
    static constexpr std::size_t payload_inline_max = 512;

    v4l2_buffer& buffer() const { return call_.as<v4l2_buffer>(); }
    v4l2_ext_controls& controls() const { return call_.as<v4l2_ext_controls>(); }

    /// What one element of an array of controls points to.
    struct ControlPayload {
        std::size_t offset = 0;          ///< In the payload of the call.
        std::uint32_t size = 0;          ///< So much of it is the control's.
        std::uint32_t program_size = 0;  ///< So much the program says there is.
        void* program = nullptr;
        bool exists = false;  ///< Otherwise the element holds a number.
    };

    Result<> copy_in_buffer();
    Result<> copy_in_controls(ControlSizes& sizes);
    Result<> make_payload(std::size_t size);
    void copy_out_buffer();
    void copy_out_controls();

    Call call_;
    const IoctlEntry* entry_ = nullptr;
    void* program_argument_ = nullptr;
    void* program_array_ = nullptr;  ///< What the argument points to.
    alignas(8) std::array<std::byte, argument_max> argument_;
    alignas(8) std::array<std::byte, payload_inline_max> payload_;
    std::unique_ptr<std::byte[]> large_payload_;
    std::vector<ControlPayload> payloads_;
};

// --- the device's side of a call from another process --------------------------------------------

/// A call as FlatCall::to_offsets() left it becomes one that a handler can have: what the program
/// must not pass is zeroed, offsets are pointers. Nothing in it is believed. `call` has its
/// argument and its payload, both aligned to 8 bytes; `argument_size` is that of the argument.
/// Errors: EINVAL the sizes, the counts or the offsets are not what copy_in() makes.
Result<> to_local(Call& call, const IoctlEntry& entry, std::size_t argument_size,
                  ControlSizes& sizes);

/// Before the answer is sent: no pointer of this process is left in it.
void to_remote(Call& call, const IoctlEntry& entry, ControlSizes& sizes);

}  // namespace v4lfence
