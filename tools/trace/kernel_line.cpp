// SPDX-License-Identifier: MIT

#include "tools/trace/kernel_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace v4lfence {

namespace {

constexpr std::string_view spaces = " \t";
constexpr std::string_view digits = "0123456789";

template <class T>
std::optional<T> number_of(std::string_view text) {
    T value{};
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, value);
    if (text.empty() || parsed.ec != std::errc{} || parsed.ptr != end) {
        return std::nullopt;
    }
    return value;
}

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(spaces);
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(spaces) + 1 - first);
}

/// Takes the text up to the next space, and the spaces, off the front.
std::string_view take_word(std::string_view& text) {
    const std::size_t end = std::min(text.find_first_of(spaces), text.size());
    const std::string_view word = text.substr(0, end);
    text = trimmed(text.substr(end));
    return word;
}

/// Where the "[001]" of the processor begins. A task's name may have brackets as well, so what is
/// in front must end with the number of a thread.
std::size_t find_cpu(std::string_view line) {
    for (auto at = line.find('['); at != std::string_view::npos; at = line.find('[', at + 1)) {
        const std::size_t end = line.find_first_not_of(digits, at + 1);
        const bool is_number = end != std::string_view::npos && line[end] == ']' && end > at + 1;
        const std::size_t before = line.find_last_not_of(" \t)", at == 0 ? 0 : at - 1);
        const bool after_number = at > 0 && before != std::string_view::npos &&
                                  digits.find(line[before]) != std::string_view::npos;
        if (is_number && after_number) {
            return at;
        }
    }
    return std::string_view::npos;
}

/// "  vivid-000-vid-c-164  (  160) ": a name, a dash, the thread, and with some options its
/// process.
bool read_task(std::string_view text, KernelEvent& event) {
    const std::size_t process = text.find_last_of('(');
    if (process != std::string_view::npos && trimmed(text).ends_with(')')) {
        text = text.substr(0, process);
    }
    text = trimmed(text);
    const std::size_t dash = text.find_last_of('-');
    if (dash == std::string_view::npos) {
        return false;
    }
    const auto pid = number_of<pid_t>(text.substr(dash + 1));
    event.task = text.substr(0, dash);
    event.pid = pid.value_or(0);
    return pid.has_value();
}

/// "12.345678"
std::optional<std::int64_t> nanoseconds_of(std::string_view text) {
    constexpr std::int64_t second_ns = 1'000'000'000;
    const std::size_t point = text.find('.');
    if (point == std::string_view::npos) {
        return std::nullopt;
    }
    const std::string_view fraction_text = text.substr(point + 1);
    const auto whole = number_of<std::int64_t>(text.substr(0, point));
    const auto fraction = number_of<std::int64_t>(fraction_text);
    if (!whole || !fraction || fraction_text.size() > 9) {
        return std::nullopt;
    }
    std::int64_t fraction_ns = *fraction;
    for (std::size_t i = fraction_text.size(); i < 9; ++i) {
        fraction_ns *= 10;
    }
    return *whole * second_ns + fraction_ns;
}

std::string system_of(std::string_view name) {
    // The longest first: vb2_v4l2_qbuf is one of V4L2's.
    static constexpr std::array<std::array<std::string_view, 2>, 5> systems = {{
        {"vb2_v4l2_", "v4l2"},
        {"v4l2_", "v4l2"},
        {"vb2_", "vb2"},
        {"dma_fence_", "dma_fence"},
        {"drm_", "drm"},
    }};
    for (const auto& [prefix, system] : systems) {
        if (name.starts_with(prefix)) {
            return std::string(system);
        }
    }
    return {};
}

