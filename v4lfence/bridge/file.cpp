// SPDX-License-Identifier: MIT

#include "v4lfence/bridge/file.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/bridge/context.hpp"
#include "v4lfence/bridge/node.hpp"
#include "v4lfence/uapi/fence_query.hpp"
#include "v4lfence/uapi/remove_bufs.hpp"

namespace v4lfence {

namespace {

/// v5's V4L2_CAP_ORDERED; CAP_IO_MC in today's headers.
constexpr std::uint32_t rfc_cap_ordered = 0x20000000;

/// What the kernel says of a planes array before it looks at the buffer.
Result<> check_planes(const v4l2_buffer& buffer) {
    if (!is_multiplanar(buffer.type) || buffer.length == 0) {
        return {};
    }
    if (buffer.length > VIDEO_MAX_PLANES) {
        return fail(-EINVAL, "too many planes");
    }
    if (!is_plausible(buffer.m.planes)) {
        return fail(-EFAULT, "the planes array");
    }
    return {};
}

bool has_argument(std::uint32_t request) {
    return _IOC_SIZE(request) > 0;
}

}  // namespace

BridgeFile::BridgeFile(Context& context, int fd, dev_t node, const FileDefaults& defaults)
    : context_(context), fd_(fd), node_(node), rfc_caps_(defaults.rfc_caps) {
    options_.provider.store(defaults.provider);
    context_.add(*this);
}

BridgeFile::~BridgeFile() {
    for (auto& queue : queues_) {
        std::unique_ptr<BridgeQueue> owned(queue.exchange(nullptr));
        if (dead_.load()) {
            // Its reactor and its fences are the parent's: there is nothing to take down here.
            (void)owned.release();
        }
    }
}

Result<BridgeFile::Answer> BridgeFile::ioctl(int fd, std::uint32_t request, void* argument,
                                             Look look) {
    if (dead_.load(std::memory_order_relaxed)) {
        return fail(-EIO, "the file is the parent process's");
    }
    if (is_fence_query(request)) {
        request = VIDIOC_QUERY_FENCES;
    }
    // What the kernel would refuse to look at it refuses itself.
    if (has_argument(request) && !is_plausible(argument)) {
        return Answer{V4LFENCE_TRY(sys::ioctl(fd, request, argument))};
    }
    return fenced() ? fenced(fd, request, argument, look) : unfenced(fd, request, argument);
}

bool BridgeFile::passes(std::uint32_t request, const void* argument) const {
    if (fenced()) {
        return false;
    }
    switch (request) {
    case VIDIOC_QBUF:
    case VIDIOC_PREPARE_BUF:
        return !is_plausible(argument) ||
               (static_cast<const v4l2_buffer*>(argument)->flags & fence_flags) == 0;
    case VIDIOC_STREAMON:
    case VIDIOC_STREAMOFF:
    case VIDIOC_QUERYBUF:
        return false;
    case VIDIOC_QUERYCAP:
        return !rfc_caps_.load(std::memory_order_relaxed);
    default:
        return !is_fence_query(request);
    }
}

// --- unfenced ------------------------------------------------------------------------------------

Result<BridgeFile::Answer> BridgeFile::unfenced(int fd, std::uint32_t request, void* argument) {
    switch (request) {
    case VIDIOC_QBUF:
    case VIDIOC_PREPARE_BUF:
        if ((static_cast<v4l2_buffer*>(argument)->flags & fence_flags) == 0) {
            break;
        }
        [[fallthrough]];
    case VIDIOC_QUERY_FENCES:
        V4LFENCE_TRY(become_fenced());
        return fenced(fd, request, argument, {});
    case VIDIOC_STREAMON:
    case VIDIOC_STREAMOFF: {
        const int value = V4LFENCE_TRY(sys::ioctl(fd, request, argument));
        note_stream(*static_cast<std::uint32_t*>(argument), request == VIDIOC_STREAMON);
        return Answer{value};
    }
    case VIDIOC_QUERYBUF: {
        if (context_.fenced_files() == 0) {
            break;
        }
        return Answer{V4LFENCE_TRY(query_beside_owner(fd, *static_cast<v4l2_buffer*>(argument)))};
    }
    case VIDIOC_QUERYCAP:
        return Answer{V4LFENCE_TRY(querycap(fd, *static_cast<v4l2_capability*>(argument)))};
    default:
        break;
    }
    return Answer{V4LFENCE_TRY(sys::ioctl(fd, request, argument))};
}

/// QUERYBUF where another handle of the node, in this process, may have fences on the queue.
Result<int> BridgeFile::query_beside_owner(int fd, v4l2_buffer& buffer) {
    const SlotView slot = context_.slot_of_owner(*this, buffer.type, buffer.index);
    const int value = V4LFENCE_TRY(sys::ioctl(fd, VIDIOC_QUERYBUF, &buffer));
    context_.overlay_from_owner(*this, buffer, slot);
    return value;
}

void BridgeFile::note_stream(std::uint32_t type, bool on) {
    if (type < buffer_types) {
        const std::uint32_t bit = 1U << type;
        on ? streaming_types_.fetch_or(bit) : streaming_types_.fetch_and(~bit);
    }
}

Result<> BridgeFile::become_fenced() {
    if (dead_.load()) {
        return fail(-EIO, "the file is the parent process's");
    }
    const std::lock_guard lock(queues_mutex_);
    if (!fenced()) {
        const auto info = V4LFENCE_TRY(sys::fstat(fd_.load()));
        device_ = info.st_dev;
        inode_ = info.st_ino;
        core_ = &context_.core();
        context_.count_fenced();
        fenced_.store(true, std::memory_order_release);
    }
    return {};
}

void BridgeFile::keep_loop(Core::LoopUse use) {
    if (!keeps_loop_.exchange(true)) {
        loop_ = std::move(use);
    }
    on_given();
}

// --- fenced --------------------------------------------------------------------------------------

Result<BridgeFile::Answer> BridgeFile::fenced(int fd, std::uint32_t request, void* argument,
                                              Look look) {
    switch (request) {
    case VIDIOC_QBUF:
    case VIDIOC_DQBUF:
    case VIDIOC_QUERYBUF:
    case VIDIOC_PREPARE_BUF:
        return buffer_call(fd, request, *static_cast<v4l2_buffer*>(argument), look);
    case VIDIOC_STREAMON:
    case VIDIOC_STREAMOFF:
    case VIDIOC_REQBUFS:
    case VIDIOC_CREATE_BUFS:
    case remove_bufs_request:
        return queue_call(fd, request, argument);
    case VIDIOC_QUERY_FENCES:
        return Answer{V4LFENCE_TRY(query_fences(*static_cast<v4l2_query_fences*>(argument)))};
    case VIDIOC_EXPBUF:
        return export_call(fd, *static_cast<v4l2_exportbuffer*>(argument));
    case VIDIOC_QUERYCAP:
        return Answer{V4LFENCE_TRY(querycap(fd, *static_cast<v4l2_capability*>(argument)))};
    case VIDIOC_S_FMT:
    case VIDIOC_S_INPUT:
    case VIDIOC_S_STD:
    case VIDIOC_S_DV_TIMINGS: {
        const int value = V4LFENCE_TRY(sys::ioctl(fd, request, argument));
        refresh_orders(fd);
        return Answer{value};
    }
    default:
        return Answer{V4LFENCE_TRY(sys::ioctl(fd, request, argument))};
    }
}

Result<BridgeFile::Answer> BridgeFile::buffer_call(int fd, std::uint32_t request,
                                                   v4l2_buffer& buffer, Look look) {
    V4LFENCE_TRY(check_planes(buffer));
    if (context_.is_owned_by_other(*this, buffer.type)) {
        if (request != VIDIOC_QUERYBUF) {
            return fail(-EBUSY, "another handle owns the queue");
        }
        return Answer{V4LFENCE_TRY(query_beside_owner(fd, buffer))};
    }
    BridgeQueue* queue = V4LFENCE_TRY(queue_of(buffer.type));
    if (request == VIDIOC_QUERYBUF) {
        V4LFENCE_TRY(queue->querybuf(fd, buffer));
        return Answer{};
    }
    if (request == VIDIOC_DQBUF) {
        const auto outcome = V4LFENCE_TRY(queue->try_dqbuf(buffer, look));
        update_mute();
        return Answer{0, outcome == BridgeQueue::Outcome::MustWait};
    }
    if (request == VIDIOC_PREPARE_BUF) {
        V4LFENCE_TRY(queue->prepare_buf(buffer));
    } else {
        V4LFENCE_TRY(queue->qbuf(buffer));
        update_mute();
    }
    return Answer{};
}

Result<BridgeFile::Answer> BridgeFile::queue_call(int fd, std::uint32_t request, void* argument) {
    const auto create = static_cast<v4l2_create_buffers*>(argument);
    const auto reqbufs = static_cast<v4l2_requestbuffers*>(argument);
    const std::uint32_t type = request == VIDIOC_CREATE_BUFS ? create->format.type
                               : request == VIDIOC_REQBUFS   ? reqbufs->type
                               : request == remove_bufs_request
                                   ? static_cast<RemoveBuffers*>(argument)->type
                                   : *static_cast<std::uint32_t*>(argument);
    if (context_.is_owned_by_other(*this, type)) {
        return Answer{V4LFENCE_TRY(sys::ioctl(fd, request, argument))};
    }
    const auto queue = queue_of(type);
    if (!queue) {
        // The kernel knows best what is wrong with it.
        return Answer{V4LFENCE_TRY(sys::ioctl(fd, request, argument))};
    }
    switch (request) {
    case VIDIOC_STREAMON:
        V4LFENCE_TRY((*queue)->streamon(static_cast<int*>(argument)));
        break;
    case VIDIOC_STREAMOFF:
        V4LFENCE_TRY((*queue)->streamoff(static_cast<int*>(argument)));
        break;
    case VIDIOC_REQBUFS:
        V4LFENCE_TRY((*queue)->reqbufs(*reqbufs));
        break;
    case VIDIOC_CREATE_BUFS:
        V4LFENCE_TRY((*queue)->create_bufs(*create));
        break;
    default:
        V4LFENCE_TRY((*queue)->remove_bufs(argument));
        break;
    }
    update_mute();
    return Answer{};
}

Result<BridgeFile::Answer> BridgeFile::export_call(int fd, v4l2_exportbuffer& request) {
    if (options_.implicit.load() != 0 && !context_.is_owned_by_other(*this, request.type)) {
        if (const auto queue = queue_of(request.type)) {
            V4LFENCE_TRY((*queue)->expbuf(request));
            return Answer{};
        }
    }
    return Answer{V4LFENCE_TRY(sys::ioctl(fd, VIDIOC_EXPBUF, &request))};
}

Result<int> BridgeFile::query_fences(v4l2_query_fences& query) {
    V4LFENCE_TRY(check_fence_query(query));
    BridgeQueue* queue = V4LFENCE_TRY(queue_of(query.type));
    V4LFENCE_TRY(queue->query_fences(query));
    return 0;
}

Result<int> BridgeFile::querycap(int fd, v4l2_capability& caps) {
    const int value = V4LFENCE_TRY(sys::ioctl(fd, VIDIOC_QUERYCAP, &caps));
    if (rfc_caps_.load()) {
        const bool multiplanar = (caps.device_caps & V4L2_CAP_VIDEO_CAPTURE_MPLANE) != 0;
        const bool ordered = kernel_queue_is_always_ordered(
            fd, multiplanar ? V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE : V4L2_BUF_TYPE_VIDEO_CAPTURE);
        for (__u32* word : {&caps.capabilities, &caps.device_caps}) {
            *word = (*word & ~rfc_cap_ordered) | (ordered ? rfc_cap_ordered : 0);
        }
    }
    return value;
}

// --- queues --------------------------------------------------------------------------------------

BridgeQueue* BridgeFile::existing_queue(std::uint32_t type) const {
    return type < buffer_types ? queues_[type].load(std::memory_order_acquire) : nullptr;
}

const BridgeQueue* BridgeFile::owned_queue(std::uint32_t type) const {
    const BridgeQueue* queue = existing_queue(type);
    return queue != nullptr && queue->has_buffers() ? queue : nullptr;
}

Result<BridgeQueue*> BridgeFile::queue_of(std::uint32_t type) {
    if (BridgeQueue* queue = existing_queue(type)) {
        return queue;
    }
    if (type == 0 || type >= buffer_types) {
        return fail(-EINVAL, "no such buffer type");
    }
    const std::lock_guard lock(queues_mutex_);
    if (existing_queue(type) == nullptr) {
        const bool adopts = !context_.is_owned_by_other(*this, type);
        const bool streaming = (streaming_types_.load() >> type & 1) != 0;
        auto queue = V4LFENCE_TRY(
            BridgeQueue::create(*core_, *this, options_, fd_, type, adopts, streaming));
        queues_[type].store(queue.release(), std::memory_order_release);
    }
    return existing_queue(type);
}

void BridgeFile::refresh_orders(int fd) {
    for (std::uint32_t type = 1; type < buffer_types; ++type) {
        if (BridgeQueue* queue = existing_queue(type)) {
            queue->refresh_order(fd);
        }
    }
}

Result<WaitPlan> BridgeFile::begin_wait(int fd, const Awaited& awaited) {
    BridgeQueue* queue = V4LFENCE_TRY(queue_of(awaited.type));
    return queue->begin_wait(fd);
}

Result<> BridgeFile::end_wait(const Awaited& awaited, const WaitPlan& plan) {
    BridgeQueue* queue = V4LFENCE_TRY(queue_of(awaited.type));
    return queue->end_wait(plan);
}

// --- numbers -------------------------------------------------------------------------------------

void BridgeFile::renumber(int closed, int left) {
    if (dead_.load()) {
        return;
    }
    mute_.release(closed);
    if (fd_.load() == closed) {
        while (!renumber_at_rest(left)) {}
    }
}

/// False: a queue was made meanwhile.
bool BridgeFile::renumber_at_rest(int left) {
    std::array<std::optional<BridgeQueue::Rest>, buffer_types> resting;
    for (std::uint32_t type = 1; type < buffer_types; ++type) {
        if (BridgeQueue* queue = existing_queue(type)) {
            resting[type].emplace(*queue);
        }
    }
    const std::lock_guard lock(queues_mutex_);
    for (std::uint32_t type = 1; type < buffer_types; ++type) {
        if (existing_queue(type) != nullptr && !resting[type]) {
            return false;
        }
    }
    // An epoll knows a file by its number: it is told while the old one is still open.
    pause();
    for (auto& rest : resting) {
        if (rest) {
            rest->finish();
        }
    }
    fd_.store(left);
    resume();
    return true;
}

// --- options -------------------------------------------------------------------------------------

Result<> BridgeFile::set_provider(std::string_view name) {
    FenceProvider* provider = V4LFENCE_TRY(context_.core().provider(name));
    V4LFENCE_TRY(become_fenced());
    // The names of traits are literals.
    options_.provider.store(provider->traits().name.data());
    return {};
}

Result<> BridgeFile::set_deadline(unsigned deadline_ms) {
    V4LFENCE_TRY(become_fenced());
    options_.deadline_ms.store(deadline_ms);
    return {};
}

Result<> BridgeFile::set_implicit(unsigned flags) {
    V4LFENCE_TRY(check_implicit(flags, context_.core()));
    V4LFENCE_TRY(become_fenced());
    options_.implicit.store(flags);
    return {};
}

Result<> BridgeFile::set_rfc_caps(bool on) {
    V4LFENCE_TRY(become_fenced());
    rfc_caps_.store(on);
    return {};
}

Result<> BridgeFile::set_fence_names(bool on) {
    if (!on) {
        V4LFENCE_TRY(become_fenced());
        options_.labels.turn_off();
        return {};
    }
    const std::string path = V4LFENCE_TRY(sys::describe_fd(fd_.load()));
    V4LFENCE_TRY(become_fenced());
    options_.labels.turn_on(std::string_view(path).substr(path.rfind('/') + 1));
    return {};
}

BridgeFile::TypedExpiry BridgeFile::last_expiry() const {
    TypedExpiry latest;
    std::uint32_t count = 0;
    for (std::uint32_t type = 1; type < buffer_types; ++type) {
        const BridgeQueue* queue = existing_queue(type);
        const Expiry expiry = queue != nullptr ? queue->last_expiry() : Expiry();
        count += expiry.count;
        if (expiry.count > 0 && expiry.expired_at >= latest.expiry.expired_at) {
            latest = TypedExpiry{type, expiry};
        }
    }
    latest.expiry.count = count;
    return latest;
}

// --- the end -------------------------------------------------------------------------------------

/// As far as it can be told: another open() of the same node is not.
bool BridgeFile::is_still_there() const {
    if (!fenced()) {
        return true;
    }
    const auto info = sys::fstat(fd_.load());
    return info && info->st_dev == device_ && info->st_ino == inode_;
}

void BridgeFile::close() {
    if (!dead_.load()) {
        const bool reachable = is_still_there();
        for (std::uint32_t type = 1; type < buffer_types; ++type) {
            if (BridgeQueue* queue = existing_queue(type)) {
                reachable ? queue->close() : queue->close_unreachable();
            }
        }
        context_.remove(*this);
        if (fenced()) {
            pause();
            loop_ = Core::LoopUse();
        }
    }
}

void BridgeFile::lock_for_fork() {
    for (const auto& queue : queues_) {
        if (BridgeQueue* made = queue.load()) {
            made->lock_for_fork();
        }
    }
}

void BridgeFile::unlock_after_fork() {
    for (const auto& queue : queues_) {
        if (BridgeQueue* made = queue.load()) {
            made->unlock_after_fork();
        }
    }
}

void BridgeFile::abandon() noexcept {
    if (!fenced()) {
        return;
    }
    dead_.store(true);
    loop_.forget();
    for (const auto& queue : queues_) {
        if (BridgeQueue* made = queue.load()) {
            made->abandon();
        }
    }
}

}  // namespace v4lfence
