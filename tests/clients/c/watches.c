/* One-shot watches of all kinds, and how they are taken away. */
#include "client.h"
#include "events.h"

#include <stdio.h>
#include <string.h>

static zhandle_t *watcher, *writer;

static void create(const char *path) {
    answered(zoo_create(writer, path, "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, NULL, 0), "create %s", path);
    print_events(watcher);
}

static void set(const char *path) {
    answered(zoo_set(writer, path, "x", 1, -1), "set %s", path);
    print_events(watcher);
}

static void delete(const char *path) {
    answered(zoo_delete(writer, path, -1), "delete %s", path);
    print_events(watcher);
}

static void watch_exists(const char *path, const char *name) {
    struct Stat stat;
    answered(zoo_wexists(watcher, path, note_event, (void *)(uintptr_t)name, &stat), "wexists %s as %s", path, name);
}

static void watch_data(const char *path, const char *name) {
    char data[8];
    int length = sizeof data;
    int result = zoo_wget(watcher, path, note_event, (void *)(uintptr_t)name, data, &length, NULL);
    answered(result, "wget %s as %s", path, name);
}

static void watch_children(const char *path, const char *name) {
    struct String_vector names;
    int result = zoo_wget_children(watcher, path, note_event, (void *)(uintptr_t)name, &names);
    answered(result, "wget_children %s as %s", path, name);
    if (result == ZOK) deallocate_String_vector(&names);
}

static void watch_children2(const char *path, const char *name) {
    struct String_vector names;
    struct Stat stat;
    int result = zoo_wget_children2(watcher, path, note_event, (void *)(uintptr_t)name, &names, &stat);
    answered(result, "wget_children2 %s as %s", path, name);
    if (result == ZOK) deallocate_String_vector(&names);
}

static void remove_one(const char *path, ZooWatcherType type, const char *name) {
    int result = zoo_remove_watches(watcher, path, type, note_event, (void *)(uintptr_t)name, 0);
    answered(result, "remove %s's watch of type %d at %s", name, type, path);
}

static void remove_all(const char *path, ZooWatcherType type) {
    answered(zoo_remove_all_watches(watcher, path, type, 0), "remove all watches of type %d at %s", type, path);
}

void watches(void) {
    static const char data[] = "data", children[] = "children", presence[] = "presence", second[] = "second";
    watcher = connected(10000, NULL);
    writer = connected(10000, NULL);

    watch_exists("/w", presence);
    watch_data("/w", data);
    watch_children("/w", children);
    create("/w");
    set("/w");
    watch_exists("/w", presence);
    watch_children("/w", children);
    set("/w");
    set("/w");
    create("/w/child");
    create("/w/other");
    watch_data("/w", data);
    watch_children2("/w", children);
    watch_data("/w/child", second);
    delete("/w/child");
    delete("/w/other");
    set("/w");
    watch_data("/w", data);
    watch_children("/w", children);
    delete("/w");
    create("/w");

    watch_data("/w", data);
    watch_data("/w", second);
    watch_children("/w", children);
    remove_one("/w", ZWATCHTYPE_DATA, data);
    remove_one("/w", ZWATCHTYPE_DATA, data);
    remove_one("/w", ZWATCHTYPE_CHILD, second);
    remove_one("/no-such", ZWATCHTYPE_ANY, data);
    set("/w");
    create("/w/child");
    watch_data("/w", data);
    watch_children("/w", children);
    remove_all("/w", ZWATCHTYPE_DATA);
    set("/w");
    delete("/w/child");
    watch_data("/w", data);
    watch_children("/w", children);
    remove_all("/w", ZWATCHTYPE_CHILD);
    create("/w/child");
    set("/w");
    watch_exists("/w", presence);
    watch_children("/w", children);
    remove_all("/w", ZWATCHTYPE_ANY);
    remove_all("/w", ZWATCHTYPE_ANY);
    set("/w");
    delete("/w/child");
    delete("/w");
    watch_exists("/later", presence);
    remove_all("/later", ZWATCHTYPE_DATA);
    create("/later");
    zookeeper_close(watcher);
    zookeeper_close(writer);
}
