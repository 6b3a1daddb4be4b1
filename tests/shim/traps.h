/* SPDX-License-Identifier: MIT */
/*
 * The traps that programs have in store for whoever stands in front of the C library: each a
 * function that plays such a program on `node` and returns when all was well.
 */
#ifndef TESTS_SHIM_TRAPS_H
#define TESTS_SHIM_TRAPS_H

struct trap {
    const char* name;
    void (*run)(const char* node);
};

/* Ended by one without name. */
extern const struct trap traps_calls[];
extern const struct trap traps_descriptors[];
extern const struct trap traps_limits[];
extern const struct trap traps_opening[];
extern const struct trap traps_processes[];
extern const struct trap traps_threads[];

/* Replaces this process by this program with other words, ended by NULL: what a process by another
 * name would be. */
__attribute__((noreturn)) void exec_self(const char* first, ...);

/* System calls that no wrapper sees. */
long unseen_syscall(long number, long first, long second, long third);

#endif
