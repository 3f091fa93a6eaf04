/* SPDX-License-Identifier: MIT */
/*
 * fake_host.c -- see fake_host.h.  One host a process, as each test has its
 * own process.
 */
#include "fake_host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

struct host host;
const struct poe_origin here = {NULL, 42};

/* ---- memory ----------------------------------------------------------------- */

struct memory memory = {.allow = -1};

/* In front of each block; keeps malloc's alignment. */
struct block {
  size_t size, guard;
};

#define GUARD 0x600dfeedu

static int may_allocate(void) {
  if (memory.allow < 0) return 1;
  if (memory.allow > 0) {
    memory.allow--;
    return 1;
  }
  memory.failed++;
  if (!memory.for_ever) memory.allow = -1;
  return 0;
}

static struct block *block_of(void *p, size_t osize) {
  if (!p) {
    ASSERT_EQ(osize, 0);
    return NULL;
  }
  struct block *b = (struct block *)p - 1;
  ASSERT_EQ(b->guard, GUARD);
  ASSERT_EQ(b->size, osize); /* the kernel remembers its sizes */
  return b;
}

static void *allocate(void *ud, void *p, size_t osize, size_t nsize) {
  ASSERT_PTR_EQ(ud, &memory);
  struct block *b = block_of(p, osize);
  if (nsize == 0) {
    if (!b) return NULL;
    memory.blocks--;
    memory.bytes -= osize;
    b->guard = 0;
    free(b);
    return NULL;
  }
  memory.calls++;
  if (!may_allocate()) return NULL;
  struct block *fresh = malloc(sizeof *fresh + nsize);
  *fresh = (struct block){nsize, GUARD};
  memset(fresh + 1, 0xa5, nsize);
  if (b) {
    memcpy(fresh + 1, p, osize < nsize ? osize : nsize);
    b->guard = 0;
    free(b);
  } else {
    memory.blocks++;
  }
  memory.bytes += nsize - osize;
  return fresh + 1;
}

/* ---- payloads ---------------------------------------------------------------- */

/* A word is its index in this ledger and its value. */
static char *ledger;
static size_t nwords, ledger_room, nout;

static uint64_t issue_word(int value) {
  if (nwords == ledger_room) {
    ledger_room = ledger_room ? ledger_room * 2 : 1024;
    ledger = realloc(ledger, ledger_room);
  }
  ledger[nwords] = 1;
  nout++;
  return (uint64_t)nwords++ << 32 | (uint32_t)value;
}

int value_of(uint64_t word) { return (int)(uint32_t)word; }

size_t words_out(void) { return nout; }

struct poe_payload issue(unsigned n, const int *values) {
  static uint64_t words[64][POE_PAYLOAD_MAX];
  static unsigned turn;
  uint64_t *w = words[turn++ % 64];
  for (unsigned i = 0; i < n; i++) w[i] = issue_word(values[i]);
  return (struct poe_payload){n, w};
}

struct poe_value issue_value(int value) {
  return (struct poe_value){1, {issue_word(value), 0}};
}

static void assert_out(struct poe_payload p) {
  for (unsigned i = 0; i < p.n; i++) {
    ASSERT_LT(p.words[i] >> 32, nwords);
    if (!ledger[p.words[i] >> 32])
      FAIL("payload word %d was given back before", value_of(p.words[i]));
  }
}

void take_back(struct poe_payload p) {
  for (unsigned i = 0; i < p.n; i++) {
    assert_out((struct poe_payload){1, p.words + i});
    ledger[p.words[i] >> 32] = 0;
    nout--;
  }
}

/* ---- the log ------------------------------------------------------------------- */

static char log_text[1 << 16];
static size_t log_len;

static void append(const char *format, ...) {
  va_list args;
  va_start(args, format);
  int n =
      vsnprintf(log_text + log_len, sizeof log_text - log_len, format, args);
  va_end(args);
  log_len += (size_t)n;
  if (log_len >= sizeof log_text) log_len = sizeof log_text - 1;
}

static void begin_entry(void) {
  if (log_len) append(", ");
  if (host.log_time)
    append("@%lld ", (long long)((fake_clock.mono_ns - CLOCK_START) / MS));
}

void note(const char *format, ...) {
  char text[256];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  begin_entry();
  append("%s", text);
}

const char *take_log(void) {
  static char taken[sizeof log_text];
  memcpy(taken, log_text, log_len + 1);
  log_len = 0;
  log_text[0] = '\0';
  return taken;
}

