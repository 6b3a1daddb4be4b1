// SPDX-License-Identifier: MIT

#include "tools/exec/command_line.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace v4lfence {

namespace {

constexpr std::array<std::string_view, 9> with_value = {
    "--virtual", "--wrap", "--fences",                                           // exec
    "--pid", "--output", "--picture", "--kernel", "--duration", "--frames"};  // trace

}  // namespace

SplitLine split_command_line(std::span<char*> words) {
    std::size_t at = 0;
    while (at < words.size()) {
        const std::string_view word = words[at];
        if (word == "--") {
            return {words.first(at), words.subspan(at + 1)};
        }
        if (!word.starts_with('-')) {
            return {words.first(at), words.subspan(at)};
        }
        const bool takes_next =
            std::find(with_value.begin(), with_value.end(), word) != with_value.end();
        at += takes_next ? 2 : 1;
    }
    return {words, {}};
}

}  // namespace v4lfence
