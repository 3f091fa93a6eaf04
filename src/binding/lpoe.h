/* SPDX-License-Identifier: MIT */
/*
 * lpoe.h -- what the files of the binding share.
 *
 * One userdata, struct lpoe, is the kernel object that scripts see; all that
 * Lua must keep for the kernel hangs on its user values.  It is anchored in
 * the registry under the address of a static, one in each Lua state.
 *
 * A function that can raise says so.  Nothing that can raise runs between two
 * changes of the kernel's state, and nothing raises through the kernel: the
 * ops push without allocating or run protected, see lpoe_dispatch.h.
 *
 * Methods are closures with two upvalues: the kernel userdata and the table of
 * parked values.
 */
#ifndef LPOE_H
#define LPOE_H

#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>
#include <stdio.h>

#include "poe.h"

/* On the way of every event: what it calls becomes part of it. */
#define LPOE_HOT __attribute__((flatten))

/* User values of the kernel userdata. */
enum {
  LPOE_UV_HEAPS = 1, /* slot -> heap */
  LPOE_UV_STATES,    /* tables {name id -> function or {object, method}} */
  LPOE_UV_VALUES,    /* parked values, see lpoe_args.c */
  LPOE_UV_SESSIONS,  /* id -> session object, weak values */
  LPOE_UV_CLASS,     /* the metatable of session objects */
  LPOE_UV_HANDLES,   /* handle object -> its descriptor, weak keys */
  LPOE_UV_OPTIONS,   /* slot -> {name -> value} */
  LPOE_UV_THREADS,   /* the pool's coroutines, aux and worker */
  LPOE_UV_CUSTOM,    /* session_alloc's object -> its session's ID, negative
                        when that has ended, 0 before it begins; weak keys */
  LPOE_UV_OBJECTS,   /* slot -> session_alloc's object */
  LPOE_UV_TRACE,     /* 1: error value, 2: its traceback; 3, 4: run's last */
  LPOE_UV_LOOP,     /* the bridge written in Lua, see lpoe_loop.c */
  LPOE_UV_RECENT,   /* the strings of P->recent */
  LPOE_UV_ENDS,     /* what core.on_end was given, or nil */
  LPOE_UV_COUNT = LPOE_UV_ENDS
};

/* Bottom of every pooled coroutine's stack, and of aux's. */
enum {
  LPOE_AT_KERNEL = 1,
  LPOE_AT_HEAPS,
  LPOE_AT_STATES,
  LPOE_AT_VALUES,
  LPOE_BASE = LPOE_AT_VALUES,
  /* on aux only, see lpoe_args.c: objects of parked values */
  LPOE_AT_WRITTEN,
  LPOE_AT_READ
};

/* What is special about a session; 0 for most. */
enum lpoe_flag {
  LPOE_CUSTOM = 1,      /* from session_alloc */
  LPOE_OPT_TRACE = 2,   /* options of the same names */
  LPOE_OPT_DEBUG = 4,
  LPOE_OPT_DEFAULT = 8,
  LPOE_SPECIAL = 16, /* has options that are kept in its slot */
  LPOE_PENDING = 32, /* ... and that the kernel does not know yet */
  LPOE_LIMITED = 64, /* max_events is one of them */
  LPOE_OPTIONS = 128 /* has some, whatever their names */
};

struct lpoe_slot {
  uint32_t states; /* index of their table; 0: none, as in a custom session */
  union {
    uint32_t next_free;  /* while nobody has it */
    uint32_t max_events; /* this and what follows flags: if LPOE_SPECIAL */
  };
  uint8_t flags; /* enum lpoe_flag */
  uint8_t when_full;
  uint8_t trace, assertions; /* topics */
};

/* Of a table of states. */
union lpoe_states {
  uint32_t users; /* sessions that share it */
  uint32_t next_free;
};

struct lpoe_chunk;

#define LPOE_REPEATS 32 /* a power of two */

