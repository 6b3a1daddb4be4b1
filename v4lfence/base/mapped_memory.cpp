// SPDX-License-Identifier: MIT

#include "v4lfence/base/mapped_memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <limits>
#include <utility>

#include "v4lfence/base/libc_calls.hpp"

namespace v4lfence {

namespace {

struct Pages {
    void* start;
    std::size_t size;
};

/// The whole pages of a range. Errors: EFAULT it is empty or goes around the end of all addresses.
Result<Pages> pages_of(std::uintptr_t address, std::size_t size) {
    const std::size_t in_page = address % page_size();
    if (size == 0 || size > std::numeric_limits<std::size_t>::max() - in_page) {
        return fail(-EFAULT, "no range of memory");
    }
    const std::size_t whole = round_up_to_pages(size + in_page);
    const std::uintptr_t start = address - in_page;
    if (whole == 0 || whole > std::numeric_limits<std::uintptr_t>::max() - start) {
        return fail(-EFAULT, "no range of memory");
    }
    return Pages{reinterpret_cast<void*>(start), whole};
}

}  // namespace

std::size_t page_size() {
    static const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    return size;
}

std::size_t round_up_to_pages(std::size_t size) {
    const std::size_t page = page_size();
    if (size > std::numeric_limits<std::size_t>::max() - (page - 1)) {
        return 0;
    }
    return (size + page - 1) / page * page;
}

MappedMemory::MappedMemory(MappedMemory&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})) {}

MappedMemory& MappedMemory::operator=(MappedMemory&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
}

MappedMemory::~MappedMemory() {
    if (!bytes_.empty()) {
        libc.munmap(bytes_.data(), bytes_.size());
    }
}

Result<MappedMemory> MappedMemory::create(int fd, std::size_t size, MemoryUse use) {
    const int access = use == MemoryUse::ReadWrite ? PROT_READ | PROT_WRITE : PROT_READ;
    void* const start = libc.mmap(nullptr, size, access, MAP_SHARED, fd, 0);
    if (start == MAP_FAILED) {
        return fail_errno("mmap");
    }
    return MappedMemory({static_cast<std::byte*>(start), size});
}

namespace sys {

Result<> fault_in(std::uintptr_t address, std::size_t size, MemoryUse use) {
    const Pages pages = V4LFENCE_TRY(pages_of(address, size));
    // Unmapped ranges are ENOMEM, as is a lack of memory: told apart by asking again.
    V4LFENCE_TRY(check_mapped(address, size));
    const int advice = use == MemoryUse::ReadWrite ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
    while (::madvise(pages.start, pages.size, advice) < 0) {
        switch (errno) {
        case EINTR:
        case EAGAIN:
            continue;
        case ENOMEM:
            return fail(-ENOMEM, "madvise");
        default:  // EINVAL: not allowed. EFAULT: beyond the file. EHWPOISON: broken.
            return fail(-EFAULT, "memory that cannot be used so");
        }
    }
    return {};
}

Result<> check_mapped(std::uintptr_t address, std::size_t size) {
    const Pages pages = V4LFENCE_TRY(pages_of(address, size));
    // With this flag msync() starts nothing; it only looks whether there is something to write.
    if (::msync(pages.start, pages.size, MS_ASYNC) < 0) {
        return fail(-EFAULT, "memory that is not mapped");
    }
    return {};
}

}  // namespace sys

}  // namespace v4lfence
