/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session: the host's side of one target, from the target's first poke to its last: handshakes, reads at each break,
 * the resume.
 *
 * Sans-I/O: the caller passes datagrams and the time in; datagrams, events and the next deadline come out. Time is an
 * argument, in microseconds of any monotonic clock. The session asks for random bytes and symbols by callbacks. A
 * session belongs to one thread.
 *
 * For each datagram and each deadline the caller does:
 *
 *     kdnet_session_receive(s, payload, length, now_us, &received);      or     kdnet_session_expire(s, now_us);
 *     while (kdnet_session_next_event(s, &event))                report the event;
 *     while (kdnet_session_next_datagram(s, now_us, &out))       send `out`: to the sender when out.to_sender, else to
 *                                                                the target's address;
 *     arm a timer for kdnet_session_deadline(s);
 *
 * Report events before sending datagrams: a result and the Continue that releases the machine come out together, and a
 * machine that has gone on cannot be asked again.
 *
 * Invariant: a halted machine always has a plan. While a break lasts, either a packet of the session is in flight with
 * a timer armed, or the policy holds the machine.
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

/* Result of a symbol look-up. */
enum kdnet_rva_answer {
    KDNET_RVA_FOUND,
    KDNET_RVA_ABSENT,     /* the kernel's symbols are known, and do not contain the name */
    KDNET_RVA_NO_SYMBOLS, /* the kernel's symbols are not known */
    KDNET_RVA_PENDING, /* look-up in progress: the machine waits until kdnet_session_symbols_came or the read deadline
                        */
};

/* Counts of datagrams, summed over all sessions. */
struct kdnet_session_counts {
    uint64_t rejected;   /* damaged, or sealed with another key */
    uint64_t repeated;   /* received before */
    uint64_t sent_again; /* retransmitted by the session */
};

/* Settings and callbacks that many sessions share. The caller keeps the struct alive as long as the sessions, and
 * may change members between calls. Start with kdnet_session_shared_init: members that a later version adds are then
 * off. */
