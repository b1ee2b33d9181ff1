/* Watch events as they come, each with the name of who waited for it. */
#ifndef EVENTS_H
#define EVENTS_H

#include <zookeeper/zookeeper.h>

/* A watcher; its context is a name. Events of the session are passed over. */
void note_event(zhandle_t *handle, int type, int state, const char *path, void *name);

/* What was noted since the last time. All that was sent in front of now has come: an answer is waited for first. Events
 * that come in whatever order are printed by name. */
void print_events(zhandle_t *handle);
void print_events_by_name(zhandle_t *handle);

/* How many were noted since they were printed. */
int noted_events(void);

#endif
