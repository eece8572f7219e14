/* SPDX-License-Identifier: Apache-2.0 */
/*
 * option: the rows of options.def as data. Private to config/.
 *
 * Uses config. A row says what an option is called, what its text means and where it goes; walk.c puts YAML's nodes
 * into their places by it, command_line.c the options of a command line, documents.c writes it for people.
 */
#ifndef CONFIG_OPTION_H
#define CONFIG_OPTION_H

#include "config/store.h"

/* What an option is: one value, a list of them, one group of fields, a list of groups, fields with names of the
 * writer's own. */
enum config_shape {
    CONFIG_VALUE,
    CONFIG_VALUES,
    CONFIG_GROUP,
    CONFIG_ENTRIES,
    CONFIG_MAP,
};

/* CONFIG_TYPE(name, shape): each has a row in type.c. */
#define CONFIG_TYPES(TYPE)                                                                                             \
    TYPE(BOOL, VALUE)                                                                                                  \
    TYPE(NUMBER, VALUE)   /* .least, .most */                                                                          \
    TYPE(SIZE, VALUE)     /* .least, .most; KiB, MiB, GiB, TiB */                                                      \
    TYPE(DURATION, VALUE) /* .least, .most; ms, s, m, h, d */                                                          \
    TYPE(HOLD, VALUE)     /* a duration, or none */                                                                    \
    TYPE(WORD, VALUE)     /* one of .words, which are .kind */                                                         \
    TYPE(ACTION, VALUE)                                                                                                \
    TYPE(NAME, VALUE)                                                                                                  \
    TYPE(TEXT, VALUE) /* .remedy says what to write */                                                                 \
    TYPE(ADDRESS_OR_NONE, VALUE)                                                                                       \
    TYPE(KEY, VALUE)                                                                                                   \
    TYPE(MACHINE, VALUE) /* an address of a machine */                                                                 \
    TYPE(PORT, VALUE)                                                                                                  \
    TYPE(GUIDAGE, VALUE)                                                                                               \
    TYPE(SYMBOL, VALUE)                                                                                                \
    TYPE(RVA, VALUE)                                                                                                   \
    TYPE(READ_NAME, VALUE)                                                                                             \
    TYPE(READ_PLACE, VALUE)                                                                                            \
    TYPE(READ_KIND, VALUE)                                                                                             \
    TYPE(READ_WHEN, VALUE)                                                                                             \
    TYPE(TEXTS, VALUES)                                                                                                \
    TYPE(LISTENERS, VALUES)                                                                                            \
    TYPE(FILES, VALUES)    /* targets files */                                                                         \
    TYPE(INCLUDES, VALUES) /* YAML files */                                                                            \
    TYPE(OLD_KEYS, VALUES)                                                                                             \
    TYPE(POLICY, GROUP)                                                                                                \
    TYPE(RETAIN, GROUP)                                                                                                \
    TYPE(NATS, GROUP)                                                                                                  \
    TYPE(NATS_TLS, GROUP)                                                                                              \
    TYPE(TARGETS, ENTRIES)                                                                                             \
    TYPE(RVAS, ENTRIES)                                                                                                \
    TYPE(READS, ENTRIES)                                                                                               \
    TYPE(SINKS, ENTRIES)                                                                                               \
    TYPE(LABELS, MAP)

enum config_type {
#define CONFIG_TYPE(name, shape) CONFIG_TYPE_##name,
    CONFIG_TYPES(CONFIG_TYPE)
#undef CONFIG_TYPE
};

enum config_reload {
    CONFIG_RELOADED,  /* a reload takes the new value */
    CONFIG_RESTARTED, /* it counts from the next start on */
};

struct config_option {
    const char *name;
    enum config_type type;
    size_t offset;     /* of its member in the struct of its group */
    const char *value; /* stands for the value in the documents */
    const char *help;  /* what it does, in one line without a full stop */