struct kdnet_session_shared {
    struct kdnet_crypto *crypto;
    void *user; /* passed to every callback */
    /* Fills `out` with random bytes fit for keys. Returns KDNET_OK or KDNET_ERR_RANDOM. NULL: use OpenSSL's
     * generator. */
    int (*random)(void *user, uint8_t *out, size_t length);
    /* Announces, before the look-ups below, the key of the machine that they are for; borrowed for the call. May be
     * NULL. */
    void (*asking)(void *user, const struct kdnet_key *key);
    /* Looks up the RVA of a kernel symbol without blocking. Writes rva and source only for KDNET_RVA_FOUND. NULL: no
     * symbols are available. */
    enum kdnet_rva_answer (*find_rva)(void *user, const struct kdnet_pdb *pdb, const char *symbol, uint32_t *rva,
                                      enum kdnet_source *source);
    /* Announces symbols of an image that will be looked up soon, most important first, so that the caller can load
     * them together. May be NULL. */
    void (*want_rvas)(void *user, const struct kdnet_pdb *pdb, const char *const *symbols, size_t count);
    /* Finds the public symbol at or before an RVA without blocking: the NUL-terminated name, and the distance from
     * the symbol in bytes. Returns false when unknown now. NULL: names are never known. */
    bool (*find_name)(void *user, const struct kdnet_pdb *pdb, uint32_t rva, char *name, size_t size, uint32_t *offset);
    /* Returns the PDB identity that trusted machines with this fingerprint had. False: unknown or uncertain, so the
     * session reads the identity from this machine. NULL: no fingerprints are remembered. */
    bool (*recall_image)(void *user, const struct kdnet_fingerprint *fingerprint, struct kdnet_pdb *pdb);
    /* Reports the PDB identity that this machine's image stated for a fingerprint. The machine may lie, also about
     * other machines' kernels. May be NULL. */
    void (*remember_image)(void *user, const struct kdnet_fingerprint *fingerprint, const struct kdnet_pdb *pdb);
    /* Returns by how much the caller's clock lags behind a clock that also counts the caller's own standstills.
     * Deadlines use the caller's clock; durations in events use the other clock. NULL: no lag. */
    uint64_t (*lag_us)(void *user);
    struct kdnet_layout_cache
        *layout_cache; /* layouts of kernels that were read before; NULL: each kernel is read in full */
    const struct kdnet_reads
        *reads; /* evidence to read; the pointer may change between calls, with another version. NULL: none */
    uint64_t read_deadline_us; /* from a break to the machine's release, whether or not all reads are done */
    uint64_t lost_after_us;    /* silence after which a target counts as lost */
    uint64_t dump_for_us; /* lost_after_us for a machine that writes its dump (after the first break of a crash): it is
                             silent meanwhile */
    bool prints;          /* report debug text as KDNET_EVENT_PRINT */
    /* Admission is closed: a break that comes now is neither acknowledged nor read. The machine repeats the break by
     * itself, and at kdnet_session_admit. All other packets are still accepted: a machine whose fingerprint gets no ACK
     * may take its debugger for absent, and then never breaks in. */
    bool breaks_wait;
    /* For a machine that has waited too long: a break that comes now is asked only what it is, and the machine goes on
     * with KDNET_REASON_OVERLOADED. */
    bool breaks_pass;
    struct kdnet_trace_cache *trace_cache; /* enables the search for a crash's cause; NULL: no search */
    bool crash_storm;                      /* very many machines are halted: ask each one little about the cause */
    struct kdnet_session_counts *counts;   /* NULL: no counting */
    /* Allows kdnet_session_break_in. The session then always continues a machine from a break that a host requested,
     * whatever the policy says of breaks: a previous process may have requested the break. */
    bool break_in_allowed;
    /* Other hosts with the same keys may hear the same machines at the same time: collectors that share one address
     * while the network delivers a part of the datagrams to each. False: other hosts only come before or after this
     * one. */
    bool rivals;
    /* The caller shows those other hosts what goes astray (kdnet_received.astray), and says when one of them has the
     * machine (kdnet_session_kept). May change between calls. */
    bool relays;
    /* Whether nothing that is sent to a session's machine reaches it, because the address that it sends to has moved to
     * one of those other hosts. Asked when the time of a read is over, which then waits read_deadline_us longer for
     * that host's word, and when that word comes (kdnet_session_told). NULL: the address never moves. */
    bool (*away)(void *user, const struct kdnet_session *session);
};

/*
 * Rate limit for breaks that are no bug check (e.g. a driver's int 3 in a loop): KDNET_BREAKS_AT_ONCE are read at once,
 * then one for each KDNET_BREAK_EVERY_US. Beyond the limit the machine is released as soon as the break is known to be
 * no bug check (KDNET_EVENT_BREAK_STORM).
 */
#define KDNET_BREAKS_AT_ONCE 20U
#define KDNET_BREAK_EVERY_US 1000000U

#define KDNET_READ_DEADLINE_US 2000000U /* default values */
#define KDNET_LOST_AFTER_US    30000000U
#define KDNET_DUMP_FOR_US      1800000000U

/* Fills `shared` with defaults: OpenSSL's random bytes, no symbols, no evidence, the times above. */
void kdnet_session_shared_init(struct kdnet_session_shared *shared, struct kdnet_crypto *crypto);

/* Memory of a crash for the process that may have to continue with it: another host, or this one after a restart. */
struct kdnet_crash_memory {
    bool known;
    bool released;    /* the machine was released from the first break of the crash */
    uint8_t crash[8]; /* id of the crash, and of the boot (run of the machine's KDNET) in which the crash got its id */
    uint8_t boot[8];
    uint64_t released_us; /* time of that release, on the clock of reported durations (lag_us) */
};

