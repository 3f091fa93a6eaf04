/* SPDX-License-Identifier: MIT */
/*
 * select.c -- watchers of descriptors, and the dispatch of ready ones.
 *
 * One struct poe__fd for each watched descriptor, registered once with the
 * loop for the union of the modes that are watched and not paused; behind it
 * any number of (session, mode) watchers, in order of registration.  A session
 * has one reference for each descriptor it watches, whatever the modes.
 *
 * Files that the loop cannot wait for are always ready, as select(2) has it.
 * A descriptor that was closed behind our back and whose number came back is
 * recognised by device and inode: its old watchers go before a new one comes.
 *
 * POE: Resource/FileHandles.pm.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "internal.h"

#define MODES 3

struct poe__fd {
  int fd;
  unsigned wanted; /* mask known to the loop */
  unsigned busy;   /* dispatches that walk its lists: not to be freed */
  int is_always;   /* the loop refuses it */
  int is_foreign;  /* it may be closed behind our back */
  int is_known;    /* to the loop */
  size_t watchers;
  size_t running[MODES]; /* watchers not paused */
  struct poe__list mode[MODES];
  struct poe__list always; /* in k->selects.always, if is_always */
  dev_t dev;
  ino_t ino;
};

struct watcher {
  struct poe__owned owned;
  struct poe__link link; /* in k->selects.watchers */
  struct poe__list node; /* in on->mode[mode]; alone once dropped */
  struct poe__fd *on;    /* NULL once dropped */
  int fd;
  enum poe_mode mode;
  int is_paused;
  uint64_t pass; /* the dispatch pass that made or last ran it */
  uint32_t holds;
  uint32_t event, file, line;
  struct poe_value handle;
  unsigned n;
  uint64_t words[];
};

void poe__select_init(poe_kernel *k) { poe__list_init(&k->selects.always); }

void poe__select_fini(poe_kernel *k) {
  poe__map_fini(k, &k->selects.watchers);
  poe__free(k, k->selects.by_fd,
            (size_t)k->selects.room * sizeof *k->selects.by_fd);
  poe__free(k, k->selects.ready,
            k->selects.ready_room * sizeof *k->selects.ready);
}

/* ---- look-up --------------------------------------------------------------------- */

static struct poe__fd *entry_of(const poe_kernel *k, int fd) {
  return fd >= 0 && fd < k->selects.room ? k->selects.by_fd[fd] : NULL;
}

static uint64_t key_of(const poe_session *s, int fd, int mode) {
  return poe__pair(poe__id(s), (uint64_t)fd << 2 ^ (uint64_t)mode);
}

static struct watcher *find(poe_kernel *k, const poe_session *s, int fd,
                            int mode) {
  struct poe__link *link =
      poe__map_first(&k->selects.watchers, key_of(s, fd, mode));
  for (; link; link = link->next) {
    struct watcher *w = POE__ITEM(link, struct watcher, link);
    if (w->owned.session == s && w->fd == fd && w->mode == (enum poe_mode)mode)
      return w;
  }
  return NULL;
}

static int session_watches(poe_kernel *k, const poe_session *s, int fd) {
  for (int mode = 0; mode < MODES; mode++)
    if (find(k, s, fd, mode)) return 1;
  return 0;
}

int poe_select_is_watched(const poe_kernel *k, int fd) {
  return entry_of(k, fd) != NULL;
}

int poe__select_is_foreign(const poe_kernel *k, int fd) {
  const struct poe__fd *e = entry_of(k, fd);
  return e && e->is_foreign;
}

size_t poe_select_count(const poe_kernel *k) { return k->selects.count; }

/* ---- descriptors --------------------------------------------------------------------- */

static int reserve_fd(poe_kernel *k, int fd) {
  if (fd < k->selects.room) return 0;
  size_t room = (size_t)k->selects.room, old = room;
  int err = poe__grow(k, (void **)&k->selects.by_fd,
                      sizeof *k->selects.by_fd, &room, (size_t)fd + 1);
  if (err) return err;
  memset(k->selects.by_fd + old, 0,
         (room - old) * sizeof *k->selects.by_fd);
  k->selects.room = (int)room;
  return 0;
}

