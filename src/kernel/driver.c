/* SPDX-License-Identifier: MIT */
/*
 * driver.c -- a kernel that lives in another event loop, and is driven by it.
 *
 * The kernel keeps a loop of its own, in which its descriptors and signals
 * are; that loop has one descriptor for all, its backend.  The other loop
 * watches this, waits no longer than the kernel can, and calls for a step.  So
 * every loop that can watch a descriptor can drive a kernel, handlers see one
 * order of events under all of them, and a slice within a handler works as it
 * does elsewhere.
 *
 * POE: loops that run the program themselves, such as Gtk's; POE::Loop.
 */
#include <errno.h>

#include "internal.h"

void poe__driver_fini(poe_kernel *k) {
  if (k->driver) k->driver->close(k->driver_ud);
  k->driver = NULL;
}

int poe_kernel_set_driver(poe_kernel *k, const struct poe_driver *driver,
                          void *ud) {
  if (k->driver) return -EBUSY;
  if (!driver->wake || !driver->run || !driver->halt || !driver->forked ||
      !driver->moved || !driver->close)
    return -EINVAL;
  k->driver = driver;
  k->driver_ud = ud;
  return 0;
}

int poe_kernel_backend(poe_kernel *k) {
  int is_stale;
  if (!k->loop_ops->backend) return -ENOSYS;
  int err = poe__loop_open(k);
  return err ? err : k->loop_ops->backend(k->loop, &is_stale);
}

/* ---- steps -------------------------------------------------------------- */

int poe_kernel_step(poe_kernel *k) {
  if (k->stepping) return -EBUSY;
  k->stepping = 1;
  int more = poe__slice_driven(k);
  k->stepping = 0;
  if (more > 0 || !k->running) return more;
  if (k->run_result == 0) k->run_result = more;
  k->driver->halt(k->driver_ud);
  return 0;
}

/* The driver's steps say how it went. */
int poe__driver_run(poe_kernel *k) {
  k->run_result = 0;
  if (k->sessions.count == 0 && !k->has_exception) return 0;
  int err = k->driver->run(k->driver_ud);
  return k->run_result ? k->run_result : err;
}

int poe__driver_forked(poe_kernel *k) {
  return k->driver ? k->driver->forked(k->driver_ud) : 0;
}

int poe__driver_moved(poe_kernel *k) {
  return k->driver ? k->driver->moved(k->driver_ud) : 0;
}

/* ---- widgets ------------------------------------------------------------ */

int poe_kernel_attach_uidestroy(poe_kernel *k, void *widget) {
  int err = poe__loop_open(k);
  if (err) return err;
  if (!k->driver || !k->driver->attach_uidestroy) return -ENOSYS;
  return k->driver->attach_uidestroy(k->driver_ud, widget);
}

int poe_kernel_destroyed(poe_kernel *k) {
  return poe__signal_queue(k, &k->root, k->n_uidestroy);
}
