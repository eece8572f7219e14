/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session: one target, from its first poke to its last: handshakes, the questions at each break, the resume.
 *
 * Sans-I/O: datagrams and time go in; datagrams, events and the next deadline come out. Time
 * is an argument, in microseconds of any monotonic clock; random bytes and symbols are asked for with callbacks. A
 * session belongs to one thread.
 *
 * A caller does, for each datagram and each deadline:
 *
 *     kdnet_session_receive(s, payload, length, now_us, &received);      or     kdnet_session_expire(s, now_us);
 *     while (kdnet_session_next_event(s, &event))                report it;
 *     while (kdnet_session_next_datagram(s, now_us, &out))       send it: to the sender when out.to_sender, else to
 *                                                                the target's address;
 *     arm a timer for kdnet_session_deadline(s);
 *
 * Report before sending: a result and the Continue come together, and when the machine has gone on nobody can ask it
 * again.
 *
 * Never a halted machine without a plan: while a break lasts, either something of ours is under way with a timer, or
 * the machine is held by policy.
 */
#ifndef KDNET_SESSION_H
#define KDNET_SESSION_H

#include "kdnet/header.h"
#include "kdnet/crypto.h"
#include "kdnet/datagram.h"
#include "kdnet/event.h"
#include "kdnet/key.h"
#include "kdnet/policy.h"
#include "kdnet/trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

KDNET_HEADER_BEGIN

struct kdnet_session;
struct kdnet_layout_cache;
struct kdnet_trace_cache;

/* How a symbol was looked up. */
enum kdnet_rva_answer {
    KDNET_RVA_FOUND,
    KDNET_RVA_ABSENT,     /* this kernel's symbols are known, and have no such name */
    KDNET_RVA_NO_SYMBOLS, /* this kernel's symbols are not known */
    KDNET_RVA_PENDING, /* being looked up: the machine waits, until kdnet_session_symbols_came or the read deadline */
};

/* Datagrams of all sessions together. */
struct kdnet_session_counts {
    uint64_t rejected;   /* damaged, or of another key */
    uint64_t repeated;   /* seen before */
    uint64_t sent_again; /* ours */
};

/* What many sessions share; borrowed for as long as they live. May be changed between calls. Begin with
 * kdnet_session_shared_init: a member that a later version adds is off then. */
struct kdnet_session_shared {
    struct kdnet_crypto *crypto;
    void *user; /* handed to the callbacks */
    /* Fills `out` with random bytes fit for keys. Returns KDNET_OK or KDNET_ERR_RANDOM. NULL: OpenSSL does. */
    int (*random)(void *user, uint8_t *out, size_t length);
    /* Says for which machine the questions below are that follow, by its key; borrowed for the call. NULL: nobody
     * minds.
     */
    void (*asking)(void *user, const struct kdnet_key *key);
    /* Looks up a symbol of a kernel, without waiting. Writes rva and source only when it is found. NULL: there are no
     * symbols. */
    enum kdnet_rva_answer (*find_rva)(void *user, const struct kdnet_pdb *pdb, const char *symbol, uint32_t *rva,
                                      enum kdnet_source *source);
    /* Says that these symbols of an image will be asked for, so that they can be looked up together and soon; the first
     * matters most. NULL: nobody minds. */
    void (*want_rvas)(void *user, const struct kdnet_pdb *pdb, const char *const *symbols, size_t count);
    /* Which public symbol of an image an address lies at or behind, without waiting: NUL-ended, and how far behind.
     * False: not known now. NULL: nobody knows. */
    bool (*find_name)(void *user, const struct kdnet_pdb *pdb, uint32_t rva, char *name, size_t size, uint32_t *offset);
    /* What the kernel with this print turned out to be earlier, on machines that may be believed. False: not known, or
     * not certain; then this machine is asked. NULL: nothing is remembered. */
    bool (*recall_image)(void *user, const struct kdnet_image_print *print, struct kdnet_pdb *pdb);
    /* What it turned out to be, by its own identity record. A machine may lie, about others too. NULL: nobody minds. */
    void (*remember_image)(void *user, const struct kdnet_image_print *print, const struct kdnet_pdb *pdb);
    /* By how much the caller's times are behind those of a clock that counts also what it stood still itself. NULL:
     * they are not. Deadlines are of the caller's times; what people are told to have lasted is of the other clock's.
     */
    uint64_t (*lag_us)(void *user);
    struct kdnet_layout_cache
        *layout_cache; /* where a block lies in kernels that were read before. NULL: each is read whole */
    const struct kdnet_reads
        *reads;                /* evidence; may be another one after each call, with another version. NULL: none */
    uint64_t read_deadline_us; /* from a break to its release, whatever was read by then */
    uint64_t lost_after_us;    /* silence after which a target is lost */
    uint64_t dump_for_us; /* the same, after the first break of a crash: the machine writes its dump and is silent */
    bool prints;          /* make events of debug text */
    /* A machine that breaks in now has to wait: its break gets no ACK and is not read, so the machine says it again, by
     * itself and at kdnet_session_admit. All else that it says is taken: a machine whose print gets no ACK may take
     * its debugger for absent, and never break in. */
    bool breaks_wait;
    struct kdnet_trace_cache *trace_cache; /* crashes are traced to their cause. NULL: they are not */
    bool crash_storm;                      /* very many machines are halted: they are asked little about that */
    struct kdnet_session_counts *counts;   /* NULL: not counted */
    /* Running machines may be stopped to be read (kdnet_session_break_in): a break that a host has asked for is always
     * continued, whatever the policy says of breaks. A previous process may have asked for it. */
    bool break_in_allowed;
    /* Other hosts may have the same keys and be heard by the same machines at the same time: collectors behind one
     * address, while the network brings each a part. False: other hosts may have been there before, or come after. */
    bool rivals;
};

