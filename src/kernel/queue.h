/* SPDX-License-Identifier: MIT */
/*
 * queue.h -- the one order of everything: (due time, sequence number).
 *
 * Three sources, popped by the least head.  Posts lie in a FIFO of pages:
 * their due times never fall, so no sorting is needed and none is moved.
 * Delays lie in a 4-ary heap by monotonic time, alarms in one by wall time;
 * pending alarms so follow a step of the wall clock without being touched.
 *
 * Owner of the pages and heap arrays is the queue; timers belong to timer.c.
 */
#ifndef POE_QUEUE_H
#define POE_QUEUE_H

#include <stdint.h>

#include "poe.h"

/*
 * What every event is, in the FIFO and as a timer.  Names are held by index,
 * one reference each (0: none).  words[0..own) belong to the kernel.
 */
struct poe__message {
  poe_session *dest; /* NULL: discarded while it waited */
  poe_session *source;
  uint32_t event, from, file, line;
  uint16_t type;
  uint16_t n; /* words in all, after the enclosing struct */
  uint16_t own;
};

/* An event in the FIFO. */
struct poe__post {
  int64_t due_ns;
  uint64_t seq;
  struct poe__post *next_of_dest; /* the next in the FIFO for the same dest */
  struct poe__message m;
  uint64_t words[];
};

struct poe__timer;
struct poe__group;

/*
 * The part of a timer that ids and nodes lead to: all that it takes to move
 * one.  Slots lie close together, apart from the rest of their timers, so that
 * moving one waits for little memory.
 */
struct poe__slot {
  struct poe__timer *timer; /* NULL: none */
  struct poe__group *group;
  uint64_t seq;             /* among those due at the same time */
  uint32_t index;           /* of the node, in its heap */
  uint16_t place;           /* among its neighbours, see timer.c */
  uint16_t is_alarm;        /* which heap */
};

struct poe__node {
  int64_t due_ns; /* in the heap's own clock */
  struct poe__slot *slot;
};

struct poe__heap {
  struct poe__node *node;
  uint32_t count, room;
};

struct poe__page {
  struct poe__page *next;
  uint32_t read, write; /* offsets into data */
  uint64_t data[];
};

struct poe__fifo {
  struct poe__page *head, *tail, *spare;
};

struct poe__queue {
  struct poe__fifo fifo;
  struct poe__heap delays; /* monotonic ns */
  struct poe__heap alarms; /* ns since the epoch */
  uint64_t seq;            /* of the next event */
  int64_t last_due_ns;     /* of the newest post */
};

/* Room for a post at the end; NULL: out of memory.  Filled by the caller. */
struct poe__post *poe__fifo_push(poe_kernel *k, unsigned words);
/* The same in what each page keeps for it: for a DIE that found no room. */
struct poe__post *poe__fifo_push_last(poe_kernel *k, unsigned words);
/* The head's page is read: NULL if it was the last.  See poe__fifo_head. */
struct poe__post *poe__fifo_turn(poe_kernel *k);
void poe__fifo_fini(poe_kernel *k);
/* All posts, oldest first: `at` is zero before the first; NULL is the end. */
struct poe__fifo_at {
  const struct poe__page *page;
  uint32_t offset;
};
const struct poe__post *poe__fifo_next(const poe_kernel *k,
                                       struct poe__fifo_at *at);

int poe__heap_reserve(poe_kernel *k, struct poe__heap *h);
void poe__heap_add(struct poe__heap *h, struct poe__node node);
void poe__heap_remove(poe_kernel *k, struct poe__heap *h, uint32_t index);
/* One will move: what it is compared with first is fetched from memory, all
   at once, while the caller goes on. */
void poe__heap_fetch(const struct poe__heap *h, uint32_t index);
/* To be due then; the timer's sequence number may have grown. */
void poe__heap_move(struct poe__heap *h, uint32_t index, int64_t due_ns);
void poe__heap_fini(poe_kernel *k, struct poe__heap *h);

#endif
