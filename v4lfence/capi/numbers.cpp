// SPDX-License-Identifier: MIT

#include "v4lfence/capi/numbers.hpp"

#include <sys/sysmacros.h>

#include <utility>

#include "v4lfence/base/socket.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/capi/process.hpp"
#include "v4lfence/remote/wire.hpp"

namespace v4lfence::capi {

namespace {

constexpr unsigned video_major = 81;  // Documentation/admin-guide/devices.txt

/// Ends a file whose last number has become something else.
void bury(File* stale) {
    if (stale != nullptr) {
        stale->close();
        stale->closed();
        delete stale;
    }
}

/// One more number of a file that we have, if there is such a one.
template <class Matches>
bool join(int fd, Matches matches) {
    if (!FdTable::fits(fd)) {
        return false;
    }
    const auto stale = process().files.share_where(fd, matches);
    if (!stale) {
        return false;
    }
    bury(*stale);
    return true;
}

bool is_socket_file(const File& file, std::uint64_t cookie) {
    const auto* here = dynamic_cast<const VirtualFile*>(&file);
    return here != nullptr ? here->is_same(cookie) : RemoteDevices::is_file(file, cookie);
}

void enter_node(int fd, dev_t node) {
    enter(fd, std::make_unique<BridgeFile>(process().context, fd, node, process().defaults));
}

bool take_over_node(int fd, dev_t node) {
    const auto is_it = [fd, node](int number, const File& file) {
        const auto* bridged = dynamic_cast<const BridgeFile*>(&file);
        // Where it cannot be asked it counts as another open().
        return bridged != nullptr && bridged->node() == node &&
               sys::is_same_open_file(number, fd).value_or(false);
    };
    if (!join(fd, is_it)) {
        enter_node(fd, node);
    }
    return true;
}

bool take_over_socket(int fd) {
    const auto cookie = sys::stands_for_file(fd) ? sys::socket_cookie(fd)
                                                 : Result<std::uint64_t>(fail(-ENODEV, "no file"));
    if (!cookie) {
        return false;
    }
    {
        const FdTable::Use known = process().files.find(fd);
        if (known && is_socket_file(*known, *cookie)) {
            return true;
        }
    }
    if (join(fd, [&](int, const File& file) { return is_socket_file(file, *cookie); })) {
        return true;
    }
    auto attached = process().remote.attach(fd);
    if (!attached) {
        return false;
    }
    enter(fd, std::move(*attached));
    return true;
}

}  // namespace

void enter(int fd, std::unique_ptr<File> file) {
    bury(process().files.put(fd, *file.release()));
}

Result<> share(int from, int to) {
    if (!FdTable::fits(to)) {
        return fail(-EMFILE, "the number is too large");
    }
    bury(V4LFENCE_TRY(process().files.share(from, to)));
    return {};
}

bool is_video_node(dev_t node) {
    return major(node) == video_major;
}

void take_opened(int fd) {
    const auto info = sys::fstat(fd);
    if (info && S_ISCHR(info->st_mode) && is_video_node(info->st_rdev) && FdTable::fits(fd)) {
        enter_node(fd, info->st_rdev);
    }
}

bool take_over(int fd, IsBridged is_bridged) {
    const auto info = sys::fstat(fd);
    if (!info || !FdTable::fits(fd)) {
        return false;
    }
    if (S_ISSOCK(info->st_mode)) {
        return take_over_socket(fd);
    }
    return S_ISCHR(info->st_mode) && is_bridged(info->st_rdev) && take_over_node(fd, info->st_rdev);
}

namespace {

template <class Opened>
Result<int> hand_out(Opened opened) {
    if (!FdTable::fits(opened.fd.get())) {
        opened.file->close();
        return fail(-EMFILE, "the number is too large");
    }
    const int fd = std::move(opened.fd).release();
    enter(fd, std::move(opened.file));
    return fd;
}

}  // namespace

Result<int> open_remote(std::string_view name, int flags) {
    return hand_out(V4LFENCE_TRY(process().remote.open(name, flags)));
}

Result<int> open_virtual(std::string_view path, int flags) {
    return hand_out(V4LFENCE_TRY(process().devices.open(path, flags)));
}

namespace {

/// As far as it can be told: another open() of the same node is not.
bool is_still(int fd, const File& file) {
    if (const auto* bridged = dynamic_cast<const BridgeFile*>(&file)) {
        const auto info = sys::fstat(fd);
        return info && S_ISCHR(info->st_mode) && info->st_rdev == bridged->node();
    }
    const auto cookie = sys::socket_cookie(fd);
    return cookie && is_socket_file(file, *cookie);
}

}  // namespace

bool has_become_another(int fd, const File& file, const Error& answered) {
    const bool bridged = dynamic_cast<const BridgeFile*>(&file) != nullptr;
    return bridged ? answered.code == -ENOTTY && !is_still(fd, file)
                   : answered.code == remote::not_our_file;
}

bool is_ours(int fd) {
    std::uint64_t stale = 0;
    {
        const FdTable::Use file = process().files.find(fd);
        if (!file || is_still(fd, *file)) {
            return static_cast<bool>(file);
        }
        stale = file->serial();
    }
    forget(fd, stale);
    return false;
}

void forget(int fd, std::uint64_t serial) {
    if (process().files.find(fd, serial)) {
        bury(process().files.take(fd));
    }
}

}  // namespace v4lfence::capi
