/* SPDX-License-Identifier: MIT */
/*
 * oom.c -- every allocation fails: programs in Lua that run out of memory.
 *
 *   oom [--points=N] [--seed=N] [--soft] [-v] SCRIPT.lua...
 *   oom --at=N [--soft] SCRIPT.lua
 *
 * Each script is run once to count its allocations, then once for each of
 * them, which fails: it alone, or from it on.  Every run is a process of its
 * own.  It must not crash, hang, or leave memory or descriptors behind, and
 * after the failure the same kernel must run smoke.lua.  A script whose name
 * begins with "load" is watched from the creation of the state on, others once
 * the modules of poe are there; and host.h has those that are run by the host.
 *
 * --points  so many failures a script and mode, evenly spread; the first of
 *           them depends on --seed
 * --soft    only the collections that Lua makes when it is refused
 * --at      this one alone, here, for a debugger; -N: from it on
 */
#include <dirent.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"
#include "memory.h"

int luaopen_poe_core(lua_State *L);
int luaopen_poe_sys(lua_State *L);

#define PATIENCE 20 /* seconds that a run may take */
#define HERE "spec/oom/"

static const char *const mode_names[] = {"once", "for ever", "softly"};

static struct {
  int64_t points, seed, at;
  int is_soft, is_verbose;
  int64_t runs, failures;
  FILE *notes; /* what the run in progress has said */
  int64_t *allocations;
} oom = {.seed = 1};

/* ---- one run, in its process ----------------------------------------------------- */

static int count_descriptors(void) {
  int n = 0;
  DIR *dir = opendir("/proc/self/fd");
  while (dir && readdir(dir)) n++;
  if (dir) closedir(dir);
  return n;
}

static int open_modules(lua_State *L) {
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_poe_core);
  lua_setfield(L, -2, "poe.core");
  lua_pushcfunction(L, luaopen_poe_sys);
  lua_setfield(L, -2, "poe.sys");
  lua_getglobal(L, "package");
  lua_pushliteral(L, "lua/?.lua;lua/?/init.lua");
  lua_setfield(L, -2, "path");
  lua_pushliteral(L, "build/lib/?.so"); /* poe.http */
  lua_setfield(L, -2, "cpath");
  lua_getglobal(L, "require");
  lua_pushliteral(L, "poe");
  lua_call(L, 1, 0);
  return 0;
}

static int run_file(lua_State *L) {
  const char *file = lua_touserdata(L, 1);
  if (luaL_loadfile(L, file) != LUA_OK) return lua_error(L);
  lua_call(L, 0, 0);
  return 0;
}

static int try(lua_State *L, lua_CFunction f, const char *file) {
  lua_pushcfunction(L, f);
  lua_pushlightuserdata(L, (void *)(uintptr_t)file);
  return lua_pcall(L, 1, 0, 0) == LUA_OK;
}

static int is_loader(const char *script) {
  const char *name = strrchr(script, '/');
  return strncmp(name ? name + 1 : script, "load", 4) == 0;
}

/* True if the kernel is there and may be tried. */
static int run_script(lua_State *L, const char *script, int64_t n,
                      enum memory_mode mode) {
  int is_early = is_loader(script);
  if (!is_early) memory_arm(0, mode);
  int is_loaded = try(L, open_modules, NULL);
  if (!is_early && !is_loaded) return 0;
  if (!is_early) memory_arm(n, mode);
  int is_good = is_loaded && try(L, run_file, script);
  *oom.allocations = memory_calls();
  if (!is_good && n == 0) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    *oom.allocations = -1;
  }
  memory_arm(0, mode);
  return is_loaded;
}

/* 0, or what is wrong. */
static const char *run_state(const char *script, int64_t n,
                             enum memory_mode mode) {
  memory_arm(is_loader(script) ? n : 0, mode);
  lua_State *L = lua_newstate(memory_lua, NULL);
  const char *wrong = NULL;
  if (L && run_script(L, script, n, mode) &&
      !try(L, run_file, HERE "smoke.lua")) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    wrong = "the kernel is of no use afterwards";
  }
  if (*oom.allocations < 0) wrong = "it fails with all the memory there is";
  memory_arm(0, mode);
  if (L) lua_close(L);
  return wrong;
}

static const char *run_host(const char *script, int64_t n,
                            enum memory_mode mode) {
  const char *wrong = host_run(script, n, mode);
  *oom.allocations = memory_calls();
  return wrong;
}

static const char *run(const char *script, int64_t n, enum memory_mode mode) {
  int descriptors = count_descriptors();
  struct memory_use before = memory_in_use();
  const char *wrong = (host_is_for(script) ? run_host : run_state)(script, n, mode);
  struct memory_use after = memory_in_use();
  if (wrong) return wrong;
  if (after.lua != before.lua) return "memory of Lua or the kernel is left";
  if (after.uv != before.uv) return "memory of libuv is left";
  if (after.bytes != before.bytes) return "memory is left";
  if (count_descriptors() != descriptors) return "descriptors are left";
  return NULL;
}