    unsigned setting;          /* enum config_setting; fields of entries have none */
    enum config_reload reload; /* of settings and lists */
    bool needed;               /* an entry without it is a mistake */
    bool gives_place;          /* an entry is named where this stands */
    bool in_line;              /* a targets file has it as NAME=VALUE */
    bool file_only;            /* not on the command line */
    bool is_on;                /* the example does not comment it out, although it is no default */
    bool is_off;               /* the example comments it out, although it is the default */
    const char *least, *most;  /* in the option's own notation */
    const char *words, *kind;  /* divided by spaces; what they are */
    const char *remedy;        /* what to write in the place of an empty text */
    /* Of a text: false when it cannot be meant; what is wrong and the remedy are in `error`. */
    bool (*check)(const char *text, char *error);
    const char *standard;     /* default, as it is written */
    const char *unsaid;       /* default in words, when there is no standard */
    const char *sample;       /* a value for the example; of a list one a line */
    const char *more;         /* further sentences for the manual and the example */
    const char *command;      /* on the command line, when it is not the name with - in the place of _ */
    const char *command_help; /* in the place of help there */
};

/* A number's digits, for a row's limits. */
#define CONFIG_DIGITS(number)  CONFIG_DIGITS_(number)
#define CONFIG_DIGITS_(number) #number

/* A group of fields. */
struct config_group {
    const struct config_option *options;
    size_t count;
    size_t size; /* of an entry's struct; 0: no list */
};

extern const struct config_group config_top;

enum config_shape config_shape(enum config_type type);

/* The fields of a GROUP or of the ENTRIES of a list. */
const struct config_group *config_group_of(enum config_type type);

/* Where the fields of a GROUP go, when `base` is where the group's option goes. */
void *config_group_base(const struct config_option *option, void *base);

const struct config_option *config_find_option(const struct config_group *group, const char *name);

/* Can an entry of a targets file have a label of this name with this value? NULL: yes; else a field's name that it is,
 * or was probably meant to be. */
const char *config_reserved_label(const char *name, size_t name_length, const char *value, size_t value_length);

/* A value of any type of shape VALUE, on its way to its member. */
union config_any {
    bool flag;
    uint8_t byte;
    uint16_t port;
    unsigned number;
    uint32_t rva;
    uint64_t wide;
    char name[CONFIG_NAME_SIZE];
    char *text;
    struct config_address address;
};

/*
 * What the text of an option of shape VALUE means, to `out`, the option's member or a config_any. False: what is wrong
 * and the remedy are in `error`. Text is owned by `out`.
 */
bool config_parse_option(const struct config_option *option, const char *text, void *out, char *error);

/*
 * Makes a setting: parses, and puts the value into its member of `base` unless it was made before (store.h, claim).
 * False: what is wrong is in `error`.
 */
bool config_make_setting(struct kdnetd_config *config, const struct config_option *option, void *base, const char *text,
                         const struct config_spot *spot, struct config_report *report, char *error);

/* Defaults of an entry's fields. */
void config_set_entry_defaults(const struct config_group *group, void *entry);

/* A text is one of an option's words, or it has none. False: `error` says what is wrong. */
bool config_check_words(const struct config_option *option, const char *text, unsigned *index, char *error);

/* The checks of rows: nats.c. */
bool config_check_nats_server(const char *text, char *error);
bool config_check_nats_word(const char *text, char *error);
bool config_check_nats_subject(const char *text, char *error);

/* What only shows when the whole group is there; then the sink that it makes. False: out of memory. */
bool config_check_nats(struct kdnetd_config *config, struct config_report *report);

/* The values of a group's fields: `to` is a plain copy of `from` before, and owns its texts afterwards. False: out of
 * memory, and `to` is cleared. */
bool config_copy_fields(const struct config_group *group, const void *from, void *to);
void config_clear_fields(const struct config_group *group, void *base);
bool config_same_fields(const struct config_group *group, const void *a, const void *b);

/* Defaults of all settings that have one, but for texts: these are memory of their own, and an empty configuration has
 * none, so that it can be left without a clear. */
void config_set_defaults(struct kdnetd_config *config);

/* Texts that are not set get their defaults. */
void config_set_text_defaults(struct kdnetd_config *config);

/* Frees what settings own. */
void config_clear_settings(struct kdnetd_config *config);

/* On the command line: an option's name, and the option of a name. The options are found by config_command_at, the
 * fields of `retain` among them; NULL: there is no option `index`. */
void config_command_name(const struct config_option *option, char out[static CONFIG_NAME_SIZE]);
const struct config_option *config_find_command(const char *name);
const struct config_option *config_command_at(size_t index);

#endif
