// SPDX-License-Identifier: MIT
//
// `v4lfence stream --implicit`: plays the program that looks at the buffers' dma-bufs alone. It
// puts what a buffer has to wait for there, and sees there when the frame has come.

#pragma once

#include <cstdint>
#include <vector>

#include "tools/stream/buffers.hpp"
#include "tools/stream/options.hpp"
#include "tools/stream/promises.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

class ImplicitChecks {
public:
    /// Everything is borrowed and must outlive it.
    ImplicitChecks(const StreamChoices& options, const Camera& camera, const BufferPool& pool,
                   Promises& promises);

    /// Turns it on, and gets the dma-bufs. Before the first QBUF. Fails with a sentence.
    Attempt<> begin();

    /// In-fences go into dma-bufs; QBUF is told of none.
    bool takes_in_fences() const;
    /// As somebody's who reads the buffer. Fails with a sentence.
    Attempt<> put(unsigned index, int in_fence) const;
    /// QUERYBUF says that it waits.
    bool held(unsigned index) const;

    /// `number`: the frame's.
    void after_qbuf(unsigned index, std::uint64_t number);
    void after_dqbuf(unsigned index, std::uint64_t number);

private:
    /// No plane's writer is pending, as poll() says it.
    bool readable(unsigned index) const;
    std::uint32_t flags_of(unsigned index) const;

    const StreamChoices& options_;
    const Camera& camera_;
    const BufferPool& pool_;
    Promises& promises_;
    std::vector<std::vector<UniqueFd>> dma_bufs_;  ///< By index and plane.
};

}  // namespace v4lfence
