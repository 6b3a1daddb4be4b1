// SPDX-License-Identifier: MIT
//
// UniqueFd: the one owner of a descriptor, and the only thing that closes any.

#pragma once

#include <utility>

namespace v4lfence {

/// Empty when it holds -1; 0 is a descriptor like any other.
class UniqueFd {
public:
    UniqueFd() noexcept = default;
    explicit UniqueFd(int fd) noexcept : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        reset(std::move(other).release());
        return *this;
    }
    UniqueFd(const UniqueFd&) = delete;
    UniqueFd& operator=(const UniqueFd&) = delete;
    ~UniqueFd() { reset(); }

    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }

    [[nodiscard]] int release() && noexcept { return std::exchange(fd_, -1); }

    /// Closes what it holds, then holds `fd`. Leaves errno as it was.
    void reset(int fd = -1) noexcept;

private:
    int fd_ = -1;
};

}  // namespace v4lfence
