// SPDX-License-Identifier: MIT

#include "v4lfence/kms/scanout.hpp"

#include <algorithm>

namespace v4lfence {

namespace {

constexpr std::uint64_t opaque = 0xffff;  // Of the property "alpha".
/// Of the property "pixel blend mode"; each driver that has it has this one.
constexpr std::uint64_t premultiplied = 0;
constexpr unsigned fixed_point = 16;  // SRC_* count in 65536ths of a pixel.

bool is_complete(const PlanePorts& plane) {
    return plane.framebuffer != 0 && plane.crtc != 0 && plane.source_x != 0 &&
           plane.source_y != 0 && plane.source_width != 0 && plane.source_height != 0 &&
           plane.screen_x != 0 && plane.screen_y != 0 && plane.screen_width != 0 &&
           plane.screen_height != 0;
}

DisplacedPorts find_displaced(const Topology& topology, const OutputChoice& choice) {
    DisplacedPorts displaced;
    const std::uint32_t ours = topology.crtcs[choice.crtc].id;
    for (std::size_t i = 0; i < topology.planes.size(); ++i) {
        if (i != choice.plane && choice.under != std::optional(i) &&
            touches(topology, choice, topology.planes[i].crtc_id())) {
            displaced.planes.push_back(ports_of(topology.planes[i]));
        }
    }
    for (const Crtc& crtc : topology.crtcs) {
        if (crtc.id != ours && touches(topology, choice, crtc.id)) {
            displaced.crtc = ports_of(crtc);
        }
    }
    // Who has our CRTC beside our connector shows the same, as before.
    for (std::size_t i = 0; i < topology.connectors.size(); ++i) {
        const std::uint32_t crtc_id = topology.connectors[i].crtc_id();
        if (i != choice.connector && crtc_id != ours && touches(topology, choice, crtc_id)) {
            displaced.connectors.push_back(ports_of(topology.connectors[i]));
        }
    }
    return displaced;
}

}  // namespace

PlanePorts ports_of(const Plane& plane) {
    const PropertyTable& table = plane.properties;
    PlanePorts ports{plane.info.id,
                     table.id("FB_ID"),
                     table.id("CRTC_ID"),
                     table.id("SRC_X"),
                     table.id("SRC_Y"),
                     table.id("SRC_W"),
                     table.id("SRC_H"),
                     table.id("CRTC_X"),
                     table.id("CRTC_Y"),
                     table.id("CRTC_W"),
                     table.id("CRTC_H"),
                     table.id("IN_FENCE_FD"),
                     table.id("rotation"),
                     table.id("alpha"),
                     table.id("pixel blend mode"),
                     {}};
    for (std::size_t i = 0; i < plane_colours.size(); ++i) {
        const PlaneColourName& name = plane_colours[i];
        if (const auto value = table.choice(name.property, name.choice)) {
            ports.colours[i] = {table.id(name.property), *value};
        }
    }
    return ports;
}

CrtcPorts ports_of(const Crtc& crtc) {
    const PropertyTable& table = crtc.properties;
    CrtcPorts ports{crtc.id,
                    table.id("MODE_ID"),
                    table.id("ACTIVE"),
                    table.id("OUT_FENCE_PTR"),
                    table.id("VRR_ENABLED"),
                    {}};
    std::transform(colour_tables.begin(), colour_tables.end(), ports.tables.begin(),
                   [&table](const char* name) { return table.id(name); });
    return ports;
}

ConnectorPorts ports_of(const Connector& connector) {
    return {connector.info.id, connector.properties.id("CRTC_ID")};
}

Outcome<OutputPorts> find_ports(const Topology& topology, const OutputChoice& choice) {
    OutputPorts output;
    output.connector = ports_of(topology.connectors[choice.connector]);
    output.crtc = ports_of(topology.crtcs[choice.crtc]);
    output.plane = ports_of(topology.planes[choice.plane]);
    if (choice.under) {
        output.under = ports_of(topology.planes[*choice.under]);
    }
    output.displaced = find_displaced(topology, choice);
    if (output.connector.crtc == 0 || output.crtc.mode == 0 || output.crtc.active == 0 ||
        !is_complete(output.plane) || (output.under && !is_complete(*output.under))) {
        return refuse(-EOPNOTSUPP, "the driver has no atomic mode-setting: ",
                      topology.connectors[choice.connector].name, " lacks properties for it");
    }
    return output;
}

void put_picture(AtomicRequest& request, const PlanePorts& plane, std::uint32_t crtc,
                 std::uint32_t framebuffer, const PictureLayout& layout) {
    const auto fixed = [](std::uint32_t pixels) { return std::uint64_t{pixels} << fixed_point; };
    request.set(plane.id, plane.framebuffer, framebuffer);
    request.set(plane.id, plane.crtc, crtc);
    request.set(plane.id, plane.source_x, fixed(layout.source_x));
    request.set(plane.id, plane.source_y, fixed(layout.source_y));
    request.set(plane.id, plane.source_width, fixed(layout.source.width));
    request.set(plane.id, plane.source_height, fixed(layout.source.height));
    request.set(plane.id, plane.screen_x, layout.screen_x);
    request.set(plane.id, plane.screen_y, layout.screen_y);
    request.set(plane.id, plane.screen_width, layout.screen.width);
    request.set(plane.id, plane.screen_height, layout.screen.height);
}

void put_nothing(AtomicRequest& request, const PlanePorts& plane) {
    request.set(plane.id, plane.framebuffer, 0);
    request.set(plane.id, plane.crtc, 0);
}

void turn_off(AtomicRequest& request, const CrtcPorts& crtc) {
    request.set(crtc.id, crtc.mode, 0);
    request.set(crtc.id, crtc.active, 0);
}

void turn_off(AtomicRequest& request, const ConnectorPorts& connector) {
    request.set(connector.id, connector.crtc, 0);
}

namespace {

void turn_off_displaced(AtomicRequest& request, const DisplacedPorts& displaced) {
    for (const ConnectorPorts& connector : displaced.connectors) {
        turn_off(request, connector);
    }
    turn_off(request, *displaced.crtc);
}

// What another program may have left behind:

void put_plainly(AtomicRequest& request, const CrtcPorts& crtc) {
    for (const std::uint32_t table : crtc.tables) {
        if (table != 0) {
            request.set(crtc.id, table, 0);
        }
    }
    if (crtc.variable_refresh != 0) {
        request.set(crtc.id, crtc.variable_refresh, 0);
    }
}

void put_plainly(AtomicRequest& request, const PlanePorts& plane) {
    if (plane.rotation != 0) {
        request.set(plane.id, plane.rotation, DRM_MODE_ROTATE_0);
    }
    if (plane.alpha != 0) {
        request.set(plane.id, plane.alpha, opaque);
    }
    if (plane.blend_mode != 0) {
        request.set(plane.id, plane.blend_mode, premultiplied);
    }
    for (const PlaneColour& colour : plane.colours) {
        if (colour.property != 0) {
            request.set(plane.id, colour.property, colour.value);
        }
    }
}

}  // namespace

void put_mode(AtomicRequest& request, const OutputPorts& output, std::uint32_t mode_blob,
              Extent mode, std::uint32_t under_framebuffer, bool turns_displaced_off) {
    if (turns_displaced_off && output.displaced.crtc) {
        turn_off_displaced(request, output.displaced);
    }
    for (const PlanePorts& plane : output.displaced.planes) {
        put_nothing(request, plane);
    }
    request.set(output.connector.id, output.connector.crtc, output.crtc.id);
    request.set(output.crtc.id, output.crtc.mode, mode_blob);
    request.set(output.crtc.id, output.crtc.active, 1);
    put_plainly(request, output.crtc);
    if (output.under) {
        put_picture(request, *output.under, output.crtc.id, under_framebuffer, fitted(mode, mode));
        put_plainly(request, *output.under);
    }
    put_plainly(request, output.plane);
}

void put_release(AtomicRequest& request, const OutputPorts& output) {
    if (output.displaced.crtc) {
        turn_off_displaced(request, output.displaced);
        turn_off(request, output.connector);
    }
    for (const PlanePorts& plane : output.displaced.planes) {
        put_nothing(request, plane);
    }
}

}  // namespace v4lfence