/// Both spellings: "owner = 0x1, index = 2" and "driver=vgem timeline=a b seqno=1". A value goes
/// up to the next name; in braces everything is one value.
std::vector<KernelField> fields_of(std::string_view text) {
    std::vector<KernelField> fields;
    int depth = 0;
    std::size_t value_at = 0;
    const auto close_value = [&](std::size_t end) {
        if (!fields.empty()) {
            std::string_view value = trimmed(text.substr(value_at, end - value_at));
            if (value.ends_with(',')) {
                value.remove_suffix(1);
            }
            fields.back().value = trimmed(value);
        }
    };
    for (std::size_t at = 0; at < text.size(); ++at) {
        depth += text[at] == '{' ? 1 : (text[at] == '}' ? -1 : 0);
        if (text[at] != '=' || depth != 0) {
            continue;
        }
        const std::size_t name_end = text.find_last_not_of(spaces, at == 0 ? 0 : at - 1);
        if (at == 0 || name_end == std::string_view::npos) {
            continue;
        }
        const std::size_t before = text.find_last_of(" \t,", name_end);
        const std::size_t name_at = before == std::string_view::npos ? 0 : before + 1;
        if (name_at < value_at || name_at > name_end) {
            continue;  // an '=' within a value
        }
        close_value(name_at);
        fields.push_back({std::string(text.substr(name_at, name_end + 1 - name_at)), {}});
        value_at = at + 1;
    }
    close_value(text.size());
    return fields;
}

std::optional<KernelLoss> loss_of(std::string_view line) {
    constexpr std::string_view lost = "[LOST ";
    const std::size_t at = line.find(lost);
    if (!line.starts_with("CPU:") || at == std::string_view::npos) {
        return std::nullopt;
    }
    std::string_view rest = line.substr(at + lost.size());
    return KernelLoss{number_of<std::uint64_t>(take_word(rest)).value_or(1)};
}

}  // namespace

std::string_view KernelEvent::field(std::string_view wanted) const {
    for (const KernelField& each : fields) {
        if (each.name == wanted) {
            return each.value;
        }
    }
    return {};
}

std::string kernel_lane_name(const KernelEvent& event) {
    const auto with = [&event](const char* name, const char* field) {
        const std::string_view value = event.field(field);
        return value.empty() ? event.system : fmt::format("{}{}", name, value);
    };
    if (event.system == "vb2") {
        return with("vb2 queue ", "owner");
    }
    if (event.system == "v4l2") {
        return with("v4l2 video", "minor");
    }
    if (event.system == "drm") {
        return with("drm crtc ", "crtc");
    }
    if (event.system == "dma_fence") {
        return fmt::format("dma_fence {} {}", event.field("driver"), event.field("timeline"));
    }
    return "other";
}

std::optional<std::variant<KernelEvent, KernelLoss>> parse_kernel_line(std::string_view line) {
    if (const auto loss = loss_of(line)) {
        return *loss;
    }
    const std::size_t cpu_at = find_cpu(line);
    if (line.starts_with('#') || cpu_at == std::string_view::npos) {
        return std::nullopt;
    }
    KernelEvent event;
    const std::size_t cpu_end = line.find(']', cpu_at);
    const auto cpu = number_of<unsigned>(line.substr(cpu_at + 1, cpu_end - cpu_at - 1));
    if (!cpu || !read_task(line.substr(0, cpu_at), event)) {
        return std::nullopt;
    }
    event.cpu = *cpu;
    std::string_view rest = trimmed(line.substr(cpu_end + 1));
    std::string_view word = take_word(rest);
    if (!word.ends_with(':')) {
        word = take_word(rest);  // that was the state of the interrupts, "d..1."
    }
    const std::string_view name = take_word(rest);
    if (!word.ends_with(':') || !name.ends_with(':')) {
        return std::nullopt;
    }
    const auto time = nanoseconds_of(word.substr(0, word.size() - 1));
    if (!time) {
        return std::nullopt;
    }
    event.time_ns = *time;
    event.name = name.substr(0, name.size() - 1);
    event.system = system_of(event.name);
    event.fields = fields_of(rest);
    return event;
}

}  // namespace v4lfence
