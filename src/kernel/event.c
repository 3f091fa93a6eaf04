/* SPDX-License-Identifier: MIT */
/*
 * event.c -- posting, calling, dispatching, discarding.
 *
 * The only caller of ops->dispatch.  A queued event counts in the sessions at
 * both ends (poe__count_in), which keeps them alive, and holds them, which
 * keeps their memory.  An event whose session is freed stays in the FIFO as a
 * husk (dest NULL) with nothing in it.
 *
 * POE: Resource/Events.pm, and dispatch in Kernel.pm.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

/* ---- counting --------------------------------------------------------------- */

void poe__count_in(poe_kernel *k, poe_session *dest, poe_session *source) {
  k->events++;
  dest->holds++;
  if (dest->to++ == 0) poe__session_ref(k, dest);
  if (dest == source) return;
  source->holds++;
  if (source->from++ == 0 && !(source->flags & POE__DEAD))
    poe__session_ref(k, source);
}

void poe__count_out(poe_kernel *k, poe_session *dest, poe_session *source) {
  poe__uncount(k, dest, source);
  poe__release_both(k, dest, source);
}

void poe__discard(poe_kernel *k, unsigned n, const uint64_t *words) {
  if (n) k->ops->discard(k->ud, (struct poe_payload){n, words});
}

static void drop_names(poe_kernel *k, const struct poe__message *m) {
  poe__name_drop(k, m->event);
  poe__name_drop(k, m->from);
  poe__name_drop(k, m->file);
}

void poe__message_drop(poe_kernel *k, struct poe__message *m,
                       const uint64_t *words) {
  if (m->type == POE_EV_DIE) poe__count_deaths(k, -1, 0);
  poe__discard(k, (unsigned)m->n - m->own, words + m->own);
  drop_names(k, m);
}

/* ---- the FIFO ---------------------------------------------------------------- */

/* Due now; the clock is read only if a timer could come between. */
static int64_t post_due(poe_kernel *k) {
  int64_t now = k->timers ? poe__now(k) : k->now_ns;
  if (now < k->queue.last_due_ns) now = k->queue.last_due_ns;
  return k->queue.last_due_ns = now;
}

static void link_to_dest(poe_session *dest, struct poe__post *post) {
  post->next_of_dest = NULL;
  if (dest->last_post)
    dest->last_post->next_of_dest = post;
  else
    dest->first_post = post;
  dest->last_post = post;
}

/* For its age to be true, it must have been read what time it is. */
POE__COLD static void tell_post(poe_kernel *k, struct poe__post *post) {
  const struct poe__message *m = &post->m;
  if (k->trace & POE__WHY) {
    int64_t now = poe__now(k);
    if (now > post->due_ns) k->queue.last_due_ns = post->due_ns = now;
  }
  const poe_session *s = m->dest; /* or, if it is the one, the source */
  if (poe__is_traced(k, m->source, POE_TRACE_EVENTS)) s = m->source;
  POE__TRACE_OF(k, s, POE_TRACE_EVENTS,
                "<ev> enqueued event %llu ``%s'' from %s to %s",
                (unsigned long long)post->seq, poe__name_at(k, m->event)->text,
                poe__label(m->source), poe__label(m->dest));
}

static void copy_words(uint64_t *to, const uint64_t *from, unsigned n) {
  while (n--) *to++ = *from++;
}

