// SPDX-License-Identifier: MIT
//
// Consumer: who shows pictures, a display of KMS or a stand-in that behaves as one.
//
// One commit at a time. A picture is shown at the first refresh after its in-fence has ended; the
// fence that show() returned ends then, and fd() becomes readable. What was on screen before is
// free from then on.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tools/display/formats.hpp"
#include "tools/failure.hpp"
#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"
#include "v4lfence/drivers/picture/stamp.hpp"

namespace v4lfence {

struct ConsumerInfo {
    std::string kind;  ///< "kms", "null", "file"
    std::string card;  ///< Path of the node, or of the file; the rest may be empty.
    std::string driver;
    std::string connector;
    std::string mode;   ///< "1280x720@60.00"
    std::string plane;  ///< "primary 31"
    ImageSize size;     ///< Of the mode; 0x0: any size is shown as it is.
    double refresh_hz = 0;
    bool in_fences = false;      ///< It can wait for a fence.
    bool kernel_fences = false;  ///< ... for those of the kernel alone.
    bool out_fences = false;
    bool exact_times = false;  ///< Flip times are taken after the in-fence was seen to have ended.
};

/// A picture in memory of the camera's.
struct CameraPicture {
    std::uint32_t capture_fourcc = 0;
    std::vector<std::uint32_t> strides;   ///< V4L2's, of each plane of the buffer.
    std::optional<ScanoutLayout> layout;  ///< Empty: no format of a display's.
    ImageSize size;
    std::vector<int> dma_bufs;                      ///< Of each plane; borrowed; may be empty.
    std::vector<std::span<const std::byte>> bytes;  ///< As mapped; outlives the consumer's use.
};

/// A picture in memory of the display's own.
struct DisplayPicture {
    int number = 0;
    ScanoutLayout layout;       ///< `buffer_plane` counts `dma_bufs`.
    std::vector<int> dma_bufs;  ///< Borrowed from the consumer.
};

/// What a consumer that looks at its pictures saw.
struct PictureSight {
    std::uint64_t fingerprint = 0;       ///< Of its bytes; other frames have others.
    std::optional<StampReading> stamps;  ///< Where the picture can be viewed.
};

struct Flip {
    int picture = 0;
    int previous = 0;            ///< 0: none of ours.
    std::uint32_t sequence = 0;  ///< Refreshes so far; it wraps.
    std::int64_t time_ns = 0;
    std::int64_t fence_seen_ns = 0;     ///< When its in-fence was seen to have ended; 0: not told.
    std::optional<PictureSight> sight;  ///< Of `picture`, when it came to the screen.
    std::optional<bool> previous_changed;  ///< While it was on screen.
};

class Consumer {
public:
    virtual ~Consumer() = default;

    virtual const ConsumerInfo& info() const = 0;
    virtual bool shows(std::uint32_t display_fourcc) const = 0;

    /// Return the number of a picture, from 1. Fail with a sentence.
    virtual Attempt<int> import(const CameraPicture& picture) = 0;
    virtual Attempt<DisplayPicture> allocate(std::uint32_t display_fourcc, ImageSize size) = 0;
    /// Not while it is on screen or on its way.
    virtual void forget(int picture) = 0;

    /// Does not block. `in_fence` -1: none; it stays the caller's. Returns the out-fence, empty
    /// where there is none to give. Errors: EBUSY a commit is under way; EINVAL, with nothing
    /// changed, a fence that it cannot wait for; others end the show.
    virtual Result<UniqueFd> show(int picture, int in_fence) = 0;
    virtual bool waits_for(int fence) const = 0;

    /// Readable while there is a flip to take. Borrowed.
    virtual int fd() const = 0;
    virtual Result<std::optional<Flip>> next_flip() = 0;

    /// A sentence about the last call that failed.
    virtual std::string why() const = 0;
};

}  // namespace v4lfence
