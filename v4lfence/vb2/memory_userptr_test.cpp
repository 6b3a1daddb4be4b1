// SPDX-License-Identifier: MIT

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <limits>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/vb2/memory_userptr.hpp"

namespace v4lfence {
namespace {

class Userptr : public ::testing::Test {
protected:
    void SetUp() override {
        size_ = 4 * page_size();
        start_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ASSERT_NE(start_, MAP_FAILED);
    }
    void TearDown() override { ::munmap(start_, size_); }

    std::byte* at(std::size_t offset) const { return static_cast<std::byte*>(start_) + offset; }
    std::uintptr_t address(std::size_t offset = 0) const {
        return reinterpret_cast<std::uintptr_t>(at(offset));
    }
    void protect(std::size_t page, int access) const {
        ASSERT_EQ(::mprotect(at(page * page_size()), page_size(), access), 0);
    }

    std::size_t size_ = 0;
    void* start_ = nullptr;
};

int error_of(std::uintptr_t address, std::size_t length, DeviceAccess access) {
    const auto acquired = UserptrMemory::acquire(address, length, access);
    return acquired ? 0 : acquired.error().code;
}

TEST_F(Userptr, is_the_programs_own_memory_aligned_or_not) {
    *at(3) = std::byte{11};
    const auto memory = UserptrMemory::acquire(address(3), 2 * page_size(), DeviceAccess::Write);
    ASSERT_TRUE(memory);
    EXPECT_EQ((*memory)->bytes().data(), at(3));
    EXPECT_EQ((*memory)->bytes().size(), 2 * page_size());
    EXPECT_EQ(*at(3), std::byte{11});
    EXPECT_TRUE((*memory)->begin_access());
    (*memory)->bytes().back() = std::byte{12};
    (*memory)->end_access();
    EXPECT_EQ(*at(2 * page_size() + 2), std::byte{12});
}

TEST_F(Userptr, capture_needs_to_write_and_output_to_read) {
    protect(2, PROT_READ);
    EXPECT_EQ(error_of(address(), size_, DeviceAccess::Write), -EFAULT);
    EXPECT_EQ(error_of(address(), size_, DeviceAccess::Read), 0);
    EXPECT_EQ(error_of(address(), 2 * page_size(), DeviceAccess::Write), 0);
    protect(2, PROT_NONE);
    EXPECT_EQ(error_of(address(), size_, DeviceAccess::Read), -EFAULT);
}

TEST_F(Userptr, what_is_not_mapped_is_refused) {
    ::munmap(at(2 * page_size()), page_size());
    for (const auto access : {DeviceAccess::Write, DeviceAccess::Read}) {
        EXPECT_EQ(error_of(address(), size_, access), -EFAULT);
        EXPECT_EQ(error_of(address(page_size() + 1), page_size(), access), -EFAULT);
        EXPECT_EQ(error_of(address(page_size()), page_size(), access), 0);
    }
}

// As vivid answers on Linux 6.1; on 6.12 the range around the end is EOVERFLOW.
TEST_F(Userptr, impossible_ranges_are_refused) {
    constexpr auto last = std::numeric_limits<std::uintptr_t>::max();
    for (const auto access : {DeviceAccess::Write, DeviceAccess::Read}) {
        EXPECT_EQ(error_of(0, size_, access), -EFAULT);
        EXPECT_EQ(error_of(last - page_size() + 1, size_, access), -EFAULT);
        EXPECT_EQ(error_of(last / 2 + 1, size_, access), -EFAULT);
        EXPECT_EQ(error_of(address(), last, access), -EFAULT);
        EXPECT_EQ(error_of(address(), 0, access), -EINVAL);
    }
}

TEST_F(Userptr, memory_that_was_unmapped_meanwhile_is_noticed) {
    const auto memory = UserptrMemory::acquire(address(5), size_ - 5, DeviceAccess::Write);
    ASSERT_TRUE(memory);
    EXPECT_TRUE((*memory)->begin_access());
    (*memory)->end_access();
    ::munmap(at(3 * page_size()), page_size());
    const auto begun = (*memory)->begin_access();
    ASSERT_FALSE(begun);
    EXPECT_EQ(begun.error().code, -EFAULT);
}

TEST_F(Userptr, same_address_and_length_are_the_same) {
    const auto memory = UserptrMemory::acquire(address(8), page_size(), DeviceAccess::Write);
    ASSERT_TRUE(memory);
    EXPECT_TRUE((*memory)->is_userptr(address(8), page_size(), nullptr));
    EXPECT_FALSE((*memory)->is_userptr(address(9), page_size(), nullptr));
    EXPECT_FALSE((*memory)->is_userptr(address(8), page_size() - 1, nullptr));
    EXPECT_FALSE((*memory)->is_dmabuf(0, page_size()));
}

TEST_F(Userptr, cannot_be_exported_or_mapped_again) {
    const auto memory = UserptrMemory::acquire(address(), size_, DeviceAccess::Write);
    ASSERT_TRUE(memory);
    EXPECT_EQ((*memory)->map_fd(), -1);
    EXPECT_EQ((*memory)->export_dmabuf(O_RDWR).error().code, -EINVAL);
}

}  // namespace
}  // namespace v4lfence
