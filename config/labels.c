/* SPDX-License-Identifier: Apache-2.0 */
#include "config/characters.h"
#include "config/labels.h"
#include "kdnet/base/hash.h"
#include "kdnet/error.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN       16
#define LONGEST_VERSION 23 /* 255.255.255.255 and 10.0.26100.12345 are shorter, a key is twice as long */
#define TEXT_MAX        (CONFIG_LABELS_MAX * (CONFIG_LABEL_KEY_SIZE + CONFIG_LABEL_SIZE))

static bool wrong(char *error, const char *text)
{
    (void)snprintf(error, CONFIG_ERROR_SIZE, "%s", text);
    return false;
}

bool config_label_is_key(const char *text, size_t length, char *error)
{
    bool good = length > 0 && length < CONFIG_LABEL_KEY_SIZE && text[0] >= 'a' && text[0] <= 'z';
    for (size_t i = 0; good && i < length; ++i)
        good = (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9') || text[i] == '_';
    return good || wrong(error, "is no name of a label; write 1 to 32 of a-z 0-9 _, a letter first, as rack=b4");
}

/* Whether a text has the form and length of a KDNET key. Addresses and versions have the form, but are short. */
static bool is_machine_key(const char *text, size_t length)
{
    struct kdnet_key key;
    bool good = length > LONGEST_VERSION && kdnet_key_parse(text, length, &key, NULL, NULL) == KDNET_OK;
    OPENSSL_cleanse(&key, sizeof key);
    return good;
}

static bool is_value(const char *text, size_t length, char *error)
{
    if (length == 0)
        return wrong(error, "is empty; write 1 to 64 bytes of text, as rack=b4, or leave the label out");
    if (length >= CONFIG_LABEL_SIZE)
        return wrong(error, "is too long; write 1 to 64 bytes of text");
    if (is_machine_key(text, length))
        return wrong(error, "is a key of a machine, and labels are for everyone to see; a former key is a key_old");
    for (size_t at = 0; at < length;) {
        size_t taken = characters_take(text + at, length - at);
        if (taken == 0 || characters_is_control(text + at))
            return wrong(error, "has a control character, or is no UTF-8; write 1 to 64 bytes of text");
        at += taken;
    }
    return true;
}

bool config_label_add(struct config_label_list *list, const char *key, size_t key_length, const char *value,
                      size_t value_length, char *error)
{
    char name[CONFIG_LABEL_KEY_SIZE];
    size_t at = 0;
    if (!config_label_is_key(key, key_length, error) || !is_value(value, value_length, error))
        return false;
    memcpy(name, key, key_length);
    name[key_length] = '\0';
    while (at < list->count && strcmp(list->label[at].key, name) < 0)
        ++at;
    if (at < list->count && strcmp(list->label[at].key, name) == 0) {
        (void)snprintf(error, CONFIG_ERROR_SIZE, "%s is there already; write each label once", name);
        return false;
    }
    if (list->count == CONFIG_LABELS_MAX) {
        (void)snprintf(error, CONFIG_ERROR_SIZE, "is one label more than the %d that a target may have; leave one out",
                       CONFIG_LABELS_MAX);
        return false;
    }
    memmove(&list->label[at + 1], &list->label[at], (list->count - at) * sizeof list->label[0]);
    memcpy(list->label[at].key, name, key_length + 1);
    memcpy(list->label[at].value, value, value_length);
    list->label[at].value[value_length] = '\0';
    ++list->count;
    return true;
}

static size_t write_text(const struct config_label_list *list, char text[static TEXT_MAX])
{
    size_t length = 0;
    for (size_t i = 0; i < list->count; ++i) {
        const char *parts[] = {list->label[i].key, list->label[i].value};
        for (size_t part = 0; part < 2; ++part) {
            size_t size = strlen(parts[part]) + 1;
            memcpy(text + length, parts[part], size);
            length += size;
        }
    }
    return length;
}

/* An operator has no reason to cause collisions. */
static uint64_t hash_of(const char *text, size_t length)
{
    uint64_t hash = kdnet_hash(KDNET_HASH_START, text, length);
    return hash ^ hash >> 32;
}

/* As many slots as sets, or more. */
static bool reserve(struct kdnetd_config *config)
{
    if (config->label_count < config->label_slots)
        return true;
    size_t slots = config->label_slots > 0 ? config->label_slots * 2 : SLOTS_MIN;
    struct config_labels **fresh = calloc(slots, sizeof(struct config_labels *));
    if (!fresh)
        return false;
    for (size_t i = 0; i < config->label_slots; ++i)
        for (struct config_labels *set = config->labels[i], *next = NULL; set; set = next) {
            next = set->next;
            set->next = fresh[set->hash & (slots - 1)];
            fresh[set->hash & (slots - 1)] = set;
        }
    free(config->labels);
    config->labels = fresh;
    config->label_slots = slots;
    return true;
}

bool config_labels_share(struct kdnetd_config *config, const struct config_label_list *list,
                         const struct config_labels **out)
{
    char text[TEXT_MAX];
    size_t length = write_text(list, text);
    uint64_t hash = hash_of(text, length);
    *out = NULL;
    if (length == 0)
        return true;
    if (!reserve(config))
        return false;
    struct config_labels **slot = &config->labels[hash & (config->label_slots - 1)], *set = *slot;
    while (set && (set->hash != hash || set->length != length || memcmp(set->text, text, length) != 0))
        set = set->next;
    if (!set) {
        set = malloc(sizeof *set + length);
        if (!set)
            return false;
        *set = (struct config_labels){.next = *slot, .hash = hash, .length = (uint32_t)length};
        memcpy(set->text, text, length);
        *slot = set;
        ++config->label_count;
    }
    *out = set;
    return true;
}

void config_labels_clear(struct kdnetd_config *config)
{
    for (size_t i = 0; i < config->label_slots; ++i)
        for (struct config_labels *set = config->labels[i], *next = NULL; set; set = next) {
            next = set->next;
            free(set);
        }
    free(config->labels);
    config->labels = NULL;
    config->label_count = config->label_slots = 0;
}

const char *config_next_label(const struct config_labels *labels, const char *at)
{
    if (!labels || !at)
        return labels ? labels->text : NULL;
    at += strlen(at) + 1;
    at += strlen(at) + 1;
    return at < labels->text + labels->length ? at : NULL;
}

bool config_same_labels(const struct config_labels *a, const struct config_labels *b)
{
    if (!a || !b)
        return a == b;
    return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}
