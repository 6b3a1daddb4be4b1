// SPDX-License-Identifier: MIT

#include "v4lfence/uapi/layouts.hpp"

#include <linux/ioctl.h>

#include <algorithm>
#include <cstring>

namespace v4lfence {

namespace {

// Numbers are cut, or widened by their own sign. The target is packed: no reference to it.
#define COPY(field) to.field = static_cast<decltype(to.field)>(from.field)

struct BufferShape {
    using Wide = Buffer64;
    using Narrow = Buffer32;
    using NarrowTime32 = Buffer32Time32;

    template <class To, class From>
    static void copy(To& to, const From& from) {
        COPY(index);
        COPY(type);
        COPY(bytesused);
        COPY(flags);
        COPY(field);
        COPY(tv_sec);
        COPY(tv_usec);
        COPY(timecode);
        COPY(sequence);
        COPY(memory);
        COPY(m);
        COPY(length);
        COPY(reserved2);
        COPY(request_fd);
    }
};

struct PlaneShape {
    using Wide = Plane64;
    using Narrow = Plane32;
    using NarrowTime32 = Plane32;

    template <class To, class From>
    static void copy(To& to, const From& from) {
        COPY(bytesused);
        COPY(length);
        COPY(m);
        COPY(data_offset);
        COPY(reserved);
    }
};

struct EventShape {
    using Wide = Event64;
    using Narrow = Event32;
    using NarrowTime32 = Event32Time32;

    template <class To, class From>
    static void copy(To& to, const From& from) {
        COPY(type);
        COPY(u);
        COPY(pending);
        COPY(sequence);
        COPY(tv_sec);
        COPY(tv_nsec);
        COPY(id);
        COPY(reserved);
    }
};

struct ExtControlsShape {
    using Wide = ExtControls64;
    using Narrow = ExtControls32;
    using NarrowTime32 = ExtControls32;

    template <class To, class From>
    static void copy(To& to, const From& from) {
        COPY(which);
        COPY(count);
        COPY(error_idx);
        COPY(request_fd);
        COPY(reserved);
        COPY(controls);
    }
};

struct FormatShape {
    using Wide = Format64;
    using Narrow = Format32;
    using NarrowTime32 = Format32;

    template <class To, class From>
    static void copy(To& to, const From& from) {
        COPY(type);
        COPY(fmt);
    }
};

struct CreateBuffersShape {
    using Wide = CreateBuffers64;
    using Narrow = CreateBuffers32;
    using NarrowTime32 = CreateBuffers32;

    template <class To, class From>
    static void copy(To& to, const From& from) {
        COPY(index);
        COPY(count);
        COPY(memory);
        FormatShape::copy(to.format, from.format);
        COPY(last);
    }
};

struct InputShape {
    using Wide = Input64;
    using Narrow = Input32;
    using NarrowTime32 = Input32;

    template <class To, class From>
    static void copy(To& to, const From& from) {
        COPY(all);
    }
};

struct StandardShape {
    using Wide = Standard64;
    using Narrow = Standard32;
    using NarrowTime32 = Standard32;

