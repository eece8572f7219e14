/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_view: one table of several collectors' events: duplicate events count once, and the best verdict of a crash
 * counts.
 *
 * Input may be anything: messages that are no event are counted. Rows are bounded by FLEET_ROWS_MAX; further ones are
 * counted.
 */
#ifndef SERVICE_CTL_FLEET_VIEW_H
#define SERVICE_CTL_FLEET_VIEW_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define FLEET_ROWS_MAX  ((size_t)2000000)
#define FLEET_EVENT_MAX ((size_t)1 << 20) /* bytes */
#define FLEET_SILENT_US 30000000
#define FLEET_ID_MAX    128
#define FLEET_NAME_MAX  64

struct fleet_view;

struct fleet_view_counts {
    uint64_t events;   /* taken */
    uint64_t doubles;  /* events with an id that was there already */
    uint64_t strange;  /* no events */
    uint64_t left_out; /* rows beyond FLEET_ROWS_MAX */
};

struct fleet_view *fleet_view_new(void); /* NULL: out of memory */
void fleet_view_free(struct fleet_view *view);

/* Adds a message of the stream, or of the collectors' bucket, with the time when the servers took it. */
void fleet_view_event(struct fleet_view *view, const char *data, size_t length, uint64_t time_us);
void fleet_view_heartbeat(struct fleet_view *view, const char *data, size_t length, uint64_t time_us);

struct fleet_view_counts fleet_view_counts(const struct fleet_view *view);

/*
 * Arrays of objects, to be released by the caller; NULL: out of memory.
 *
 * targets: by name, a row for each collector that has told of it, the newest first: {target, collector, newest (bool),
 *   collectors (how many), event, time, address, verdict (of its newest crash there)}
 * crashes: newest first: {crash, target, time (first told), verdict, status, reason, bugcheck, collectors [..],
 * results} collectors: by name: {collector, state ok or silent, last_seen, silent_seconds, version, targets, crashes,
 * events}
 */
json_t *fleet_view_targets(const struct fleet_view *view);
json_t *fleet_view_crashes(const struct fleet_view *view);
json_t *fleet_view_collectors(const struct fleet_view *view, uint64_t now_us);

#endif
