// SPDX-License-Identifier: MIT
//
// doctor_hang HANG DEVICE: hangs in the way that HANG names, says "staged" when it does, and ends
// when stdin does.

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <string_view>

#include "tests/doctor/hangs.hpp"

namespace {

struct Hang {
    std::string_view name;
    void (*stage)(const std::string& device);
};

using namespace v4lfence::hangs;

constexpr std::array<Hang, 18> hangs{{
    {"this-program", this_program},
    {"this-program-socket", this_program_socket},
    {"nobody", nobody},
    {"own-cycle-dequeue", own_cycle_dequeue},
    {"own-cycle-poll", own_cycle_poll},
    {"idle-producer", idle_producer},
    {"starvation", starvation},
    {"failed-start", failed_start},
    {"never-dequeued", never_dequeued},
    {"deadline-expired", deadline_expired},
    {"bound-expired", bound_expired},
    {"device-gone", device_gone},
    {"silent-device", silent_device},
    {"nothing-queued", nothing_queued},
    {"healthy", healthy},
    {"other-process", other_process},
    {"stopped-holder", stopped_holder},
    {"stopped-producer", stopped_producer},
}};

}  // namespace

int main(int argc, char** argv) {
    for (const Hang& hang : hangs) {
        if (argc == 3 && hang.name == argv[1]) {
            hang.stage(argv[2]);
            return 0;
        }
    }
    fmt::print(stderr, "usage: doctor_hang HANG DEVICE\n");
    return 2;
}
