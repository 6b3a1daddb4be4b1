// SPDX-License-Identifier: MIT
//
// What a program and a device server say to each other: one message a call, one message an answer,
// over a SOCK_SEQPACKET connection. The structs of videodev2.h travel in the layout of a 64-bit
// kernel; what they point to follows as Call::payload, with offsets for pointers.
//
// There is no handshake about files and no number that stands for one: a call comes with the
// program's own descriptor of the file, so whoever has the descriptor, by whatever way, can use the
// file, and nobody else. The server looks at its socket cookie, uses it to take readiness back, and
// has closed it again before it answers.
//
// A connection serves one call at a time; a process has as many as it has calls under way. What a
// connection began (a wait, mappings) ends with it.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/socket.hpp"
#include "v4lfence/base/unique_fd.hpp"
#include "v4lfence/vb2/buffer.hpp"

namespace v4lfence::remote {

inline constexpr std::uint32_t protocol_version = 2;

/// A message is not longer; the payload of a call that would be is refused (ENOMEM).
inline constexpr std::size_t message_max = 65536;

/// The file, an in-fence, a dma-buf for each plane.
inline constexpr std::size_t descriptors_max = 2 + planes_max;

/// The numbers are the wire's: a new one goes to the end, and the version up.
enum class Op : std::uint32_t {
    /// The first of each connection. numbers[0]: protocol_version; numbers[1]: the same for all
    /// connections of one address space, and no other's. One descriptor, if it can be had: its
    /// /proc/self/mem. Answer: EPROTO another version.
    Hello = 1,
    /// Payload: the device's name. numbers[0]: flags of open(2). Answer: the program's descriptor,
    /// then the status page.
    Open,
    /// Is the file one of this server's? Answer: the status page; ENODEV it is not.
    /// numbers[0]: 1 if it is fenced.
    Attach,
    /// `request`, argument, payload; in-fence and dma-bufs behind the file's descriptor. Answer:
    /// error, argument and payload as FlatCall::copy_out() wants them, at most one descriptor.
    /// numbers[0]: of the status page's changes, what they were before the call; numbers[1]: 1 if
    /// the file is fenced.
    Ioctl,
    /// numbers[0]: Awaited::What; numbers[1]: the buffer type, which no device looks at that has
    /// one queue. numbers[2]: 1 if the program still has the descriptor that it was sent last on
    /// this connection, for the same file and What; numbers[3]: the generation that came with it.
    /// Answer: numbers[0]: the generation; the descriptor to wait at, but for one that the program
    /// has: it is left out where file, What and generation are those of the latest that was sent
    /// here, and what is waited at is the same. When the connection ends before the wait the
    /// descriptor becomes readable: who looks there looks again. The connection is kept for that
    /// wait.
    BeginWait,
    /// Of the wait that this connection began. Without descriptors. Answer: as File::end_wait().
    EndWait,
    /// numbers: length, protection, flags, offset of mmap(2). Answer: what to map; numbers[0]: the
    /// offset in it; numbers[1]: the mapping's number, never 0.
    Map,
    /// numbers[0]: a mapping's number. No descriptors, and no answer.
    Unmap,
    /// numbers[0]: address, numbers[1]: length of where to read to, by the program's memory.
    /// Answer: numbers[0]: how much was read.
    Read,
    /// Options of the file. Payload: the provider's name.
    SetProvider,
    /// numbers[0]
    SetDeadline,
    /// numbers[0]
    SetRfcCaps,
    /// Answer: payload: File::TypedExpiry.
    LastExpiry,
    /// The program has closed a descriptor. Without descriptors. Every file that has none left by
    /// now is closed when the answer comes. numbers[0]: the cookie of the program's, for whoever
    /// looks on: the server has no use for it.
    Closed,
    /// Since version 2, with the options above. numbers[0]: flags of FileOptions::implicit.
    SetImplicit,
    /// Since version 2. numbers[0]
    SetFenceNames,
};

/// Followed by `argument_size` bytes of argument and `payload_size` of payload.
struct Request {
    Op op{};
    std::uint32_t request = 0;
    std::uint32_t argument_size = 0;
    std::uint32_t payload_size = 0;
    /// Which of the descriptors came with it, in this order: the file (or what Hello says), an
    /// in-fence, the dma-buf of each plane by its bit.
    std::uint8_t has_file = 0;
    std::uint8_t has_in_fence = 0;
    std::uint8_t memory_fds = 0;
    std::uint8_t reserved = 0;
    std::uint32_t reserved2 = 0;
    std::array<std::int64_t, 4> numbers{};
};
static_assert(sizeof(Request) == 56);

/// Followed as a Request is.
struct Reply {
    std::int32_t error = 0;  ///< Negative errno.
    std::uint32_t argument_size = 0;
    std::uint32_t payload_size = 0;
    std::uint32_t reserved = 0;
    std::array<std::int64_t, 4> numbers{};
};
static_assert(sizeof(Reply) == 48);

/// The program's connection and the server's descriptor are those of one device and user: a call
/// for another server's file, or one whose number has become another file.
inline constexpr int not_our_file = -116;  // -ESTALE

/// One page that the server writes and the program can only read; one per file.
struct StatusPage {
    /// Counts up whenever a call that found nothing (DQBUF: EAGAIN, DQEVENT: ENOENT) might find
    /// something: so a program that asks again and again is answered without asking the server.
    alignas(8) std::uint64_t changes = 0;
};

// --- how it is said ------------------------------------------------------------------------------

/// Sends a Request or a Reply; the two sizes in `head` are set here. Nothing is copied, nothing
/// allocated. Errors: ENOMEM longer than message_max; as sys::send_message().
template <class Head>
Result<> send(int fd, Head head, std::span<const std::byte> argument,
              std::span<const std::byte> payload, std::span<const int> descriptors,
              sys::Waiting waiting);

/// A Request or a Reply that has come, and room for the next. Thread: one at a time.
template <class Head>
class Incoming {
public:
    /// Allocates, once.
    Incoming() : buffer_(new std::byte[message_max]) {}

    /// The next message; the one before, with what is left of its descriptors, is gone.
    /// Errors: ECONNRESET the connection has ended; EPROTO it is no message of ours; EAGAIN there
    /// is none, where it does not wait; EMFILE it came, but its descriptors had no room.
    Result<> receive(int fd, sys::Waiting waiting);

    const Head& head() const { return *reinterpret_cast<const Head*>(buffer_.get()); }
    /// As the other side has said their sizes, which add up. In a message with a payload both are
    /// aligned to 8 bytes, or are not ours.
    std::span<std::byte> argument() { return {buffer_.get() + sizeof(Head), head().argument_size}; }
    std::span<std::byte> payload() {
        return {argument().data() + argument().size(), head().payload_size};
    }

    /// How many came.
    std::size_t descriptor_count() const { return descriptor_count_; }
    /// In the order of the message; empty when there is none left.
    UniqueFd next_descriptor();
    /// Those that nobody has taken.
    void close_descriptors() noexcept;

private:
    std::unique_ptr<std::byte[]> buffer_;
    std::array<UniqueFd, descriptors_max> descriptors_;
    std::size_t descriptor_count_ = 0;
    std::size_t descriptors_taken_ = 0;
};

/// The descriptors of a request, by what they are.
struct RequestDescriptors {
    UniqueFd file;
    UniqueFd in_fence;
    std::array<UniqueFd, planes_max> memory;
};
/// Errors: EPROTO not those that the head says.
Result<RequestDescriptors> take_descriptors(Incoming<Request>& request);

}  // namespace v4lfence::remote
