/* SPDX-License-Identifier: MIT */
/*
 * loop_glib.c -- module poe.loop.glib: the kernel in a GMainContext.
 *
 * GLib's loop is in control, or Gtk's: the kernel is one GSource in the
 * context that was the thread's default when the first session was made.  What
 * sessions watch lies in a loop of libuv's inside that source; see driver.c.
 * Each dispatch of the source is one step.
 *
 * Owner: the kernel, through driver->close, of struct glib and its hooks; the
 * context of the source.
 */
#include <errno.h>
#include <glib-object.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "poe_bridge.h"

static const struct poe_bridge *bridge;

struct glib {
  poe_kernel *k;
  struct source *source;
  GMainContext *context;
  GMainLoop *loop; /* of run */
  GSList *hooks;
};

struct source {
  GSource base;
  struct glib *g;
  gpointer tag; /* of the backend in the source */
  int is_alive; /* and so the backend is watched */
};

/* An object whose end is that of all sessions. */
struct hook {
  struct glib *g;
  GObject *object;
  gulong handler; /* of its signal "destroy", or 0 */
};

/* ---- the source ----------------------------------------------------------- */

static gint to_ms(int64_t ns) {
  int64_t ms = (ns + 999999) / 1000000;
  return ms > G_MAXINT ? G_MAXINT : (gint)ms;
}

/* Without sessions nobody would read what is readable.  A change of what is
   watched makes the context turn once more. */
static int look_for_sessions(struct source *s) {
  int is_alive = bridge->session_count(s->g->k) > 0;
  if (is_alive != s->is_alive)
    g_source_modify_unix_fd((GSource *)s, s->tag, is_alive ? G_IO_IN : 0);
  s->is_alive = is_alive;
  return is_alive;
}

static gboolean prepare(GSource *base, gint *timeout) {
  struct source *s = (struct source *)base;
  int64_t ns = look_for_sessions(s) ? bridge->timeout_ns(s->g->k) : -1;
  *timeout = ns < 0 ? -1 : to_ms(ns);
  return ns == 0;
}

static gboolean check(GSource *base) {
  struct source *s = (struct source *)base;
  return g_source_query_unix_fd(base, s->tag) ||
         bridge->timeout_ns(s->g->k) == 0;
}

static gboolean dispatch(GSource *base, GSourceFunc callback, gpointer data) {
  (void)callback;
  (void)data;
  bridge->step(((struct source *)base)->g->k);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {
    .prepare = prepare, .check = check, .dispatch = dispatch};

/* ---- the driver's part ------------------------------------------------------ */

static void wake(void *ud) {
  g_main_context_wakeup(((struct glib *)ud)->context);
}

static int run(void *ud) {
  struct glib *g = ud;
  g->loop = g_main_loop_new(g->context, FALSE);
  g_main_loop_run(g->loop);
  g_main_loop_unref(g->loop);
  g->loop = NULL;
  return 0;
}

static void halt(void *ud) { g_main_loop_quit(((struct glib *)ud)->loop); }

/* The backend is another descriptor. */
static int moved(void *ud) {
  struct glib *g = ud;
  int fd = bridge->backend(g->k);
  if (fd < 0) return fd;
  g_source_remove_unix_fd((GSource *)g->source, g->source->tag);
  g->source->tag = g_source_add_unix_fd((GSource *)g->source, fd, G_IO_IN);
  g->source->is_alive = 1;
  return 0;
}

/* ---- widgets ------------------------------------------------------------------ */

static void on_end(gpointer data, GObject *object);

static void free_hook(struct hook *h) {
  h->g->hooks = g_slist_remove(h->g->hooks, h);
  g_free(h);
}

static void fire(struct hook *h) {
  poe_kernel *k = h->g->k;
  GMainContext *context = h->g->context;
  free_hook(h);
  bridge->destroyed(k);
  g_main_context_wakeup(context);
}

static void on_destroy(GObject *object, gpointer data) {
  struct hook *h = data;
  g_signal_handler_disconnect(object, h->handler);
  g_object_weak_unref(object, on_end, h);
  fire(h);
}

/* Finalized, without the signal: it is no widget of Gtk's. */
static void on_end(gpointer data, GObject *object) {
  (void)object;
  fire(data);
}

static void unhook(struct hook *h) {
  if (h->handler) g_signal_handler_disconnect(h->object, h->handler);
  g_object_weak_unref(h->object, on_end, h);
  free_hook(h);
}

static int attach_uidestroy(void *ud, void *widget) {
  struct glib *g = ud;
  if (!G_IS_OBJECT(widget)) return -EINVAL;
  struct hook *h = g_new0(struct hook, 1);
  h->g = g;
  h->object = widget;
  g->hooks = g_slist_prepend(g->hooks, h);
  g_object_weak_ref(widget, on_end, h);
  if (g_signal_lookup("destroy", G_OBJECT_TYPE(widget)))
    h->handler = g_signal_connect(widget, "destroy", G_CALLBACK(on_destroy), h);
  return 0;
}

/* ---- open and close -------------------------------------------------------------- */

static void close_driver(void *ud) {
  struct glib *g = ud;
  while (g->hooks) unhook(g->hooks->data);
  g_source_destroy((GSource *)g->source);
  g_source_unref((GSource *)g->source);
  g_main_context_unref(g->context);
  g_free(g);
}

static const struct poe_driver driver = {
    .wake = wake,
    .run = run,
    .halt = halt,
    .forked = moved,
    .moved = moved,
    .attach_uidestroy = attach_uidestroy,
    .close = close_driver,
};

static void add_source(struct glib *g, int fd) {
  g->source = (struct source *)g_source_new(&source_funcs, sizeof *g->source);
  g->source->g = g;
  g->source->tag = g_source_add_unix_fd((GSource *)g->source, fd, G_IO_IN);
  g->source->is_alive = 1;
  g_source_set_name((GSource *)g->source, "poe");
  g_source_attach((GSource *)g->source, g->context);
}

static int open_glib(poe_kernel *k, poe_loop **out) {
  const struct poe_loop_ops *uv = bridge->loop_find("uv");
  int is_stale, err = uv->open(k, out);
  if (err) return err;
  struct glib *g = g_new0(struct glib, 1);
  g->k = k;
  g->context = g_main_context_ref_thread_default();
  err = bridge->set_driver(k, &driver, g);
  if (err) {
    g_main_context_unref(g->context);
    g_free(g);
    uv->close(*out);
    return err;
  }
  add_source(g, uv->backend(*out, &is_stale));
  return 0;
}

/* libuv's loop, but opened with a source around it. */
static const struct poe_loop_ops *make_ops(void) {
  static struct poe_loop_ops ops;
  static gsize is_made;
  if (g_once_init_enter(&is_made)) {
    ops = *bridge->loop_find("uv");
    ops.name = "glib";
    ops.open = open_glib;
    g_once_init_leave(&is_made, 1);
  }
  return &ops;
}

int luaopen_poe_loop_glib(lua_State *L);

__attribute__((visibility("default"))) int luaopen_poe_loop_glib(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "poe.core") != LUA_TTABLE)
    return luaL_error(L, "poe.loop.glib needs poe: require that first");
  lua_getfield(L, -1, "bridge");
  lua_call(L, 0, 1);
  bridge = lua_touserdata(L, -1);
  if (!bridge || strcmp(bridge->version, POE_VERSION) != 0)
    return luaL_error(L, "poe.loop.glib is of another version than poe.core");
  lua_pushlightuserdata(L, (void *)(uintptr_t)make_ops());
  return 1;
}
