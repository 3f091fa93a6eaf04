/* SPDX-License-Identifier: MIT */
/*
 * host.h -- what the executable links in: the modules that main.c preloads.
 * Each is an ordinary Lua module; poe.lineedit exists in the host only.  And
 * state.c, stdio.c.
 */
#ifndef POE_HOST_H
#define POE_HOST_H

#include <lua.h>
#include <stddef.h>

/* lua/poe/cli.lua as bytecode; made by tool/precompile.c. */
extern const unsigned char host_cli[];
extern const size_t host_cli_size;

int luaopen_poe_core(lua_State *L);
int luaopen_poe_sys(lua_State *L);
int luaopen_poe_lineedit(lua_State *L);
int luaopen_poe_http(lua_State *L); /* where llhttp is */

/* NULL: no memory.  One at a time. */
lua_State *host_open_state(void);
void host_close_state(lua_State *L);
/* collectgarbage() gives memory back to the system.  Raises. */
void host_trim_when_collected(lua_State *L);

/* At the end of the process the standard files block again if they do now; if
   not all of the output could be written, the status is 1. */
void host_keep_stdio(void);

#endif
