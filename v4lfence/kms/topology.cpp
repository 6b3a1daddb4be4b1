// SPDX-License-Identifier: MIT

#include "v4lfence/kms/topology.hpp"

#include <xf86drmMode.h>

#include <algorithm>
#include <utility>

namespace v4lfence {

namespace {

constexpr unsigned crtcs_max = 32;  // Bits of possible_crtcs.

Result<Connector> read_connector(Drm& drm, std::uint32_t id) {
    Connector connector;
    connector.info = V4LFENCE_TRY(drm.connector(id));
    connector.name = connector_name(connector.info.type, connector.info.type_number);
    connector.properties = PropertyTable(V4LFENCE_TRY(drm.properties(id, DrmObject::Connector)));
    return connector;
}

std::vector<PlaneFormat> formats_of(Drm& drm, const Plane& plane) {
    const std::uint64_t blob = plane.properties.value("IN_FORMATS");
    if (blob != 0) {
        const auto content = drm.read_blob(static_cast<std::uint32_t>(blob));
        auto formats = content ? parse_in_formats(*content) : std::vector<PlaneFormat>();
        if (!formats.empty()) {
            return formats;
        }
    }
    return formats_without_modifiers(plane.info.formats);
}

Result<Plane> read_plane(Drm& drm, std::uint32_t id) {
    Plane plane;
    plane.info = V4LFENCE_TRY(drm.plane(id));
    plane.properties = PropertyTable(V4LFENCE_TRY(drm.properties(id, DrmObject::Plane)));
    plane.type = static_cast<PlaneType>(plane.properties.value("type"));
    plane.formats = formats_of(drm, plane);
    return plane;
}

}  // namespace

const DrmProperty* PropertyTable::find(std::string_view name) const {
    const auto found =
        std::find_if(properties_.begin(), properties_.end(),
                     [name](const DrmProperty& property) { return property.name == name; });
    return found == properties_.end() ? nullptr : &*found;
}

std::uint32_t PropertyTable::id(std::string_view name) const {
    const DrmProperty* const found = find(name);
    return found == nullptr ? 0 : found->id;
}

std::uint64_t PropertyTable::value(std::string_view name) const {
    const DrmProperty* const found = find(name);
    return found == nullptr ? 0 : found->value;
}

std::optional<std::uint64_t> PropertyTable::choice(std::string_view name,
                                                   std::string_view chosen) const {
    const DrmProperty* const found = find(name);
    if (found == nullptr) {
        return std::nullopt;
    }
    const auto named =
        std::find_if(found->choices.begin(), found->choices.end(),
                     [chosen](const DrmChoice& choice) { return choice.name == chosen; });
    return named == found->choices.end() ? std::nullopt : std::optional(named->value);
}

std::uint32_t Connector::crtc_id() const {
    return static_cast<std::uint32_t>(properties.value("CRTC_ID"));
}

std::uint32_t Plane::crtc_id() const {
    return static_cast<std::uint32_t>(properties.value("CRTC_ID"));
}

std::string connector_name(std::uint32_t type, std::uint32_t type_number) {
    const char* const name = drmModeGetConnectorTypeName(type);
    return std::string(name != nullptr ? name : "Unknown") + "-" + std::to_string(type_number);
}

Result<Topology> read_topology(Drm& drm) {
    const DrmResources resources = V4LFENCE_TRY(drm.resources());
    Topology topology;
    for (const std::uint32_t id : resources.connectors) {
        auto connector = read_connector(drm, id);
        // One of a dock that has been pulled out meanwhile is gone, and no failure.
        if (connector) {
            topology.connectors.push_back(std::move(*connector));
        } else if (connector.error().code != -ENOENT) {
            return tl::unexpected<Error>(connector.error());
        }
    }
    for (unsigned index = 0; index < resources.crtcs.size() && index < crtcs_max; ++index) {
        const std::uint32_t id = resources.crtcs[index];
        topology.crtcs.push_back(
            {id, index, PropertyTable(V4LFENCE_TRY(drm.properties(id, DrmObject::Crtc)))});
    }
    for (const std::uint32_t id : V4LFENCE_TRY(drm.planes())) {
        topology.planes.push_back(V4LFENCE_TRY(read_plane(drm, id)));
    }
    return topology;
}

}  // namespace v4lfence