/* What kdnet_session_receive found out about a datagram. */
struct kdnet_received {
    bool authentic; /* opened with a key of this target */
    bool live;      /* authentic, not a repeat, on the data channel: the sender's address is the target's address */
    bool poke;      /* a poke, new or repeated */
    bool fresh; /* a poke of the current run, newer than all pokes before: sent by the machine itself, not replayed */
    bool answered; /* a poke, perhaps replayed, whose response goes to the sender: data may come from the sender's
                      address */
    bool hears;    /* the machine acknowledged or answered a packet of ours */
    bool said;     /* a data packet was taken that is no reply: the machine goes on when it gets the ACK */
    bool waits;    /* a break was left unacknowledged because of breaks_wait */
    /* Perhaps meant for another host: data that no key here opens, or a poke that another host may have asked for. To
     * be shown to the other hosts (kdnet_session_receive_relayed). Only where `relays` is set. */
    bool astray;
    uint8_t version; /* KDNET protocol version of an authentic datagram */
    /* Another host answers this machine's pokes, or seems to. The session does not fight for the machine: it takes
     * the machine over once when it holds no key for it, and leaves the machine alone when the machine then names
     * the other host again. */
    bool other_host;
    struct kdnet_address other; /* the other host's address, as the machine names it; none: the other host uses the
                                   address that the machine sends to */
};

struct kdnet_outgoing {
    uint8_t payload[KDNET_DATAGRAM_MAX];
    size_t length;
    bool to_sender; /* reply to the address that the current datagram came from, which may differ from the target's
                       address */
};

/*
 * Cache of the places where data lies in kernels that were read before, shared by all sessions of a thread. A cached
 * kernel costs one request fewer. Returns NULL when out of memory; free(NULL) does nothing.
 */
struct kdnet_layout_cache *kdnet_layout_cache_new(void);
void kdnet_layout_cache_free(struct kdnet_layout_cache *cache);

/*
 * Makes a session for the machine with `key`. Borrows `shared` and `policy`; policy NULL: the defaults. Returns NULL
 * when out of memory, or when key, shared or shared->crypto is NULL.
 */
struct kdnet_session *kdnet_session_new(const struct kdnet_session_shared *shared, const struct kdnet_policy *policy,
                                        const struct kdnet_key *key);

/*
 * Makes a session in the caller's memory: kdnet_session_size() bytes, aligned as uint64_t. For callers that keep many
 * sessions beside other data of a machine. The session still allocates memory of its own while it is active.
 */
size_t kdnet_session_size(void);
struct kdnet_session *kdnet_session_init(void *memory, const struct kdnet_session_shared *shared,
                                         const struct kdnet_policy *policy, const struct kdnet_key *key);

/* Wipes all keys and frees all memory but the caller's. A halted machine stays halted: its next host finds it. */
void kdnet_session_clear(struct kdnet_session *session);

/* Moves a session into other memory of the caller's and wipes the old memory. Memory that the session allocated
 * moves along by pointer. */
struct kdnet_session *kdnet_session_relocate(struct kdnet_session *session, void *memory);

/* Returns the key that the session was made for; borrowed. */
const struct kdnet_key *kdnet_session_key(const struct kdnet_session *session);

/* Resets a session to the state of a new one; key and policy stay. Allocates nothing. */
void kdnet_session_restart(struct kdnet_session *session);

/* Clears and frees a session made by kdnet_session_new. NULL does nothing. */
void kdnet_session_free(struct kdnet_session *session);

/* Replaces the policy of a running session, from the next break on. NULL: the defaults. An action outside enum
 * kdnet_action counts as continue. */
void kdnet_session_set_policy(struct kdnet_session *session, const struct kdnet_policy *policy);

/* Returns the current policy; borrowed. */
const struct kdnet_policy *kdnet_session_policy(const struct kdnet_session *session);

/* Moves a session to another thread's `shared`. The old thread must not be inside a call of the session. */
void kdnet_session_move(struct kdnet_session *session, const struct kdnet_session_shared *shared);

/* Tests quickly whether a payload can belong to this target's control channel. One wrong key in 16 million passes. */
bool kdnet_session_may_open(struct kdnet_session *session, const uint8_t *payload, size_t length);

/*
 * Takes one UDP payload.
 *
 * received  always written.
 * Returns KDNET_OK, or an error whose family says what to do (error.h): for drop and resync nothing; for give up, free
 * this session. Cost: one decryption (two or three while a new key is unconfirmed). The first data datagram after an
 * idle time allocates about 13 KiB. kdnet_session_next_event and kdnet_session_next_datagram free that memory when the
 * target is idle again, so data that an event borrows, such as a fingerprint's text, lives until one of them is called.
 */
