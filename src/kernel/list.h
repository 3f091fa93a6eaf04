/* SPDX-License-Identifier: MIT */
/*
 * list.h -- intrusive, circular, doubly linked lists.
 *
 * A head is a node that belongs to no item.  A node that is in no list points
 * at itself, so removing it twice is harmless and poe__list_empty answers
 * "is this node linked" too.
 */
#ifndef POE_LIST_H
#define POE_LIST_H

#include <stddef.h>

struct poe__list {
  struct poe__list *prev, *next;
};

#define POE__ITEM(node, type, member) \
  ((type *)(void *)((char *)(node) - offsetof(type, member)))

#define POE__EACH(node, head) \
  for (struct poe__list *node = (head)->next; node != (head); \
       node = node->next)

static inline void poe__list_init(struct poe__list *n) {
  n->prev = n->next = n;
}

static inline int poe__list_empty(const struct poe__list *n) {
  return n->next == n;
}

static inline void poe__list_remove(struct poe__list *n) {
  n->prev->next = n->next;
  n->next->prev = n->prev;
  poe__list_init(n);
}

/* Add n behind the last item of head. */
static inline void poe__list_push(struct poe__list *head,
                                  struct poe__list *n) {
  n->prev = head->prev;
  n->next = head;
  head->prev->next = n;
  head->prev = n;
}

/* A ring: its head is one word, the node of its first item, or NULL. */
static inline void poe__ring_push(struct poe__list **first,
                                  struct poe__list *n) {
  poe__list_init(n);
  if (*first)
    poe__list_push(*first, n);
  else
    *first = n;
}

static inline void poe__ring_remove(struct poe__list **first,
                                    struct poe__list *n) {
  if (*first == n) *first = n->next == n ? NULL : n->next;
  poe__list_remove(n);
}

/* NULL behind the last. */
static inline struct poe__list *poe__ring_next(const struct poe__list *first,
                                               const struct poe__list *n) {
  return n->next == first ? NULL : n->next;
}

#define POE__EACH_IN(node, first)                 \
  for (struct poe__list *node = (first); node; \
       node = poe__ring_next((first), node))

/* Move all items of `from` to the empty head `to`. */
static inline void poe__list_move(struct poe__list *to,
                                  struct poe__list *from) {
  poe__list_init(to);
  if (poe__list_empty(from)) return;
  *to = *from;
  to->next->prev = to;
  to->prev->next = to;
  poe__list_init(from);
}

#endif
