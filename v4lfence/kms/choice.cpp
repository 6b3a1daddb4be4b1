// SPDX-License-Identifier: MIT

#include "v4lfence/kms/choice.hpp"

#include <algorithm>
#include <vector>

namespace v4lfence {

namespace {

const char* connection_words(const Connector& connector) {
    switch (connector.info.connection) {
    case Connection::Connected:
        return connector.info.modes.empty() ? "connected, without a mode" : "connected";
    case Connection::Disconnected:
        return "not connected";
    case Connection::Unknown:
        return "not known whether connected";
    }
    return "";
}

bool is_usable(const Connector& connector, Connection connection) {
    return connector.info.connection == connection && !connector.info.modes.empty();
}

std::optional<std::size_t> find_connector(const Topology& topology, Connection connection) {
    for (std::size_t i = 0; i < topology.connectors.size(); ++i) {
        if (is_usable(topology.connectors[i], connection)) {
            return i;
        }
    }
    return std::nullopt;
}

bool drives_another(const Topology& topology, const Crtc& crtc, const Connector& connector) {
    return std::any_of(topology.connectors.begin(), topology.connectors.end(),
                       [&](const Connector& other) {
                           return other.info.id != connector.info.id && other.crtc_id() == crtc.id;
                       });
}

/// In the order in which they are tried.
std::vector<std::size_t> possible_crtcs(const Topology& topology, const Connector& connector) {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < topology.crtcs.size(); ++i) {
        const Crtc& crtc = topology.crtcs[i];
        if (crtc.id == connector.crtc_id()) {
            found.insert(found.begin(), i);
        } else if ((connector.info.possible_crtcs >> crtc.index & 1) != 0 &&
                   !drives_another(topology, crtc, connector)) {
            found.push_back(i);
        }
    }
    return found;
}

/// One that this CRTC has already, else one that no CRTC has. `fourcc` 0: any format will do.
std::optional<std::size_t> find_plane(const Topology& topology, const Crtc& crtc, PlaneType type,
                                      std::uint32_t fourcc) {
    std::optional<std::size_t> free;
    for (std::size_t i = 0; i < topology.planes.size(); ++i) {
        const Plane& plane = topology.planes[i];
        const bool fits = plane.type == type && plane.can_reach(crtc) &&
                          (fourcc == 0 || takes_format(plane.formats, fourcc));
        if (fits && plane.crtc_id() == crtc.id) {
            return i;
        }
        if (fits && plane.crtc_id() == 0 && !free) {
            free = i;
        }
    }
    return free;
}

const char* type_words(PlaneType type) {
    return type == PlaneType::Overlay ? "overlay" : "primary";
}

/// Why there is no plane, and what there is instead.
tl::unexpected<KmsError> no_plane(const Topology& topology, const std::vector<std::size_t>& crtcs,
                                  const Connector& connector, const DisplayWish& wish) {
    const char* const type = type_words(wish.plane);
    if (wish.fourcc == 0) {
        return refuse(-ENODEV, connector.name, " has no free ", type, " plane");
    }
    std::string other;
    const PlaneType other_type =
        wish.plane == PlaneType::Overlay ? PlaneType::Primary : PlaneType::Overlay;
    std::string formats;
    for (const std::size_t crtc : crtcs) {
        if (const auto any = find_plane(topology, topology.crtcs[crtc], wish.plane, 0)) {
            formats = list_formats(topology.planes[*any].formats);
        }
        if (find_plane(topology, topology.crtcs[crtc], other_type, wish.fourcc)) {
            other = words("; an ", type_words(other_type), " plane would take it");
        }
    }
    if (formats.empty()) {
        return refuse(-ENODEV, connector.name, " has no free ", type, " plane", other);
    }
    return refuse(-ENODEV, "no ", type, " plane of ", connector.name, " takes the format ",
                  fourcc_name(wish.fourcc), ", but ", formats, other);
}

}  // namespace

bool touches(const Topology& topology, const OutputChoice& choice, std::uint32_t crtc_id) {
    return crtc_id != 0 && (crtc_id == topology.crtcs[choice.crtc].id ||
                            crtc_id == topology.connectors[choice.connector].crtc_id());
}

std::string list_connectors(const Topology& topology) {
    std::string list;
    for (const Connector& connector : topology.connectors) {
        list +=
            words(list.empty() ? "" : ", ", connector.name, " (", connection_words(connector), ")");
    }
    return list.empty() ? "none at all" : list;
}

Outcome<std::size_t> choose_connector(const Topology& topology, std::string_view name) {
    if (name.empty()) {
        auto found = find_connector(topology, Connection::Connected);
        found = found ? found : find_connector(topology, Connection::Unknown);
        if (!found) {
            return refuse(-ENODEV,
                          "no display is connected; its connectors: ", list_connectors(topology));
        }
        return *found;
    }
    for (std::size_t i = 0; i < topology.connectors.size(); ++i) {
        const Connector& connector = topology.connectors[i];
        if (connector.name == name && (is_usable(connector, Connection::Connected) ||
                                       is_usable(connector, Connection::Unknown))) {
            return i;
        }
        if (connector.name == name) {
            return refuse(-ENODEV, "connector ", name, " is ", connection_words(connector),
                          "; there are: ", list_connectors(topology));
        }
    }
    return refuse(-ENODEV, "no connector is named ", name,
                  "; there are: ", list_connectors(topology));
}

Outcome<OutputChoice> choose_output(const Topology& topology, const DisplayWish& wish) {
    if (wish.plane == PlaneType::Cursor) {
        return refuse(-EINVAL, "a cursor plane shows no pictures");
    }
    const auto number = choose_connector(topology, wish.connector);
    if (!number) {
        return tl::unexpected<KmsError>(number.error());
    }
    const Connector& connector = topology.connectors[*number];
    const auto crtcs = possible_crtcs(topology, connector);
    if (crtcs.empty()) {
        return refuse(-ENODEV, "every CRTC that ", connector.name,
                      " could have shows something on another connector");
    }
    for (const std::size_t crtc : crtcs) {
        OutputChoice choice{*number, crtc, 0, std::nullopt};
        const auto plane = find_plane(topology, topology.crtcs[crtc], wish.plane, wish.fourcc);
        if (!plane) {
            continue;
        }
        choice.plane = *plane;
        if (wish.plane == PlaneType::Primary) {
            return choice;
        }
        choice.under = find_plane(topology, topology.crtcs[crtc], PlaneType::Primary, 0);
        if (choice.under) {
            return choice;
        }
    }
    return no_plane(topology, crtcs, connector, wish);
}

}  // namespace v4lfence
