// SPDX-License-Identifier: MIT
//
// A page of memory as a dma-buf that is nobody's but ours: something for vgem to hang a fence on.

#pragma once

#include <string>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"
#include "v4lfence/fence/providers/dma_buf_source.hpp"

namespace v4lfence {

/// Makes private buffers, all from the first source that works here.
class PrivateBuffers {
public:
    /// `card` is vgem's card node; empty when it has none.
    static FoundBufferSource find(const std::string& card);

    PrivateBuffers(BufferSource source, std::string card);

    /// High and close-on-exec. Errors: EMFILE, ENOMEM, what the source's device says.
    Result<UniqueFd> make() const;

private:
    BufferSource source_;
    std::string card_;
};

}  // namespace v4lfence