/* A parked value whose slot others may share. */
struct lpoe_repeat {
  const void *value; /* NULL: none */
  uint32_t slot;
  uint8_t type;
  uint8_t stays; /* when its last user has gone */
};

struct lpoe_values {
  struct lpoe_chunk *chunk;
  uint32_t nchunks, room;
  uint32_t partial; /* first chunk with free slots, or LPOE_NONE */
  uint32_t empty;   /* chunks without a value, the first one aside */
  uint32_t free;    /* slots, in all chunks */
  uint32_t live;    /* slots in use */
  uint32_t last[2]; /* chunks last written and read; 0: none */
  uint32_t tables;  /* ever made: each time finalizers may have run */
  struct lpoe_repeat recent[LPOE_REPEATS];
};

/* A strong postback, while it is recorded who makes what: see lpoe_why.c. */
struct lpoe_made;
struct lpoe_slow;
struct lpoe_memory;

#define LPOE_NONE UINT32_MAX
#define LPOE_LIGHT 6
#define LPOE_RECENT 16 /* a power of two */
#define LPOE_PLACES 64 /* a power of two */

/* Where a handler sent something; see lpoe_origin.c. */
struct lpoe_place {
  const char *pc; /* NULL: no place */
  struct poe_origin at; /* one reference of its file */
};

/* A name and the string that it was last given as, which LPOE_UV_RECENT keeps:
   no other can come to have its address. */
struct lpoe_recent {
  poe_name *name; /* NULL: none */
  const void *string;
};

struct lpoe {
  poe_kernel *k; /* NULL once closed */
  lua_State *aux; /* for raw access to the tables of its base, no more: what
                     may collect, and so run finalizers, is done by... */
  lua_State *worker; /* ...this one, which has no base */
  lua_State **co; /* handlers' coroutines, by depth of nesting */
  unsigned nco, co_room, depth;
  const char *stack_bottom; /* of C, where the outermost dispatch began */
  size_t stack_max;         /* bytes of C stack that dispatches may use */
  struct lpoe_slot *slot;
  uint32_t nslots, slot_room, free_slot;
  union lpoe_states *states; /* by index, from 1 */
  uint32_t nstates, states_room, free_states; /* 0: none is free */
  unsigned turnover; /* counts: heap or states of a slot became others */
  struct lpoe_values values;
  struct lpoe_recent recent[LPOE_RECENT];
  poe_name *file; /* the last script seen, for lpoe_origin */
  struct lpoe_place place[LPOE_PLACES];
  int has_places; /* what lpoe_origin.c reads of Lua is as it knows it */
  int knows_places; /* there may be some */
  unsigned char function_type; /* Lua's mark of one written in Lua */
  poe_name *n_default, *n_anon;
  const void *session_class; /* the metatable of session objects */
  uint32_t model; /* the states of the session created last */
  int model_size; /* how many; 0: there are none, or they cannot be shared */
  uint32_t memory_slot; /* where an exception lies that needs no memory */
  const struct poe_frame *default_frame; /* the handler running is _default */
  size_t postbacks;          /* open ones */
  struct lpoe_made *made;    /* those of which it is known who made them */
  uint32_t nmade, made_room;
  struct lpoe_memory *memory; /* NULL: no limit was ever set */
  size_t max_events; /* the switches */
  enum poe_when_full when_full;
  struct lpoe_slow *slow;    /* NULL: nobody watches the time */
  FILE *log;                 /* NULL: stderr */
  int closing, run_called;
  int tells_ends; /* to core.on_end's listener */
  unsigned slices; /* under way, one in another: the kernel cannot go now */
  /* the loop, see lpoe_choose.c; if its bridge is in Lua, see lpoe_loop.c */
  int loop_chosen;
  struct poe_loop_ops loop_ops;
  poe_loop *loop; /* NULL until open */
  unsigned loop_methods; /* a bit for each that the bridge has */
  lua_State *bridge; /* where they are called */
  int loop_failed; /* the message waits to be raised */
  int is_driven; /* loop_run is under way... */
  int in_slice; /* ...in a slice: an error is not the bridge's */
  int is_awake; /* it was told that something was sent since the last one */
  int is_collected; /* the Lua state ends: what the bridge is made of may be
                       gone already */
};

