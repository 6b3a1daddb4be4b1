// SPDX-License-Identifier: MIT

#include "conformance/bounded.hpp"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

constexpr int interrupt_signal = SIGUSR2;
constexpr int exit_passed = 0;
constexpr int exit_failed = 1;
constexpr int exit_skipped = 77;

void do_nothing(int) {}

void install_interrupt_handler() {
    struct sigaction action {};
    action.sa_handler = do_nothing;
    ::sigaction(interrupt_signal, &action, nullptr);
}

bool is_asleep(int tid) {
    std::ifstream file(fmt::format("/proc/self/task/{}/stat", tid));
    const std::string stat{std::istreambuf_iterator<char>(file), {}};
    // The name before it may have anything in it.
    const std::size_t name_end = stat.rfind(") ");
    return name_end != std::string::npos && stat.compare(name_end + 2, 1, "S") == 0;
}

/// Empty: it has not ended yet.
std::optional<int> reap(pid_t pid, int options) {
    int status = 0;
    pid_t found = ::waitpid(pid, &status, options);
    while (found < 0 && errno == EINTR) {
        found = ::waitpid(pid, &status, options);
    }
    if (found == 0) {
        return std::nullopt;
    }
    return status;
}

}  // namespace

BoundedThread::BoundedThread(std::function<Checked<>()> work) : state_(std::make_shared<State>()) {
    install_interrupt_handler();
    thread_ = std::thread([state = state_, work = std::move(work)] {
        state->tid = sys::thread_id();
        Checked<> result = work();
        const std::lock_guard lock(state->mutex);
        state->result = std::move(result);
        state->changed.notify_all();
    });
}

BoundedThread::~BoundedThread() {
    if (thread_.joinable()) {
        (void)finish("a thread of the case");
    }
}

bool BoundedThread::done() const {
    const std::lock_guard lock(state_->mutex);
    return state_->result.has_value();
}

Checked<> BoundedThread::falls_asleep(std::string_view what) const {
    const auto sleeps = [&]() -> Checked<bool> {
        CHECK(!done(), "{} returned, expected it to wait", what);
        return state_->tid != 0 && is_asleep(state_->tid);
    };
    return eventually(
        [&]() -> Checked<bool> {
            if (!TRY(sleeps())) {
                return false;
            }
            // Not only for a moment, on the way to where it waits.
            pause_ms(settle_ms);
            return sleeps();
        },
        fmt::format("{} to wait", what));
}

bool BoundedThread::wait(int ms) const {
    std::unique_lock lock(state_->mutex);
    return state_->changed.wait_for(lock, std::chrono::milliseconds(ms),
                                    [&] { return state_->result.has_value(); });
}

void BoundedThread::interrupt() {
    ::pthread_kill(thread_.native_handle(), interrupt_signal);
}

Checked<> BoundedThread::finish(std::string_view what, int bound_ms) {
    const bool in_time = wait(bound_ms);
    constexpr int last_chance_ms = 2000;
    if (!in_time) {
        interrupt();
    }
    if (!in_time && !wait(last_chance_ms)) {
        thread_.detach();
        return failed(
            fmt::format("{} did not return in {} ms and cannot be interrupted", what, bound_ms));
    }
    thread_.join();
    CHECK(in_time, "{} did not return in {} ms", what, bound_ms);
    return *state_->result;
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), answer_(std::move(other.answer_)) {}

Child::~Child() {
    kill();
}

Checked<Child> Child::fork(const std::function<Checked<>()>& work) {
    sys::Pipe answer = TRY(sys::pipe(0));
    const pid_t pid = ::fork();
    CHECK(pid >= 0, "fork: {}", errno_name(errno));
    if (pid != 0) {
        return Child(pid, std::move(answer.read_end));
    }
    const Checked<> result = work();
    if (result) {
        ::_exit(exit_passed);
    }
    const std::string& message = result.error().message;
    (void)sys::write(answer.write_end.get(), std::as_bytes(std::span(message)));
    ::_exit(result.error().outcome == Outcome::Skipped ? exit_skipped : exit_failed);
}

void Child::kill() {
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        (void)reap(std::exchange(pid_, -1), 0);
    }
}

Checked<> Child::finish(std::string_view what, int bound_ms) {
    const Deadline deadline = deadline_in(bound_ms);
    std::optional<int> status = reap(pid_, WNOHANG);
    while (!status && left_ms(deadline) > 0) {
        pause_ms(2);
        status = reap(pid_, WNOHANG);
    }
    if (!status) {
        kill();
        return failed(fmt::format("{} did not end in {} ms", what, bound_ms));
    }
    pid_ = -1;
    CHECK(!WIFSIGNALED(*status), "{} died of signal {}", what, WTERMSIG(*status));
    if (WEXITSTATUS(*status) == exit_passed) {
        return {};
    }
    std::array<char, 1024> message{};
    const auto length = TRY(sys::read(answer_.get(), std::as_writable_bytes(std::span(message))));
    std::string text(message.data(), length);
    return WEXITSTATUS(*status) == exit_skipped ? skipped(std::move(text))
                                                : failed(fmt::format("{}: {}", what, text));
}

Checked<> send_descriptor(int socket, int fd) {
    char byte = 'f';
    iovec data{&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    CHECK(::sendmsg(socket, &message, MSG_NOSIGNAL) == 1, "sending a descriptor: {}",
          errno_name(errno));
    return {};
}

Checked<UniqueFd> receive_descriptor(int socket) {
    pollfd entry{socket, POLLIN, 0};
    CHECK(TRY(sys::poll({&entry, 1}, must_happen_ms)) == 1, "the other process sent no descriptor");
    char byte = 0;
    iovec data{&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    CHECK(::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message) != nullptr,
          "the other process ended without sending a descriptor");
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
    return UniqueFd(fd);
}

Checked<> tell(int socket) {
    const char word = 'w';
    CHECK(::send(socket, &word, 1, MSG_NOSIGNAL) == 1, "the other process is gone: {}",
          errno_name(errno));
    return {};
}

Checked<> await_word(int socket, std::string_view what) {
    pollfd entry{socket, POLLIN, 0};
    const int count = TRY(sys::poll({&entry, 1}, must_happen_ms));
    std::byte word{};
    CHECK(count == 1 && TRY(sys::read(socket, {&word, 1})) == 1, "waited in vain for {}", what);
    return {};
}

}  // namespace v4lfence
