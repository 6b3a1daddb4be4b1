// SPDX-License-Identifier: MIT
//
// SoftwareConsumer: a display for machines that have none. It waits for in-fences of any kind,
// shows at the refreshes of its clock, looks at each picture when it comes to the screen and again
// when it leaves, and ends its out-fence then.
//
// A thread of its own is the display, so that the program is woken by flips alone.

#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tools/display/consumer.hpp"
#include "tools/display/software_screen.hpp"
#include "tools/stream/picture.hpp"

struct v4lfence_promise;

namespace v4lfence {

/// Where pictures go when they are shown.
class PictureSink {
public:
    virtual ~PictureSink() = default;
    /// On the display's thread, while the picture is on screen. Fails with a sentence.
    virtual Attempt<> put(const CameraPicture& picture) = 0;
};

struct SoftwareChoices {
    std::string kind = "null";  ///< As ConsumerInfo has it.
    std::string path;           ///< Of the file.
    double refresh_hz = 60;
    std::string provider = "user";  ///< Of its out-fences.
    bool out_fences = true;
    bool implicit = false;              ///< It also waits for what the dma-bufs say at the commit.
    std::unique_ptr<PictureSink> sink;  ///< May be empty.
};

class SoftwareConsumer final : public Consumer {
public:
    /// Fails with a sentence.
    static Attempt<std::unique_ptr<SoftwareConsumer>> create(SoftwareChoices choices);
    ~SoftwareConsumer() override;

    const ConsumerInfo& info() const override { return info_; }
    /// Anything: it lies in memory.
    bool shows(std::uint32_t /*display_fourcc*/) const override { return true; }
    Attempt<int> import(const CameraPicture& picture) override;
    Attempt<DisplayPicture> allocate(std::uint32_t display_fourcc, ImageSize size) override;
    void forget(int picture) override;
    Result<UniqueFd> show(int picture, int in_fence) override;
    bool waits_for(int fence) const override;
    int fd() const override { return flips_shown_.get(); }
    Result<std::optional<Flip>> next_flip() override;
    std::string why() const override;

private:
    struct Commit {
        UniqueFd in_fence;
        v4lfence_promise* out = nullptr;
        std::int64_t fence_seen_ns = 0;
    };

    SoftwareConsumer(SoftwareChoices choices, UniqueFd flips_shown, UniqueFd control,
                     UniqueFd timer);

    void run();
    /// Waits for what comes next; returns whether a flip is due.
    bool wait_for_refresh();
    void flip();
    PictureSight look_at(const CameraPicture& picture) const;
    /// A fence that ends when the in-fence and those of the dma-bufs have.
    Result<UniqueFd> take_in_fence(const CameraPicture& picture, int in_fence) const;
    /// NULL: there is none. Under mutex_.
    const CameraPicture* find(int picture) const;
    Error remember(Error error, std::string sentence);

    SoftwareChoices choices_;
    ConsumerInfo info_;
    const UniqueFd flips_shown_;  ///< An eventfd that counts what next_flip() has to give.
    const UniqueFd control_;      ///< An eventfd that wakes the thread.
    const UniqueFd timer_;

    mutable std::mutex mutex_;
    SoftwareScreen screen_;                              ///< Guarded by mutex_, as all below.
    std::deque<std::optional<CameraPicture>> pictures_;  ///< Number - 1; they stay where they are.
    Commit commit_;
    std::deque<Flip> flips_;
    std::string why_;
    bool failed_ = false;  ///< The sink did not take a picture.
    bool stopping_ = false;
    PictureSight sight_;  ///< Of what is on screen. The thread's own.
    std::thread thread_;
};

/// Appends the bytes of every picture to a file, a pipe or a device. Fails with a sentence.
Attempt<std::unique_ptr<PictureSink>> create_file_sink(const std::string& path);

}  // namespace v4lfence
