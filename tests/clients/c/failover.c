/* A member that dies while calls are under way. */
#include "client.h"
#include "events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 3, CALLS = 300 };

static zhandle_t *handle;

/* What came of each call of a round, in the order of the calls; only the client's thread for answers writes. */
static struct {
    int result;
    int place;
} answers[CALLS];
static volatile int count;

static void answer(int result, const char *path, const void *which) {
    (void)path;
    size_t number = (size_t)which;
    if (answers[number].place != 0) fail("call %zu was answered twice", number);
    answers[number].result = result;
    answers[number].place = count + 1;
    count++;
}

static int all_answered(void *nothing) {
    (void)nothing;
    return count == CALLS;
}

static int is_connected(void *nothing) {
    (void)nothing;
    return zoo_state(handle) == ZOO_CONNECTED_STATE;
}

static void name(char *path, size_t size, int round, int number) { snprintf(path, size, "/f/%d-%d", round, number); }

static void call(int round, int number) {
    char path[32];
    name(path, sizeof path, round, number);
    int result = zoo_acreate(handle, path, path, (int)strlen(path), &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, answer,
                             (const void *)(size_t)number);
    if (result != ZOK) fail("%s: %s", path, zerror(result));
}

/* Asks again where the connection broke. */
static int present(const char *path, char *data, int *length) {
    for (;;) {
        int room = *length;
        int result = zoo_get(handle, path, 0, data, &room, NULL);
        if (result == ZCONNECTIONLOSS || result == ZOPERATIONTIMEOUT) {
            until("there was a connection", is_connected, NULL);
            continue;
        }
        if (result != ZOK && result != ZNONODE) fail("%s: %s", path, zerror(result));
        *length = room;
        return result == ZOK;
    }
}

static void check(int round) {
    int done = 0;
    for (int i = 0; i < CALLS; i++) {
        if (answers[i].place != i + 1) fail("call %d was answered as number %d", i, answers[i].place);
        char path[32], data[32];
        int length = sizeof data;
        name(path, sizeof path, round, i);
        int is_present = present(path, data, &length);
        if (answers[i].result == ZOK) {
            if (!is_present || length != (int)strlen(path) || memcmp(path, data, (size_t)length) != 0)
                fail("%s was made, and is not there", path);
            done++;
        } else if (answers[i].result != ZCONNECTIONLOSS) {
            fail("%s: %s", path, zerror(answers[i].result));
        }
    }
    fprintf(stderr, "round %d: %d of %d calls were done for certain\n", round, done, CALLS);
    if (done == 0) fail("not one call was done");
    printf("round %d: each call was answered once, in order, and all that was done is there\n", round);
}

static int three_events(void *nothing) {
    (void)nothing;
    return noted_events() >= 3;
}

static void must(int result, const char *what) {
    if (result != ZOK) fail("%s: %s", what, zerror(result));
}

void failover(void) {
    static char data[] = "data", children[] = "children", presence[] = "presence";
    handle = connected(40000, NULL);
    int64_t session = zoo_client_id(handle)->client_id;
    must(zoo_create(handle, "/f", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, NULL, 0), "create /f");
    must(zoo_create(handle, "/mine", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0), "create /mine");
    for (int round = 1; round <= ROUNDS; round++) {
        char path[32], buffer[8];
        int length = sizeof buffer;
        struct String_vector names;
        snprintf(path, sizeof path, "/new-%d", round);
        must(zoo_wget(handle, "/mine", note_event, data, buffer, &length, NULL), "wget /mine");
        must(zoo_wget_children(handle, "/f", note_event, children, &names), "wget_children /f");
        deallocate_String_vector(&names);
        if (zoo_wexists(handle, path, note_event, presence, NULL) != ZNONODE) fail("%s is there already", path);

        memset(answers, 0, sizeof answers);
        count = 0;
        for (int i = 0; i < CALLS / 2; i++) call(round, i);
        ask("kill %s, make %s, set /mine", zoo_get_current_server(handle), path);
        for (int i = CALLS / 2; i < CALLS; i++) call(round, i);
        until("all was answered", all_answered, NULL);
        until("there was a connection", is_connected, NULL);
        check(round);
        until("all events came", three_events, NULL);
        print_events_by_name(handle);
        ask("heal");
    }
    printf("the same session: %s\n", zoo_client_id(handle)->client_id == session ? "yes" : "no");
    struct Stat stat;
    answered(zoo_exists(handle, "/mine", 0, &stat), "exists /mine");
    printf("its own: %s\n", stat.ephemeralOwner == session ? "yes" : "no");
    zookeeper_close(handle);
}
