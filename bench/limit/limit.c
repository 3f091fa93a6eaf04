/* SPDX-License-Identifier: MIT */
/*
 * The limit: what events in C over Lua cost when nothing is done but the
 * unavoidable - take a queue slot, park the arguments, look the handler up,
 * call it protected with (kernel, heap, arguments). No checks, no lifetimes,
 * no senders read, no signals, no descriptors. It runs the scripts beside it:
 *
 *   limit script.lua [arguments]
 *
 * Posted events lie in chunks of CHUNK; each chunk's arguments on the stack of
 * a Lua thread of its own, in order, so both are given back as a whole.
 * Timers lie in a 4-ary heap with back-pointers. Handlers, heaps and the
 * arguments of timers have slots in one Lua table, the store.
 */
#define _GNU_SOURCE
#include "../lib/meter.h"

#include <errno.h>
#include <stdint.h>

#include "lauxlib.h"
#include "lualib.h"

enum { CHUNK = 1024, CHUNK_ARGS = 3 * CHUNK, NAMES = 8, STORE = 1, KERNEL = 2 };

struct event {
  int64_t due_ns;
  uint32_t session, sender, name, from_name, nargs, where;
};

struct chunk {
  struct chunk *next;
  lua_State *args;
  int head, tail, first_arg, next_arg;
  struct event events[CHUNK];
};

struct timer {
  int64_t due_ns;
  uint32_t heap_index, session, name, generation;
  int arg_slot; /* 0: none; -1: the number in `number` */
  lua_Number number;
};

struct node {
  int64_t due_ns;
  uint64_t seq;
  uint32_t timer;
};

struct session {
  int heap_slot, handler_slot[NAMES];
};

static struct chunk *first, *last, *spare;
static struct timer *timers;
static struct node *heap;
static struct session *sessions;
static uint32_t timer_count, timer_room, free_timer = UINT32_MAX;
static uint32_t heap_count, heap_room, session_count, session_room;
static uint32_t active, active_name;
static const char *names[NAMES];
static int next_slot = 1, free_slots[1 << 20], free_slot_count;
static uint64_t next_seq;
static int64_t slice_ns;
static int is_stopped;

static int64_t now_ns(void) {
  return (int64_t)meter_clock_ns(CLOCK_MONOTONIC);
}

static void *grown(void *array, uint32_t *room, size_t size) {
  *room = *room ? *room * 2 : 64;
  array = realloc(array, *room * size);
  if (!array) abort();
  return array;
}

/* The store; the value on top is popped. */

static int store_put(lua_State *L, int store) {
  int slot = free_slot_count ? free_slots[--free_slot_count] : next_slot++;
  lua_rawseti(L, store, slot);
  return slot;
}

static void store_drop(lua_State *L, int store, int slot) {
  lua_pushboolean(L, 0);
  lua_rawseti(L, store, slot);
  if (free_slot_count < 1 << 20) free_slots[free_slot_count++] = slot;
}

/* Short strings are interned, so a name is known by its address. */
static uint32_t name_id(lua_State *L, int index) {
  const char *name = lua_tostring(L, index);
  uint32_t id = 0;
  while (id < NAMES && names[id] && names[id] != name) id++;
  if (id == NAMES) luaL_error(L, "more than %d event names", NAMES);
  if (names[id]) return id;
  names[id] = name;
  lua_pushvalue(L, index);
  luaL_ref(L, LUA_REGISTRYINDEX);
  return id;
}

/* The queue of posted events. */

static struct chunk *chunk_new(lua_State *L) {
  struct chunk *chunk = spare;
  if (chunk) {
    spare = chunk->next;
  } else {
    chunk = malloc(sizeof *chunk);
    if (!chunk) abort();
    chunk->args = lua_newthread(L);
    luaL_ref(L, LUA_REGISTRYINDEX);
    lua_checkstack(chunk->args, CHUNK_ARGS);
  }
  chunk->next = NULL;
  chunk->head = chunk->tail = 0;
  chunk->first_arg = chunk->next_arg = 1;
  return chunk;
}

static void chunk_append(lua_State *L) {
  struct chunk *chunk = chunk_new(L);
  if (last) last->next = chunk;
  else first = chunk;
  last = chunk;
}

/* Moves the nargs topmost values of L into the queue. */
static void post(lua_State *L, uint32_t to, uint32_t name, int nargs) {
  if (!last || last->tail == CHUNK || last->next_arg + nargs > CHUNK_ARGS)
    chunk_append(L);
  struct chunk *chunk = last;
  chunk->events[chunk->tail++] =
      (struct event){slice_ns, to, active, name, active_name, (uint32_t)nargs,
                     0};
  if (nargs == 0) return;
  if (!lua_checkstack(chunk->args, nargs)) abort();
  lua_xmove(L, chunk->args, nargs);
  chunk->next_arg += nargs;
}