/* Arguments that go straight from one stack to another, and results back. */
struct lpoe_direct {
  lua_State *L;
  int nargs; /* on top of L's stack; taken by dispatch */
  int nresults; /* on top of L's stack afterwards */
};

/* ---- lpoe.c ------------------------------------------------------------- */

/* The kernel of a method: checks the first argument.  Raises. */
struct lpoe *lpoe_self(lua_State *L);
/* The kernel of any function of the binding.  Raises once it is closed. */
struct lpoe *lpoe_upvalue(lua_State *L);
/* The same, and a session must be running. */
struct lpoe *lpoe_self_in_session(lua_State *L, const char *method);
void lpoe_push_kernel(lua_State *L);
struct lpoe *lpoe_of_state(lua_State *L);

/* ---- lpoe_check.c: arguments and results ---------------------------------- */

/* Raise: bad argument #1 to 'delay' (event name expected, got nil), however the
   method was called. */
__attribute__((cold, noinline, noreturn)) void lpoe_arg_error(
    lua_State *L, int arg, const char *what);
__attribute__((cold, noinline, noreturn)) void lpoe_type_error(
    lua_State *L, int arg, const char *expected);
void lpoe_check_type(lua_State *L, int arg, int type);
/* The op of the same name. */
void lpoe_name_gone(void *ud, const poe_name *name);
/* A name with one reference for the caller.  Raises. */
poe_name *lpoe_check_name(struct lpoe *P, lua_State *L, int arg,
                          const char *what);
/* The name at an index, if there is one. */
poe_name *lpoe_find_name(struct lpoe *P, lua_State *L, int arg);
/* An event's name, arguments and origin, on their way into the kernel. */
struct lpoe_message {
  poe_name *event;
  struct poe_origin origin;
  struct poe_payload args;
  uint64_t words[POE_PAYLOAD_MAX];
  int has_allocated; /* so finalizers may have run: look sessions up anew */
};
/* The session, or the kernel for 0; NULL if it has ended. */
poe_session *lpoe_find_again(struct lpoe *P, uint64_t id);
/* The event name at index `event`, the arguments from `first` to the top.
   Raises before anything is taken. */
void lpoe_take(struct lpoe *P, lua_State *L, int event, int first,
               struct lpoe_message *m);
/* After the kernel was given m: lets go what it did not take; returns err. */
int lpoe_sent(struct lpoe *P, struct lpoe_message *m, int err);
/* A destination, NULL if there is none: then nil, message, code are pushed. */
poe_session *lpoe_check_dest(struct lpoe *P, lua_State *L, int arg);
/* Seconds as ns.  Raises on NaN and what is no number. */
int64_t lpoe_check_seconds(lua_State *L, int arg);
/* The same as ns since the epoch, in whole microseconds.  Raises. */
int64_t lpoe_check_epoch(lua_State *L, int arg);
/* As poe.time would tell it. */
void lpoe_push_epoch(lua_State *L, int64_t ns);
/* nil, "CODE: text", "CODE" for -err; raises if an assertion says so. */
int lpoe_fail(struct lpoe *P, lua_State *L, int err, unsigned topic,
              const char *format, ...);
int lpoe_true(lua_State *L);
const char *lpoe_errno_name(int err);
/* Warn that the kernel's own event names have no effect so, if asserted. */
void lpoe_warn_if_own(struct lpoe *P, const poe_name *event, const char *how);
static inline void lpoe_warn_own_event(struct lpoe *P, const poe_name *event,
                                       const char *how) {
  if (poe_assert_any(P->k) & POE_ASSERT_USAGE)
    lpoe_warn_if_own(P, event, how);
}

/* ---- lpoe_origin.c --------------------------------------------------------- */

