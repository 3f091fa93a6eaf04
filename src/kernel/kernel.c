/* SPDX-License-Identifier: MIT */
/*
 * kernel.c -- create, run, stop, fork, destroy.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

/* ---- create and destroy ----------------------------------------------------- */

static void make_id(poe_kernel *k) {
  char host[64] = "localhost";
  gethostname(host, sizeof host - 1);
  k->pid = getpid();
  snprintf(k->id, sizeof k->id, "%s-%08llx-%08x-%08x", host,
           (unsigned long long)(poe_epoch_ns(k) / 1000000000), (unsigned)k->pid,
           ++k->forks);
}

static int make_names(poe_kernel *k) {
  const struct {
    poe_name **at;
    const char *text;
  } names[] = {{&k->n_start, "_start"},        {&k->n_stop, "_stop"},
               {&k->n_child, "_child"},        {&k->n_parent, "_parent"},
               {&k->n_gc, "_garbage_collect"}, {&k->n_idle, "IDLE"},
               {&k->n_zombie, "ZOMBIE"},       {&k->n_die, "DIE"},
               {&k->n_chld, "CHLD"},           {&k->n_uidestroy, "UIDESTROY"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    *names[i].at = poe_name_get(k, names[i].text, strlen(names[i].text));
    if (!*names[i].at) return -ENOMEM;
  }
  return 0;
}

static poe_kernel *allocate(const struct poe_config *c) {
  poe_kernel proto = {.alloc = c->alloc, .alloc_ud = c->alloc_ud};
  poe_kernel *k = poe__zalloc(&proto, sizeof *k);
  if (!k) return NULL;
  k->alloc = c->alloc;
  k->alloc_ud = c->alloc_ud;
  k->allocations = 1;
  k->ops = c->ops;
  k->ud = c->ud;
  k->catching = 1;
  return k;
}

int poe_kernel_new(const struct poe_config *config, poe_kernel **out) {
  poe_kernel *k = allocate(config);
  if (!k) return -ENOMEM;
  k->loop_ops = config->loop ? config->loop : poe_loop_find("uv");
  poe__clock_init(k, config->clock);
  make_id(k);
  poe__session_init(k);
  poe__select_init(k);
  poe__signal_init(k);
  poe__child_init(k);
  poe__why_init(k);
  int err = poe__name_init(k);
  if (!err) err = make_names(k);
  if (err) {
    poe_kernel_free(k);
    return err;
  }
  *out = k;
  return 0;
}

static void drop_names(poe_kernel *k) {
  poe_name **const names[] = {
      &k->n_start, &k->n_stop,   &k->n_child, &k->n_parent, &k->n_gc,
      &k->n_idle,  &k->n_zombie, &k->n_die,   &k->n_chld,   &k->n_uidestroy};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    poe_name_unref(k, *names[i]);
}

void poe_kernel_free(poe_kernel *k) {
  if (k->has_exception) poe__discard(k, k->exception.n, k->exception.words);
  poe__event_fini(k);
  poe__session_fini(k);
  poe__timer_fini(k);
  poe__extref_fini(k);
  poe__select_fini(k);
  poe__signal_fini(k);
  poe__child_fini(k);
  poe__why_fini(k);
  poe__limit_fini(k);
  drop_names(k);
  poe__name_fini(k);
  poe__driver_fini(k);
  poe__loop_close(k);
  poe_slabs_trim(&k->own);
  poe_kernel proto = {.alloc = k->alloc, .alloc_ud = k->alloc_ud};
  poe__free(&proto, k, sizeof *k);
}

/* ---- the loop ------------------------------------------------------------------ */

const struct poe_loop_ops *poe_loop_find(const char *name) {
  static const struct poe_loop_ops *const all[] = {
      &poe__loop_uv, &poe__loop_poll, &poe__loop_select};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (strcmp(all[i]->name, name) == 0) return all[i];
  return NULL;
}

int poe__loop_open(poe_kernel *k) {
  if (k->loop) return 0;
  int err = k->loop_ops->open(k, &k->loop);
  return err ? err : poe__why_opened(k);
}

int poe_kernel_set_loop(poe_kernel *k, const struct poe_loop_ops *ops) {
  if (ops == k->loop_ops) return 0;
  if (k->loop) return -EBUSY;
  if (ops) k->loop_ops = ops;
  return 0;
}

const char *poe_kernel_loop_name(const poe_kernel *k) {
  return k->loop_ops->name;
}

/* ---- run and stop -------------------------------------------------------------------- */

int poe_kernel_run(poe_kernel *k) {
  if (k->running || k->stepping) return -EBUSY;
  int err = poe_kernel_has_forked(k);
  if (err) return err;
  k->running = 1;
  int more = 1;
  if (k->driver) more = poe__driver_run(k);
  while (more > 0) more = poe_kernel_slice(k);
  k->running = 0;
  if (more == 0) poe__child_report_left(k);
  return more;
}

void poe_kernel_stop(poe_kernel *k) {
  struct poe__walk w = {0};
  if (poe__walk_tree(k, &w, &k->root)) k->error = -ENOMEM;
  poe_session *sender = poe_active_session(k);
  poe__session_hold(sender);
  for (size_t i = w.count; i-- > 1;) poe__session_stop(k, w.at[i], sender);
  poe__session_release(k, sender);
  poe__walk_free(k, &w);
  poe__event_clear_session(k, &k->root);
  poe__sweep(k);
}

int poe_kernel_exception(poe_kernel *k, struct poe_value *out) {
  if (!k->has_exception) return 0;
  k->has_exception = 0;
  *out = k->exception;
  return 1;
}

/* ---- fork ------------------------------------------------------------------------------- */

int poe_kernel_has_forked(poe_kernel *k) {
  if (k->pid == getpid()) return 0;
  make_id(k);
  poe__child_has_forked(k);
  k->selects.nready = 0;
  k->selects.has_lone = 0;
  memset(k->signals.caught, 0, sizeof k->signals.caught);
  k->signals.any_caught = 0;
  if (!k->loop) return 0;
  int err = poe__loop_forked(k);
  return err ? err : poe__driver_forked(k);
}

int64_t poe_kernel_fork(poe_kernel *k) {
  int err = poe__loop_open(k);
  if (err) return err;
  fflush(NULL); /* or both sides write what is buffered */
  pid_t pid = fork();
  if (pid < 0) return -errno;
  if (pid == 0) {
    err = poe_kernel_has_forked(k);
    return err ? err : 0;
  }
  poe__child_forked_off(k, pid);
  return pid;
}

/* ---- look-up ------------------------------------------------------------------------------ */

const char *poe_kernel_id(const poe_kernel *k) { return k->id; }
void *poe_kernel_host(const poe_kernel *k) { return k->ud; }
poe_session *poe_kernel_session(poe_kernel *k) { return &k->root; }
const struct poe_frame *poe_kernel_frame(const poe_kernel *k) {
  return k->frame;
}
void poe_kernel_set_catch(poe_kernel *k, int on) { k->catching = on; }
size_t poe_session_count(const poe_kernel *k) { return k->sessions.count; }

poe_session *poe_active_session(const poe_kernel *k) {
  const struct poe_frame *f = k->frame;
  if (f && !(f->session->flags & POE__DEAD)) return f->session;
  return (poe_session *)&k->root;
}

void poe_census(const poe_kernel *k, struct poe_census *out) {
  *out = (struct poe_census){
      .sessions = k->sessions.count,
      .events = k->events - k->timers,
      .timers = k->timers,
      .selects = k->selects.count,
      .signals = k->signals.watchers.count,
      .children = k->children.watchers.count,
      .aliases = k->aliases,
      .tags = k->tags.count,
      .names = k->names.map.count,
      .allocations = k->allocations,
  };
}
