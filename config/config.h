/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config: kdnetd's configuration as one struct, from the YAML file, the targets files and the command line.
 *
 * Opens files, but no socket, and writes no log: each mistake goes to a config_report.
 *
 * In call order (load and add may be swapped: an option overrides a file):
 *
 *   config_init(&config);
 *   config_load("etc/kdnetd/kdnetd.yaml", &config, &report);
 *   config_add(&config, "target", "web-1=1.2.3.4", error);
 *   config_check(&config, &report);
 *   if (config_report_count(&report) > 0) { config_report_print(&report, stderr); exit(2); }
 *   ...
 *   config_clear(&config);
 *
 * Not thread-safe: one thread builds a struct; once checked, any number of threads may read it.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "config/report.h"
#include "kdnet/session/evidence.h"
#include "kdnet/key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_NAME_SIZE      65 /* 64 characters and the NUL */
#define CONFIG_GUIDAGE_SIZE   41 /* 32 digits of GUID, up to 8 of age, the NUL */
#define CONFIG_SYMBOL_SIZE    128
#define CONFIG_ERROR_SIZE     256 /* of a text with a mistake and its remedy */
#define CONFIG_DEFAULT_PORT   50000
#define CONFIG_READS_MAX      20                  /* besides the default reads */
#define CONFIG_MODULES_MAX    7                   /* images besides nt that reads may refer to */
#define CONFIG_INCLUDE_DEPTH  4                   /* files between the first and the last, both counted */
#define CONFIG_YAML_LIMIT     ((size_t)16 << 20)  /* bytes of one YAML file */
#define CONFIG_TARGETS_LIMIT  ((size_t)256 << 20) /* bytes of one targets file */
#define CONFIG_OLD_KEYS_MAX   4                   /* key_old entries of one target */
#define CONFIG_WORKERS_MAX    64                  /* threads that serve machines */
#define CONFIG_HOLD_FOR_EVER  UINT64_MAX          /* hold_for: none */
#define CONFIG_LABELS_MAX     16                  /* labels of one target */
#define CONFIG_LABEL_KEY_SIZE 33                  /* 32 characters and the NUL */
#define CONFIG_LABEL_SIZE     65                  /* 64 bytes of value and the NUL */
#define CONFIG_SINKS_MAX      16
#define CONFIG_SOURCE_OPTIONS 0 /* the command line's place in `sources` */

/* Place of a setting, for messages. */
struct config_place {
    uint32_t source; /* index into kdnetd_config.sources; CONFIG_SOURCE_OPTIONS is the command line */
    uint32_t line;   /* from 1; 0 on the command line */
    uint32_t column; /* from 1, in characters */
};

/* An IP address, IPv4 as ::ffff:a.b.c.d, and a port in this machine's byte order; port 0 is any. */
struct config_address {
    uint8_t ip[16];
    uint16_t port;
};

/* Kinds of break that a policy distinguishes (DESIGN section 4). */
enum config_break {
    CONFIG_BREAK_BUGCHECK_FIRST,
    CONFIG_BREAK_BUGCHECK_SECOND,
    CONFIG_BREAK_SHUTDOWN,
    CONFIG_BREAK_BREAK,
    CONFIG_BREAK_EXCEPTION,
    CONFIG_BREAK_LOAD_SYMBOLS,
    CONFIG_BREAK_PROMPT, /* continue or hold only: a machine at a prompt cannot reboot before the answer */
    CONFIG_BREAKS,
};

enum config_action {
    CONFIG_ACTION_UNSET, /* in a target's policy: as for all */
    CONFIG_ACTION_CONTINUE,
    CONFIG_ACTION_HOLD,
    CONFIG_ACTION_REBOOT,
};

struct config_policy {
    uint8_t action[CONFIG_BREAKS]; /* enum config_action */
    uint64_t hold_for_ms;          /* 0 unset (as for all); CONFIG_HOLD_FOR_EVER without a deadline */
};

/* Labels of a target, sorted by key. All targets with equal labels share one set. */
struct config_labels {
    struct config_labels *next; /* in the configuration's hash */
    uint64_t hash;
    uint32_t length; /* of text */
    char text[];     /* key NUL value NUL, as often as there are labels */
};

struct config_target {
    char name[CONFIG_NAME_SIZE];
    struct kdnet_key key;
    bool has_address;              /* false: learnt from an authentic poke */
    bool strict;                   /* datagrams from other addresses are dropped */
    struct config_address address; /* port 0: any port of the address */
    uint16_t port;                 /* listening port of the target; 0: all listening ports */
    struct config_policy policy;   /* actions that differ from the policy for all targets */
    struct config_place place;
    const struct config_labels *labels; /* NULL: none. Borrowed from the configuration */
};

