// SPDX-License-Identifier: MIT

#include "tests/vm/camera/control.hpp"

#include <algorithm>

#include "tests/vm/camera/descriptors.hpp"

namespace v4lfence {
namespace {

// bmRequestType
constexpr unsigned kind_mask = 0x60;
constexpr unsigned standard_kind = 0x00;
constexpr unsigned recipient_mask = 0x1f;
constexpr unsigned endpoint_recipient = 2;
constexpr unsigned without_direction = 0x7f;
constexpr unsigned class_to_interface = 0x21;

// Standard requests
constexpr unsigned get_status = 0;
constexpr unsigned clear_feature = 1;
constexpr unsigned set_feature = 3;
constexpr unsigned get_descriptor = 6;
constexpr unsigned get_configuration = 8;
constexpr unsigned set_configuration = 9;
constexpr unsigned get_interface = 10;
constexpr unsigned set_interface = 11;

// Requests of the video class
constexpr unsigned set_cur = 0x01;
constexpr unsigned get_cur = 0x81;
constexpr unsigned get_min = 0x82;
constexpr unsigned get_max = 0x83;
constexpr unsigned get_res = 0x84;
constexpr unsigned get_len = 0x85;
constexpr unsigned get_info = 0x86;
constexpr unsigned get_def = 0x87;

constexpr unsigned control_interface_number = 0;
constexpr unsigned streaming_interface_number = 1;
constexpr unsigned request_error_selector = 2;
constexpr unsigned probe_selector = 1;
constexpr unsigned commit_selector = 2;
constexpr unsigned invalid_control_error = 6;
constexpr std::size_t negotiation_size = 34;  // of UVC 1.1

VideoMode negotiated(const Bytes& wish) {
    VideoMode mode;
    if (wish.size() < 8) {
        return mode;
    }
    for (PictureFormat format : picture_formats) {
        if (wish[2] == static_cast<std::uint8_t>(format)) {
            mode.format = format;
        }
    }
    if (wish[3] >= 1 && wish[3] <= picture_sizes.size()) {
        mode.size_index = wish[3];
    }
    mode.interval = nearest_interval(wish[4] | std::uint32_t{wish[5]} << 8 |
                                     std::uint32_t{wish[6]} << 16 | std::uint32_t{wish[7]} << 24);
    return mode;
}

Bytes negotiation_block(const VideoMode& mode) {
    ByteWriter d;
    d.u16(1);  // the frame interval is to be kept
    d.u8({static_cast<unsigned>(mode.format), mode.size_index}).u32(mode.interval);
    d.u16(0).u16(0).u16(0).u16(0).u16(0);
    d.u32(mode.bytes());
    d.u32(static_cast<std::uint32_t>(mode.bytes() + payload_header_size));  // a payload is a frame
    d.u32(1'000'000);
    d.u8({3, 1, 1, 1});  // the header's frame id and end of frame bits are in use
    return std::move(d).take();
}

}  // namespace

std::optional<ControlAnswer> ControlEndpoint::handle(const UsbTransfer& transfer) {
    const UsbSetup& setup = transfer.setup;
    std::optional<ControlAnswer> answer;
    if ((setup.type & kind_mask) == standard_kind) {
        answer = handle_standard(setup);
    } else if ((setup.type & without_direction) == class_to_interface) {
        answer = handle_video(setup, transfer.data);
    }
    if (answer) {
        answer->data.resize(std::min<std::size_t>(answer->data.size(), setup.length));
    }
    return answer;
}

std::optional<ControlAnswer> ControlEndpoint::handle_standard(const UsbSetup& setup) const {
    switch (setup.request) {
    case get_descriptor: {
        Bytes data;
        switch (setup.value >> 8) {
        case 1:
            data = device_descriptor();
            break;
        case 2:
            data = configuration_descriptor();
            break;
        case 3:
            data = string_descriptor(setup.value & 0xff, serial_);
            break;
        default:
            break;
        }
        return data.empty() ? std::nullopt : std::optional(ControlAnswer{std::move(data)});
    }
    case get_status:
        return ControlAnswer{{0, 0}};
    case get_configuration:
        return ControlAnswer{{1}};
    case get_interface:
        return ControlAnswer{{0}};
    case set_configuration:
        return setup.value > 1 ? std::nullopt
                               : std::optional(ControlAnswer{{}, StreamChange::Stop});
    case set_interface:
        return setup.value > 0 ? std::nullopt
                               : std::optional(ControlAnswer{{}, StreamChange::Stop});
    case set_feature:
        return ControlAnswer{};
    case clear_feature: {
        // On a bulk endpoint this is how uvcvideo stops a stream.
        const bool video =
            (setup.type & recipient_mask) == endpoint_recipient && setup.index == video_endpoint;
        return ControlAnswer{{}, video ? StreamChange::Stop : StreamChange::None};
    }
    default:
        return std::nullopt;
    }
}

std::optional<ControlAnswer> ControlEndpoint::handle_video(const UsbSetup& setup,
                                                           const Bytes& data) {
    const unsigned selector = setup.value >> 8;
    if (setup.index == control_interface_number && selector == request_error_selector &&
        setup.request == get_cur) {
        return ControlAnswer{{invalid_control_error}};
    }
    if (setup.index != streaming_interface_number ||
        (selector != probe_selector && selector != commit_selector)) {
        return std::nullopt;
    }
    VideoMode mode = selector == probe_selector ? probed_ : committed_;
    switch (setup.request) {
    case set_cur:
        probed_ = negotiated(data);
        if (selector == probe_selector) {
            return ControlAnswer{};
        }
        committed_ = probed_;
        return ControlAnswer{{}, StreamChange::Start};
    case get_len:
        return ControlAnswer{{negotiation_size, 0}};
    case get_info:
        return ControlAnswer{{3}};  // can be read and written
    case get_res:
        return ControlAnswer{Bytes(negotiation_size)};
    case get_cur:
        break;
    case get_min:
        mode.interval = frame_intervals.front();
        break;
    case get_max:
        mode.interval = frame_intervals.back();
        break;
    case get_def:
        mode = VideoMode{};
        break;
    default:
        return std::nullopt;
    }
    return ControlAnswer{negotiation_block(mode)};
}

}  // namespace v4lfence
