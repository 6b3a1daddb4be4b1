// SPDX-License-Identifier: MIT

#include "v4lfence/remote/served_files.hpp"

#include <atomic>
#include <utility>
#include <vector>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence::remote {

namespace {

StatusPage& status_of(const MappedMemory& page) {
    return *reinterpret_cast<StatusPage*>(page.bytes().data());
}

}  // namespace

Result<ServedFile::Opened> ServedFile::open(std::shared_ptr<VideoDevice> device,
                                            const ServerOptions& options) {
    auto page_fd = sys::move_high(V4LFENCE_TRY(sys::sealed_memory("v4lfence-status", page_size())));
    auto page =
        V4LFENCE_TRY(MappedMemory::create(page_fd.get(), page_size(), MemoryUse::ReadWrite));
    V4LFENCE_TRY(sys::seal_for_readers(page_fd.get()));
    auto opened = V4LFENCE_TRY(FileHandle::open(*device));
    FileHandle& handle = *opened.handle;
    std::shared_ptr<ServedFile> file(new ServedFile(std::move(device), std::move(page_fd),
                                                    std::move(page), std::move(opened.handle)));
    handle.options().provider.store(options.provider);
    handle.set_rfc_caps(options.rfc_caps);
    return Opened{std::move(file), std::move(opened.program_end)};
}

ServedFile::ServedFile(std::shared_ptr<VideoDevice> device, UniqueFd page_fd, MappedMemory page,
                       std::unique_ptr<FileHandle> handle) noexcept
    : device_(std::move(device)), page_fd_(std::move(page_fd)), page_(std::move(page)),
      handle_(std::move(handle)) {
    handle_->count_changes_at(status_of(page_).changes);
}

ServedFile::~ServedFile() {
    handle_.reset();
    if (closing_for_ != nullptr) {
        closing_for_->count_closed();
    }
}

std::uint64_t ServedFile::changes() const noexcept {
    return std::atomic_ref(status_of(page_).changes).load();
}

// --- all of them ---------------------------------------------------------------------------------

void ServedFiles::add(const std::shared_ptr<ServedFile>& file) {
    const std::lock_guard lock(mutex_);
    files_.emplace(file->handle().identity(), file);
}

void ServedFiles::forget(std::uint64_t cookie) {
    std::shared_ptr<ServedFile> forgotten;
    const std::lock_guard lock(mutex_);
    if (const auto found = files_.find(cookie); found != files_.end()) {
        forgotten = std::move(found->second);
        files_.erase(found);
    }
}

std::shared_ptr<ServedFile> ServedFiles::find(std::uint64_t cookie) const {
    const std::lock_guard lock(mutex_);
    const auto found = files_.find(cookie);
    return found != files_.end() ? found->second : nullptr;
}

void ServedFiles::sweep() {
    std::vector<std::shared_ptr<ServedFile>> over;
    {
        const std::lock_guard lock(mutex_);
        std::erase_if(files_, [&](auto& entry) {
            const FileHandle& handle = entry.second->handle();
            const bool abandoned = handle.abandoned();
            if (!abandoned && !handle.hung_up()) {
                return false;
            }
            if (abandoned) {
                ++closing_;
                entry.second->closing_for_ = this;
            }
            over.push_back(std::move(entry.second));
            return true;
        });
    }
    over.clear();
    std::unique_lock lock(mutex_);
    all_closed_.wait(lock, [&] { return closing_ == 0; });
}

void ServedFiles::count_closed() {
    const std::lock_guard lock(mutex_);
    closed_.fetch_add(1);
    --closing_;
    all_closed_.notify_all();
}

void ServedFiles::close_all() {
    decltype(files_) all;
    {
        const std::lock_guard lock(mutex_);
        all.swap(files_);
    }
}

unsigned ServedFiles::count() const {
    const std::lock_guard lock(mutex_);
    return static_cast<unsigned>(files_.size());
}

}  // namespace v4lfence::remote
