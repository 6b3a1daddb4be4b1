// SPDX-License-Identifier: MIT
//
// Topology: the connectors, CRTCs and planes of a card with their properties, as they were at one
// moment. Plain values: what is chosen from them (choice.hpp) needs no device.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "v4lfence/kms/drm.hpp"
#include "v4lfence/kms/formats.hpp"

namespace v4lfence {

/// The properties of one object, by their names.
class PropertyTable {
public:
    PropertyTable() = default;
    explicit PropertyTable(std::vector<DrmProperty> properties)
        : properties_(std::move(properties)) {}

    /// 0: it has none of that name.
    std::uint32_t id(std::string_view name) const;
    /// As it was at that moment; 0 where it has none of that name.
    std::uint64_t value(std::string_view name) const;
    /// What the driver calls so; empty: it offers no such choice, or has no such property.
    std::optional<std::uint64_t> choice(std::string_view name, std::string_view chosen) const;

private:
    const DrmProperty* find(std::string_view name) const;

    std::vector<DrmProperty> properties_;
};

/// As the property "type" counts them.
enum class PlaneType : std::uint64_t { Overlay = 0, Primary = 1, Cursor = 2 };

struct Connector {
    DrmConnector info;
    std::string name;  ///< "HDMI-A-1", as the kernel names it.
    PropertyTable properties;

    std::uint32_t crtc_id() const;
};

struct Crtc {
    std::uint32_t id = 0;
    unsigned index = 0;  ///< In masks of possible CRTCs.
    PropertyTable properties;
};

struct Plane {
    DrmPlane info;
    PlaneType type = PlaneType::Overlay;
    std::vector<PlaneFormat> formats;
    PropertyTable properties;

    std::uint32_t crtc_id() const;
    bool can_reach(const Crtc& crtc) const { return (info.possible_crtcs >> crtc.index & 1) != 0; }
};

struct Topology {
    std::vector<Connector> connectors;
    std::vector<Crtc> crtcs;
    std::vector<Plane> planes;
};

/// "HDMI-A-1"
std::string connector_name(std::uint32_t type, std::uint32_t type_number);

/// Of a device that has been told of a client with atomic mode-setting and universal planes.
/// Errors: what the device says.
Result<Topology> read_topology(Drm& drm);

}  // namespace v4lfence
