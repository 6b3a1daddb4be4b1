// SPDX-License-Identifier: MIT

#include "v4lfence/remote/testing/scripted_server.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "v4lfence/base/socket.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence::remote::testing {

ScriptedServer::ScriptedServer() {
    static std::atomic<unsigned> made{0};
    address_ = "@v4lfence-scripted-" + std::to_string(::getpid()) + "-" +
               std::to_string(made.fetch_add(1));
    listener_ = std::move(*sys::listen_at(address_));
    page_fd_ = std::move(*sys::sealed_memory("status", sizeof(StatusPage)));
    page_ =
        std::move(*MappedMemory::create(page_fd_.get(), sizeof(StatusPage), MemoryUse::ReadWrite));
    bell_ = std::move(*sys::eventfd(0, EFD_NONBLOCK));
    thread_ = std::thread([this] { run(); });
}

ScriptedServer::~ScriptedServer() {
    command(Order::Stop);
    thread_.join();
}

void ScriptedServer::command(Order order) {
    std::unique_lock lock(mutex_);
    order_ = order;
    const std::uint64_t one = 1;
    EXPECT_TRUE(sys::write(bell_.get(), std::as_bytes(std::span(&one, 1))));
    obeyed_.wait(lock, [this] { return order_ == Order::None; });
}

/// False: it stops. By the server's own thread, whose poll() would keep closed descriptors open.
bool ScriptedServer::obey(Order order) {
    std::uint64_t count = 0;
    (void)sys::read(bell_.get(), std::as_writable_bytes(std::span(&count, 1)));
    if (order != Order::None) {
        peers_.clear();
    }
    if (order == Order::DropForGood) {
        file_ends_.clear();
        listener_.reset();
    }
    order_ = Order::None;
    obeyed_.notify_all();
    return order != Order::Stop;
}

void ScriptedServer::on(Op op, Script script) {
    const std::lock_guard lock(mutex_);
    scripts_[op] = std::move(script);
}

void ScriptedServer::run() {
    while (true) {
        std::vector<pollfd> fds;
        {
            const std::lock_guard lock(mutex_);
            fds.push_back({bell_.get(), POLLIN, 0});
            fds.push_back({listener_.get(), POLLIN, 0});
            for (const UniqueFd& peer : peers_) {
                fds.push_back({peer.get(), POLLIN, 0});
            }
        }
        constexpr int forever = -1;
        (void)sys::poll(fds, forever);
        const std::lock_guard lock(mutex_);
        if (fds[0].revents != 0 && !obey(order_)) {
            return;
        }
        const bool unchanged = fds.size() == peers_.size() + 2;
        for (std::size_t i = peers_.size(); unchanged && i > 0; --i) {
            if (fds[i + 1].revents != 0) {
                serve(i - 1);
            }
        }
        if (auto accepted = sys::accept(listener_.get())) {
            peers_.push_back(std::move(*accepted));
            connections_.fetch_add(1);
        }
    }
}

void ScriptedServer::serve(std::size_t index) {
    Incoming<Request> incoming;
    const int peer = peers_[index].get();
    if (!incoming.receive(peer, sys::Waiting::No)) {
        peers_.erase(peers_.begin() + static_cast<std::ptrdiff_t>(index));
        return;
    }
    ScriptedCall call;
    call.request = incoming.head();
    call.argument.assign(incoming.argument().begin(), incoming.argument().end());
    call.payload.assign(incoming.payload().begin(), incoming.payload().end());
    call.descriptors = std::move(*take_descriptors(incoming));
    answer(call);
    counts_[static_cast<std::size_t>(call.request.op)].fetch_add(1);
    if (call.hangs_up) {
        peers_.erase(peers_.begin() + static_cast<std::ptrdiff_t>(index));
        return;
    }
    if (call.request.op == Op::Unmap) {
        return;
    }
    std::vector<int> descriptors;
    for (const UniqueFd& fd : call.answered) {
        descriptors.push_back(fd.get());
    }
    call.descriptors = {};  // Closed before the answer.
    (void)remote::send(peer, call.reply, call.argument, call.payload, descriptors,
                       sys::Waiting::No);
}

void ScriptedServer::answer(ScriptedCall& call) {
    if (call.request.op == Op::Open) {
        call.payload.clear();
        auto pair = std::move(*sys::socketpair(0));
        EXPECT_TRUE(sys::bind_abstract(pair.first.get(), sys::file_socket_stem));
        file_ends_.push_back(std::move(pair.first));
        call.answered.push_back(std::move(pair.second));
        call.answered.push_back(std::move(*sys::dup(page_fd_.get())));
    } else if (call.request.op == Op::Attach) {
        call.answered.push_back(std::move(*sys::dup(page_fd_.get())));
    } else if (call.request.op == Op::Ioctl) {
        call.reply.numbers[0] =
            static_cast<std::int64_t>(__atomic_load_n(&page().changes, __ATOMIC_ACQUIRE));
    }
    if (const auto found = scripts_.find(call.request.op); found != scripts_.end()) {
        found->second(call);
    }
    if (call.request.op != Op::Ioctl) {
        call.argument.clear();
        if (call.request.op != Op::LastExpiry) {
            call.payload.clear();
        }
    }
}

}  // namespace v4lfence::remote::testing
