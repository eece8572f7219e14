/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net: a session and a simulated machine with a network between them that loses, repeats, delays and reorders datagrams
 * from a seed, on a clock that is a variable. Each pair is a world of its own; thousands live in one process.
 */
#ifndef TESTS_SESSION_NET_H
#define TESTS_SESSION_NET_H

#include "kdnet/wire/packet.h"
#include "kdnet/session.h"
#include "service/kdnet-target/machine.h"
#include "tests/support/random.h"

#define NET_EVENTS 64

struct net_weather {
    unsigned loss_percent, repeat_percent;
    uint32_t delay_us, jitter_us; /* one way; jitter reorders */
};

struct net_datagram {
    struct net_datagram *next;
    uint64_t time_us;
    bool to_host;
    size_t length;
    uint8_t payload[];
};

/* A KD packet under way, open. */
struct net_packet {
    bool control;
    uint16_t type;
    uint32_t id;
    size_t length;
    uint8_t payload[KDNET_PACKET_PAYLOAD_MAX];
};

struct net_pair;

/* Sees each KD packet when it is sent, and may change it; false: it is lost. */
typedef bool net_tamper(struct net_pair *pair, bool to_host, struct net_packet *packet);

/* Sees each datagram when it is sent; false: it is lost. */
typedef bool net_watch(struct net_pair *pair, bool to_host, const uint8_t *payload, size_t length);

/* Sees each event while all that it borrows is there. */
typedef void net_told(struct net_pair *pair, const struct kdnet_event *event);

/* Sees each datagram that went astray to the host. */
typedef void net_astray(struct net_pair *pair, const uint8_t *payload, size_t length);

struct net_pair {
    struct kdnet_session_shared *shared;
    struct kdnet_policy policy;
    struct kdnet_key key;
    struct kdnet_session *session;
    struct machine *machine;
    struct net_weather weather;
    struct test_random random;
    struct net_datagram *flight; /* by time */
    uint64_t now_us;
    unsigned sent_by_host, sent_by_target;
    unsigned event_count; /* all that came; the first NET_EVENTS are kept */
    struct kdnet_event event[NET_EVENTS];
    uint64_t event_us[NET_EVENTS];

    net_tamper *tamper; /* NULL: nobody */
    net_watch *watch;
    net_told *told;
    net_astray *astray;
    void *context;          /* of the four above */
    unsigned steps;         /* datagrams that the host received or sent */
    unsigned dies_at;       /* the step after which the host dies, before it does anything else; 0: never */
    unsigned dies_again_at; /* a later step; 0: never */
    bool reports_late;      /* the host sends before it reports; else a result is safe before the machine goes on */
};

/* One for all pairs: knows the RVA of the simulated kernels while knows_rva, and otherwise, while lacks_symbol, that
 * their symbols have no such name. */
extern bool net_knows_rva, net_lacks_symbol;
void net_shared_init(struct kdnet_session_shared *shared);
void net_shared_clear(struct kdnet_session_shared *shared);

/* From now on evidence is read at breaks, and kernels are identified when they start. */
void net_shared_evidence(struct kdnet_session_shared *shared);

/* What the sessions of a test program share, and cmocka's fixtures for it. */
extern struct kdnet_session_shared net_shared;
int net_setup(void **state);          /* symbols are known, nothing is printed */
int net_setup_evidence(void **state); /* and evidence is read */
int net_teardown(void **state);

/* Before each test: symbols are known, nothing is printed. */
int net_afresh(void **state);

/* Fails the test unless the machine ended and the host has not harmed it. */
void net_expect_unharmed(const struct net_pair *pair);

/* config: its crypto, key and addresses are filled in. */
void net_pair_init(struct net_pair *pair, struct kdnet_session_shared *shared, const struct machine_config *config,
                   uint64_t seed);
void net_pair_clear(struct net_pair *pair);

/* Runs until that time. */
void net_pair_run(struct net_pair *pair, uint64_t until_us);

/* Hands a datagram to the host now, as if it came from anywhere. */
int net_pair_inject(struct net_pair *pair, const uint8_t *payload, size_t length);

/* Takes and sends what the session has, after a call of the test's own. */
void net_pair_poll(struct net_pair *pair);

/* The host dies and a new one starts, which remembers nothing. */
void net_pair_restart(struct net_pair *pair);

unsigned net_count(const struct net_pair *pair, enum kdnet_event_type type);

/* All events so far in words, for comparing, "; " between them: "connected v5; kernel nt x64; …". Fails the test when
 * they do not fit. */
#define NET_STORY_SIZE 4096
void net_story(const struct net_pair *pair, char out[static NET_STORY_SIZE]);

/* The n-th event of a type, counted from 0; NULL when there are not so many. */
const struct kdnet_event *net_event(const struct net_pair *pair, enum kdnet_event_type type, unsigned n);

#endif