/* A key that a target had, and may still have: Windows takes a new key only at its next start. */
struct config_old_key {
    struct kdnet_key key;
    uint32_t target; /* index into kdnetd_config.targets */
    struct config_place place;
};

struct config_listen {
    struct config_address address;
    struct config_place place;
};

/* RVA of a symbol in one kernel, as configured. */
struct config_rva {
    char guidage[CONFIG_GUIDAGE_SIZE]; /* upper case, age without leading zeros */
    char symbol[CONFIG_SYMBOL_SIZE];   /* without nt! */
    uint32_t rva;
    struct config_place place;
};

/* A further value to read at a break. */
struct config_read {
    struct kdnet_read read;
    struct config_place place;
};

enum config_log_level {
    CONFIG_LOG_ERROR,
    CONFIG_LOG_WARNING,
    CONFIG_LOG_NOTICE,
    CONFIG_LOG_INFO,
    CONFIG_LOG_DEBUG,
};

/* `http_read` and `break_in`. */
enum config_http_read { CONFIG_HTTP_READ_OPEN, CONFIG_HTTP_READ_TOKEN };
enum config_break_in { CONFIG_BREAK_IN_REFUSED, CONFIG_BREAK_IN_ALLOWED };

/* A list of text. */
struct config_texts {
    char **text;
    size_t count, capacity;
};

/* In the order of the words of options.def. */
enum config_sink_type {
    CONFIG_SINK_HTTP,
    CONFIG_SINK_SYSLOG,
    CONFIG_SINK_JOURNAL,
    CONFIG_SINK_KAFKA,
    CONFIG_SINK_NATS, /* not a configurable word: the option nats makes this sink */
};
enum config_sink_format {
    CONFIG_FORMAT_NDJSON,
    CONFIG_FORMAT_HEC,
    CONFIG_FORMAT_LOKI,
    CONFIG_FORMAT_BULK,
    CONFIG_FORMAT_OTLP,
    CONFIG_FORMAT_ALERTMANAGER,
    CONFIG_FORMAT_SLACK,
};
enum config_transport { CONFIG_TRANSPORT_TCP, CONFIG_TRANSPORT_TLS, CONFIG_TRANSPORT_UDP };

/* CONFIG_SET_name of each option (options.def). A setting may be made once by the files; the command line may
 * override it. */
enum config_setting {
#define OPTION(name, ...)         CONFIG_SET_##name,
#define RETAIN_FIELD(name, ...)   CONFIG_SET_retain_##name,
#define POLICY_FIELD(name, ...)   CONFIG_SET_policy_##name,
#define NATS_FIELD(name, ...)     CONFIG_SET_nats_##name,
#define NATS_TLS_FIELD(name, ...) CONFIG_SET_nats_tls_##name,
#include "config/options.def"
    CONFIG_SETTINGS,
    CONFIG_SET_POLICY = CONFIG_SET_policy_bugcheck_first, /* followed by one for each kind of break */
};

/* The member of each row of options.def, by its type. A text is NULL when not set. */
#define CONFIG_MEMBER_BOOL(member)            bool member;
#define CONFIG_MEMBER_NUMBER(member)          unsigned member;
#define CONFIG_MEMBER_WORD(member)            unsigned member; /* index into the row's words */
#define CONFIG_MEMBER_DURATION(member)        uint64_t member; /* ms */
#define CONFIG_MEMBER_SIZE(member)            uint64_t member; /* bytes */
#define CONFIG_MEMBER_TEXT(member)            char *member;
#define CONFIG_MEMBER_NAME(member)            char member[CONFIG_NAME_SIZE];
#define CONFIG_MEMBER_TEXTS(member)           struct config_texts member;
#define CONFIG_MEMBER_ADDRESS_OR_NONE(member) struct config_address member; /* port 0: none */
#define CONFIG_MEMBER_LISTENERS(member)                                     /* lists are declared by hand below */
#define CONFIG_MEMBER_TARGETS(member)
#define CONFIG_MEMBER_FILES(member)
#define CONFIG_MEMBER_INCLUDES(member)
#define CONFIG_MEMBER_RVAS(member)
#define CONFIG_MEMBER_READS(member)
#define CONFIG_MEMBER_SINKS(member)
#define CONFIG_MEMBER_POLICY(member)
#define CONFIG_MEMBER_RETAIN(member)
#define CONFIG_MEMBER_NATS(member)
#define CONFIG_MEMBER_NATS_TLS(member)
#define CONFIG_MEMBER_HOLD(member)

