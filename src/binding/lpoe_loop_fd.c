/* SPDX-License-Identifier: MIT */
/*
 * lpoe_loop_fd.c -- the descriptors of a bridge that is written in Lua.
 *
 * The kernel speaks of a descriptor's modes at once, a bridge of one at a
 * time; struct watched knows what the bridge was told.  It is told only when
 * the loop is about to be turned, when nothing in the kernel is half done and
 * a descriptor that is no longer the file that was watched can be given up.
 * That a descriptor is ignored it is told at once: it may be closed next.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif

#include "lpoe_loop.h"

static int grow(void **p, size_t item, size_t *room, size_t need) {
  if (need <= *room) return 0;
  size_t size = *room ? *room * 2 : 16;
  while (size < need) size *= 2;
  void *at = realloc(*p, size * item);
  if (!at) return -ENOMEM;
  memset((char *)at + *room * item, 0, (size - *room) * item);
  *p = at;
  *room = size;
  return 0;
}

int lpoe_loop_mark_dirty(poe_loop *l, int fd) {
  int err = 0;
  if (l->at[fd].is_dirty) return 0;
  err =
      grow((void **)&l->dirty, sizeof *l->dirty, &l->dirty_room, l->ndirty + 1);
  if (err) return err;
  l->at[fd].is_dirty = 1;
  l->dirty[l->ndirty++] = fd;
  return 0;
}

/* Some devices epoll(7) refuses; loops built on it fail of them. */
static int can_be_waited_for(int fd) {
#ifdef __linux__
  int queue = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN};
  if (queue < 0) return 1;
  int refused = epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event) && errno == EPERM;
  close(queue);
  return !refused;
#else
  (void)fd;
  return 1;
#endif
}

/* select(2) has it that these are always ready; no loop can wait for them. */
static int is_plain(int fd, const struct stat *st) {
  if (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)) return 1;
  return S_ISCHR(st->st_mode) && !can_be_waited_for(fd);
}

int lpoe_loop_watch_fd(poe_loop *l, int fd, unsigned mask) {
  struct stat st = {0};
  if (mask && fstat(fd, &st) < 0) return -errno;
  if (mask && is_plain(fd, &st)) return -EPERM;
  int err = grow((void **)&l->at, sizeof *l->at, &l->room, (size_t)fd + 1);
  if (!err) err = lpoe_loop_mark_dirty(l, fd);
  if (err) return err;
  struct watched *w = &l->at[fd];
  w->wanted = (uint8_t)mask;
  if (!mask) return 0;
  w->dev = st.st_dev;
  w->ino = st.st_ino;
  return 0;
}

static void not_always(poe_loop *l, struct watched *w) {
  l->nalways -= w->is_always;
  w->is_always = 0;
}

/* The bridge watches it no more, in no mode. */
static int forget(poe_loop *l, int fd) {
  struct watched *w = &l->at[fd];
  unsigned known = w->told | w->paused;
  int first = 0;
  w->told = w->paused = 0;
  not_always(l, w);
  for (int mode = 0; mode < MODES; mode++) {
    if (!(known & 1u << mode)) continue;
    int err =
        lpoe_loop_call((struct lpoe_loop_call){.l = l,
                                               .method = IGNORE_FD,
                                               .push = lpoe_loop_push_mode,
                                               .number = fd,
                                               .mode = mode});
    if (!first) first = err;
  }
  return first;
}

void lpoe_loop_ignore_fd(poe_loop *l, int fd) {
  if ((size_t)fd >= l->room) return;
  l->at[fd].wanted = 0;
  forget(l, fd);
}

static int watch_mode(poe_loop *l, int fd, int mode, unsigned bit) {
  struct watched *w = &l->at[fd];
  enum lpoe_loop_method m =
      w->paused & bit && lpoe_loop_has(l->P, RESUME_FD) ? RESUME_FD : WATCH_FD;
  w->paused &= (uint8_t)~bit;
  w->told |= (uint8_t)bit;
  int err = lpoe_loop_call((struct lpoe_loop_call){.l = l,
                                                   .method = m,
                                                   .push = lpoe_loop_push_mode,
                                                   .number = fd,
                                                   .mode = mode});
  if (err == -EPERM) w->told &= (uint8_t)~bit;
  return err;
}

static int unwatch_mode(poe_loop *l, int fd, int mode, unsigned bit) {
  struct watched *w = &l->at[fd];
  if (!(w->told & bit)) return 0;
  enum lpoe_loop_method m =
      lpoe_loop_has(l->P, PAUSE_FD) ? PAUSE_FD : IGNORE_FD;
  w->told &= (uint8_t)~bit;
  if (m == PAUSE_FD) w->paused |= (uint8_t)bit;
  return lpoe_loop_call((struct lpoe_loop_call){.l = l,
                                                .method = m,
                                                .push = lpoe_loop_push_mode,
                                                .number = fd,
                                                .mode = mode});
}

static int is_same_file(int fd, const struct watched *w) {
  struct stat st;
  if (fstat(fd, &st) < 0) return errno != EBADF; /* nobody can say */
  return st.st_dev == w->dev && st.st_ino == w->ino;
}

static int make_always(poe_loop *l, int fd) {
  int err = forget(l, fd);
  l->at[fd].is_always = 1;
  l->nalways++;
  return err;
}

/* Tell the bridge what is wanted of a descriptor now. */
static int tell(poe_loop *l, int fd) {
  struct watched *w = &l->at[fd];
  unsigned wanted = w->wanted;
  int err = 0;
  w->is_dirty = 0;
  if (wanted && !is_same_file(fd, w)) {
    l->recorded = 1;
    poe_loop_lost(l->P->k, fd);
    return forget(l, fd);
  }
  if (w->is_always) return 0;
  for (int mode = 0; !err && mode < MODES; mode++) {
    unsigned bit = 1u << mode;
    err = (wanted & bit ? watch_mode : unwatch_mode)(l, fd, mode, bit);
  }
  return err == -EPERM ? make_always(l, fd) : err;
}

int lpoe_loop_tell_all(poe_loop *l) {
  int err = 0;
  size_t i = 0;
  if (!l->ndirty) return 0;
  for (; !err && i < l->ndirty; i++) err = tell(l, l->dirty[i]);
  l->ndirty -= i;
  memmove(l->dirty, l->dirty + i, l->ndirty * sizeof *l->dirty);
  return err;
}

void lpoe_loop_record_always(poe_loop *l) {
  if (!l->nalways) return;
  for (size_t fd = 0; fd < l->room; fd++) {
    const struct watched *w = &l->at[fd];
    if (!w->is_always || !w->wanted) continue;
    l->recorded = 1;
    poe_loop_ready(l->P->k, (int)fd, w->wanted);
  }
}
