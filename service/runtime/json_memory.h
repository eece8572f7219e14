/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_memory: whether jansson found no memory. Several of its calls then leave a member out without a word, or say
 * that a text is no JSON. Whoever makes or reads JSON that must be whole compares the failures before and after.
 */
#ifndef SERVICE_RUNTIME_JSON_MEMORY_H
#define SERVICE_RUNTIME_JSON_MEMORY_H

/* From now on jansson's failures are counted. At the start, before any other thread. */
void json_memory_watch(void);

/* Counts a failure of the caller's own, of memory for a value. Thread: any. */
void json_memory_failed(void);

/* Failures of the calling thread so far; without json_memory_watch, those of json_memory_failed alone. Thread: any. */
unsigned json_memory_failures(void);

#endif
