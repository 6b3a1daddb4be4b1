// SPDX-License-Identifier: MIT

#include "v4lfence/kms/holders.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

namespace v4lfence {

namespace {

namespace fs = std::filesystem;

constexpr unsigned named_max = 4;

bool is_number(std::string_view name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char letter) {
        return std::isdigit(letter) != 0;
    });
}

bool has_open(const fs::path& process, dev_t device) {
    std::error_code ended;  // Not ours to look into, or gone meanwhile.
    for (fs::directory_iterator entry(process / "fd", ended), end; !ended && entry != end;
         entry.increment(ended)) {
        struct stat file {};
        if (::stat(entry->path().c_str(), &file) == 0 && S_ISCHR(file.st_mode) &&
            file.st_rdev == device) {
            return true;
        }
    }
    return false;
}

std::string command_of(const fs::path& process) {
    std::ifstream file(process / "comm");
    std::string name;
    std::getline(file, name);
    return name.empty() ? "a program" : name;
}

}  // namespace

std::string programs_with(dev_t device) {
    std::string list;
    unsigned named = 0;
    const std::string self = std::to_string(::getpid());
    std::error_code ended;
    for (fs::directory_iterator entry("/proc", ended), end; !ended && entry != end;
         entry.increment(ended)) {
        const std::string pid = entry->path().filename();
        if (!is_number(pid) || pid == self || !has_open(entry->path(), device)) {
            continue;
        }
        if (named++ == named_max) {
            return list + " and more";
        }
        list += (list.empty() ? "" : ", ") + command_of(entry->path()) + " (pid " + pid + ")";
    }
    return list;
}

}  // namespace v4lfence