static unsigned data_of(const poe_session *s) {
  return (unsigned)poe_session_data(s);
}

static void log_lead(const struct poe_lead *l, unsigned type) {
  switch (l->kind) {
    case POE_LEAD_INT:
      if (type & POE_EV_SELECT) append(" %lld", (long long)l->as.i);
      break;
    case POE_LEAD_TEXT: append(" %s", l->as.text); break;
    case POE_LEAD_NAME: append(" %s", poe_name_text(l->as.name, NULL)); break;
    case POE_LEAD_SESSION: append(" %u", data_of(l->as.session)); break;
    case POE_LEAD_VALUE:
      if (l->as.value->n)
        append(" =%d", value_of(l->as.value->words[0]));
      else
        append(" =nil");
      break;
  }
}

static void log_dispatch(const struct poe_dispatch *d, const struct call *c) {
  begin_entry();
  append("%u %s", c->me, c->event);
  for (unsigned i = 0; i < d->nleads; i++)
    log_lead(&d->leads[i], d->frame->type);
  for (unsigned i = 0; i < c->n; i++) append("%s%d", i ? "," : "(", c->args[i]);
  if (c->n) append(")");
}

/* ---- ops ------------------------------------------------------------------------- */

struct entry {
  unsigned me;
  const char *event;
  handler fn;
};

static struct entry table[128];
static unsigned nentries;

static struct entry *find_exactly(unsigned me, const char *event) {
  for (unsigned i = 0; i < nentries; i++)
    if (table[i].me == me && strcmp(table[i].event, event) == 0)
      return &table[i];
  return NULL;
}

void on(unsigned me, const char *event, handler fn) {
  struct entry *e = find_exactly(me, event);
  if (!e) {
    ASSERT_LT(nentries, sizeof table / sizeof *table);
    e = &table[nentries++];
  }
  *e = (struct entry){me, event, fn};
}

void off(unsigned me, const char *event) {
  struct entry *e = find_exactly(me, event);
  if (e) *e = table[--nentries];
}

static void add_args(struct call *c, struct poe_payload p) {
  assert_out(p);
  for (unsigned i = 0; i < p.n; i++) c->args[c->n++] = value_of(p.words[i]);
}

static void read_dispatch(struct call *c, const struct poe_dispatch *d) {
  add_args(c, d->args);
  add_args(c, d->extra);
  if (!d->args_borrowed) take_back(d->args);
  if (d->handle) {
    assert_out((struct poe_payload){d->handle->n, d->handle->words});
    c->handle = d->handle->n ? value_of(d->handle->words[0]) : 0;
  }
  for (unsigned i = 0; i < d->nleads; i++)
    if (d->leads[i].kind == POE_LEAD_INT) c->lead[i] = d->leads[i].as.i;
}

/* The test itself acts as a session, see `as`: no entry in the log. */
static void (*as_fn)(void);

static void run_as(struct call *c) {
  (void)c;
  as_fn();
}

static enum poe_outcome op_dispatch(void *ud, const struct poe_dispatch *d,
                                    struct poe_value *result) {
  const struct poe_frame *f = d->frame;
  struct call c = {.f = f, .me = data_of(f->session), .result = result};
  ASSERT_PTR_EQ(ud, &host);
  ASSERT_PTR_EQ(f, poe_kernel_frame(host.k));
  ASSERT_PTR_EQ(poe_active_session(host.k), f->session);
  c.event = poe_name_text(f->event, NULL);
  read_dispatch(&c, d);
  struct entry *e = find_exactly(c.me, c.event);
  if (!e) e = find_exactly(0, c.event);
  if (!e) return POE_UNHANDLED;
  if (e->fn != run_as) log_dispatch(d, &c);
  if (e->fn) e->fn(&c);
  return c.outcome;
}

static void op_batch(void *ud) {
  const struct poe_dispatch *d;
  unsigned n = 0;
  ASSERT_PTR_EQ(ud, &host);
  for (; (d = poe_next(host.k)); n++) {
    struct poe_value result = {0};
    enum poe_outcome outcome = op_dispatch(ud, d, &result);
    poe_done(host.k, outcome, &result);
  }
  ASSERT_GT(n, 0);
}

static void op_discard(void *ud, struct poe_payload words) {
  ASSERT_PTR_EQ(ud, &host);
  ASSERT_GT(words.n, 0);
  take_back(words);
}

