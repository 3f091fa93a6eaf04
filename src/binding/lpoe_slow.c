/* SPDX-License-Identifier: MIT */
/*
 * lpoe_slow.c -- the switch slow_ms: a thread that watches how long a handler
 * holds the kernel, and tells of it while it still does.
 *
 * The kernel's guard notes under a lock what runs; the thread looks at it
 * every quarter of the limit.  Whoever has run too long it prods by a signal
 * to the kernel's own thread.  The signal's handler sets a hook, as lua.c does
 * for an interrupt, and the hook, now in Lua, prints the stack.  If it does
 * not come to run though the kernel's thread has run or slept, Lua does not
 * either: then the thread itself tells what it knows.  Of each time that the
 * kernel is held, one of the two tells.
 *
 * Holding begins with a handler that the kernel runs from its queue.  What
 * that one calls belongs to it; slices that it runs do not.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lpoe.h"

/* A prodded handler counts as not in Lua when it has slept through the second
   half of the grace, or has run for so long. */
#define HALF_NS 50000000
#define RUN_NS 10000000

struct lpoe_slow {
  struct lpoe *P;
  int64_t limit_ns;
  int signum;
  struct sigaction old_action;
  pthread_t thread, kernel;
  pid_t kernel_id; /* what the system calls that thread */
  pthread_mutex_t lock;
  pthread_cond_t change; /* it is to stop */
  int is_alone; /* in the child of a fork the thread is missing */

  /* under the lock: what runs */
  int is_stopping, is_busy;
  unsigned turn, told; /* number of the hold; of the last one told of */
  int64_t since_ns;    /* when the thread first saw this turn */
  uint64_t session;
  char alias[48], event[64];

  /* the kernel's thread alone, and its signal handler */
  const struct poe_frame *volatile frame; /* NULL: none is watched */
  lua_State *volatile hooked;
  lua_Hook old_hook;
  int old_mask, old_count;
};

/* Of this thread's kernel; for the signal handler. */
static _Thread_local struct lpoe_slow *mine;

static int64_t read_ns(clockid_t clock) {
  struct timespec t;
  if (clock_gettime(clock, &t) < 0) return INT64_MAX;
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t now_ns(void) { return read_ns(CLOCK_MONOTONIC); }

/* ---- telling ----------------------------------------------------------------- */

static void start_line(const struct lpoe_slow *s, char *buf, size_t size,
                       int64_t now) {
  char alias[64] = "";
  if (*s->alias) snprintf(alias, sizeof alias, " \"%s\"", s->alias);
  snprintf(buf, size, "poe: slow handler: session %llu%s has been in its "
           "handler of '%s' for %lld ms",
           (unsigned long long)s->session, alias, s->event,
           (long long)((now - s->since_ns) / 1000000));
}

/* May this turn be told of?  Not twice. */
static int claim(struct lpoe_slow *s, char *line, size_t size) {
  pthread_mutex_lock(&s->lock);
  int is_new = s->is_busy && s->told != s->turn;
  s->told = s->turn;
  start_line(s, line, size, now_ns());
  pthread_mutex_unlock(&s->lock);
  return is_new;
}

/* Stack: the first line, the struct. */
static int tell_stack(lua_State *L) {
  struct lpoe_slow *s = lua_touserdata(L, 2);
  luaL_traceback(L, L, lua_tostring(L, 1), 1);
  lua_pushliteral(L, "\n");
  lpoe_push_path(L, s->frame);
  lua_pushliteral(L, "\n");
  lua_concat(L, 4);
  fputs(lua_tostring(L, -1), stderr);
  return 0;
}

static void unhook(struct lpoe_slow *s) {
  lua_State *L = s->hooked;
  if (!L) return;
  lua_sethook(L, s->old_hook, s->old_mask, s->old_count);
  s->hooked = NULL;
}

/* In Lua again: the handler can be looked at. */
static void on_hook(lua_State *L, lua_Debug *ar) {
  struct lpoe_slow *s = mine;
  char line[256];
  (void)ar;
  unhook(s);
  if (!s->frame || !claim(s, line, sizeof line)) return;
  lua_pushcfunction(L, tell_stack);
  lua_pushstring(L, line);
  lua_pushlightuserdata(L, s);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK) return;
  lua_pop(L, 1);
  fprintf(stderr, "%s\n", line);
}

/* ---- the signal ----------------------------------------------------------------- */

