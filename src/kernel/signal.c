/* SPDX-License-Identifier: MIT */
/*
 * signal.c -- signals: who watches, whom one reaches, whom it stops.
 *
 * A signal is an event.  When it is dispatched it reaches its target and all
 * descendants, deepest level first, target last; DIE goes on to the ancestors.
 * The watchers are those at the moment of the dispatch, as a snapshot.
 * Afterwards a nonmaskable signal, or a terminal one that nobody handled, has
 * stopped everybody it reached.
 *
 * POE: Resource/Signals.pm and _dispatch_signal_event.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct record { /* a signal that somebody watches */
  struct poe__link link;
  poe_name *name; /* one reference */
  size_t watchers;
  int signum; /* 0: none of the system's */
};

struct watcher {
  struct poe__owned owned;
  struct poe__link link; /* in k->signals.watchers */
  struct record *on;
  uint32_t holds;
  uint32_t event, file, line;
  unsigned n;
  uint64_t words[];
};

/* ---- names and classes -------------------------------------------------------- */

static const struct {
  const char *name;
  int signum;
} system_signals[] = {
    {"HUP", SIGHUP},       {"INT", SIGINT},     {"QUIT", SIGQUIT},
    {"ILL", SIGILL},       {"TRAP", SIGTRAP},   {"ABRT", SIGABRT},
    {"IOT", SIGABRT},      {"BUS", SIGBUS},     {"FPE", SIGFPE},
    {"KILL", SIGKILL},     {"USR1", SIGUSR1},   {"SEGV", SIGSEGV},
    {"USR2", SIGUSR2},     {"PIPE", SIGPIPE},   {"ALRM", SIGALRM},
    {"TERM", SIGTERM},     {"STKFLT", 16},      {"CHLD", SIGCHLD},
    {"CONT", SIGCONT},     {"STOP", SIGSTOP},   {"TSTP", SIGTSTP},
    {"TTIN", SIGTTIN},     {"TTOU", SIGTTOU},   {"URG", SIGURG},
    {"XCPU", SIGXCPU},     {"XFSZ", SIGXFSZ},   {"VTALRM", SIGVTALRM},
    {"PROF", SIGPROF},     {"WINCH", SIGWINCH}, {"IO", SIGIO},
    {"POLL", SIGIO},       {"PWR", SIGPWR},     {"SYS", SIGSYS},
};

#define SYSTEM_SIGNALS (sizeof system_signals / sizeof *system_signals)

/* RTMIN, and RTMIN+1 and so on, each in one spelling only. */
static int realtime_number(const char *name) {
  if (strncmp(name, "RTMIN", 5) != 0) return 0;
  if (name[5] == '\0') return SIGRTMIN;
  if (name[5] != '+' || name[6] < '1' || name[6] > '9') return 0;
  char *end;
  long n = strtol(name + 6, &end, 10);
  return *end || n > SIGRTMAX - SIGRTMIN ? 0 : SIGRTMIN + (int)n;
}

static int signal_number(const char *name) {
  for (size_t i = 0; i < SYSTEM_SIGNALS; i++)
    if (strcmp(system_signals[i].name, name) == 0)
      return system_signals[i].signum;
  return realtime_number(name);
}

const char *poe_signal_name(int signum, char buf[16]) {
  for (size_t i = 0; i < SYSTEM_SIGNALS; i++)
    if (system_signals[i].signum == signum) return system_signals[i].name;
  snprintf(buf, 16, signum == SIGRTMIN ? "RTMIN" : "RTMIN+%d",
           signum - SIGRTMIN);
  return buf;
}

/* Those that the system does not let, or that one must not, catch. */
static int is_catchable(int signum) {
  return signum && signum != SIGKILL && signum != SIGSTOP &&
         signum != SIGSEGV && signum != SIGBUS && signum != SIGFPE &&
         signum != SIGILL;
}

enum signal_class { BENIGN, TERMINAL, NONMASKABLE };

static enum signal_class class_of(const poe_kernel *k, const poe_name *name) {
  static const char *const terminal[] = {"HUP", "INT", "QUIT", "TERM", "KILL"};
  if (name == k->n_zombie || name == k->n_uidestroy) return NONMASKABLE;
  if (name == k->n_idle || name == k->n_die) return TERMINAL;
  for (size_t i = 0; i < sizeof terminal / sizeof *terminal; i++)
    if (strcmp(name->text, terminal[i]) == 0) return TERMINAL;
  return BENIGN;
}

