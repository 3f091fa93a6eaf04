/* SPDX-License-Identifier: MIT */
/*
 * queue.c -- the FIFO of posts and the 4-ary heaps of timers.
 *
 * FIFO: pages of records of different length, written at the tail, read at
 * the head, so that a queued event is neither allocated nor moved.  A page is
 * left behind only when the head is asked for again: a popped post can be
 * read until then.  One emptied page is kept for the next need.
 *
 * Heaps: nodes carry their due time, so sifting touches the slots only to tell
 * them their new index, and where two are due at the same time.  Four children
 * a node halve the depth and are one cache line long.
 */
#include <errno.h>

#include "internal.h"

#define PAGE_SIZE ((size_t)256 * 1024)

#define PAGE_ROOM (PAGE_SIZE - sizeof(struct poe__page))

/* At the end of each page, for signals DIE when there is no memory for another
   page: so many can tell of that. */
#define LAST_WORDS \
  (8 * (sizeof(struct poe__post) + sizeof(((struct poe_value *)0)->words)))

static struct poe__page *new_page(poe_kernel *k) {
  struct poe__page *page = k->queue.fifo.spare;
  if (page)
    k->queue.fifo.spare = NULL;
  else
    page = poe__pages(k, PAGE_SIZE);
  if (!page) return NULL;
  page->next = NULL;
  page->read = page->write = 0;
  return page;
}

static void retire_page(poe_kernel *k, struct poe__page *page) {
  if (k->queue.fifo.spare)
    poe__pages_free(k, page, PAGE_SIZE);
  else
    k->queue.fifo.spare = page;
}

static inline uint32_t size_with(unsigned words) {
  return (uint32_t)(sizeof(struct poe__post) + words * sizeof(uint64_t));
}

static inline struct poe__post *add(struct poe__page *page, uint32_t size) {
  struct poe__post *post = (void *)((char *)page->data + page->write);
  page->write += size;
  return post;
}

struct poe__post *poe__fifo_push(poe_kernel *k, unsigned words) {
  struct poe__fifo *f = &k->queue.fifo;
  uint32_t size = size_with(words);
  struct poe__page *page = f->tail;
  if (POE__UNLIKELY(!page || page->write + size > PAGE_ROOM - LAST_WORDS)) {
    page = new_page(k);
    if (!page) return NULL;
    if (f->tail)
      f->tail->next = page;
    else
      f->head = page;
    f->tail = page;
  }
  return add(page, size);
}

struct poe__post *poe__fifo_push_last(poe_kernel *k, unsigned words) {
  struct poe__page *page = k->queue.fifo.tail;
  uint32_t size = size_with(words);
  return page && page->write + size <= PAGE_ROOM ? add(page, size) : NULL;
}

/* The page is read: the next one, or from its beginning when it is the last. */
struct poe__post *poe__fifo_turn(poe_kernel *k) {
  struct poe__fifo *f = &k->queue.fifo;
  struct poe__page *page = f->head;
  if (!page->next) {
    page->read = page->write = 0;
    return NULL;
  }
  f->head = page->next;
  retire_page(k, page);
  return (void *)((char *)f->head->data + f->head->read);
}

static void turn_to(struct poe__fifo_at *at, const struct poe__page *page) {
  at->page = page;
  at->offset = page ? page->read : 0;
}

const struct poe__post *poe__fifo_next(const poe_kernel *k,
                                       struct poe__fifo_at *at) {
  if (!at->page) turn_to(at, k->queue.fifo.head);
  while (at->page && at->offset == at->page->write)
    turn_to(at, at->page->next);
  if (!at->page) return NULL;
  const struct poe__post *post =
      (const void *)((const char *)at->page->data + at->offset);
  at->offset += (uint32_t)(sizeof *post + post->m.n * sizeof(uint64_t));
  return post;
}

void poe__fifo_fini(poe_kernel *k) {
  struct poe__fifo *f = &k->queue.fifo;
  while (f->head) {
    struct poe__page *page = f->head;
    f->head = page->next;
    poe__pages_free(k, page, PAGE_SIZE);
  }
  poe__pages_free(k, f->spare, PAGE_SIZE);
  f->tail = f->spare = NULL;
}