static void forget_session(uint64_t id);

static void op_session_gone(void *ud, poe_session *s) {
  ASSERT_PTR_EQ(ud, &host);
  host.gone++;
  forget_session(poe_session_id(s));
}

static void op_name_gone(void *ud, const poe_name *name) {
  ASSERT_PTR_EQ(ud, &host);
  ASSERT_GT(poe_name_id(name), 0);
}

static int op_collect(void *ud) {
  ASSERT_PTR_EQ(ud, &host);
  host.collects++;
  if (host.collect_hook) host.collect_hook();
  return host.collect_result;
}

static void op_combine(void *ud, struct poe_value *first,
                       const struct poe_value *second) {
  ASSERT_PTR_EQ(ud, &host);
  ASSERT_GT(first->n, 0);
  host.combined++;
  take_back((struct poe_payload){second->n, second->words});
}

static void op_log(void *ud, const char *line) {
  ASSERT_PTR_EQ(ud, &host);
  size_t used = strlen(host.lines);
  snprintf(host.lines + used, sizeof host.lines - used, "%s\n", line);
}

static void op_why(void *ud) {
  ASSERT_PTR_EQ(ud, &host);
  host.whys++;
}

static const struct poe_ops one_by_one = {
    .dispatch = op_dispatch,
    .discard = op_discard,
    .session_gone = op_session_gone,
    .name_gone = op_name_gone,
    .collect = op_collect,
    .combine = op_combine,
    .log = op_log,
    .why = op_why,
};
static struct poe_ops ops;

/* ---- open and close -------------------------------------------------------------- */

#define NAMES 256
static poe_name *names[NAMES];
static size_t nnames, base_names;
static int sees_memory;

int host_try_open(struct host_options o) {
  struct poe_clock clock = fake_clock_make(o.has_jump);
  struct poe_config config = {.ops = &ops,
                              .ud = &host,
                              .loop = &fake_loop_ops,
                              .clock = o.real_loop ? NULL : &clock,
                              .alloc = allocate,
                              .alloc_ud = &memory};
  ops = one_by_one;
  if (test_in_batches) ops.batch = op_batch;
  if (o.use_malloc) config.alloc = NULL;
  if (o.real_loop) config.loop = poe_loop_find(o.real_loop);
  fake_loop_reset();
  int err = poe_kernel_new(&config, &host.k);
  if (err) return err;
  struct poe_census c;
  poe_census(host.k, &c);
  base_names = c.names;
  sees_memory = !o.use_malloc;
  return 0;
}

void host_open_with(struct host_options o) { ASSERT_EQ(host_try_open(o), 0); }

void host_open(void) { host_open_with((struct host_options){0}); }

static void drop_names(void) {
  while (nnames) poe_name_unref(host.k, names[--nnames]);
}

void host_assert_empty(void) {
  struct poe_census c;
  drop_names();
  poe_census(host.k, &c);
  ASSERT_EQ(c.sessions, 0);
  ASSERT_EQ(c.events, 0);
  ASSERT_EQ(c.timers, 0);
  ASSERT_EQ(c.selects, 0);
  ASSERT_EQ(c.signals, 0);
  ASSERT_EQ(c.children, 0);
  ASSERT_EQ(c.aliases, 0);
  ASSERT_EQ(c.tags, 0);
  ASSERT_EQ(c.names, base_names);
  if (sees_memory) ASSERT_EQ(c.allocations, memory.blocks);
}

void host_close(void) {
  if (host.k) {
    drop_names();
    poe_kernel_free(host.k);
    host.k = NULL;
    ASSERT_EQ(fake_loop.opens, fake_loop.closes);
    ASSERT_EQ(fake_loop_left(), 0);
  }
  ASSERT_EQ(memory.blocks, 0);
  ASSERT_EQ(memory.bytes, 0);
  ASSERT_EQ(nout, 0);
  ASSERT_EQ(host.gone, host.started);
  free(ledger);
  ledger = NULL;
  nwords = ledger_room = 0;
}

/* ---- the model of tags and descriptors ---------------------------------------------- */

struct held {
  uint64_t session;
  int fd; /* -1: a tag */
  unsigned modes;
  char tag[16];
  int64_t count;
};

static struct held held[1024];
static unsigned nheld;

static struct held *find_held(uint64_t session, int fd, const char *tag) {
  for (unsigned i = 0; i < nheld; i++)
    if (held[i].session == session && held[i].fd == fd &&
        strcmp(held[i].tag, tag) == 0)
      return &held[i];
  return NULL;
}

