/* Calls that wait for their answer. */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static zhandle_t *handle;

static void create(const char *path, const char *data, const struct ACL_vector *acl, int mode) {
    char made[64] = "";
    int result = zoo_create(handle, path, data, data ? (int)strlen(data) : -1, acl, mode, made, sizeof made);
    answered(result, "create %s, mode %d", path, mode);
    if (result == ZOK) printf("  %s\n", made);
}

static void create2(const char *path, const char *data, int mode) {
    char made[64] = "";
    struct Stat stat;
    int length = data ? (int)strlen(data) : -1;
    int result = zoo_create2(handle, path, data, length, &ZOO_OPEN_ACL_UNSAFE, mode, made, sizeof made, &stat);
    answered(result, "create2 %s, mode %d", path, mode);
    if (result != ZOK) return;
    printf("  %s\n", made);
    print_stat(&stat);
}

static void exists(const char *path) {
    struct Stat stat;
    int result = zoo_exists(handle, path, 0, &stat);
    answered(result, "exists %s", path);
    if (result == ZOK) print_stat(&stat);
}

static void get(const char *path) {
    char data[256];
    int length = sizeof data;
    struct Stat stat;
    int result = zoo_get(handle, path, 0, data, &length, &stat);
    answered(result, "get %s", path);
    if (result != ZOK) return;
    print_data(data, length);
    print_stat(&stat);
}

static void set(const char *path, const char *data, int version) {
    answered(zoo_set(handle, path, data, data ? (int)strlen(data) : -1, version), "set %s, version %d", path, version);
}

static void set2(const char *path, const char *data, int version) {
    struct Stat stat;
    int result = zoo_set2(handle, path, data, (int)strlen(data), version, &stat);
    answered(result, "set2 %s, version %d", path, version);
    if (result == ZOK) print_stat(&stat);
}

static void delete(const char *path, int version) {
    answered(zoo_delete(handle, path, version), "delete %s, version %d", path, version);
}

static void children(const char *path) {
    struct String_vector names;
    int result = zoo_get_children(handle, path, 0, &names);
    answered(result, "get_children %s", path);
    if (result != ZOK) return;
    print_names(&names);
    deallocate_String_vector(&names);
}

static void children2(const char *path) {
    struct String_vector names;
    struct Stat stat;
    int result = zoo_get_children2(handle, path, 0, &names, &stat);
    answered(result, "get_children2 %s", path);
    if (result != ZOK) return;
    print_names(&names);
    print_stat(&stat);
    deallocate_String_vector(&names);
}

static void get_acl(const char *path) {
    struct ACL_vector acl;
    struct Stat stat;
    int result = zoo_get_acl(handle, path, &acl, &stat);
    answered(result, "get_acl %s", path);
    if (result != ZOK) return;
    print_acl(&acl);
    print_stat(&stat);
    deallocate_ACL_vector(&acl);
}

static void set_acl(const char *path, int version, const struct ACL_vector *acl) {
    answered(zoo_set_acl(handle, path, version, acl), "set_acl %s, version %d", path, version);
}

static void synced(int result, const char *path, const void *data) {
    static char kept[64];
    snprintf(kept, sizeof kept, "%s: %s", path ? path : "nothing", zerror(result));
    *(const char **)(uintptr_t)data = kept;
}

static int is_set(void *text) { return *(const char *volatile *)text != NULL; }

static void sync_with_leader(const char *path) {
    const char *volatile text = NULL;
    answered(zoo_async(handle, path, synced, (const void *)(uintptr_t)&text), "sync %s", path);
    until("a sync was answered", is_set, (void *)(uintptr_t)&text);
    printf("  %s\n", text);
}

static void multi(const char *what, int count, const zoo_op_t *operations) {
    zoo_op_result_t results[8] = {0};
    answered(zoo_multi(handle, count, operations, results), "multi %s", what);
    for (int i = 0; i < count; i++) {
        printf("  %s", zerror(results[i].err));
        if (results[i].err == ZOK && results[i].value != NULL) printf(" %s", results[i].value);
        putchar('\n');
    }
}

static void multis(void) {
    const struct ACL_vector *open = &ZOO_OPEN_ACL_UNSAFE;
    char one[32], two[32];
    struct Stat stat = {0};
    zoo_op_t operations[5];
    zoo_create_op_init(&operations[0], "/multi", "m", 1, open, ZOO_PERSISTENT, one, sizeof one);
    zoo_create_op_init(&operations[1], "/multi/n-", NULL, -1, open, ZOO_PERSISTENT_SEQUENTIAL, two, sizeof two);
    zoo_set_op_init(&operations[2], "/multi", "mm", 2, 0, &stat);
    zoo_check_op_init(&operations[3], "/multi", 1);
    zoo_delete_op_init(&operations[4], "/multi/n-0000000000", 0);
    multi("of all kinds", 5, operations);
    print_stat(&stat);
    get("/multi");
    children("/multi");
    zoo_set_op_init(&operations[0], "/multi", "x", 1, -1, &stat);
    zoo_check_op_init(&operations[1], "/multi", 77);
    zoo_delete_op_init(&operations[2], "/multi", -1);
    multi("whose check fails", 3, operations);
    get("/multi");
    zoo_create_op_init(&operations[0], "/multi/owned", "", 0, open, ZOO_EPHEMERAL, one, sizeof one);
    zoo_create_op_init(&operations[1], "/multi/owned/child", "", 0, open, ZOO_PERSISTENT, two, sizeof two);
    multi("with a child of an ephemeral", 2, operations);
    multi("of nothing", 0, operations);
    children("/multi");
}

