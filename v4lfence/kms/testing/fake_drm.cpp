// SPDX-License-Identifier: MIT

#include "v4lfence/kms/testing/fake_drm.hpp"

#include <drm.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace v4lfence::testing {

namespace {

constexpr std::array plane_properties = {"FB_ID",  "CRTC_ID", "SRC_X",      "SRC_Y",
                                         "SRC_W",  "SRC_H",   "CRTC_X",     "CRTC_Y",
                                         "CRTC_W", "CRTC_H",  "IN_FENCE_FD"};
constexpr std::uint32_t first_dma_buf_handle = 1000;
constexpr std::uint32_t stride_alignment = 64;

std::uint32_t property_number(FakeCard& card, const std::string& name) {
    auto& names = card.property_names;
    const auto found = std::find(names.begin(), names.end(), name);
    if (found != names.end()) {
        return static_cast<std::uint32_t>(found - names.begin()) + 1;
    }
    names.push_back(name);
    return static_cast<std::uint32_t>(names.size());
}

FakeCommit by_name(const FakeCard& card, const AtomicRequest& request, std::uint32_t flags) {
    FakeCommit commit;
    commit.flags = flags;
    std::size_t next = 0;
    for (std::size_t i = 0; i < request.objects().size(); ++i) {
        for (std::uint32_t n = 0; n < request.counts()[i]; ++n, ++next) {
            const std::uint32_t number = request.properties()[next];
            if (number == 0 || number > card.property_names.size() ||
                !card.objects.contains(request.objects()[i])) {
                commit.values[{request.objects()[i], "unknown"}] = number;
                continue;
            }
            commit.values[{request.objects()[i], card.property_names[number - 1]}] =
                request.values()[next];
        }
    }
    return commit;
}

/// By the objects that it names, and what those had so far.
std::set<std::uint32_t> crtcs_in(const FakeCard& card, const FakeCommit& commit) {
    std::set<std::uint32_t> found;
    for (const auto& [where, value] : commit.values) {
        const auto object = card.objects.find(where.first);
        if (object == card.objects.end()) {
            continue;
        }
        if (object->second.kind == DrmObject::Crtc) {
            found.insert(where.first);
        } else if (const auto had = object->second.values.find("CRTC_ID");
                   had != object->second.values.end()) {
            found.insert(static_cast<std::uint32_t>(had->second));
        }
        if (where.second == "CRTC_ID") {
            found.insert(static_cast<std::uint32_t>(value));
        }
    }
    found.erase(0);
    return found;
}

/// The kernel tells of each CRTC in a commit, and has nothing to tell of one that stays off.
bool has_event_of_nothing(const FakeCard& card, const FakeCommit& commit) {
    if ((commit.flags & DRM_MODE_PAGE_FLIP_EVENT) == 0) {
        return false;
    }
    const auto crtcs = crtcs_in(card, commit);
    return std::any_of(crtcs.begin(), crtcs.end(), [&](std::uint32_t crtc) {
        const bool will_be = commit.has(crtc, "ACTIVE") && commit.value(crtc, "ACTIVE") != 0;
        return !will_be && card.value(crtc, "ACTIVE") == 0;
    });
}

template <class Set>
void release(FakeCard& card, Set& set, std::uint32_t id) {
    card.wrong_releases += set.erase(id) == 0 ? 1 : 0;
}

}  // namespace

DrmMode make_mode(unsigned width, unsigned height, unsigned hz, bool preferred) {
    DrmMode mode{};
    mode.hdisplay = static_cast<std::uint16_t>(width);
    mode.vdisplay = static_cast<std::uint16_t>(height);
    mode.htotal = 1000;
    mode.vtotal = 1000;
    mode.clock = hz * 1000;
    mode.vrefresh = hz;
    mode.type = preferred ? DRM_MODE_TYPE_PREFERRED : DRM_MODE_TYPE_DRIVER;
    std::snprintf(mode.name, sizeof(mode.name), "%ux%u", width, height);
    return mode;
}

FakeCard::FakeCard() : bell(std::move(*sys::eventfd(0, EFD_NONBLOCK))) {}

std::uint32_t FakeCard::add_crtc() {
    const std::uint32_t id = ++last_id;
    crtcs.push_back(id);
    objects[id].kind = DrmObject::Crtc;
    for (const char* const name : {"MODE_ID", "ACTIVE", "OUT_FENCE_PTR"}) {
        set(id, name, 0);
    }
    return id;
}

std::uint32_t FakeCard::add_connector(std::uint32_t type, Connection connection,
                                      std::vector<DrmMode> modes, std::uint32_t possible_crtcs) {
    const std::uint32_t id = ++last_id;
    const auto number = static_cast<std::uint32_t>(connectors.size()) + 1;
    connectors.push_back(id);
    objects[id].kind = DrmObject::Connector;
    objects[id].connector = {id, type, number, connection, possible_crtcs, std::move(modes)};
    set(id, "CRTC_ID", 0);
    return id;
}

std::uint32_t FakeCard::add_plane(PlaneType type, std::uint32_t possible_crtcs,
                                  std::vector<std::uint32_t> formats) {
    const std::uint32_t id = ++last_id;
    planes.push_back(id);
    objects[id].kind = DrmObject::Plane;
    objects[id].plane = {id, possible_crtcs, std::move(formats)};
    set(id, "type", static_cast<std::uint64_t>(type));
    for (const char* const name : plane_properties) {
        set(id, name, 0);
    }
    return id;
}

void FakeCard::set(std::uint32_t object, const std::string& property, std::uint64_t value) {
    property_number(*this, property);
    objects[object].values[property] = value;
}

void FakeCard::offer(std::uint32_t object, const std::string& property,
                     std::vector<DrmChoice> choices, std::uint64_t value) {
    set(object, property, value);
    objects[object].choices[property] = std::move(choices);
}

