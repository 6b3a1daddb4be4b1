// SPDX-License-Identifier: MIT
//
// Config: what the environment asks the shim for. Read once, when a call first needs it:
//
//     V4LFENCE_SERVER    "@NAME" (abstract) or a path: where the virtual devices live
//     V4LFENCE_VIRTUAL   "PATH MINOR KIND:PATH MINOR KIND"
//     V4LFENCE_WRAP      "/dev/video0:/dev/video1"
//     V4LFENCE_FENCES    a provider's name
//     V4LFENCE_RFC_CAPS  "1"
//
// An entry that is malformed, or a second one of the same path or minor, is ignored as a whole. In
// a program that runs with the rights of somebody else (AT_SECURE) nothing is read.

#pragma once

#include "v4lfence/shim/abi.h"
#include "v4lfence/shim/numbers.hpp"
#include "v4lfence/shim/text.hpp"

namespace v4lfence::shim {

inline constexpr unsigned video_major = 81;

struct Device {
    Text<64> path;
    Text<32> node;  ///< The path's last part, and the device's name in /sys.
    Text<24> kind;
    unsigned minor = 0;
    bool is_in_dev = false;  ///< "/dev/NODE"
    Text<64> id;             ///< Its name in /dev/v4l/by-id,
    Text<64> place;          ///< and in by-path.
};

struct Config {
    unsigned device_count = 0;  ///< 0 without a server.
    Device devices[devices_max];
    bool has_elsewhere = false;  ///< A device that is not right in /dev.
    unsigned wrapped_count = 0;
    Text<256> wrapped[V4LFENCE_WRAPPED_MAX];
    Text<128> server;
    Text<32> provider;
    bool rfc_caps = false;
};

/// Without anything in it while the environment is not there yet, or is being read.
const Config& config();

/// The environment as config() has it, for the tests.
struct Environment {
    const char* server = nullptr;
    const char* virtual_devices = nullptr;
    const char* wrapped = nullptr;
    const char* provider = nullptr;
    const char* rfc_caps = nullptr;
};
void read_config(const Environment& environment, Config& config);

inline bool has_devices() {
    return config().device_count != 0;
}

}  // namespace v4lfence::shim