/*
 * Breaks that are no bug check, such as a driver's int 3 in a loop, are read while they last: so many at once, and one
 * more each second. Beyond that the machine is released as soon as it is known to be none (KDNET_EVENT_BREAK_STORM).
 */
#define KDNET_BREAKS_AT_ONCE 20U
#define KDNET_BREAK_EVERY_US 1000000U

#define KDNET_READ_DEADLINE_US 2000000U /* defaults */
#define KDNET_LOST_AFTER_US    30000000U
#define KDNET_DUMP_FOR_US      1800000000U

/* Defaults: OpenSSL's random bytes, no symbols, no evidence, the times above. */
void kdnet_session_shared_init(struct kdnet_session_shared *shared, struct kdnet_crypto *crypto);

/* The crash that a machine is in, for who may have to go on with it: another host, or this one after a restart. */
struct kdnet_crash_memory {
    bool known;
    bool released;    /* it went on from its first break */
    uint8_t crash[8]; /* its name, and the run of the machine's KDNET in which it got that */
    uint8_t boot[8];
    uint64_t released_us; /* when it did: of the clock of what people are told (lag_us) */
};

/* What became of a received datagram. */
struct kdnet_received {
    bool authentic;  /* opened with a key of this target */
    bool live;       /* authentic and not a repeat, on the data channel: its sender's address is the target's */
    bool poke;       /* a poke, new or repeated */
    bool fresh;      /* a poke of the run that we hold, newer than all before: no recording, but the machine itself */
    bool answered;   /* a poke whose response goes to its sender, recorded or not: data may come from there */
    bool hears;      /* it acknowledged or answered something of ours */
    bool said;       /* a data packet that was taken, and is no answer: after its ACK the machine goes on */
    bool waits;      /* a break that was not taken, as breaks_wait says */
    uint8_t version; /* of an authentic datagram */
    /* Another host answers this machine's pokes, or seems to. We do not fight for the machine: it is taken over once
     * when we hold no key for it, and left alone when it then names the other host again. */
    bool other_host;
    struct kdnet_address other; /* as the machine names it; none: it uses the address that the machine sends to us by */
};

struct kdnet_outgoing {
    uint8_t payload[KDNET_DATAGRAM_MAX];
    size_t length;
    bool to_sender; /* answers the datagram just received: to where it came from, which may not be the target's address
                     */
};

/*
 * Where things lie in kernels that were read before, for all sessions of a thread: with it a kernel of which another
 * machine has told costs one question fewer. NULL when memory is out; free(NULL) is fine.
 */
struct kdnet_layout_cache *kdnet_layout_cache_new(void);
void kdnet_layout_cache_free(struct kdnet_layout_cache *cache);

/*
 * A session for the machine with this key. `shared` and `policy` are borrowed; policy NULL: the defaults.
 * NULL when memory is out, or when key, shared or shared->crypto is NULL.
 */
