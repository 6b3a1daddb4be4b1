// SPDX-License-Identifier: MIT
//
// FileHandle: one open() of a virtual device: its priority, its events, its fence options, and the
// descriptor by which a program waits for it.

#pragma once

#include <linux/videodev2.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "v4lfence/sync/wake.hpp"
#include "v4lfence/v4l2/events.hpp"
#include "v4lfence/v4l2/readiness.hpp"
#include "v4lfence/vb2/queue.hpp"

namespace v4lfence {

class VideoDevice;

/// Thread: every member may be called from any thread.
class FileHandle final : private EventListener {
public:
    struct Opened {
        std::unique_ptr<FileHandle> handle;
        UniqueFd program_end;  ///< The program's descriptor: poll() of it tells the truth.
    };
    /// `device` is borrowed and must outlive it. Errors: EMFILE, ENFILE, ENOMEM.
    static Result<Opened> open(VideoDevice& device);
    /// As close(2) of the last descriptor.
    ~FileHandle();

    VideoDevice& device() const noexcept { return device_; }
    EventQueue& events() noexcept { return events_; }
    FileOptions& options() noexcept { return options_; }

    /// The number by which the program knows its end: where readiness is taken back.
    void set_program_fd(int fd);
    std::uint64_t identity() const noexcept { return identity_; }
    /// A descriptor of the program's end that came with a call from another process. While the call
    /// is under way readiness is taken back by it; several may be. Destroyed before it is closed.
    class [[nodiscard]] Lent {
    public:
        /// `fd` is borrowed, and is the program's end.
        Lent(FileHandle& file, int fd);
        Lent(const Lent&) = delete;
        Lent& operator=(const Lent&) = delete;
        ~Lent();

    private:
        friend class FileHandle;
        FileHandle& file_;
        const int fd_;
        Lent* next_ = nullptr;
    };

    /// No descriptor of the program's end is open any more, in any process.
    bool abandoned() const;
    /// The device is gone, and the descriptor says so: nobody can know any more who still has it.
    bool hung_up() const { return watch_fd() < 0; }
    /// POLLHUP: abandoned(). Borrowed until it has hung up; -1 then.
    int watch_fd() const;

    /// Counted up from now on whenever a call that found nothing might find something, after that
    /// has come to be. It must outlive the file.
    void count_changes_at(std::uint64_t& counter) noexcept { changes_.store(&counter); }
    /// As said there, for a change that only the caller knows of.
    void count_change() noexcept;

    /// A fence flag, the query or a fence option was used (SEMANTICS, "fenced file").
    bool fenced() const noexcept { return fenced_.load(); }
    void become_fenced() noexcept { fenced_.store(true); }
    bool rfc_caps() const noexcept { return rfc_caps_.load(); }
    void set_rfc_caps(bool on) noexcept { rfc_caps_.store(on); }

    v4l2_priority priority() const noexcept { return priority_.load(); }
    void store_priority(v4l2_priority priority) noexcept { priority_.store(priority); }

    /// Frames or events came or went: makes the descriptor say so.
    void update_readiness();
    /// The device is gone.
    void hang_up();

    /// What poll() of a kernel's video device would say, with what the descriptor cannot show:
    /// POLLERR, and events without frames. A readable queue that nobody uses shows nothing: the
    /// kernel would start the stream now.
    short poll_state() const;

    /// Bell for a thread that waits for an event, or for the end of the device. Errors: EMFILE.
    Result<Wake*> event_wake() { return open_wake(event_wake_); }
    /// Bell for those who want to know of any change of poll_state(). Errors: EMFILE.
    Result<Wake*> poll_wake() { return open_wake(poll_wake_); }

    /// In a forked child: the descriptor is the parent's to serve.
    void abandon() noexcept;

private:
    FileHandle(VideoDevice& device, Readiness readiness);

    void events_changed(unsigned pending) override;
    void show_frames(const ReadyCounts& counts);
    Readiness::Direction direction() const;
    Result<Wake*> open_wake(Wake& wake);
    /// Where readiness is taken back. With readiness_mutex_.
    int program_end() const { return lent_ != nullptr ? lent_->fd_ : program_fd_.load(); }
    void note_change() noexcept;

    VideoDevice& device_;
    FileOptions options_;
    std::atomic<bool> fenced_{false};
    std::atomic<bool> rfc_caps_{false};
    std::atomic<v4l2_priority> priority_{V4L2_PRIORITY_DEFAULT};
    std::atomic<int> program_fd_{-1};
    std::atomic<std::uint64_t*> changes_{nullptr};

    /// Guards what follows. Whoever holds it looks at the latest numbers, so the last one to come
    /// shows the truth, in whatever order they came.
    mutable std::mutex readiness_mutex_;
    Readiness readiness_;
    const std::uint64_t identity_;
    std::uint64_t shown_became_ = 0;  ///< ReadyCounts::became, as far as it was shown.
    unsigned shown_frames_ = 0;       ///< What a DQBUF would find.
    bool stale_ = false;              ///< A byte could not be taken back.
    Lent* lent_ = nullptr;            ///< Those of the calls under way.
    Wake event_wake_;
    Wake poll_wake_;

    EventQueue events_;  ///< Last: it calls events_changed() to its end.
};

}  // namespace v4lfence
