// Lets the wall clock of a process be wrong by as much as a file says. Preloaded into members by tests.
//
// The file that CORRAL_CLOCK_SHIFT names holds one number of 8 bytes, in the machine's order: nanoseconds to add to the time of
// day, which may change while the process runs. Clocks that only go on (CLOCK_MONOTONIC, CLOCK_BOOTTIME) are left alone, as they
// are by whoever sets a real machine's time.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define BILLION 1000000000LL

// Of both that the C library has, the one whose conditions are as large as today's.
#if defined(__x86_64__)
#define CONDITIONS "GLIBC_2.3.2"
#else
#define CONDITIONS "GLIBC_2.17"
#endif

static volatile const int64_t *shift;

__attribute__((constructor)) static void open_shift(void) {
  const char *path = getenv("CORRAL_CLOCK_SHIFT");
  if (path == NULL) return;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  void *place = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (place != MAP_FAILED) shift = place;
}

static int64_t shifted(void) { return shift == NULL ? 0 : *shift; }

static void add(struct timespec *time, int64_t nanos) {
  int64_t sum = (int64_t)time->tv_nsec + nanos % BILLION;
  time->tv_sec += nanos / BILLION + (sum >= BILLION) - (sum < 0);
  time->tv_nsec = sum + (sum < 0 ? BILLION : sum >= BILLION ? -BILLION : 0);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  static int (*real)(clockid_t, struct timespec *);
  if (real == NULL) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) add(time, shifted());
  return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  (void)zone;
  struct timespec now;
  int result = clock_gettime(CLOCK_REALTIME, &now);
  if (result == 0 && time != NULL) {
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
  }
  return result;
}

time_t time(time_t *place) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return (time_t)-1;
  if (place != NULL) *place = now.tv_sec;
  return now.tv_sec;
}

// The kernel, which ends the wait, knows nothing of the shift: who is slow would wait for days, and who is fast not at all.
int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict lock,
                           const struct timespec *restrict until) {
  static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
  if (real == NULL)
    real = (int (*)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *))dlvsym(
        RTLD_NEXT, "pthread_cond_timedwait", CONDITIONS);
  struct timespec truly = *until;
  add(&truly, -shifted());
  return real(condition, lock, &truly);
}