struct kdnet_session *kdnet_session_new(const struct kdnet_session_shared *shared, const struct kdnet_policy *policy,
                                        const struct kdnet_key *key);

/*
 * The same in memory of the caller's, of this many bytes and aligned as a uint64_t is: who has many sessions keeps them
 * beside what else a machine has. What a session allocates while it is active is its own all the same.
 */
size_t kdnet_session_size(void);
struct kdnet_session *kdnet_session_init(void *memory, const struct kdnet_session_shared *shared,
                                         const struct kdnet_policy *policy, const struct kdnet_key *key);

/* Wipes all keys, and gives back all but the caller's memory. A machine that is halted stays so: its next host finds
 * it. */
void kdnet_session_clear(struct kdnet_session *session);

/* Moves it into other memory of the caller's, and wipes where it was. What it owns stays its own. */
struct kdnet_session *kdnet_session_relocate(struct kdnet_session *session, void *memory);

/* The key that it was made for; borrowed. */
const struct kdnet_key *kdnet_session_key(const struct kdnet_session *session);

/* Forgets everything but its key and its policy: as kdnet_session_new leaves it. Needs no memory. */
void kdnet_session_restart(struct kdnet_session *session);

/* For one of kdnet_session_new: kdnet_session_clear, and its memory. NULL is fine. */
void kdnet_session_free(struct kdnet_session *session);

/* Gives another policy to a session that goes on; it counts from the next break. NULL: the defaults. An action in it
 * that is none of enum kdnet_action counts as continue. */
void kdnet_session_set_policy(struct kdnet_session *session, const struct kdnet_policy *policy);

/* The one that it has; borrowed. */
const struct kdnet_policy *kdnet_session_policy(const struct kdnet_session *session);

/* Lets a session go on with what others share, for another thread: nothing of it may be under way in this one. */
void kdnet_session_move(struct kdnet_session *session, const struct kdnet_session_shared *shared);

/* Whether this payload could be of this target's control channel: a quick test that lets one wrong key in 16 million
 * pass. */
bool kdnet_session_may_open(struct kdnet_session *session, const uint8_t *payload, size_t length);

/*
 * Takes one UDP payload.
 *
 * received  always written.
 * Returns KDNET_OK, or an error whose family says what to do (error.h): drop, resync: nothing; give up: free this
 * session. Cost: one open (two or three while a new key is not yet confirmed); the first data datagram after an idle
 * time allocates about 13 KiB, which kdnet_session_next_event or kdnet_session_next_datagram gives back when the target
 * is idle again: what an event borrows, such as a print's text, is there until one of them is called.
 */
int kdnet_session_receive(struct kdnet_session *session, const uint8_t *payload, size_t length, uint64_t now_us,
                          struct kdnet_received *received);

/*
 * For a data datagram that no known target opens, from an address that may be this target's: asks the machine to poke
 * at once (PROTOCOL section 3). Writes one datagram for the sender. Returns KDNET_OK or KDNET_ERR_CRYPTO.
 */
int kdnet_session_solicit_poke(struct kdnet_session *session, uint8_t version, struct kdnet_outgoing *out);

/* The next response, or request to poke; false when there is none. It may go out while data has to wait: it lets no
 * machine go on. */
bool kdnet_session_next_control(struct kdnet_session *session, struct kdnet_outgoing *out);

/* The next datagram to send; false when there is none. */
bool kdnet_session_next_datagram(struct kdnet_session *session, uint64_t now_us, struct kdnet_outgoing *out);

/* The next event; false when there is none. Call it until then. */
bool kdnet_session_next_event(struct kdnet_session *session, struct kdnet_event *out);

/* Gives an event of the caller's what it belongs to, but for its number, as the session knows it now. */
void kdnet_session_identify(const struct kdnet_session *session, struct kdnet_event *event);

/* When kdnet_session_expire wants to be called; UINT64_MAX: never. */
uint64_t kdnet_session_deadline(const struct kdnet_session *session);
void kdnet_session_expire(struct kdnet_session *session, uint64_t now_us);

/* The crash that the machine is in; else the one that is remembered, and that it has not confirmed yet. */
void kdnet_session_crash(const struct kdnet_session *session, struct kdnet_crash_memory *out);

/*
 * What is remembered of a crash that the machine was in. It counts only when the machine's own bug check gives the
 * crash that name. Returns KDNET_OK or KDNET_ERR_MEMORY.
 */
