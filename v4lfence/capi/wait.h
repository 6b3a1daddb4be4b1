/* SPDX-License-Identifier: MIT */
/*
 * The one place where a thread of the program waits inside the library. In C: the thread may be
 * cancelled here asynchronously, at any instruction, so nothing lives that would need a destructor.
 */
#ifndef V4LFENCE_CAPI_WAIT_H
#define V4LFENCE_CAPI_WAIT_H

#include <poll.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int (*v4lfence_poll_call)(struct pollfd *fds, nfds_t count, int timeout_ms);

/* `poll_call`, which is poll(), without a time-out. The caller has put cancellation off; only while
 * `cancelled(place)` is what the end of the thread calls is it what it was `before`, as
 * pthread_setcancelstate() says it. */
int v4lfence_wait_in_poll(v4lfence_poll_call poll_call, struct pollfd *fds, nfds_t count,
			  int before, void (*cancelled)(void *), void *place);

#ifdef __cplusplus
}
#endif

#endif
