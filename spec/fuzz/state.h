/* SPDX-License-Identifier: MIT */
/*
 * state.h -- Lua for those that fuzz: its memory is counted, bounded, and can
 * run out; at the end none is left.
 */
#ifndef FUZZ_STATE_H
#define FUZZ_STATE_H

#include <stddef.h>
#include <stdint.h>

#include <lua.h>

/* One at a time, without libraries. */
lua_State *state_open(size_t limit);
void state_close(lua_State *L);
/* So many allocations succeed from now on; -1: all. */
void state_allow(int64_t n);
/* lua_Alloc: of a state that is opened by others. */
void *state_alloc(void *ud, void *p, size_t osize, size_t nsize);
void state_limit(size_t limit);

/* Tells what is wrong, and ends the process as a crash does. */
_Noreturn void fuzz_fail(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

#endif
