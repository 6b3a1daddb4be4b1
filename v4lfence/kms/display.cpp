// SPDX-License-Identifier: MIT

#include "v4lfence/kms/display.hpp"

#include <drm_fourcc.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/sync_file.hpp"
#include "v4lfence/kms/modes.hpp"

namespace v4lfence {

namespace {

/// Of these all bits zero are black.
constexpr std::array black_formats = {DRM_FORMAT_XRGB8888, DRM_FORMAT_XBGR8888, DRM_FORMAT_ARGB8888,
                                      DRM_FORMAT_RGB565};

DisplayHead head_of(const Card& card, const Drm& drm, const OutputPorts& ports) {
    DisplayHead head;
    head.card_major = card.major;
    head.card_minor = card.minor;
    head.connector_id = ports.connector.id;
    head.crtc_id = ports.crtc.id;
    head.plane_id = ports.plane.id;
    head.card_fd = drm.fd();
    return head;
}

/// A commit that was refused so may be accepted with the picture at another place.
bool is_about_layout(int code) {
    return code == -EINVAL || code == -ERANGE || code == -ENOSPC;
}

/// Errors: EINVAL with a sentence: it is not within the picture.
Outcome<PicturePart> part_of(const Extent& picture, const DisplayFrame& frame) {
    const PicturePart& part = frame.source;
    if (part == PicturePart{}) {
        return PicturePart{0, 0, picture};
    }
    const bool has_pixels = part.size.width > 0 && part.size.height > 0;
    if (!has_pixels || part.size.width > picture.width || part.size.height > picture.height ||
        part.x > picture.width - part.size.width || part.y > picture.height - part.size.height) {
        return refuse(-EINVAL, "the part ", part.size.width, "x", part.size.height, " at ", part.x,
                      ",", part.y,
                      has_pixels ? " is not within picture " : " has no pixels of picture ",
                      frame.picture, ", which is ", picture.width, "x", picture.height);
    }
    return part;
}

}  // namespace

Outcome<std::unique_ptr<Display>> Display::create(Card card, const DisplayWish& wish,
                                                  const Clock& clock) {
    const auto choice = choose_output(card.topology, wish);
    if (!choice) {
        return refuse(choice.error().code, card.path, " (", card.driver,
                      "): ", choice.error().sentence);
    }
    const Connector& connector = card.topology.connectors[choice->connector];
    const auto mode = choose_mode(connector.info.modes, wish.mode, wish.width, wish.height);
    if (!mode) {
        return refuse(mode.error().code, connector.name, " of ", card.path, ": ",
                      mode.error().sentence);
    }
    auto ports = find_ports(card.topology, *choice);
    if (!ports) {
        return tl::unexpected<KmsError>(std::move(ports.error()));
    }
    return std::unique_ptr<Display>(
        new Display(std::move(card), wish, *choice, std::move(*ports), *mode, clock));
}

Display::Display(Card card, const DisplayWish& wish, const OutputChoice& choice, OutputPorts ports,
                 const DrmMode& mode, const Clock& clock)
    : drm_(std::move(card.drm)), clock_(clock),
      wish_(wish), facts_{card.path, card.driver, card.topology.connectors[choice.connector].name,
                          wish.plane},
      ports_(std::move(ports)), modes_(card.topology.connectors[choice.connector].info.modes),
      formats_(card.topology.planes[choice.plane].formats),
      under_formats_(choice.under ? card.topology.planes[*choice.under].formats
                                  : std::vector<PlaneFormat>()),
      before_(SavedState::read(*drm_, card.topology, choice)), mode_(mode),
      log_(facts_.connector + " of " + facts_.card, head_of(card, *drm_, ports_), clock) {}

Display::~Display() {
    wait_for_flip();
    // What still waits for its fence cannot be replaced without waiting for it.
    if (has_shown_ && !is_under_way()) {
        static_cast<void>(before_.restore(*drm_));
    }
    // Framebuffers go while the card is still ours: what cannot be put back is turned off by that.
    pictures_.clear();
    black_.reset();
    black_before_.reset();
    mode_blob_ = PropertyBlob();
    drm_->drop_master();
}

void Display::wait_for_flip() {
    const MonotonicTime end = clock_.now() + close_bound;
    while (is_under_way() && clock_.now() < end) {
        pollfd entry{fd(), POLLIN, 0};
        const auto ready = sys::poll(std::span(&entry, 1), timeout_ms(end, clock_.now()));
        if ((!ready && ready.error().code != -EINTR) || !next_flip()) {
            return;
        }
    }
}

const Framebuffer* Display::find(int picture) const {
    if (picture < 1 || static_cast<std::size_t>(picture) > pictures_.size()) {
        return nullptr;
    }
    const auto& place = pictures_[static_cast<std::size_t>(picture) - 1];
    return place ? &*place : nullptr;
}

const PictureMemory* Display::memory(int picture) const {
    const Framebuffer* const found = find(picture);
    return found == nullptr ? nullptr : &found->memory();
}

int Display::keep(Framebuffer framebuffer) {
    auto free = std::find(pictures_.begin(), pictures_.end(), std::nullopt);
    if (free == pictures_.end()) {
        free = pictures_.insert(free, std::nullopt);
    }
    free->emplace(std::move(framebuffer));
    return static_cast<int>(free - pictures_.begin()) + 1;
}

Outcome<int> Display::import(const PictureMemory& memory) {
    auto made = Framebuffer::import(*drm_, memory, formats_, facts_.driver);
    if (!made) {
        return tl::unexpected<KmsError>(std::move(made.error()));
    }
    return keep(std::move(*made));
}

Outcome<int> Display::allocate(Extent size, std::uint32_t fourcc) {
    auto made =
        Framebuffer::allocate(*drm_, size, fourcc, formats_, facts_.driver, Sharing::Exported);
    if (!made) {
        return tl::unexpected<KmsError>(std::move(made.error()));
    }
    return keep(std::move(*made));
}

Outcome<> Display::forget(int picture) {
    if (find(picture) == nullptr) {
        return refuse(-ENOENT, "there is no picture ", picture);
    }
    if (picture == shown_ || picture == pending_) {
        return refuse(-EBUSY, "picture ", picture, " is on screen or on its way there");
    }
    pictures_[static_cast<std::size_t>(picture) - 1].reset();
    return {};
}

Outcome<> Display::set_mode(const std::string& wanted) {
    if (is_under_way()) {
        return refuse(-EBUSY, "picture ", pending_, " is on its way to the screen");
    }
    const auto mode = choose_mode(modes_, wanted, wish_.width, wish_.height);
    if (!mode) {
        return refuse(mode.error().code, facts_.connector, " of ", facts_.card, ": ",
                      mode.error().sentence);
    }
    mode_ = *mode;
    sets_mode_ = true;
    may_scale_ = true;
    layouts_.clear();
    mode_blob_ = PropertyBlob();
    if (black_ && !black_before_ && mode_on_) {
        black_before_.emplace(std::move(*black_));
    }
    black_.reset();
    return {};
}

Outcome<> Display::release_connector() {
    turns_displaced_off_ = false;
    if (!ports_.displaced.crtc) {
        return {};
    }
    auto properties = drm_->properties(ports_.displaced.crtc->id, DrmObject::Crtc);
    if (!properties) {
        return cannot_do(properties.error(), "ask what is on at ", facts_.card);
    }
    const PropertyTable now(std::move(*properties));
    turns_displaced_off_ = now.value("ACTIVE") != 0;
    if (turns_displaced_off_ || now.value("MODE_ID") == 0) {
        return {};
    }
    request_.clear();
    put_release(request_, ports_);
    // A blocking one: the next must not find it under way. It has no fence to wait for, nor a
    // vertical blank.
    const auto done = drm_->commit(request_, DRM_MODE_ATOMIC_ALLOW_MODESET);
    if (!done) {
        return tl::unexpected<KmsError>(explain(done.error(), 0, -1));
    }
    has_shown_ = true;
    return {};
}

Outcome<> Display::prepare_mode() {
    if (mode_blob_.id() == 0) {
        auto blob = PropertyBlob::create(*drm_, std::as_bytes(std::span(&mode_, 1)));
        if (!blob) {
            return cannot_do(blob.error(), "tell the driver of the mode ", mode_name(mode_));
        }
        mode_blob_ = std::move(*blob);
    }
    if (auto prepared = prepare_black(); !prepared) {
        return prepared;
    }
    return release_connector();
}

Outcome<> Display::prepare_black() {
    if (!ports_.under || black_) {
        return {};
    }
    const auto format =
        std::find_if(black_formats.begin(), black_formats.end(),
                     [this](std::uint32_t fourcc) { return takes_format(under_formats_, fourcc); });
    auto black = Framebuffer::allocate(
        *drm_, screen(), format != black_formats.end() ? *format : black_formats.front(),
        under_formats_, facts_.driver, Sharing::None);
    if (!black) {
        return refuse(black.error().code,
                      "the primary plane cannot be made black: ", black.error().sentence);
    }
    black_.emplace(std::move(*black));
    return {};
}

void Display::build(const Framebuffer& picture, const PictureLayout& layout) {
    request_.clear();
    if (sets_mode_) {
        put_mode(request_, ports_, mode_blob_.id(), screen(), black_ ? black_->id() : 0,
                 turns_displaced_off_);
    }
    put_picture(request_, ports_.plane, ports_.crtc.id, picture.id(), layout);
}

Result<> Display::try_layout(const Framebuffer& picture, const PictureLayout& layout) {
    build(picture, layout);
    return drm_->commit(request_, DRM_MODE_ATOMIC_TEST_ONLY |
                                      (sets_mode_ ? DRM_MODE_ATOMIC_ALLOW_MODESET : 0U));
}

Outcome<PictureLayout> Display::layout_for(const Framebuffer& picture, const PicturePart& part) {
    const PictureMemory& memory = picture.memory();
    const PictureLayout whole = fitted(part.size, screen());
    if (part == PicturePart{0, 0, screen()} && memory.size == screen()) {
        return whole;
    }
    const LayoutKey key{part.size, part.x % 2 != 0, part.y % 2 != 0, memory.fourcc,
                        memory.modifier};
    const auto known = std::find_if(layouts_.begin(), layouts_.end(),
                                    [&key](const KnownLayout& entry) { return entry.key == key; });
    if (known != layouts_.end()) {
        return moved(known->layout, part.x, part.y);
    }
    for (const PictureLayout& layout : {whole, centred(part.size, screen())}) {
        const PictureLayout placed = moved(layout, part.x, part.y);
        const auto tried = try_layout(picture, placed);
        if (tried) {
            // What is refused at an odd place says nothing of the others.
            may_scale_ = may_scale_ && (layout == whole || key.x_odd || key.y_odd);
            remember({key, layout});
            return placed;
        }
        if (!is_about_layout(tried.error().code)) {
            return tl::unexpected<KmsError>(explain(tried.error(), 0, -1));
        }
    }
    return explain_layouts(memory, part);
}

void Display::remember(const KnownLayout& layout) {
    if (layouts_.size() == layouts_max) {
        layouts_.erase(layouts_.begin());
    }
    layouts_.push_back(layout);
}

tl::unexpected<KmsError> Display::explain_layouts(const PictureMemory& memory,
                                                  const PicturePart& part) {
    const bool is_cut = part.size != memory.size;
    const bool is_odd = part.x % 2 != 0 || part.y % 2 != 0;
    const std::string size = words(part.size.width, "x", part.size.height);
    const std::string what =
        is_cut ? words("a part of ", size, " at ", part.x, ",", part.y, " of a picture")
               : "a picture of " + size;
    const auto sample = Framebuffer::allocate(*drm_, screen(), memory.fourcc, formats_,
                                              facts_.driver, Sharing::None);
    if (!sample) {
        return refuse(-ERANGE, "the driver ", facts_.driver, " shows ", what, " neither scaled to ",
                      mode_name(mode_), " nor centred");
    }
    const auto tried = try_layout(*sample, fitted(screen(), screen()));
    if (tried) {
        return refuse(-ERANGE, "the plane shows ", what, " neither scaled to ", mode_name(mode_),
                      " nor centred: ",
                      is_odd ? "it may want even numbers for the place"
                             : words("it takes only ", is_cut ? "whole " : "",
                                     "pictures that fill the screen"));
    }
    if (!is_about_layout(tried.error().code)) {
        return explain(tried.error(), 0, -1);
    }
    return cannot_do(tried.error(), "show pictures in ", fourcc_name(memory.fourcc), " of any size",
                     " in the mode ", mode_name(mode_), " on ", facts_.connector);
}

tl::unexpected<KmsError> Display::explain(const Error& error, int picture, int in_fence) {
    if (error.code == -EACCES) {
        sets_mode_ = true;  // Whoever is master now changes what it likes.
        return refuse(error.code, "another program has become master of ", facts_.card,
                      ", or this session is not the active one");
    }
    if (in_fence >= 0 && error.code == -EINVAL) {
        const auto status = query_sync_state(in_fence);
        if (!status && status.error().code == -EBADF) {
            return refuse(-EINVAL, "the in-fence, descriptor ", in_fence, ", is not open");
        }
        if (!status) {
            return refuse(-EINVAL, "the kernel cannot wait for the in-fence, descriptor ", in_fence,
                          ": it is no sync_file; give it one, or wait for the fence before "
                          "showing the picture");
        }
    }
    if (in_fence >= 0 && error.code == -EPERM) {
        return refuse(error.code, "the driver ", facts_.driver,
                      " takes no in-fences: wait for it before showing the picture");
    }
    if (error.code == -EBUSY) {
        return refuse(error.code, "the driver ", facts_.driver, " is still busy with ",
                      facts_.card);
    }
    if (picture == 0) {
        return cannot_do(error, "set the mode ", mode_name(mode_), " on ", facts_.connector);
    }
    return cannot_do(error, "show picture ", picture, " on ", facts_.connector,
                     sets_mode_ ? words(" in the mode ", mode_name(mode_)) : "");
}

Outcome<UniqueFd> Display::show(const DisplayFrame& frame, bool wants_out_fence) {
    if (is_under_way()) {
        return refuse(-EBUSY, "picture ", pending_,
                      " is on its way to the screen: take its flip first");
    }
    const Framebuffer* const framebuffer = find(frame.picture);
    if (framebuffer == nullptr) {
        return refuse(-ENOENT, "there is no picture ", frame.picture);
    }
    auto part = part_of(framebuffer->memory().size, frame);
    if (!part) {
        return tl::unexpected<KmsError>(std::move(part.error()));
    }
    if (frame.in_fence < -1) {
        return refuse(-EINVAL, "the in-fence, descriptor ", frame.in_fence, ", is not open");
    }
    if ((frame.in_fence >= 0 && ports_.plane.in_fence == 0) ||
        (wants_out_fence && ports_.crtc.out_fence == 0)) {
        return refuse(-EOPNOTSUPP, "the driver ", facts_.driver, " has no fences");
    }
    if (sets_mode_) {
        if (auto prepared = prepare_mode(); !prepared) {
            return tl::unexpected<KmsError>(std::move(prepared.error()));
        }
    }
    const auto layout = layout_for(*framebuffer, *part);
    if (!layout) {
        log_.refused(frame.picture, layout.error().code);
        return tl::unexpected<KmsError>(layout.error());
    }
    build(*framebuffer, *layout);
    return commit(frame, wants_out_fence);
}

Outcome<UniqueFd> Display::commit(const DisplayFrame& frame, bool wants_out_fence) {
    std::int32_t out_fence = -1;
    if (frame.in_fence >= 0) {
        request_.set(ports_.plane.id, ports_.plane.in_fence,
                     static_cast<std::uint64_t>(frame.in_fence));
    }
    if (wants_out_fence) {
        request_.set(ports_.crtc.id, ports_.crtc.out_fence,
                     reinterpret_cast<std::uintptr_t>(&out_fence));
    }
    // Never a blocking one: it would wait for the in-fence, in the kernel and beyond any signal.
    const auto done = drm_->commit(request_, DRM_MODE_ATOMIC_NONBLOCK | DRM_MODE_PAGE_FLIP_EVENT |
                                                 (sets_mode_ ? DRM_MODE_ATOMIC_ALLOW_MODESET : 0U));
    if (!done) {
        log_.refused(frame.picture, done.error().code);
        return explain(done.error(), frame.picture, frame.in_fence);
    }
    UniqueFd owned(out_fence);
    pending_ = frame.picture;
    has_shown_ = true;
    log_.committed(frame.picture, frame.in_fence, owned.get());
    if (std::exchange(sets_mode_, false)) {
        mode_on_ = mode_;
        log_.mode_set(mode_.hdisplay, mode_.vdisplay, refresh_mhz(mode_));
    }
    return owned;
}

Outcome<std::optional<PictureFlip>> Display::next_flip() {
    while (true) {
        const auto event = drm_->next_flip();
        if (!event) {
            return cannot_do(event.error(), "read what ", facts_.card, " tells");
        }
        if (!*event) {
            return std::nullopt;
        }
        // A CRTC that was turned off for ours tells of it too.
        if ((*event)->crtc_id != ports_.crtc.id || !is_under_way()) {
            continue;
        }
        const PictureFlip flip{pending_, shown_, (*event)->sequence, (*event)->time_ns};
        shown_ = std::exchange(pending_, 0);
        black_before_.reset();
        log_.flipped(flip.picture, flip.previous, flip.sequence, flip.time_ns);
        return flip;
    }
}

}  // namespace v4lfence
