// SPDX-License-Identifier: MIT

#include "v4lfence/shim/next.hpp"

#include <dlfcn.h>

#include <cerrno>

namespace v4lfence::shim {

namespace {

long not_there() {
    errno = ENOSYS;
    return -1;
}

}  // namespace

// dlsym() finds "next" by its return address, so its call may not be the last thing done here. It
// neither allocates nor calls what the shim wraps, unless it finds nothing.
void* find_next(const char* name) {
    const int error = errno;
    void* found = dlsym(RTLD_NEXT, name);
    errno = error;
    return found != nullptr ? found : reinterpret_cast<void*>(&not_there);
}

}  // namespace v4lfence::shim
