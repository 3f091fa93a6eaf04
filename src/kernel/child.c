/* SPDX-License-Identifier: MIT */
/*
 * child.c -- child processes: sig_child, and CHLD for those the kernel knows.
 *
 * Only two kinds of processes are ever reaped: those that a session watches,
 * and, while somebody watches CHLD, those that poe_kernel_fork made.  Others'
 * children stay theirs.  SIGCHLD only says "look": the next exited child is
 * peeked at with WNOWAIT, so each costs the same however many are watched;
 * only a stranger's zombie in the way makes us go through the watched ones.
 *
 * POE: Resource/Signals.pm.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "internal.h"

struct record { /* a pid that is watched or ours */
  struct poe__link link;
  struct poe__list node; /* in k->children.records */
  pid_t pid;
  int is_own;
  struct poe__list watchers; /* in the order of registration */
};

struct watcher {
  struct poe__owned owned;
  struct poe__link link; /* in k->children.watchers */
  struct poe__list node; /* in on->watchers */
  struct record *on;
  uint32_t event, from, file, line;
  unsigned n;
  uint64_t words[];
};

void poe__child_init(poe_kernel *k) { poe__list_init(&k->children.records); }

static void free_record(poe_kernel *k, struct record *r) {
  poe__map_remove(k, &k->children.pids, &r->link);
  poe__list_remove(&r->node);
  if (r->is_own) k->children.own--;
  poe__free(k, r, sizeof *r);
}

void poe__child_fini(poe_kernel *k) {
  while (!poe__list_empty(&k->children.records))
    free_record(k, POE__ITEM(k->children.records.next, struct record, node));
  poe__map_fini(k, &k->children.watchers);
  poe__map_fini(k, &k->children.pids);
}

/* ---- records and watchers ------------------------------------------------------- */

static struct record *find_record(poe_kernel *k, pid_t pid) {
  struct poe__link *link = poe__map_first(&k->children.pids, (uint64_t)pid);
  for (; link; link = link->next) {
    struct record *r = (struct record *)(void *)link;
    if (r->pid == pid) return r;
  }
  return NULL;
}

static struct record *make_record(poe_kernel *k, pid_t pid) {
  if (poe__map_reserve(k, &k->children.pids)) return NULL;
  struct record *r = poe__zalloc(k, sizeof *r);
  if (!r) return NULL;
  r->pid = pid;
  r->link.key = (uint64_t)pid;
  poe__list_init(&r->watchers);
  poe__list_push(&k->children.records, &r->node);
  poe__map_add(&k->children.pids, &r->link);
  return r;
}

static uint64_t key_of(const poe_session *s, pid_t pid) {
  return poe__pair(poe__id(s), (uint64_t)pid);
}

static struct watcher *find(poe_kernel *k, const poe_session *s, pid_t pid) {
  struct poe__link *link =
      poe__map_first(&k->children.watchers, key_of(s, pid));
  for (; link; link = link->next) {
    struct watcher *w = POE__ITEM(link, struct watcher, link);
    if (w->owned.session == s && w->on->pid == pid) return w;
  }
  return NULL;
}

/* Out of every list; the payload is the caller's. */
static void unlink_watcher(poe_kernel *k, struct watcher *w) {
  poe_session *s = w->owned.session;
  poe__map_remove(k, &k->children.watchers, &w->link);
  poe__list_remove(&w->node);
  poe__disown(&w->owned);
  poe__name_drop(k, w->event);
  poe__name_drop(k, w->from);
  poe__name_drop(k, w->file);
  poe__free(k, w, sizeof *w + w->n * sizeof(uint64_t));
  poe__session_unref(k, s);
}

void poe__child_drop(poe_kernel *k, struct poe__owned *o) {
  struct watcher *w = POE__ITEM(o, struct watcher, owned);
  struct record *r = w->on;
  poe__discard(k, w->n, w->words);
  unlink_watcher(k, w);
  if (poe__list_empty(&r->watchers) && !r->is_own) free_record(k, r);
  poe__child_update(k);
}

static int chld_is_watched(poe_kernel *k) {
  return poe__signal_is_watched(k, k->n_chld);
}

