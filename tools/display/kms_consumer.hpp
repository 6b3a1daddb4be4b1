// SPDX-License-Identifier: MIT
//
// KmsConsumer: a display of the machine's, by v4lfence/kms.h.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tools/display/consumer.hpp"
#include "v4lfence/kms.h"

namespace v4lfence {

/// Empty texts: the best there is.
struct KmsChoices {
    std::string card;
    std::string connector;
    std::string mode;
    bool overlay = false;
    ImageSize size;            ///< Of the pictures, as far as it is known; else 0x0.
    std::uint32_t fourcc = 0;  ///< DRM_FORMAT_*; 0: not known yet.
};

class KmsConsumer final : public Consumer {
public:
    /// Fails with a sentence.
    static Attempt<std::unique_ptr<KmsConsumer>> create(const KmsChoices& choices);

    const ConsumerInfo& info() const override { return info_; }
    bool shows(std::uint32_t display_fourcc) const override;
    Attempt<int> import(const CameraPicture& picture) override;
    Attempt<DisplayPicture> allocate(std::uint32_t display_fourcc, ImageSize size) override;
    void forget(int picture) override;
    Result<UniqueFd> show(int picture, int in_fence) override;
    /// Sync_files alone.
    bool waits_for(int fence) const override;
    int fd() const override { return v4lfence_display_fd(display_.get()); }
    Result<std::optional<Flip>> next_flip() override;
    std::string why() const override;

private:
    struct Close {
        void operator()(v4lfence_display* display) const { v4lfence_display_close(display); }
    };
    using DisplayPtr = std::unique_ptr<v4lfence_display, Close>;

    explicit KmsConsumer(DisplayPtr display);

    DisplayPtr display_;
    ConsumerInfo info_;
    std::vector<v4lfence_display_format> formats_;
};

/// What the errno of v4lfence_display_open() makes of the command.
ExitStatus display_open_status(int code);

}  // namespace v4lfence