int kdnet_session_receive(struct kdnet_session *session, const uint8_t *payload, size_t length, uint64_t now_us,
                          struct kdnet_received *received);

/*
 * Like kdnet_session_receive, for a payload that went astray to another host and comes from there. When
 * received->authentic, that host is to be told (kdnet_session_kept, there). Claims nothing otherwise.
 */
int kdnet_session_receive_relayed(struct kdnet_session *session, const uint8_t *payload, size_t length, uint64_t now_us,
                                  struct kdnet_received *received);

/* Another host has the machine: it has opened data that went astray to this one. Believed for a second at most, and not
 * when the machine says its packet again after a pause: a machine that still waits then is claimed. */
void kdnet_session_kept(struct kdnet_session *session, uint64_t now_us);

/*
 * Names the break whose result was told last, the same for each host at which the machine makes it: for
 * kdnet_session_told there. 0: none, or a result that says only that the machine did not answer. Call it while the
 * event is the last one that kdnet_session_next_event gave.
 */
uint32_t kdnet_session_told_break(const struct kdnet_session *session);

/*
 * Another host has told the result of this break. If the machine is at it here, no further result of it that is unknown
 * is told, but to an operator who has demanded one; and this session misses no last break of a crash when the other
 * host has had a later one. Where the address that the machine sends to has moved to that host
 * (kdnet_session_shared.away), the break is over here, and the machine counts as not connected until it is heard,
 * without a loss being reported. Returns whether it is over so.
 */
bool kdnet_session_told(struct kdnet_session *session, uint32_t id, uint64_t now_us);

/*
 * Writes one datagram that asks the machine to poke at once (PROTOCOL section 3). For a data datagram that no known
 * target can open, from an address that may be this target's; send `out` to the sender. Returns KDNET_OK or
 * KDNET_ERR_CRYPTO.
 */
int kdnet_session_solicit_poke(struct kdnet_session *session, uint8_t version, struct kdnet_outgoing *out);

/* Gets the next handshake response or poke request; false when there is none. Control datagrams may be sent while
 * data has to wait: they release no machine. */
bool kdnet_session_next_control(struct kdnet_session *session, struct kdnet_outgoing *out);

/* Gets the next datagram to send; false when there is none. */
bool kdnet_session_next_datagram(struct kdnet_session *session, uint64_t now_us, struct kdnet_outgoing *out);

/* Gets the next event; false when there is none. Call until false. */
bool kdnet_session_next_event(struct kdnet_session *session, struct kdnet_event *out);

/* Fills in the identity of an event that the caller makes (session, boot, crash; not its number), as known now. */
void kdnet_session_identify(const struct kdnet_session *session, struct kdnet_event *event);

/* Returns when to call kdnet_session_expire next; UINT64_MAX: never. */
uint64_t kdnet_session_deadline(const struct kdnet_session *session);
void kdnet_session_expire(struct kdnet_session *session, uint64_t now_us);

/* Returns the crash that the machine is in; else the recalled crash that the machine has not confirmed yet. */
void kdnet_session_crash(const struct kdnet_session *session, struct kdnet_crash_memory *out);

/*
 * Gives the session a crash that was remembered earlier. The memory counts only when the machine's own bug check leads
 * to the same crash id, or has led to it already. Returns KDNET_OK or KDNET_ERR_MEMORY.
 */
int kdnet_session_recall_crash(struct kdnet_session *session, const struct kdnet_crash_memory *memory);

/* Tells the session that another host may have answered the machine meanwhile: it answers the next poke
 * unconditionally. */
void kdnet_session_doubt(struct kdnet_session *session);

/* Tells the session that a pending look-up has ended: a waiting session asks again. */
void kdnet_session_symbols_came(struct kdnet_session *session, uint64_t now_us);

/* For a host that is about to end: a read under way ends by `until_us`, with what is known by then, and the machine
 * goes on as its policy says. Call kdnet_session_deadline anew. */