int poe__child_listen(poe_kernel *k) {
  if (k->children.watching) return 0;
  int err = poe__loop_watch_signal(k, SIGCHLD);
  if (err) return err;
  k->children.watching = 1;
  k->signals.os_watched++;
  k->children.reap = 1; /* one may have ended before */
  return 0;
}

void poe__child_update(poe_kernel *k) {
  if (!k->children.watching || k->children.watchers.count > 0) return;
  if (chld_is_watched(k)) return;
  k->children.watching = 0;
  k->signals.os_watched--;
  poe__loop_ignore_signal(k, SIGCHLD);
}

static struct watcher *make_watcher(poe_kernel *k, poe_session *s,
                                    struct poe_payload args) {
  if (poe__map_reserve(k, &k->children.watchers)) return NULL;
  struct watcher *w = poe__zalloc(k, sizeof *w + args.n * sizeof(uint64_t));
  if (!w) return NULL;
  w->owned.session = s;
  w->n = args.n;
  for (unsigned i = 0; i < args.n; i++) w->words[i] = args.words[i];
  return w;
}

static void link_watcher(poe_kernel *k, struct watcher *w,
                         struct record *r) {
  poe_session *s = w->owned.session;
  w->on = r;
  w->link.key = key_of(s, r->pid);
  poe__map_add(&k->children.watchers, &w->link);
  poe__list_push(&r->watchers, &w->node);
  poe__own(s, &w->owned, POE__OWNED_CHILD);
  poe__session_ref(k, s);
}

/* Is pid a child of this process, ended or not? */
static int is_child(pid_t pid) {
  siginfo_t info;
  int err;
  do
    err = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
  while (err < 0 && errno == EINTR);
  return err == 0;
}

int poe_sig_child(poe_kernel *k, int64_t pid, poe_name *event,
                  struct poe_origin origin, struct poe_payload args) {
  poe_session *s = poe_active_session(k);
  if (!poe__session_can_own(s)) return -ESRCH;
  if (pid <= 0 || pid > INT32_MAX || !is_child((pid_t)pid)) return -ECHILD;
  int err = poe__child_listen(k);
  if (err) return err;
  struct watcher *old = find(k, s, (pid_t)pid);
  struct watcher *w = make_watcher(k, s, args);
  struct record *r = w ? find_record(k, (pid_t)pid) : NULL;
  if (w && !r) r = make_record(k, (pid_t)pid);
  if (!r) {
    if (w) poe__free(k, w, sizeof *w + w->n * sizeof(uint64_t));
    poe__child_update(k);
    return -ENOMEM;
  }
  w->event = poe__name_keep(event);
  w->from = poe__name_keep(poe__active_event(k));
  w->file = poe__name_keep(origin.file);
  w->line = origin.line;
  link_watcher(k, w, r);
  if (k->trace & POE__WHY) poe__made(k, w, origin);
  if (old) poe__child_drop(k, &old->owned);
  k->children.reap = 1;
  return 0;
}

int poe_sig_child_ignore(poe_kernel *k, int64_t pid) {
  if (pid <= 0 || pid > INT32_MAX) return 0;
  struct watcher *w = find(k, poe_active_session(k), (pid_t)pid);
  if (w) poe__child_drop(k, &w->owned);
  return 0;
}

/* ---- reaping ------------------------------------------------------------------------ */

static void tell_watcher(poe_kernel *k, struct watcher *w, pid_t pid,
                         int status) {
  struct poe__send send = {
      .dest = w->owned.session,
      .source = &k->root,
      .event = poe__name_at(k, w->event),
      .from = NULL,
      .origin = {poe__name_at(k, w->file), w->line},
      .type = POE_EV_SIGCHLD,
      .nown = 2,
      .own = {(uint64_t)pid, (uint64_t)(int64_t)status},
      .args = {w->n, w->words}};
  if (poe__enqueue(k, &send)) {
    k->error = -ENOMEM;
    poe__discard(k, w->n, w->words);
  }
  unlink_watcher(k, w);
}

