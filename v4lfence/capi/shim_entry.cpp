// SPDX-License-Identifier: MIT
//
// What the shim of a preloaded program calls: shim/abi.h over the same files as v4lfence.h.

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <span>

#include "v4lfence/base/libc_calls.hpp"
#include "v4lfence/capi/numbers.hpp"
#include "v4lfence/capi/process.hpp"
#include "v4lfence/capi/sync_ioctl.hpp"
#include "v4lfence/shim/abi.h"
#include "v4lfence/v4lfence.h"

using namespace v4lfence;
using capi::failed;
using capi::process;

namespace {

bool is_wrapped(dev_t node) {
    const auto& wrapped = process().wrapped;
    return std::find(wrapped.begin(), wrapped.end(), node) != wrapped.end();
}

int open_virtual(const char* name, int flags) {
    const auto opened = capi::open_remote(name, flags);
    return opened ? *opened : failed(opened.error());
}

int take_over(int fd) {
    const int error = errno;
    const bool ours = capi::take_over(fd, is_wrapped);
    errno = error;
    return ours ? 1 : 0;
}

void same_file(int from, int to) {
    const int error = errno;
    if (!capi::share(from, to)) {
        // What it was before is closed all the same.
        capi::forget(to, 0);
    }
    errno = error;
}

void* leave(int fd) {
    File* const last = process().files.take(fd);
    if (last != nullptr) {
        last->close();
    }
    return last;
}

void left(void* file) {
    const int error = errno;
    const std::unique_ptr<File> last(static_cast<File*>(file));
    if (last) {
        last->closed();
    }
    errno = error;
}

std::atomic<pid_t> attached_process{0};

void note_process() {
    attached_process.store(::getpid());
}

int is_this_process() {
    return ::getpid() == attached_process.load() ? 1 : 0;
}

int ioctl_of(int fd, unsigned long request, void* argument) {
    return v4lfence_ioctl(fd, request, argument);
}

int is_ours(int fd) {
    const int error = errno;
    const bool ours = capi::is_ours(fd);
    errno = error;
    return ours ? 1 : 0;
}

int sync_ioctl_of(int fd, unsigned long request, void* argument) {
    const auto answer =
        capi::sync_ioctl(process(), fd, static_cast<std::uint32_t>(request), argument);
    return answer ? 0 : failed(answer.error());
}

constexpr v4lfence_shim_calls calls{
    .version = V4LFENCE_SHIM_ABI,
    .open_virtual = open_virtual,
    .take_over = take_over,
    .same_file = same_file,
    .leave = leave,
    .left = left,
    .is_this_process = is_this_process,
    .ioctl = ioctl_of,
    .close = v4lfence_close,
    .mmap = v4lfence_mmap,
    .read = v4lfence_read,
    .write = v4lfence_write,
    .is_ours = is_ours,
    .munmap = v4lfence_munmap,
    .poll = v4lfence_poll,
    .select = v4lfence_select,
    .epoll_ctl = v4lfence_epoll_ctl,
    .sync_ioctl = sync_ioctl_of,
};

LibcCalls as_found(const v4lfence_libc& found) {
    return {.open = found.open,
            .close = found.close,
            .ioctl = found.ioctl,
            .fcntl = found.fcntl,
            .read = found.read,
            .write = found.write,
            .mmap = found.mmap,
            .munmap = found.munmap,
            .poll = found.poll,
            .select = found.select,
            .epoll_ctl = found.epoll_ctl,
            .fstat = found.fstat,
            .keep = found.keep};
}

void apply(const v4lfence_shim_settings& settings) {
    capi::Process& here = process();
    if (settings.server != nullptr) {
        here.remote.use_server(settings.server);
    }
    if (settings.provider != nullptr) {
        here.provider = settings.provider;
        here.defaults.provider = here.provider.c_str();
    }
    here.defaults.rfc_caps = settings.rfc_caps != 0;
    const std::span wrapped(settings.wrapped);
    const std::size_t count = std::min<std::size_t>(settings.wrapped_count, wrapped.size());
    here.wrapped.assign(wrapped.begin(), wrapped.begin() + static_cast<std::ptrdiff_t>(count));
}

}  // namespace

extern "C" [[gnu::visibility("default")]] const struct v4lfence_shim_calls*
v4lfence_shim_attach(unsigned version, const struct v4lfence_libc* found,
                     const struct v4lfence_shim_settings* settings) {
    if (version != V4LFENCE_SHIM_ABI) {
        return nullptr;
    }
    libc = as_found(*found);
    note_process();
    ::pthread_atfork(nullptr, nullptr, note_process);
    apply(*settings);
    return &calls;
}