/* A NATS JetStream. */
struct config_nats {
#define NATS_FIELD(name, type, member, ...)     CONFIG_MEMBER_##type(member)
#define NATS_TLS_FIELD(name, type, member, ...) CONFIG_MEMBER_##type(member)
#include "config/options.def"
};

/* A place where events go. */
struct config_sink {
#define SINK_FIELD(name, type, member, ...) CONFIG_MEMBER_##type(member)
#include "config/options.def"
    struct config_nats nats; /* of CONFIG_SINK_NATS */
    struct config_place place;
};

/* How files are reached; for tests and fuzzers. All zero is the normal way. */
struct config_access {
    bool memory_only; /* include and targets_file are read as text but no file is opened */
    /* May everyone on this machine read the file? NULL: ask the file system. */
    bool (*open_to_others)(const char *path, void *context);
    /* A file or folder is going to be opened, which may take long. NULL: nobody minds. */
    void (*opening)(const char *path, void *context);
    void *context;
};

struct config_file_id {
    uint64_t device;
    uint64_t file;
};

/* All members are to be read by anyone, and written by this room alone; `access` is the caller's. */
struct kdnetd_config {
    struct config_listen *listens;
    size_t listen_count, listen_capacity;
    struct config_target *targets;
    size_t target_count, target_capacity;
    struct config_old_key *old_keys; /* in the order of their targets */
    size_t old_key_count, old_key_capacity;
    struct config_rva *rvas;
    size_t rva_count, rva_capacity;
    struct config_read *reads;
    size_t read_count, read_capacity;

    struct config_sink *sinks;
    size_t sink_count, sink_capacity;

    struct config_policy policy; /* policy for all targets; every action is set */
    struct config_nats nats;     /* no servers: none */
#define OPTION(name, type, member, ...)       CONFIG_MEMBER_##type(member)
#define RETAIN_FIELD(name, type, member, ...) CONFIG_MEMBER_##type(member)
#include "config/options.def"

    struct config_labels **labels; /* hash of all sets, chained */
    size_t label_count, label_slots;

    struct config_access access;

    char **sources; /* names of all files that were read; [0] is the command line */
    size_t source_count, source_capacity;
    struct config_file_id *file_ids; /* identities of `sources`, to detect a file that is included twice */
    size_t file_id_capacity;
    bool was_set[CONFIG_SETTINGS];
    struct config_place set_at[CONFIG_SETTINGS];
    uint32_t *names; /* hash of targets by name, made by config_check: index + 1, 0 empty */
    size_t name_slots;
    uint32_t *keys; /* hash of keys by key and port, made by config_check: key number + 1, 0 empty */
    size_t key_slots;
};

/* Defaults, and nothing else; the two default listeners are added by config_check when none was given. Memory: none
 * yet. */
void config_init(struct kdnetd_config *config);

/* Gives the targets, and their index by name, to `to`, an empty struct: to wipe and free them elsewhere. */
void config_take_targets(struct kdnetd_config *config, struct kdnetd_config *to);

/* Frees everything and wipes the keys; the struct is then as after config_init. */
void config_clear(struct kdnetd_config *config);

/*
 * Reads a YAML file and all files that it names. Each mistake goes to `report`, and reading continues.
 *
 * Returns true when this call found no mistake.
 */
bool config_load(const char *path, struct kdnetd_config *config, struct config_report *report);

/*
 * Like config_load, from `length` bytes of text. `name` stands for the file in messages, and relative paths in the text
 * start at its folder. File permissions are not checked.
 */
bool config_load_text(const char *text, size_t length, const char *name, struct kdnetd_config *config,
                      struct config_report *report);

/* Reads a targets file, `name key [address]` a line; the mistakes as above. */
bool config_load_targets(const char *path, struct kdnetd_config *config, struct config_report *report);

/* Like config_load_targets, from `length` bytes of text. Cost: one pass; one row is allocated for a line. */
bool config_load_targets_text(const char *text, size_t length, const char *name, struct kdnetd_config *config,
                              struct config_report *report);

/*
 * Adds one option of the command line, named without dashes as in --help. Among them:
 *
 *   listen ADDR:PORT   target NAME=w.x.y.z[@ADDR[:PORT]] or NAME=@FILE   symbols DIR   rva GUIDAGE:SYMBOL=0xRVA
 *   events FILE|-      http ADDR:PORT                      policy BREAK=ACTION
 *   read NAME=MODULE!SYMBOL[+OFFSET][*[+OFFSET]]...[:1|2|4|8|pointer|string|unicode]
 *
 * Returns true, or false with the mistake and its remedy in `error`; the struct is then unchanged. Lists are appended
 * to the file's lists; other options override the file. No error text contains a key.
 */
