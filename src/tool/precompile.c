/* SPDX-License-Identifier: MIT */
/*
 * precompile.c -- a Lua file as C source: its bytecode, an array of host.h.
 *
 *   precompile FILE ARRAY >FILE.c
 *
 * Runs while the host is built, with the Lua that the host is linked to: reading
 * bytecode takes a sixth of what compiling takes, at each start.
 */
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>

static int write_bytes(lua_State *L, const void *bytes, size_t size,
                       void *file) {
  (void)L;
  for (size_t i = 0; i < size; i++)
    if (fprintf(file, "%d,\n", ((const unsigned char *)bytes)[i]) < 0) return 1;
  return 0;
}

static int fail(const char *message) {
  fprintf(stderr, "precompile: %s\n", message);
  return EXIT_FAILURE;
}

int main(int argc, char **argv) {
  if (argc != 3) return fail("usage: precompile FILE ARRAY");
  lua_State *L = luaL_newstate();
  if (L == NULL) return fail("not enough memory");
  if (luaL_loadfile(L, argv[1]) != LUA_OK) return fail(lua_tostring(L, -1));
  printf("#include \"host/host.h\"\n\nconst unsigned char %s[] = {\n", argv[2]);
  int failed = lua_dump(L, write_bytes, stdout, 0);
  printf("};\nconst size_t %s_size = sizeof %s;\n", argv[2], argv[2]);
  lua_close(L);
  if (failed || fflush(stdout) != 0) return fail("cannot write");
  return EXIT_SUCCESS;
}
