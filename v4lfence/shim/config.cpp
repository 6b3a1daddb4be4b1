// SPDX-License-Identifier: MIT

#include "v4lfence/shim/config.hpp"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>

namespace v4lfence::shim {

namespace {

constexpr unsigned minor_max = (1U << 20) - 1;

bool is_plain_name(std::string_view text) {
    for (const char each : text) {
        if (each <= ' ' || each == '/' || each == 0x7f) {
            return false;
        }
    }
    return !text.empty() && text != "." && text != "..";
}

/// Absolute, and no other way to write it is shorter.
bool is_plain_path(std::string_view path) {
    if (path.empty() || path.front() != '/' || path.back() == '/') {
        return false;
    }
    path.remove_prefix(1);
    do {
        if (!is_plain_name(take_until(path, '/'))) {
            return false;
        }
    } while (!path.empty());
    return true;
}

/// minor_max + 1: not a number, or too large.
unsigned number_in(std::string_view text) {
    unsigned number = text.empty() ? minor_max + 1 : 0;
    for (const char digit : text) {
        if (digit < '0' || digit > '9' || number > minor_max) {
            return minor_max + 1;
        }
        number = number * 10 + static_cast<unsigned>(digit - '0');
    }
    return number <= minor_max ? number : minor_max + 1;
}

void set_names(Device& device) {
    std::string_view rest = device.path.view();
    while (!rest.empty()) {
        device.node.assign(take_until(rest, '/'));
    }
    device.is_in_dev =
        device.path.view().starts_with("/dev/") && device.path.length() == 5 + device.node.length();
    device.id.append("usb-v4lfence_");
    device.id.append(device.kind.view());
    device.id.append("_");
    device.id.append(device.minor);
    device.id.append("-video-index0");
    device.place.append("platform-v4lfence.");
    device.place.append(device.minor);
    device.place.append("-video-index0");
}

bool is_taken(const Config& config, const Device& device) {
    for (unsigned i = 0; i < config.device_count; ++i) {
        const Device& other = config.devices[i];
        if (other.minor == device.minor || other.node.view() == device.node.view()) {
            return true;
        }
    }
    return false;
}

void read_device(std::string_view entry, Config& config) {
    const std::string_view path = take_until(entry, ' ');
    const unsigned minor = number_in(take_until(entry, ' '));
    if (config.device_count == devices_max || !is_plain_path(path) || minor > minor_max ||
        !is_plain_name(entry)) {
        return;
    }
    Device& device = config.devices[config.device_count];
    device = Device{};
    device.path.append(path);
    device.kind.append(entry);
    device.minor = minor;
    set_names(device);
    if (!device.path.fits() || !device.kind.fits() || !device.node.fits() ||
        is_taken(config, device)) {
        return;
    }
    config.has_elsewhere = config.has_elsewhere || !device.is_in_dev;
    ++config.device_count;
}

void read_wrapped(std::string_view path, Config& config) {
    if (config.wrapped_count == V4LFENCE_WRAPPED_MAX || path.empty() || path.front() != '/') {
        return;
    }
    Text<256>& wrapped = config.wrapped[config.wrapped_count];
    wrapped = {};
    wrapped.append(path);
    config.wrapped_count += wrapped.fits() ? 1 : 0;
}

std::string_view text_or_empty(const char* text) {
    return text != nullptr ? std::string_view(text) : std::string_view();
}

enum Progress : int { Read = -1, NotRead = 0 };  // Else: the process that reads.

}  // namespace

void read_config(const Environment& environment, Config& config) {
    config.server.append(text_or_empty(environment.server));
    if (!config.server.fits()) {
        config.server.cut(0);
    }
    config.provider.append(text_or_empty(environment.provider));
    if (!config.provider.fits()) {
        config.provider.cut(0);
    }
    config.rfc_caps = text_or_empty(environment.rfc_caps) == "1";
    std::string_view devices = text_or_empty(environment.virtual_devices);
    while (!devices.empty() && config.server.length() != 0) {
        read_device(take_until(devices, ':'), config);
    }
    std::string_view wrapped = text_or_empty(environment.wrapped);
    while (!wrapped.empty()) {
        read_wrapped(take_until(wrapped, ':'), config);
    }
}

namespace {

constinit Config nothing;
constinit Config read;
constinit int progress = NotRead;
thread_local bool is_reader __attribute__((tls_model("initial-exec"))) = false;

const Config& read_now() {
    if (is_reader || environ == nullptr) {
        return nothing;
    }
    // Another's id: after a fork() in the middle the thread that reads is not here.
    const int self = getpid();
    int seen = NotRead;
    while (!__atomic_compare_exchange_n(&progress, &seen, self, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_ACQUIRE)) {
        if (seen == Read) {
            return read;
        }
        if (seen == self) {
            sched_yield();
            seen = NotRead;
        }
    }
    is_reader = true;
    read = nothing;
    const int error = errno;
    read_config({.server = secure_getenv("V4LFENCE_SERVER"),
                 .virtual_devices = secure_getenv("V4LFENCE_VIRTUAL"),
                 .wrapped = secure_getenv("V4LFENCE_WRAP"),
                 .provider = secure_getenv("V4LFENCE_FENCES"),
                 .rfc_caps = secure_getenv("V4LFENCE_RFC_CAPS")},
                read);
    errno = error;
    is_reader = false;
    __atomic_store_n(&progress, Read, __ATOMIC_RELEASE);
    return read;
}

}  // namespace

const Config& config() {
    if (__atomic_load_n(&progress, __ATOMIC_ACQUIRE) == Read) [[likely]] {
        return read;
    }
    return read_now();
}

}  // namespace v4lfence::shim