static inline int enqueue(poe_kernel *k, const struct poe__send *send) {
  unsigned n = send->nown + send->args.n;
  struct poe__post *post = poe__fifo_push(k, n);
  if (POE__UNLIKELY(!post) && send->type == POE_EV_DIE)
    post = poe__fifo_push_last(k, n);
  if (!post) return -ENOMEM;
  post->due_ns = post_due(k);
  post->seq = k->queue.seq++;
  post->m = (struct poe__message){
      .dest = send->dest,
      .source = send->source,
      .event = poe__name_keep(send->event),
      .from = poe__name_keep(send->from),
      .file = poe__name_keep(send->origin.file),
      .line = send->origin.line,
      .type = (uint16_t)send->type,
      .n = (uint16_t)n,
      .own = (uint16_t)send->nown,
  };
  copy_words(post->words, send->own, send->nown);
  copy_words(post->words + send->nown, send->args.words, send->args.n);
  link_to_dest(send->dest, post);
  poe__count_in(k, send->dest, send->source);
  if (POE__UNLIKELY(k->trace & (POE_TRACE_EVENTS | POE__WHY)))
    tell_post(k, post);
  return 0;
}

int poe__enqueue(poe_kernel *k, const struct poe__send *send) {
  return enqueue(k, send);
}

void poe__event_clear_session(poe_kernel *k, poe_session *s) {
  struct poe__post *post = s->first_post;
  s->first_post = s->last_post = NULL;
  while (post) {
    struct poe__post *next = post->next_of_dest;
    poe_session *source = post->m.source;
    post->m.dest = NULL;
    poe__message_drop(k, &post->m, post->words);
    poe__count_out(k, s, source);
    post = next;
  }
}

void poe__event_fini(poe_kernel *k) {
  struct poe__post *post;
  while ((post = poe__fifo_head(k))) {
    if (!post->m.dest) {
      poe__fifo_pop(k, post);
      continue;
    }
    poe__fifo_take(k, post);
    poe__message_drop(k, &post->m, post->words);
    poe__count_out(k, post->m.dest, post->m.source);
  }
  poe__fifo_fini(k);
}

/* ---- dispatch ------------------------------------------------------------------ */

poe_name *poe__active_event(const poe_kernel *k) {
  return k->frame && !(k->frame->session->flags & POE__DEAD)
             ? k->frame->active
             : NULL;
}

struct poe_frame poe__frame(poe_kernel *k, poe_session *dest,
                            poe_session *sender, poe_name *event,
                            unsigned type) {
  (void)k;
  return (struct poe_frame){.session = dest,
                            .sender = sender,
                            .event = event,
                            .active = event,
                            .type = (uint16_t)type,
                            .active_type = (uint16_t)type};
}

static inline enum poe_outcome run_frame(poe_kernel *k, struct poe_frame *f,
                                  struct poe_dispatch *d,
                                  struct poe_value *result) {
  poe_session *session = f->session, *sender = f->sender;
  d->frame = f;
  f->outer = k->frame;
  k->frame = f;
  k->depth++;
  session->holds++;
  sender->holds++;
  enum poe_outcome outcome = k->ops->dispatch(k->ud, d, result);
  k->depth--;
  k->frame = f->outer;
  /* One that its handler ended goes now; whoever asks whose failure it was,
     finds the kernel. */
  if (POE__UNLIKELY(outcome == POE_DIED) && session->flags & POE__DEAD)
    f->session = &k->root;
  poe__session_release(k, sender);
  poe__session_release(k, session);
  return outcome;
}

/* Whoever is told of the beginning is told of the end. */
static enum poe_outcome run_guarded(poe_kernel *k, struct poe_frame *f,
                                    struct poe_dispatch *d,
                                    struct poe_value *result) {
  const struct poe_guard *guard = k->guard;
  if (!guard) return run_frame(k, f, d, result);
  f->outer = k->frame;
  guard->began(k->guard_ud, f);
  enum poe_outcome outcome = run_frame(k, f, d, result);
  if (guard == k->guard) guard->ended(k->guard_ud, f);
  return outcome;
}

