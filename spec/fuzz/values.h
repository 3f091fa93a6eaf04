/* SPDX-License-Identifier: MIT */
/*
 * values.h -- bytes as arguments for poe.sys: of all types, often those that
 * make sense where they come.
 */
#ifndef FUZZ_VALUES_H
#define FUZZ_VALUES_H

#include <stddef.h>
#include <stdint.h>

#include <lua.h>

/* Where the stack has a list of handles, and a file of Lua's that is closed. */
enum { VALUES_HANDLES = 2, VALUES_FILE = 3, VALUES_SLOTS = 16 };

void values_begin(const uint8_t *bytes, size_t n);
int values_are_left(void);
/* The next byte; 0 when none is left. */
unsigned values_next(void);
/* Arguments for the function "table.name"; returns their number. */
int values_push_args(lua_State *L, const char *name);
/* Is its first one a table of options? */
int values_takes_options(const char *name);
/* Does it say which of them is wrong? */
int values_names_option(const char *message);

#endif
