// SPDX-License-Identifier: MIT
//
// Which connector, CRTC and planes of a card show the pictures: pure functions over its Topology.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "v4lfence/kms/error.hpp"
#include "v4lfence/kms/topology.hpp"

namespace v4lfence {

/// What is wanted; empty and 0: whatever is best.
struct DisplayWish {
    std::string connector;
    std::string mode;
    PlaneType plane = PlaneType::Primary;  ///< Never Cursor.
    std::uint32_t width = 0;               ///< Of the pictures.
    std::uint32_t height = 0;
    std::uint32_t fourcc = 0;
};

/// Indices into the Topology.
struct OutputChoice {
    std::size_t connector = 0;
    std::size_t crtc = 0;
    std::size_t plane = 0;             ///< That shows the pictures.
    std::optional<std::size_t> under;  ///< The primary one, where that is not the same.
};

/// Is this CRTC (0: none) the chosen one, or the one that the connector has had so far? What stands
/// on either is changed by the first commit.
bool touches(const Topology& topology, const OutputChoice& choice, std::uint32_t crtc_id);

/// "HDMI-A-1 (connected), DP-1 (not connected)"
std::string list_connectors(const Topology& topology);

/// The one of this name, where it is connected; for an empty name the first that is. One whose
/// state the driver does not know counts as connected where it is named, or no other is. Errors:
/// ENODEV, with a list of those there are.
Outcome<std::size_t> choose_connector(const Topology& topology, std::string_view name);

/// Keeps the CRTC that the connector has, where it has planes for the pictures; takes none from
/// another connector, no plane from another CRTC. Errors: ENODEV; EINVAL a cursor plane is wanted.
Outcome<OutputChoice> choose_output(const Topology& topology, const DisplayWish& wish);

}  // namespace v4lfence