/* What the handler takes from the queue, in slices of its own, is not it. */
POE__COLD static enum poe_outcome run_traced(poe_kernel *k,
                                             struct poe_frame *f,
                                             struct poe_dispatch *d,
                                             struct poe_value *result) {
  const char *kind = k->traced_kind;
  uint64_t id = k->traced_id;
  poe_session *session = f->session, *sender = f->sender;
  poe__session_hold(session);
  poe__session_hold(sender);
  if (k->trace & POE_TRACE_EVENTS) poe__trace_dispatch(k, f);
  enum poe_outcome outcome = run_guarded(k, f, d, result);
  k->traced_kind = kind;
  k->traced_id = id;
  if (k->trace & POE_TRACE_EVENTS) poe__trace_return(k, f, outcome);
  poe__session_release(k, sender);
  poe__session_release(k, session);
  return outcome;
}

static inline enum poe_outcome dispatch(poe_kernel *k, struct poe_frame *f,
                                        struct poe_dispatch *d,
                                        struct poe_value *result) {
  if (POE__UNLIKELY(k->trace & (POE_TRACE_EVENTS | POE__GUARDED)))
    return run_traced(k, f, d, result);
  return run_frame(k, f, d, result);
}

enum poe_outcome poe__dispatch(poe_kernel *k, struct poe_frame *f,
                               struct poe_dispatch *d,
                               struct poe_value *result) {
  return dispatch(k, f, d, result);
}

void poe_kernel_set_guard(poe_kernel *k, const struct poe_guard *guard,
                          void *ud) {
  k->guard = guard;
  k->guard_ud = ud;
  k->trace = guard ? k->trace | POE__GUARDED
                   : k->trace & ~(unsigned)POE__GUARDED;
}

void poe__set_exception(poe_kernel *k, const struct poe_value *exception) {
  if (k->has_exception) {
    k->ops->combine(k->ud, &k->exception, exception);
    return;
  }
  k->exception = *exception;
  k->has_exception = 1;
}

void poe__died(poe_kernel *k, const struct poe_frame *f,
               const struct poe_value *exception) {
  poe_session *s = f->session;
  /* One that is stopping will not see another event: its parent's then. */
  while ((s->flags & (POE__DOOMED | POE__DEAD)) == POE__DOOMED) s = s->parent;
  int ends_run = !k->catching || (f->type & POE_EV_DIE) ||
                 (s->flags & (POE__DEAD | POE__IS_ROOT));
  if (!ends_run) {
    struct poe__send send = {.dest = s,
                             .source = &k->root,
                             .event = k->n_die,
                             .type = POE_EV_DIE,
                             .args = {exception->n, exception->words}};
    if (poe__enqueue(k, &send) == 0) {
      poe__count_deaths(k, 1, 0);
      return;
    }
  }
  poe__set_exception(k, exception);
}

static inline void deliver_post(poe_kernel *k, const struct poe__message *m,
                                const uint64_t *words) {
  struct poe_frame f = {.session = m->dest,
                        .sender = m->source,
                        .event = poe__name_at(k, m->event),
                        .from = poe__name_at(k, m->from),
                        .file = poe__name_at(k, m->file),
                        .line = m->line,
                        .type = m->type,
                        .active_type = m->type};
  f.active = f.event;
  struct poe_dispatch d = {
      .args = {(unsigned)m->n - m->own, words + m->own}};
  struct poe_lead leads[3];
  if (POE__UNLIKELY(m->type & POE_EV_SIGCHLD)) {
    leads[0] = (struct poe_lead){POE_LEAD_NAME, {.name = k->n_chld}};
    leads[1] = (struct poe_lead){POE_LEAD_INT, {.i = (int64_t)words[0]}};
    leads[2] = (struct poe_lead){POE_LEAD_INT, {.i = (int64_t)words[1]}};
    d.leads = leads;
    d.nleads = 3;
  }
  struct poe_value exception = {0};
  if (dispatch(k, &f, &d, &exception) == POE_DIED)
    poe__died(k, &f, &exception);
}

