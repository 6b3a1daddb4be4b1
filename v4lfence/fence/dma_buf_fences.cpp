// SPDX-License-Identifier: MIT

#include "v4lfence/fence/dma_buf_fences.hpp"

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/magic.h>

#include <charconv>
#include <string>
#include <string_view>
#include <utility>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/end_order.hpp"
#include "v4lfence/fence/providers/dma_buf_source.hpp"
#include "v4lfence/fence/sync_file.hpp"

namespace v4lfence {

namespace {

Result<> check_dma_buf(int fd) {
    if (sys::filesystem_magic(fd).value_or(0) != DMA_BUF_MAGIC) {
        return fail(-EINVAL, "not a dma-buf");
    }
    return {};
}

/// `error` as the kernel said it of this descriptor.
tl::unexpected<Error> refused(int fd, const Error& error) {
    const auto checked = check_dma_buf(fd);
    return tl::unexpected<Error>(checked ? error : checked.error());
}

/// What is not idle by one poll() of all: their events, or nothing where it cannot be told.
class Look {
public:
    Look(const DmaBufs& dma_bufs, DmaBufAccess access)
        : idle_(access == DmaBufAccess::Write ? POLLOUT : POLLIN) {
        for (const int dma_buf : dma_bufs.all()) {
            entries_[size_++] = {dma_buf, idle_, 0};
        }
        polled_ = sys::poll(std::span(entries_).first(size_), 0).has_value();
    }
    bool is_idle(std::size_t place) const {
        return polled_ && (entries_[place].revents & idle_) != 0;
    }

private:
    const short idle_;  ///< Readable: those who write have ended; writable: all have.
    std::array<pollfd, DmaBufs::size_max> entries_;
    std::size_t size_ = 0;
    bool polled_ = false;
};

Result<Fence> joined(std::optional<Fence> all, UniqueFd more) {
    if (all) {
        more = V4LFENCE_TRY(merge_sync_files("v4lfence dma-bufs", all->fd(), more.get()));
    }
    return Fence::adopt(sys::move_high(std::move(more)), FenceKind::SyncFile);
}

}  // namespace

Result<> check_dma_bufs(const DmaBufs& dma_bufs) {
    for (const int dma_buf : dma_bufs.all()) {
        V4LFENCE_TRY(check_dma_buf(dma_buf));
    }
    return {};
}

Result<std::optional<Fence>> pending_fences(const DmaBufs& dma_bufs, DmaBufAccess access) {
    std::optional<Fence> all;
    if (dma_bufs.empty()) {
        return all;
    }
    const Look look(dma_bufs, access);
    std::size_t place = 0;
    for (const int dma_buf : dma_bufs.all()) {
        if (look.is_idle(place++)) {
            continue;
        }
        auto fences = export_sync_file(dma_buf, access);
        if (!fences) {
            return refused(dma_buf, fences.error());
        }
        const FenceStatus status = V4LFENCE_TRY(query_sync_state(fences->get()));
        if (!status.ended()) {
            all = V4LFENCE_TRY(joined(std::move(all), std::move(*fences)));
        }
    }
    acquire_after_end();
    return all;
}

Result<> put_fence(int sync_file, const DmaBufs& dma_bufs, DmaBufAccess access) {
    for (const int dma_buf : dma_bufs.all()) {
        dma_buf_import_sync_file request{};
        request.flags = access == DmaBufAccess::Write ? DMA_BUF_SYNC_WRITE : DMA_BUF_SYNC_READ;
        request.fd = sync_file;
        const auto put = sys::ioctl_retry(dma_buf, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &request);
        if (!put) {
            return refused(dma_buf, put.error());
        }
    }
    return {};
}

Result<> check_dma_buf_fences() {
    // Not of a DRM card: opening one may wake hardware.
    constexpr std::array order{BufferSource::Udmabuf, BufferSource::SystemHeap};
    const FoundBufferSource found = find_buffer_source(order, {});
    if (!found.source) {
        return {};
    }
    const auto memory = allocate_dma_buf(*found.source, {}, page_size());
    if (!memory) {
        return {};
    }
    const auto exported = export_sync_file(memory->get(), DmaBufAccess::Write);
    if (!exported && exported.error().code == -ENOTTY) {
        return fail(-ENOTTY, "the kernel's dma-bufs have no sync_files");
    }
    return {};
}

Result<std::uint64_t> count_holders(int dma_buf) {
    const std::string path = "/proc/self/fdinfo/" + std::to_string(dma_buf);
    const auto file = V4LFENCE_TRY(sys::open(path.c_str(), O_RDONLY));
    std::array<char, 512> text;
    const std::size_t size =
        V4LFENCE_TRY(sys::read(file.get(), std::as_writable_bytes(std::span(text))));
    const std::string_view read(text.data(), size);
    constexpr std::string_view key = "\ncount:\t";
    const std::size_t at = read.find(key);
    std::uint64_t count = 0;
    if (at == std::string_view::npos ||
        std::from_chars(read.data() + at + key.size(), read.data() + size, count).ec !=
            std::errc()) {
        return fail(-ENODATA, "no count of a dma-buf's holders");
    }
    return count;
}

}  // namespace v4lfence
