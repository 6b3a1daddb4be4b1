// SPDX-License-Identifier: MIT

#include "tests/doctor/hangs.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "tests/doctor/stage.hpp"
#include "v4lfence/drivers/camera/controls.hpp"

namespace v4lfence::hangs {

namespace {

UniqueFd make_eventfd() {
    auto fd = sys::eventfd(0, 0);
    if (!fd) {
        give_up("no eventfd");
    }
    return std::move(*fd);
}

std::string ended_by(int fd) {
    return fmt::format("fd={} index=0", fd);
}

}  // namespace

void this_program(const std::string& device) {
    Stream stream(device, 4);
    const sys::Pipe fence = make_pipe();
    stream.queue(0, fence.read_end.get());
    stream.queue(1, fence.read_end.get());
    stream.start();
    tell_staged(ended_by(fence.write_end.get()));
    stay();
}

void this_program_socket(const std::string& device) {
    Stream stream(device, 4);
    const auto fence = sys::socketpair(0);
    stream.queue(0, fence->first.get());
    stream.start();
    tell_staged(ended_by(fence->second.get()));
    stay();
}

void nobody(const std::string& device) {
    Stream stream(device, 4);
    UniqueFd fence = make_eventfd();
    stream.queue(0, fence.get());
    stream.start();
    fence.reset();
    tell_staged("index=0");
    stay();
}

void own_cycle_dequeue(const std::string& device) {
    Stream stream(device, 4);
    const UniqueFd fence = make_eventfd();
    stream.queue(0, fence.get());
    stream.start();
    tell_staged(ended_by(fence.get()));
    std::thread([&] { stream.dequeue(); }).detach();
    stay();
    _exit(0);
}

void own_cycle_poll(const std::string& device) {
    Stream stream(device, 4);
    const UniqueFd fence = make_eventfd();
    const api::Fence out = stream.queue(0, fence.get(), true);
    stream.start();
    tell_staged(ended_by(fence.get()));
    std::array<pollfd, 2> polled{{{out.fd(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}}};
    well(::poll(polled.data(), polled.size(), -1), "poll");
}

void idle_producer(const std::string& device) {
    Stream producer(device + "@idle", 2);
    Stream stream(device, 4);
    const api::Fence out = producer.queue(1, -1, true);
    stream.queue(0, out.fd());
    stream.start();
    tell_staged(fmt::format("index=1 device={}@idle", device));
    stay();
}

void starvation(const std::string& device) {
    Stream stream(device, 4);
    const api::Fence first = stream.queue(0, -1, true);
    const api::Fence second = stream.queue(1, first.fd(), true);
    stream.queue(2, second.fd());
    stream.start();
    tell_staged("");
    stay();
}

void failed_start(const std::string& device) {
    Stream stream(device, 4);
    stream.set_control(camera_fail_start_streaming, 1);
    sys::Pipe fence = make_pipe();
    const api::Fence out = stream.queue(0, fence.read_end.get(), true);
    stream.start();
    well(static_cast<int>(::write(fence.write_end.get(), "x", 1)), "write");
    well(out.wait(-1), "fence");
    tell_staged("errno=22");
    stay();
}

void never_dequeued(const std::string& device) {
    Stream stream(device, 2);
    const std::array fences{stream.queue(0, -1, true), stream.queue(1, -1, true)};
    stream.start();
    for (const api::Fence& fence : fences) {
        well(fence.wait(-1), "fence");
    }
    tell_staged("index=0");
    stay();
}

void deadline_expired(const std::string& device) {
    Stream stream(device, 4);
    const sys::Pipe fence = make_pipe();
    well(v4lfence_set_deadline(stream.fd(), 1), "set_deadline");
    const api::Fence out = stream.queue(1, fence.read_end.get(), true);
    stream.start();
    well(out.wait(-1), "fence");
    tell_staged("index=1");
    stay();
}

void bound_expired(const std::string& device) {
    Stream stream(device, 4);
    const sys::Pipe fence = make_pipe();
    well(v4lfence_set_provider(stream.fd(), "vgem"), "vgem");
    const api::Fence out = stream.queue(1, fence.read_end.get(), true);
    stream.start();
    well(out.wait(-1), "fence");
    stream.wait_for_news();
    tell_staged("index=1");
    stay();
}

void device_gone(const std::string& device) {
    Stream stream(device, 4);
    const sys::Pipe fence = make_pipe();
    const api::Fence out = stream.queue(0, fence.read_end.get(), true);
    stream.start();
    stream.set_control(camera_disconnect_armed, 1);
    stream.set_control(camera_disconnect, 1);
    well(out.wait(-1), "fence");
    tell_staged(fmt::format("device={}", device));
    stay();
}

void silent_device(const std::string& device) {
    Stream stream(device, 4);
    stream.set_control(camera_freeze, 1);
    const api::Fence out = stream.queue(0, -1, true);
    stream.queue(1);
    stream.queue(2, out.fd());
    stream.start();
    tell_staged(fmt::format("device={}", device));
    stay();
}

void nothing_queued(const std::string& device) {
    Stream stream(device, 2);
    const api::Fence out = stream.queue(0, -1, true);
    stream.start();
    well(stream.dequeue(), "DQBUF");
    tell_staged(fmt::format("device={}", device));
    std::thread([&] { stream.dequeue(); }).detach();
    stay();
    _exit(0);
}

void healthy(const std::string& device) {
    constexpr unsigned frames_first = 3;
    Stream stream(device, 4);
    api::Fence out = stream.queue(0, -1, true);
    for (unsigned i = 1; i < 4; ++i) {
        stream.queue(i);
    }
    stream.start();
    pollfd input{STDIN_FILENO, POLLIN, 0};
    for (unsigned frame = 0; ::poll(&input, 1, 0) == 0; ++frame) {
        const int index = well(stream.dequeue(), "DQBUF");
        out = stream.queue(static_cast<unsigned>(index), -1, true);
        if (frame == frames_first) {
            tell_staged("");
        }
    }
}

}  // namespace v4lfence::hangs
