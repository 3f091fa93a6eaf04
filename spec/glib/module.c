/* SPDX-License-Identifier: MIT */
/*
 * module.c -- the other side of spec/glib_spec.lua, as a Lua module: a GLib
 * program with timeouts, objects and, where WITH_GTK is defined, a window.
 */
#include <glib-object.h>
#ifdef WITH_GTK
#include <gtk/gtk.h>
#endif

#include <lauxlib.h>
#include <lua.h>

struct later {
  lua_State *L;
  int ref;
};

static gboolean call(gpointer data) {
  struct later *later = data;
  lua_State *L = later->L;
  lua_rawgeti(L, LUA_REGISTRYINDEX, later->ref);
  luaL_unref(L, LUA_REGISTRYINDEX, later->ref);
  g_free(later);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
    g_print("%s\n", lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  return G_SOURCE_REMOVE;
}

/* later(ms, function): by a timeout of GLib's */
static int module_later(lua_State *L) {
  struct later *later = g_new(struct later, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  later->L = lua_tothread(L, -1);
  lua_settop(L, 2);
  later->ref = luaL_ref(L, LUA_REGISTRYINDEX);
  g_timeout_add((guint)luaL_checkinteger(L, 1), call, later);
  return 0;
}

static gboolean nothing(gpointer data) {
  (void)data;
  return G_SOURCE_REMOVE;
}

static GMainLoop *loop; /* of the program, while it runs */

/* run(): the program runs its loop, until quit() */
static int module_run(lua_State *L) {
  (void)L;
  loop = g_main_loop_new(NULL, FALSE);
  g_main_loop_run(loop);
  g_main_loop_unref(loop);
  return 0;
}

static int module_quit(lua_State *L) {
  (void)L;
  g_main_loop_quit(loop);
  return 0;
}

/* turns(ms): how often the context turned in that time */
static int module_turns(lua_State *L) {
  gint64 end = g_get_monotonic_time() + luaL_checkinteger(L, 1) * 1000;
  lua_Integer turns = 0;
  g_timeout_add((guint)lua_tointeger(L, 1) + 1, nothing, NULL);
  for (; g_get_monotonic_time() < end; turns++)
    g_main_context_iteration(NULL, TRUE);
  lua_pushinteger(L, turns);
  return 1;
}

static int module_object(lua_State *L) {
  lua_pushlightuserdata(L, g_object_new(G_TYPE_OBJECT, NULL));
  return 1;
}

static int module_unref(lua_State *L) {
  g_object_unref(lua_touserdata(L, 1));
  return 0;
}

#ifdef WITH_GTK
/* window() -> a light userdata, or nil without a display */
static int module_window(lua_State *L) {
  if (!gtk_init_check(NULL, NULL)) return 0;
  GtkWidget *window = gtk_window_new(GTK_WINDOW_TOPLEVEL);
  gtk_widget_show_all(window);
  lua_pushlightuserdata(L, window);
  return 1;
}

/* destroy(window): as its close button does */
static int module_destroy(lua_State *L) {
  gtk_widget_destroy(lua_touserdata(L, 1));
  return 0;
}
#endif

static const luaL_Reg functions[] = {{"later", module_later},
                                     {"run", module_run},
                                     {"quit", module_quit},
                                     {"turns", module_turns},
                                     {"object", module_object},
                                     {"unref", module_unref},
#ifdef WITH_GTK
                                     {"window", module_window},
                                     {"destroy", module_destroy},
#endif
                                     {NULL, NULL}};

int luaopen_glib_program(lua_State *L);

int luaopen_glib_program(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
