// SPDX-License-Identifier: MIT

#include "v4lfence/shim/paths.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "v4lfence/shim/library.hpp"
#include "v4lfence/shim/next.hpp"

namespace v4lfence::shim {

namespace {

constexpr unsigned links_max = 40;  // as the kernel

struct KeepErrno {
    int error = errno;
    ~KeepErrno() { errno = error; }
};

/// Of a real link. Errors: false
bool read_link(const char* path, Path& target) {
    char text[path_max];
    const ssize_t length =
        next<"readlink", ssize_t(const char*, char*, size_t)>(path, text, sizeof text);
    if (length <= 0 || static_cast<std::size_t>(length) >= sizeof text) {
        return false;
    }
    target.assign({text, static_cast<std::size_t>(length)});
    return true;
}

bool set_start(int dirfd, std::string_view path, Path& start) {
    if (path.starts_with("/")) {
        start.cut(0);
        return true;
    }
    if (dirfd != AT_FDCWD) {
        return path_of_number(dirfd, start);
    }
    char text[path_max];
    if (getcwd(text, sizeof text) == nullptr || text[0] != '/') {
        return false;
    }
    start.assign(text[1] == '\0' ? std::string_view() : std::string_view(text));
    return true;
}

void cut_last(Path& path) {
    std::size_t length = path.length();
    while (length != 0 && path.view()[length - 1] != '/') {
        --length;
    }
    path.cut(length != 0 ? length - 1 : 0);
}

enum class Step : unsigned char { Link, Folder, Nothing };

/// What is at `path`, virtual or real, with more to follow it or not; `target`: a link's.
Step step_at(const Path& path, Path& target) {
    const Entry entry = look_up(path.view());
    if (entry.kind == Kind::Link) {
        link_target(entry, target);
        return Step::Link;
    }
    if (entry.kind == Kind::Node || entry.kind == Kind::Text) {
        return Step::Nothing;
    }
    if (read_link(path.c_str(), target)) {
        return Step::Link;
    }
    // Where there is no /sys, ours is there all the same. EINVAL: it exists, and is no link.
    return entry || path.view().starts_with("/sys") || errno == EINVAL ? Step::Folder
                                                                       : Step::Nothing;
}

/// The last part and the one before, as they are written.
struct Ending {
    std::string_view before_last;
    std::string_view last;
    bool is_plain = true;    ///< Neither ".", ".." nor "//" anywhere.
    bool is_folder = false;  ///< A slash at the end.
};

Ending ending_of(std::string_view path) {
    Ending ending;
    ending.is_folder = path.size() > 1 && path[path.size() - 1] == '/';
    if (path.starts_with("/")) {
        path.remove_prefix(1);
    }
    while (!path.empty()) {
        const std::string_view part = take_until(path, '/');
        if (part.empty() || part == "." || part == "..") {
            ending.is_plain = false;
        }
        if (!part.empty() && part != ".") {
            ending.before_last = ending.last;
            ending.last = part;
        }
    }
    return ending;
}

Entry resolve_entry(int dirfd, const char* path, Follow follow, bool is_folder) {
    Path resolved;
    if (!resolve(dirfd, path, is_folder ? Follow::Yes : follow, resolved)) {
        return {};
    }
    const Entry entry = look_up(resolved.view());
    return is_folder && entry.kind != Kind::Folder ? Entry{} : entry;
}

}  // namespace

bool path_of_number(int fd, Path& path) {
    const Mark mark = mark_of(fd);
    if (mark >= folder_first) {
        folder_path(static_cast<Folder>(mark - folder_first), path);
        return true;
    }
    if (fd < 0) {
        return false;
    }
    Text<32> link;
    link.append("/proc/self/fd/");
    link.append(static_cast<unsigned>(fd));
    if (!read_link(link.c_str(), path) || path.view()[0] != '/') {
        return false;
    }
    if (path.length() == 1) {
        path.cut(0);
    }
    return true;
}

bool resolve(int dirfd, const char* path, Follow follow, Path& resolved) {
    Path rest;
    rest.append(path);
    if (!rest.fits() || !set_start(dirfd, rest.view(), resolved)) {
        return false;
    }
    unsigned links = 0;
    std::string_view left = rest.view();
    while (!left.empty()) {
        const std::string_view part = take_until(left, '/');
        if (part.empty() || part == ".") {
            continue;
        }
        if (part == "..") {
            cut_last(resolved);
            continue;
        }
        const std::size_t length = resolved.length();
        resolved.append("/");
        resolved.append(part);
        Path target;
        if (!resolved.fits()) {
            return false;
        }
        const Step step =
            left.empty() && follow == Follow::No ? Step::Folder : step_at(resolved, target);
        if (step != Step::Link) {
            if (step == Step::Nothing && !left.empty()) {
                return false;
            }
            continue;
        }
        if (++links > links_max) {
            return false;
        }
        resolved.cut(target.view().starts_with("/") ? 0 : length);
        target.append("/");
        target.append(left);
        if (!target.fits()) {
            return false;
        }
        rest = target;
        left = rest.view();
    }
    return true;
}

Entry find_entry(int dirfd, const char* path, Follow follow) {
    if (!has_devices() || path == nullptr || path[0] == '\0' || is_loading()) {
        return {};
    }
    const std::string_view text(path);
    const Ending ending = ending_of(text);
    Entry entry;
    if (text[0] == '/' && ending.is_plain && !ending.is_folder) {
        entry = look_up(text);
    }
    const bool is_through = entry.kind == Kind::Link && follow == Follow::Yes;
    if (is_through || (!entry && may_be_entry(ending.before_last, ending.last))) {
        const KeepErrno keep;
        entry = resolve_entry(dirfd, path, follow, ending.is_folder);
    }
    return entry.kind != Kind::Folder ? entry : Entry{};
}

Entry find_missing(int error, int dirfd, const char* path, Follow follow) {
    if (error != ENOENT || !has_devices() || path == nullptr || path[0] == '\0' || is_loading()) {
        return {};
    }
    KeepErrno keep;
    const std::string_view text(path);
    const Ending ending = ending_of(text);
    const bool may_be_folder = ending.last == "v4l" || ending.last == "by-id" ||
                               ending.last == "by-path" || ending.last == "video4linux" ||
                               ending.last == "char" || ending.last == ".." ||
                               may_be_entry(ending.before_last, ending.last);
    char first;
    if (!may_be_folder &&
        next<"readlinkat", ssize_t(int, const char*, char*, size_t)>(dirfd, path, &first, 1) <= 0) {
        return {};
    }
    Entry entry = resolve_entry(dirfd, path, follow, ending.is_folder);
    if (!entry && ending.is_folder &&
        resolve_entry(dirfd, path, Follow::Yes, false).kind == Kind::Node) {
        keep.error = ENOTDIR;
    }
    return entry;
}

}  // namespace v4lfence::shim