static inline uint32_t is_before(const struct poe__node *a,
                                 const struct poe__node *b) {
  if (POE__UNLIKELY(a->due_ns == b->due_ns))
    return a->slot->seq < b->slot->seq;
  return a->due_ns < b->due_ns;
}

static inline void place(struct poe__heap *h, uint32_t i,
                         struct poe__node node) {
  h->node[i] = node;
  node.slot->index = i;
}

static uint32_t sift_up(struct poe__heap *h, uint32_t i,
                        struct poe__node node) {
  while (i > 0) {
    uint32_t parent = (i - 1) / 4;
    if (!is_before(&node, &h->node[parent])) break;
    place(h, i, h->node[parent]);
    i = parent;
  }
  place(h, i, node);
  return i;
}

/* Which of the children from `child` on comes first.  Where all four exist no
   branch depends on it: half of them would be predicted wrong. */
static inline uint32_t first_of(const struct poe__heap *h, uint32_t child) {
  const struct poe__node *n = &h->node[child];
  if (POE__LIKELY(child + 4 <= h->count)) {
    uint32_t a = is_before(n + 1, n), b = 2 + is_before(n + 3, n + 2);
    return child + (is_before(n + b, n + a) ? b : a);
  }
  uint32_t first = child;
  while (++child < h->count)
    if (is_before(&h->node[child], &h->node[first])) first = child;
  return first;
}

static void sift_down(struct poe__heap *h, uint32_t i,
                      struct poe__node node) {
  for (uint32_t child; (child = i * 4 + 1) < h->count;) {
    uint32_t first = first_of(h, child);
    if (!is_before(&h->node[first], &node)) break;
    place(h, i, h->node[first]);
    i = first;
  }
  place(h, i, node);
}

int poe__heap_reserve(poe_kernel *k, struct poe__heap *h) {
  if (h->count < h->room) return 0;
  if (h->room >= UINT32_MAX / 8) return -ENOMEM;
  size_t room = h->room;
  int err = poe__grow(k, (void **)&h->node, sizeof *h->node, &room, room + 1);
  if (!err) h->room = (uint32_t)room;
  return err;
}

void poe__heap_add(struct poe__heap *h, struct poe__node node) {
  sift_up(h, h->count++, node);
}

void poe__heap_fetch(const struct poe__heap *h, uint32_t index) {
  const struct poe__node *node = h->node;
  int is_parent = index < (h->count - 1) / 4; /* of four */
  __builtin_prefetch(&node[index]);
  __builtin_prefetch(&node[(index - (index > 0)) / 4]);
  __builtin_prefetch(&node[is_parent ? index * 4 + 1 : index]);
  __builtin_prefetch(&node[is_parent ? index * 4 + 4 : index]);
}

void poe__heap_move(struct poe__heap *h, uint32_t index, int64_t due_ns) {
  struct poe__node node = {due_ns, h->node[index].slot};
  if (sift_up(h, index, node) == index) sift_down(h, index, node);
}

/* Give half of a large array back when little of it is used. */
static void shrink(poe_kernel *k, struct poe__heap *h) {
  if (h->room <= 1024 || h->count > h->room / 8) return;
  size_t room = h->room;
  poe__shrink(k, (void **)&h->node, sizeof *h->node, &room, room / 2);
  h->room = (uint32_t)room;
}

/* The first has left: while it runs the next timer is fetched from memory, and
   the slots of those that may come then. */
static void fetch_next(const struct poe__heap *h) {
  if (h->count == 0) return;
  __builtin_prefetch(h->node[0].slot->timer);
  for (uint32_t i = 1; i < 5 && i < h->count; i++)
    __builtin_prefetch(h->node[i].slot);
}

void poe__heap_remove(poe_kernel *k, struct poe__heap *h, uint32_t index) {
  struct poe__node last = h->node[--h->count];
  if (index != h->count) {
    if (sift_up(h, index, last) == index) sift_down(h, index, last);
  }
  if (index == 0) fetch_next(h);
  shrink(k, h);
}

void poe__heap_fini(poe_kernel *k, struct poe__heap *h) {
  poe__free(k, h->node, h->room * sizeof *h->node);
  h->node = NULL;
  h->count = h->room = 0;
}
