/* SPDX-License-Identifier: MIT */
/*
 * host.h -- runs of the executable itself, its main and all that it starts.
 *
 * A script whose first line is "#!poe OPTIONS" is run so, its name after the
 * options; with "#!poe OPTIONS <" what follows the line is the standard input.
 */
#ifndef OOM_HOST_H
#define OOM_HOST_H

#include <stdint.h>

#include "memory.h"

int host_is_for(const char *script);
/* 0, or what is wrong.  A run that does not print what it prints with all the
   memory there is, or that fails, must say that it is for want of memory. */
const char *host_run(const char *script, int64_t n, enum memory_mode mode);

#endif