bool config_add(struct kdnetd_config *config, const char *option, const char *text,
                char error[static CONFIG_ERROR_SIZE]);

/* Was the setting made, in a file or on the command line? */
bool config_is_set(const struct kdnetd_config *config, enum config_setting setting);

/* Returns a setting's default as text, or NULL: no default, or one that depends on other settings. */
const char *config_default(enum config_setting setting);

/*
 * Returns the name of a setting that differs between two configurations and takes effect only at the next start, not at
 * a reload; NULL: no further one. `*at` is 0 before the first call.
 */
const char *config_next_for_restart(const struct kdnetd_config *old, const struct kdnetd_config *fresh, size_t *at);

/* Writes the options' part of --help. */
void config_write_help(FILE *out);

/* Gets the command line's options in order. False: no option with this index. */
struct config_command {
    char name[CONFIG_NAME_SIZE]; /* without dashes */
    bool is_switch;              /* the value may be left out and is then "true" */
};
bool config_command(size_t index, struct config_command *out);

/*
 * Checks conditions that need all sources: default listeners; duplicate listeners, names, keys on one port, RVAs and
 * reads; ports without a listener. Sorts `rvas`, hashes `targets` by name (and keeps their order). Call it last, once.
 * Sorts the report by place.
 *
 * Returns true when this call found no mistake.
 */
bool config_check(struct kdnetd_config *config, struct config_report *report);

/* Adds a warning for each policy without the effect that it seems to have, and one for all guessable keys. Sorts the
 * report by place. */
void config_advise(const struct kdnetd_config *config, struct config_report *report);

/* Finds a target by name; NULL: none. Needs config_check. Cost: one hash. */
const struct config_target *config_find_target(const struct kdnetd_config *config, const char *name);

/* Whether two targets of one name are configured alike (key, address, port, policy, labels), wherever they were
 * written. */
bool config_same_target(const struct config_target *a, const struct config_target *b);

/*
 * Keys are numbered: target i's key is i, old key j is target_count + j. The find functions need config_check.
 *
 * config_find_key finds the key that a target of `name` and `port` has had until now: an equal key on the same port,
 * else a key of the target of that name. CONFIG_NO_KEY: none.
 */
#define CONFIG_NO_KEY SIZE_MAX
size_t config_key_count(const struct kdnetd_config *config);
const struct kdnet_key *config_key(const struct kdnetd_config *config, size_t number);
size_t config_key_target(const struct kdnetd_config *config, size_t number); /* index of its target */
size_t config_key_slot(const struct kdnetd_config *config, size_t number); /* 0: the current key; 1 and up: old keys */
size_t config_find_key(const struct kdnetd_config *config, const struct kdnet_key *key, uint16_t port,
                       const char *name);
bool config_has_old_keys(const struct kdnetd_config *config, size_t target);

/* The RVA of a symbol (without nt!) in the kernel `guidage` (either case). Needs config_check. False: not told. */
bool config_find_rva(const struct kdnetd_config *config, const char *guidage, const char *symbol, uint32_t *rva);

/* The action for a kind of break of a target; `target` may be NULL: for all. Never CONFIG_ACTION_UNSET. */
enum config_action config_action_for(const struct kdnetd_config *config, const struct config_target *target,
                                     enum config_break kind);

/* How long a machine is held, in ms; CONFIG_HOLD_FOR_EVER without a deadline. `target` may be NULL. */
uint64_t config_hold_for(const struct kdnetd_config *config, const struct config_target *target);

/* Copies a sink; the owner clears the copy. False: out of memory, nothing to clear. config_same_sink: configured
 * alike, wherever they were written? */
bool config_copy_sink(const struct config_sink *sink, struct config_sink *out);
void config_clear_sink(struct config_sink *sink);
bool config_same_sink(const struct config_sink *a, const struct config_sink *b);

/* Reports each file of the option nats that cannot be read, or that holds a key and is open to others. The service's
 * user reads the files, so call this as that user. True: no mistake. */
bool config_check_nats_files(const struct kdnetd_config *config, struct config_report *report);

/* The bucket of address hints; NULL: there is none. */
const char *config_nats_hints(const struct config_nats *nats);

/* Iterates over labels: `at` is NULL, or the previous key. Returns the next key, whose value follows its NUL; NULL:
 * no more. `labels` may be NULL. */
const char *config_next_label(const struct config_labels *labels, const char *at);
bool config_same_labels(const struct config_labels *a, const struct config_labels *b);

/* "bugcheck_first" and so on; "continue" and so on; "notice" and so on. Never NULL. */
const char *config_break_name(enum config_break kind);
const char *config_action_name(enum config_action action);
const char *config_log_level_name(enum config_log_level level);

#endif
