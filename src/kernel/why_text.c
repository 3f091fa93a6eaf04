/* SPDX-License-Identifier: MIT */
/*
 * why_text.c -- one reason in words, for people.
 */
#include <stdarg.h>
#include <stdio.h>

#include "internal.h"

struct text {
  char *at;
  size_t size, used;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t,
                                                      const char *format,
                                                      ...) {
  va_list args;
  va_start(args, format);
  int n = vsnprintf(t->at + t->used, t->size - t->used, format, args);
  va_end(args);
  if (n > 0) t->used += (size_t)n;
  if (t->used >= t->size) t->used = t->size - 1;
}

static double seconds(int64_t ns) { return (double)ns / 1e9; }

static void add_select(struct text *t, const struct poe_reason *r) {
  static const char *const modes[] = {[POE_RD] = "reading",
                                      [POE_WR] = "writing",
                                      [POE_EX] = "urgent data"};
  add(t, "descriptor %lld for %s, as '%s'", (long long)r->number,
      modes[r->mode], r->event->text);
  if (r->is_paused) add(t, ", paused");
}

static void add_timer(struct text *t, const struct poe_reason *r) {
  add(t, "timer %lld '%s', ", (long long)r->number, r->name->text);
  if (r->due_ns >= 0)
    add(t, "due in %.3f s", seconds(r->due_ns));
  else
    add(t, "due since %.3f s", seconds(-r->due_ns));
}

static void add_events(struct text *t, const struct poe_reason *r) {
  if (r->count == 1)
    add(t, "event '%s'", r->name->text);
  else
    add(t, "%zu events '%s'", r->count, r->name->text);
}

static void add_thing(struct text *t, const struct poe_reason *r) {
  switch (r->kind) {
    case POE_BY_HANDLER:
      add(t, "its handler of '%s' runs", r->name->text);
      break;
    case POE_BY_EVENT: add_events(t, r); break;
    case POE_BY_SENT:
      add_events(t, r);
      add(t, " to %s", poe__label(r->other));
      break;
    case POE_BY_TIMER: add_timer(t, r); break;
    case POE_BY_SELECT: add_select(t, r); break;
    case POE_BY_CHILD:
      add(t, "process %lld, as '%s'", (long long)r->number, r->event->text);
      break;
    case POE_BY_SIGNAL:
      add(t, "signal %s, as '%s', with forked processes: %zu", r->name->text,
          r->event->text, r->count);
      break;
    case POE_BY_TAG:
      add(t, "tag '%s', count %lld", r->name->text, (long long)r->number);
      break;
    case POE_BY_SESSION: add(t, "child %s", poe__label(r->other)); break;
    case POE_BY_ALIAS: add(t, "alias '%s'", r->name->text); break;
  }
}

static const char *verb(const struct poe_reason *r) {
  switch (r->kind) {
    case POE_BY_TIMER:
    case POE_BY_ALIAS: return "set";
    case POE_BY_TAG: return "last taken";
    case POE_BY_SESSION: return "created";
    case POE_BY_SELECT:
    case POE_BY_CHILD:
    case POE_BY_SIGNAL: return "watched";
    case POE_BY_HANDLER:
    case POE_BY_EVENT:
    case POE_BY_SENT: break;
  }
  return "sent";
}

/* By whom, if that is not plain: what it owns, a session has made itself. */
static void add_maker(poe_kernel *k, struct text *t,
                      const struct poe_reason *r) {
  if (!r->has_maker || r->by == poe__id(r->session)) return;
  const poe_session *by = r->by ? poe_session_find(k, r->by) : &k->root;
  if (by)
    add(t, " by %s", poe__label(by));
  else
    add(t, " by session %llu, which has ended", (unsigned long long)r->by);
}

const char *poe_reason_text(poe_kernel *k, const struct poe_reason *r,
                            char *buf, size_t size) {
  struct text t = {buf, size, 0};
  add_thing(&t, r);
  if (!r->file && !r->has_age && !r->has_maker) {
    add(&t, ", made while why was off");
    return buf;
  }
  add(&t, ", %s", verb(r));
  add_maker(k, &t, r);
  if (r->has_age) add(&t, " %.3f s ago", seconds(r->age_ns));
  if (r->file) add(&t, " at %s:%u", r->file->text, (unsigned)r->line);
  if (r->from) add(&t, ", in the handler of '%s'", r->from->text);
  return buf;
}
