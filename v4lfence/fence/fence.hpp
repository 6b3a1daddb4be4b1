// SPDX-License-Identifier: MIT
//
// Fence: a one-shot promise, carried by a descriptor, that some work will end. Start here for the
// fence layer: provider.hpp makes fences, reactor.hpp waits for many of them.

#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/time.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

/// Pending may become Signaled or Failed, once; neither ever changes again.
enum class FenceState : std::uint8_t { Pending, Signaled, Failed };

struct FenceStatus {
    FenceState state = FenceState::Pending;
    int error = 0;                          ///< Negative errno when Failed, otherwise 0.
    std::optional<MonotonicTime> ended_at;  ///< Where the kind of fence knows it.

    bool ended() const noexcept { return state != FenceState::Pending; }
};

enum class FenceKind : std::uint8_t {
    SyncFile,  ///< The kernel's; tells its status, its error and when it ended.
    EventFd,   ///< Ended while its counter is not zero. Whoever holds it can end it.
    Stream,    ///< Read end of a pipe, or a socket: ended when readable or hung up.
};

/// Which fences of a dma-buf a queue has to wait for.
enum class DmaBufAccess : std::uint8_t {
    Write,  ///< The device writes (capture): every fence on the buffer.
    Read,   ///< The device reads (output): the fences of its writers.
};

/// Who made a fence, for messages: the names of SYNC_IOC_FILE_INFO, else the kind. NUL-terminated.
struct FenceNames {
    std::array<char, 32> driver{};
    std::array<char, 32> timeline{};
};

struct ImportedFence;

/// Owns a descriptor of one fence. "No fence" is an empty std::optional<Fence>.
/// Thread: const members may be called from any thread at once.
class [[nodiscard]] Fence {
public:
    /// Recognises `fd`, which stays the caller's, and looks at its status; a pending fence is
    /// duplicated, high and close-on-exec. Of a dma-buf it is the fences that the buffer has now.
    /// System calls: 2 for a sync_file (an ended one: when it ended), 5 for a pipe, 6 for an
    /// eventfd. Errors: EINVAL not open or no kind of fence (regular file, directory, device, the
    /// write end of a pipe, a raw syncobj, whose poll() lies); EMFILE, ENFILE, ENOMEM.
    /// `likely` is tried first.
    static Result<ImportedFence> import(int fd, DmaBufAccess access,
                                        FenceKind likely = FenceKind::SyncFile);

    /// Takes over a descriptor whose kind is known.
    static Fence adopt(UniqueFd fd, FenceKind kind) noexcept { return Fence(std::move(fd), kind); }

    FenceKind kind() const noexcept { return kind_; }

    /// Borrowed: valid while this Fence lives. Readable or hung up once it has ended.
    int fd() const noexcept { return fd_.get(); }

    /// Never blocks. What the fence's maker did before ending it is visible to who sees it ended
    /// (SEMANTICS 7.2). A stream that hung up without data failed: with the error that its maker
    /// left (end_mark.hpp), or -EOWNERDEAD when it left none. Without a valid descriptor: -EBADF.
    FenceStatus status() const;

    /// What a reactor watches its descriptor for, so that outcome() has to ask as little as can be.
    static constexpr std::uint32_t watch_events = EPOLLIN | EPOLLRDHUP | EPOLLET;

    /// As status(), but without the time, given that epoll has reported `epoll_events`.
    FenceStatus outcome(std::uint32_t epoll_events) const;

    /// Blocks until the fence has ended, well or badly. Errors: ETIME; EINTR.
    Result<FenceStatus> wait(Deadline deadline, const Clock& clock) const;

    FenceNames names() const;

    UniqueFd release() && noexcept { return std::move(fd_); }

private:
    Fence(UniqueFd fd, FenceKind kind) noexcept : fd_(std::move(fd)), kind_(kind) {}

    UniqueFd fd_;
    FenceKind kind_;
};

struct ImportedFence {
    FenceStatus status;
    std::optional<Fence> pending;  ///< Empty when the fence has already ended.
};

/// SYNC_IOC_MERGE: a sync_file that ends when both have. Errors: EINVAL one is no sync_file;
/// EMFILE, ENOMEM.
Result<UniqueFd> merge_sync_files(std::string_view name, int first, int second);

}  // namespace v4lfence