void kdnet_session_end_read(struct kdnet_session *session, uint64_t until_us);

/*
 * Asks a connected machine to repeat the break that it waits with, if any: for a break that was not taken before. When
 * the request is lost, the session repeats it after some seconds, then more and more rarely, until the machine answers.
 */
void kdnet_session_admit(struct kdnet_session *session, uint64_t now_us);

/* Releases a held machine now, by continue or reboot. Returns KDNET_OK, or KDNET_ERR_STATE (not held, or another
 * action). */
int kdnet_session_resume(struct kdnet_session *session, enum kdnet_action action, uint64_t now_us);

/* Reboots a machine when its read ends, whatever its policy says. Returns KDNET_OK, or KDNET_ERR_STATE (not being
 * read, or released already). */
int kdnet_session_reboot(struct kdnet_session *session);

/* Progress of the last demanded read (kdnet_session_read, kdnet_session_break_in). */
enum kdnet_demand {
    KDNET_DEMAND_NONE,       /* no recent demand */
    KDNET_DEMAND_ASKED,      /* a running machine was asked to break in */
    KDNET_DEMAND_HALTED,     /* the machine is being read */
    KDNET_DEMAND_DONE,       /* the result was reported */
    KDNET_DEMAND_UNANSWERED, /* no break within KDNET_BREAK_IN_FOR_US; a later break is read and continued */
};

#define KDNET_BREAK_IN_FOR_US UINT64_C(5000000)

/*
 * Reads a held machine again and reports one more result. The hold ends at the same time as before. Returns KDNET_OK,
 * KDNET_ERR_STATE (not held, or not at a break) or KDNET_ERR_MEMORY.
 */
int kdnet_session_read(struct kdnet_session *session, uint64_t now_us);

/*
 * Stops a running machine, reads it as at any break, and continues it at once, whatever its policy says. Pending
 * look-ups are not waited for. Returns KDNET_OK (see kdnet_session_demand), KDNET_ERR_STATE (not connected, lost,
 * halted, writing its dump, or asked already) or KDNET_ERR_MEMORY.
 */
int kdnet_session_break_in(struct kdnet_session *session, uint64_t now_us);
enum kdnet_demand kdnet_session_demand(const struct kdnet_session *session);

/* Prefetches into the CPU cache what the next poke of an idle session touches. */
void kdnet_session_prefetch(const struct kdnet_session *session);
/* Prefetches the session's key only. */
void kdnet_session_prefetch_key(const struct kdnet_session *session);

/* Returns whether the session waits for a reply of the machine: a late reply costs the machine time. */
bool kdnet_session_awaits(const struct kdnet_session *session);

/* Returns how long the next packet waits for its ACK before it is retransmitted; microseconds. */
uint64_t kdnet_session_timeout(const struct kdnet_session *session);

bool kdnet_session_is_connected(const struct kdnet_session *session);
bool kdnet_session_is_halted(const struct kdnet_session *session);
/* Whether the machine stands still at a break that was not taken yet (breaks_wait). */
bool kdnet_session_is_waiting(const struct kdnet_session *session);
/* Whether the machine was released from the first break of a crash and now writes its dump. */
bool kdnet_session_is_dumping(const struct kdnet_session *session);
/* Whether the machine shuts down or restarts, after a crash or not: its last message, or our last command, says so. */
bool kdnet_session_is_going_down(const struct kdnet_session *session);
uint64_t kdnet_session_last_seen(const struct kdnet_session *session);
/* Writes the session's id, KDNET_SESSION_ID_LENGTH bytes; false: the session has none yet. */
bool kdnet_session_id(const struct kdnet_session *session, uint8_t *id);
/* Returns the KDNET protocol version that the machine speaks; 0: unknown. */
uint8_t kdnet_session_version(const struct kdnet_session *session);
/* Returns the identity of the kernel's image, when it was learnt in this boot, else NULL. Borrowed until the next
 * call. */
const struct kdnet_pdb *kdnet_session_pdb(const struct kdnet_session *session);

KDNET_HEADER_END

#endif
