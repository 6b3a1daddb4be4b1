// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <limits>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {
namespace {

/// Private pages that a test maps, protects and unmaps as it likes.
class Pages {
public:
    explicit Pages(std::size_t count, int access = PROT_READ | PROT_WRITE)
        : size_(count * page_size()),
          start_(::mmap(nullptr, size_, access, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;
    ~Pages() { ::munmap(start_, size_); }

    std::byte* page(std::size_t index) const {
        return static_cast<std::byte*>(start_) + index * page_size();
    }
    std::uintptr_t address() const { return reinterpret_cast<std::uintptr_t>(start_); }
    std::size_t size() const { return size_; }

private:
    std::size_t size_;
    void* start_;
};

std::size_t pages_in_core(const Pages& pages) {
    std::array<unsigned char, 16> in_core{};
    EXPECT_EQ(::mincore(pages.page(0), pages.size(), in_core.data()), 0);
    std::size_t count = 0;
    for (const unsigned char page : in_core) {
        count += page & 1U;
    }
    return count;
}

int error_of(const Result<>& result) {
    return result ? 0 : result.error().code;
}

TEST(MappedMemory, shares_what_the_descriptor_holds) {
    const auto file = sys::sealed_memory("test", 2 * page_size());
    ASSERT_TRUE(file);
    const auto writer = MappedMemory::create(file->get(), 2 * page_size(), MemoryUse::ReadWrite);
    auto reader = MappedMemory::create(file->get(), 2 * page_size(), MemoryUse::ReadOnly);
    ASSERT_TRUE(writer && reader);
    writer->bytes()[page_size()] = std::byte{7};
    EXPECT_EQ(reader->bytes()[page_size()], std::byte{7});
    const MappedMemory moved = std::move(*reader);
    EXPECT_EQ(moved.bytes()[page_size()], std::byte{7});
    EXPECT_TRUE(reader->bytes().empty());
}

TEST(MappedMemory, goes_with_its_owner) {
    const auto file = sys::sealed_memory("test", page_size());
    std::uintptr_t address = 0;
    {
        auto mapping = MappedMemory::create(file->get(), page_size(), MemoryUse::ReadWrite);
        ASSERT_TRUE(mapping);
        address = reinterpret_cast<std::uintptr_t>(mapping->bytes().data());
        EXPECT_TRUE(sys::check_mapped(address, page_size()));
    }
    EXPECT_EQ(error_of(sys::check_mapped(address, page_size())), -EFAULT);
}

TEST(MappedMemory, refuses_what_cannot_be_mapped) {
    const auto file = sys::sealed_memory("test", page_size());
    const auto nothing = MappedMemory::create(file->get(), 0, MemoryUse::ReadWrite);
    ASSERT_FALSE(nothing);
    EXPECT_EQ(nothing.error().code, -EINVAL);
    const auto closed = MappedMemory::create(-1, page_size(), MemoryUse::ReadWrite);
    ASSERT_FALSE(closed);
    EXPECT_EQ(closed.error().code, -EBADF);
}

TEST(MappedMemory, size_that_does_not_fit_rounds_to_zero) {
    EXPECT_EQ(round_up_to_pages(0), 0U);
    EXPECT_EQ(round_up_to_pages(1), page_size());
    EXPECT_EQ(round_up_to_pages(page_size()), page_size());
    EXPECT_EQ(round_up_to_pages(std::numeric_limits<std::size_t>::max()), 0U);
}

TEST(FaultIn, brings_each_page_in_and_changes_none) {
    for (const auto use : {MemoryUse::ReadOnly, MemoryUse::ReadWrite}) {
        const Pages pages(3);
        *pages.page(1) = std::byte{42};
        // Its edges are inside the outer pages.
        EXPECT_TRUE(sys::fault_in(pages.address() + page_size() - 1, page_size() + 2, use));
        EXPECT_EQ(*pages.page(1), std::byte{42});
        EXPECT_EQ(pages_in_core(pages), 3U);
    }
}

TEST(FaultIn, range_that_ends_on_a_page_stays_in_it) {
    const Pages pages(2);
    ::munmap(pages.page(1), page_size());
    EXPECT_TRUE(sys::fault_in(pages.address() + 1, page_size() - 1, MemoryUse::ReadWrite));
    EXPECT_EQ(error_of(sys::fault_in(pages.address() + 1, page_size(), MemoryUse::ReadWrite)),
              -EFAULT);
}

TEST(FaultIn, refuses_what_may_not_be_used_so) {
    const Pages readable(2, PROT_READ);
    EXPECT_TRUE(sys::fault_in(readable.address(), readable.size(), MemoryUse::ReadOnly));
    EXPECT_EQ(error_of(sys::fault_in(readable.address(), readable.size(), MemoryUse::ReadWrite)),
              -EFAULT);
    const Pages none(2, PROT_NONE);
    EXPECT_EQ(error_of(sys::fault_in(none.address(), none.size(), MemoryUse::ReadOnly)), -EFAULT);
    const Pages mixed(3);
    ASSERT_EQ(::mprotect(mixed.page(2), page_size(), PROT_READ), 0);
    EXPECT_EQ(error_of(sys::fault_in(mixed.address(), mixed.size(), MemoryUse::ReadWrite)),
              -EFAULT);
    EXPECT_TRUE(sys::fault_in(mixed.address(), mixed.size() - page_size(), MemoryUse::ReadWrite));
}

TEST(FaultIn, refuses_pages_beyond_the_end_of_a_file) {
    const auto file = sys::sealed_memory("test", page_size());
    const auto mapping = MappedMemory::create(file->get(), 2 * page_size(), MemoryUse::ReadWrite);
    ASSERT_TRUE(mapping);
    const auto address = reinterpret_cast<std::uintptr_t>(mapping->bytes().data());
    EXPECT_TRUE(sys::fault_in(address, page_size(), MemoryUse::ReadWrite));
    EXPECT_EQ(error_of(sys::fault_in(address, 2 * page_size(), MemoryUse::ReadWrite)), -EFAULT);
}

TEST(CheckMapped, finds_a_hole_anywhere) {
    for (std::size_t hole = 0; hole < 3; ++hole) {
        const Pages pages(3);
        EXPECT_TRUE(sys::check_mapped(pages.address() + 5, pages.size() - 5));
        ::munmap(pages.page(hole), page_size());
        EXPECT_EQ(error_of(sys::check_mapped(pages.address() + 5, pages.size() - 5)), -EFAULT);
    }
}

TEST(CheckMapped, impossible_ranges_are_not_mapped) {
    constexpr auto last = std::numeric_limits<std::uintptr_t>::max();
    struct Range {
        std::uintptr_t address;
        std::size_t size;
    };
    const Range ranges[] = {
        {0, 1},                                 // NULL
        {page_size(), 0},                       // nothing
        {last - page_size() + 1, page_size()},  // the last page of all
        {last - 10, 100},                       // around the end
        {page_size(), last},                    // more than all
        {last / 2 + 1, page_size()},            // between the program's half and the kernel's
    };
    for (const Range& range : ranges) {
        EXPECT_EQ(error_of(sys::check_mapped(range.address, range.size)), -EFAULT) << range.address;
        EXPECT_EQ(error_of(sys::fault_in(range.address, range.size, MemoryUse::ReadOnly)), -EFAULT)
            << range.address;
    }
}

}  // namespace
}  // namespace v4lfence
