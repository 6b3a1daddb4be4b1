/* SPDX-License-Identifier: MIT */
/* What was said before main. */
#ifndef TESTS_SHIM_EARLY_H
#define TESTS_SHIM_EARLY_H

#define EARLY_NOT_RUN (-1)

/* 0, or the errno of the open() or the QUERYCAP in the library's constructor. */
int early_constructed(void);

#endif
