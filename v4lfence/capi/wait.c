/* SPDX-License-Identifier: MIT */

#include "v4lfence/capi/wait.h"

#include <pthread.h>

int v4lfence_wait_in_poll(v4lfence_poll_call poll_call, struct pollfd *fds, nfds_t count,
			  int before, void (*cancelled)(void *), void *place)
{
	int ready;
	int unused;

	pthread_cleanup_push(cancelled, place);
	pthread_setcancelstate(before, &unused);
	ready = poll_call(fds, count, -1);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &unused);
	pthread_cleanup_pop(0);
	return ready;
}