    template <class To, class From>
    static void copy(To& to, const From& from) {
        COPY(index);
        COPY(id);
        COPY(rest);
    }
};

#undef COPY

template <class Shape, class To, class From>
void convert_struct(const std::byte* source, std::byte* target) {
    From from;
    std::memcpy(&from, source, sizeof from);
    To to{};
    Shape::copy(to, from);
    std::memcpy(target, &to, sizeof to);
}

template <class Shape, class From>
void convert_to(Layout to, const std::byte* source, std::byte* target) {
    switch (to) {
    case Layout::Wide:
        return convert_struct<Shape, typename Shape::Wide, From>(source, target);
    case Layout::Narrow:
        return convert_struct<Shape, typename Shape::Narrow, From>(source, target);
    case Layout::NarrowTime32:
        return convert_struct<Shape, typename Shape::NarrowTime32, From>(source, target);
    }
}

template <class Shape>
void convert_from(Layout to, Layout from, const std::byte* source, std::byte* target) {
    switch (from) {
    case Layout::Wide:
        return convert_to<Shape, typename Shape::Wide>(to, source, target);
    case Layout::Narrow:
        return convert_to<Shape, typename Shape::Narrow>(to, source, target);
    case Layout::NarrowTime32:
        return convert_to<Shape, typename Shape::NarrowTime32>(to, source, target);
    }
}

struct Row {
    std::uint8_t number;  ///< _IOC_NR()
    std::uint8_t direction;
    std::array<std::uint16_t, 3> sizes;  ///< By Layout.
    void (*convert)(Layout to, Layout from, const std::byte* source, std::byte* target);

    std::size_t size(Layout layout) const { return sizes[static_cast<std::size_t>(layout)]; }
    std::uint32_t request(Layout layout) const {
        return _IOC(direction, 'V', number, static_cast<std::uint32_t>(size(layout)));
    }
};

template <class Shape>
constexpr Row row(std::uint8_t number, std::uint8_t direction = _IOC_READ | _IOC_WRITE) {
    static_assert(sizeof(typename Shape::Wide) <= layout_size_max);
    return {number,
            direction,
            {sizeof(typename Shape::Wide), sizeof(typename Shape::Narrow),
             sizeof(typename Shape::NarrowTime32)},
            convert_from<Shape>};
}

/// The numbers are videodev2.h's. The overlay's and the EDIDs' ioctls differ too, but no device
/// here has them, and a bridged node's never leave the program's own layout.
constexpr std::array rows{
    row<FormatShape>(4),             // G_FMT
    row<FormatShape>(5),             // S_FMT
    row<BufferShape>(9),             // QUERYBUF
    row<BufferShape>(15),            // QBUF
    row<BufferShape>(17),            // DQBUF
    row<StandardShape>(25),          // ENUMSTD
    row<InputShape>(26),             // ENUMINPUT
    row<FormatShape>(64),            // TRY_FMT
    row<ExtControlsShape>(71),       // G_EXT_CTRLS
    row<ExtControlsShape>(72),       // S_EXT_CTRLS
    row<ExtControlsShape>(73),       // TRY_EXT_CTRLS
    row<EventShape>(89, _IOC_READ),  // DQEVENT
    row<CreateBuffersShape>(92),     // CREATE_BUFS
    row<BufferShape>(93),            // PREPARE_BUF
};

const Row* find_row(Layout layout, std::uint32_t request) {
    const auto* const found = std::find_if(
        rows.begin(), rows.end(), [&](const Row& each) { return each.request(layout) == request; });
    return found != rows.end() ? found : nullptr;
}

}  // namespace

std::uint32_t request_in(Layout to, Layout from, std::uint32_t request) {
    const Row* const found = find_row(from, request);
    return found != nullptr ? found->request(to) : request;
}

void convert(Layout to, Layout from, std::uint32_t request, const std::byte* source,
             std::byte* target) {
    if (const Row* const found = find_row(from, request)) {
        found->convert(to, from, source, target);
    } else {
        std::memcpy(target, source, _IOC_SIZE(request));
    }
}

bool has_planes(Layout layout, std::uint32_t request) {
    const Row* const found = find_row(layout, request);
    return found != nullptr && found->size(Layout::Wide) == sizeof(Buffer64);
}

void convert_planes(Layout to, Layout from, std::span<const std::byte> source,
                    std::span<std::byte> target) {
    const std::size_t count = source.size() / plane_size(from);
    for (std::size_t i = 0; i < count; ++i) {
        convert_from<PlaneShape>(to, from, source.subspan(i * plane_size(from)).data(),
                                 target.subspan(i * plane_size(to)).data());
    }
}

}  // namespace v4lfence
