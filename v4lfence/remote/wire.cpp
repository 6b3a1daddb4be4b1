// SPDX-License-Identifier: MIT

#include "v4lfence/remote/wire.hpp"

#include <bit>
#include <type_traits>
#include <utility>

namespace v4lfence::remote {

static_assert(std::is_trivially_copyable_v<Request> && std::is_trivially_copyable_v<Reply>);
static_assert(descriptors_max <= sys::message_descriptors_max);

template <class Head>
Result<> send(int fd, Head head, std::span<const std::byte> argument,
              std::span<const std::byte> payload, std::span<const int> descriptors,
              sys::Waiting waiting) {
    const std::size_t room = message_max - sizeof head;
    if (argument.size() > room || payload.size() > room - argument.size()) {
        return fail(-ENOMEM, "a message that is too long");
    }
    head.argument_size = static_cast<std::uint32_t>(argument.size());
    head.payload_size = static_cast<std::uint32_t>(payload.size());
    const std::array<std::span<const std::byte>, 3> parts{std::as_bytes(std::span(&head, 1)),
                                                          argument, payload};
    return sys::send_message(fd, parts, descriptors, waiting);
}

template Result<> send(int, Request, std::span<const std::byte>, std::span<const std::byte>,
                       std::span<const int>, sys::Waiting);
template Result<> send(int, Reply, std::span<const std::byte>, std::span<const std::byte>,
                       std::span<const int>, sys::Waiting);

template <class Head>
Result<> Incoming<Head>::receive(int fd, sys::Waiting waiting) {
    close_descriptors();
    const auto received =
        sys::receive_message(fd, {buffer_.get(), message_max}, descriptors_, waiting);
    if (!received) {
        return fail(received.error().code == -EMSGSIZE ? -EPROTO : received.error().code,
                    "a message");
    }
    if (received->size == 0) {
        close_descriptors();  // Of an empty message.
        return fail(-ECONNRESET, "the connection has ended");
    }
    descriptor_count_ = received->descriptors;
    const std::uint64_t announced =
        received->size < sizeof(Head)
            ? 0
            : sizeof(Head) + std::uint64_t{head().argument_size} + head().payload_size;
    if (received->size != announced) {
        close_descriptors();
        return fail(-EPROTO, "the sizes in a message");
    }
    return {};
}

template <class Head>
UniqueFd Incoming<Head>::next_descriptor() {
    return descriptors_taken_ < descriptor_count_ ? std::move(descriptors_[descriptors_taken_++])
                                                  : UniqueFd();
}

template <class Head>
void Incoming<Head>::close_descriptors() noexcept {
    for (UniqueFd& descriptor : descriptors_) {
        descriptor.reset();
    }
    descriptor_count_ = descriptors_taken_ = 0;
}

template class Incoming<Request>;
template class Incoming<Reply>;

Result<RequestDescriptors> take_descriptors(Incoming<Request>& request) {
    const Request& head = request.head();
    const std::size_t said = (head.has_file != 0 ? 1U : 0U) + (head.has_in_fence != 0 ? 1U : 0U) +
                             static_cast<unsigned>(std::popcount(head.memory_fds));
    if (said != request.descriptor_count()) {
        return fail(-EPROTO, "the descriptors of a request");
    }
    RequestDescriptors taken;
    if (head.has_file != 0) {
        taken.file = request.next_descriptor();
    }
    if (head.has_in_fence != 0) {
        taken.in_fence = request.next_descriptor();
    }
    for (unsigned plane = 0; plane < planes_max; ++plane) {
        if ((head.memory_fds >> plane & 1U) != 0) {
            taken.memory[plane] = request.next_descriptor();
        }
    }
    return taken;
}

}  // namespace v4lfence::remote
