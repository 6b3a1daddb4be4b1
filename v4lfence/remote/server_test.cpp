// SPDX-License-Identifier: MIT
//
// The server's files: who may come, what is opened and closed, what is said of what is wrong.

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "v4lfence/base/socket.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/testing/descriptors.hpp"
#include "v4lfence/remote/server.hpp"
#include "v4lfence/remote/testing/raw_program.hpp"
#include "v4lfence/uapi/file.hpp"
#include "v4lfence/uapi_fences.h"

namespace v4lfence::remote {
namespace {

using testing::device_name;
using testing::RawFile;
using testing::RawProgram;
using testing::ServerRig;
using testing::wait_for;
using v4lfence::testing::disconnect_button;

int querycap(RawFile& file, v4l2_capability& caps) {
    return file(VIDIOC_QUERYCAP, caps);
}

int unplug(RawFile& file) {
    v4l2_control control{disconnect_button, 1};
    return file(VIDIOC_S_CTRL, control);
}

// --- connections ---------------------------------------------------------------------------------

TEST(ServerConnections, begin_with_hello_of_the_same_version) {
    ServerRig rig;
    RawProgram older(rig.address, 1, true);
    EXPECT_EQ(older.hello(protocol_version - 1, 1).error, -EPROTO);
    EXPECT_EQ(older.hello(protocol_version + 1, 1).error, -EPROTO);
    EXPECT_EQ(older.hello(protocol_version, 1).error, 0) << "it may try again";
    RawProgram rude(rig.address, 1, true);
    Request open;
    open.op = Op::Open;
    EXPECT_EQ(rude.ask(open).error, -ECONNRESET);
}

TEST(ServerConnections, end_with_their_program) {
    ServerRig rig;
    {
        RawProgram program(rig.address);
        EXPECT_EQ(rig.server->counts().connections, 1U);
    }
    EXPECT_TRUE(ServerRig::eventually([&] { return rig.server->counts().connections == 0; }));
}

TEST(ServerConnections, are_of_the_same_user_or_of_root) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "needs root, to be somebody else";
    }
    ServerRig rig;
    const pid_t child = ::fork();
    if (child == 0) {
        constexpr uid_t nobody = 65534;
        const bool other = ::seteuid(nobody) == 0;
        auto connection = sys::connect_to(rig.address);
        if (!other || !connection) {
            ::_exit(2);
        }
        Request hello;
        hello.op = Op::Hello;
        hello.numbers[0] = protocol_version;
        (void)send(connection->get(), hello, {}, {}, {}, sys::Waiting::Yes);
        Incoming<Reply> incoming;
        const auto heard = wait_for(connection->get(), POLLIN) != 0
                               ? incoming.receive(connection->get(), sys::Waiting::Yes)
                               : fail(-ETIMEDOUT, "");
        ::_exit(heard || heard.error().code != -ECONNRESET ? 1 : 0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
    EXPECT_EQ(rig.server->counts().connections, 0U);
}

TEST(ServerConnections, at_a_path_are_for_the_user_alone) {
    const auto folder = std::filesystem::path(::testing::TempDir()) /
                        ("v4lfence-server-" + std::to_string(::getpid()));
    std::filesystem::create_directory(folder);
    const std::string path = folder / "server";
    auto server = Server::listen(path, {});
    ASSERT_TRUE(server);
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_TRUE(S_ISSOCK(info.st_mode));
    EXPECT_EQ(info.st_mode & 0777U, 0600U);
    ASSERT_TRUE((*server)->start());
    EXPECT_EQ(Server::listen(path, {}).error().code, -EADDRINUSE);
    RawProgram program(path);
    server->reset();
    EXPECT_FALSE(std::filesystem::exists(path));

    // One that was killed leaves its socket, and another kind of file is none.
    { const auto killed = sys::listen_at(path); }
    ASSERT_TRUE(std::filesystem::exists(path));
    EXPECT_TRUE(Server::listen(path, {}));
    const std::string other = folder / "file";
    ASSERT_TRUE(sys::open(other.c_str(), O_CREAT | O_RDWR, 0600));
    EXPECT_EQ(Server::listen(other, {}).error().code, -EADDRINUSE);
    std::filesystem::remove_all(folder);
}

/// connect() needs no descriptor.
void connect_to(const UniqueFd& socket, const std::string& address) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::copy(address.begin() + 1, address.end(), &name.sun_path[1]);
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
    ASSERT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&name), size), 0);
}

