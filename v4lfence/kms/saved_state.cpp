// SPDX-License-Identifier: MIT

#include "v4lfence/kms/saved_state.hpp"

#include <array>
#include <utility>

namespace v4lfence {

namespace {

constexpr std::array plane_values = {"FB_ID",
                                     "CRTC_ID",
                                     "SRC_X",
                                     "SRC_Y",
                                     "SRC_W",
                                     "SRC_H",
                                     "CRTC_X",
                                     "CRTC_Y",
                                     "CRTC_W",
                                     "CRTC_H",
                                     "alpha",
                                     "rotation",
                                     "pixel blend mode",
                                     "COLOR_ENCODING",
                                     "COLOR_RANGE"};

/// What the property had; nothing where that is gone.
std::vector<std::byte> content_of(Drm& drm, const PropertyTable& table, const char* name) {
    const auto blob = static_cast<std::uint32_t>(table.value(name));
    auto content = blob != 0 ? drm.read_blob(blob) : Result<std::vector<std::byte>>();
    return content ? std::move(*content) : std::vector<std::byte>();
}

/// An empty one has number 0.
Result<PropertyBlob> blob_of(Drm& drm, const std::vector<std::byte>& content) {
    return content.empty() ? PropertyBlob() : PropertyBlob::create(drm, content);
}

}  // namespace

SavedState SavedState::read(Drm& drm, const Topology& topology, const OutputChoice& choice) {
    SavedState saved;
    for (const Crtc& crtc : topology.crtcs) {
        if (!touches(topology, choice, crtc.id)) {
            continue;
        }
        SavedCrtc known;
        known.ports = ports_of(crtc);
        known.mode = content_of(drm, crtc.properties, "MODE_ID");
        known.active = !known.mode.empty() && crtc.properties.value("ACTIVE") != 0;
        known.variable_refresh = crtc.properties.value("VRR_ENABLED");
        for (std::size_t table = 0; table < colour_tables.size(); ++table) {
            known.tables[table] = content_of(drm, crtc.properties, colour_tables[table]);
        }
        saved.crtcs_.push_back(std::move(known));
    }
    for (std::size_t i = 0; i < topology.connectors.size(); ++i) {
        const Connector& connector = topology.connectors[i];
        if (i == choice.connector || touches(topology, choice, connector.crtc_id())) {
            const ConnectorPorts ports = ports_of(connector);
            saved.connectors_.push_back(ports);
            saved.values_.push_back({ports.id, ports.crtc, connector.crtc_id()});
        }
    }
    for (std::size_t i = 0; i < topology.planes.size(); ++i) {
        const Plane& plane = topology.planes[i];
        if (i != choice.plane && choice.under != std::optional(i) &&
            !touches(topology, choice, plane.crtc_id())) {
            continue;
        }
        saved.planes_.push_back(ports_of(plane));
        for (const char* const name : plane_values) {
            if (const std::uint32_t property = plane.properties.id(name); property != 0) {
                saved.values_.push_back({plane.info.id, property, plane.properties.value(name)});
            }
        }
    }
    return saved;
}

Result<> SavedState::put_back_manners(const SavedCrtc& crtc, Drm& drm, AtomicRequest& request,
                                      std::vector<PropertyBlob>& blobs) {
    for (std::size_t table = 0; table < colour_tables.size(); ++table) {
        if (crtc.ports.tables[table] != 0) {
            blobs.push_back(V4LFENCE_TRY(blob_of(drm, crtc.tables[table])));
            request.set(crtc.ports.id, crtc.ports.tables[table], blobs.back().id());
        }
    }
    if (crtc.ports.variable_refresh != 0) {
        request.set(crtc.ports.id, crtc.ports.variable_refresh, crtc.variable_refresh);
    }
    return {};
}

Result<> SavedState::put_back(Drm& drm) const {
    AtomicRequest request;
    std::vector<PropertyBlob> blobs;
    for (const SavedCrtc& crtc : crtcs_) {
        blobs.push_back(V4LFENCE_TRY(blob_of(drm, crtc.mode)));
        request.set(crtc.ports.id, crtc.ports.mode, blobs.back().id());
        request.set(crtc.ports.id, crtc.ports.active, crtc.active ? 1 : 0);
        V4LFENCE_TRY(put_back_manners(crtc, drm, request, blobs));
    }
    for (const Value& value : values_) {
        request.set(value.object, value.property, value.value);
    }
    return drm.commit(request, DRM_MODE_ATOMIC_ALLOW_MODESET);
}

Result<> SavedState::turn_all_off(Drm& drm) const {
    AtomicRequest request;
    std::vector<PropertyBlob> blobs;
    for (const SavedCrtc& crtc : crtcs_) {
        turn_off(request, crtc.ports);
        V4LFENCE_TRY(put_back_manners(crtc, drm, request, blobs));
    }
    for (const ConnectorPorts& connector : connectors_) {
        turn_off(request, connector);
    }
    for (const PlanePorts& plane : planes_) {
        put_nothing(request, plane);
    }
    return drm.commit(request, DRM_MODE_ATOMIC_ALLOW_MODESET);
}

Result<> SavedState::restore(Drm& drm) const {
    const auto done = put_back(drm);
    if (done || done.error().code == -EACCES) {
        return done;
    }
    return turn_all_off(drm);
}

}  // namespace v4lfence
