// SPDX-License-Identifier: MIT

#include "tools/trace/kernel_trace.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <span>
#include <string_view>
#include <utility>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 2> usual_folders = {"/sys/kernel/tracing",
                                                      "/sys/kernel/debug/tracing"};
/// Of each system of events, those that are wanted.
constexpr std::array<const char*, 4> wanted_events = {"vb2", "v4l2", "dma_fence",
                                                      "drm/drm_vblank_event"};
constexpr std::string_view instance_prefix = "v4lfence-";
constexpr std::size_t read_bytes = 1U << 16;

Result<> write_text(const std::string& path, std::string_view text) {
    const UniqueFd file = V4LFENCE_TRY(sys::open(path.c_str(), O_WRONLY));
    V4LFENCE_TRY(sys::write(file.get(), std::as_bytes(std::span(text))));
    return {};
}

Failure cannot(const std::string& path, int error) {
    return {ExitStatus::MachineLacks,
            fmt::format("kernel events: {}: {}.", path, std::strerror(error))};
}

/// Fails where tracefs is not mounted, or nobody but root may look at it.
Attempt<std::string> find_folder() {
    Failure why{ExitStatus::MachineLacks,
                "kernel events: tracefs is not mounted (mount -t tracefs nodev "
                "/sys/kernel/tracing)."};
    for (const char* folder : usual_folders) {
        const std::string instances = std::string(folder) + "/instances";
        if (::access(instances.c_str(), W_OK | X_OK) == 0) {
            return std::string(folder);
        }
        if (errno != ENOENT) {
            why.message = fmt::format("kernel events: {} cannot be used by this user: {}.", folder,
                                      std::strerror(errno));
        }
    }
    return tl::unexpected<Failure>(why);
}

/// Those of traces that were killed: a process that begins one has none, but its number may have
/// been another's.
void remove_leftovers(const std::string& instances) {
    std::error_code error;
    for (fs::directory_iterator at(instances, error), end; !error && at != end;
         at.increment(error)) {
        const std::string name = at->path().filename();
        pid_t pid = 0;
        if (!std::string_view(name).starts_with(instance_prefix)) {
            continue;
        }
        const char* const number = name.data() + instance_prefix.size();
        const auto parsed = std::from_chars(number, name.data() + name.size(), pid);
        const bool parsed_all = parsed.ec == std::errc{} && pid > 0;
        if (parsed_all && (pid == ::getpid() || (::kill(pid, 0) < 0 && errno == ESRCH))) {
            std::error_code ignored;
            fs::remove(at->path(), ignored);
        }
    }
}

Attempt<> enable_events(const std::string& instance) {
    int enabled = 0;
    for (const char* name : wanted_events) {
        enabled += write_text(fmt::format("{}/events/{}/enable", instance, name), "1") ? 1 : 0;
    }
    if (enabled == 0) {
        return machine_lacks(
            "kernel events: this kernel has none about video buffers, fences or displays.");
    }
    return {};
}

}  // namespace

// --- text ----------------------------------------------------------------------------------------

void KernelText::add(std::string_view text) {
    rest_ += text;
    std::size_t from = 0;
    for (std::size_t end = rest_.find('\n'); end != std::string::npos;
         end = rest_.find('\n', from)) {
        auto line = parse_kernel_line(std::string_view(rest_).substr(from, end - from));
        from = end + 1;
        if (!line) {
            continue;
        }
        if (auto* const event = std::get_if<KernelEvent>(&*line)) {
            events_.push_back(std::move(*event));
        } else {
            lost_ += std::get<KernelLoss>(*line).events;
        }
    }
    rest_.erase(0, from);
}

// --- the instance --------------------------------------------------------------------------------

Attempt<KernelTrace> KernelTrace::start() {
    const auto folder = find_folder();
    return folder ? start(*folder) : tl::unexpected<Failure>(folder.error());
}

Attempt<KernelTrace> KernelTrace::start(const std::string& folder) {
    const std::string instances = folder + "/instances";
    remove_leftovers(instances);
    const std::string instance = fmt::format("{}/{}{}", instances, instance_prefix, ::getpid());
    std::error_code error;
    if (!fs::create_directory(instance, error)) {
        return tl::unexpected<Failure>(cannot(instance, error ? error.value() : EEXIST));
    }
    // From here on it goes with this object.
    KernelTrace trace(instance, UniqueFd());
    if (const auto set = write_text(instance + "/trace_clock", "mono"); !set) {
        return tl::unexpected<Failure>(cannot(instance + "/trace_clock", -set.error().code));
    }
    auto pipe = sys::open((instance + "/trace_pipe").c_str(), O_RDONLY | O_NONBLOCK);
    if (!pipe) {
        return tl::unexpected<Failure>(cannot(instance + "/trace_pipe", -pipe.error().code));
    }
    trace.pipe_ = std::move(*pipe);
    if (const auto enabled = enable_events(instance); !enabled) {
        return tl::unexpected<Failure>(enabled.error());
    }
    return trace;
}

KernelTrace::KernelTrace(KernelTrace&& other) noexcept
    : folder_(std::exchange(other.folder_, {})), pipe_(std::move(other.pipe_)) {}

KernelTrace::~KernelTrace() {
    if (folder_.empty()) {
        return;
    }
    stop();
    // An instance that is being read stays.
    pipe_.reset();
    std::error_code ignored;
    fs::remove(folder_, ignored);
}

void KernelTrace::collect(KernelText& into) const {
    std::array<char, read_bytes> buffer{};
    for (;;) {
        const auto count = sys::read(pipe_.get(), std::as_writable_bytes(std::span(buffer)));
        if (!count || *count == 0) {
            return;
        }
        into.add(std::string_view(buffer.data(), *count));
    }
}

void KernelTrace::stop() const {
    static_cast<void>(write_text(folder_ + "/events/enable", "0"));
}

}  // namespace v4lfence
