// SPDX-License-Identifier: MIT
//
// BridgeFile: one open() of a V4L2 node. Until a fence is asked for, each call goes to the kernel
// as it is (SEMANTICS 6.1); from then on the calls about buffers go through a BridgeQueue per
// buffer type.

#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "v4lfence/bridge/epoll_mute.hpp"
#include "v4lfence/bridge/queue.hpp"

namespace v4lfence {

class Context;

/// What holds for a file when it comes to use fences.
struct FileDefaults {
    const char* provider = "user";  ///< Of provider_names.
    bool rfc_caps = false;          ///< Of a file without fences too.
};

/// Thread: every member may be called from any thread.
class BridgeFile final : public File, private DeviceWatch, private Reactor::Listener,
                         private Reactor::TimerListener {
public:
    /// `fd` is the program's own and stays it; `node` is the device's number. `context` is borrowed
    /// and must outlive it.
    BridgeFile(Context& context, int fd, dev_t node, const FileDefaults& defaults = {});
    /// close() or abandon() came before.
    ~BridgeFile() override;

    /// True of all that an unfenced file is asked, but for what tells us of its stream and of
    /// fences.
    bool passes(std::uint32_t request, const void* argument) const override;
    Result<Answer> ioctl(int fd, std::uint32_t request, void* argument, Look look) override;
    void renumber(int closed, int left) override;

    /// See BridgeQueue.
    Result<WaitPlan> begin_wait(int fd, const Awaited& awaited) override;
    Result<> end_wait(const Awaited& awaited, const WaitPlan& plan) override;

    Result<> set_provider(std::string_view name) override;
    Result<> set_deadline(unsigned deadline_ms) override;
    Result<> set_implicit(unsigned flags) override;
    Result<> set_rfc_caps(bool on) override;
    Result<> set_fence_names(bool on) override;
    TypedExpiry last_expiry() const override;

    bool corrects_poll() const override { return fenced(); }
    /// Hidden: the kernel would say POLLERR, and is wrong. Shown: DQBUF has a buffer that the
    /// kernel never had, or the queue has failed.
    Readiness readiness() const override;
    Readiness readiness_for_poll() override;
    Result<Wake*> pollers() override;
    Result<> epoll_ctl(int fd, int epfd, int operation, epoll_event* event) override;

    void close() override;

    bool fenced() const noexcept { return fenced_.load(std::memory_order_acquire); }
    dev_t node() const noexcept { return node_; }
    /// One of its numbers.
    int fd() const noexcept { return fd_.load(); }
    /// The file's queue of `type`, if it has buffers.
    const BridgeQueue* owned_queue(std::uint32_t type) const;

    void lock_for_fork();
    void unlock_after_fork();
    /// In the child: a fenced file is dead, its fences are the parent's.
    void abandon() noexcept;

private:
    static constexpr std::size_t buffer_types = V4L2_BUF_TYPE_META_OUTPUT + 1;

    // `fd`: the caller's number of the file, which nobody closes before the call is over.
    Result<Answer> unfenced(int fd, std::uint32_t request, void* argument);
    Result<Answer> fenced(int fd, std::uint32_t request, void* argument, Look look);
    Result<Answer> buffer_call(int fd, std::uint32_t request, v4l2_buffer& buffer, Look look);
    Result<Answer> queue_call(int fd, std::uint32_t request, void* argument);
    Result<Answer> export_call(int fd, v4l2_exportbuffer& request);
    Result<int> query_beside_owner(int fd, v4l2_buffer& buffer);
    Result<int> query_fences(v4l2_query_fences& query);
    Result<int> querycap(int fd, v4l2_capability& caps);
    Result<> become_fenced();
    Result<BridgeQueue*> queue_of(std::uint32_t type);
    BridgeQueue* existing_queue(std::uint32_t type) const;
    void note_stream(std::uint32_t type, bool on);
    void refresh_orders(int fd);
    bool is_still_there() const;
    bool renumber_at_rest(int left);

    // DeviceWatch and its eye on the kernel's descriptor.
    void on_given() override;
    void pause() override;
    void resume() override;
    bool keeps_loop() const override { return keeps_loop_.load(); }
    void keep_loop(Core::LoopUse use) override;
    void wake_pollers() override;
    void on_ready(std::uint64_t cookie, std::uint32_t events) override;
    void on_deadline(MonotonicTime now) override;
    /// What the kernel's descriptor has to be watched for.
    struct Interest {
        bool hang_up = false;
        std::uint32_t frames = 0;  ///< EPOLLIN, EPOLLOUT.
    };
    Interest interest() const;
    Result<> widen_watch(std::uint32_t events);
    Result<> look_after_watch(bool deaf, bool goes_on, MonotonicTime again);
    unsigned scan();
    int kernel_error() const;
    void fail_all(int error);
    void update_mute();

    Context& context_;
    /// By which the file's own work is done. Changes while all its queues rest.
    std::atomic<int> fd_;
    const dev_t node_;
    FileOptions options_;
    std::atomic<bool> fenced_{false};
    std::atomic<bool> dead_{false};
    std::atomic<bool> rfc_caps_{false};
    std::atomic<std::uint32_t> streaming_types_{0};  ///< As far as we saw, before queues exist.

    std::mutex queues_mutex_;  ///< Guards the making of queues.
    std::array<std::atomic<BridgeQueue*>, buffer_types> queues_{};
    Core* core_ = nullptr;  ///< Set when the file becomes fenced.
    dev_t device_ = 0;      ///< With inode_, what the numbers led to by then.
    ino_t inode_ = 0;
    Core::LoopUse loop_;  ///< Since its first fence. Set by who sets keeps_loop_.
    std::atomic<bool> keeps_loop_{false};

    std::mutex watch_mutex_;
    Reactor::WatchId watch_ = Reactor::WatchId::None;
    Reactor::TimerId deaf_timer_ = Reactor::TimerId::None;
    std::atomic<unsigned> heard_{0};  ///< Events without an error, of this watch.
    std::atomic<std::uint32_t> watched_events_{0};
    int paused_ = 0;

    Wake pollers_;
    std::atomic<bool> muted_pollers_{false};
    EpollMute mute_;
};

}  // namespace v4lfence
