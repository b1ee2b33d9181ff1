/* What all parts of the program share: one handle, the words with whoever runs it, and how an answer is printed.
 *
 * Whatever differs from run to run is left out: times, sessions, zxids but for their differences. */
#ifndef CLIENT_H
#define CLIENT_H

#include <zookeeper/zookeeper.h>

/* The members, as a connect string. */
extern const char *hosts;

/* Ends everything, and says why. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* A handle that is connected. Events of its session are dropped; id may be null. */
zhandle_t *connected(int timeout_ms, const clientid_t *id);

/* A handle, connected or not. */
zhandle_t *dial(watcher_fn watcher, int timeout_ms, const clientid_t *id, void *context);

/* Says what is wanted of whoever runs this, and waits until it is done. */
void ask(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Asks again and again, for a minute at most. */
void until(const char *what, int (*probe)(void *), void *context);

/* One line: the call and what came of it. */
void answered(int result, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Further lines, each moved in. */
void print_data(const char *data, int length);
void print_stat(const struct Stat *stat);
void print_names(const struct String_vector *names);
void print_acl(const struct ACL_vector *acl);

/* The parts. */
void calls(void);
void asynchronous_calls(void);
void watches(void);
void sessions(void);
void failover(void);
void types(void);

#endif