static void first_done(void) {
  struct chunk *chunk = first;
  lua_settop(chunk->args, 0);
  first = chunk->next;
  if (!first) last = NULL;
  chunk->next = spare;
  spare = chunk;
}

/* Pushes handler, kernel and heap; false if there is no handler. */
static int push_handler(lua_State *L, uint32_t session, uint32_t name) {
  int slot = sessions[session].handler_slot[name];
  if (!slot) return 0;
  lua_rawgeti(L, STORE, slot);
  lua_pushvalue(L, KERNEL);
  lua_rawgeti(L, STORE, sessions[session].heap_slot);
  return 1;
}

static void invoke(lua_State *L, uint32_t session, uint32_t name, int nargs) {
  active = session;
  active_name = name;
  if (lua_pcall(L, nargs + 2, 0, 0)) {
    fprintf(stderr, "limit: %s\n", lua_tostring(L, -1));
    exit(1);
  }
}

static void dispatch_first(lua_State *L) {
  struct chunk *chunk = first;
  struct event event = chunk->events[chunk->head++];
  int base = chunk->first_arg, nargs = (int)event.nargs;
  chunk->first_arg += nargs;
  if (push_handler(L, event.session, event.name)) {
    for (int i = 0; i < nargs; i++) lua_pushvalue(chunk->args, base + i);
    lua_xmove(chunk->args, L, nargs);
    invoke(L, event.session, event.name, nargs);
  }
  if (chunk->head < chunk->tail) return;
  if (chunk->tail == CHUNK || chunk != last) {
    first_done();
  } else {
    lua_settop(chunk->args, 0);
    chunk->head = chunk->tail = 0;
    chunk->first_arg = chunk->next_arg = 1;
  }
}

/* The heap of timers. */

static int is_before(const struct node *a, const struct node *b) {
  return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->seq < b->seq;
}

static void place(uint32_t index, struct node node) {
  heap[index] = node;
  timers[node.timer].heap_index = index;
}

static void sift_up(uint32_t index, struct node node) {
  while (index > 0 && is_before(&node, &heap[(index - 1) / 4])) {
    place(index, heap[(index - 1) / 4]);
    index = (index - 1) / 4;
  }
  place(index, node);
}

static void sift_down(uint32_t index, struct node node) {
  for (;;) {
    uint32_t child = index * 4 + 1, end = child + 4, best = child;
    if (child >= heap_count) break;
    if (end > heap_count) end = heap_count;
    for (uint32_t i = child + 1; i < end; i++)
      if (is_before(&heap[i], &heap[best])) best = i;
    if (!is_before(&heap[best], &node)) break;
    place(index, heap[best]);
    index = best;
  }
  place(index, node);
}

static void heap_move(uint32_t index, struct node node) {
  if (index > 0 && is_before(&node, &heap[(index - 1) / 4]))
    sift_up(index, node);
  else
    sift_down(index, node);
}

static void heap_remove(uint32_t index) {
  struct node moved = heap[--heap_count];
  if (index < heap_count) heap_move(index, moved);
}

static uint32_t timer_take(void) {
  uint32_t index = free_timer;
  if (index != UINT32_MAX) {
    free_timer = timers[index].heap_index;
    return index;
  }
  if (timer_count == timer_room)
    timers = grown(timers, &timer_room, sizeof *timers);
  timers[timer_count].generation = 0;
  return timer_count++;
}

static void timer_free(uint32_t index) {
  timers[index].generation++;
  timers[index].heap_index = free_timer;
  free_timer = index;
}

static void take_timer_arg(lua_State *L, struct timer *timer, int index) {
  timer->arg_slot = 0;
  if (lua_isnoneornil(L, index)) return;
  if (lua_isnumber(L, index)) {
    timer->arg_slot = -1;
    timer->number = lua_tonumber(L, index);
    return;
  }
  lua_settop(L, index);
  timer->arg_slot = store_put(L, lua_upvalueindex(1));
}

static void fire(lua_State *L) {
  struct timer timer = timers[heap[0].timer];
  timer_free(heap[0].timer);
  heap_remove(0);
  if (!push_handler(L, timer.session, timer.name)) return;
  if (timer.arg_slot < 0) lua_pushnumber(L, timer.number);
  else if (timer.arg_slot) lua_rawgeti(L, STORE, timer.arg_slot);
  if (timer.arg_slot > 0) store_drop(L, STORE, timer.arg_slot);
  invoke(L, timer.session, timer.name, timer.arg_slot != 0);
}

