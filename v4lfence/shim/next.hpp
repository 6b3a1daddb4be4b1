// SPDX-License-Identifier: MIT
//
// Next: the definition of a libc call that comes after the shim's own: the C library's, or that of
// another preload. Looked up when it is first called, so nothing runs before the program needs it.

#pragma once

#include <cstddef>

namespace v4lfence::shim {

template <std::size_t size>
struct SymbolName {
    char text[size]{};
    consteval SymbolName(const char (&name)[size]) {
        for (std::size_t i = 0; i < size; ++i) {
            text[i] = name[i];
        }
    }
};

/// Never NULL: where nobody has the symbol, a function that answers ENOSYS.
void* find_next(const char* name);

template <SymbolName name, typename Function>
struct Next;

template <SymbolName name, typename Result, typename... Parameters>
struct Next<name, Result(Parameters...)> {
    using Function = Result(Parameters...);

    Result operator()(Parameters... parameters) const { return get()(parameters...); }

    /// What to call: a load, and no test, so that a wrapper can end in a jump.
    static Function* get() { return __atomic_load_n(&function, __ATOMIC_RELAXED); }

    /// The definition itself, to be kept elsewhere.
    static Function* found() {
        auto* definition = reinterpret_cast<Function*>(find_next(name.text));
        __atomic_store_n(&function, definition, __ATOMIC_RELAXED);
        return definition;
    }

private:
    static Result first_call(Parameters... parameters) { return found()(parameters...); }

    static inline constinit Function* function = &first_call;
};

/// `next<"close", int(int)>(fd)`
template <SymbolName name, typename Function>
inline constexpr Next<name, Function> next{};

}  // namespace v4lfence::shim

/// Defines the exported libc call `name`. The C++ function is wrap_NAME: its parameters are the
/// registers of the call, whatever the C library's header says of it.
#define SHIM_EXPORT(result, name, parameters)                                                      \
    extern "C" __attribute__((visibility("default"))) result wrap_##name parameters asm(#name);    \
    result wrap_##name parameters