static void be_quiet(void) {
  int null = open("/dev/null", O_RDWR);
  dup2(null, STDIN_FILENO);
  dup2(null, STDOUT_FILENO);
  dup2(fileno(oom.notes), STDERR_FILENO);
  close(null);
}

/* ---- all runs of one script -------------------------------------------------------- */

static void show_notes(void) {
  char line[512];
  rewind(oom.notes);
  for (int i = 0; i < 60 && fgets(line, sizeof line, oom.notes); i++)
    printf("    %s", line);
}

/* True if the run was in order. */
static int run_apart(const char *script, int64_t n, enum memory_mode mode) {
  fflush(NULL);
  if (ftruncate(fileno(oom.notes), 0)) perror("ftruncate");
  lseek(fileno(oom.notes), 0, SEEK_SET);
  pid_t pid = fork();
  if (pid == 0) {
    be_quiet();
    alarm(PATIENCE);
    const char *wrong = run(script, n, mode);
    if (wrong) fprintf(stderr, "%s\n", wrong);
    fflush(stderr);
    _exit(wrong ? EXIT_FAILURE : EXIT_SUCCESS);
  }
  int status = -1;
  waitpid(pid, &status, 0);
  oom.runs++;
  if (status == 0) return 1;
  printf("  %s, allocation %lld %s: ", script, (long long)n, mode_names[mode]);
  if (WIFSIGNALED(status))
    printf("%s\n", WTERMSIG(status) == SIGALRM ? "hangs" :
                                                 strsignal(WTERMSIG(status)));
  else
    printf("status %d\n", WEXITSTATUS(status));
  show_notes();
  return 0;
}

static int run_mode(const char *script, int64_t total, enum memory_mode mode) {
  int64_t stride = oom.points ? total / oom.points : 1;
  int bad = 0;
  if (stride < 1) stride = 1;
  for (int64_t n = 1 + oom.seed % stride; n <= total && bad < 5; n += stride)
    bad += !run_apart(script, n, mode);
  return bad == 0;
}

static int run_all(const char *script) {
  *oom.allocations = 0;
  /* What a process has only once is there after the first run. */
  run(HERE "smoke.lua", 0, MEMORY_ONCE);
  run(script, 0, MEMORY_ONCE);
  if (!run_apart(script, 0, MEMORY_ONCE)) return 0;
  int64_t total = *oom.allocations;
  if (oom.is_soft) return run_mode(script, total, MEMORY_SOFT);
  int is_good = run_mode(script, total, MEMORY_ONCE);
  is_good = run_mode(script, total, MEMORY_EVER) && is_good;
  if (oom.is_verbose)
    printf("%-4s %s: %lld allocations\n", is_good ? "ok" : "FAIL", script,
           (long long)total);
  return is_good;
}

/* For a debugger. */
static void run_here(const char *script) {
  enum memory_mode mode = oom.at < 0 ? MEMORY_EVER : MEMORY_ONCE;
  run(HERE "smoke.lua", 0, MEMORY_ONCE);
  const char *wrong = run(script, llabs(oom.at), oom.is_soft ? MEMORY_SOFT : mode);
  if (!wrong) return;
  puts(wrong);
  oom.failures++;
}

static void try_script(const char *script) {
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    int64_t runs = oom.runs;
    int is_good = run_all(script);
    oom.allocations[1] += oom.runs - runs;
    fflush(NULL);
    _exit(!is_good);
  }
  int status = -1;
  waitpid(pid, &status, 0);
  if (status == 0) return;
  oom.failures++;
  printf("FAIL %s\n", script);
}

static int has_option(const char *arg, const char *name, int64_t *value) {
  size_t len = strlen(name);
  if (strncmp(arg, name, len) != 0 || arg[len] != '=') return 0;
  *value = strtoll(arg + len + 1, NULL, 10);
  return 1;
}

/* The C library's caches would look like memory that is left. */
static void turn_caches_off(char **argv) {
  if (getenv("GLIBC_TUNABLES")) return;
  setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 1);
  execv("/proc/self/exe", argv);
}

int main(int argc, char **argv) {
  int scripts = 0;
  turn_caches_off(argv);
  oom.notes = tmpfile();
  oom.allocations = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (!oom.notes || oom.allocations == MAP_FAILED) return EXIT_FAILURE;
  memory_init();
  for (int i = 1; i < argc; i++) {
    if (has_option(argv[i], "--points", &oom.points)) continue;
    if (has_option(argv[i], "--seed", &oom.seed)) continue;
    if (has_option(argv[i], "--at", &oom.at)) continue;
    if (strcmp(argv[i], "--soft") == 0)
      oom.is_soft = 1;
    else if (strcmp(argv[i], "-v") == 0)
      oom.is_verbose = 1;
    else
      (oom.at ? run_here : try_script)(argv[i]), scripts++;
  }
  printf("%lld runs, seed %lld\n%d passed, %lld failed\n",
         (long long)oom.allocations[1], (long long)oom.seed,
         scripts - (int)oom.failures, (long long)oom.failures);
  return oom.failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
