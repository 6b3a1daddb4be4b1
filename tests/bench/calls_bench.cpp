// SPDX-License-Identifier: MIT
//
// What the preload shim costs a program's calls that have nothing to do with a camera, while it has
// one open: ours/CALL as the program calls it, bare/CALL the C library's own. And a DQBUF that
// finds nothing, beside the one system call that it cannot do without.
//
// usage: v4lfence exec --virtual camera=NODE -- bench_calls NODE [BENCHMARK OPTIONS]

#include <benchmark/benchmark.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>

#include "tests/bench/capture.hpp"

namespace v4lfence::bench {

namespace {

constexpr std::size_t page = 4096;

/// One side of each comparison.
struct LibcSide {
    decltype(&::ioctl) ioctl;
    decltype(&::read) read;
    decltype(&::write) write;
    int (*open)(const char*, int, ...);
    decltype(&::close) close;
    decltype(&::mmap) mmap;
    decltype(&::munmap) munmap;
    decltype(&::poll) poll;
    int (*stat)(const char*, struct stat*);
};

template <class Function>
void find(void* from, const char* name, Function& function) {
    function = reinterpret_cast<Function>(::dlsym(from, name));
    if (function == nullptr) {
        std::fprintf(stderr, "bench_calls: there is no %s\n", name);
        std::exit(1);
    }
}

LibcSide side(void* from) {
    LibcSide calls{};
    find(from, "ioctl", calls.ioctl);
    find(from, "read", calls.read);
    find(from, "write", calls.write);
    find(from, "open", calls.open);
    find(from, "close", calls.close);
    find(from, "mmap", calls.mmap);
    find(from, "munmap", calls.munmap);
    find(from, "poll", calls.poll);
    find(from, "stat", calls.stat);
    return calls;
}

/// A pipe with a byte in it, and its ends.
struct Pipe {
    int ends[2] = {-1, -1};
};

Pipe make_pipe() {
    Pipe made;
    if (::pipe2(made.ends, O_CLOEXEC) < 0 || ::write(made.ends[1], "", 1) != 1) {
        std::perror("bench_calls: pipe");
        std::exit(1);
    }
    return made;
}

template <class Body>
void add(const char* who, const char* what, Body body) {
    benchmark::RegisterBenchmark((std::string(who) + "/" + what).c_str(),
                                 [body](benchmark::State& state) {
                                     for (auto iteration : state) {
                                         static_cast<void>(iteration);
                                         if (!body()) {
                                             state.SkipWithError("a call failed");
                                             return;
                                         }
                                     }
                                 });
}

void add_side(const char* who, const LibcSide& calls, const Pipe& pipe) {
    const int reads = pipe.ends[0];
    const int writes = pipe.ends[1];
    add(who, "ioctl", [=] {
        int count = 0;
        return calls.ioctl(reads, FIONREAD, &count) == 0;
    });
    add(who, "write and read", [=] {
        char byte = 0;
        return calls.write(writes, &byte, 1) == 1 && calls.read(reads, &byte, 1) == 1;
    });
    add(who, "open and close", [=] {
        const int fd = calls.open("/dev/null", O_RDWR | O_CLOEXEC);
        return calls.close(fd) == 0;
    });
    add(who, "mmap and munmap", [=] {
        void* const memory =
            calls.mmap(nullptr, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return calls.munmap(memory, page) == 0;
    });
    add(who, "poll", [=] {
        pollfd entry{reads, POLLIN, 0};
        return calls.poll(&entry, 1, 0) == 1;
    });
    add(who, "stat", [=] {
        struct stat status {};
        return calls.stat("/dev/null", &status) == 0;
    });
}

/// Nothing is queued, so that nothing is ever there.
void add_empty_dequeue(Capture& capture) {
    add("ours", "empty DQBUF", [&capture] {
        v4l2_buffer buffer{};
        buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
        buffer.memory = V4L2_MEMORY_MMAP;
        return capture.try_ioctl(VIDIOC_DQBUF, &buffer) == EAGAIN;
    });
    add("bare", "empty DQBUF", [fd = capture.fd()] { return ::fcntl(fd, F_GETFL) >= 0; });
}

int run(const char* node) {
    void* const library = ::dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    const LibcSide ours = side(RTLD_DEFAULT);
    const LibcSide bare = side(library);
    if (ours.ioctl == bare.ioctl) {
        std::fprintf(stderr, "bench_calls: nothing is preloaded\n");
        return 1;
    }
    Capture capture(raw_calls(), node, O_NONBLOCK);
    capture.request_buffers();
    capture.start();
    const Pipe pipe = make_pipe();
    add_side("ours", ours, pipe);
    add_side("bare", bare, pipe);
    add_empty_dequeue(capture);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}

}  // namespace

}  // namespace v4lfence::bench

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (argc != 2) {
        std::fprintf(stderr, "usage: bench_calls NODE [BENCHMARK OPTIONS]\n");
        return 2;
    }
    return v4lfence::bench::run(argv[1]);
}
