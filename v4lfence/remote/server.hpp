// SPDX-License-Identifier: MIT
//
// Server: devices for the programs of one user. It has the files, the buffers and the fences; a
// program has descriptors of them. See wire.hpp for what is said.

#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "v4lfence/base/result.hpp"
#include "v4lfence/v4l2/device.hpp"

namespace v4lfence::remote {

struct ServerOptions {
    /// Of the files that come to use fences: a provider's name (a literal, as FileOptions has it).
    const char* provider = "auto";
    bool rfc_caps = false;
    /// Threads that serve calls. None of them waits for a frame or an event, but a call waits for
    /// those before it at the same device, and one that closes files for their closing. Memory of
    /// a program (USERPTR, read()) is reached as the program reaches it: where that is a file that
    /// somebody serves who does not answer (FUSE, a dead NFS), the thread and the device wait as
    /// long. Who may connect is trusted not to do that.
    unsigned threads = 4;
};

/// What programs can take is limited: each process, as the kernel names it, has mappings_max
/// mappings (mapping_table.hpp), whatever it says of its address spaces; connections, files and
/// buffers are as many as this process has descriptors.
/// Thread: every member may be called from any thread.
class Server {
public:
    /// Listens at `address`: "@NAME" is one of AF_UNIX's abstract space, anything else a path, made
    /// with mode 0600 in a folder that must exist, and removed at the end. A path that is a socket
    /// nobody listens at any more is replaced. Errors: EADDRINUSE somebody does; ENAMETOOLONG;
    /// EMFILE, ENFILE, ENOMEM; EACCES.
    static Result<std::unique_ptr<Server>> listen(std::string_view address,
                                                  const ServerOptions& options);

    /// Every connection ends, every file is closed, as if the programs had done it; then it hangs
    /// up on what is left of them.
    virtual ~Server() = default;

    /// By the name that programs open it by, such as "/dev/video80". Before start(). `core` of the
    /// device must outlive the server.
    virtual void add(std::string name, std::shared_ptr<VideoDevice> device) = 0;

    /// Serves from now on. Errors: EAGAIN no threads to be had.
    virtual Result<> start() = 0;

    struct Counts {
        unsigned connections = 0;
        unsigned files = 0;
        unsigned waits = 0;
    };
    /// What is there now, for tests.
    virtual Counts counts() const = 0;
};

}  // namespace v4lfence::remote
