/* SPDX-License-Identifier: MIT */
/*
 * How the programs of this folder say what went wrong. They are plain C programs that know nothing
 * of v4lfence: what they see is what any program sees. Exit status: 0 it is as it should be, 1 it
 * is not, 77 the machine lacks something; the last line says what.
 */
#ifndef TESTS_SHIM_CHECK_H
#define TESTS_SHIM_CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The last line of the program's output, and its end; _exit(), so that a forked child may too. */
#define FAIL(...)                                                                                  \
    do {                                                                                           \
        printf("%s:%d: ", strrchr("/" __FILE__, '/') + 1, __LINE__);                               \
        printf(__VA_ARGS__);                                                                       \
        printf("\n");                                                                              \
        fflush(stdout);                                                                            \
        _exit(1);                                                                                  \
    } while (0)

#define EXPECT(condition, ...)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            FAIL(__VA_ARGS__);                                                                     \
        }                                                                                          \
    } while (0)

/* A call that must work. */
#define MUST(call)                                                                                 \
    ({                                                                                             \
        __typeof__(call) value_ = (call);                                                          \
        EXPECT((long)value_ != -1, "%s: %s", #call, strerror(errno));                              \
        value_;                                                                                    \
    })

/* A call that must fail in this way. */
#define MUST_FAIL(call, error)                                                                     \
    do {                                                                                           \
        errno = 0;                                                                                 \
        const long status_ = (long)(call);                                                         \
        EXPECT(status_ == -1 && errno == (error), "%s: answered %ld, %s; expected %s", #call,      \
               status_, status_ == -1 ? strerror(errno) : "no error", strerror(error));            \
    } while (0)

#define SKIP(...)                                                                                  \
    do {                                                                                           \
        printf(__VA_ARGS__);                                                                       \
        printf("\n");                                                                              \
        fflush(stdout);                                                                            \
        _exit(77);                                                                                 \
    } while (0)

#endif
