// SPDX-License-Identifier: MIT

#include "v4lfence/fence/fence.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <algorithm>

#include "v4lfence/base/socket.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/end_mark.hpp"
#include "v4lfence/fence/end_order.hpp"
#include "v4lfence/fence/sync_file.hpp"

namespace v4lfence {

namespace {

/// A socket whose peer has only shut down its writing side has hung up as well.
constexpr short stream_events = POLLIN | POLLRDHUP;

FenceStatus failed(int error) {
    return {FenceState::Failed, error, std::nullopt};
}

FenceStatus signaled() {
    return {FenceState::Signaled, 0, std::nullopt};
}

/// Of a stream that has hung up.
FenceStatus hung_up_status(int fd) {
    const auto info = sys::fstat(fd);
    if (!info) {
        return failed(info.error().code);
    }
    if (const auto error = marked_error(info->st_mode)) {
        return *error == 0 ? signaled() : failed(*error);
    }
    // A socket that has hung up is readable for ever: only what is left in it tells data from the
    // end.
    int unread = 0;
    if (S_ISSOCK(info->st_mode) && sys::ioctl_retry(fd, FIONREAD, &unread) && unread > 0) {
        return signaled();
    }
    return failed(maker_gone_error);
}

/// Where poll() does not work, as under RLIMIT_NOFILE 0: what can be told without it.
FenceStatus unpolled_status(int fd) {
    const auto info = sys::fstat(fd);
    if (info && marked_error(info->st_mode)) {
        return hung_up_status(fd);
    }
    int unread = 0;
    const bool readable = sys::ioctl_retry(fd, FIONREAD, &unread) && unread > 0;
    return readable ? signaled() : FenceStatus{};
}

FenceStatus stream_status(int fd) {
    const auto events = sys::poll_now(fd, stream_events);
    if (!events) {
        return unpolled_status(fd);
    }
    if (*events & POLLNVAL) {
        return failed(-EBADF);
    }
    if ((*events & POLLIN) != 0 && (*events & POLLRDHUP) == 0) {
        return signaled();  // A pipe is readable by data alone.
    }
    return *events == 0 ? FenceStatus{} : hung_up_status(fd);
}

FenceStatus eventfd_status(int fd) {
    const auto events = sys::poll_now(fd, POLLIN);
    if (!events) {
        return {};  // As under RLIMIT_NOFILE 0: nothing can be told of it.
    }
    if (*events & POLLNVAL) {
        return failed(-EBADF);
    }
    return *events == 0 ? FenceStatus{} : signaled();
}

FenceStatus look_at(int fd, FenceKind kind) {
    switch (kind) {
    case FenceKind::SyncFile: {
        const auto status = query_sync_file(fd);
        return status ? *status : failed(status.error().code);
    }
    case FenceKind::EventFd:
        return eventfd_status(fd);
    case FenceKind::Stream:
        return stream_status(fd);
    }
    return failed(-EINVAL);
}

FenceStatus observe(int fd, FenceKind kind) {
    const FenceStatus status = look_at(fd, kind);
    if (status.ended()) {
        acquire_after_end();
    }
    return status;
}

tl::unexpected<Error> no_fence() {
    return fail(-EINVAL, "no kind of fence");
}

Result<ImportedFence> import_status(int fd, FenceKind kind, const FenceStatus& status) {
    if (status.ended()) {
        return ImportedFence{status, std::nullopt};
    }
    return ImportedFence{status, Fence::adopt(V4LFENCE_TRY(sys::dup_high(fd)), kind)};
}

/// Errors: ENOTTY no sync_file; EMFILE.
Result<ImportedFence> import_sync_file(int fd) {
    const FenceStatus status = V4LFENCE_TRY(query_sync_file(fd));
    if (status.ended()) {
        acquire_after_end();
    }
    return import_status(fd, FenceKind::SyncFile, status);
}

/// Errors: EINVAL opened for writing only, or as a mere path.
Result<ImportedFence> import_stream(int fd) {
    const int flags = V4LFENCE_TRY(sys::get_status_flags(fd));
    if ((flags & O_PATH) != 0 || (flags & O_ACCMODE) == O_WRONLY) {
        return no_fence();
    }
    return import_status(fd, FenceKind::Stream, observe(fd, FenceKind::Stream));
}

Result<ImportedFence> import_dma_buf(UniqueFd fences) {
    const FenceStatus status = observe(fences.get(), FenceKind::SyncFile);
    if (status.ended()) {
        return ImportedFence{status, std::nullopt};
    }
    return ImportedFence{status,
                         Fence::adopt(sys::move_high(std::move(fences)), FenceKind::SyncFile)};
}

/// Objects without a name in any file system. Kernels differ in whether they call them regular
/// files.
Result<ImportedFence> import_anonymous(int fd, DmaBufAccess access) {
    auto exported = export_sync_file(fd, access);
    if (exported) {
        return import_dma_buf(std::move(*exported));
    }
    const int why = exported.error().code;
    if (why == -EMFILE || why == -ENFILE || why == -ENOMEM) {
        return tl::unexpected<Error>(exported.error());
    }
    const auto link = sys::describe_fd(fd);
    if (link && *link == "anon_inode:[eventfd]") {
        return import_status(fd, FenceKind::EventFd, observe(fd, FenceKind::EventFd));
    }
    return no_fence();
}

void set_name(std::array<char, 32>& to, std::string_view name) {
    std::copy_n(name.begin(), std::min(name.size(), to.size() - 1), to.begin());
}

}  // namespace

Result<ImportedFence> Fence::import(int fd, DmaBufAccess access, FenceKind likely) {
    const bool sync_file_first = likely == FenceKind::SyncFile;
    if (sync_file_first) {
        auto imported = import_sync_file(fd);
        if (imported || imported.error().code == -EMFILE || imported.error().code == -ENFILE) {
            return imported;
        }
    }
    const auto info = sys::fstat(fd);
    if (!info) {
        return fail(-EINVAL, "no open descriptor");
    }
    switch (info->st_mode & S_IFMT) {
    case S_IFSOCK:
        if (sys::stands_for_file(fd)) {
            return no_fence();
        }
        return import_stream(fd);
    case S_IFIFO:
        return import_stream(fd);
    case 0:
    case S_IFREG:
        break;
    default:
        return no_fence();
    }
    if (!sync_file_first) {
        if (auto imported = import_sync_file(fd); imported || imported.error().code != -ENOTTY) {
            return imported;
        }
    }
    return import_anonymous(fd, access);
}

FenceStatus Fence::status() const {
    return observe(fd_.get(), kind_);
}

FenceStatus Fence::outcome(std::uint32_t epoll_events) const {
    FenceStatus status;
    if (kind_ == FenceKind::SyncFile) {
        status = query_sync_state(fd_.get()).value_or(FenceStatus{});
    } else if ((epoll_events & EPOLLIN) != 0 && (epoll_events & EPOLLRDHUP) == 0) {
        status = signaled();
    } else {
        return this->status();
    }
    if (status.ended()) {
        acquire_after_end();
    }
    return status;
}

Result<FenceStatus> Fence::wait(Deadline deadline, const Clock& clock) const {
    const short events = kind_ == FenceKind::Stream ? stream_events : POLLIN;
    while (true) {
        pollfd entry{fd_.get(), events, 0};
        // Nobody asks the clock about a wait without an end.
        const int left = deadline ? timeout_ms(deadline, clock.now()) : -1;
        const int ready = V4LFENCE_TRY(sys::poll({&entry, 1}, left));
        if (ready > 0) {
            const FenceStatus now = status();
            if (now.ended()) {
                return now;
            }
        } else if (deadline && clock.now() >= *deadline) {
            return fail(-ETIME, "fence pending at the deadline");
        }
    }
}

FenceNames Fence::names() const {
    if (kind_ == FenceKind::SyncFile) {
        if (const auto names = query_sync_names(fd_.get())) {
            return *names;
        }
    }
    FenceNames names;
    set_name(names.driver, kind_ == FenceKind::SyncFile  ? "sync_file"
                           : kind_ == FenceKind::EventFd ? "eventfd"
                                                         : "stream");
    return names;
}

}  // namespace v4lfence
