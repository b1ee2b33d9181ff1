/* Calls that are answered later: all asked at once, all answered in order. */
#include "client.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static volatile int answers;

/* What was asked stands in the context; it is printed with the answer, on the client's one thread for answers. */
static void answer(int result, const void *what) {
    answered(result, "%s", (const char *)what);
    answers++;
}

static void of_stat(int result, const struct Stat *stat, const void *what) {
    answer(result, what);
    if (stat != NULL) print_stat(stat);
}

static void of_data(int result, const char *data, int length, const struct Stat *stat, const void *what) {
    answer(result, what);
    if (result == ZOK) print_data(data, length);
    if (stat != NULL) print_stat(stat);
}

static void of_string(int result, const char *text, const void *what) {
    answer(result, what);
    if (text != NULL) printf("  %s\n", text);
}

static void of_string_stat(int result, const char *text, const struct Stat *stat, const void *what) {
    of_string(result, text, what);
    if (stat != NULL) print_stat(stat);
}

static void of_strings(int result, const struct String_vector *names, const void *what) {
    answer(result, what);
    if (names != NULL) print_names(names);
}

static void of_strings_stat(int result, const struct String_vector *names, const struct Stat *stat, const void *what) {
    of_strings(result, names, what);
    if (stat != NULL) print_stat(stat);
}

static void of_acl(int result, struct ACL_vector *acl, struct Stat *stat, const void *what) {
    answer(result, what);
    if (acl != NULL) print_acl(acl);
    if (stat != NULL) print_stat(stat);
}

static int all_answered(void *asked) { return answers == *(int *)asked; }

/* Counts what was asked, and says it if even that was refused. */
static int asked;
static void must(int result, const char *what) {
    if (result == ZOK)
        asked++;
    else
        answered(result, "to ask for %s", what);
}
#define ASK(call, what, ...) must(call(handle, __VA_ARGS__, what), what)

void asynchronous_calls(void) {
    const struct ACL_vector *open = &ZOO_OPEN_ACL_UNSAFE;
    zhandle_t *handle = connected(10000, NULL);
    ASK(zoo_acreate, "create /a", "/a", "1", 1, open, ZOO_PERSISTENT, of_string);
    ASK(zoo_acreate, "create /a again", "/a", "1", 1, open, ZOO_PERSISTENT, of_string);
    ASK(zoo_acreate2, "create2 /a/s-", "/a/s-", "", 0, open, ZOO_PERSISTENT_SEQUENTIAL, of_string_stat);
    ASK(zoo_acreate2, "create2 /no/parent", "/no/parent", "", 0, open, ZOO_PERSISTENT, of_string_stat);
    ASK(zoo_aexists, "exists /a", "/a", 0, of_stat);
    ASK(zoo_aexists, "exists /no-such", "/no-such", 0, of_stat);
    ASK(zoo_aset, "set /a", "/a", "22", 2, 0, of_stat);
    ASK(zoo_aset, "set /a, stale", "/a", "3", 1, 0, of_stat);
    ASK(zoo_aget, "get /a", "/a", 0, of_data);
    ASK(zoo_aget, "get /no-such", "/no-such", 0, of_data);
    ASK(zoo_aget_children, "get_children /a", "/a", 0, of_strings);
    ASK(zoo_aget_children2, "get_children2 /a", "/a", 0, of_strings_stat);
    ASK(zoo_aget_children2, "get_children2 /no-such", "/no-such", 0, of_strings_stat);
    ASK(zoo_aget_acl, "get_acl /a", "/a", of_acl);
    ASK(zoo_aset_acl, "set_acl /a", "/a", 0, &ZOO_READ_ACL_UNSAFE, answer);
    ASK(zoo_aget_acl, "get_acl /a again", "/a", of_acl);
    // ZooKeeper judges what is asked right behind a set_acl by the ACL of before, until that is applied.
    until("the new ACL was in force", all_answered, &asked);
    // The client itself refuses this, and says so at once: nothing else may be under way that says something, too.
    ASK(zoo_acreate, "create without a slash", "a", "1", 1, open, ZOO_PERSISTENT, of_string);
    ASK(zoo_aset, "set /a, forbidden", "/a", "3", 1, -1, of_stat);
    ASK(zoo_async, "sync /a", "/a", of_string);
    ASK(zoo_adelete, "delete /a", "/a", -1, answer);
    ASK(zoo_adelete, "delete /a/s-0000000000", "/a/s-0000000000", -1, answer);

    zoo_op_t operations[3];
    zoo_op_result_t results[3] = {0};
    char made[32];
    zoo_create_op_init(&operations[0], "/m", "", 0, open, ZOO_PERSISTENT, made, sizeof made);
    zoo_delete_op_init(&operations[1], "/m", 0);
    zoo_create_op_init(&operations[2], "/m-", "", 0, open, ZOO_PERSISTENT_SEQUENTIAL, made, sizeof made);
    ASK(zoo_amulti, "multi", 3, operations, results, answer);
    zoo_op_t failing[2];
    zoo_op_result_t failures[2] = {0};
    zoo_delete_op_init(&failing[0], "/m-0000000002", 0);
    zoo_delete_op_init(&failing[1], "/no-such", 0);
    ASK(zoo_amulti, "failing multi", 2, failing, failures, answer);
    ASK(zoo_aget_children, "get_children /", "/", 0, of_strings);
    until("all was answered", all_answered, &asked);
    for (int i = 0; i < 3; i++) printf("  %s\n", zerror(results[i].err));
    for (int i = 0; i < 2; i++) printf("  %s\n", zerror(failures[i].err));
    printf("  %s\n", made);
    zookeeper_close(handle);
}
