// SPDX-License-Identifier: MIT
//
// Display: one connector of a card that shows pictures with fences both ways. What v4lfence/kms.h
// says of its calls holds here; kms.cpp is the C face of it.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "v4lfence/base/time.hpp"
#include "v4lfence/base/unique_fd.hpp"
#include "v4lfence/kms/card.hpp"
#include "v4lfence/kms/choice.hpp"
#include "v4lfence/kms/display_log.hpp"
#include "v4lfence/kms/error.hpp"
#include "v4lfence/kms/framebuffer.hpp"
#include "v4lfence/kms/property_blob.hpp"
#include "v4lfence/kms/saved_state.hpp"
#include "v4lfence/kms/scanout.hpp"

namespace v4lfence {

/// What the display is; for v4lfence_display_info.
struct DisplayFacts {
    std::string card;
    std::string driver;
    std::string connector;
    PlaneType plane = PlaneType::Primary;
};

/// What v4lfence_display_frame says.
struct DisplayFrame {
    int picture = 0;
    int in_fence = -1;     ///< Borrowed.
    PicturePart source{};  ///< 0x0: all of it.
};

struct PictureFlip {
    int picture = 0;
    int previous = 0;  ///< 0: none.
    std::uint32_t sequence = 0;
    std::int64_t time_ns = 0;
};

/// Thread: one at a time.
class Display {
public:
    /// A fence of vgem is pending for 10 s at most; so a commit is.
    static constexpr Nanoseconds close_bound = std::chrono::seconds(10);
    /// Of so many sizes, formats and odd places it is remembered how they are shown.
    static constexpr std::size_t layouts_max = 16;

    /// `clock` must outlive it. Errors: as v4lfence_display_open().
    static Outcome<std::unique_ptr<Display>> create(Card card, const DisplayWish& wish,
                                                    const Clock& clock);
    Display(const Display&) = delete;
    Display& operator=(const Display&) = delete;
    /// As v4lfence_display_close().
    ~Display();

    Outcome<int> import(const PictureMemory& memory);
    /// The memory is the display's.
    Outcome<int> allocate(Extent size, std::uint32_t fourcc);
    /// NULL: no such picture. Valid until forget().
    const PictureMemory* memory(int picture) const;
    Outcome<> forget(int picture);

    /// Returns an out-fence, where one is wanted.
    Outcome<UniqueFd> show(const DisplayFrame& frame, bool wants_out_fence);
    Outcome<> set_mode(const std::string& wanted);
    Outcome<std::optional<PictureFlip>> next_flip();

    /// Borrowed.
    int fd() const { return drm_->fd(); }
    const DisplayFacts& facts() const { return facts_; }
    const OutputPorts& ports() const { return ports_; }
    /// That is on; before the first picture the one that it will have.
    const DrmMode& mode() const { return mode_on_ ? *mode_on_ : mode_; }
    const std::vector<PlaneFormat>& formats() const { return formats_; }
    bool may_scale() const { return may_scale_; }

private:
    /// Of pictures and parts that a driver treats alike. One whose pixels share their colour may
    /// refuse an odd place, or to scale from there.
    struct LayoutKey {
        Extent size;  ///< Of the part.
        bool x_odd = false;
        bool y_odd = false;
        std::uint32_t fourcc = 0;
        std::uint64_t modifier = 0;

        bool operator==(const LayoutKey&) const = default;
    };
    struct KnownLayout {
        LayoutKey key;
        PictureLayout layout;
    };

    Display(Card card, const DisplayWish& wish, const OutputChoice& choice, OutputPorts ports,
            const DrmMode& mode, const Clock& clock);

    Extent screen() const { return {mode_.hdisplay, mode_.vdisplay}; }
    bool is_under_way() const { return pending_ != 0; }
    const Framebuffer* find(int picture) const;
    int keep(Framebuffer framebuffer);

    /// Makes what a mode needs beside the pictures: its blob, the black plane, a connector that can
    /// be had.
    Outcome<> prepare_mode();
    Outcome<> prepare_black();
    /// Asks whether the CRTC that the connector had is on, and takes the connector from one that is
    /// off.
    Outcome<> release_connector();
    Outcome<PictureLayout> layout_for(const Framebuffer& picture, const PicturePart& part);
    void remember(const KnownLayout& layout);
    /// No layout did: is it the picture's size, or would none of this format do?
    tl::unexpected<KmsError> explain_layouts(const PictureMemory& memory, const PicturePart& part);
    Result<> try_layout(const Framebuffer& picture, const PictureLayout& layout);
    void build(const Framebuffer& picture, const PictureLayout& layout);
    Outcome<UniqueFd> commit(const DisplayFrame& frame, bool wants_out_fence);
    tl::unexpected<KmsError> explain(const Error& error, int picture, int in_fence);

    void wait_for_flip();

    // The device is the first member: everything of the kernel's goes before it.
    std::unique_ptr<Drm> drm_;
    const Clock& clock_;
    const DisplayWish wish_;
    const DisplayFacts facts_;
    const OutputPorts ports_;
    const std::vector<DrmMode> modes_;
    const std::vector<PlaneFormat> formats_;
    const std::vector<PlaneFormat> under_formats_;
    const SavedState before_;
    DrmMode mode_;  ///< Of the next commit.
    std::optional<DrmMode> mode_on_;
    bool sets_mode_ = true;             ///< The next commit does.
    bool has_shown_ = false;            ///< There is something to put back.
    bool may_scale_ = true;             ///< Or was not tried yet.
    bool turns_displaced_off_ = false;  ///< When the mode is set.

    PropertyBlob mode_blob_;
    std::optional<Framebuffer> black_;                  ///< Of mode_.
    std::optional<Framebuffer> black_before_;           ///< Of mode_on_, until it is off.
    std::vector<std::optional<Framebuffer>> pictures_;  ///< Number N is at N - 1.
    std::vector<KnownLayout> layouts_;                  ///< In mode_.
    AtomicRequest request_;
    int shown_ = 0;
    int pending_ = 0;  ///< Of the commit under way.
    DisplayLog log_;
};

}  // namespace v4lfence
