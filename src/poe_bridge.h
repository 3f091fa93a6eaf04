/* SPDX-License-Identifier: MIT */
/*
 * poe_bridge.h -- for a bridge written in C in a module of its own,
 * poe.loop.NAME.
 *
 * Such a module cannot be linked with the kernel, which is in the program or
 * in poe/core.so.  require("poe.core").bridge() gives it the functions it
 * needs, as a light userdata; the module itself is a light userdata too, its
 * struct poe_loop_ops, which must live as long as the process.
 */
#ifndef POE_BRIDGE_H
#define POE_BRIDGE_H

#include "poe.h"

struct poe_bridge {
  const char *version; /* POE_VERSION: with another one all may be different */
  const struct poe_loop_ops *(*loop_find)(const char *name);
  int (*set_driver)(poe_kernel *k, const struct poe_driver *driver, void *ud);
  int (*backend)(poe_kernel *k);
  int64_t (*timeout_ns)(poe_kernel *k);
  size_t (*session_count)(const poe_kernel *k);
  int (*destroyed)(poe_kernel *k);
  /* As poe_kernel_step; an error that no run is there to raise is logged. */
  int (*step)(poe_kernel *k);
};

#endif