static void exited(poe_kernel *k, struct record *r, int status) {
  pid_t pid = r->pid;
  POE__TRACE(k, POE_TRACE_SIGNALS, "<sg> process %ld ended with status %d",
             (long)pid, status);
  while (!poe__list_empty(&r->watchers))
    tell_watcher(k, POE__ITEM(r->watchers.next, struct watcher, node), pid,
                 status);
  free_record(k, r);
  struct poe__send send = {
      .dest = &k->root,
      .source = &k->root,
      .event = k->n_chld,
      .type = POE_EV_SIGNAL,
      .nown = 2,
      .own = {(uint64_t)pid, (uint64_t)(int64_t)status}};
  if (poe__enqueue(k, &send)) k->error = -ENOMEM;
}

static int is_wanted(poe_kernel *k, const struct record *r) {
  return !poe__list_empty(&r->watchers) || chld_is_watched(k);
}

static void reap_one(poe_kernel *k, struct record *r) {
  int status;
  pid_t got;
  do
    got = waitpid(r->pid, &status, WNOHANG);
  while (got < 0 && errno == EINTR);
  if (got == r->pid) exited(k, r, status);
  /* Somebody else has reaped it: nobody will ever know how it ended. */
  if (got < 0) exited(k, r, 0);
}

static void reap_each(poe_kernel *k) {
  struct poe__list *head = &k->children.records, *n = head->next;
  while (n != head) {
    struct record *r = POE__ITEM(n, struct record, node);
    n = n->next;
    if (is_wanted(k, r)) reap_one(k, r);
  }
}

void poe__child_reap(poe_kernel *k) {
  k->children.reap = 0;
  for (;;) {
    siginfo_t info = {0};
    int err = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT);
    if (err < 0 && errno == EINTR) continue;
    if (err < 0 || info.si_pid == 0) break;
    struct record *r = find_record(k, info.si_pid);
    if (!r || !is_wanted(k, r)) {
      reap_each(k);
      break;
    }
    reap_one(k, r);
  }
  poe__child_update(k);
}

int poe__child_awaited(poe_kernel *k) {
  if (k->children.watchers.count > 0) return 1;
  return k->children.own > 0 && chld_is_watched(k);
}

/* ---- fork ------------------------------------------------------------------------------ */

void poe__child_forked_off(poe_kernel *k, pid_t pid) {
  struct record *r = make_record(k, pid);
  if (!r) return; /* it can still be watched by sig_child */
  r->is_own = 1;
  k->children.own++;
}

/* The parent's children are not ours: nobody awaits them here. */
void poe__child_has_forked(poe_kernel *k) {
  struct poe__list *head = &k->children.records;
  while (!poe__list_empty(head)) {
    struct record *r = POE__ITEM(head->next, struct record, node);
    while (!poe__list_empty(&r->watchers)) {
      struct watcher *w =
          POE__ITEM(r->watchers.next, struct watcher, node);
      poe__discard(k, w->n, w->words);
      unlink_watcher(k, w);
    }
    free_record(k, r);
  }
  poe__child_update(k);
}

void poe__child_report_left(poe_kernel *k) {
  struct poe__list *head = &k->children.records, *n = head->next;
  while (n != head) {
    struct record *r = POE__ITEM(n, struct record, node);
    n = n->next;
    int status;
    pid_t got = waitpid(r->pid, &status, WNOHANG);
    poe_log(k, got == 0 ? "!!! child process %ld still runs as run() ends; "
                          "watch it with sig_child"
                        : "!!! child process %ld was reaped as run() ended; "
                          "watch it with sig_child",
            (long)r->pid);
    if (got != 0) free_record(k, r);
  }
}

/* ---- why ------------------------------------------------------------------------------- */

void poe__child_why(poe_kernel *k, struct poe__owned *o,
                    struct poe__asking *a) {
  const struct watcher *w = POE__ITEM(o, struct watcher, owned);
  struct poe_reason r = {.kind = POE_BY_CHILD,
                         .keeps_program = 1,
                         .session = o->session,
                         .event = poe__name_at(k, w->event),
                         .number = w->on->pid,
                         .from = poe__name_at(k, w->from),
                         .file = poe__name_at(k, w->file),
                         .line = w->line};
  poe__why_tell(a, w, &r);
}
