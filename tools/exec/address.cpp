// SPDX-License-Identifier: MIT

#include "tools/exec/address.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>

namespace v4lfence {

namespace {

/// Servers of one user that are told apart by a number.
constexpr unsigned numbered_max = 100;

std::string numbered_address(unsigned number) {
    const char* const folder = std::getenv("XDG_RUNTIME_DIR");
    std::error_code ignored;
    if (folder != nullptr && *folder == '/' && std::filesystem::is_directory(folder, ignored)) {
        return fmt::format("{}/v4lfence-{}", folder, number);
    }
    return fmt::format("@v4lfence-{}-{}", ::geteuid(), number);
}

Failure not_listening(const std::string& address, int error) {
    if (error == EADDRINUSE) {
        return {ExitStatus::JobFailed,
                fmt::format("{}: another server listens there. --socket names another place.",
                            address)};
    }
    return {ExitStatus::JobFailed,
            fmt::format("{}: cannot listen there: {}.", address, std::strerror(error))};
}

}  // namespace

std::string private_address() {
    std::random_device random;
    const std::uint64_t low = random();
    return fmt::format("@v4lfence-exec-{}-{:016x}", ::getpid(),
                       (std::uint64_t{random()} << 32) | low);
}

Attempt<ListeningHost> listen_at(const std::string& address,
                                 const std::vector<HostedDevice>& devices,
                                 const HostOptions& options) {
    for (unsigned number = 0;; number++) {
        const std::string name = address.empty() ? numbered_address(number) : address;
        auto host = DeviceHost::listen(name, devices, options);
        if (host) {
            return ListeningHost{std::move(*host), name};
        }
        const int error = -host.error().code;
        if (!address.empty() || error != EADDRINUSE || number + 1 == numbered_max) {
            return tl::unexpected<Failure>(not_listening(name, error));
        }
    }
}

}  // namespace v4lfence
