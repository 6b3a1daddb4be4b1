// SPDX-License-Identifier: MIT

#include "tools/exec/program_file.hpp"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

/// What execvp() takes where there is no PATH.
constexpr std::string_view default_path = "/bin:/usr/bin";
/// As many interpreters of interpreters as the kernel follows.
constexpr unsigned scripts_max = 4;
/// A first line that is longer is cut off by the kernel too; the headers of a program are as near.
constexpr std::size_t head_max = 4096;

/// 0, or why it cannot be executed.
int refusal(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        return errno;
    }
    if (S_ISDIR(status.st_mode)) {
        return EISDIR;
    }
    return ::access(path.c_str(), X_OK) == 0 ? 0 : errno;
}

Failure refused(const std::string& name, int error) {
    const bool missing = error == ENOENT || error == ENOTDIR;
    return {missing ? ExitStatus::NotFound : ExitStatus::CannotExecute,
            fmt::format("{}: {}.", name, std::strerror(error))};
}

using Head = std::array<std::byte, head_max>;

std::span<const std::byte> read_head(const std::string& path, Head& room) {
    const auto fd = sys::open(path.c_str(), O_RDONLY);
    if (!fd) {
        return {};
    }
    const auto count = sys::read(fd->get(), room);
    return std::span(room).first(count ? *count : 0);
}

template <class T>
std::optional<T> at(std::span<const std::byte> bytes, std::uint64_t offset) {
    if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) {
        return std::nullopt;
    }
    T value{};
    std::memcpy(&value, bytes.data() + offset, sizeof(T));
    return value;
}

std::string_view text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The loader that a program names; empty: none.
template <class Header, class Segment>
std::string_view loader_of(std::span<const std::byte> head) {
    const auto header = at<Header>(head, 0);
    for (unsigned index = 0; header && index < header->e_phnum; index++) {
        const auto segment =
            at<Segment>(head, header->e_phoff + std::uint64_t{index} * header->e_phentsize);
        if (segment && segment->p_type == PT_INTERP && segment->p_offset < head.size()) {
            const std::string_view text = text_of(head.subspan(segment->p_offset));
            return text.substr(0, text.find('\0'));
        }
    }
    return {};
}

std::string_view base_name(std::string_view path) {
    return path.substr(path.rfind('/') + 1);
}

bool is_privileged(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        return false;
    }
    const bool other_user = (status.st_mode & S_ISUID) != 0 && status.st_uid != ::geteuid();
    const bool other_group = (status.st_mode & S_ISGID) != 0 && status.st_gid != ::getegid();
    const bool capable =
        ::geteuid() != 0 && ::getxattr(path.c_str(), "security.capability", nullptr, 0) > 0;
    return other_user || other_group || capable;
}

PreloadReach reach_of_elf(const std::string& path, std::span<const std::byte> head) {
    const auto header = at<Elf32_Ehdr>(head, 0);  // As far as both classes agree.
    if (!header) {
        return PreloadReach::Reached;
    }
    const bool wide = header->e_ident[EI_CLASS] == ELFCLASS64;
#if defined(__x86_64__)
    constexpr unsigned machine = EM_X86_64;
#elif defined(__aarch64__)
    constexpr unsigned machine = EM_AARCH64;
#else
    const unsigned machine = header->e_machine;
#endif
    const bool narrow_x86 = !wide && header->e_machine == EM_386 && machine == EM_X86_64;
    if (!narrow_x86 && (header->e_machine != machine || wide != (sizeof(void*) == 8))) {
        return PreloadReach::OtherMachine;
    }
    const std::string_view loader =
        wide ? loader_of<Elf64_Ehdr, Elf64_Phdr>(head) : loader_of<Elf32_Ehdr, Elf32_Phdr>(head);
    // A loader that is called as a program has none, and preloads as ever.
    if (loader.empty() && !base_name(path).starts_with("ld-")) {
        return PreloadReach::Static;
    }
    if (!loader.empty() && !base_name(loader).starts_with("ld-linux")) {
        return PreloadReach::OtherLibc;
    }
    if (is_privileged(path)) {
        return PreloadReach::Privileged;
    }
    return narrow_x86 ? PreloadReach::Reached32 : PreloadReach::Reached;
}

/// Empty: this is no script.
std::string interpreter_of(std::span<const std::byte> head) {
    std::string_view line = text_of(head);
    if (!line.starts_with("#!")) {
        return {};
    }
    line.remove_prefix(2);
    line = line.substr(0, line.find('\n'));
    line.remove_prefix(std::min(line.size(), line.find_first_not_of(" \t")));
    return std::string(line.substr(0, line.find_first_of(" \t")));
}

}  // namespace

Attempt<std::string> find_program(const std::string& name) {
    if (name.empty() || name.find('/') != std::string::npos) {
        const int error = name.empty() ? ENOENT : refusal(name);
        return error == 0 ? Attempt<std::string>(name)
                          : tl::unexpected<Failure>(refused(name.empty() ? "\"\"" : name, error));
    }
    const char* const given = std::getenv("PATH");
    std::string_view rest = given != nullptr ? std::string_view(given) : default_path;
    int seen = ENOENT;
    for (bool more = true; more;) {
        const std::size_t colon = rest.find(':');
        const std::string_view folder = rest.substr(0, colon);
        const std::string path = fmt::format("{}/{}", folder.empty() ? "." : folder, name);
        const int error = refusal(path);
        if (error == 0) {
            return path;
        }
        seen = error == ENOENT || error == ENOTDIR || error == EISDIR ? seen : error;
        more = colon != std::string_view::npos;
        rest.remove_prefix(more ? colon + 1 : rest.size());
    }
    return tl::unexpected<Failure>(refused(name, seen));
}

PreloadReach preload_reach(const std::string& path) {
    std::string file = path;
    for (unsigned depth = 0; depth <= scripts_max; depth++) {
        Head room{};
        const auto head = read_head(file, room);
        if (text_of(head).starts_with(ELFMAG)) {
            return reach_of_elf(file, head);
        }
        file = interpreter_of(head);
        if (file.empty()) {
            break;
        }
    }
    return PreloadReach::Reached;
}

}  // namespace v4lfence
