// SPDX-License-Identifier: MIT
//
// For tests of the server: a program that says what it likes, and a server of a fake device.

#pragma once

#include <fcntl.h>
#include <linux/videodev2.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/remote/server.hpp"
#include "v4lfence/remote/wire.hpp"
#include "v4lfence/uapi/file.hpp"
#include "v4lfence/v4l2/flatten.hpp"
#include "v4lfence/v4l2/testing/fake_device.hpp"

namespace v4lfence::remote::testing {

inline constexpr const char* device_name = "/dev/video80";

/// One answer, with what came with it.
struct Told {
    int error = 0;
    std::array<std::int64_t, 4> numbers{};
    std::vector<std::byte> argument;
    std::vector<std::byte> payload;
    std::vector<UniqueFd> descriptors;
};

/// What a program passes beside the file.
struct Passed {
    int file = -1;
    int in_fence = -1;
    int memory = -1;  ///< Of the first plane.
    std::span<const std::byte> argument = {};
    std::span<const std::byte> payload = {};
};

/// A connection. Every answer is waited for, but not for ever.
class RawProgram {
public:
    /// Says Hello, with its memory, unless `silent`.
    explicit RawProgram(const std::string& address, std::int64_t number = 1, bool silent = false);

    int fd() const { return connection_.get(); }
    bool connected() const { return static_cast<bool>(connection_); }

    Told ask(Request request, const Passed& passed = {});
    bool say(Request request, const Passed& passed = {});
    /// `error` -ECONNRESET: the connection has ended; -ETIMEDOUT: nothing came.
    Told hear();
    void hang_up() { connection_.reset(); }

    Told hello(std::int64_t version, std::int64_t number, bool with_memory = true);
    /// "Has the server closed what is abandoned?"
    void closed();

private:
    UniqueFd connection_;
    Incoming<Reply> incoming_;
};

/// A file that such a program has opened; its descriptor is closed with it.
struct RawFile {
    RawProgram& program;
    UniqueFd fd;
    MappedMemory page;

    static RawFile open(RawProgram& program, const char* name = device_name);

    /// 0 or a negative errno. `as` another connection: of that program.
    int call(std::uint32_t request, void* argument, int in_fence = -1, int memory = -1,
             RawProgram* as = nullptr);
    template <class Argument>
    int operator()(std::uint32_t request, Argument& argument) {
        return call(request, &argument);
    }
    /// By `op` alone.
    Told ask(Op op, std::array<std::int64_t, 4> numbers = {}, RawProgram* as = nullptr) const;

    short poll(short events) const;
    int request_buffers(unsigned count, std::uint32_t memory = V4L2_MEMORY_MMAP);
    int queue(unsigned index);
    void stream(unsigned count);
    int dequeue(RawProgram* as = nullptr);
    std::uint64_t changes() const;

    std::array<std::int64_t, 4> told{};  ///< By the latest call.
};

v4l2_buffer mmap_buffer(unsigned index);

/// A server of one fake device, at an abstract address of its own.
struct ServerRig {
    explicit ServerRig(const ServerOptions& options = {});
    explicit ServerRig(std::unique_ptr<v4lfence::testing::FakeDevice> fake,
                       const ServerOptions& options = {});

    /// Finishes the oldest buffer that the device has.
    void finish_frame();
    /// Waits until it holds, for ten seconds at most.
    template <class Condition>
    static bool eventually(Condition condition);

    v4lfence::testing::DeviceRig rig;
    std::string address;
    std::unique_ptr<Server> server;
};

struct Streaming {
    ServerRig server;
    RawProgram program{server.address};
    RawFile file = RawFile::open(program);
};

/// Of one of its buffers, by QUERYBUF.
std::uint32_t flags_of(RawFile& file, unsigned index);
/// How a fence has ended, as import says; 1: it is pending.
int outcome(int fence);

inline constexpr std::int64_t for_buffer = static_cast<std::int64_t>(Awaited::What::Buffer);
inline constexpr std::int64_t for_event = static_cast<std::int64_t>(Awaited::What::Event);

/// Until something is readable at `fd`; 0 after ten seconds.
short wait_for(int fd, short events);

template <class Condition>
bool ServerRig::eventually(Condition condition) {
    for (int attempt = 0; attempt < 10'000; ++attempt) {
        if (condition()) {
            return true;
        }
        (void)sys::poll({}, 1);
    }
    return false;
}

}  // namespace v4lfence::remote::testing