std::uint64_t FakeCard::value(std::uint32_t object, const std::string& property) const {
    return objects.at(object).values.at(property);
}

std::uint32_t FakeCard::add_blob(std::span<const std::byte> content) {
    blobs[++last_id] = {content.begin(), content.end()};
    return last_id;
}

void FakeCard::finish(std::uint32_t crtc, std::uint32_t sequence, std::int64_t time_ns) {
    flips.push_back({crtc, sequence, time_ns});
    const std::uint64_t one = 1;
    static_cast<void>(sys::write(bell.get(), std::as_bytes(std::span(&one, 1))));
}

Result<std::uint64_t> FakeDrm::capability(std::uint64_t name) {
    const auto found = card_->capabilities.find(name);
    return found == card_->capabilities.end() ? 0 : found->second;
}

Result<DrmResources> FakeDrm::resources() {
    return DrmResources{card_->connectors, card_->crtcs};
}

Result<DrmConnector> FakeDrm::connector(std::uint32_t id) {
    return card_->objects[id].connector;
}

Result<std::vector<DrmProperty>> FakeDrm::properties(std::uint32_t id, DrmObject kind) {
    if (!card_->objects.contains(id) || card_->objects[id].kind != kind) {
        return fail(-ENOENT, "properties");
    }
    std::vector<DrmProperty> found;
    for (const auto& [name, value] : card_->objects[id].values) {
        found.push_back({property_number(*card_, name), name, value});
        const auto choices = card_->objects[id].choices.find(name);
        if (choices != card_->objects[id].choices.end()) {
            found.back().choices = choices->second;
        }
    }
    return found;
}

Result<std::vector<std::byte>> FakeDrm::read_blob(std::uint32_t id) {
    const auto found = card_->blobs.find(id);
    if (found == card_->blobs.end()) {
        return fail(-ENOENT, "blob");
    }
    return found->second;
}

Result<std::uint32_t> FakeDrm::create_blob(std::span<const std::byte> content) {
    return card_->add_blob(content);
}

void FakeDrm::destroy_blob(std::uint32_t id) {
    release(*card_, card_->blobs, id);
}

Result<DumbMemory> FakeDrm::create_dumb(std::uint32_t width, std::uint32_t height,
                                        std::uint32_t bits_per_pixel) {
    const std::uint32_t bytes = (width * bits_per_pixel + 7) / 8;
    const std::uint32_t stride =
        (bytes + stride_alignment - 1) / stride_alignment * stride_alignment;
    card_->handles.insert(++card_->last_id);
    return DumbMemory{card_->last_id, stride, std::uint64_t{stride} * height};
}

Result<std::uint32_t> FakeDrm::import_dma_buf(int dma_buf) {
    const int error = card_->judge_import ? card_->judge_import(dma_buf) : 0;
    if (error != 0) {
        return fail(error, "prime import");
    }
    const auto handle = first_dma_buf_handle + static_cast<std::uint32_t>(dma_buf);
    card_->handles.insert(handle);
    return handle;
}

Result<UniqueFd> FakeDrm::export_dma_buf(std::uint32_t handle) {
    if (!card_->exports) {
        return fail(-ENOSYS, "prime export");
    }
    if (!card_->handles.contains(handle)) {
        return fail(-ENOENT, "prime export");
    }
    return sys::eventfd(0, 0);
}

void FakeDrm::close_handle(std::uint32_t handle) {
    release(*card_, card_->handles, handle);
}

Result<std::uint32_t> FakeDrm::add_framebuffer(const DrmFramebuffer& framebuffer) {
    if (framebuffer.modifier && card_->capabilities[DRM_CAP_ADDFB2_MODIFIERS] == 0) {
        return fail(-EINVAL, "framebuffer");
    }
    for (const std::uint32_t handle : framebuffer.handles) {
        if (handle != 0 && !card_->handles.contains(handle)) {
            return fail(-ENOENT, "framebuffer");
        }
    }
    card_->framebuffers_made.push_back(framebuffer);
    card_->framebuffers.insert(++card_->last_id);
    return card_->last_id;
}

void FakeDrm::remove_framebuffer(std::uint32_t id) {
    release(*card_, card_->framebuffers, id);
}

Result<> FakeDrm::commit(const AtomicRequest& request, std::uint32_t flags) {
    FakeCommit commit = by_name(*card_, request, flags);
    int error = card_->judge ? card_->judge(commit) : 0;
    if (error == 0 && has_event_of_nothing(*card_, commit)) {
        error = -EINVAL;
    }
    if (error != 0) {
        return fail(error, "atomic commit");
    }
    if ((flags & DRM_MODE_ATOMIC_TEST_ONLY) != 0) {
        ++card_->tests;
        return {};
    }
    for (const auto& [where, value] : commit.values) {
        if (where.second == "OUT_FENCE_PTR") {
            // The pointer is the library's variable, as the kernel gets it.
            *reinterpret_cast<std::int32_t*>(static_cast<std::uintptr_t>(value)) =
                std::move(*sys::eventfd(0, 0)).release();
        } else {
            card_->set(where.first, where.second, value);
        }
    }
    card_->commits.push_back(std::move(commit));
    return {};
}

Result<std::optional<DrmFlip>> FakeDrm::next_flip() {
    if (card_->flips.empty()) {
        return std::nullopt;
    }
    const DrmFlip first = card_->flips.front();
    card_->flips.erase(card_->flips.begin());
    if (card_->flips.empty()) {
        std::uint64_t count = 0;
        static_cast<void>(sys::read(fd(), std::as_writable_bytes(std::span(&count, 1))));
    }
    return first;
}

}  // namespace v4lfence::testing
