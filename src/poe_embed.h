/* SPDX-License-Identifier: MIT */
/*
 * poe_embed.h -- sessions written in Lua inside a C program that runs its own
 * uv_loop_t.  Neither Lua's headers nor its stack are needed.  The book to
 * this is doc/embedding.md.
 *
 * - The program runs the loop; sessions' handlers run inside its uv_run, and
 *   no error leaves one: what no session handles goes to on_error.
 * - uv_run goes on while there is a session.
 * - Everything but poe_embed_send belongs to the loop's thread.
 * - Results are 0, or a negative errno, or -POE_ERAISE: a script failed, and
 *   on_error has been told.
 */
#ifndef POE_EMBED_H
#define POE_EMBED_H

#include <string.h>

#include "poe.h"

struct lua_State;
struct uv_loop_s;

typedef struct poe_embed poe_embed;

struct poe_embed_config {
  struct uv_loop_s *loop; /* the program's, which outlives all of this */
  /* NULL: a state of its own, with Lua's libraries.  Another one must have
     the library `package`, and stay open until poe_embed_close. */
  struct lua_State *lua;
  void *ud; /* first argument of on_error */
  /* The traceback may be NULL.  NULL: both are written to stderr. */
  void (*on_error)(void *ud, const char *message, const char *traceback);
};

/* -EBUSY: the state's kernel has a loop already. */
int poe_embed_open(const struct poe_embed_config *config, poe_embed **out);
/*
 * Discards what is left; runs no handler.  -EBUSY within one.  The loop must
 * turn once more before uv_loop_close.  No other thread may be sending.
 */
int poe_embed_close(poe_embed *e);

/* The kernel, for the functions of poe.h. */
poe_kernel *poe_embed_kernel(const poe_embed *e);

/* Run a script: it makes sessions, and returns. */
int poe_embed_file(poe_embed *e, const char *path);
int poe_embed_text(poe_embed *e, const char *text, const char *name);

/* ---- what events carry ----------------------------------------------------- */

struct poe_arg {
  enum poe_arg_kind {
    POE_ARG_NIL,
    POE_ARG_BOOLEAN,
    POE_ARG_INTEGER,
    POE_ARG_NUMBER,
    POE_ARG_STRING,
    POE_ARG_OTHER /* a table or such, as tostring writes it; only to C */
  } kind;
  union {
    int boolean;
    int64_t integer;
    double number;
    /* Ends with a zero that len does not count; may contain others. */
    struct {
      const char *at;
      size_t len;
    } string;
  } as;
};

static inline struct poe_arg poe_nil(void) {
  return (struct poe_arg){POE_ARG_NIL, {.integer = 0}};
}
static inline struct poe_arg poe_bool(int b) {
  return (struct poe_arg){POE_ARG_BOOLEAN, {.boolean = b != 0}};
}
static inline struct poe_arg poe_int(int64_t i) {
  return (struct poe_arg){POE_ARG_INTEGER, {.integer = i}};
}
static inline struct poe_arg poe_num(double x) {
  return (struct poe_arg){POE_ARG_NUMBER, {.number = x}};
}
static inline struct poe_arg poe_bytes(const char *at, size_t len) {
  return (struct poe_arg){POE_ARG_STRING, {.string = {at, len}}};
}
static inline struct poe_arg poe_str(const char *text) {
  return poe_bytes(text, strlen(text));
}

/* Stands for the two parameters n and args: POE_ARGS(poe_int(1), ...). */
#define POE_ARGS(...)                                                          \
  (sizeof((struct poe_arg[]){__VA_ARGS__}) / sizeof(struct poe_arg)),          \
      (struct poe_arg[]) {                                                     \
    __VA_ARGS__                                                                \
  }

/* ---- events to sessions ------------------------------------------------------ */

/* To the session of that alias; -ESRCH if there is none.  What args point to
   is copied. */
int poe_embed_post(poe_embed *e, const char *session, const char *event,
                   size_t n, const struct poe_arg *args);
/*
 * The same from any thread.  The event is posted in the loop's next turn, in
 * the order of each thread's sending; on_error is told if there is no such
 * session by then.  It keeps no loop running.  -ENOMEM.
 */
int poe_embed_send(poe_embed *e, const char *session, const char *event,
                   size_t n, const struct poe_arg *args);

/* ---- events to C --------------------------------------------------------------- */

struct poe_embed_event {
  const char *name;
  uint64_t sender; /* the session's ID, 0: the kernel */
  size_t n;
  const struct poe_arg *args; /* valid until the handler returns */
};

typedef void (*poe_embed_handler)(void *ud, poe_embed *e,
                                  const struct poe_embed_event *event);

/*
 * A session made of one C function, which gets all events: _start first,
 * _stop last.  It stays, and with it every session that has an alias, until
 * poe_embed_end or until the kernel is stopped.  -EEXIST: the alias is taken.
 * [re-entrant]
 */
int poe_embed_session(poe_embed *e, const char *alias,
                      poe_embed_handler handler, void *ud);
/* It ends as soon as nothing else keeps it.  -ESRCH: no session of C has this
   alias. */
int poe_embed_end(poe_embed *e, const char *alias);

#endif
