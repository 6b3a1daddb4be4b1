// SPDX-License-Identifier: MIT

#include "v4lfence/remote/remote_file.hpp"

#include <algorithm>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>

#include "v4lfence/base/pointer.hpp"
#include "v4lfence/base/socket.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/remote/device_call.hpp"
#include "v4lfence/uapi/fence_query.hpp"
#include "v4lfence/v4l2/file_calls.hpp"

namespace v4lfence::remote {

namespace {

using file_calls::nothing_yet;
using file_calls::parents;

/// Of so many calls that find nothing one asks the server, so that its end is noticed.
constexpr unsigned repeated_max = 64;

/// A read() that is longer is cut: no frame is.
constexpr std::size_t read_max = std::size_t{64} << 20;

/// What of the argument decides whether a DQBUF or DQEVENT is answered otherwise than with
/// "nothing yet"; 0: something is wrong with it.
std::uint64_t asked_for(std::uint32_t request, const void* argument) {
    if (!is_plausible(argument)) {
        return 0;
    }
    if (request == VIDIOC_DQEVENT) {
        return 1;
    }
    const auto& buffer = *static_cast<const v4l2_buffer*>(argument);
    if (!V4L2_TYPE_IS_MULTIPLANAR(buffer.type)) {
        return buffer.type;
    }
    const bool has_planes = buffer.length == 0 || is_plausible(buffer.m.planes);
    return has_planes ? std::uint64_t{buffer.length} << 32 | buffer.type : 0;
}

/// One mapping by the program. It ends with the connection too.
class RemoteMapping final : public MappingCounter {
public:
    RemoteMapping(std::shared_ptr<Connection> connection, std::int64_t number)
        : connection_(std::move(connection)), number_(number) {
        connection_->mappings.fetch_add(1);
    }
    ~RemoteMapping() override {
        if (!mapped_) {
            end();  // mmap() has failed.
        }
        connection_->mappings.fetch_sub(1);
    }

    void mapped() noexcept override { mapped_ = true; }
    void unmapped() noexcept override { end(); }

private:
    void end() noexcept {
        Request unmap;
        unmap.op = Op::Unmap;
        unmap.numbers[0] = number_;
        connection_->post(unmap);
    }

    const std::shared_ptr<Connection> connection_;
    const std::int64_t number_;
    bool mapped_ = false;
};

}  // namespace

RemoteFile::RemoteFile(Client& client, int fd, std::uint64_t cookie)
    : client_(client), cookie_(cookie), made_in_(client.generation()), fd_(fd) {}

Result<std::unique_ptr<RemoteFile>> RemoteFile::adopt(Client& client, int fd, int page_fd,
                                                      bool fenced) {
    const std::uint64_t cookie = V4LFENCE_TRY(sys::socket_cookie(fd));
    std::unique_ptr<RemoteFile> file(new RemoteFile(client, fd, cookie));
    // Without it every call asks the server.
    auto page = MappedMemory::create(page_fd, sizeof(StatusPage), MemoryUse::ReadOnly);
    if (page) {
        file->page_ = std::move(*page);
    }
    if (fenced) {
        file->become_fenced();
    }
    return file;
}

RemoteFile::~RemoteFile() = default;

bool RemoteFile::is_dead() const {
    const std::uint64_t fenced_in = fenced_in_.load();
    return fenced_in != 0 && fenced_in != client_.generation() + 1;
}

Result<> RemoteFile::check_still_ours(int fd) const {
    const auto cookie = sys::socket_cookie(fd);
    if (!cookie || *cookie != cookie_) {
        return fail(not_our_file, "the number is another file's");
    }
    return {};
}

/// The error for the program: of a file that is still this one, another server has no say.
int RemoteFile::judge(int fd, int error) const {
    return error == not_our_file && check_still_ours(fd) ? -ENODEV : error;
}

Result<> RemoteFile::outcome(int fd, const Reply& reply) const {
    Reply judged = reply;
    judged.error = judge(fd, reply.error);
    return error_of(judged);
}

// --- calls ---------------------------------------------------------------------------------------

bool RemoteFile::passes(std::uint32_t request, const void* /*argument*/) const {
    return _IOC_TYPE(request) != 'V' && !is_fence_query(request);
}

Result<File::Answer> RemoteFile::ioctl(int fd, std::uint32_t request, void* argument, Look look) {
    const DeferredCancellation deferred;
    if (is_dead()) {
        return parents();
    }
    const IoctlEntry* const entry = find_ioctl(request);
    if (entry == nullptr) {
        V4LFENCE_TRY(check_still_ours(fd));
        return fail(-ENOTTY, "no such ioctl");
    }
    fd_.store(fd, std::memory_order_relaxed);
    if (entry->request == VIDIOC_DQBUF || entry->request == VIDIOC_DQEVENT) {
        return dequeue(fd, *entry, argument, look);
    }
    const auto reply = ask(fd, *entry, request, argument);
    calls_.fetch_add(1);
    return reply.and_then(error_of).map([] { return Answer{}; });
}

Result<File::Answer> RemoteFile::dequeue(int fd, const IoctlEntry& entry, void* argument,
                                         Look look) {
    const bool is_event = entry.request == VIDIOC_DQEVENT;
    const int nothing_error = is_event ? -ENOENT : -EAGAIN;
    Nothing& nothing = nothing_[is_event ? 1 : 0];
    const std::uint64_t wanted = asked_for(entry.request, argument);
    // After a hang-up the server's end is to be noticed.
    if (!look.kernel_ready && wanted != 0 && finds_nothing(nothing, wanted)) {
        return nothing_yet(fd, {nothing_error, "nothing yet"});
    }
    const std::uint64_t calls = calls_.load();
    const Reply reply = V4LFENCE_TRY(ask(fd, entry, entry.request, argument));
    if (reply.error != nothing_error) {
        V4LFENCE_TRY(error_of(reply));
        return Answer{};
    }
    nothing.changes.store(static_cast<std::uint64_t>(reply.numbers[0]));
    nothing.asked_for.store(wanted);
    nothing.calls.store(calls);
    return nothing_yet(fd, {nothing_error, "nothing yet"});
}

bool RemoteFile::finds_nothing(Nothing& nothing, std::uint64_t asked_for) {
    if (page_.bytes().empty() || nothing.calls.load() != calls_.load() ||
        nothing.asked_for.load() != asked_for) {
        return false;
    }
    const auto& page = *reinterpret_cast<const StatusPage*>(page_.bytes().data());
    if (nothing.changes.load() != __atomic_load_n(&page.changes, __ATOMIC_ACQUIRE)) {
        return false;
    }
    return nothing.repeated.fetch_add(1) % repeated_max != repeated_max - 1;
}

/// Asks the server, once for each control that is not known.
class RemoteFile::AskedSizes final : public ControlSizes {
public:
    AskedSizes(RemoteFile& file, int fd) : file_(file), fd_(fd) {}

