// SPDX-License-Identifier: MIT
//
// The KMS objects that show the pictures, with the numbers of their properties, and the requests
// that are made of them.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "v4lfence/kms/atomic_request.hpp"
#include "v4lfence/kms/choice.hpp"
#include "v4lfence/kms/error.hpp"
#include "v4lfence/kms/layout.hpp"
#include "v4lfence/kms/topology.hpp"

namespace v4lfence {

/// How YCbCr is made RGB, as the formats of the library have it (drivers/picture/layout.hpp) and
/// cameras that say nothing else.
struct PlaneColourName {
    const char* property;
    const char* choice;
};
inline constexpr std::array plane_colours = {
    PlaneColourName{"COLOR_ENCODING", "ITU-R BT.601 YCbCr"},
    PlaneColourName{"COLOR_RANGE", "YCbCr limited range"},
};

struct PlaneColour {
    std::uint32_t property = 0;  ///< 0: none, or it does not offer that.
    std::uint64_t value = 0;
};

/// Numbers of properties; 0: the plane has no such one.
struct PlanePorts {
    std::uint32_t id = 0;
    std::uint32_t framebuffer = 0;
    std::uint32_t crtc = 0;
    std::uint32_t source_x = 0;
    std::uint32_t source_y = 0;
    std::uint32_t source_width = 0;
    std::uint32_t source_height = 0;
    std::uint32_t screen_x = 0;
    std::uint32_t screen_y = 0;
    std::uint32_t screen_width = 0;
    std::uint32_t screen_height = 0;
    std::uint32_t in_fence = 0;
    std::uint32_t rotation = 0;
    std::uint32_t alpha = 0;
    std::uint32_t blend_mode = 0;
    std::array<PlaneColour, plane_colours.size()> colours{};  ///< As plane_colours names them.
};

/// What a CRTC changes the colours by; properties of blobs.
inline constexpr std::array colour_tables = {"DEGAMMA_LUT", "CTM", "GAMMA_LUT"};

struct CrtcPorts {
    std::uint32_t id = 0;
    std::uint32_t mode = 0;
    std::uint32_t active = 0;
    std::uint32_t out_fence = 0;
    std::uint32_t variable_refresh = 0;
    std::array<std::uint32_t, colour_tables.size()> tables{};  ///< As colour_tables names them.
};

struct ConnectorPorts {
    std::uint32_t id = 0;
    std::uint32_t crtc = 0;
};

/// What has to be turned off when the mode is set: what stood on the same CRTC before, and the CRTC
/// that the connector had, with what else it drove.
struct DisplacedPorts {
    std::vector<ConnectorPorts> connectors;
    std::optional<CrtcPorts> crtc;  ///< Another than the pictures'.
    std::vector<PlanePorts> planes;
};

struct OutputPorts {
    ConnectorPorts connector;
    CrtcPorts crtc;
    PlanePorts plane;
    std::optional<PlanePorts> under;
    DisplacedPorts displaced;
};

PlanePorts ports_of(const Plane& plane);
CrtcPorts ports_of(const Crtc& crtc);
ConnectorPorts ports_of(const Connector& connector);

/// Errors: EOPNOTSUPP an object lacks a property that atomic mode-setting cannot do without.
Outcome<OutputPorts> find_ports(const Topology& topology, const OutputChoice& choice);

/// A framebuffer on a plane. Leaves its fence alone.
void put_picture(AtomicRequest& request, const PlanePorts& plane, std::uint32_t crtc,
                 std::uint32_t framebuffer, const PictureLayout& layout);
void put_nothing(AtomicRequest& request, const PlanePorts& plane);
void turn_off(AtomicRequest& request, const CrtcPorts& crtc);
void turn_off(AtomicRequest& request, const ConnectorPorts& connector);

/// The mode, and everything else that the first commit has to set beside the pictures' plane.
/// `under_framebuffer` is of the mode's size; 0 where there is no plane under it.
/// `turns_displaced_off`: the displaced CRTC is on. Where it is off already it must not be in the
/// request: the kernel refuses the event of a CRTC that is off and stays off.
void put_mode(AtomicRequest& request, const OutputPorts& output, std::uint32_t mode_blob,
              Extent mode, std::uint32_t under_framebuffer, bool turns_displaced_off);

/// Takes the connector from the displaced CRTC, which is off: changes nothing that is seen. For a
/// commit without an event, before that of the mode: a connector that moves brings the CRTC that it
/// leaves into the commit.
void put_release(AtomicRequest& request, const OutputPorts& output);

}  // namespace v4lfence
