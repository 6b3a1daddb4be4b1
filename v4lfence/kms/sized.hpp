// SPDX-License-Identifier: MIT
//
// The structs of v4lfence/kms.h that have their size as first member, and programs of an older or a
// newer header than the library's. One rule for all, as kms.h says: what the caller does not have
// is zero, what the library does not know must be.

#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <iterator>

#include "v4lfence/base/result.hpp"

namespace v4lfence {

/// `size` of a struct that grew from `first_size` to T. Errors: EINVAL there never was one so
/// small.
template <class T>
Result<T*> check_size(T* given, std::size_t first_size) {
    if (given == nullptr || given->size < first_size) {
        return fail(-EINVAL, "size of a struct");
    }
    return given;
}

/// What a caller of whatever version asks for. Errors: EINVAL as check_size(); E2BIG it has
/// something that is not zero where this version knows nothing.
template <class T>
Result<T> read_sized(const T* given, std::size_t first_size) {
    V4LFENCE_TRY(check_size(given, first_size));
    const auto* const bytes = reinterpret_cast<const std::byte*>(given);
    const std::size_t known = std::min<std::size_t>(given->size, sizeof(T));
    if (std::any_of(bytes + known, bytes + given->size,
                    [](std::byte byte) { return byte != std::byte{0}; })) {
        return fail(-E2BIG, "struct of a later version");
    }
    T whole{};
    std::memcpy(&whole, bytes, known);
    return whole;
}

/// Fills `size` bytes: as much as the caller has, with zero behind what this version knows.
template <class T>
void write_bytes(void* target, std::size_t size, const T& whole) {
    const std::size_t known = std::min(size, sizeof(T));
    std::memcpy(target, &whole, known);
    std::memset(static_cast<std::byte*>(target) + known, 0, size - known);
}

/// Its `size` stays what it was. It has been checked.
template <class T>
void write_sized(T* target, T whole) {
    whole.size = target->size;
    write_bytes(target, target->size, whole);
}

/// Is every word of these zero, as what is reserved has to be?
template <class Words>
bool is_zero(const Words& words) {
    return std::all_of(std::begin(words), std::end(words), [](auto word) { return word == 0; });
}

}  // namespace v4lfence
