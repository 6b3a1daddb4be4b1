// SPDX-License-Identifier: MIT
//
// RemoteFile: one open() of a device that lives in a server, as the ways in know it. The program's
// descriptor is the readiness socket that the server made: the kernel answers every poll() of it.

#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/remote/client.hpp"
#include "v4lfence/uapi/file.hpp"
#include "v4lfence/v4l2/dispatch.hpp"
#include "v4lfence/v4l2/flatten.hpp"

namespace v4lfence::remote {

/// Thread: every member may be called from any thread.
///
/// Errors of every call: ENODEV the server is gone; remote::not_our_file the number that the
/// program used has become another file; EIO the file is the parent process's, and fenced; EMFILE,
/// ENFILE, ENOMEM there is none for a connection, or for the descriptor that would be the answer.
/// In the child of a fork a file that has no fences goes on, by connections of the child's own.
class RemoteFile final : public File, private EmulatedCalls {
public:
    /// `fd` is the program's; `page_fd` is what has the StatusPage. Both are borrowed.
    /// Errors: EBADF, ENOTSOCK.
    static Result<std::unique_ptr<RemoteFile>> adopt(Client& client, int fd, int page_fd,
                                                     bool fenced);
    ~RemoteFile() override;

    /// The kernel's number of the socket: the file's, whatever descriptor it goes by.
    std::uint64_t cookie() const noexcept { return cookie_; }

    /// What is about a device is the server's; what any descriptor has (FIONBIO) is the kernel's.
    bool passes(std::uint32_t request, const void* argument) const override;
    /// A DQBUF or DQEVENT that has found nothing costs one F_GETFL when it is asked again before
    /// anything has changed (StatusPage).
    Result<Answer> ioctl(int fd, std::uint32_t request, void* argument, Look look) override;
    void renumber(int closed, int left) override;
    EmulatedCalls* emulated() noexcept override { return this; }

    /// The plan's kernel_fd is `fd`: it hangs up when the server dies.
    Result<WaitPlan> begin_wait(int fd, const Awaited& awaited) override;
    Result<> end_wait(const Awaited& awaited, const WaitPlan& plan) override;

    Result<> set_provider(std::string_view name) override;
    Result<> set_deadline(unsigned deadline_ms) override;
    Result<> set_implicit(unsigned flags) override;
    Result<> set_rfc_caps(bool on) override;
    Result<> set_fence_names(bool on) override;
    TypedExpiry last_expiry() const override;

    /// The descriptor says it all.
    bool corrects_poll() const override { return false; }
    Readiness readiness() const override { return {}; }
    Readiness readiness_for_poll() override { return {}; }
    Result<Wake*> pollers() override { return fail(-EINVAL, "there is nothing to correct"); }
    Result<> epoll_ctl(int fd, int epfd, int operation, epoll_event* event) override;

    /// Other processes may have the file: it ends with its last descriptor, for which the server
    /// looks when closed() tells it.
    void close() override;
    void closed() override;

private:
    /// What a call that found nothing found out. Threads may mix theirs up: each number only grows,
    /// so one that still holds is true of all.
    struct Nothing {
        std::atomic<std::uint64_t> changes{0};    ///< StatusPage's, before that call.
        std::atomic<std::uint64_t> calls{~0ULL};  ///< calls_, before that call.
        std::atomic<std::uint64_t> asked_for{0};  ///< What had to be right about the argument.
        std::atomic<unsigned> repeated{0};
    };

    RemoteFile(Client& client, int fd, std::uint64_t cookie);

    Result<Answer> read(int fd, std::span<std::byte> target) override;
    Result<Answer> write(int fd, std::span<const std::byte> source) override;
    Result<Mappable> mappable(int fd, std::size_t length, int protection, int flags,
                              std::int64_t offset) override;

    class AskedSizes;

    Result<Answer> dequeue(int fd, const IoctlEntry& entry, void* argument, Look look);
    bool finds_nothing(Nothing& nothing, std::uint64_t asked_for);
    /// The reply's head; its error is what the call answers.
    Result<Reply> ask(int fd, const IoctlEntry& entry, std::uint32_t request, void* argument);
    Result<> set_option(Op op, std::int64_t number, std::span<const std::byte> payload);
    Result<std::uint32_t> control_payload_size(int fd, std::uint32_t id);
    Result<> check_still_ours(int fd) const;
    int judge(int fd, int error) const;
    Result<> outcome(int fd, const Reply& reply) const;
    WakeOf wake_of(const Awaited& awaited) const { return {cookie_, awaited.what}; }

    bool is_dead() const;
    void become_fenced() const { fenced_in_.store(client_.generation() + 1); }

    static constexpr std::size_t numbers_max = 64;

    Client& client_;
    const std::uint64_t cookie_;
    const std::uint64_t made_in_;  ///< Client::generation()
    MappedMemory page_;
    std::atomic<int> fd_;  ///< By which the program called last, for calls on our own account.
    /// 1 + Client::generation() in which it came to use fences; 0: it does not.
    mutable std::atomic<std::uint64_t> fenced_in_{0};
    /// Calls that may have changed what a DQBUF or a DQEVENT finds.
    std::atomic<std::uint64_t> calls_{0};
    std::array<Nothing, 2> nothing_;  ///< By Awaited::What.
    /// Controls that are known to have a number and no payload; by a part of the id.
    std::array<std::atomic<std::uint32_t>, numbers_max> plain_controls_{};
};

}  // namespace v4lfence::remote
