// SPDX-License-Identifier: MIT

#include "tests/vm/camera/vhci.hpp"

#include <fcntl.h>

#include <array>
#include <cstdio>
#include <span>
#include <sstream>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {
namespace {

// Numbers of the kernel: enum usb_device_speed, and the state of a port in `status`.
constexpr int high_speed = 3;
constexpr int port_is_free = 4;
// Any id will do that is not 0: bus 1, and a number of the port's own.
constexpr int device_id_base = (1 << 16) + 1;

Result<std::string> read_file(const std::string& path) {
    const UniqueFd file = V4LFENCE_TRY(sys::open(path.c_str(), O_RDONLY));
    std::string text;
    std::array<std::byte, 4096> chunk;
    for (;;) {
        const std::size_t got = V4LFENCE_TRY(sys::read(file.get(), chunk));
        if (got == 0) {
            return text;
        }
        text.append(reinterpret_cast<const char*>(chunk.data()), got);
    }
}

}  // namespace

std::vector<int> free_ports(const std::string& status) {
    std::vector<int> ports;
    std::istringstream lines(status);
    for (std::string line; std::getline(lines, line);) {
        int port = 0;
        int state = 0;
        if (std::sscanf(line.c_str(), "hs %d %d", &port, &state) == 2 && state == port_is_free) {
            ports.push_back(port);
        }
    }
    return ports;
}

Result<int> vhci_attach(const std::string& controller, int socket) {
    const std::string status = V4LFENCE_TRY(read_file(controller + "/status"));
    const UniqueFd attach = V4LFENCE_TRY(sys::open((controller + "/attach").c_str(), O_WRONLY));
    for (int port : free_ports(status)) {
        const std::string order = std::to_string(port) + ' ' + std::to_string(socket) + ' ' +
                                  std::to_string(device_id_base + port) + ' ' +
                                  std::to_string(high_speed);
        const auto written = sys::write(attach.get(), std::as_bytes(std::span(order)));
        if (written) {
            return port;
        }
        // Another camera may have taken the port since.
        if (written.error().code != -EBUSY) {
            return fail(written.error().code, "the controller's file attach");
        }
    }
    return fail(-EBUSY, "no free high-speed port");
}

}  // namespace v4lfence