    std::uint32_t payload_size(std::uint32_t id) override {
        const auto size = file_.control_payload_size(fd_, id & V4L2_CTRL_ID_MASK);
        if (!size) {
            failed_ = tl::unexpected<Error>(size.error());
        }
        return size.value_or(0);
    }
    /// Of any question.
    const Result<>& outcome() const { return failed_; }

private:
    RemoteFile& file_;
    const int fd_;
    Result<> failed_;
};

/// 0 for one that does not exist: the call itself will say so.
Result<std::uint32_t> RemoteFile::control_payload_size(int fd, std::uint32_t id) {
    std::atomic<std::uint32_t>& plain = plain_controls_[id % plain_controls_.size()];
    if (id != 0 && plain.load(std::memory_order_relaxed) == id) {
        return std::uint32_t{0};
    }
    v4l2_query_ext_ctrl query{};
    query.id = id;
    const Reply reply =
        V4LFENCE_TRY(ask(fd, *find_ioctl(VIDIOC_QUERY_EXT_CTRL), VIDIOC_QUERY_EXT_CTRL, &query));
    if (reply.error == not_our_file || reply.error == -ENODEV) {
        return tl::unexpected<Error>(error_of(reply).error());
    }
    if (reply.error != 0) {
        return std::uint32_t{0};
    }
    if ((query.flags & V4L2_CTRL_FLAG_HAS_PAYLOAD) == 0) {
        plain.store(id, std::memory_order_relaxed);
        return std::uint32_t{0};
    }
    return query.elem_size * query.elems;
}

Result<Reply> RemoteFile::ask(int fd, const IoctlEntry& entry, std::uint32_t request,
                              void* argument) {
    DeviceCall call(entry, fd);
    AskedSizes sizes(*this, fd);
    V4LFENCE_TRY(call.copy_in(sizes, request, argument));
    V4LFENCE_TRY(sizes.outcome());
    WakeOf wanted;
    if (entry.request == VIDIOC_DQBUF || entry.request == VIDIOC_DQEVENT) {
        wanted = {cookie_,
                  entry.request == VIDIOC_DQEVENT ? Awaited::What::Event : Awaited::What::Buffer};
    }
    Reply reply = V4LFENCE_TRY(call.make(client_, wanted));
    reply.error = judge(fd, reply.error);
    if (reply.numbers[1] != 0) {
        become_fenced();
    }
    return reply;
}

void RemoteFile::renumber(int /*closed*/, int left) {
    fd_.store(left);
}

Result<File::Answer> RemoteFile::read(int fd, std::span<std::byte> target) {
    const DeferredCancellation deferred;
    if (is_dead()) {
        return parents();
    }
    if (target.data() == nullptr) {
        return fail(-EINVAL, "read() without memory");
    }
    const auto address = reinterpret_cast<std::uintptr_t>(target.data());
    const std::size_t length = std::min(target.size(), read_max);
    if (!is_plausible(target.data()) ||
        (length > 0 && !sys::fault_in(address, length, MemoryUse::ReadWrite))) {
        return fail(-EFAULT, "the memory to read to is none");
    }
    Message message(Op::Read, fd);
    message.header.numbers = {static_cast<std::int64_t>(address),
                              static_cast<std::int64_t>(length)};
    const auto lease = V4LFENCE_TRY(client_.ask(message, {cookie_, Awaited::What::Buffer}));
    calls_.fetch_add(1);
    const Reply& reply = lease->answer().head();
    if (reply.error == -EAGAIN) {
        return nothing_yet(fd, {-EAGAIN, "nothing yet"});
    }
    V4LFENCE_TRY(outcome(fd, reply));
    return Answer{reply.numbers[0]};
}

Result<File::Answer> RemoteFile::write(int fd, std::span<const std::byte> /*source*/) {
    if (is_dead()) {
        return parents();
    }
    V4LFENCE_TRY(check_still_ours(fd));
    return fail(-EINVAL, "the device cannot be written");
}

Result<EmulatedCalls::Mappable> RemoteFile::mappable(int fd, std::size_t length, int protection,
                                                     int flags, std::int64_t offset) {
    const DeferredCancellation deferred;
    if (is_dead()) {
        return parents();
    }
    Message message(Op::Map, fd);
    message.header.numbers = {static_cast<std::int64_t>(length), protection, flags, offset};
    message.awaited = 1;
    const auto lease = V4LFENCE_TRY(client_.ask(message));
    Incoming<Reply>& answer = lease->answer();
    V4LFENCE_TRY(outcome(fd, answer.head()));
    auto counter = std::make_unique<RemoteMapping>(lease.shared(), answer.head().numbers[1]);
    const auto memory = std::make_shared<const UniqueFd>(answer.next_descriptor());
    if (!*memory) {
        return fail(-ENODEV, "a mapping without memory");
    }
    return Mappable{memory->get(), answer.head().numbers[0], memory, std::move(counter)};
}

// --- waiting -------------------------------------------------------------------------------------

Result<WaitPlan> RemoteFile::begin_wait(int fd, const Awaited& awaited) {
    if (is_dead()) {
        return parents();
    }
    auto plan = client_.begin_wait(fd, wake_of(awaited), awaited);
    if (!plan) {
        return fail(judge(fd, plan.error().code), plan.error().where);
    }
    plan->kernel_fd = fd;
    return plan;
}

Result<> RemoteFile::end_wait(const Awaited& awaited, const WaitPlan& plan) {
    if (is_dead()) {
        return parents();
    }
    return client_.end_wait(wake_of(awaited), plan.wake_fd);
}

Result<> RemoteFile::epoll_ctl(int fd, int epfd, int operation, epoll_event* event) {
    return sys::epoll_ctl_raw(epfd, operation, fd, event);
}

// --- options -------------------------------------------------------------------------------------

Result<> RemoteFile::set_option(Op op, std::int64_t number, std::span<const std::byte> payload) {
    const DeferredCancellation deferred;
    if (is_dead()) {
        return parents();
    }
    const int fd = fd_.load();
    Message message(op, fd);
    message.header.numbers = {number};
    message.payload = payload;
    const auto lease = V4LFENCE_TRY(client_.ask(message));
    calls_.fetch_add(1);
    V4LFENCE_TRY(outcome(fd, lease->answer().head()));
    become_fenced();
    return {};
}

Result<> RemoteFile::set_provider(std::string_view name) {
    return set_option(Op::SetProvider, 0, std::as_bytes(std::span(name)));
}

Result<> RemoteFile::set_deadline(unsigned deadline_ms) {
    return set_option(Op::SetDeadline, deadline_ms, {});
}

Result<> RemoteFile::set_implicit(unsigned flags) {
    return set_option(Op::SetImplicit, flags, {});
}

Result<> RemoteFile::set_rfc_caps(bool on) {
    return set_option(Op::SetRfcCaps, on ? 1 : 0, {});
}

Result<> RemoteFile::set_fence_names(bool on) {
    return set_option(Op::SetFenceNames, on ? 1 : 0, {});
}

File::TypedExpiry RemoteFile::last_expiry() const {
    static_assert(std::is_trivially_copyable_v<TypedExpiry>);
    const DeferredCancellation deferred;
    TypedExpiry expiry;
    if (is_dead()) {
        return expiry;
    }
    const auto lease = client_.ask(Message(Op::LastExpiry, fd_.load()));
    if (lease && (*lease)->answer().payload().size() == sizeof expiry) {
        std::memcpy(&expiry, (*lease)->answer().payload().data(), sizeof expiry);
    }
    return expiry;
}

// --- the end -------------------------------------------------------------------------------------

void RemoteFile::close() {
    client_.forget_file(cookie_);
}

void RemoteFile::closed() {
    // A child closes what it has not opened when it is about to execve(): the server sees that the
    // last descriptor has gone without being told.
    if (made_in_ != client_.generation()) {
        return;
    }
    const DeferredCancellation deferred;
    Message message(Op::Closed);
    message.header.numbers = {static_cast<std::int64_t>(cookie_)};
    (void)client_.ask(message);
}

}  // namespace v4lfence::remote