int kdnet_session_recall_crash(struct kdnet_session *session, const struct kdnet_crash_memory *memory);

/* Another host may have answered the machine meanwhile: its next poke is answered, whatever it says. */
void kdnet_session_doubt(struct kdnet_session *session);

/* A look-up that was pending has ended: the session asks again, if it waits. */
void kdnet_session_symbols_came(struct kdnet_session *session, uint64_t now_us);

/*
 * Asks a connected machine to say again what it waits with, if it waits: for one whose break was not taken before. When
 * that is lost, it is asked again after some seconds, and then less and less often, until it says anything.
 */
void kdnet_session_admit(struct kdnet_session *session, uint64_t now_us);

/* Lets a held machine go on, now: continue or reboot. Returns KDNET_OK or KDNET_ERR_STATE (it is not held, or the
 * action is another one). */
int kdnet_session_resume(struct kdnet_session *session, enum kdnet_action action, uint64_t now_us);

/* Lets a machine that is being read reboot when that is over, whatever its policy says. Returns KDNET_OK or
 * KDNET_ERR_STATE (it is not being read, or was told to go on already). */
int kdnet_session_reboot(struct kdnet_session *session);

/* What became of the read that was demanded last. */
enum kdnet_demand {
    KDNET_DEMAND_NONE,       /* nobody has demanded one of late */
    KDNET_DEMAND_ASKED,      /* a running machine was asked to break in */
    KDNET_DEMAND_HALTED,     /* it is being read */
    KDNET_DEMAND_DONE,       /* its result is told */
    KDNET_DEMAND_UNANSWERED, /* it did not break in within KDNET_BREAK_IN_FOR_US. If it does later, it is read and
                                continued */
};

#define KDNET_BREAK_IN_FOR_US UINT64_C(5000000)

/*
 * Reads a machine again that is held at a break, and tells one more result; it is held until the same time as before.
 * Returns KDNET_OK, KDNET_ERR_STATE (it is not held, or at no break) or KDNET_ERR_MEMORY.
 */
int kdnet_session_read(struct kdnet_session *session, uint64_t now_us);

/*
 * Stops a running machine, reads it as at any break, and lets it go on at once, whatever its policy says: what is still
 * looked up is not waited for. Returns KDNET_OK (kdnet_session_demand says what becomes of it), KDNET_ERR_STATE (it is
 * not connected, is lost, halted, writes its dump, or was asked already) or KDNET_ERR_MEMORY.
 */
int kdnet_session_break_in(struct kdnet_session *session, uint64_t now_us);
enum kdnet_demand kdnet_session_demand(const struct kdnet_session *session);

/* Fetches into the cache what the next poke of an idle session will touch; reads nothing of it. */
void kdnet_session_prefetch(const struct kdnet_session *session);
/* The same for its key alone. */
void kdnet_session_prefetch_key(const struct kdnet_session *session);

/* Whether an answer to something of ours is under way, which time is lost over when it waits. */
bool kdnet_session_awaits(const struct kdnet_session *session);

/* How long the next packet to the machine waits for its ACK, before it goes out again; microseconds. */
uint64_t kdnet_session_timeout(const struct kdnet_session *session);

bool kdnet_session_is_connected(const struct kdnet_session *session);
bool kdnet_session_is_halted(const struct kdnet_session *session);
/* Whether it stands still at a break that was not taken yet: breaks_wait. */
bool kdnet_session_is_waiting(const struct kdnet_session *session);
/* It has gone on from the first break of a crash, and writes its dump. */
bool kdnet_session_is_dumping(const struct kdnet_session *session);
/* It shuts down or starts anew, after a crash or not: the last it said, or was told, is that. */
bool kdnet_session_is_going_down(const struct kdnet_session *session);
uint64_t kdnet_session_last_seen(const struct kdnet_session *session);
/* The id of the session, KDNET_SESSION_ID_LENGTH bytes; false: it has none yet. */
bool kdnet_session_id(const struct kdnet_session *session, uint8_t *id);
/* The version of KDNET that the machine speaks; 0: not known. */
uint8_t kdnet_session_version(const struct kdnet_session *session);
/* The identity of its kernel's image, as far as it was learnt in this boot; NULL: not known. Borrowed for the moment.
 */
const struct kdnet_pdb *kdnet_session_pdb(const struct kdnet_session *session);

KDNET_HEADER_END

#endif
