/* SPDX-License-Identifier: MIT */
/*
 * fake_host.h -- a host for the kernel whose handlers are C functions.
 *
 * Handlers are found by (session data, event name); every session has a small
 * number as its data, by which tests and logs call it.  Whatever is handled is
 * logged as text, which most tests compare.
 *
 * Each payload word is issued once and must come back exactly once: to a
 * dispatch that takes it, to discard, or to the test.  Memory comes from an
 * allocator that checks the sizes it is told and can fail on demand.  After
 * each slice the reference counts are computed anew, see check.h.
 */
#ifndef POE_FAKE_HOST_H
#define POE_FAKE_HOST_H

#include <errno.h>
#include <stdint.h>

#include "fake_clock.h"
#include "fake_loop.h"
#include "poe.h"
#include "test.h"

/* One dispatch, as handlers see it.  Only `f` stays valid in user code. */
struct call {
  const struct poe_frame *f;
  unsigned me; /* data of the session that handles */
  const char *event;
  unsigned n; /* the event's arguments, then the watcher's: values */
  int args[2 * POE_PAYLOAD_MAX];
  int64_t lead[POE_LEADS_MAX]; /* the leads that are integers */
  int handle;                  /* value of a select's ARG0, or 0 */
  enum poe_outcome outcome;    /* to be set by `die` */
  struct poe_value *result;
};

typedef void (*handler)(struct call *c);
#define HANDLER(NAME) static void NAME(struct call *c __attribute__((unused)))

struct host {
  poe_kernel *k;
  uint64_t started, gone; /* sessions */
  unsigned collects, combined, whys;
  int collect_result;
  void (*collect_hook)(void);
  int log_time;      /* prefix entries with the virtual time since the start */
  int unchecked;     /* no invariants: for tests that break into the kernel */
  char lines[16384]; /* of poe_log */
};

extern struct host host;

struct host_options {
  const char *real_loop; /* its name; with the system's clock */
  int use_malloc;        /* the kernel's own memory, unseen here */
  int has_jump;          /* the fake clock jumps by itself */
};

/* A kernel; host_open returns only if there was memory for it. */
void host_open(void);
void host_open_with(struct host_options o);
int host_try_open(struct host_options o);
/* Free it, and prove that nothing is left. */
void host_close(void);
/* All of the census is zero but what a bare kernel has. */
void host_assert_empty(void);

/* What to do for an event.  me 0: for every session; fn NULL: log only. */
void on(unsigned me, const char *event, handler fn);
/* From now on unhandled again. */
void off(unsigned me, const char *event);

/* ---- memory ------------------------------------------------------------- */

struct memory {
  size_t blocks, bytes, calls;
  int64_t allow; /* so many allocations succeed; < 0: all */
  int for_ever;  /* then all fail, else just one */
  unsigned failed;
};
extern struct memory memory;

/* ---- payloads ------------------------------------------------------------ */

/* Words with these values (> 0), good until 64 later calls. */
struct poe_payload issue(unsigned n, const int *values);
#define ARGS(...)                                                              \
  issue(sizeof((int[]){__VA_ARGS__}) / sizeof(int), (int[]){__VA_ARGS__})
#define NONE ((struct poe_payload){0, NULL})
struct poe_value issue_value(int value);
/* The words are the test's again. */
void take_back(struct poe_payload p);
int value_of(uint64_t word);
/* Words that are out. */
size_t words_out(void);

/* ---- the log -------------------------------------------------------------- */

const char *take_log(void);
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define ASSERT_LOG(text) ASSERT_STR_EQ(take_log(), text)

/* ---- doing things ----------------------------------------------------------- */

/* A name with a reference that lasts as long as the host. */
poe_name *nm(const char *text);
extern const struct poe_origin here;

/* Session by its data; the newest, if there are several.  0: the kernel's. */
poe_session *by(unsigned data);
int is_alive(unsigned data);

/* Start a session; asserts that it worked / returns the error. */
uint64_t start(unsigned data);
int try_start(unsigned data);
int do_post(unsigned dest, const char *event, struct poe_payload args);
int do_call(unsigned dest, const char *event);
int do_signal(unsigned dest, const char *signal, struct poe_payload args);
int do_sig(const char *signal, const char *event, struct poe_payload args);
int do_unsig(const char *signal);
int do_sig_child(int64_t pid, const char *event, struct poe_payload args);
/* Ids are > 0; errors as they are. */
int64_t do_delay(const char *event, int64_t ns, struct poe_payload args);
int64_t do_alarm(const char *event, int64_t epoch_ns, struct poe_payload args);
/* Its first value is the result, the event goes to the log; or an error. */
int do_timer_remove(int64_t id);
int do_alias(const char *alias);
int do_unalias(const char *alias);
/* The count; errors in *err, which may be NULL. */
int64_t do_inc(unsigned data, const char *tag, int *err);
int64_t do_dec(unsigned data, const char *tag, int *err);
int do_watch(int fd, enum poe_mode mode, const char *event, int handle,
             struct poe_payload args);
int do_ignore(int fd, enum poe_mode mode);
void do_forget(int fd);
/* The handler fails with a value. */
void die(struct call *c, int value);
/* Its value, from _start and _stop. */
void give(struct call *c, int value);
/* Value of the exception that ended the run, or 0. */
int exception(void);

int do_slice(void);
/* Slices until no session is left: 0, or the error. */
int do_run(void);
/* The test acts as session `data`: events it needs run through this. */
void as(unsigned data, void (*fn)(void));

/* Log these for every session that has no handler of its own. */
void log_life(void);   /* _start, _stop */
void log_family(void); /* ... and _child, _parent */

/* A pipe and the like, closed with the process. */
void make_pipe(int fd[2]);

/* Model of what check.c cannot see; kept by the functions above. */
size_t model_tags_held(uint64_t session);
size_t model_fds_watched(uint64_t session);

#endif