static struct poe__fd *make_entry(poe_kernel *k, int fd,
                                  const struct stat *st) {
  if (reserve_fd(k, fd)) return NULL;
  struct poe__fd *e = poe__zalloc(k, sizeof *e);
  if (!e) return NULL;
  e->fd = fd;
  e->dev = st->st_dev;
  e->ino = st->st_ino;
  for (int mode = 0; mode < MODES; mode++) poe__list_init(&e->mode[mode]);
  poe__list_init(&e->always);
  k->selects.by_fd[fd] = e;
  return e;
}

static void free_entry_if_unused(poe_kernel *k, struct poe__fd *e) {
  if (e->watchers) return;
  if (entry_of(k, e->fd) == e) {
    k->selects.by_fd[e->fd] = NULL;
    if (e->is_known) k->loop_ops->ignore_fd(k->loop, e->fd);
    e->is_known = 0;
    if (e->is_always && e->wanted) k->selects.always_active--;
    poe__list_remove(&e->always);
  }
  if (e->busy == 0) poe__free(k, e, sizeof *e);
}

static unsigned mask_of(const struct poe__fd *e) {
  unsigned mask = 0;
  for (int mode = 0; mode < MODES; mode++)
    if (e->running[mode]) mask |= 1u << mode;
  return mask;
}

static void make_always(poe_kernel *k, struct poe__fd *e) {
  e->is_always = 1;
  poe__list_push(&k->selects.always, &e->always);
}

/* Tell the loop what is wanted now. */
static int tell_loop(poe_kernel *k, struct poe__fd *e, unsigned mask) {
  if (!e->is_always) {
    int err = k->loop_ops->watch_fd(k->loop, e->fd, mask);
    if (err == -EPERM)
      make_always(k, e);
    else if (err)
      return err;
    else
      e->is_known = 1;
  }
  if (e->is_always)
    k->selects.always_active += (size_t)(mask != 0) - (e->wanted != 0);
  e->wanted = mask;
  return 0;
}

static int update_loop(poe_kernel *k, struct poe__fd *e) {
  unsigned mask = mask_of(e);
  return mask == e->wanted ? 0 : tell_loop(k, e, mask);
}

/* ---- watchers ---------------------------------------------------------------------------- */

static void release_watcher(poe_kernel *k, struct watcher *w) {
  if (--w->holds == 0) poe__free(k, w, sizeof *w + w->n * sizeof(uint64_t));
}

static void unlink_watcher(poe_kernel *k, struct watcher *w) {
  struct poe__fd *e = w->on;
  poe__map_remove(k, &k->selects.watchers, &w->link);
  poe__list_remove(&w->node);
  poe__disown(&w->owned);
  w->on = NULL;
  e->watchers--;
  if (!w->is_paused) e->running[w->mode]--;
  k->selects.count--;
}

/* Without its payload. */
static void take_out(poe_kernel *k, struct watcher *w) {
  struct poe__fd *e = w->on;
  poe_session *s = w->owned.session;
  int fd = w->fd;
  unlink_watcher(k, w);
  poe__name_drop(k, w->event);
  poe__name_drop(k, w->file);
  release_watcher(k, w);
  if (e->watchers) update_loop(k, e);
  free_entry_if_unused(k, e);
  if (!session_watches(k, s, fd)) poe__session_unref(k, s);
}

static void drop_watcher(poe_kernel *k, struct watcher *w) {
  POE__TRACE_OF(k, w->owned.session, POE_TRACE_FILES,
                "<fh> removing fd (%d) in mode (%d) from %s", w->fd,
                (int)w->mode, poe__label(w->owned.session));
  poe__discard(k, w->handle.n, w->handle.words);
  poe__discard(k, w->n, w->words);
  take_out(k, w);
}

