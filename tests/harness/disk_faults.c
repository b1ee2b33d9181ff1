// Lets the disk of a process fail, or be slow, where and when a file says so. Preloaded into members by tests.
//
// The file that CORRAL_DISK_FAULTS names holds one line: what fails (`write` or `sync`), with which error, and a part of the
// path of the files that it is about; or `slow`, and by how many microseconds a sync of them takes longer. It is read at each
// call, so a test may change its mind.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

// The number behind `what`, if that is in the file and about this one; otherwise 0.
static int number(const char *what, int fd) {
  const char *script = getenv("CORRAL_DISK_FAULTS");
  if (script == NULL) return 0;
  int kept = errno;
  // What goes over the network is no matter of a disk, and must not pay for it.
  struct stat status;
  if (fstat(fd, &status) != 0 || S_ISSOCK(status.st_mode) || S_ISFIFO(status.st_mode)) {
    errno = kept;
    return 0;
  }
  int in = open(script, O_RDONLY | O_CLOEXEC);
  if (in < 0) {
    errno = kept;
    return 0;
  }
  char line[256], call[16], part[200], link[64], path[PATH_MAX];
  int found = 0;
  ssize_t bytes = read(in, line, sizeof(line) - 1);
  close(in);
  errno = kept;
  if (bytes <= 0) return 0;
  line[bytes] = 0;
  if (sscanf(line, "%15s %d %199s", call, &found, part) != 3 || strcmp(call, what) != 0) return 0;
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  bytes = readlink(link, path, sizeof(path) - 1);
  errno = kept;
  if (bytes <= 0) return 0;
  path[bytes] = 0;
  if (strstr(path, part) == NULL) return 0;
  return found;
}

static int fails(const char *what, int fd) {
  int error = number(what, fd);
  if (error != 0) errno = error;
  return error != 0;
}

static void linger(int fd) {
  int micros = number("slow", fd);
  if (micros > 0) usleep((useconds_t)micros);
}

#define REAL(name, type) ((type)dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t count) {
  if (fails("write", fd)) return -1;
  return REAL(write, ssize_t (*)(int, const void *, size_t))(fd, data, count);
}

ssize_t pwrite(int fd, const void *data, size_t count, off_t at) {
  if (fails("write", fd)) return -1;
  return REAL(pwrite, ssize_t (*)(int, const void *, size_t, off_t))(fd, data, count, at);
}

ssize_t pwrite64(int fd, const void *data, size_t count, off64_t at) {
  if (fails("write", fd)) return -1;
  return REAL(pwrite64, ssize_t (*)(int, const void *, size_t, off64_t))(fd, data, count, at);
}

int fsync(int fd) {
  if (fails("sync", fd)) return -1;
  linger(fd);
  return REAL(fsync, int (*)(int))(fd);
}

int fdatasync(int fd) {
  if (fails("sync", fd)) return -1;
  linger(fd);
  return REAL(fdatasync, int (*)(int))(fd);
}
