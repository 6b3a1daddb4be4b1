// SPDX-License-Identifier: MIT

#include "tests/display/crc_tap.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <string>

#include "tests/display/check.hpp"

namespace v4lfence::display {

namespace {

std::int64_t now_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

UniqueFd open_checksums(unsigned card_number) {
    const std::string folder =
        "/sys/kernel/debug/dri/" + std::to_string(card_number) + "/crtc-0/crc/";
    const UniqueFd control(::open((folder + "control").c_str(), O_WRONLY | O_CLOEXEC));
    constexpr char source[] = "auto";
    if (!control || ::write(control.get(), source, sizeof(source) - 1) < 0) {
        give_up(status_lacking, "%scontrol: %s", folder.c_str(), std::strerror(errno));
    }
    UniqueFd data(::open((folder + "data").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (!data) {
        give_up(status_lacking, "%sdata: %s", folder.c_str(), std::strerror(errno));
    }
    return data;
}

}  // namespace

CrcTap::CrcTap(unsigned card_number)
    : data_(open_checksums(card_number)), end_(must(::eventfd(0, EFD_CLOEXEC), "an eventfd")),
      thread_([this] { run(); }) {}

CrcTap::~CrcTap() {
    const std::uint64_t one = 1;
    must(::write(end_.get(), &one, sizeof(one)), "the end of the checksums");
    thread_.join();
}

std::vector<ScanOut> CrcTap::all() const {
    const std::lock_guard lock(mutex_);
    return all_;
}

void CrcTap::run() {
    std::array<pollfd, 2> entries{{{data_.get(), POLLIN, 0}, {end_.get(), POLLIN, 0}}};
    for (;;) {
        must(::poll(entries.data(), entries.size(), -1), "the wait for a checksum");
        if (entries[1].revents != 0) {
            return;
        }
        // One line a read: "0xSEQUENCE 0xCHECKSUM".
        std::array<char, 128> line{};
        const ssize_t length = ::read(data_.get(), line.data(), line.size() - 1);
        ScanOut scan_out;
        if (length < 0 && errno == EAGAIN) {
            continue;
        }
        if (length <= 0 ||
            std::sscanf(line.data(), "%x %x", &scan_out.sequence, &scan_out.checksum) != 2) {
            give_up(status_wrong, "a checksum cannot be read: \"%s\"", line.data());
        }
        scan_out.read_at_ns = now_ns();
        const std::lock_guard lock(mutex_);
        all_.push_back(scan_out);
    }
}

}  // namespace v4lfence::display