TEST(ServerConnections, beyond_the_descriptors_are_told_so) {
    ServerRig rig;
    RawProgram earlier(rig.address);
    RawFile file = RawFile::open(earlier);
    const UniqueFd late(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    Incoming<Reply> incoming;
    earlier.closed();  // What the answers before had is closed by now.
    {
        const v4lfence::testing::DescriptorLimit limit(640);
        std::vector<UniqueFd> all;
        while (auto one = sys::dup(late.get())) {
            all.push_back(std::move(*one));
        }
        connect_to(late, rig.address);
        ASSERT_NE(wait_for(late.get(), POLLIN), 0);
        ASSERT_TRUE(incoming.receive(late.get(), sys::Waiting::Yes));
        EXPECT_EQ(incoming.head().error, -EMFILE);
        // A call that brings a descriptor needs one too.
        v4l2_capability caps{};
        EXPECT_EQ(querycap(file, caps), -EMFILE);
    }
    RawProgram later(rig.address);
    v4l2_capability caps{};
    EXPECT_EQ(querycap(file, caps), 0);
}

TEST(ServerConnections, are_taken_again_when_one_ends) {
    ServerRig rig;
    RawProgram earlier(rig.address);
    const UniqueFd late(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    {
        // Not even one to say so with: the server waits, and does not try again and again.
        const v4lfence::testing::DescriptorLimit limit(1);
        connect_to(late, rig.address);
        EXPECT_EQ(earlier.hello(protocol_version, 1, false).error, -EPROTO) << "a second one";
    }
    earlier.hang_up();
    RawProgram later(rig.address);
    EXPECT_TRUE(later.connected());
}

// --- files ---------------------------------------------------------------------------------------

TEST(ServerFiles, are_opened_by_the_devices_name) {
    ServerRig rig;
    RawProgram program(rig.address);
    RawFile file = RawFile::open(program);
    v4l2_capability caps{};
    ASSERT_EQ(querycap(file, caps), 0);
    EXPECT_STREQ(reinterpret_cast<const char*>(caps.driver), "fake");
    EXPECT_EQ(rig.server->counts().files, 1U);
    Request open;
    open.op = Op::Open;
    for (const std::string_view name : {"/dev/video81", "", "/dev/video80 "}) {
        EXPECT_EQ(program.ask(open, {.payload = std::as_bytes(std::span(name))}).error, -ENOENT);
    }
}

TEST(ServerFiles, are_closed_with_their_last_descriptor) {
    ServerRig rig;
    RawProgram program(rig.address);
    RawFile file = RawFile::open(program);
    auto copy = sys::dup(file.fd.get());
    ASSERT_TRUE(copy);
    file.fd.reset();
    program.closed();
    EXPECT_EQ(rig.server->counts().files, 1U);
    copy->reset();
    program.closed();
    EXPECT_EQ(rig.server->counts().files, 0U);
}

TEST(ServerFiles, are_closed_without_a_word_too) {
    ServerRig rig;
    RawProgram program(rig.address);
    { RawFile file = RawFile::open(program); }
    EXPECT_TRUE(ServerRig::eventually([&] { return rig.server->counts().files == 0; }));
    EXPECT_FALSE(rig.rig.device->has_files());
}

TEST(ServerFiles, that_are_closed_leave_the_queue_to_the_next) {
    ServerRig rig;
    RawProgram first(rig.address);
    RawProgram second(rig.address, 2);
    for (int i = 0; i < 50; ++i) {
        RawFile later = RawFile::open(second);
        {
            RawFile earlier = RawFile::open(first);
            earlier.stream(2);
            EXPECT_EQ(later.request_buffers(1), -EBUSY);
        }
        ASSERT_EQ(later.request_buffers(1), 0) << "the last close came before";
    }
}

TEST(ServerFiles, that_look_closed_amid_their_call_stop_nobody) {
    ServerOptions options;
    options.threads = 1;
    ServerRig rig(options);
    RawProgram program(rig.address);
    RawFile file = RawFile::open(program);
    unsigned calls = 0;
    rig.rig.fake.before_s_input = [&]() -> Result<> {
        ++calls;
        ::shutdown(file.fd.get(), SHUT_RDWR);
        return fail(-EBUSY, "busy");
    };
    std::uint32_t input = 0;
    EXPECT_EQ(file(VIDIOC_S_INPUT, input), -ENODEV) << "made again, without a file by then";
    EXPECT_EQ(calls, 1U);
    EXPECT_EQ(rig.server->counts().files, 0U);
    RawFile next = RawFile::open(program);
    EXPECT_EQ(next.request_buffers(1), 0);
}

TEST(ServerFiles, of_a_call_that_is_made_again_get_all_of_it_again) {
    ServerRig rig;
    RawProgram program(rig.address);
    RawFile file = RawFile::open(program);
    RawFile other = RawFile::open(program);
    unsigned calls = 0;
    rig.rig.fake.before_s_input = [&]() -> Result<> {
        other.fd.reset();
        return ++calls == 1 ? fail(-EBUSY, "busy") : Result<>();
    };
    std::uint32_t input = 1;
    EXPECT_EQ(file(VIDIOC_S_INPUT, input), 0);
    EXPECT_EQ(calls, 2U);
    EXPECT_EQ(rig.rig.fake.input, 1U);
}

TEST(ServerFiles, have_a_page_that_programs_can_only_read) {
    ServerRig rig;
    RawProgram program(rig.address);
    RawFile file = RawFile::open(program);
    auto told = file.ask(Op::Attach);
    ASSERT_EQ(told.descriptors.size(), 1U);
    const int page = told.descriptors[0].get();
    EXPECT_EQ(told.numbers[0], 0) << "unfenced";
    EXPECT_EQ(MappedMemory::create(page, page_size(), MemoryUse::ReadWrite).error().code, -EPERM);
    const std::uint64_t wrong = 1;
    EXPECT_EQ(::pwrite(page, &wrong, sizeof wrong, 0), -1);
    EXPECT_EQ(::ftruncate(page, 0), -1);
    auto mapped = MappedMemory::create(page, page_size(), MemoryUse::ReadOnly);
    ASSERT_TRUE(mapped);
    EXPECT_EQ(::mprotect(mapped->bytes().data(), page_size(), PROT_READ | PROT_WRITE), -1);
}

TEST(ServerFiles, of_somebody_else_are_not_ours) {
    ServerRig rig;
    ServerRig other;
    RawProgram program(rig.address);
    RawProgram elsewhere(other.address);
    RawFile foreign = RawFile::open(elsewhere);
    const auto pipe = sys::pipe(0);
    ASSERT_TRUE(pipe);
    Request call;
    call.op = Op::Ioctl;
    call.request = VIDIOC_LOG_STATUS;
    EXPECT_EQ(program.ask(call, {.file = pipe->read_end.get()}).error, not_our_file);
    EXPECT_EQ(program.ask(call).error, -EBADF);
    call.op = Op::Attach;
    EXPECT_EQ(program.ask(call, {.file = pipe->read_end.get()}).error, -ENODEV);
    EXPECT_EQ(program.ask(call, {.file = foreign.fd.get()}).error, -ENODEV);
}

// Pins: 1.3
TEST(ServerFiles, have_the_servers_defaults_without_being_fenced) {
    ServerOptions options;
    options.provider = "eventfd";
    options.rfc_caps = true;
    ServerRig rig(options);
    RawProgram program(rig.address);
    RawFile file = RawFile::open(program);
    v4l2_capability caps{};
    ASSERT_EQ(querycap(file, caps), 0);
    EXPECT_TRUE(caps.device_caps & 0x20000000);
    EXPECT_EQ(file.told[1], 0) << "unfenced";
    v4l2_query_fences query{};
    query.size = sizeof query;
    query.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    ASSERT_EQ(file(VIDIOC_QUERY_FENCES, query), 0);
    EXPECT_STREQ(reinterpret_cast<const char*>(query.provider), "eventfd");
    EXPECT_EQ(file.told[1], 1);
}

TEST(ServerFiles, take_options) {
    ServerRig rig;
    RawProgram program(rig.address);
    RawFile file = RawFile::open(program);
    Request request;
    request.op = Op::SetProvider;
    const std::string_view unknown = "nobody";
    const std::string_view known = "eventfd";
    EXPECT_EQ(
        program.ask(request, {.file = file.fd.get(), .payload = std::as_bytes(std::span(unknown))})
            .error,
        -EINVAL);
    EXPECT_EQ(
        program.ask(request, {.file = file.fd.get(), .payload = std::as_bytes(std::span(known))})
            .error,
        0);
    EXPECT_EQ(file.ask(Op::SetDeadline, {-1}).error, -EINVAL);
    EXPECT_EQ(file.ask(Op::SetDeadline, {250}).error, 0);
    for (const std::int64_t wrong : {std::int64_t{-1}, std::int64_t{4}, std::int64_t{1} << 32}) {
        EXPECT_EQ(file.ask(Op::SetImplicit, {wrong}).error, -EINVAL);
    }
    EXPECT_EQ(file.ask(Op::SetImplicit, {implicit_in}).error, 0);
    EXPECT_EQ(file.ask(Op::SetImplicit, {0}).error, 0);
    v4l2_query_fences query{};
    query.size = sizeof query;
    query.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    ASSERT_EQ(file(VIDIOC_QUERY_FENCES, query), 0);
    EXPECT_EQ(query.deadline_ms, 250U);
    EXPECT_STREQ(reinterpret_cast<const char*>(query.provider), "eventfd");
    v4l2_capability caps{};
    EXPECT_EQ(file.ask(Op::SetRfcCaps, {1}).error, 0);
    EXPECT_EQ(file.ask(Op::SetFenceNames, {1}).error, 0);
    ASSERT_EQ(querycap(file, caps), 0);
    EXPECT_TRUE(caps.device_caps & 0x20000000);
    const auto expiry = file.ask(Op::LastExpiry);
    ASSERT_EQ(expiry.payload.size(), sizeof(File::TypedExpiry));
}

TEST(ServerFiles, without_room_for_a_descriptor_leave_nothing_behind) {
    ServerRig rig;
    RawProgram program(rig.address);
    { RawFile warm = RawFile::open(program); }
    program.closed();
    const std::size_t before = v4lfence::testing::open_descriptors();
    Request open;
    open.op = Op::Open;
    const std::string_view name = device_name;
    const unsigned failures = v4lfence::testing::until_it_fits([&](unsigned limit) {
        int error = 0;
        {
            const v4lfence::testing::DescriptorLimit lower(limit);
            const auto told = program.ask(open, {.payload = std::as_bytes(std::span(name))});
            error = told.error;
        }
        program.closed();
        EXPECT_TRUE(error == 0 || error == -EMFILE) << error;
        EXPECT_TRUE(ServerRig::eventually(
            [&] { return v4lfence::testing::open_descriptors() == before; }));
        return error == 0;
    });
    EXPECT_GT(failures, 0U);
    EXPECT_EQ(rig.server->counts().files, 0U);
}

// --- the end -------------------------------------------------------------------------------------

TEST(ServerFiles, of_an_unplugged_device_say_so) {
    ServerRig rig;
    RawProgram program(rig.address);
    RawFile file = RawFile::open(program);
    RawFile other = RawFile::open(program);
    ASSERT_EQ(unplug(file), 0);
    v4l2_capability caps{};
    for (RawFile* const each : {&file, &other}) {
        EXPECT_TRUE(each->poll(0) & POLLHUP);
        EXPECT_EQ(querycap(*each, caps), -ENODEV);
        EXPECT_EQ(each->ask(Op::Map, {4096, PROT_READ, MAP_SHARED, 0}).error, -ENODEV);
    }
    Request open;
    open.op = Op::Open;
    const std::string_view name = device_name;
    EXPECT_EQ(program.ask(open, {.payload = std::as_bytes(std::span(name))}).error, -ENODEV);
    EXPECT_EQ(rig.server->counts().files, 0U) << "nobody could tell when it is closed";
}

TEST(Server, that_ends_hangs_up) {
    auto rig = std::make_unique<ServerRig>();
    RawProgram program(rig->address);
    RawFile file = RawFile::open(program);
    file.stream(2);
    rig->server.reset();
    EXPECT_TRUE(file.poll(0) & POLLHUP);
    EXPECT_EQ(program.hear().error, -ECONNRESET);
    EXPECT_FALSE(rig->rig.device->has_files());
}

TEST(Server, refuses_an_address_that_is_none) {
    EXPECT_EQ(Server::listen("", {}).error().code, -EINVAL);
    EXPECT_EQ(Server::listen("@", {}).error().code, -EINVAL);
    EXPECT_EQ(Server::listen("@" + std::string(200, 'x'), {}).error().code, -ENAMETOOLONG);
    ServerRig rig;
    EXPECT_EQ(Server::listen(rig.address, {}).error().code, -EADDRINUSE);
}

}  // namespace
}  // namespace v4lfence::remote
