/* SPDX-License-Identifier: MIT */

#include "v4lfence/capi/wait.h"

#include <pthread.h>

int v4lfence_wait_in_poll(v4lfence_poll_call poll_call, struct pollfd *fds, nfds_t count,
			  void (*cancelled)(void *), void *place)
{
	int ready;

	pthread_cleanup_push(cancelled, place);
	ready = poll_call(fds, count, -1);
	pthread_cleanup_pop(0);
	return ready;
}
