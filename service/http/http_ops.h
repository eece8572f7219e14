/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_ops: HTTP's view of the server: one struct of functions. The server fills it in; http/ knows nothing else of
 * server, worker and targets.
 *
 * Thread: all functions may be called from any thread, wait for nothing but a short lock, and touch no state of a
 * worker. Their callbacks' arguments are borrowed for the call. Times are microseconds since 1970, UTC; 0: unknown.
 * Unknown texts are NULL, unless said otherwise.
 */
#ifndef SERVICE_HTTP_OPS_H
#define SERVICE_HTTP_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_STATES       8 /* of a target */
#define HTTP_LISTENERS    64
#define HTTP_DEGRADED     32
#define HTTP_ADDRESS_SIZE 80
#define HTTP_NAME_SIZE    65
#define HTTP_ID_SIZE      129
#define HTTP_DETAIL_SIZE  512

/* In the order of the API's documentation. */
enum http_state {
    HTTP_STATE_NEVER_SEEN,
    HTTP_STATE_CONNECTED,
    HTTP_STATE_HALTED,
    HTTP_STATE_HELD,
    HTTP_STATE_HANDED_OVER,
    HTTP_STATE_DUMPING,
    HTTP_STATE_REBOOTING,
    HTTP_STATE_LOST,
};

struct http_target {
    const char *name; /* never NULL */
    enum http_state state;
    uint64_t since_us, last_seen_us, held_until_us;
    uint64_t other_host_us; /* when another host's work on the target was recently seen; 0: it was not */
    const char *other_host; /* that host's address; NULL: unknown */
    const char *address;    /* with its port */
    unsigned version;       /* 0: not known */
    const char *boot, *session;
    const char *kernel; /* {"build_lab","machine","pdb"} as JSON */
    const char *listener;
    int worker;          /* -1: not known */
    const char *crash;   /* newest crash; NULL: none */
    uint64_t crash_us;   /* of that crash's first break */
    const char *verdict; /* the best so far */
    const char *labels;  /* {…} as JSON; never NULL */
    bool stale;          /* as stored by an earlier process: not heard since */
};

struct http_label {
    const char *key, *value;
};

struct http_target_query {
    const char *name;                /* only the target of this name; NULL: all */
    unsigned states;                 /* bit 1 << enum http_state for each wanted state; 0: any */
    const char *substring;           /* of name, address or a label's value, in either case; NULL: not asked */
    const struct http_label *labels; /* all of them */
    size_t label_count;
    const char *after; /* only names behind this one, by bytes; NULL: from the first on */
    size_t limit;      /* of calls of `each`; 0: none, which only counts */
};

/* Returns false to stop. */
typedef bool http_target_fn(void *user, const struct http_target *target);

struct http_listener {
    char address[HTTP_ADDRESS_SIZE];
    bool open;
    uint64_t heard_us;
    uint64_t received, malformed, forged, unknown, unknown_data, refused, shed, overflowed, sent, send_failed,
        send_dropped;
};

struct http_degraded {
    char what[32]; /* "listener", "store", "results", "configuration", … */
    char name[HTTP_ADDRESS_SIZE];
    uint64_t since_us;
    char why[HTTP_DETAIL_SIZE];
};

struct http_status {
    const char *version; /* of kdnetd */
    char collector[HTTP_NAME_SIZE];
    uint64_t started_us;
    unsigned workers;
    bool draining, stopping, ready; /* ready: the state of /readyz */
    char not_ready[64];             /* why it is not ready; empty: it is */
    struct http_listener listeners[HTTP_LISTENERS];
    size_t listener_count;
    size_t targets[HTTP_STATES]; /* how many are in each state */
    uint64_t results_pending;    /* lines that wait for the result file */
    uint64_t unknown_sources;
    char configuration[4096]; /* path; empty: none */
    uint64_t read_us;         /* when the current configuration was read */
    bool reload_failed;
    char configuration_error[HTTP_DETAIL_SIZE]; /* of the last reload; empty: it was applied */
    struct http_degraded degraded[HTTP_DEGRADED];
    size_t degraded_count;
};

/* An unknown source. */
struct http_unknown {
    const char *address; /* without its port */
    uint64_t first_us, last_us, count;
    unsigned version;
    const char *hint, *remedy;
    const char *target; /* configured for the address */
};
typedef bool http_unknown_fn(void *user, const struct http_unknown *unknown);

/* A counter or a gauge without a member in the structs above; `label` NULL: no label. */
struct http_counter {
    const char *name; /* of runtime/counters.def, without kdnetd_ and _total */
    const char *label, *value;
    double number;
};
typedef void http_counter_fn(void *user, const struct http_counter *counter);

#define HTTP_PHASES   5  /* bugcheck_first, bugcheck_second, shutdown, break, boot */
#define HTTP_VERDICTS 4  /* written, not_started, failed, unknown */
#define HTTP_BREAKS   7  /* kinds of break, as a policy tells them apart */
#define HTTP_BUCKETS  15 /* 0.0001 0.00025 0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 seconds */
#define HTTP_LOOPS    66

