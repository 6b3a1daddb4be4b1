// SPDX-License-Identifier: MIT
//
// SavedState: what a display showed before the library's first commit, so that it can be put back.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "v4lfence/kms/atomic_request.hpp"
#include "v4lfence/kms/choice.hpp"
#include "v4lfence/kms/drm.hpp"
#include "v4lfence/kms/property_blob.hpp"
#include "v4lfence/kms/scanout.hpp"
#include "v4lfence/kms/topology.hpp"

namespace v4lfence {

class SavedState {
public:
    SavedState() = default;

    /// Everything that a commit on this output can change, as the Topology found it; the content of
    /// blobs, which go when nothing uses them, is copied. A mode that cannot be read is off, a
    /// table of colours none.
    static SavedState read(Drm& drm, const Topology& topology, const OutputChoice& choice);

    /// One blocking commit, without fences. Where that is refused, because a framebuffer has gone
    /// with its program, everything is turned off; the tables of colours and the variable refresh
    /// of the CRTCs, which need none, are put back all the same. Errors: of the turning off;
    /// EACCES.
    Result<> restore(Drm& drm) const;

private:
    struct Value {
        std::uint32_t object;
        std::uint32_t property;
        std::uint64_t value;
    };
    struct SavedCrtc {
        CrtcPorts ports;
        bool active = false;
        std::uint64_t variable_refresh = 0;
        std::vector<std::byte> mode;  ///< Empty: none.
        std::array<std::vector<std::byte>, colour_tables.size()> tables;
    };

    /// Colours and refresh. `blobs` must outlive the commit.
    static Result<> put_back_manners(const SavedCrtc& crtc, Drm& drm, AtomicRequest& request,
                                     std::vector<PropertyBlob>& blobs);
    Result<> put_back(Drm& drm) const;
    Result<> turn_all_off(Drm& drm) const;

    std::vector<SavedCrtc> crtcs_;
    std::vector<ConnectorPorts> connectors_;
    std::vector<PlanePorts> planes_;
    std::vector<Value> values_;  ///< Of connectors and planes.
};

}  // namespace v4lfence
