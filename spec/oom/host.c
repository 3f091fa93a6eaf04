/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"

int poe_main(int argc, char **argv); /* src/host/main.c, by another name */

#define WORDS 16

struct program {
  char line[256];
  int argc;
  char *argv[WORDS + 1];
  int input; /* a descriptor, or -1 */
};

static FILE *wanted, *printed; /* with all the memory; now */

/* The first line, or 0; leaves the file behind it. */
static int read_line(int fd, char *line, size_t size) {
  size_t n = 0;
  while (n < size - 1 && read(fd, line + n, 1) == 1 && line[n] != '\n') n++;
  line[n] = '\0';
  return strncmp(line, "#!poe", 5) == 0;
}

static int open_script(const char *script, char *line, size_t size) {
  int fd = open(script, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  if (read_line(fd, line, size)) return fd;
  close(fd);
  return -1;
}

int host_is_for(const char *script) {
  char line[8];
  int fd = open_script(script, line, sizeof line);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

static int read_program(struct program *p, const char *script) {
  p->input = open_script(script, p->line, sizeof p->line);
  if (p->input < 0) return -1;
  p->argc = 0;
  char *word = strtok(p->line + 2, " ");
  for (; word && p->argc < WORDS - 1; word = strtok(NULL, " "))
    p->argv[p->argc++] = word;
  if (strcmp(p->argv[p->argc - 1], "<") == 0) {
    p->argc--;
  } else {
    p->argv[p->argc++] = (char *)(uintptr_t)script;
    close(p->input);
    p->input = -1;
  }
  p->argv[p->argc] = NULL;
  return 0;
}

/* ---- standard files ------------------------------------------------------------ */

static int put_in_place(int fd, int standard) {
  int saved = fcntl(standard, F_DUPFD_CLOEXEC, 10);
  dup2(fd, standard);
  return saved;
}

static void put_back(int saved, int standard) {
  dup2(saved, standard);
  close(saved);
}

static off_t size_of(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 ? st.st_size : 0;
}

static void empty(FILE *f) {
  if (ftruncate(fileno(f), 0) != 0) perror("ftruncate");
  lseek(fileno(f), 0, SEEK_SET);
}

static int is_same(FILE *a, FILE *b) {
  char left[4096], right[4096];
  off_t at = 0;
  ssize_t n, m;
  do {
    n = pread(fileno(a), left, sizeof left, at);
    m = pread(fileno(b), right, sizeof right, at);
    if (n != m || n < 0 || memcmp(left, right, (size_t)n) != 0) return 0;
    at += n;
  } while (n > 0);
  return 1;
}

/* ---- the run ------------------------------------------------------------------- */

static int run_main(struct program *p, int64_t n, enum memory_mode mode) {
  int in = p->input >= 0 ? put_in_place(p->input, STDIN_FILENO) : -1;
  int out = put_in_place(fileno(printed), STDOUT_FILENO);
  clearerr(stdin);
  memory_arm(n, mode);
  int status = poe_main(p->argc, p->argv);
  memory_pause();
  fflush(stdout);
  put_back(out, STDOUT_FILENO);
  if (in >= 0) put_back(in, STDIN_FILENO);
  if (p->input >= 0) close(p->input);
  return status;
}

/* Does what was written to standard error since then speak of memory?  Where a
   stack could not grow Lua takes it for one that is full. */
static int has_told(off_t since) {
  char text[65536];
  ssize_t n = pread(STDERR_FILENO, text, sizeof text - 1, since);
  text[n > 0 ? n : 0] = '\0';
  return strstr(text, "memory") || strstr(text, "stack overflow");
}

static const char *judge(int status, int64_t n, off_t since) {
  if (n == 0)
    return status == 0 ? NULL : "it fails with all the memory there is";
  if (has_told(since)) return NULL;
  if (status != 0) return "it fails and does not say why";
  if (is_same(wanted, printed)) return NULL;
  return "it has printed something else, and does not say why";
}

const char *host_run(const char *script, int64_t n, enum memory_mode mode) {
  struct program p;
  if (!wanted) wanted = tmpfile();
  if (!printed) printed = tmpfile();
  if (!wanted || !printed) return "no temporary files";
  if (read_program(&p, script) != 0) return strerror(errno);
  FILE *kept = printed;
  if (n == 0) printed = wanted;
  empty(printed);
  off_t before = size_of(STDERR_FILENO);
  int status = run_main(&p, n, mode);
  printed = kept;
  return judge(status, n, before);
}