static struct held *hold(uint64_t session, int fd, const char *tag) {
  struct held *h = find_held(session, fd, tag);
  if (h) return h;
  ASSERT_LT(nheld, sizeof held / sizeof *held);
  h = &held[nheld++];
  *h = (struct held){.session = session, .fd = fd};
  snprintf(h->tag, sizeof h->tag, "%s", tag);
  return h;
}

static void forget_session(uint64_t id) {
  for (unsigned i = nheld; i-- > 0;)
    if (held[i].session == id) held[i] = held[--nheld];
}

size_t model_tags_held(uint64_t session) {
  size_t n = 0;
  for (unsigned i = 0; i < nheld; i++)
    n += held[i].session == session && held[i].fd < 0 && held[i].count > 0;
  return n;
}

size_t model_fds_watched(uint64_t session) {
  size_t n = 0;
  for (unsigned i = 0; i < nheld; i++)
    n += held[i].session == session && held[i].fd >= 0 && held[i].modes;
  return n;
}

static uint64_t my_id(void) {
  return poe_session_id(poe_active_session(host.k));
}

/* ---- doing things ----------------------------------------------------------------- */

poe_name *nm(const char *text) {
  poe_name *name = poe_name_get(host.k, text, strlen(text));
  if (!name) return NULL;
  for (size_t i = 0; i < nnames; i++) {
    if (names[i] != name) continue;
    poe_name_unref(host.k, name);
    return name;
  }
  ASSERT_LT(nnames, NAMES);
  return names[nnames++] = name;
}

struct search {
  unsigned data;
  poe_session *found;
};

static void search(poe_session *s, struct search *q) {
  if (poe_session_id(s) && data_of(s) == q->data)
    if (!q->found || poe_session_id(q->found) < poe_session_id(s)) q->found = s;
  poe_session *child = poe_session_first_child(s);
  for (; child; child = poe_session_next_sibling(child)) search(child, q);
}

poe_session *by(unsigned data) {
  struct search q = {data, NULL};
  if (data == 0) return poe_kernel_session(host.k);
  search(poe_kernel_session(host.k), &q);
  if (!q.found) FAIL("there is no session %u", data);
  return q.found;
}

int is_alive(unsigned data) {
  struct search q = {data, NULL};
  search(poe_kernel_session(host.k), &q);
  return q.found != NULL;
}

static int start_as(unsigned data, uint64_t *id) {
  int err = poe_session_start(host.k, data, here, NULL, id);
  if (!err) host.started++;
  return err;
}

uint64_t start(unsigned data) {
  uint64_t id;
  ASSERT_EQ(start_as(data, &id), 0);
  return id;
}

int try_start(unsigned data) {
  uint64_t id;
  return start_as(data, &id);
}

/* Without memory for the name the operation has failed. */
#define NAMED(var, text, args)                                                 \
  poe_name *var = nm(text);                                                    \
  if (!var) {                                                                  \
    take_back(args);                                                           \
    return -ENOMEM;                                                            \
  }

static int settle(int err, struct poe_payload args) {
  if (err < 0) take_back(args);
  return err;
}

int do_post(unsigned dest, const char *event, struct poe_payload args) {
  NAMED(name, event, args)
  return settle(poe_post(host.k, by(dest), name, here, args), args);
}

int do_call(unsigned dest, const char *event) {
  struct poe_value error = {0};
  NAMED(name, event, NONE)
  int err = poe_call(host.k, by(dest), name, here, NULL, &error);
  if (error.n) {
    note("raised %d", value_of(error.words[0]));
    take_back((struct poe_payload){error.n, error.words});
  }
  return err;
}

int do_signal(unsigned dest, const char *signal, struct poe_payload args) {
  NAMED(name, signal, args)
  return settle(poe_signal(host.k, by(dest), name, here, args), args);
}

int do_sig(const char *signal, const char *event, struct poe_payload args) {
  NAMED(name, signal, args)
  NAMED(ev, event, args)
  return settle(poe_sig_watch(host.k, name, ev, here, args), args);
}

int do_unsig(const char *signal) {
  NAMED(name, signal, NONE)
  return poe_sig_ignore(host.k, name);
}

int do_sig_child(int64_t pid, const char *event, struct poe_payload args) {
  NAMED(name, event, args)
  return settle(poe_sig_child(host.k, pid, name, here, args), args);
}

