/* SPDX-License-Identifier: MIT */
/*
 * trace.c -- topics of traces and assertions, and the lines they print.
 *
 * The masks are tested where something happens; off, a switch costs that one
 * branch.  Lines go to ops->log: the kernel itself writes to no stream.
 *
 * POE: the TRACE_ and ASSERT_ constants of Kernel.pm.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

struct topic {
  const char *name;
  unsigned bit;
};

static unsigned find(const struct topic *t, const char *name) {
  for (; t->name; t++)
    if (strcmp(t->name, name) == 0) return t->bit;
  return 0;
}

unsigned poe_trace_topic(const char *name) {
  static const struct topic topics[] = {
      {"destroy", POE_TRACE_DESTROY},   {"events", POE_TRACE_EVENTS},
      {"files", POE_TRACE_FILES},       {"refcnt", POE_TRACE_REFCNT},
      {"retvals", POE_TRACE_RETVALS},   {"sessions", POE_TRACE_SESSIONS},
      {"signals", POE_TRACE_SIGNALS},   {"default", 0x7f},
      {NULL, 0}};
  return find(topics, name);
}

unsigned poe_assert_topic(const char *name) {
  static const struct topic topics[] = {
      {"data", POE_ASSERT_DATA},       {"events", POE_ASSERT_EVENTS},
      {"files", POE_ASSERT_FILES},     {"retvals", POE_ASSERT_RETVALS},
      {"usage", POE_ASSERT_USAGE},     {"states", POE_ASSERT_STATES},
      {"default", 0x3f},               {NULL, 0}};
  return find(topics, name);
}

unsigned poe_trace_mask(const poe_kernel *k) { return k->trace; }
void poe_set_trace_mask(poe_kernel *k, unsigned mask) { k->trace = mask; }
unsigned poe_assert_mask(const poe_kernel *k) { return k->assertions; }
void poe_set_assert_mask(poe_kernel *k, unsigned mask) {
  k->assertions = mask;
}

void poe_log(poe_kernel *k, const char *format, ...) {
  char line[1024];
  int n = snprintf(line, sizeof line, "=== %ld === ", (long)getpid());
  va_list args;
  va_start(args, format);
  vsnprintf(line + n, sizeof line - (size_t)n, format, args);
  va_end(args);
  k->ops->log(k->ud, line);
}

const char *poe_session_label(const poe_session *s, char *buf, size_t size) {
  const poe_name *alias = poe_alias_at(s, 0);
  if (s->flags & POE__IS_ROOT)
    snprintf(buf, size, "the kernel");
  else if (alias)
    snprintf(buf, size, "session %llu \"%s\"", (unsigned long long)s->id,
             alias->text);
  else
    snprintf(buf, size, "session %llu", (unsigned long long)s->id);
  return buf;
}

const char *poe__label(const poe_session *s) {
  static _Thread_local char buf[4][128];
  static _Thread_local unsigned turn;
  turn = (turn + 1) % 4;
  return poe_session_label(s, buf[turn], sizeof buf[turn]);
}
