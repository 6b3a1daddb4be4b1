// SPDX-License-Identifier: MIT

#include "tests/vm/camera/descriptors.hpp"

#include <array>

#include "tests/vm/camera/mode.hpp"

namespace v4lfence {
namespace {

// Descriptor types of USB 2.0 and its interface association addendum.
constexpr unsigned device_type = 1;
constexpr unsigned configuration_type = 2;
constexpr unsigned string_type = 3;
constexpr unsigned interface_type = 4;
constexpr unsigned endpoint_type = 5;
constexpr unsigned association_type = 11;
constexpr unsigned class_interface_type = 0x24;

// Subtypes of the video class.
constexpr unsigned control_header = 1;
constexpr unsigned input_terminal = 2;
constexpr unsigned output_terminal = 3;
constexpr unsigned input_header = 1;
constexpr unsigned format_uncompressed = 4;
constexpr unsigned frame_uncompressed = 5;
constexpr unsigned colour_matching = 13;

constexpr unsigned video_class = 14;
constexpr unsigned control_subclass = 1;
constexpr unsigned streaming_subclass = 2;
constexpr unsigned collection_subclass = 3;

constexpr unsigned camera_terminal_id = 1;
constexpr unsigned stream_terminal_id = 2;
constexpr std::uint32_t clock_hz =
    1'000'000;  // demanded by the header, meaningless without a clock

Bytes terminals() {
    ByteWriter d;
    d.u8({18, class_interface_type, input_terminal, camera_terminal_id}).u16(0x0201);
    d.u8({0, 0}).u16(0).u16(0).u16(0).u8({3, 0, 0, 0});  // no lens, no controls
    d.u8({9, class_interface_type, output_terminal, stream_terminal_id}).u16(0x0101);
    d.u8({0, camera_terminal_id, 0});
    return std::move(d).take();
}

Bytes control_interface() {
    const Bytes units = terminals();
    constexpr unsigned header_size = 13;
    ByteWriter d;
    d.u8({9, interface_type, 0, 0, 0, video_class, control_subclass, 0, 0});
    d.u8({header_size, class_interface_type, control_header}).u16(0x0110);
    d.u16(static_cast<std::uint32_t>(header_size + units.size())).u32(clock_hz);
    d.u8({1, 1});  // one streaming interface: number 1
    d.append(units);
    return std::move(d).take();
}

Bytes frame_descriptor(PictureFormat format, unsigned index) {
    const PictureSize size = picture_sizes[index - 1];
    const std::uint32_t bytes = picture_bytes(format, size);
    const auto count = static_cast<unsigned>(frame_intervals.size());
    ByteWriter d;
    d.u8({26 + 4 * count, class_interface_type, frame_uncompressed, index, 0});
    d.u16(size.width).u16(size.height);
    d.u32(bytes * 8 * 5).u32(bytes * 8 * 60);  // bits a second, slowest and fastest
    d.u32(bytes).u32(default_interval).u8({count});
    for (std::uint32_t interval : frame_intervals) {
        d.u32(interval);
    }
    return std::move(d).take();
}

Bytes format_descriptors() {
    // The rest of a format's GUID, behind its four characters.
    constexpr std::array<std::uint8_t, 12> guid_tail{0, 0,    0x10, 0,    0x80, 0,
                                                     0, 0xaa, 0,    0x38, 0x9b, 0x71};
    ByteWriter d;
    for (PictureFormat format : picture_formats) {
        d.u8({27, class_interface_type, format_uncompressed, static_cast<unsigned>(format),
              static_cast<unsigned>(picture_sizes.size())});
        d.text(format == PictureFormat::Yuyv ? "YUY2" : "NV12");
        d.append({guid_tail.begin(), guid_tail.end()});
        d.u8({bits_per_pixel(format), 1, 0, 0, 0, 0});
        for (unsigned index = 1; index <= picture_sizes.size(); ++index) {
            d.append(frame_descriptor(format, index));
        }
        d.u8({6, class_interface_type, colour_matching, 1, 1, 4});  // BT.709, matrix of BT.601
    }
    return std::move(d).take();
}

// With one alternate setting only: uvcvideo takes that for a bulk camera.
Bytes streaming_interface() {
    const Bytes formats = format_descriptors();
    constexpr unsigned header_size = 13 + picture_formats.size();
    ByteWriter d;
    d.u8({9, interface_type, 1, 0, 1, video_class, streaming_subclass, 0, 0});
    d.u8({header_size, class_interface_type, input_header, picture_formats.size()});
    d.u16(static_cast<std::uint32_t>(header_size + formats.size()));
    d.u8({video_endpoint, 0, stream_terminal_id, 0, 0, 0, 1, 0, 0});
    d.append(formats);
    constexpr unsigned bulk = 2;
    d.u8({7, endpoint_type, video_endpoint, bulk}).u16(512).u8({0});
    return std::move(d).take();
}

}  // namespace

Bytes device_descriptor() {
    ByteWriter d;
    d.u8({18, device_type}).u16(0x0200);
    d.u8({0xef, 2, 1, 64});  // the functions are associations; 64 bytes on endpoint 0
    // The Linux Foundation's number for a gadget camera: uvcvideo has no quirks for it.
    d.u16(0x1d6b).u16(0x0102).u16(0x0100);
    d.u8({1, 2, 3, 1});  // strings: maker, product, serial; one configuration
    return std::move(d).take();
}

Bytes configuration_descriptor() {
    const Bytes control = control_interface();
    const Bytes streaming = streaming_interface();
    constexpr unsigned own_size = 9;
    constexpr unsigned association_size = 8;
    ByteWriter d;
    d.u8({own_size, configuration_type});
    d.u16(static_cast<std::uint32_t>(own_size + association_size + control.size() +
                                     streaming.size()));
    d.u8({2, 1, 0, 0x80, 50});  // two interfaces, bus powered, 100 mA
    d.u8({association_size, association_type, 0, 2, video_class, collection_subclass, 0, 2});
    d.append(control).append(streaming);
    return std::move(d).take();
}

Bytes string_descriptor(unsigned index, std::string_view serial) {
    const std::array<std::string_view, 4> texts{"", "v4lfence", "Emulated UVC camera", serial};
    ByteWriter d;
    if (index == 0) {
        return std::move(d.u8({4, string_type}).u16(0x0409)).take();  // the one language: English
    }
    if (index >= texts.size()) {
        return {};
    }
    d.u8({static_cast<unsigned>(2 + 2 * texts[index].size()), string_type});
    for (char character : texts[index]) {
        d.u16(static_cast<unsigned char>(character));
    }
    return std::move(d).take();
}

}  // namespace v4lfence
