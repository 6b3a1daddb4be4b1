// SPDX-License-Identifier: MIT
//
// Preloaded into a benchmark: counts every allocation of the process, on all its threads. operator
// new of libstdc++ comes through malloc.

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>

extern "C" {

// glibc's own names for what is replaced here.
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) noexcept;
void* calloc(std::size_t count, std::size_t size) noexcept;
void* realloc(void* memory, std::size_t size) noexcept;
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept;
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) noexcept;
std::uint64_t bench_allocations();
}

namespace {
std::atomic<std::uint64_t> allocations{0};

void count_one() {
    allocations.fetch_add(1, std::memory_order_relaxed);
}
}  // namespace

void* malloc(std::size_t size) noexcept {
    count_one();
    return __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) noexcept {
    count_one();
    return __libc_calloc(count, size);
}

void* realloc(void* memory, std::size_t size) noexcept {
    count_one();
    return __libc_realloc(memory, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
    count_one();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void** memory, std::size_t alignment, std::size_t size) noexcept {
    count_one();
    *memory = __libc_memalign(alignment, size);
    return *memory != nullptr ? 0 : ENOMEM;
}

std::uint64_t bench_allocations() {
    return allocations.load();
}