/* Methods; the store is their upvalue. */

static int kernel_yield(lua_State *L) {
  post(L, active, name_id(L, 2), lua_gettop(L) - 2);
  return 0;
}

static int kernel_post(lua_State *L) {
  post(L, (uint32_t)lua_tointeger(L, 2), name_id(L, 3), lua_gettop(L) - 3);
  lua_pushboolean(L, 1);
  return 1;
}

/* [kernel, to, name, ...] becomes [handler, kernel, heap, ...]. */
static int kernel_call(lua_State *L) {
  uint32_t to = (uint32_t)lua_tointeger(L, 2), name = name_id(L, 3);
  uint32_t was = active, name_was = active_name;
  lua_rawgeti(L, lua_upvalueindex(1), sessions[to].heap_slot);
  lua_replace(L, 3);
  lua_pushvalue(L, 1);
  lua_replace(L, 2);
  lua_rawgeti(L, lua_upvalueindex(1), sessions[to].handler_slot[name]);
  lua_replace(L, 1);
  active = to;
  active_name = name;
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  active = was;
  active_name = name_was;
  return status ? lua_error(L) : lua_gettop(L);
}

static int kernel_delay_set(lua_State *L) {
  uint32_t name = name_id(L, 2), index = timer_take();
  struct timer *timer = &timers[index];
  timer->due_ns = now_ns() + (int64_t)(lua_tonumber(L, 3) * 1e9);
  timer->session = active;
  timer->name = name;
  take_timer_arg(L, timer, 4);
  if (heap_count == heap_room) heap = grown(heap, &heap_room, sizeof *heap);
  sift_up(heap_count++, (struct node){timer->due_ns, next_seq++, index});
  lua_pushinteger(L, ((lua_Integer)timer->generation << 32) + index + 1);
  return 1;
}

static struct timer *timer_of_id(lua_State *L, int index) {
  lua_Integer id = lua_tointeger(L, index) - 1;
  struct timer *timer = &timers[(uint32_t)id];
  if (timer->generation != (uint32_t)(id >> 32)) luaL_error(L, "no timer");
  return timer;
}

static int kernel_alarm_remove(lua_State *L) {
  struct timer *timer = timer_of_id(L, 2);
  heap_remove(timer->heap_index);
  lua_pushstring(L, names[timer->name]);
  lua_pushnumber(L, (lua_Number)timer->due_ns / 1e9);
  lua_createtable(L, 1, 1);
  lua_pushinteger(L, timer->arg_slot != 0);
  lua_setfield(L, -2, "n");
  if (timer->arg_slot < 0) lua_pushnumber(L, timer->number);
  else if (timer->arg_slot)
    lua_rawgeti(L, lua_upvalueindex(1), timer->arg_slot);
  if (timer->arg_slot) lua_rawseti(L, -2, 1);
  if (timer->arg_slot > 0)
    store_drop(L, lua_upvalueindex(1), timer->arg_slot);
  timer_free((uint32_t)(timer - timers));
  return 3;
}

static int kernel_delay_adjust(lua_State *L) {
  struct timer *timer = timer_of_id(L, 2);
  timer->due_ns = now_ns() + (int64_t)(lua_tonumber(L, 3) * 1e9);
  heap_move(timer->heap_index, (struct node){timer->due_ns, next_seq++,
                                             (uint32_t)(timer - timers)});
  lua_pushnumber(L, (lua_Number)timer->due_ns / 1e9);
  return 1;
}

/* Aliases lie in the store, under the string itself. */
static int kernel_alias_set(lua_State *L) {
  lua_pushinteger(L, active);
  lua_rawset(L, lua_upvalueindex(1));
  return 0;
}

/* The last thing that keeps a session, here: it ends. */
static int kernel_alias_remove(lua_State *L) {
  struct session *session = &sessions[active];
  lua_pushnil(L);
  lua_rawset(L, lua_upvalueindex(1));
  for (int i = 0; i < NAMES; i++)
    if (session->handler_slot[i])
      store_drop(L, lua_upvalueindex(1), session->handler_slot[i]);
  store_drop(L, lua_upvalueindex(1), session->heap_slot);
  memset(session, 0, sizeof *session);
  return 0;
}

static void set_handlers(lua_State *L, struct session *session, int states) {
  memset(session->handler_slot, 0, sizeof session->handler_slot);
  lua_pushnil(L);
  while (lua_next(L, states)) {
    uint32_t name = name_id(L, -2);
    session->handler_slot[name] = store_put(L, lua_upvalueindex(1));
  }
}