static void on_signal(int signum) {
  struct lpoe_slow *s = mine;
  (void)signum;
  if (!s || !s->frame || s->hooked || s->P->depth == 0) return;
  lua_State *L = s->P->co[s->P->depth - 1];
  s->old_hook = lua_gethook(L);
  s->old_mask = lua_gethookmask(L);
  s->old_count = lua_gethookcount(L);
  s->hooked = L;
  lua_sethook(L, on_hook,
              LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

/* The highest of the real-time signals that nobody has taken. */
static int take_signal(struct lpoe_slow *s) {
  struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  for (int n = SIGRTMAX; n > SIGRTMIN; n--) {
    if (sigaction(n, NULL, &s->old_action) < 0) continue;
    if (s->old_action.sa_handler != SIG_DFL) continue;
    s->signum = n;
    return sigaction(n, &sa, NULL) < 0 ? -errno : 0;
  }
  return -EBUSY;
}

/* ---- the thread ------------------------------------------------------------------- */

static void tell_without_stack(struct lpoe_slow *s, int64_t now) {
  char line[256];
  s->told = s->turn;
  start_line(s, line, sizeof line, now);
  fprintf(stderr, "%s, not in Lua (a C function, or a coroutine of its own): "
          "no stack\n", line);
}

static int64_t kernel_cpu_ns(const struct lpoe_slow *s) {
  clockid_t clock;
  return pthread_getcpuclockid(s->kernel, &clock) ? INT64_MAX : read_ns(clock);
}

/* Does the kernel's thread wait for a processor, or is it stopped?  Nobody
 * can tell without /proc: then it sleeps. */
static int is_ready(const struct lpoe_slow *s) {
  char path[64], stat[128] = "";
  snprintf(path, sizeof path, "/proc/self/task/%ld/stat", (long)s->kernel_id);
  FILE *file = fopen(path, "re");
  if (!file) return 0;
  size_t n = fread(stat, 1, sizeof stat - 1, file);
  fclose(file);
  stat[n] = '\0';
  const char *name_end = strrchr(stat, ')');
  return name_end && strncmp(name_end, ") ", 2) == 0 &&
         strchr("RTt", name_end[2]) != NULL;
}

static void wait_a_little(struct lpoe_slow *s) {
  int64_t until = now_ns() + (s->limit_ns < 4000000 ? 1000000
                                                    : s->limit_ns / 4);
  struct timespec t = {until / 1000000000, until % 1000000000};
  pthread_cond_timedwait(&s->change, &s->lock, &t);
}

/* What the watcher remembers of the handler that runs. */
struct sight {
  unsigned seen;      /* its turn */
  int64_t prodded_ns; /* or last seen starved; 0: not prodded */
  int64_t cpu_ns;     /* of the kernel's thread, when it was prodded */
  int64_t asleep_ns;  /* the same, when it was last seen asleep; else -1 */
};

/* Half the grace after the prod, or after the last time.  On a busy machine it
   may not have come to run since. */
static int is_starved(const struct lpoe_slow *s, struct sight *e) {
  int64_t cpu_ns = kernel_cpu_ns(s);
  int has_slept = cpu_ns == e->asleep_ns;
  e->asleep_ns = is_ready(s) ? -1 : cpu_ns;
  return cpu_ns - e->cpu_ns < RUN_NS && !(has_slept && e->asleep_ns >= 0);
}

static void look(struct lpoe_slow *s, struct sight *e) {
  int64_t now = now_ns();
  if (!s->is_busy || s->turn != e->seen) {
    e->seen = s->turn;
    s->since_ns = now;
    e->prodded_ns = 0;
    return;
  }
  if (s->told == e->seen || now - s->since_ns < s->limit_ns) return;
  if (!e->prodded_ns) {
    e->prodded_ns = now;
    e->cpu_ns = kernel_cpu_ns(s);
    e->asleep_ns = -1;
    pthread_kill(s->kernel, s->signum);
    return;
  }
  if (now - e->prodded_ns < HALF_NS) return; /* the hook may come yet */
  if (is_starved(s, e))
    e->prodded_ns = now;
  else
    tell_without_stack(s, now);
}

static void *watch(void *ud) {
  struct lpoe_slow *s = ud;
  struct sight e = {0};
  pthread_mutex_lock(&s->lock);
  while (!s->is_stopping) {
    look(s, &e);
    wait_a_little(s);
  }
  pthread_mutex_unlock(&s->lock);
  return NULL;
}

/* Signals are for the other threads.  Runs in the kernel's. */
static int start_thread(struct lpoe_slow *s) {
  sigset_t all, old;
  sigfillset(&all);
  s->is_alone = 0;
  s->kernel_id = gettid();
  pthread_sigmask(SIG_SETMASK, &all, &old);
  int err = pthread_create(&s->thread, NULL, watch, s);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (err) s->is_alone = 1;
  return -err;
}

/* ---- what runs ---------------------------------------------------------------------- */

static void copy(char *to, size_t size, const poe_name *name) {
  size_t n = 0;
  const char *text = name ? poe_name_text(name, &n) : "";
  if (n >= size) n = size - 1;
  memcpy(to, text, n);
  to[n] = '\0';
}

/* This handler runs from now on; NULL: none. */
static void note(struct lpoe_slow *s, const struct poe_frame *f, int is_new) {
  s->frame = NULL;
  unhook(s);
  if (s->is_alone && f) start_thread(s);
  pthread_mutex_lock(&s->lock);
  s->is_busy = f != NULL;
  s->turn += is_new != 0;
  if (f) {
    s->session = poe_session_id(f->session);
    copy(s->alias, sizeof s->alias, poe_alias_first(f->session));
    copy(s->event, sizeof s->event, f->event);
  }
  pthread_mutex_unlock(&s->lock);
  s->frame = f;
}

static int is_from_queue(const struct poe_frame *f) {
  return !f->outer || f->type & (POE_EV_POST | POE_EV_ALARM | POE_EV_SIGNAL |
                                 POE_EV_SELECT | POE_EV_SIGCHLD | POE_EV_DIE);
}

static void began(void *ud, const struct poe_frame *f) {
  note(ud, f, is_from_queue(f));
}

static void ended(void *ud, const struct poe_frame *f) {
  note(ud, f->outer, is_from_queue(f));
}

void lpoe_slow_pause(struct lpoe *P) {
  if (P->slow && P->depth) note(P->slow, NULL, 1);
}

void lpoe_slow_resume(struct lpoe *P) {
  if (P->slow && P->depth) note(P->slow, poe_kernel_frame(P->k), 1);
}

static const struct poe_guard guard = {began, ended};

/* ---- fork ------------------------------------------------------------------------------ */

static void before_fork(void) {
  if (mine) pthread_mutex_lock(&mine->lock);
}

static void after_fork(void) {
  if (mine) pthread_mutex_unlock(&mine->lock);
}

static void init_change(struct lpoe_slow *s) {
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&s->change, &attr);
  pthread_condattr_destroy(&attr);
}

/* The thread is not there, and does not wait for any change. */
static void in_child(void) {
  after_fork();
  if (!mine) return;
  mine->is_alone = 1;
  init_change(mine);
}

static void attend_forks(void) {
  pthread_atfork(before_fork, after_fork, in_child);
}

/* ---- start and stop ---------------------------------------------------------------------- */

static int init(struct lpoe_slow *s) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  if (mine) return -EBUSY; /* another state's kernel, on this thread */
  pthread_mutex_init(&s->lock, NULL);
  init_change(s);
  pthread_once(&once, attend_forks);
  s->kernel = pthread_self();
  int err = take_signal(s);
  if (err) return err;
  err = start_thread(s);
  if (err) sigaction(s->signum, &s->old_action, NULL);
  return err;
}