static int64_t set_timer(const char *event, enum poe_timer_clock clock,
                         int64_t ns, struct poe_payload args) {
  int64_t id = 0;
  NAMED(name, event, args)
  int err =
      settle(poe_timer_set(host.k, name, clock, ns, here, args, &id), args);
  return err ? err : id;
}

int64_t do_delay(const char *event, int64_t ns, struct poe_payload args) {
  return set_timer(event, POE_DELAY, ns, args);
}

int64_t do_alarm(const char *event, int64_t epoch_ns, struct poe_payload args) {
  return set_timer(event, POE_ALARM, epoch_ns, args);
}

int do_timer_remove(int64_t id) {
  struct poe_timer_info info;
  int err = poe_timer_remove(host.k, id, &info);
  if (err) return err;
  note("removed %s", poe_name_text(info.event, NULL));
  poe_name_unref(host.k, info.event);
  take_back((struct poe_payload){info.n, info.words});
  return info.n ? value_of(info.words[0]) : 0;
}

int do_alias(const char *alias) {
  NAMED(name, alias, NONE)
  return poe_alias_set(host.k, name);
}

int do_unalias(const char *alias) {
  NAMED(name, alias, NONE)
  return poe_alias_remove(host.k, name);
}

static int64_t change_tag(unsigned data, const char *tag, int *err,
                          int (*change)(poe_kernel *, poe_session *, poe_name *,
                                        int64_t *)) {
  int ignored;
  int64_t count = 0;
  poe_session *s = by(data);
  poe_name *name = nm(tag);
  if (!err) err = &ignored;
  *err = name ? change(host.k, s, name, &count) : -ENOMEM;
  if (!*err) hold(poe_session_id(s), -1, tag)->count = count;
  return count;
}

int64_t do_inc(unsigned data, const char *tag, int *err) {
  return change_tag(data, tag, err, poe_extref_inc);
}

int64_t do_dec(unsigned data, const char *tag, int *err) {
  return change_tag(data, tag, err, poe_extref_dec);
}

int do_watch(int fd, enum poe_mode mode, const char *event, int handle,
             struct poe_payload args) {
  NAMED(name, event, args)
  struct poe_value v = issue_value(handle);
  struct poe_handle h = {.fd = fd, .value = v};
  int err = settle(poe_select_watch(host.k, h, mode, name, here, args), args);
  if (err)
    take_back((struct poe_payload){v.n, v.words});
  else
    hold(my_id(), fd, "")->modes |= 1u << mode;
  return err;
}

int do_ignore(int fd, enum poe_mode mode) {
  struct held *h = find_held(my_id(), fd, "");
  if (h) h->modes &= ~(1u << mode);
  return poe_select_ignore(host.k, fd, mode);
}

void do_forget(int fd) {
  for (unsigned i = 0; i < nheld; i++)
    if (held[i].fd == fd) held[i].modes = 0;
  poe_select_forget(host.k, fd);
}

void die(struct call *c, int value) {
  *c->result = issue_value(value);
  c->outcome = POE_DIED;
}

void give(struct call *c, int value) { *c->result = issue_value(value); }

int exception(void) {
  struct poe_value v;
  if (!poe_kernel_exception(host.k, &v)) return 0;
  take_back((struct poe_payload){v.n, v.words});
  return value_of(v.words[0]);
}

int do_slice(void) {
  int more = poe_kernel_slice(host.k);
  if (!host.unchecked) check_invariants(host.k);
  return more;
}

int do_run(void) {
  int more = 1;
  for (unsigned n = 0; more > 0; n++) {
    if (n > 200000) FAIL("the run does not end: %s", take_log());
    more = do_slice();
  }
  return more;
}

void as(unsigned data, void (*fn)(void)) {
  as_fn = fn;
  on(0, "(as)", run_as);
  struct poe_value error;
  poe_name *name = nm("(as)");
  ASSERT_EQ(poe_call(host.k, by(data), name, here, NULL, &error), 0);
  if (!host.unchecked && !poe_kernel_frame(host.k)) check_invariants(host.k);
}

void log_life(void) {
  on(0, "_start", NULL);
  on(0, "_stop", NULL);
}

void log_family(void) {
  log_life();
  on(0, "_child", NULL);
  on(0, "_parent", NULL);
}

void make_pipe(int fd[2]) { ASSERT_EQ(pipe(fd), 0); }