/* Where the running Lua function is.  Does not raise. */
struct poe_origin lpoe_origin(struct lpoe *P, lua_State *L);
/* Before a handler leaves a table of states.  Does not raise. */
void lpoe_forget_places(struct lpoe *P);
/* How many results the caller of the method under way takes; LUA_MULTRET: all
   there are, or it is not known. */
int lpoe_results(struct lpoe *P, lua_State *L);
/* Find out whether places can be remembered.  Raises. */
void lpoe_try_places(struct lpoe *P, lua_State *L);

/* ---- lpoe_args.c: parked arguments ------------------------------------------ */

/* Push the table of values with its first chunk.  Raises. */
void lpoe_push_values(struct lpoe *P, lua_State *L);
/* Park `count` values from index `first`; words has POE_PAYLOAD_MAX room.
   Raises before anything is parked. */
struct poe_payload lpoe_park(struct lpoe *P, lua_State *L, int first,
                             int count, uint64_t *words);
/* Park the value on top and pop it.  Does not raise: without memory the value
   becomes nil. */
struct poe_value lpoe_park_one(struct lpoe *P, lua_State *L);
/* How many values a payload has. */
int lpoe_count(struct poe_payload payload);
/* Push them; `values` is the index of the object of parked values.  Needs stack
   room; does not raise unless the payload is packed.  With `take` they are no
   longer parked. */
int lpoe_push_parked(struct lpoe *P, lua_State *L, int values,
                     struct poe_payload payload, int take);
int lpoe_is_packed(struct poe_payload payload);
void lpoe_unpark(struct lpoe *P, struct poe_payload payload);
void lpoe_values_fini(struct lpoe *P);
/* One value that is known to lie in this slot. */
struct poe_value lpoe_parked_in(uint32_t slot);
/* The slot of one value; LPOE_NONE if it lies in none. */
uint32_t lpoe_slot_in(const struct poe_value *value);
struct poe_payload lpoe_payload(const struct poe_value *value);

/* ---- lpoe_dispatch.c, lpoe_error.c ---------------------------------------------- */

extern const struct poe_ops lpoe_ops;
/* Put the base values on an empty stack; needs the kernel's anchor. */
void lpoe_push_base(lua_State *co);
void lpoe_log(struct lpoe *P, const char *line);
/* The exception object for what lies on top of co.  Does not raise. */
struct poe_value lpoe_park_exception(struct lpoe *P, lua_State *co,
                                     const struct poe_frame *frame,
                                     const char *instead);
/* Push "where the event came from: ...", a line for each handler that runs. */
void lpoe_push_path(lua_State *L, const struct poe_frame *frame);
/* Raise what a call or run gave back. */
int lpoe_raise(struct lpoe *P, lua_State *L, const struct poe_value *error);
int lpoe_raise_from_run(struct lpoe *P, lua_State *L,
                        const struct poe_value *error);
void lpoe_combine(void *ud, struct poe_value *first,
                  const struct poe_value *second);

/* ---- lpoe_session.c, lpoe_create.c ------------------------------------------- */

/* Push the object of a session, or the kernel.  Raises. */
void lpoe_push_session(struct lpoe *P, lua_State *L, const poe_session *s);
/* The same by id, whether or not it has ended. */
void lpoe_push_id(struct lpoe *P, lua_State *L, uint64_t id);
/* The same, of the usual kind, with the kernel at an index. */
void lpoe_push_object(lua_State *L, int kernel, uint64_t id);
/* The id in a session object at index, or 0. */
uint64_t lpoe_session_id(struct lpoe *P, lua_State *L, int index);
/* Was the table at index once a session's object? */
int lpoe_was_session(lua_State *L, int index);
/* Made by session_alloc, and still there? */
int lpoe_is_custom(const struct lpoe *P, const poe_session *s);
/* The ID of the session, of any kind, at 1, or raise; 0: one of its own kind
   that has ended. */
uint64_t lpoe_check_self(lua_State *L);
static inline uint32_t lpoe_slot_of(const poe_session *s) {
  return (uint32_t)poe_session_data(s);
}
/* The op of the same name; tells core.on_end's listener. */
void lpoe_session_gone(void *ud, poe_session *s);
int lpoe_on_end(lua_State *L);

