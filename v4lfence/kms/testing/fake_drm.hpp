// SPDX-License-Identifier: MIT
//
// FakeDrm: a KMS card in memory, for tests of what is chosen, committed and given back.

#pragma once

#include <drm_fourcc.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/kms/drm.hpp"
#include "v4lfence/kms/topology.hpp"

namespace v4lfence::testing {

/// "640x480 at 60 Hz" and so on, the clock such that the refresh is exact.
DrmMode make_mode(unsigned width, unsigned height, unsigned hz, bool preferred = false);

/// A commit by the names of its properties.
struct FakeCommit {
    std::uint32_t flags = 0;
    std::map<std::pair<std::uint32_t, std::string>, std::uint64_t> values;

    bool has(std::uint32_t object, const std::string& property) const {
        return values.contains({object, property});
    }
    std::uint64_t value(std::uint32_t object, const std::string& property) const {
        return values.at({object, property});
    }
};

/// The card itself; outlives the descriptors on it.
struct FakeCard {
    FakeCard();

    std::uint32_t add_crtc();
    std::uint32_t add_connector(std::uint32_t type, Connection connection,
                                std::vector<DrmMode> modes, std::uint32_t possible_crtcs);
    std::uint32_t add_plane(PlaneType type, std::uint32_t possible_crtcs,
                            std::vector<std::uint32_t> formats);
    /// A property that there is already, or is new.
    void set(std::uint32_t object, const std::string& property, std::uint64_t value);
    /// One with choices.
    void offer(std::uint32_t object, const std::string& property, std::vector<DrmChoice> choices,
               std::uint64_t value);
    std::uint64_t value(std::uint32_t object, const std::string& property) const;
    std::uint32_t add_blob(std::span<const std::byte> content);

    /// The commit under way reaches the screen.
    void finish(std::uint32_t crtc, std::uint32_t sequence, std::int64_t time_ns);

    /// Says 0, or the negative errno that a commit is refused with.
    std::function<int(const FakeCommit&)> judge;
    std::function<int(int dma_buf)> judge_import;
    bool exports = true;  ///< It gives its memory to other devices.
    std::map<std::uint64_t, std::uint64_t> capabilities;
    std::vector<FakeCommit> commits;  ///< That were accepted and no tests.
    unsigned tests = 0;               ///< Commits that were.
    std::set<std::uint32_t> handles;
    std::set<std::uint32_t> framebuffers;
    std::vector<DrmFramebuffer> framebuffers_made;
    std::map<std::uint32_t, std::vector<std::byte>> blobs;
    unsigned masters_dropped = 0;
    unsigned wrong_releases = 0;  ///< Of what is not there.

    struct Object {
        DrmObject kind = DrmObject::Plane;
        DrmConnector connector;
        DrmPlane plane;
        std::map<std::string, std::uint64_t> values;
        std::map<std::string, std::vector<DrmChoice>> choices;
    };
    std::map<std::uint32_t, Object> objects;
    std::vector<std::uint32_t> connectors;
    std::vector<std::uint32_t> crtcs;
    std::vector<std::uint32_t> planes;
    std::vector<std::string> property_names;  ///< Number N is at N - 1.
    std::vector<DrmFlip> flips;
    std::uint32_t last_id = 100;
    UniqueFd bell;  ///< Readable while there are flips.
};

/// Commits as the kernel judges them: one with an event brings a CRTC in by what it names, and what
/// that had so far, and is refused where such a CRTC is off and stays off.
class FakeDrm final : public Drm {
public:
    explicit FakeDrm(std::shared_ptr<FakeCard> card) : card_(std::move(card)) {}

    int fd() const override { return card_->bell.get(); }
    Result<std::uint64_t> capability(std::uint64_t name) override;
    Result<> set_client_capability(std::uint64_t, std::uint64_t) override { return {}; }
    Result<> become_master() override { return {}; }
    void drop_master() override { ++card_->masters_dropped; }
    Result<DrmResources> resources() override;
    Result<DrmConnector> connector(std::uint32_t id) override;
    Result<std::vector<std::uint32_t>> planes() override { return card_->planes; }
    Result<DrmPlane> plane(std::uint32_t id) override { return card_->objects[id].plane; }
    Result<std::vector<DrmProperty>> properties(std::uint32_t id, DrmObject kind) override;
    Result<std::vector<std::byte>> read_blob(std::uint32_t id) override;
    Result<std::uint32_t> create_blob(std::span<const std::byte> content) override;
    void destroy_blob(std::uint32_t id) override;
    Result<DumbMemory> create_dumb(std::uint32_t width, std::uint32_t height,
                                   std::uint32_t bits_per_pixel) override;
    Result<std::uint32_t> import_dma_buf(int dma_buf) override;
    Result<UniqueFd> export_dma_buf(std::uint32_t handle) override;
    void close_handle(std::uint32_t handle) override;
    Result<std::uint32_t> add_framebuffer(const DrmFramebuffer& framebuffer) override;
    void remove_framebuffer(std::uint32_t id) override;
    Result<> commit(const AtomicRequest& request, std::uint32_t flags) override;
    Result<std::optional<DrmFlip>> next_flip() override;

private:
    std::shared_ptr<FakeCard> card_;
};

}  // namespace v4lfence::testing
