/* Sessions that are left without a word, taken up again, and dead. */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>

/* A session with an ephemeral znode, left by a process that is no more. */
static clientid_t abandoned(const char *path, int timeout_ms) {
    int ends[2];
    if (pipe(ends) != 0) fail("no pipe");
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) fail("no process");
    if (child == 0) {
        zhandle_t *handle = connected(timeout_ms, NULL);
        int result = zoo_create(handle, path, "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0);
        clientid_t id = *zoo_client_id(handle);
        _exit(result == ZOK && write(ends[1], &id, sizeof id) == sizeof id ? 0 : 1);
    }
    clientid_t id;
    int status;
    close(ends[1]);
    if (read(ends[0], &id, sizeof id) != sizeof id) fail("the other process had no session");
    close(ends[0]);
    if (waitpid(child, &status, 0) != child || status != 0) fail("the other process failed");
    return id;
}

static void note_expiry(zhandle_t *handle, int type, int state, const char *path, void *context) {
    (void)handle, (void)path;
    if (type == ZOO_SESSION_EVENT && state == ZOO_EXPIRED_SESSION_STATE) *(volatile int *)context = 1;
}

static int is_set(void *flag) { return *(volatile int *)flag; }

static void expired(const char *which, const clientid_t *id) {
    int flag = 0;
    zhandle_t *handle = dial(note_expiry, 10000, id, &flag);
    until("a session was refused", is_set, &flag);
    printf("the session %s is expired; unrecoverable: %s\n", which, zerror(is_unrecoverable(handle)));
    answered(zoo_exists(handle, "/", 0, NULL), "exists / in it");
    zookeeper_close(handle);
}

struct question {
    zhandle_t *handle;
    const char *path;
};

static int is_gone(void *context) {
    struct question *question = context;
    return zoo_exists(question->handle, question->path, 0, NULL) == ZNONODE;
}

static void negotiate(int timeout_ms) {
    zhandle_t *handle = connected(timeout_ms, NULL);
    printf("who asks for %d ms has %d ms\n", timeout_ms, zoo_recv_timeout(handle));
    zookeeper_close(handle);
}

void sessions(void) {
    // The processes part before there are threads.
    clientid_t id = abandoned("/left", 10000);
    clientid_t dead = abandoned("/dead", 1000);
    zhandle_t *witness = connected(10000, NULL);

    clientid_t stranger = id;
    stranger.passwd[3] ^= 1;
    expired("with a wrong password", &stranger);
    answered(zoo_exists(witness, "/left", 0, NULL), "exists /left, whose session nobody took");

    zhandle_t *heir = connected(10000, &id);
    printf("the heir has the same session: %s\n", zoo_client_id(heir)->client_id == id.client_id ? "yes" : "no");
    struct Stat stat;
    answered(zoo_exists(heir, "/left", 0, &stat), "exists /left");
    printf("its own: %s\n", stat.ephemeralOwner == id.client_id ? "yes" : "no");
    answered(zoo_create(heir, "/more", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0), "create /more");
    answered(zookeeper_close(heir), "close");
    answered(zoo_exists(witness, "/left", 0, NULL), "exists /left");
    answered(zoo_exists(witness, "/more", 0, NULL), "exists /more");
    expired("that was closed", &id);

    struct question question = {witness, "/dead"};
    until("a session ended that nobody uses", is_gone, &question);
    expired("that nobody used", &dead);
    clientid_t unknown = {.client_id = 0x123456789abcdef};
    expired("that never was", &unknown);

    negotiate(600);
    negotiate(5000);
    negotiate(1000000);
    zookeeper_close(witness);
}
