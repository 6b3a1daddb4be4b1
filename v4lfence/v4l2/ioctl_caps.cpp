// SPDX-License-Identifier: MIT
//
// QUERYCAP, LOG_STATUS, G_PRIORITY, S_PRIORITY.

#include <algorithm>
#include <cstring>
#include <string_view>

#include "v4lfence/v4l2/device.hpp"
#include "v4lfence/v4l2/handlers.hpp"

namespace v4lfence::ioctls {

namespace {

/// The kernel whose behaviour the devices have: 6.1.
constexpr std::uint32_t version = 6 << 16 | 1 << 8;

/// V4L2_CAP_ORDERED, as v5 of the patchset had it.
constexpr std::uint32_t rfc_cap_ordered = 0x20000000;

template <std::size_t size>
void copy_text(__u8 (&target)[size], std::string_view text) {
    std::memcpy(target, text.data(), std::min(text.size(), size - 1));
}

}  // namespace

Result<> querycap(FileHandle& file, Call& call) {
    auto& caps = call.as<v4l2_capability>();
    const DeviceIdentity& identity = file.device().identity();
    copy_text(caps.driver, identity.driver);
    copy_text(caps.card, identity.card);
    copy_text(caps.bus_info, identity.bus_info);
    caps.version = version;
    caps.device_caps = identity.device_caps | V4L2_CAP_EXT_PIX_FORMAT;
    if (file.rfc_caps() && identity.ordered) {
        caps.device_caps |= rfc_cap_ordered;
    }
    caps.capabilities = caps.device_caps | V4L2_CAP_DEVICE_CAPS;
    return {};
}

Result<> log_status(FileHandle& file, Call&) {
    file.device().log_status();
    return {};
}

Result<> g_priority(FileHandle& file, Call& call) {
    call.word() = file.device().highest_priority();
    return {};
}

Result<> s_priority(FileHandle& file, Call& call) {
    return file.device().set_priority(file, call.word());
}

}  // namespace v4lfence::ioctls
