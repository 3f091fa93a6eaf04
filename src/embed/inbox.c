/* SPDX-License-Identifier: MIT */
/*
 * inbox.c -- parcels from any thread to the loop's.
 *
 * A list that grows at one end by compare and swap, and is taken as a whole:
 * there is no lock that a fork could find taken, and no state in between.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "embed.h"

static size_t bytes_of(const struct poe_arg *arg) {
  return arg->kind >= POE_ARG_STRING ? arg->as.string.len + 1 : 0;
}

/* Copy len bytes and a zero to *to, which moves on. */
static const char *pack(char **to, const char *from, size_t len) {
  char *at = *to;
  if (len) memcpy(at, from, len);
  at[len] = '\0';
  *to = at + len + 1;
  return at;
}

struct parcel *parcel_new(const char *session, const char *event, size_t n,
                          const struct poe_arg *args) {
  size_t size = sizeof(struct parcel) + n * sizeof *args;
  size_t room = strlen(session) + strlen(event) + 2;
  for (size_t i = 0; i < n; i++) room += bytes_of(&args[i]);
  struct parcel *p = malloc(size + room);
  if (!p) return NULL;
  char *to = (char *)p + size;
  p->n = n;
  p->args = (struct poe_arg *)(void *)(p + 1);
  p->session = pack(&to, session, strlen(session));
  p->event = pack(&to, event, strlen(event));
  for (size_t i = 0; i < n; i++) {
    p->args[i] = args[i];
    if (bytes_of(&args[i]))
      p->args[i].as.string.at =
          pack(&to, args[i].as.string.at, args[i].as.string.len);
  }
  return p;
}

void inbox_put(struct inbox *inbox, struct parcel *p) {
  p->next = atomic_load(&inbox->last);
  while (!atomic_compare_exchange_weak(&inbox->last, &p->next, p)) continue;
}

struct parcel *inbox_take(struct inbox *inbox) {
  struct parcel *p = atomic_exchange(&inbox->last, NULL), *first = NULL;
  while (p) {
    struct parcel *before = p->next;
    p->next = first;
    first = p;
    p = before;
  }
  return first;
}
