// SPDX-License-Identifier: MIT
//
// RemoteDevices: the virtual devices that live in a device server, as a preloaded program finds
// them.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"
#include "v4lfence/bridge/context.hpp"
#include "v4lfence/remote/client.hpp"
#include "v4lfence/uapi/file.hpp"

namespace v4lfence::capi {

/// Thread: every member may be called from any thread, once use_server() has returned.
class RemoteDevices final : public Context::ForkMember {
public:
    /// Before any other call. Without it there are no such devices: ENODEV.
    void use_server(std::string address);

    struct Opened {
        std::unique_ptr<File> file;
        UniqueFd fd;  ///< The program's.
    };
    /// `flags` as open(2). Errors: as remote::Client::open().
    Result<Opened> open(std::string_view name, int flags);
    /// The file behind a descriptor that came by another way. Errors: ENODEV it is none.
    Result<std::unique_ptr<File>> attach(int fd);

    /// Is `file` one of these, and the one behind the socket of this cookie?
    static bool is_file(const File& file, std::uint64_t cookie);

    /// In a child the connections are its own; files go on as RemoteFile says.
    void lock_for_fork() override;
    void unlock_after_fork() override;
    void abandon() noexcept override;

private:
    std::unique_ptr<remote::Client> client_;
};

}  // namespace v4lfence::capi
