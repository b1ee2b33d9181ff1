/* Watch events as they come. */
#include "events.h"

#include "client.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVENTS_MAX = 64, EVENT_BYTES = 96 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char events[EVENTS_MAX][EVENT_BYTES];
static int count;

static const char *kind(int type) {
    if (type == ZOO_CREATED_EVENT) return "created";
    if (type == ZOO_DELETED_EVENT) return "deleted";
    if (type == ZOO_CHANGED_EVENT) return "changed";
    if (type == ZOO_CHILD_EVENT) return "children changed";
    return "unknown";
}

void note_event(zhandle_t *handle, int type, int state, const char *path, void *name) {
    (void)handle, (void)state;
    if (type == ZOO_SESSION_EVENT) return;
    pthread_mutex_lock(&lock);
    if (count == EVENTS_MAX) fail("too many events");
    snprintf(events[count++], EVENT_BYTES, "%s: %s %s", (const char *)name, path, kind(type));
    pthread_mutex_unlock(&lock);
}

int noted_events(void) {
    pthread_mutex_lock(&lock);
    int noted = count;
    pthread_mutex_unlock(&lock);
    return noted;
}

static void answer(int result, const struct Stat *stat, const void *answered_flag) {
    (void)result, (void)stat;
    *(volatile int *)(uintptr_t)answered_flag = 1;
}

static int is_set(void *flag) { return *(volatile int *)flag; }

static int by_text(const void *left, const void *right) { return strcmp(left, right); }

/* Answers that are not waited for come on the thread that events come on, behind them. */
static void await_answer(zhandle_t *handle) {
    int flag = 0;
    if (zoo_aexists(handle, "/", 0, answer, &flag) != ZOK) fail("there is nobody to ask");
    until("an answer came", is_set, &flag);
}

static void print(int sorted) {
    pthread_mutex_lock(&lock);
    if (sorted) qsort(events, (size_t)count, EVENT_BYTES, by_text);
    if (count == 0) puts("  no event");
    for (int i = 0; i < count; i++) printf("  %s\n", events[i]);
    count = 0;
    pthread_mutex_unlock(&lock);
}

void print_events(zhandle_t *handle) {
    await_answer(handle);
    print(0);
}

void print_events_by_name(zhandle_t *handle) {
    await_answer(handle);
    print(1);
}
