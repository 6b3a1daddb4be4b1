// SPDX-License-Identifier: MIT
//
// UsbIpLink: the device's end of a USB/IP connection, after the attachment. The other end is the
// kernel's vhci-hcd.

#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <variant>

#include "tests/vm/camera/bytes.hpp"
#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

/// The eight bytes of a control transfer, in words.
struct UsbSetup {
    std::uint8_t type = 0;
    std::uint8_t request = 0;
    std::uint16_t value = 0;
    std::uint16_t index = 0;
    std::uint16_t length = 0;
};

/// The host wants data (`in`) or has sent some.
struct UsbTransfer {
    std::uint32_t seqnum = 0;
    std::uint32_t endpoint = 0;  ///< Without the direction bit.
    bool in = false;
    std::uint32_t length = 0;  ///< How much the host takes or has sent.
    UsbSetup setup;            ///< On endpoint 0.
    Bytes data;                ///< What the host has sent.
};

/// The host takes a transfer back.
struct UsbUnlink {
    std::uint32_t seqnum = 0;
    std::uint32_t victim = 0;
};

using UsbMessage = std::variant<UsbTransfer, UsbUnlink>;

class UsbIpLink {
public:
    /// `socket` is a connected stream.
    explicit UsbIpLink(UniqueFd socket) : socket_(std::move(socket)) {}

    int fd() const { return socket_.get(); }

    /// Blocks until a whole message is there. Errors: ENODEV when the host has let go, EPROTO on a
    /// message that is none.
    Result<UsbMessage> receive();

    /// Ends an IN transfer with `head` and then `body`. Their sum fits into the transfer.
    Result<> answer(std::uint32_t seqnum, std::span<const std::uint8_t> head,
                    std::span<const std::uint8_t> body = {});

    /// Ends an OUT transfer of which `taken` bytes were welcome.
    Result<> acknowledge(std::uint32_t seqnum, std::uint32_t taken);

    /// Ends any transfer with a negative errno; -EPIPE is a stall.
    Result<> refuse(std::uint32_t seqnum, int status);

    /// `found`: the victim had not been answered yet, and will not be.
    Result<> answer_unlink(const UsbUnlink& unlink, bool found);

private:
    // Both directions start with twelve words, big-endian.
    using Header = std::array<std::uint32_t, 12>;

    Result<> receive_all(void* to, std::size_t size);
    Result<> send(std::uint32_t command, std::uint32_t seqnum, int status, std::uint32_t actual,
                  std::span<const std::uint8_t> head = {}, std::span<const std::uint8_t> body = {});

    UniqueFd socket_;
};

}  // namespace v4lfence