static int start(struct lpoe *P, int64_t limit_ns) {
  struct lpoe_slow *s = calloc(1, sizeof *s);
  if (!s) return -ENOMEM;
  s->P = P;
  s->limit_ns = limit_ns;
  int err = init(s);
  if (err) {
    free(s);
    return err;
  }
  P->slow = mine = s;
  poe_kernel_set_guard(P->k, &guard, s);
  return 0;
}

void lpoe_slow_stop(struct lpoe *P) {
  struct lpoe_slow *s = P->slow;
  if (!s) return;
  note(s, NULL, 1);
  poe_kernel_set_guard(P->k, NULL, NULL);
  pthread_mutex_lock(&s->lock);
  s->is_stopping = 1;
  pthread_cond_signal(&s->change);
  pthread_mutex_unlock(&s->lock);
  if (!s->is_alone) pthread_join(s->thread, NULL);
  sigaction(s->signum, &s->old_action, NULL);
  P->slow = mine = NULL;
  pthread_cond_destroy(&s->change);
  pthread_mutex_destroy(&s->lock);
  free(s);
}

/* ---- the switch ---------------------------------------------------------------------------- */

static void set(struct lpoe *P, lua_State *L, lua_Number ms) {
  lpoe_slow_stop(P);
  int err = ms > 0 ? start(P, (int64_t)(ms * 1e6)) : 0;
  if (err) luaL_error(L, "slow_ms: %s", strerror(-err));
}

static int is_sound(lua_Number ms) { return ms >= 0 && ms <= 1e9; }

void lpoe_slow_switch(struct lpoe *P, lua_State *L) {
  int is_off = lua_type(L, -1) == LUA_TBOOLEAN && !lua_toboolean(L, -1);
  if (!is_off &&
      (lua_type(L, -1) != LUA_TNUMBER || !is_sound(lua_tonumber(L, -1))))
    luaL_error(L, "configure: 'slow_ms' must be a number of milliseconds or "
               "false, got %s", luaL_tolstring(L, -1, NULL));
  if (!lpoe_environment(L, "POE_SLOW_MS"))
    set(P, L, is_off ? 0 : lua_tonumber(L, -1));
}

void lpoe_slow_from_environment(struct lpoe *P, lua_State *L) {
  const char *value = lpoe_environment(L, "POE_SLOW_MS");
  if (!value || !*value) return;
  int is_number = lua_stringtonumber(L, value) != 0;
  lua_Number ms = is_number ? lua_tonumber(L, -1) : -1;
  if (is_number) lua_pop(L, 1);
  if (!is_sound(ms))
    luaL_error(L, "POE_SLOW_MS must be a number of milliseconds, got %s",
               value);
  set(P, L, ms);
}
