/* Containers and znodes with a time to live, the configuration, and refusals to change it. */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static zhandle_t *handle;

static void create(const char *path, int mode) {
    char made[64] = "";
    struct Stat stat;
    int result = zoo_create2(handle, path, "", 0, &ZOO_OPEN_ACL_UNSAFE, mode, made, sizeof made, &stat);
    answered(result, "create2 %s, mode %d", path, mode);
    if (result != ZOK) return;
    printf("  %s, owner %#llx\n", made, (unsigned long long)stat.ephemeralOwner);
    print_stat(&stat);
}

static void create_ttl(const char *path, int mode, int64_t ttl) {
    char made[64] = "";
    struct Stat stat;
    int result = zoo_create2_ttl(handle, path, "", 0, &ZOO_OPEN_ACL_UNSAFE, mode, ttl, made, sizeof made, &stat);
    answered(result, "create2_ttl %s, mode %d, for %lld ms", path, mode, (long long)ttl);
    if (result != ZOK) return;
    printf("  %s, owner %#llx\n", made, (unsigned long long)stat.ephemeralOwner);
    print_stat(&stat);
}

static int is_gone(void *path) {
    int result = zoo_exists(handle, path, 0, NULL);
    if (result != ZOK && result != ZNONODE) fail("%s: %s", (char *)path, zerror(result));
    return result == ZNONODE;
}

static void outlived(char *path) {
    until("a znode was taken away", is_gone, path);
    printf("%s is gone\n", path);
}

static void reconfig(const char *joining, const char *leaving, const char *members, int64_t version) {
    char data[1024];
    int length = sizeof data;
    struct Stat stat;
    int result = zoo_reconfig(handle, joining, leaving, members, version, data, &length, &stat);
    answered(result, "reconfig, joining %s, leaving %s, all %s, version %lld", joining ? joining : "nobody",
             leaving ? leaving : "nobody", members ? members : "as they are", (long long)version);
}

void types(void) {
    handle = connected(10000, NULL);
    create("/box", ZOO_CONTAINER);
    create("/box", ZOO_CONTAINER);
    create("/box/child", ZOO_PERSISTENT);
    create("/box/inner", ZOO_CONTAINER);
    create_ttl("/short", ZOO_PERSISTENT_WITH_TTL, 1);
    create_ttl("/long", ZOO_PERSISTENT_WITH_TTL, 100000000);
    create_ttl("/long-", ZOO_PERSISTENT_SEQUENTIAL_WITH_TTL, 100000000);
    create_ttl("/never", ZOO_PERSISTENT_WITH_TTL, 0);
    create_ttl("/never", ZOO_PERSISTENT_WITH_TTL, -1);
    create_ttl("/never", ZOO_PERSISTENT_WITH_TTL, 0x100000000000);
    create_ttl("/plain", ZOO_PERSISTENT, 5);
    create("/without", ZOO_PERSISTENT_WITH_TTL);
    outlived("/short");
    answered(zoo_delete(handle, "/box/child", -1), "delete /box/child");
    answered(zoo_delete(handle, "/box/inner", -1), "delete /box/inner");
    outlived("/box");
    answered(zoo_exists(handle, "/long", 0, NULL), "exists /long");

    char data[2048];
    int length = sizeof data - 1;
    struct Stat stat;
    answered(zoo_getconfig(handle, 0, data, &length, &stat), "getconfig");
    data[length < 0 ? 0 : length] = '\0';
    for (char *line = strtok(data, "\n"); line != NULL; line = strtok(NULL, "\n"))
        printf("  %.*s\n", (int)strcspn(line, "="), line);
    reconfig("server.9=127.0.0.1:1:2;3", NULL, NULL, -1);
    reconfig(NULL, "2", NULL, -1);
    reconfig(NULL, NULL, "nonsense", 7);
    zookeeper_close(handle);
}
