/* SPDX-License-Identifier: MIT */
/*
 * check.h -- the kernel's invariants, computed from scratch.
 *
 * All that several structs say about one fact is compared: reference counts
 * with the reasons, holds with the queue, lists with counters, heaps with
 * their order.  For use between slices, when no handler runs.
 */
#ifndef POE_CHECK_H
#define POE_CHECK_H

#include "poe.h"

void check_invariants(poe_kernel *k);
void check_heaps(poe_kernel *k);

#endif