/* ---- lpoe_state.c ------------------------------------------------------------ */

/* Raises: a handler of _signal would never be called. */
void lpoe_raise_signal_state(lua_State *L, const char *method);
/* Set or remove (nil) the handler on top of the stack; pops it.  Does nothing
   for a session that has ended.  Raises. */
void lpoe_set_state(struct lpoe *P, lua_State *L, const poe_session *s,
                    poe_name *event);
/* Give a slot the states made of inline_states, object_states and
   package_states, each nil or a table, at index `groups` and the two above.
   LUA_OK, or what is wrong in them is pushed, to be raised. */
int lpoe_fill_states(struct lpoe *P, lua_State *L, uint32_t slot, int groups);
/* A slot has states no longer: with their last one their names go.  Does not
   raise. */
void lpoe_drop_states(struct lpoe *P, uint32_t slot);

/* ---- lpoe_run.c, lpoe_choose.c, lpoe_loop.c ---------------------------------- */

/* A variable, or NULL where the host was told to ignore the environment, as
   Lua's package library is by the same flag. */
const char *lpoe_environment(lua_State *L, const char *name);
/* One slice; whether a session is left.  Raises. */
int lpoe_slice(struct lpoe *P, lua_State *L);
/* Raises, in the name of `who`. */
void lpoe_choose_loop(struct lpoe *P, lua_State *L, const char *name,
                      const char *who);
/* find_loop(): chooses by the environment or by what is loaded, once. */
int lpoe_find_loop(lua_State *L);
/* The bridge at this index as what the kernel knows.  Raises. */
const struct poe_loop_ops *lpoe_loop_take(struct lpoe *P, lua_State *L,
                                          int bridge, const char *name);
/* Raise what the bridge has failed of. */
int lpoe_loop_raise(struct lpoe *P, lua_State *L);
/* Does the bridge run the kernel, rather than the kernel it? */
int lpoe_loop_drives(const struct lpoe *P);
/* What a lua_CFunction of the kernel at 1 returns then.  May yield. */
int lpoe_loop_run(struct lpoe *P, lua_State *L);
/* Under loop_run: something is sent, perhaps while it waits. */
void lpoe_loop_wake(struct lpoe *P);
/* Tell the bridge that no session is left. */
void lpoe_loop_halt(struct lpoe *P);
/* 0 if the bridge knows no widgets.  Raises. */
int lpoe_loop_attach_uidestroy(struct lpoe *P, lua_State *L, int widget);
int lpoe_fork_luv(lua_State *L);
/* bridge() -> a struct poe_bridge, as a light userdata. */
int lpoe_bridge(lua_State *L);

/* ---- lpoe_why.c ------------------------------------------------------------- */

/* If that is recorded: where an alias or tag is made, in the next call. */
static inline void lpoe_here(struct lpoe *P, lua_State *L) {
  if (poe_is_why(P->k)) poe_here(P->k, lpoe_origin(P, L));
}
/* A postback is made.  *place is 0, or says where it is recorded. */
void lpoe_why_postback(struct lpoe *P, lua_State *L, uint64_t session,
                       poe_name *event, uint32_t *place);
/* It holds its session no longer. */
void lpoe_why_released(struct lpoe *P, uint32_t *place);
void lpoe_why_forget(struct lpoe *P);
/* The op: what keeps the program, to stderr. */
void lpoe_why_print(void *ud);
/* The switch `why`, its value on top.  Raises. */
void lpoe_why_switch(struct lpoe *P, lua_State *L);
void lpoe_why_from_environment(struct lpoe *P, lua_State *L);
extern const luaL_Reg lpoe_why_methods[];

/* ---- lpoe_destroy.c --------------------------------------------------------- */

/* The op: what the heap of a session holds. */
void lpoe_destroyed(void *ud, const poe_session *s);

/* ---- lpoe_option.c ---------------------------------------------------------- */