struct http_histogram {
    uint64_t bucket[HTTP_BUCKETS + 1]; /* counts of this bucket alone, not cumulative; the last: beyond 5 s */
    uint64_t sum_us, count;
};

/* Totals since the start, counted where every event passes, so that a degraded store does not matter. */
struct http_metrics {
    uint64_t crashes; /* first breaks of a bug check */
    uint64_t crash_status[HTTP_PHASES][HTTP_VERDICTS];
    const char *phase_names[HTTP_PHASES], *verdict_names[HTTP_VERDICTS], *break_names[HTTP_BREAKS];
    uint64_t breaks[HTTP_BREAKS];
    struct http_histogram halted, read; /* halted: without the time of a hold by policy */
    struct {
        char name[32];   /* "server", "worker-0", … */
        uint64_t lag_us; /* the longest of the last 60 s */
    } loops[HTTP_LOOPS];
    size_t loop_count;
};

enum http_action {
    HTTP_ACTION_RELEASE,     /* a held machine goes on */
    HTTP_ACTION_TO_DEBUGGER, /* releases it, and stays silent for `for_us`: another debugger takes it */
    HTTP_ACTION_TAKE_BACK,   /* the silence is over */
    HTTP_ACTION_REBOOT,      /* held or halted, not dumping */
    HTTP_ACTION_READ,        /* reads a held machine again; with break_in a running one, too */
    HTTP_ACTION_RELOAD,
    HTTP_ACTION_DRAIN,
    HTTP_ACTION_UNDRAIN,
    HTTP_ACTION_ACKNOWLEDGE, /* `crash`, `note` */
    HTTP_ACTION_REPUBLISH,   /* `sink` delivers again the events since `since_us` */
};

struct http_act {
    enum http_action action;
    const char *target;       /* of the first five */
    const char *by;           /* the actor: a token's name, or "local:USER" on the Unix socket */
    uint64_t for_us;          /* TO_DEBUGGER; 0: ten minutes */
    bool break_in;            /* READ */
    const char *crash, *note; /* ACKNOWLEDGE */
    const char *sink;         /* REPUBLISH */
    uint64_t since_us;
};

enum http_outcome {
    HTTP_ACTED,          /* 202 (targets), 200 (others) */
    HTTP_NO_SUCH_TARGET, /* 404; of ACKNOWLEDGE: no such crash; of REPUBLISH: no such sink */
    HTTP_WRONG_STATE,    /* 409, with `state` */
    HTTP_FORBIDDEN,      /* 403: `detail` names the option */
    HTTP_TOO_OFTEN,      /* 429, with `retry_s` */
    HTTP_CONFIGURATION,  /* 422, with `errors` */
    HTTP_STORE,          /* 503 store */
    HTTP_BUSY,           /* 503 busy: another reload is under way, memory is out */
    HTTP_NOT_READY,      /* 503 not-ready: kdnetd starts or stops */
};

struct http_acted {
    enum http_outcome outcome;
    const char *detail;    /* the fault and its remedy; NULL: none */
    char id[HTTP_ID_SIZE]; /* of the `action` event; empty: there is none */
    const char *state;     /* WRONG_STATE: the current state */
    unsigned retry_s;      /* TOO_OFTEN */
    const char *errors;    /* CONFIGURATION: [{"file","line","field","detail"}] as JSON */
    bool draining;         /* DRAIN, UNDRAIN, with the three below */
    uint64_t halted, held, heard_last_10s;
};

/* Of a sink, since the start. */
struct http_sink {
    const char *name, *type; /* borrowed for the call */
    const char *last_error;  /* empty: there was none */
    uint64_t last_error_us;  /* since 1970 */
    uint64_t errors, rejected,
        dropped; /* failed tries; events that the receiver refused; events that left the store before */
};

typedef void http_sink_fn(void *user, const struct http_sink *sink);

struct http_ops {
    void *user;

    void (*status)(void *user, struct http_status *out);
    void (*metrics)(void *user, struct http_metrics *out);
    void (*counters)(void *user, http_counter_fn *each, void *each_user); /* one row each of counters.def */
    void (*sinks)(void *user, http_sink_fn *each, void *each_user); /* running sinks; the store knows their progress */

    /* Returns the name of a loop that has not turned for 5 s; NULL: none. */
    const char *(*stuck)(void *user);

    /*
     * Lists targets sorted by the bytes of their names. Returns how many match in all, ignoring `after` and `limit`.
     * Cost: 0.1 µs a target, and a microsecond for each that is listed.
     */
    size_t (*targets)(void *user, const struct http_target_query *query, http_target_fn *each, void *each_user);

    /* Newest first. Returns how many there are. */
    size_t (*unknown)(void *user, http_unknown_fn *each, void *each_user);

    /*
     * Acts. Copies `act`. Calls `done` once, on a thread of the server's, perhaps before this function returns; its
     * arguments are borrowed for the call. `done` must not wait.
     */
    void (*act)(void *user, const struct http_act *act, void (*done)(void *done_user, const struct http_acted *acted),
                void *done_user);
};

#endif
