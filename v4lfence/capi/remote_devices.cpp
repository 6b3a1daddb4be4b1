// SPDX-License-Identifier: MIT

#include "v4lfence/capi/remote_devices.hpp"

#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/remote/remote_file.hpp"

namespace v4lfence::capi {

namespace {

tl::unexpected<Error> no_server() {
    return fail(-ENODEV, "there is no device server");
}

}  // namespace

void RemoteDevices::use_server(std::string address) {
    client_ = std::make_unique<remote::Client>(std::move(address));
}

Result<RemoteDevices::Opened> RemoteDevices::open(std::string_view name, int flags) {
    if (!client_) {
        return no_server();
    }
    auto opened = V4LFENCE_TRY(client_->open(name, flags));
    return Opened{std::move(opened.file), std::move(opened.fd)};
}

Result<std::unique_ptr<File>> RemoteDevices::attach(int fd) {
    if (!client_) {
        return no_server();
    }
    return V4LFENCE_TRY(client_->attach(fd));
}

bool RemoteDevices::is_file(const File& file, std::uint64_t cookie) {
    const auto* remote = dynamic_cast<const remote::RemoteFile*>(&file);
    return remote != nullptr && remote->cookie() == cookie;
}

void RemoteDevices::lock_for_fork() {
    if (client_) {
        client_->lock_for_fork();
    }
}

void RemoteDevices::unlock_after_fork() {
    if (client_) {
        client_->unlock_after_fork();
    }
}

void RemoteDevices::abandon() noexcept {
    if (client_) {
        client_->abandon();
    }
}

}  // namespace v4lfence::capi