/* The method of session objects. */
int lpoe_session_option(lua_State *L);
/* Those in the table at an index, or nil: raise in the name of `who` if they
   are not good; set them, to be applied before the first event. */
void lpoe_options_check(lua_State *L, const char *who, int options);
void lpoe_options_store(struct lpoe *P, lua_State *L, uint32_t slot,
                        int options);
void lpoe_option_forget(struct lpoe *P, uint32_t slot);
/* 0, or -ENOMEM. */
int lpoe_option_apply(struct lpoe *P, poe_session *s);
/* The switches, their values on top.  Raise. */
void lpoe_max_events_switch(struct lpoe *P, lua_State *L);
void lpoe_when_full_switch(struct lpoe *P, lua_State *L);
/* What a method returns that could not post. */
int lpoe_not_sent(struct lpoe *P, lua_State *L, uint64_t id, int err);

/* ---- lpoe_memory.c ---------------------------------------------------------- */

/* The switch `max_memory`, its value on top.  Raises. */
void lpoe_memory_switch(struct lpoe *P, lua_State *L);
void lpoe_memory_from_environment(struct lpoe *P, lua_State *L);
void lpoe_memory_stop(struct lpoe *P, lua_State *L);
/* From now on so much of the reserve may be used; what it was before. */
enum poe_need lpoe_memory_need(struct lpoe *P, enum poe_need need);
size_t lpoe_memory_limit(const struct lpoe *P); /* 0: none */
/* NULL if there is room for n more on a stack; else what is to be said: that
   memory lacks, beyond the limit, or `what`, it being Lua's own that is met. */
const char *lpoe_lacks_room(struct lpoe *P, lua_State *L, int n,
                            const char *what);
int lpoe_memory(lua_State *L);

/* ---- lpoe_slow.c ------------------------------------------------------------ */

/* The switch `slow_ms`, its value on top.  Raises. */
void lpoe_slow_switch(struct lpoe *P, lua_State *L);
void lpoe_slow_from_environment(struct lpoe *P, lua_State *L);
void lpoe_slow_stop(struct lpoe *P);
/* Around slices in a handler: it does not hold the kernel meanwhile. */
void lpoe_slow_pause(struct lpoe *P);
void lpoe_slow_resume(struct lpoe *P);

/* Each file's functions: methods of the kernel, or fields of the module. */
extern const luaL_Reg lpoe_session_methods[];  /* of the kernel */
extern const luaL_Reg lpoe_session_class[];    /* of session objects */
extern const luaL_Reg lpoe_postback_class[];
extern const luaL_Reg lpoe_event_methods[];
extern const luaL_Reg lpoe_timer_methods[];
extern const luaL_Reg lpoe_select_methods[];
extern const luaL_Reg lpoe_signal_methods[];
extern const luaL_Reg lpoe_tree_methods[];
extern const luaL_Reg lpoe_run_methods[];
extern const luaL_Reg lpoe_run_functions[];    /* of the module */
#define LPOE_SESSION_CLASS "poe.session"
#define LPOE_POSTBACK_CLASS "poe.postback"
/* poe.session.create{}.  Upvalues as methods. */
int lpoe_session_create(lua_State *L);
int lpoe_session_stop(lua_State *L);
int lpoe_offer(lua_State *L);
/* Make a postback (or callback) of the session at index 1. */
int lpoe_postback_new(lua_State *L, int is_call);
/* Call with the arguments from index `first`; takes one reference of event
   over.  Raises what the handler raised, if that is the caller's. */
int lpoe_call(struct lpoe *P, lua_State *L, poe_session *s, poe_name *event,
              int first);
/* Watchers of a handle object end before it is closed... */
void lpoe_hear_closes(lua_State *L, int kernel);
/* ...and core.on_close sets who is told before each is. */
int lpoe_on_close(lua_State *L);
void lpoe_configure_from_environment(struct lpoe *P, lua_State *L);
/* Free the kernel; every method raises from then on. */
void lpoe_close(struct lpoe *P, lua_State *L);

int luaopen_poe_core(lua_State *L);

#endif
