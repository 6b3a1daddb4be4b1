// SPDX-License-Identifier: MIT

#include "v4lfence/shim/library.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "v4lfence/shim/config.hpp"
#include "v4lfence/shim/next.hpp"

namespace v4lfence::shim {

const v4lfence_shim_calls* loaded_calls = nullptr;

namespace {

thread_local bool loading __attribute__((tls_model("initial-exec"))) = false;

int real_stat(const char* path, struct stat64* status) {
    return next<"stat64", int(const char*, struct stat64*)>(path, status);
}

int real_fstat(int fd, struct stat64* status) {
    return next<"fstat64", int(int, struct stat64*)>(fd, status);
}

thread_local bool in_next_preload __attribute__((tls_model("initial-exec"))) = false;

template <SymbolName name, typename Function>
struct Beyond;

/// What the library gets for a call: the C library's definition as it is, or another preload's.
template <SymbolName name, typename Result, typename... Parameters>
struct Beyond<name, Result(Parameters...)> {
    using Function = Result(Parameters...);

    static Result by_preload(Parameters... parameters) {
        const bool before = in_next_preload;
        in_next_preload = true;
        const Result result = next<name, Function>(parameters...);
        in_next_preload = before;
        return result;
    }

    static Function* found(void* c_library) {
        Function* definition = next<name, Function>.found();
        return dlsym(c_library, name.text) == reinterpret_cast<void*>(definition) ? definition
                                                                                  : &by_preload;
    }
};

// The library says which of its descriptors outlive a call, and closes what it owns through this
// table: so the shim knows which numbers a program's closefrom() must spare.

void library_keep(int fd) {
    set_mark(fd, internal);
}

int (*close_beyond)(int) = nullptr;

int library_close(int fd) {
    if (mark_of(fd) == internal) {
        set_mark(fd, unknown);
    }
    return close_beyond(fd);
}

template <typename Wanted, typename Function>
Wanted as(Function* function) {
    return reinterpret_cast<Wanted>(reinterpret_cast<void*>(function));
}

v4lfence_libc real_calls() {
    v4lfence_libc real{};
    void* const c = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    real.open = as<decltype(real.open)>(Beyond<"open64", int(const char*, int, mode_t)>::found(c));
    close_beyond = Beyond<"close", int(int)>::found(c);
    real.close = &library_close;
    real.keep = &library_keep;
    real.ioctl =
        as<decltype(real.ioctl)>(Beyond<"ioctl", int(int, unsigned long, void*)>::found(c));
    real.fcntl = as<decltype(real.fcntl)>(Beyond<"fcntl64", int(int, int, void*)>::found(c));
    real.read = Beyond<"read", ssize_t(int, void*, size_t)>::found(c);
    real.write = Beyond<"write", ssize_t(int, const void*, size_t)>::found(c);
    // off_t and time_t have 64 bits in the library, also where a program's own have 32.
    real.mmap = as<decltype(real.mmap)>(
        Beyond<"mmap64", void*(void*, size_t, int, int, int, int64_t)>::found(c));
    real.munmap = Beyond<"munmap", int(void*, size_t)>::found(c);
    real.poll = next<"poll", int(pollfd*, nfds_t, int)>.found();
#if __SIZEOF_POINTER__ == 4
    real.select = as<decltype(real.select)>(
        next<"__select64", int(int, fd_set*, fd_set*, fd_set*, void*)>.found());
#else
    real.select = next<"select", int(int, fd_set*, fd_set*, fd_set*, timeval*)>.found();
#endif
    real.epoll_ctl = next<"epoll_ctl", int(int, int, int, epoll_event*)>.found();
#if __SIZEOF_POINTER__ == 4
    real.fstat = as<decltype(real.fstat)>(next<"__fstat64_time64", int(int, void*)>.found());
#else
    real.fstat = next<"fstat", int(int, struct stat*)>.found();
#endif
    return real;
}

v4lfence_shim_settings settings() {
    v4lfence_shim_settings settings{};
    settings.server = config().server.length() != 0 ? config().server.c_str() : nullptr;
    settings.provider = config().provider.length() != 0 ? config().provider.c_str() : nullptr;
    settings.rfc_caps = config().rfc_caps ? 1 : 0;
    for (unsigned i = 0; i < config().wrapped_count; ++i) {
        struct stat64 status;
        if (real_stat(config().wrapped[i].c_str(), &status) == 0 && S_ISCHR(status.st_mode)) {
            settings.wrapped[settings.wrapped_count++] = status.st_rdev;
        }
    }
    return settings;
}

bool is_wrapped(dev_t node) {
    for (unsigned i = 0; i < config().wrapped_count; ++i) {
        struct stat64 status;
        if (real_stat(config().wrapped[i].c_str(), &status) == 0 && S_ISCHR(status.st_mode) &&
            status.st_rdev == node) {
            return true;
        }
    }
    return false;
}

using Attach = decltype(v4lfence_shim_attach);

/// The process that attaches, 0: nobody. After a fork in the middle the child has another id, and
/// does not wait for a thread that it does not have.
int attaching = 0;

void attach(Attach* function) {
    const int self = getpid();
    int holder = 0;
    while (!__atomic_compare_exchange_n(&attaching, &holder, self, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
        if (holder == self) {
            sched_yield();
            holder = 0;
        }
    }
    if (library() == nullptr) {
        const v4lfence_libc real = real_calls();
        const v4lfence_shim_settings wanted = settings();
        __atomic_store_n(&loaded_calls, function(V4LFENCE_SHIM_ABI, &real, &wanted),
                         __ATOMIC_RELEASE);
    }
    __atomic_store_n(&attaching, 0, __ATOMIC_RELEASE);
}

/// Which device a virtual file is of, when the number came from elsewhere: the last part of its
/// bus_info is the minor, as the host of the devices has made them.
Mark ask_device(int fd) {
    v4l2_capability caps{};
    if (library()->ioctl(fd, VIDIOC_QUERYCAP, &caps) != 0) {
        return virtual_file;
    }
    caps.bus_info[sizeof caps.bus_info - 1] = 0;
    std::string_view bus(reinterpret_cast<const char*>(caps.bus_info));
    std::string_view number;
    while (!bus.empty()) {
        number = take_until(bus, '-');
    }
    for (unsigned i = 0; i < config().device_count; ++i) {
        Text<16> minor;
        minor.append(config().devices[i].minor);
        if (minor.view() == number) {
            return static_cast<Mark>(device_first + i);
        }
    }
    return config().device_count == 1 ? device_first : virtual_file;
}

}  // namespace

bool is_in_next_preload() {
    return in_next_preload;
}

bool is_loading() {
    return loading;
}

// No lock of the shim's own is held over dlopen(): it may run in a constructor, under the
// loader's lock, while another thread waits for that lock in here.
const v4lfence_shim_calls* load_library() {
    const v4lfence_shim_calls* calls = library();
    if (calls != nullptr || loading) {
        return calls;
    }
    loading = true;
    const int error = errno;
    void* handle = dlopen("libv4lfence.so.0", RTLD_NOW | RTLD_LOCAL);
    void* symbol = handle != nullptr ? dlsym(handle, "v4lfence_shim_attach") : nullptr;
    if (symbol != nullptr) {
        attach(reinterpret_cast<Attach*>(symbol));
    }
    errno = error;
    loading = false;
    return library();
}

bool take_over_node(int fd) {
    struct stat64 status;
    const int error = errno;
    const bool is_node = config().wrapped_count != 0 && real_fstat(fd, &status) == 0 &&
                         S_ISCHR(status.st_mode) && is_wrapped(status.st_rdev);
    errno = error;
    return is_node && take_over(fd);
}

bool take_over(int fd) {
    const Config& wanted = config();
    if ((wanted.server.length() == 0 && wanted.wrapped_count == 0) || loading) {
        return false;
    }
    const int error = errno;
    Mark mark = unknown;
    struct stat64 status;
    if (real_fstat(fd, &status) == 0) {
        if (S_ISSOCK(status.st_mode) && wanted.server.length() != 0) {
            mark = virtual_file;
        } else if (S_ISCHR(status.st_mode) && is_wrapped(status.st_rdev)) {
            mark = wrapped_file;
        }
        const v4lfence_shim_calls* calls = mark != unknown ? load_library() : nullptr;
        if (calls == nullptr || calls->take_over(fd) != 1) {
            // A socket is asked again: nothing tells when its number becomes another file.
            mark = mark == virtual_file ? unknown : looked_at;
        }
        set_mark(fd, mark);
    }
    errno = error;
    return is_file(mark);
}

Mark virtual_mark(int fd) {
    const int error = errno;
    Mark mark = mark_of(fd);
    struct stat64 status;
    const bool is_socket =
        is_virtual_file(mark) && real_fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
    if (is_virtual_file(mark) && (!is_socket || library()->is_ours(fd) == 0)) {
        mark = unknown;
        set_mark(fd, mark);
    } else if (mark == virtual_file) {
        mark = ask_device(fd);
        set_mark(fd, mark);
    }
    errno = error;
    return mark;
}

}  // namespace v4lfence::shim
