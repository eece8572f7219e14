/* SPDX-License-Identifier: Apache-2.0 */
/*
 * option: the rows of options.def as data. Private to config/.
 *
 * A row gives an option's name, the meaning of its text and its member. walk.c stores YAML nodes by it, command_line.c
 * the options of the command line; documents.c writes it for people.
 */
#ifndef CONFIG_OPTION_H
#define CONFIG_OPTION_H

#include "config/store.h"

/* Shape of an option: one value, a list of values, one group of fields, a list of groups, fields with names of the
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
    TYPE(WORD, VALUE)     /* one of .words; .kind names what the words are */                                          \
    TYPE(ACTION, VALUE)                                                                                                \
    TYPE(NAME, VALUE)                                                                                                  \
    TYPE(TEXT, VALUE) /* .remedy says what to write instead */                                                         \
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
    CONFIG_RESTARTED, /* takes effect at the next start */
};

struct config_option {
    const char *name;
    enum config_type type;
    size_t offset;     /* offset of the member in its group's struct */
    const char *value; /* stands for the value in the documents */
    const char *help;  /* its effect, in one line without a full stop */

    unsigned setting;          /* enum config_setting; fields of entries have none */
    enum config_reload reload; /* of settings and lists */
    bool needed;               /* an entry without this field is a mistake */
    bool gives_place;          /* an entry is named where this stands */
    bool in_line;              /* a targets file writes the option as NAME=VALUE */
    bool file_only;            /* not on the command line */
    bool is_on;                /* not commented out in the example, although it is no default */
    bool is_off;               /* commented out in the example, although it is the default */
    const char *least, *most;  /* in the option's own notation */
    const char *words, *kind;  /* words separated by spaces; noun for them */
    const char *remedy;        /* what to write instead of an empty text */
    /* Checks a text. False: the mistake and its remedy are in `error`. */
    bool (*check)(const char *text, char *error);
    const char *standard;     /* default, as text */
    const char *unsaid;       /* default in words, when there is no standard */
    const char *sample;       /* a value for the example; of a list, one a line */
    const char *more;         /* further sentences for the manual and the example */
    const char *command;      /* name on the command line; NULL: the name with - for _ */
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

/* Whether a targets file's entry may have a label with this name and value. NULL: yes; else the field that the name
 * is, or probably should have been. */
const char *config_reserved_label(const char *name, size_t name_length, const char *value, size_t value_length);

/* A value of any type of shape VALUE, before it is stored. */
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
 * Parses the text of an option of shape VALUE into `out`, the option's member or a config_any. False: the mistake and
 * its remedy are in `error`. `out` owns a text.
 */
bool config_parse_option(const struct config_option *option, const char *text, void *out, char *error);

/*
 * Makes a setting: parses, and stores the value in its member of `base` unless it was set before (config_store_claim).
 * False: the mistake is in `error`.
 */
bool config_make_setting(struct kdnetd_config *config, const struct config_option *option, void *base, const char *text,
                         const struct config_spot *spot, struct config_report *report, char *error);

/* Defaults of an entry's fields. */
void config_set_entry_defaults(const struct config_group *group, void *entry);

/* Finds a text among an option's words; true for an option without words. False: `error` has the mistake. */
bool config_check_words(const struct config_option *option, const char *text, unsigned *index, char *error);

/* The checks of rows: nats.c. */
bool config_check_nats_server(const char *text, char *error);
bool config_check_nats_word(const char *text, char *error);
bool config_check_nats_subject(const char *text, char *error);

/* Checks the complete group, then adds the sink that it makes. False: out of memory. */
bool config_check_nats(struct kdnetd_config *config, struct config_report *report);

/* Copies the values of a group's fields: `to` is a plain copy of `from` before, and owns its texts afterwards.
 * False: out of memory, and `to` is cleared. */
bool config_copy_fields(const struct config_group *group, const void *from, void *to);
void config_clear_fields(const struct config_group *group, void *base);
bool config_same_fields(const struct config_group *group, const void *a, const void *b);

/* Sets the defaults of all settings but texts. Texts are allocated, and an empty configuration must not need a
 * clear. */
void config_set_defaults(struct kdnetd_config *config);

/* Sets the defaults of unset texts. */
void config_set_text_defaults(struct kdnetd_config *config);

/* Frees the memory of settings. */
void config_clear_settings(struct kdnetd_config *config);

/* On the command line: an option's name, and the option of a name. The options are found by config_command_at, the
 * fields of `retain` among them; NULL: there is no option `index`. */
void config_command_name(const struct config_option *option, char out[static CONFIG_NAME_SIZE]);
const struct config_option *config_find_command(const char *name);
const struct config_option *config_command_at(size_t index);

#endif