void poe__select_drop(poe_kernel *k, struct poe__owned *o) {
  drop_watcher(k, POE__ITEM(o, struct watcher, owned));
}

void poe_select_forget(poe_kernel *k, int fd) {
  struct poe__fd *e = entry_of(k, fd);
  if (!e) return;
  e->busy++;
  for (int mode = 0; mode < MODES; mode++)
    while (!poe__list_empty(&e->mode[mode]))
      drop_watcher(k, POE__ITEM(e->mode[mode].next, struct watcher, node));
  e->busy--;
  free_entry_if_unused(k, e);
}

static int set_nonblocking(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return -errno;
  if (flags & O_NONBLOCK) return 0;
  return fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

/* The entry for fd as it is open now. */
static int current_entry(poe_kernel *k, int fd, struct poe__fd **out) {
  struct stat st;
  if (fstat(fd, &st) < 0) return -errno;
  struct poe__fd *e = entry_of(k, fd);
  if (e && (e->dev != st.st_dev || e->ino != st.st_ino)) {
    poe_select_forget(k, fd);
    e = NULL;
  }
  int err = set_nonblocking(fd);
  if (err) return err;
  *out = e ? e : make_entry(k, fd, &st);
  return *out ? 0 : -ENOMEM;
}

static struct watcher *make_watcher(poe_kernel *k, poe_session *s,
                                    struct poe__fd *e, enum poe_mode mode,
                                    struct poe_payload args) {
  if (poe__map_reserve(k, &k->selects.watchers)) return NULL;
  struct watcher *w = poe__zalloc(k, sizeof *w + args.n * sizeof(uint64_t));
  if (!w) return NULL;
  w->owned.session = s;
  w->on = e;
  w->fd = e->fd;
  w->mode = mode;
  w->holds = 1;
  w->pass = k->selects.pass;
  w->n = args.n;
  for (unsigned i = 0; i < args.n; i++) w->words[i] = args.words[i];
  w->link.key = key_of(s, e->fd, (int)mode);
  poe__list_init(&w->node);
  return w;
}

static void link_watcher(poe_kernel *k, struct watcher *w,
                         struct watcher *old) {
  struct poe__fd *e = w->on;
  poe_session *s = w->owned.session;
  if (!session_watches(k, s, e->fd)) poe__session_ref(k, s);
  poe__list_push(old ? old->node.next : &e->mode[w->mode], &w->node);
  poe__own(s, &w->owned, POE__OWNED_SELECT);
  poe__map_add(&k->selects.watchers, &w->link);
  e->watchers++;
  e->running[w->mode]++;
  k->selects.count++;
}

POE__COLD static void tell_watch(poe_kernel *k, const struct watcher *w,
                                 struct poe_origin origin) {
  POE__TRACE_OF(k, w->owned.session, POE_TRACE_FILES,
                "<fh> adding fd (%d) in mode (%d) to %s", w->fd, (int)w->mode,
                poe__label(w->owned.session));
  if (k->trace & POE__WHY) poe__made(k, w, origin);
}

int poe_select_watch(poe_kernel *k, struct poe_handle handle,
                     enum poe_mode mode, poe_name *event,
                     struct poe_origin origin, struct poe_payload args) {
  poe_session *s = poe_active_session(k);
  struct poe__fd *e = NULL;
  int fd = handle.fd;
  if (!poe__session_can_own(s)) return -ESRCH;
  int err = current_entry(k, fd, &e);
  if (err) return err;
  struct watcher *old = find(k, s, fd, (int)mode);
  struct watcher *w = make_watcher(k, s, e, mode, args);
  if (!w) {
    free_entry_if_unused(k, e);
    return -ENOMEM;
  }
  w->event = poe__name_keep(event);
  w->file = poe__name_keep(origin.file);
  w->line = origin.line;
  w->handle = handle.value;
  if (!handle.is_own) e->is_foreign = 1;
  link_watcher(k, w, old);
  /* Even if it knows: what was closed and opened again may look the same. */
  err = tell_loop(k, e, mask_of(e));
  if (err) {
    take_out(k, w);
    return err;
  }
  if (old) drop_watcher(k, old);
  if (POE__UNLIKELY(k->trace & (POE_TRACE_FILES | POE__WHY)))
    tell_watch(k, w, origin);
  return 0;
}

int poe_select_ignore(poe_kernel *k, int fd, enum poe_mode mode) {
  struct watcher *w = find(k, poe_active_session(k), fd, (int)mode);
  if (w) drop_watcher(k, w);
  return 0;
}

static int set_paused(poe_kernel *k, int fd, enum poe_mode mode, int paused) {
  struct watcher *w = find(k, poe_active_session(k), fd, (int)mode);
  if (!w) return 0;
  if (w->is_paused == paused) return 1;
  w->is_paused = paused;
  w->on->running[mode] += paused ? (size_t)-1 : 1;
  int err = update_loop(k, w->on);
  return err ? err : 1;
}

int poe_select_pause(poe_kernel *k, int fd, enum poe_mode mode) {
  return set_paused(k, fd, mode, 1);
}

int poe_select_resume(poe_kernel *k, int fd, enum poe_mode mode) {
  return set_paused(k, fd, mode, 0);
}

/* ---- dispatch --------------------------------------------------------------------------- */

void poe_loop_ready(poe_kernel *k, int fd, unsigned mask) {
  struct poe__selects *s = &k->selects;
  if (POE__UNLIKELY(k->selfpipe) && poe__loop_took_signals(k, fd)) return;
  struct poe__ready one = {fd, mask};
  if (poe__grow(k, (void **)&s->ready, sizeof *s->ready, &s->ready_room,
                s->nready + 1)) {
    /* Readiness is a level, the next wait tells it again; but if there is
       memory for none, one must get its turn, or there is never any. */
    if (s->nready == 0) s->lone = one;
    s->has_lone = s->nready == 0;
    return;
  }
  s->ready[s->nready++] = one;
}

/* A mask of no mode stands for a descriptor that is closed. */
void poe_loop_lost(poe_kernel *k, int fd) { poe_loop_ready(k, fd, 0); }

/* Is the descriptor still the file that was watched?  It is if the system
   cannot say. */
static int is_same_file(const struct poe__fd *e) {
  struct stat st;
  if (fstat(e->fd, &st) < 0) return errno != EBADF;
  return st.st_dev == e->dev && st.st_ino == e->ino;
}

/* Watchers of what is closed, or another file by now, must not run. */
static void forget_lost(poe_kernel *k, const struct poe__ready *at,
                        size_t n) {
  for (size_t i = 0; i < n; i++) {
    const struct poe__fd *e = entry_of(k, at[i].fd);
    if (!e) continue;
    int is_doubtful = k->loop_ops->by_number || e->is_foreign;
    if (at[i].mask == 0 || (is_doubtful && !is_same_file(e)))
      poe_select_forget(k, at[i].fd);
  }
}

static void run_watcher(poe_kernel *k, struct watcher *w) {
  poe_session *s = w->owned.session;
  struct poe_frame f =
      poe__frame(k, s, s, poe__name_at(k, w->event), POE_EV_SELECT);
  f.file = poe__name_at(k, w->file);
  f.line = w->line;
  struct poe_lead mode = {POE_LEAD_INT, {.i = (int64_t)w->mode}};
  struct poe_dispatch d = {.nleads = 1,
                           .leads = &mode,
                           .extra = {w->n, w->words},
                           .handle = &w->handle};
  struct poe_value exception = {0};
  poe_name *file = f.file; /* the watcher may go meanwhile, and its names */
  poe_name_ref(f.event);
  if (file) poe_name_ref(file);
  if (poe__dispatch(k, &f, &d, &exception) == POE_DIED)
    poe__died(k, &f, &exception);
  poe_name_unref(k, file);
  poe_name_unref(k, f.event);
}

static struct watcher *next_watcher(struct poe__list *head,
                                    struct poe__list *from, uint64_t pass) {
  for (struct poe__list *n = from->next; n != head; n = n->next) {
    struct watcher *w = POE__ITEM(n, struct watcher, node);
    /* A pass within this one may have run or made it: then it is not less. */
    if (w->pass < pass && !w->is_paused) return w;
  }
  return NULL;
}

/* Run each watcher once that was there when the pass began and still is. */
static void run_fd(poe_kernel *k, struct poe__fd *e, int mode,
                   uint64_t pass) {
  struct poe__list *head = &e->mode[mode], *from = head;
  struct watcher *w;
  e->busy++;
  while (!k->has_exception && (w = next_watcher(head, from, pass))) {
    w->pass = pass;
    w->holds++;
    run_watcher(k, w);
    from = w->on == e ? &w->node : head;
    release_watcher(k, w);
    if (from != head && poe__list_empty(from)) from = head;
  }
  e->busy--;
  free_entry_if_unused(k, e);
}

static int compare_ready(const void *a, const void *b) {
  const struct poe__ready *x = a, *y = b;
  return x->fd < y->fd ? -1 : x->fd > y->fd;
}

static void sort_ready(struct poe__ready *at, size_t n) {
  for (size_t i = 1; i < n; i++)
    if (at[i - 1].fd > at[i].fd) {
      qsort(at, n, sizeof *at, compare_ready);
      return;
    }
}

static void add_always(poe_kernel *k) {
  POE__EACH(n, &k->selects.always) {
    struct poe__fd *e = POE__ITEM(n, struct poe__fd, always);
    if (e->wanted) poe_loop_ready(k, e->fd, e->wanted);
  }
}

static void run_mode(poe_kernel *k, const struct poe__ready *at, size_t n,
                     int mode, uint64_t pass) {
  int any = 0;
  for (size_t i = 0; i < n; i++) {
    if (!(at[i].mask & 1u << mode)) continue;
    struct poe__fd *e = entry_of(k, at[i].fd);
    if (e) run_fd(k, e, mode, pass);
    any = 1;
  }
  if (any) poe__sweep(k);
}

static void run_modes(poe_kernel *k, const struct poe__ready *at, size_t n) {
  forget_lost(k, at, n);
  uint64_t pass = ++k->selects.pass;
  for (int mode = 0; mode < MODES; mode++) run_mode(k, at, n, mode, pass);
}

static void dispatch_lone(poe_kernel *k) {
  struct poe__ready lone = k->selects.lone;
  k->selects.has_lone = 0;
  run_modes(k, &lone, 1);
}

void poe__select_dispatch(poe_kernel *k) {
  struct poe__selects *s = &k->selects;
  add_always(k);
  if (POE__UNLIKELY(s->has_lone) && s->nready == 0) {
    dispatch_lone(k);
    return;
  }
  s->has_lone = 0;
  /* A nested slice has its own list: this one is ours from here. */
  struct poe__ready *at = s->ready;
  size_t n = s->nready, room = s->ready_room;
  s->ready = NULL;
  s->nready = s->ready_room = 0;
  sort_ready(at, n);
  run_modes(k, at, n);
  if (s->ready) {
    poe__free(k, at, room * sizeof *at);
  } else {
    s->ready = at;
    s->ready_room = room;
  }
}

/* ---- why --------------------------------------------------------------------------------- */

void poe__select_why(poe_kernel *k, struct poe__owned *o,
                     struct poe__asking *a) {
  const struct watcher *w = POE__ITEM(o, struct watcher, owned);
  struct poe_reason r = {.kind = POE_BY_SELECT,
                         .keeps_program = 1,
                         .session = o->session,
                         .event = poe__name_at(k, w->event),
                         .number = w->fd,
                         .mode = w->mode,
                         .is_paused = w->is_paused,
                         .file = poe__name_at(k, w->file),
                         .line = w->line};
  poe__why_tell(a, w, &r);
}