static int waited;
static void authenticated(int result, const void *data) {
    (void)data;
    waited = 1 + (result != ZOK);
}
static int is_waited(void *nothing) {
    (void)nothing;
    return *(volatile int *)&waited;
}

static void add_auth(const char *scheme, const char *secret) {
    waited = 0;
    answered(zoo_add_auth(handle, scheme, secret, (int)strlen(secret), authenticated, NULL), "add_auth %s", scheme);
    until("credentials were answered", is_waited, NULL);
    puts(waited == 1 ? "  taken" : "  refused");
}

static void acls(void) {
    create("/hers", "x", &ZOO_CREATOR_ALL_ACL, ZOO_PERSISTENT);
    add_auth("digest", "anna:secret");
    create("/hers", "x", &ZOO_CREATOR_ALL_ACL, ZOO_PERSISTENT);
    get_acl("/hers");
    struct ACL entries[] = {
        {.perms = ZOO_PERM_READ, .id = {"world", "anyone"}},
        {.perms = ZOO_PERM_ADMIN | ZOO_PERM_READ, .id = {"digest", "anna:nhgRYtbpoDR6bJSYyGpSBC9SjrA="}},
        {.perms = ZOO_PERM_ALL, .id = {"ip", "10.0.0.0/8"}},
    };
    struct ACL_vector acl = {3, entries};
    set_acl("/hers", 0, &acl);
    set_acl("/hers", 0, &acl);
    get_acl("/hers");
    set("/hers", "y", -1);
    get("/hers");
    set_acl("/hers", -1, &ZOO_READ_ACL_UNSAFE);
    set_acl("/no-such", -1, &ZOO_READ_ACL_UNSAFE);
    get_acl("/no-such");
    entries[0].id.scheme = "no-such-scheme";
    acl.count = 1;
    set_acl("/", -1, &acl);
    create("/unknown-scheme", "", &acl, ZOO_PERSISTENT);
    acl.count = 0;
    create("/no-acl", "", &acl, ZOO_PERSISTENT);

    zhandle_t *hers = handle;
    handle = connected(10000, NULL);
    create("/read-only", "r", &ZOO_READ_ACL_UNSAFE, ZOO_PERSISTENT);
    set("/read-only", "s", -1);
    create("/read-only/child", "", &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT);
    get("/read-only");
    add_auth("no-such-scheme", "x");
    zookeeper_close(handle);
    handle = hers;
}

void calls(void) {
    const struct ACL_vector *open = &ZOO_OPEN_ACL_UNSAFE;
    handle = connected(10000, NULL);
    create("/plain", "hello", open, ZOO_PERSISTENT);
    create("/plain", "hello", open, ZOO_PERSISTENT);
    create("/plain/", "hello", open, ZOO_PERSISTENT);
    create("no-slash", "hello", open, ZOO_PERSISTENT);
    create("/no/parent", "hello", open, ZOO_PERSISTENT);
    create("/nothing", NULL, open, ZOO_PERSISTENT);
    create("/empty", "", open, ZOO_PERSISTENT);
    create("/owned", "o", open, ZOO_EPHEMERAL);
    create("/owned/child", "", open, ZOO_PERSISTENT);
    create("/s-", "", open, ZOO_PERSISTENT_SEQUENTIAL);
    create("/s-", "", open, ZOO_EPHEMERAL_SEQUENTIAL);
    create("/plain/child", "", open, ZOO_PERSISTENT);
    create("/mode-9", "", open, 9);
    create2("/two", "2", ZOO_PERSISTENT);
    create2("/two", "2", ZOO_PERSISTENT);
    create2("/two/n-", NULL, ZOO_PERSISTENT_SEQUENTIAL);
    create2("/two/owned", "", ZOO_EPHEMERAL);
    exists("/plain");
    exists("/owned");
    exists("/no-such");
    get("/plain");
    get("/nothing");
    get("/empty");
    get("/no-such");
    set("/plain", "world", -1);
    set("/plain", "world", 0);
    set("/plain", NULL, 1);
    set("/no-such", "", -1);
    set2("/plain", "more", 2);
    set2("/plain", "more", 2);
    get("/plain");
    children("/plain");
    children("/nothing");
    children("/no-such");
    children2("/two");
    children2("/no-such");
    delete("/plain", -1);
    delete("/plain/child", 7);
    delete("/plain/child", 0);
    delete("/plain", 3);
    delete("/plain", -1);
    delete("/zookeeper", -1);
    delete("/", -1);
    children("/");
    sync_with_leader("/two");
    sync_with_leader("/no-such");
    multis();
    acls();
    children("/zookeeper");
    zookeeper_close(handle);

    handle = connected(10000, NULL);
    children("/");
    zookeeper_close(handle);
}
