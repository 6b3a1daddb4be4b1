// SPDX-License-Identifier: MIT
//
// A program whose malloc() opens, asks and closes a file at each call, as allocators do that read
// /proc or map memory by a descriptor: what stands in front of those calls must not allocate.
//
// usage: own_malloc NODE

#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/shim/camera.h"
#include "tests/shim/check.h"

static _Thread_local int inside;
static unsigned long calls;
static unsigned long nested;

static void* map(size_t size) {
    size_t* memory =
        mmap(NULL, size + 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return NULL;
    }
    memory[0] = size;
    return memory + 2;
}

static void use_files(void) {
    const int before = errno;
    const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct stat status;
    int count = 0;
    char byte;
    struct pollfd entry = {fd, POLLIN, 0};
    (void)fstat(fd, &status);
    (void)stat("/dev/null", &status);
    (void)ioctl(fd, FIONREAD, &count);
    (void)poll(&entry, 1, 0);
    (void)!read(fd, &byte, 1);
    (void)!write(fd, &byte, 1);
    const int same = dup(fd);
    (void)fcntl(same, F_GETFL);
    (void)access("/dev/null", R_OK);
    close(same);
    close(fd);
    errno = before;
}

void* malloc(size_t size) {
    nested += inside > 0;
    ++calls;
    if (inside == 0) {
        ++inside;
        use_files();
        --inside;
    }
    return map(size);
}

void free(void* memory) {
    if (memory != NULL) {
        size_t* begin = (size_t*)memory - 2;
        munmap(begin, begin[0] + 16);
    }
}

void* calloc(size_t count, size_t size) {
    return malloc(count * size);
}

void* realloc(void* memory, size_t size) {
    void* more = malloc(size);
    if (memory != NULL && more != NULL) {
        const size_t before = ((size_t*)memory - 2)[0];
        memcpy(more, memory, before < size ? before : size);
        free(memory);
    }
    return more;
}

int posix_memalign(void** memory, size_t alignment, size_t size) {
    // Whole pages and a little room: enough for any alignment that is asked for here.
    char* begin = malloc(size + alignment + 16);
    if (begin == NULL) {
        return ENOMEM;
    }
    size_t* place = (size_t*)(((uintptr_t)begin + 16 + alignment - 1) / alignment * alignment);
    if ((char*)place != begin) {
        SKIP("an alignment of %zu was asked for", alignment);
    }
    *memory = begin;
    return 0;
}

int main(int argc, char** argv) {
    EXPECT(argc == 2, "usage: own_malloc NODE");
    const unsigned long before = calls;
    void* memory = malloc(100);
    free(memory);
    EXPECT(calls == before + 1, "one malloc() made %lu calls of it", calls - before);
    EXPECT(nested == 0, "the calls for a file allocated %lu times", nested);
    struct camera camera = camera_start(argv[1], 0);
    camera_frames(&camera, 5);
    const unsigned long started = calls;
    camera_frames(&camera, 10);
    EXPECT(calls == started, "10 frames made %lu allocations", calls - started);
    camera_stop(&camera);
    printf("%lu allocations\n", calls);
    return 0;
}
