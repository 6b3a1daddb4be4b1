// SPDX-License-Identifier: MIT
//
// Where the machine gives memory that is a dma-buf.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

enum class BufferSource : std::uint8_t { VgemCard, Udmabuf, SystemHeap };

struct FoundBufferSource {
    /// Errors: that of the last one tried, or a shortage of an earlier one.
    Result<BufferSource> source;
    std::string tried;  ///< What was tried without success, and why not.
};

/// The first of `order` that makes a page. `card` is vgem's card node, which has no fixed name;
/// empty: there is none.
FoundBufferSource find_buffer_source(std::span<const BufferSource> order, const std::string& card);

/// Zeroed, readable and writable, close-on-exec. `size` in whole pages.
/// Errors: EMFILE, ENOMEM, what the source's device says.
Result<UniqueFd> allocate_dma_buf(BufferSource source, const std::string& card, std::size_t size);

/// The memory itself as a dma-buf, by /dev/udmabuf: as sys::sealed_memory() made it, `size` in
/// whole pages. Close-on-exec. Errors: as above; EINVAL more than the module's size_limit_mb.
Result<UniqueFd> wrap_in_udmabuf(int memory, std::size_t size);

}  // namespace v4lfence