/* ---- init and end ---------------------------------------------------------------- */

static void ignore_pipe(void) {
  struct sigaction sa;
  if (sigaction(SIGPIPE, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL)
    signal(SIGPIPE, SIG_IGN);
}

void poe__signal_init(poe_kernel *k) {
  (void)k;
  ignore_pipe();
}

void poe__signal_fini(poe_kernel *k) {
  poe__map_fini(k, &k->signals.watchers);
  poe__map_fini(k, &k->signals.signals);
}

/* ---- watching --------------------------------------------------------------------- */

static struct record *find_record(poe_kernel *k, const poe_name *name) {
  struct poe__link *link = poe__map_first(&k->signals.signals, name->id);
  for (; link; link = link->next) {
    struct record *r = POE__ITEM(link, struct record, link);
    if (r->name == name) return r;
  }
  return NULL;
}

int poe__signal_is_watched(poe_kernel *k, const poe_name *signal) {
  return find_record(k, signal) != NULL;
}

static uint64_t key_of(const poe_session *s, const poe_name *signal) {
  return poe__pair(poe__id(s), signal->id);
}

static struct watcher *find(poe_kernel *k, const poe_session *s,
                            const poe_name *signal) {
  struct poe__link *link =
      poe__map_first(&k->signals.watchers, key_of(s, signal));
  for (; link; link = link->next) {
    struct watcher *w = POE__ITEM(link, struct watcher, link);
    if (w->owned.session == s && w->on->name == signal) return w;
  }
  return NULL;
}

/* Who watches the system's signal by the i-th of all names, or NULL. */
static const struct record *watched_as(poe_kernel *k, int signum, size_t i) {
  if (system_signals[i].signum != signum) return NULL;
  const char *text = system_signals[i].name;
  const poe_name *name = poe_name_find(k, text, strlen(text));
  return name ? find_record(k, name) : NULL;
}

/* Does another name of the system's signal have watchers (IO and POLL)? */
static int has_twin(poe_kernel *k, const struct record *r) {
  for (size_t i = 0; i < SYSTEM_SIGNALS; i++) {
    const struct record *other = watched_as(k, r->signum, i);
    if (other && other->name != r->name) return 1;
  }
  return 0;
}

/* CHLD is child.c's to register: it needs it for watched pids too.  What the
   kernel listens to itself is registered already. */
static int is_ours(poe_kernel *k, const struct record *r) {
  return r->signum != SIGCHLD && is_catchable(r->signum) && !has_twin(k, r) &&
         !poe__why_owns(k, r->signum);
}

static int os_watch(poe_kernel *k, const struct record *r) {
  if (r->signum == SIGCHLD) return poe__child_listen(k);
  if (!is_ours(k, r)) return 0;
  int err = poe__loop_watch_signal(k, r->signum);
  if (!err) k->signals.os_watched++;
  return err;
}

static void os_ignore(poe_kernel *k, const struct record *r) {
  if (!is_ours(k, r)) return;
  poe__loop_ignore_signal(k, r->signum);
  k->signals.os_watched--;
  if (r->signum == SIGPIPE) ignore_pipe();
}

static struct record *make_record(poe_kernel *k, poe_name *name, int *err) {
  *err = poe__map_reserve(k, &k->signals.signals);
  if (*err) return NULL;
  struct record *r = poe__zalloc(k, sizeof *r);
  if (!r) {
    *err = -ENOMEM;
    return NULL;
  }
  r->name = name;
  r->signum = signal_number(name->text);
  r->link.key = name->id;
  *err = os_watch(k, r);
  if (*err) {
    poe__free(k, r, sizeof *r);
    return NULL;
  }
  poe_name_ref(name);
  poe__map_add(&k->signals.signals, &r->link);
  return r;
}

static void drop_record_if_unused(poe_kernel *k, struct record *r) {
  if (r->watchers) return;
  os_ignore(k, r);
  int is_chld = r->signum == SIGCHLD;
  poe__map_remove(k, &k->signals.signals, &r->link);
  poe_name_unref(k, r->name);
  poe__free(k, r, sizeof *r);
  if (is_chld) poe__child_update(k);
}

static void release(poe_kernel *k, struct watcher *w) {
  if (--w->holds > 0) return;
  poe__discard(k, w->n, w->words);
  poe__name_drop(k, w->event);
  poe__name_drop(k, w->file);
  poe__free(k, w, sizeof *w + w->n * sizeof(uint64_t));
}

void poe__signal_drop(poe_kernel *k, struct poe__owned *o) {
  struct watcher *w = POE__ITEM(o, struct watcher, owned);
  struct record *r = w->on;
  poe__map_remove(k, &k->signals.watchers, &w->link);
  poe__disown(o);
  w->on = NULL;
  release(k, w);
  r->watchers--;
  drop_record_if_unused(k, r);
}

static struct watcher *make_watcher(poe_kernel *k, poe_name *event,
                                    struct poe_origin origin,
                                    struct poe_payload args) {
  if (poe__map_reserve(k, &k->signals.watchers)) return NULL;
  struct watcher *w = poe__zalloc(k, sizeof *w + args.n * sizeof(uint64_t));
  if (!w) return NULL;
  w->holds = 1;
  w->event = poe__name_keep(event);
  w->file = poe__name_keep(origin.file);
  w->line = origin.line;
  w->n = args.n;
  for (unsigned i = 0; i < args.n; i++) w->words[i] = args.words[i];
  return w;
}

static poe_name *canonical(poe_kernel *k, poe_name *signal) {
  return strcmp(signal->text, "CLD") == 0 ? k->n_chld : signal;
}

int poe_sig_watch(poe_kernel *k, poe_name *signal, poe_name *event,
                  struct poe_origin origin, struct poe_payload args) {
  poe_session *s = poe_active_session(k);
  int err = 0;
  if (!poe__session_can_own(s)) return -ESRCH;
  signal = canonical(k, signal);
  struct watcher *old = find(k, s, signal);
  struct record *r = find_record(k, signal);
  if (!r) r = make_record(k, signal, &err);
  if (!r) return err;
  struct watcher *w = make_watcher(k, event, origin, args);
  if (!w) {
    drop_record_if_unused(k, r);
    return -ENOMEM;
  }
  w->on = r;
  w->link.key = key_of(s, signal);
  r->watchers++;
  if (old) poe__signal_drop(k, &old->owned);
  poe__map_add(&k->signals.watchers, &w->link);
  poe__own(s, &w->owned, POE__OWNED_SIGNAL);
  if (k->trace & POE__WHY) poe__made(k, w, origin);
  POE__TRACE_OF(k, s, POE_TRACE_SIGNALS, "<sg> %s watches signal %s",
                poe__label(s), signal->text);
  return 0;
}

int poe_sig_ignore(poe_kernel *k, poe_name *signal) {
  struct watcher *w =
      find(k, poe_active_session(k), canonical(k, signal));
  if (w) poe__signal_drop(k, &w->owned);
  return 0;
}

/* ---- sending ------------------------------------------------------------------------ */

int poe_signal(poe_kernel *k, poe_session *dest, poe_name *signal,
               struct poe_origin origin, struct poe_payload args) {
  if (poe__session_accepts(dest)) return -ESRCH;
  struct poe__send send = {.dest = dest,
                           .source = poe_active_session(k),
                           .event = canonical(k, signal),
                           .from = poe__active_event(k),
                           .origin = origin,
                           .type = POE_EV_SIGNAL,
                           .args = args};
  return poe__enqueue(k, &send);
}

int poe__signal_queue(poe_kernel *k, poe_session *dest, poe_name *signal) {
  struct poe__send send = {.dest = dest,
                           .source = &k->root,
                           .event = signal,
                           .type = POE_EV_SIGNAL};
  return poe__enqueue(k, &send);
}

void poe_loop_caught(poe_kernel *k, int signum) {
  if (signum <= 0 || signum >= POE__SIGNALS) return;
  k->signals.caught[signum]++;
  k->signals.any_caught = 1;
}

static void queue_by_name(poe_kernel *k, const char *text) {
  poe_name *name = poe_name_get(k, text, strlen(text));
  if (!name || poe__signal_queue(k, &k->root, name)) k->error = -ENOMEM;
  if (name) poe_name_unref(k, name);
}

/* By each of its names that is watched; by its first one if none is. */
static void queue_caught(poe_kernel *k, int signum) {
  char buf[16];
  int any = 0;
  for (size_t i = 0; i < SYSTEM_SIGNALS; i++) {
    if (!watched_as(k, signum, i)) continue;
    queue_by_name(k, system_signals[i].name);
    any = 1;
  }
  if (!any) queue_by_name(k, poe_signal_name(signum, buf));
}

void poe__signal_collect(poe_kernel *k) {
  if (k->signals.any_caught) {
    k->signals.any_caught = 0;
    for (int signum = 1; signum < POE__SIGNALS; signum++) {
      uint32_t times = k->signals.caught[signum];
      k->signals.caught[signum] = 0;
      if (POE__UNLIKELY(k->why.is_listening))
        times = poe__why_caught(k, signum, times);
      if (signum == SIGCHLD)
        k->children.reap |= times > 0;
      else
        while (times-- > 0) queue_caught(k, signum);
    }
  }
  if (k->children.reap) poe__child_reap(k);
}

/* ---- dispatch -------------------------------------------------------------------------- */

void poe_sig_handled(poe_kernel *k) {
  if (k->signals.handled) *k->signals.handled = 1;
}

/* One signal under way. */
struct flight {
  struct poe__message *m; /* whence it came; its event is the signal */
  const uint64_t *words;
  poe_name *name;
  struct poe__walk scope;   /* backwards: the order of delivery */
  struct watcher **watcher; /* beside scope; held; NULL where none */
  struct watcher *few[POE__WALK_FEW];
  int handled;
  int was_exception; /* one was waiting before this one came */
};

static int snapshot(poe_kernel *k, struct flight *fl) {
  if (!find_record(k, fl->name)) return 0;
  fl->watcher = fl->scope.count <= POE__WALK_FEW
                    ? fl->few
                    : poe__alloc(k, fl->scope.count * sizeof *fl->watcher);
  if (!fl->watcher) return -ENOMEM;
  for (size_t i = 0; i < fl->scope.count; i++) {
    struct watcher *w = find(k, fl->scope.at[i], fl->name);
    if (w) w->holds++;
    fl->watcher[i] = w;
  }
  return 0;
}

static void run_watcher(poe_kernel *k, struct flight *fl, struct watcher *w) {
  struct poe__message *m = fl->m;
  poe_name *event = poe__name_at(k, w->event);
  struct poe_frame f =
      poe__frame(k, w->owned.session, &k->root, event, m->type);
  f.from = poe__name_at(k, m->from);
  f.file = poe__name_at(k, m->file);
  f.line = m->line;
  struct poe_lead leads[POE_LEADS_MAX] = {
      {POE_LEAD_NAME, {.name = fl->name}}};
  struct poe_dispatch d = {
      .nleads = 1 + m->own,
      .leads = leads,
      .args = {(unsigned)m->n - m->own, fl->words + m->own},
      .args_borrowed = 1,
      .extra = {w->n, w->words}};
  for (unsigned i = 0; i < m->own; i++)
    leads[1 + i] = (struct poe_lead){POE_LEAD_INT, {.i = (int64_t)fl->words[i]}};
  POE__TRACE_OF(k, w->owned.session, POE_TRACE_SIGNALS,
                "<sg> signal %s to %s as ``%s''",
                fl->name->text, poe__label(w->owned.session), event->text);
  struct poe_value exception = {0};
  if (poe__dispatch(k, &f, &d, &exception) == POE_DIED)
    poe__died(k, &f, &exception);
}

static void run_watchers(poe_kernel *k, struct flight *fl) {
  if (!fl->watcher) return;
  for (size_t i = fl->scope.count; i-- > 0;) {
    struct watcher *w = fl->watcher[i];
    if (!w) continue;
    if (!(fl->scope.at[i]->flags & POE__DEAD)) run_watcher(k, fl, w);
    release(k, w);
  }
  if (fl->watcher != fl->few)
    poe__free(k, fl->watcher, fl->scope.count * sizeof *fl->watcher);
}

/* Nobody made use of the warning: the next idle signal cannot be handled.
   One that a program sends to a session does not come so far. */
static void idle_was_handled(poe_kernel *k, const poe_session *dest) {
  if (dest != &k->root || k->events || k->selects.count) return;
  if (poe__signal_queue(k, &k->root, k->n_zombie)) k->error = -ENOMEM;
}

static void stop_reached(poe_kernel *k, struct flight *fl) {
  enum signal_class class = class_of(k, fl->name);
  if (class == BENIGN || (class == TERMINAL && fl->handled)) return;
  if (k->why.is_listening && strcmp(fl->name->text, "INT") == 0)
    poe__why_interrupted(k);
  poe_session *sender = poe_active_session(k);
  poe__session_hold(sender);
  for (size_t i = fl->scope.count; i-- > 0;)
    poe__session_stop(k, fl->scope.at[i], sender);
  poe__session_release(k, sender);
}

/* Deliver to fl->scope, which is set. */
static void fly(poe_kernel *k, struct flight *fl) {
  int *outer = k->signals.handled;
  fl->was_exception = k->has_exception;
  POE__TRACE(k, POE_TRACE_SIGNALS, "<sg> dispatching signal %s",
             fl->name->text);
  if (snapshot(k, fl)) {
    k->error = -ENOMEM; /* who would have handled it is not to be stopped */
    return;
  }
  k->signals.handled = &fl->handled;
  run_watchers(k, fl);
  k->signals.handled = outer;
  if (fl->name == k->n_idle && fl->handled)
    idle_was_handled(k, fl->m->dest);
  stop_reached(k, fl);
}

/* The ancestors, outermost first: delivered last. */
static int add_ancestors(poe_kernel *k, struct poe__walk *w, poe_session *s) {
  size_t first = w->count;
  int err = 0;
  for (; !err && s && !(s->flags & POE__IS_ROOT); s = s->parent)
    err = poe__walk_add(k, w, s);
  for (size_t i = first, j = w->count; i + 1 < j--; i++) {
    poe_session *swap = w->at[i];
    w->at[i] = w->at[j];
    w->at[j] = swap;
  }
  return err;
}

static void end_flight(poe_kernel *k, struct flight *fl) {
  unsigned n = (unsigned)fl->m->n - fl->m->own;
  const uint64_t *words = fl->words + fl->m->own;
  poe__walk_free(k, &fl->scope);
  if (fl->m->type & POE_EV_DIE) poe__count_deaths(k, 0, -1);
  /* A DIE that a program sent is a signal like others. */
  if (!(fl->m->type & POE_EV_DIE) || fl->handled) {
    poe__discard(k, n, words);
    return;
  }
  struct poe_value exception = {.n = n};
  memcpy(exception.words, words, n * sizeof *words);
  if (k->has_exception && !fl->was_exception) {
    /* Its own handlers failed too: this one was first. */
    struct poe_value second = k->exception;
    k->has_exception = 0;
    poe__set_exception(k, &exception);
    poe__set_exception(k, &second);
  } else {
    poe__set_exception(k, &exception);
  }
}

void poe__signal_deliver(poe_kernel *k, struct poe__message *m,
                         const uint64_t *queued) {
  uint64_t words[POE_PAYLOAD_MAX + 2]; /* the queue's may go meanwhile */
  memcpy(words, queued, m->n * sizeof *words);
  struct flight fl = {
      .m = m, .words = words, .name = poe__name_at(k, m->event)};
  int err = 0;
  if (m->type & POE_EV_DIE) {
    poe__count_deaths(k, -1, 1);
    err = add_ancestors(k, &fl.scope, m->dest->parent);
  }
  if (!err) err = poe__walk_tree(k, &fl.scope, m->dest);
  if (err)
    k->error = err;
  else
    fly(k, &fl);
  end_flight(k, &fl);
}

void poe__signal_die_up(poe_kernel *k, poe_session *first,
                        struct poe_value *exception) {
  if (!k->catching) {
    poe__set_exception(k, exception);
    return;
  }
  struct poe__message m = {.type = POE_EV_DIE, .n = (uint16_t)exception->n};
  k->traced_kind = NULL; /* it never was in the queue */
  struct flight fl = {
      .m = &m, .words = exception->words, .name = k->n_die};
  poe__count_deaths(k, 0, 1);
  if (add_ancestors(k, &fl.scope, first))
    k->error = -ENOMEM;
  else
    fly(k, &fl);
  end_flight(k, &fl);
}

/* ---- why ------------------------------------------------------------------------------- */

/* Watchers are no reason to live, but for one: CHLD, while it awaits. */
void poe__signal_why(poe_kernel *k, struct poe__owned *o,
                     struct poe__asking *a) {
  const struct watcher *w = POE__ITEM(o, struct watcher, owned);
  if (w->on->name != k->n_chld || k->children.own == 0) return;
  struct poe_reason r = {.kind = POE_BY_SIGNAL,
                         .keeps_program = 1,
                         .session = o->session,
                         .name = w->on->name,
                         .event = poe__name_at(k, w->event),
                         .count = k->children.own,
                         .file = poe__name_at(k, w->file),
                         .line = w->line};
  poe__why_tell(a, w, &r);
}