/* limit.session(states [, heap]) -> id; calls _start. */
static int limit_session(lua_State *L) {
  uint32_t id = session_count++, was = active, name_was = active_name;
  if (id >= session_room)
    sessions = grown(sessions, &session_room, sizeof *sessions);
  struct session *session = &sessions[id];
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) lua_newtable(L);
  session->heap_slot = store_put(L, lua_upvalueindex(1));
  set_handlers(L, session, 1);
  lua_pushliteral(L, "_start");
  uint32_t start = name_id(L, -1);
  if (session->handler_slot[start]) {
    active = id;
    lua_rawgeti(L, lua_upvalueindex(1), session->handler_slot[start]);
    lua_getfield(L, LUA_REGISTRYINDEX, "kernel");
    lua_rawgeti(L, lua_upvalueindex(1), session->heap_slot);
    if (lua_pcall(L, 2, 0, 0)) return lua_error(L);
    active = was;
    active_name = name_was;
  }
  lua_pushinteger(L, id);
  return 1;
}

static void sleep_until(int64_t due_ns) {
  struct timespec due = {due_ns / 1000000000, due_ns % 1000000000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
    continue;
}

/* One slice: what was posted before it and what is due at its beginning. */
static void slice(lua_State *L) {
  struct chunk *end = last;
  int end_index = last ? last->tail : 0;
  slice_ns = now_ns();
  while (first && (first != end || first->head < end_index)) {
    int was_head = first->head;
    struct chunk *was = first;
    dispatch_first(L);
    if (was == end && was_head + 1 == end_index) break;
  }
  while (heap_count && heap[0].due_ns <= slice_ns) fire(L);
}

static int limit_stop(lua_State *L) {
  (void)L;
  is_stopped = 1;
  return 0;
}

static int limit_monotime(lua_State *L) {
  lua_pushnumber(L, meter_clock_ns(CLOCK_MONOTONIC) / 1e9);
  return 1;
}

static int has_posted(void) { return first && first->head < first->tail; }

static void run(lua_State *L) {
  while (!is_stopped && (has_posted() || heap_count)) {
    if (!has_posted() && heap[0].due_ns > now_ns())
      sleep_until(heap[0].due_ns);
    slice(L);
  }
}

static const luaL_Reg kernel_methods[] = {
    {"yield", kernel_yield},
    {"post", kernel_post},
    {"call", kernel_call},
    {"delay_set", kernel_delay_set},
    {"alarm_remove", kernel_alarm_remove},
    {"delay_adjust", kernel_delay_adjust},
    {"alias_set", kernel_alias_set},
    {"alias_remove", kernel_alias_remove},
    {NULL, NULL}};

static const luaL_Reg limit_functions[] = {
    {"session", limit_session},
    {"stop", limit_stop},
    {"monotime", limit_monotime},
    {NULL, NULL}};

/* Leaves the store and the kernel at their places on the stack. */
static void open_limit(lua_State *L) {
  lua_newtable(L);
  lua_newuserdatauv(L, 1, 0);
  lua_createtable(L, 0, 1);
  luaL_newlibtable(L, kernel_methods);
  lua_pushvalue(L, STORE);
  luaL_setfuncs(L, kernel_methods, 1);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, KERNEL);
  lua_pushvalue(L, KERNEL);
  lua_setfield(L, LUA_REGISTRYINDEX, "kernel");
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  luaL_newlibtable(L, limit_functions);
  lua_pushvalue(L, STORE);
  luaL_setfuncs(L, limit_functions, 1);
  lua_setfield(L, -2, "limit");
  lua_pop(L, 1);
}

static void set_arg(lua_State *L, int argc, char **argv) {
  lua_newtable(L);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - 1);
  }
  lua_setglobal(L, "arg");
}

static int run_main(lua_State *L) {
  const char *script = lua_touserdata(L, 1);
  lua_settop(L, 0);
  open_limit(L);
  if (luaL_loadfile(L, script)) return lua_error(L);
  lua_call(L, 0, 1);
  run(L);
  if (lua_isfunction(L, -1)) lua_call(L, 0, 0);
  return 0;
}

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  if (!L || argc < 2) return 2;
  luaL_openlibs(L);
  set_arg(L, argc, argv);
  lua_pushcfunction(L, run_main);
  lua_pushlightuserdata(L, argv[1]);
  if (lua_pcall(L, 1, 0, 0)) {
    fprintf(stderr, "limit: %s\n", lua_tostring(L, -1));
    return 1;
  }
  lua_close(L);
  return 0;
}
