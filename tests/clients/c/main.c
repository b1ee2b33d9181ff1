/* ZooKeeper's C client at work: main HOST:PORT,HOST:PORT,HOST:PORT PART
 *
 * What it prints must be what it prints against Apache ZooKeeper. A line that begins with "! " is said to whoever runs it:
 * it goes on when it reads a line. */
#include "client.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_S = 60 };

const char *hosts;

void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

zhandle_t *dial(watcher_fn watcher, int timeout_ms, const clientid_t *id, void *context) {
    zhandle_t *handle = zookeeper_init(hosts, watcher, timeout_ms, id, context, 0);
    if (handle == NULL) fail("there is no handle to be had");
    return handle;
}

static int is_connected(void *handle) { return zoo_state(handle) == ZOO_CONNECTED_STATE; }

static void ignore(zhandle_t *handle, int type, int state, const char *path, void *context) {
    (void)handle, (void)type, (void)state, (void)path, (void)context;
}

zhandle_t *connected(int timeout_ms, const clientid_t *id) {
    zhandle_t *handle = dial(ignore, timeout_ms, id, NULL);
    until("a session was had", is_connected, handle);
    return handle;
}

void ask(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("! ", stdout);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
    char line[64];
    if (fgets(line, sizeof line, stdin) == NULL) fail("nobody is there to answer");
}

void until(const char *what, int (*probe)(void *), void *context) {
    struct timespec pause = {.tv_nsec = 10000000};
    for (time_t end = time(NULL) + PATIENCE_S; !probe(context); nanosleep(&pause, NULL))
        if (time(NULL) > end) fail("waited %d s in vain until %s", PATIENCE_S, what);
}

void answered(int result, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf(": %s\n", zerror(result));
}

void print_data(const char *data, int length) {
    if (length < 0)
        puts("  no data");
    else
        printf("  \"%.*s\"\n", length, data);
}

void print_stat(const struct Stat *stat) {
    printf("  version %d, cversion %d, aversion %d, %d bytes, %d children%s\n", stat->version, stat->cversion, stat->aversion,
           stat->dataLength, stat->numChildren, stat->ephemeralOwner ? ", owned" : "");
    printf("  written %lld and parent of something new %lld after it was made, %s\n",
           (long long)(stat->mzxid - stat->czxid), (long long)(stat->pzxid - stat->czxid),
           stat->mtime < stat->ctime ? "and before in time" : "in time");
}

static int by_name(const void *left, const void *right) { return strcmp(*(char *const *)left, *(char *const *)right); }

void print_names(const struct String_vector *names) {
    if (names->count > 0) qsort(names->data, (size_t)names->count, sizeof *names->data, by_name);
    printf("  %d:", names->count);
    for (int i = 0; i < names->count; i++) printf(" %s", names->data[i]);
    putchar('\n');
}

void print_acl(const struct ACL_vector *acl) {
    for (int i = 0; i < acl->count; i++)
        printf("  %s:%s:%d\n", acl->data[i].id.scheme, acl->data[i].id.id, acl->data[i].perms);
}

int main(int count, char **arguments) {
    static const struct {
        const char *name;
        void (*part)(void);
    } parts[] = {
        {"calls", calls},       {"asynchronous-calls", asynchronous_calls},
        {"watches", watches},   {"sessions", sessions},
        {"failover", failover}, {"types", types},
    };
    if (count != 3) fail("usage: %s HOST:PORT,... PART", arguments[0]);
    hosts = arguments[1];
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    zoo_deterministic_conn_order(1);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(parts[i].name, arguments[2]) == 0) {
            parts[i].part();
            puts("good");
            return 0;
        }
    fail("there is no part `%s`", arguments[2]);
}
