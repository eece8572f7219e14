/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value: parses single values: addresses, durations, keys, names. Private to config/.
 *
 * Each function returns true and writes its output, or returns false and writes the mistake and its remedy to `error`,
 * CONFIG_ERROR_SIZE bytes, without the field's name, which the caller knows. Text is NUL-terminated unless a length is
 * given. No error text contains a key.
 */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "config/config.h"

enum config_port_rule {
    CONFIG_PORT_NEEDED,
    CONFIG_PORT_OPTIONAL, /* left out: 0 */
};

/* 1.2.3.4, 1.2.3.4:80, ::1, [::1] or [::1]:80; no host names: they would need a resolver when a machine crashes. */
bool config_parse_address(const char *text, enum config_port_rule rule, struct config_address *out, char *error);

/* An address of a machine: as above, port optional, but not 0.0.0.0 or ::. */
bool config_parse_machine(const char *text, struct config_address *out, char *error);

/* 1 to 65535. */
bool config_parse_port(const char *text, uint16_t *out, char *error);

/* 1 to 64 of A-Z a-z 0-9 . _ - */
bool config_parse_name(const char *text, size_t length, char out[static CONFIG_NAME_SIZE], char *error);

bool config_parse_key(const char *text, size_t length, struct kdnet_key *out, char *error);

/* Parses 500ms, 2s, 5m, 1h, 7d, or a bare number of seconds, into milliseconds; `least` and `most` in the same
 * notation. */
bool config_parse_duration(const char *text, const char *least, const char *most, uint64_t *ms, char *error);

/* Parses a duration within its limits, or the word for no limit: CONFIG_HOLD_FOR_EVER. */
bool config_parse_hold_for(const char *text, const char *least, const char *most, uint64_t *ms, char *error);

bool config_parse_bool(const char *text, bool *out, char *error);

/* Parses a number from `least` to `most`; `unsaid`, if not NULL, is the value of an empty text. */
bool config_parse_number(const char *text, const char *least, const char *most, const char *unsaid, unsigned *out,
                         char *error);

/* Parses a size: a number and KiB, MiB, GiB, TiB or nothing; `least` and `most` in the same notation. */
bool config_parse_size(const char *text, const char *least, const char *most, uint64_t *bytes, char *error);

bool config_parse_break(const char *text, enum config_break *out, char *error);

/* Parses an action that is possible for the kind of break. */
bool config_parse_action(const char *text, enum config_break kind, enum config_action *out, char *error);

/* 32 hex digits of GUID and 1 to 8 of age, to upper case and an age without leading zeros. */
bool config_parse_guidage(const char *text, char out[static CONFIG_GUIDAGE_SIZE], char *error);

/* Parses a symbol's name, with or without nt! before it. */
bool config_parse_symbol(const char *text, char out[static CONFIG_SYMBOL_SIZE], char *error);

/* Parse the parts of a read: a name for the result; the kind of value; MODULE!SYMBOL+OFFSET, followed by a * for
 * each pointer to follow, and perhaps a further +OFFSET (leading stars count as stars behind the first offset);
 * crash or always. */
bool config_parse_read_name(const char *text, char out[static KDNET_READ_NAME_SIZE], char *error);
bool config_parse_read_kind(const char *text, uint8_t *out, char *error);
bool config_parse_read_place(const char *text, struct kdnet_read *out, char *error);
bool config_parse_read_when(const char *text, bool *always, char *error);

/* 0x… or decimal, below 2^32. */
bool config_parse_rva(const char *text, uint32_t *out, char *error);

/* Returns one of `count` words that `word` was probably meant to be; NULL: none. Cost: bounded; words over 40 bytes
 * are not tried. */
const char *config_suggest(const char *word, const char *const *words, size_t count);

/* Returns the index of a word, or -1 with an error that lists the words, which `what` names, and may suggest one. */
int config_find_word(const char *text, const char *what, const char *const *words, size_t count, char *error);

/* How many letters must be added, dropped or changed (Levenshtein); SIZE_MAX: a word is over 40 bytes. */
size_t config_edit_distance(const char *a, const char *b);

#endif