void poe__deliver(poe_kernel *k, struct poe__message *m,
                  const uint64_t *words) {
  struct poe__message copy = *m; /* the record may go while handlers run */
  poe__uncount(k, copy.dest, copy.source);
  if (copy.type & (POE_EV_SIGNAL | POE_EV_DIE))
    poe__signal_deliver(k, &copy, words);
  else if (!(copy.type & POE_EV_GC) && !(copy.dest->flags & POE__IS_ROOT))
    deliver_post(k, &copy, words);
  else
    poe__discard(k, (unsigned)copy.n - copy.own, words + copy.own);
  drop_names(k, &copy);
  poe__release_both(k, copy.dest, copy.source);
}

/* ---- post and call ------------------------------------------------------------------ */

int poe_post(poe_kernel *k, poe_session *dest, poe_name *event,
             struct poe_origin origin, struct poe_payload args) {
  if (POE__UNLIKELY(dest->flags & (POE__DEAD | POE__DOOMED | POE__LIMITED)))
    return poe__post_carefully(k, dest, event, origin, args);
  const struct poe_frame *f = k->frame;
  int is_live = f && !(f->session->flags & POE__DEAD);
  struct poe__send send = {.dest = dest,
                           .source = is_live ? f->session : &k->root,
                           .event = event,
                           .from = is_live ? f->active : NULL,
                           .origin = origin,
                           .type = POE_EV_POST,
                           .args = args};
  return enqueue(k, &send);
}

int poe_yield(poe_kernel *k, poe_name *event, struct poe_origin origin,
              struct poe_payload args) {
  const struct poe_frame *f = k->frame;
  if (!f || f->session->flags & (POE__DEAD | POE__IS_ROOT)) return -EPERM;
  if (POE__UNLIKELY(f->session->flags & (POE__DOOMED | POE__LIMITED)))
    return poe__post_carefully(k, f->session, event, origin, args);
  struct poe__send send = {.dest = f->session,
                           .source = f->session,
                           .event = event,
                           .from = f->active,
                           .origin = origin,
                           .type = POE_EV_POST,
                           .args = args};
  return enqueue(k, &send);
}

/* A failure in a called handler: whose is it? */
static int call_died(poe_kernel *k, const struct poe_frame *f, int is_self,
                     const struct poe_value *exception,
                     struct poe_value *error) {
  if (is_self || !k->catching) {
    if (k->frame) k->frame->type |= POE_EV_RAISED;
    *error = *exception;
    return -POE_ERAISE;
  }
  poe__died(k, f, exception);
  return -POE_EDIED;
}

int poe_call(poe_kernel *k, poe_session *dest, poe_name *event,
             struct poe_origin origin, void *direct, struct poe_value *error) {
  poe_session *me = poe_active_session(k);
  if (k->depth >= POE__DEPTH_MAX) return -POE_EDEEP;
  if (dest->flags & POE__DEAD) return -ESRCH;
  if (dest->flags & POE__IS_ROOT) return 0;
  int is_self = dest == me;
  struct poe_frame f = {.session = dest,
                        .sender = me,
                        .event = event,
                        .active = is_self ? k->frame->active : event,
                        .from = poe__active_event(k),
                        .file = origin.file,
                        .line = origin.line,
                        .type = POE_EV_CALL,
                        .active_type = is_self ? k->frame->active_type
                                               : (uint16_t)POE_EV_CALL};
  struct poe_dispatch d = {.direct = direct};
  struct poe_value exception = {0};
  poe_name_ref(event); /* the caller's may be dropped by its own handler */
  if (origin.file) poe_name_ref(origin.file);
  enum poe_outcome outcome = dispatch(k, &f, &d, &exception);
  int err = 0;
  if (outcome == POE_UNHANDLED) err = -ENOSYS;
  if (outcome == POE_DIED) err = call_died(k, &f, is_self, &exception, error);
  poe_name_unref(k, origin.file);
  poe_name_unref(k, event);
  return err;
}

size_t poe_event_count(const poe_kernel *k) { return k->events; }
