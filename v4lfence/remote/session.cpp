// SPDX-License-Identifier: MIT

#include "v4lfence/remote/session.hpp"

#include <unistd.h>

#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/v4l2/device.hpp"
#include "v4lfence/v4l2/file_calls.hpp"
#include "v4lfence/v4l2/flatten.hpp"

namespace v4lfence::remote {

namespace {

std::string_view text_of(std::span<const std::byte> payload) {
    return {reinterpret_cast<const char*>(payload.data()), payload.size()};
}

/// Where read() of a program in another process puts what it reads.
class ProgramTarget final : public ReadTarget {
public:
    ProgramTarget(const ProgramMemory& memory, std::uintptr_t address, std::size_t size) noexcept
        : memory_(memory), address_(address), size_(size) {}

    std::size_t size() const override { return size_; }
    Result<> put(std::span<const std::byte> bytes) override {
        return memory_.write(address_, bytes);
    }

private:
    const ProgramMemory& memory_;
    const std::uintptr_t address_;
    const std::size_t size_;
};

}  // namespace

Session::Session(Shared& shared, FileWatch& watch, UniqueFd connection, pid_t peer,
                 int number) noexcept
    : shared_(shared), watch_(watch), connection_(std::move(connection)),
      number_(number), program_{peer, 0} {}

Session::~Session() {
    if (const auto file = wait_ ? wait_->file.lock() : nullptr) {
        // A thread may look there still: the program has given the connection up while it waits.
        file_calls::wake_waiter(file->handle(), wait_->awaited, number_);
    }
    (void)end_wait();
    shared_.mappings.end(number_);
}

Result<> Session::serve(Incoming<Request>& incoming) {
    if (const auto received = incoming.receive(fd(), sys::Waiting::No); !received) {
        switch (received.error().code) {
        case -EAGAIN:
            return {};
        case -EMFILE:  // It came, without its descriptors.
            return send_error(-EMFILE);
        default:
            return received;
        }
    }
    auto descriptors = take_descriptors(incoming);
    incoming.close_descriptors();
    if (!descriptors) {
        return tl::unexpected(descriptors.error());
    }
    const Request& head = incoming.head();
    if (!greeted_) {
        return hello(head, std::move(descriptors->file));
    }
    if (head.op == Op::Unmap) {
        shared_.mappings.remove(head.numbers[0], program_);
        return {};
    }
    auto answered = answer(incoming, *descriptors);
    // What the program closes when it has the answer is closed then.
    *descriptors = RequestDescriptors();
    return answered ? send(*answered) : send_error(answered.error().code);
}

Result<> Session::hello(const Request& head, UniqueFd memory) {
    if (head.op != Op::Hello) {
        return fail(-EPROTO, "a connection that begins with something else");
    }
    if (head.numbers[0] != protocol_version) {
        return send_error(-EPROTO);
    }
    program_.number = head.numbers[1];
    auto reached = memory ? ProgramMemory::create(std::move(memory), program_)
                          : fail(-EFAULT, "no memory came");
    memory_ = std::make_shared<const ProgramMemory>(reached ? std::move(*reached)
                                                            : ProgramMemory::unreachable(program_));
    greeted_ = true;
    Answer welcome;
    return send(welcome);
}

Result<> Session::send(const Answer& answer) {
    std::array<int, 2> numbers{};
    std::size_t count = 0;
    for (const UniqueFd& descriptor : answer.descriptors) {
        if (descriptor) {
            numbers[count++] = descriptor.get();
        }
    }
    return remote::send(fd(), answer.reply, answer.argument, answer.payload,
                        std::span<const int>(numbers).first(count), sys::Waiting::No);
}

Result<> Session::send_error(int error) {
    Answer answer;
    answer.reply.error = error;
    return send(answer);
}

// --- calls ---------------------------------------------------------------------------------------

Result<Session::Answer> Session::answer(Incoming<Request>& incoming,
                                        RequestDescriptors& descriptors) {
    switch (incoming.head().op) {
    case Op::Hello:
        return fail(-EPROTO, "a second Hello");
    case Op::Open:
        return open_file(text_of(incoming.payload()));
    case Op::EndWait:
        V4LFENCE_TRY(end_wait());
        return Answer();
    case Op::Closed:
        shared_.files.sweep();
        return Answer();
    default:
        return answer_with_file(incoming, descriptors);
    }
}

/// What another file had is free if that one is abandoned, or was closed meanwhile: a call that
/// says EBUSY is made again then. It has no file while the abandoned are closed: its own may be
/// one.
Result<Session::Answer> Session::answer_with_file(Incoming<Request>& incoming,
                                                  RequestDescriptors& descriptors) {
    const UniqueFd fd = std::move(descriptors.file);
    const std::uint64_t before = shared_.files.closed_count();
    Called called = call_once(fd.get(), incoming, descriptors);
    if (!called.busy() && !called.device_gone) {
        return std::move(called.answer);
    }
    shared_.files.sweep();
    if (called.busy() && shared_.files.closed_count() != before) {
        called = call_once(fd.get(), incoming, descriptors);
    }
    return std::move(called.answer);
}

/// What is used by the program's own descriptor goes before that is closed, so that an abandoned
/// file is nobody's.
Session::Called Session::call_once(int fd, Incoming<Request>& incoming,
                                   const RequestDescriptors& descriptors) {
    const auto found = find(fd);
    if (!found) {
        const bool asked = incoming.head().op == Op::Attach;
        return {fail(asked ? -ENODEV : found.error().code, found.error().where)};
    }
    const FileHandle::Lent lent((*found)->handle(), fd);
    auto answered = call(*found, incoming, descriptors);
    return {std::move(answered), (*found)->handle().device().is_gone()};
}

Result<Session::Answer> Session::call(const std::shared_ptr<ServedFile>& used,
                                      Incoming<Request>& incoming,
                                      const RequestDescriptors& descriptors) {
    const Request& head = incoming.head();
    ServedFile& file = *used;
    switch (head.op) {
    case Op::Attach:
        return attach(file);
    case Op::Ioctl:
        return call_device(file, incoming, descriptors);
    case Op::BeginWait:
        return begin_wait(used, head);
    case Op::Map:
        return map(file, head);
    case Op::Read:
        return read_frame(file, head);
    case Op::SetProvider:
    case Op::SetDeadline:
    case Op::SetRfcCaps:
    case Op::SetImplicit:
    case Op::SetFenceNames:
        return set_option(file, incoming);
    case Op::LastExpiry:
        return last_expiry(file);
    default:
        return fail(-EPROTO, "no such operation");
    }
}

/// Errors: EBADF no descriptor came; ENODEV its device is gone; not_our_file.
Result<std::shared_ptr<ServedFile>> Session::find(int fd) const {
    if (fd < 0) {
        return fail(-EBADF, "a call without its file");
    }
    const auto cookie = sys::socket_cookie(fd);
    if (cookie) {
        if (auto file = shared_.files.find(*cookie)) {
            return file;
        }
    }
    // One that was ours, of a device that was unplugged: nobody else's has our number in its name.
    const auto identity = Readiness::identify(fd);
    if (identity && identity->maker == ::getpid()) {
        return fail(-ENODEV, "the device is gone");
    }
    return fail(not_our_file, "no file of this server");
}

Result<Session::Answer> Session::open_file(std::string_view name) {
    // The last close of a program comes before the next open.
    shared_.files.sweep();
    const auto device = shared_.devices.find(name);
    if (device == shared_.devices.end()) {
        return fail(-ENOENT, "no such device");
    }
    auto opened = V4LFENCE_TRY(ServedFile::open(device->second, shared_.options));
    Answer answer;
    answer.descriptors[0] = std::move(opened.program_end);
    answer.descriptors[1] = V4LFENCE_TRY(sys::dup(opened.file->page_fd()));
    shared_.files.add(opened.file);
    if (const auto watched = watch_.watch(*opened.file); !watched) {
        shared_.files.forget(opened.file->handle().identity());
        return tl::unexpected(watched.error());
    }
    return answer;
}

Result<Session::Answer> Session::attach(const ServedFile& file) {
    Answer answer;
    answer.reply.numbers[0] = file.handle().fenced() ? 1 : 0;
    answer.descriptors[0] = V4LFENCE_TRY(sys::dup(file.page_fd()));
    return answer;
}

Result<Session::Answer> Session::call_device(ServedFile& file, Incoming<Request>& incoming,
                                             const RequestDescriptors& descriptors) {
    const IoctlEntry* const entry = find_ioctl(incoming.head().request);
    if (entry == nullptr) {
        return fail(-ENOTTY, "no such ioctl");
    }
    Call call;
    call.request = incoming.head().request;
    call.argument = incoming.argument().data();
    call.payload = incoming.payload();
    call.in_fence = descriptors.in_fence.get();
    for (unsigned plane = 0; plane < planes_max; ++plane) {
        call.memory_fds[plane] = descriptors.memory[plane].get();
    }
    call.program = memory_;
    call.caller = number_;
    file.handle().options().client_pid.store(static_cast<int>(program_.pid),
                                             std::memory_order_relaxed);
    LocalControlSizes sizes(file.handle().device().controls());
    V4LFENCE_TRY(to_local(call, *entry, incoming.argument().size(), sizes));

    Answer answer;
    answer.reply.numbers[0] = static_cast<std::int64_t>(file.changes());
    const auto done = dispatch(file.handle(), *entry, call);
    answer.reply.numbers[1] = file.handle().fenced() ? 1 : 0;
    to_remote(call, *entry, sizes);  // Whatever is said: the call may be made again.
    if (done || (entry->flags & IoctlEntry::AnswersOnError)) {
        if (_IOC_DIR(entry->request) & _IOC_READ) {
            answer.argument = incoming.argument();
        }
        answer.payload = call.payload;
    }
    if (done) {
        answer.descriptors[0] = std::move(call.fd_out);
    } else {
        answer.reply.error = done.error().code;
    }
    return answer;
}

// --- waits ---------------------------------------------------------------------------------------

Result<Session::Answer> Session::begin_wait(const std::shared_ptr<ServedFile>& file,
                                            const Request& request) {
    if (wait_) {
        return fail(-EINVAL, "a connection has one wait");
    }
    Wait wait;
    wait.file = file;
    wait.awaited.what = request.numbers[0] == static_cast<std::int64_t>(Awaited::What::Event)
                            ? Awaited::What::Event
                            : Awaited::What::Buffer;
    FileHandle& handle = file->handle();
    if (wait.awaited.what == Awaited::What::Buffer) {
        V4LFENCE_TRY(handle.device().check_owner(handle));
    }
    wait.plan = V4LFENCE_TRY(file_calls::begin_wait(handle, wait.awaited, number_));
    wait_ = wait;
    shared_.waits.fetch_add(1);
    handle.count_change();  // DQBUF by another thread is EBUSY now.
    Answer answer;
    answer.reply.numbers[0] = static_cast<std::int64_t>(wait.plan.generation);
    const Bell bell{handle.identity(), wait.awaited.what, wait.plan.wake_fd, wait.plan.generation};
    const bool has_it = request.numbers[2] != 0 && request.numbers[3] == answer.reply.numbers[0];
    if (has_it && bell == sent_bell_) {
        return answer;
    }
    auto passed = sys::dup(bell.fd);
    if (!passed) {
        (void)end_wait();
        return tl::unexpected(passed.error());
    }
    answer.descriptors[0] = std::move(*passed);
    sent_bell_ = bell;
    return answer;
}

/// Of a file that is closed, or whose device is gone, the next call says so.
Result<> Session::end_wait() {
    if (!wait_) {
        return fail(-EINVAL, "no wait on this connection");
    }
    const Wait wait = *std::exchange(wait_, std::nullopt);
    shared_.waits.fetch_sub(1);
    if (const auto file = wait.file.lock()) {
        return file_calls::end_wait(file->handle(), wait.awaited, wait.plan, number_);
    }
    return {};
}

// --- memory --------------------------------------------------------------------------------------

Result<Session::Answer> Session::map(ServedFile& file, const Request& request) {
    const auto& [length, protection, flags, offset] = request.numbers;
    const auto found = V4LFENCE_TRY(file_calls::find_mappable(
        file.handle(), {static_cast<std::size_t>(length), static_cast<int>(protection),
                        static_cast<int>(flags), offset}));
    Answer answer;
    answer.descriptors[0] = V4LFENCE_TRY(sys::dup(found.plane->map_fd()));
    answer.reply.numbers[0] = found.plane->map_offset();
    answer.reply.numbers[1] = V4LFENCE_TRY(shared_.mappings.add(number_, program_, found.memory));
    return answer;
}

Result<Session::Answer> Session::read_frame(ServedFile& file, const Request& request) {
    ProgramTarget target(*memory_, static_cast<std::uintptr_t>(request.numbers[0]),
                         static_cast<std::size_t>(request.numbers[1]));
    const auto count = file_calls::read(file.handle(), target, number_);
    Answer answer;
    answer.reply.numbers[0] = static_cast<std::int64_t>(V4LFENCE_TRY(count));
    return answer;
}

// --- options -------------------------------------------------------------------------------------

Result<Session::Answer> Session::set_option(ServedFile& file, Incoming<Request>& incoming) {
    const Request& head = incoming.head();
    const std::int64_t number = head.numbers[0];
    if (head.op == Op::SetProvider) {
        V4LFENCE_TRY(file_calls::set_provider(file.handle(), text_of(incoming.payload())));
    } else if (head.op == Op::SetRfcCaps) {
        file_calls::set_rfc_caps(file.handle(), number != 0);
    } else if (head.op == Op::SetFenceNames) {
        file_calls::set_fence_names(file.handle(), number != 0);
    } else if (number < 0 || number > std::numeric_limits<unsigned>::max()) {
        return fail(-EINVAL, "a deadline or flags");
    } else if (head.op == Op::SetImplicit) {
        V4LFENCE_TRY(file_calls::set_implicit(file.handle(), static_cast<unsigned>(number)));
    } else {
        file_calls::set_deadline(file.handle(), static_cast<unsigned>(number));
    }
    return Answer();
}

Result<Session::Answer> Session::last_expiry(const ServedFile& file) {
    static_assert(std::is_trivially_copyable_v<File::TypedExpiry>);
    expiry_ = file_calls::last_expiry(file.handle());
    Answer answer;
    answer.payload = std::as_bytes(std::span(&expiry_, 1));
    return answer;
}

}  // namespace v4lfence::remote
