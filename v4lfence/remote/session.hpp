// SPDX-License-Identifier: MIT
//
// Session: the server's end of one connection: its calls, and what ends with it.

#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "v4lfence/remote/mapping_table.hpp"
#include "v4lfence/remote/served_files.hpp"
#include "v4lfence/remote/server.hpp"
#include "v4lfence/remote/wire.hpp"
#include "v4lfence/uapi/file.hpp"
#include "v4lfence/v4l2/call.hpp"
#include "v4lfence/v4l2/dispatch.hpp"

namespace v4lfence::remote {

/// Tells the server when a file is abandoned.
class FileWatch {
public:
    /// Errors: ENOMEM, ENOSPC.
    virtual Result<> watch(const ServedFile& file) = 0;

protected:
    ~FileWatch() = default;
};

/// What the connections of a server have in common.
struct Shared {
    ServerOptions options;
    std::map<std::string, std::shared_ptr<VideoDevice>, std::less<>> devices;
    ServedFiles files;
    MappingTable mappings;
    std::atomic<unsigned> waits{0};
};

/// Thread: one at a time.
class Session {
public:
    /// `number` is negative and no other connection's. The rest is borrowed and outlives it.
    Session(Shared& shared, FileWatch& watch, UniqueFd connection, pid_t peer, int number) noexcept;
    /// Its wait ends, and who waits is woken; its mappings are not counted any more.
    ~Session();

    int fd() const noexcept { return connection_.get(); }
    /// Held over the call that lets another worker have it: who ends it waits for that to return.
    std::mutex& arming() noexcept { return arming_; }

    /// Serves the call that has come, if one has. Errors: the connection is of no use any more.
    Result<> serve(Incoming<Request>& incoming);

private:
    /// An answer in the making.
    struct Answer {
        Reply reply;
        std::span<const std::byte> argument;
        std::span<const std::byte> payload;
        std::array<UniqueFd, 2> descriptors;
    };
    struct Called {
        Result<Answer> answer;
        bool device_gone = false;

        bool busy() const { return (answer ? answer->reply.error : answer.error().code) == -EBUSY; }
    };
    struct Wait {
        std::weak_ptr<ServedFile> file;
        Awaited awaited;
        WaitPlan plan;
    };
    /// The descriptor of a wait: its file, what for, and which of them all.
    struct Bell {
        std::uint64_t cookie = 0;
        Awaited::What what{};
        int fd = -1;
        std::uint64_t generation = 0;

        bool operator==(const Bell&) const = default;
    };

    Result<> hello(const Request& head, UniqueFd memory);
    Result<Answer> answer(Incoming<Request>& incoming, RequestDescriptors& descriptors);
    Result<Answer> answer_with_file(Incoming<Request>& incoming, RequestDescriptors& descriptors);
    Called call_once(int fd, Incoming<Request>& incoming, const RequestDescriptors& descriptors);
    Result<Answer> call(const std::shared_ptr<ServedFile>& file, Incoming<Request>& incoming,
                        const RequestDescriptors& descriptors);
    Result<> send(const Answer& answer);
    Result<> send_error(int error);

    Result<std::shared_ptr<ServedFile>> find(int fd) const;
    Result<Answer> open_file(std::string_view name);
    static Result<Answer> attach(const ServedFile& file);
    Result<Answer> call_device(ServedFile& file, Incoming<Request>& incoming,
                               const RequestDescriptors& descriptors);
    Result<Answer> begin_wait(const std::shared_ptr<ServedFile>& file, const Request& request);
    Result<> end_wait();
    Result<Answer> map(ServedFile& file, const Request& request);
    Result<Answer> read_frame(ServedFile& file, const Request& request);
    Result<Answer> set_option(ServedFile& file, Incoming<Request>& incoming);
    Result<Answer> last_expiry(const ServedFile& file);

    std::mutex arming_;
    Shared& shared_;
    FileWatch& watch_;
    const UniqueFd connection_;
    const int number_;
    MappingTable::Program program_;
    std::shared_ptr<const ProgramMemory> memory_;  ///< Never NULL once it was greeted.
    bool greeted_ = false;
    std::optional<Wait> wait_;
    Bell sent_bell_;            ///< The latest that the program was sent.
    File::TypedExpiry expiry_;  ///< On its way to the program.
};

}  // namespace v4lfence::remote
