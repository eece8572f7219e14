/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/lookup.h"
#include "service/runtime/log.h"
#include "service/symbols/rva.h"
#include "service/symbols/check.h"
#include "service/symbols/connect.h"
#include "service/symbols/symbols.h"
#include "service/symbols/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_SIZE 4096

struct lookup {
    uv_loop_t *loop;
    uv_mutex_t lock;           /* of all below */
    struct symbols *symbols;   /* NULL: no configuration has named a place yet */
    bool has_places;           /* the configuration names some */
    bool cache_told;           /* faults of the cache file were logged; used on the loop only, like the next members */
    int cache_error;           /* as told */
    struct kdnetd_config told; /* copy of the table of RVAs */
    struct lookup_asker *askers;
    struct image *images; /* LOOKUP_IMAGES; NULL: none yet */
    size_t image_count, next_image;
    uint64_t lookups; /* ended look-ups */
    uint64_t seed;    /* seed of the machines' numbers */
};

#define WITNESSES 2

struct image {
    struct kdnet_fingerprint fingerprint;
    struct kdnet_pdb pdb;
    uint64_t told_by[WITNESSES]; /* machines with different keys; 0: nobody yet */
    bool doubted;                /* machines have told different identities */
};

struct lookup_asker {
    uv_async_t news;
    struct lookup *lookup;
    struct lookup_asker *next;
    void (*came)(void *user);
    void *user;
    uint64_t machine; /* machine that asks now; used on the loop's thread only */
};

static void tell_askers(struct lookup *lookup, unsigned ended)
{
    uv_mutex_lock(&lookup->lock);
    lookup->lookups += ended;
    for (struct lookup_asker *asker = lookup->askers; asker; asker = asker->next)
        (void)uv_async_send(&asker->news);
    uv_mutex_unlock(&lookup->lock);
}

static void on_ended(void *user, const struct kdnet_pdb *pdb, const char *symbol, enum symbols_answer answer,
                     const char *trail)
{
    char guidage[KDNET_GUIDAGE_SIZE];
    struct log_line line;
    static const char *const texts[] = {
        [SYMBOLS_FOUND] = "symbol found",
        [SYMBOLS_ABSENT] = "symbol is not in this image's symbols; Microsoft's public ones do not have it",
        [SYMBOLS_NO_SYMBOLS] = "no symbols of this image; what was tried is in `tried`",
        [SYMBOLS_PENDING] = "symbol is looked up",
    };
    kdnet_pdb_guidage(pdb, guidage);
    log_begin(&line, answer == SYMBOLS_NO_SYMBOLS ? CONFIG_LOG_WARNING : CONFIG_LOG_NOTICE, texts[answer]);
    log_text(&line, "symbol", symbol);
    log_text(&line, "pdb", pdb->name);
    log_text(&line, "guidage", guidage);
    log_text(&line, "tried", trail);
    log_end(&line);
    tell_askers(user, 1);
}

static void say_place(enum config_log_level level, const char *message, const char *place, const char *reason)
{
    char text[PATH_SIZE];
    struct log_line line;
    symbol_url_redact(place, text, sizeof text);
    log_begin(&line, level, message);
    log_text(&line, "place", text);
    log_text(&line, "reason", reason);
    log_end(&line);
}

static void on_place(void *user, const char *label, const char *reason)
{
    (void)user;
    say_place(CONFIG_LOG_WARNING, "symbols: a place cannot be used; the others are", label, reason);
}

static void on_corrected(void *user, const struct kdnet_pdb *pdb, const char *symbol)
{
    char guidage[KDNET_GUIDAGE_SIZE];
    struct log_line line;
    (void)user;
    kdnet_pdb_guidage(pdb, guidage);
    log_begin(&line, CONFIG_LOG_WARNING, "symbols.cache: the symbol file says otherwise, and is believed");
    log_text(&line, "guidage", guidage);
    log_text(&line, "symbol", symbol);
    log_end(&line);
}

static void on_news_of_symbols(void *user)
{
    tell_askers(user, 0);
}

static void say_lines(enum config_log_level level, const char *message, size_t count)
{
    struct log_line line;
    if (count == 0)
        return;
    log_begin(&line, level, message);
    log_number(&line, "lines", count);
    log_end(&line);
}

static void say_cache_error(struct lookup *lookup, int error)
{
    struct log_line line;
    if (error == lookup->cache_error)
        return;
    lookup->cache_error = error;
    if (error == 0)
        return;
    log_begin(&line, CONFIG_LOG_WARNING,
              error == UV_EBUSY ? "symbols.cache: another kdnetd writes it; what this one looks up is not kept"
                                : "symbols.cache: it cannot be read or written; what is looked up is not kept");
    log_text(&line, "error", uv_strerror(error));
    log_end(&line);
}

static void on_cache(void *user)
{
    struct lookup *lookup = user;
    struct symbols_stats stats;
    symbols_stats(lookup->symbols, &stats);
    if (!lookup->cache_told) {
        say_lines(CONFIG_LOG_WARNING, "symbols.cache: lines are damaged; what they said is looked up again",
                  stats.cache_damaged);
        say_lines(CONFIG_LOG_NOTICE, "symbols.cache: lines without a checksum; what they said is looked up again",
                  stats.cache_ignored);
    }
    lookup->cache_told = true;
    say_cache_error(lookup, stats.cache_error);
}

static void say_insecure(const struct symbol_path *path, size_t from)
{
    for (size_t i = from; i < path->count; ++i)
        if (path->sources[i].insecure)
            say_place(CONFIG_LOG_WARNING, SYMBOLS_HTTP_WARNING, path->sources[i].label, NULL);
}

static void fill_path(const struct kdnetd_config *config, struct symbol_path *path)
{
    char folder[PATH_SIZE];
    struct symbol_server settings = {.ca_file = config->symbols_ca_file};
    const struct symbol_path_options options = {.cache_directory = symbols_state_path("symbols", folder, sizeof folder),
                                                .open_server = symbol_connect_server,
                                                .user = &settings};
    symbol_path_init(path);
    for (size_t i = 0; i < config->symbols.count; ++i) {
        char reason[SYMBOL_REASON_SIZE];
        size_t before = path->count;
        if (!symbol_path_add(path, config->symbols.text[i], &options, reason))
            say_place(CONFIG_LOG_ERROR, "symbols: a place cannot be used; the others are", config->symbols.text[i],
                      reason);
        say_insecure(path, before);
    }
}

static struct symbols *open_symbols(struct lookup *lookup)
{
    char cache[PATH_SIZE];
    struct symbols *symbols = NULL;
    const struct symbols_options options = {.cache_file = symbols_state_path("symbols.cache", cache, sizeof cache),
                                            .ended = on_ended,
                                            .news = on_news_of_symbols,
                                            .place = on_place,
                                            .corrected = on_corrected,
                                            .cache = on_cache,
                                            .user = lookup};
    return symbols_open(&symbols, lookup->loop, &options) == 0 ? symbols : NULL;
}

/* Passes the configuration's places to symbols. */
static bool set_places(struct lookup *lookup, const struct kdnetd_config *config)
{
    struct symbol_path path;
    struct symbols *symbols = lookup->symbols;
    if (!symbols && config->symbols.count == 0)
        return true;
    if (!symbols)
        symbols = open_symbols(lookup);
    fill_path(config, &path);
    if (symbols && symbols_set_places(symbols, &path) == 0) {
        uv_mutex_lock(&lookup->lock);
        lookup->symbols = symbols;
        lookup->has_places = config->symbols.count > 0;
        uv_mutex_unlock(&lookup->lock);
        return true;
    }
    if (!symbols)
        symbol_path_clear(&path);
    else if (!lookup->symbols)
        symbols_close(symbols);
    log_plain(CONFIG_LOG_ERROR, "symbols: out of memory; the places are not used until kdnetd is reloaded");
    return false;
}

static bool copy_rvas(const struct kdnetd_config *config, struct kdnetd_config *out)
{
    config_init(out);
    if (config->rva_count == 0)
        return true;
    out->rvas = malloc(config->rva_count * sizeof *out->rvas);
    if (!out->rvas) {
        log_plain(CONFIG_LOG_ERROR, "rva: out of memory; the table is not used until kdnetd is reloaded");
        return false;
    }
    memcpy(out->rvas, config->rvas, config->rva_count * sizeof *out->rvas);
    out->rva_count = out->rva_capacity = config->rva_count;
    return true;
}

bool lookup_configure(struct lookup *lookup, const struct kdnetd_config *config)
{
    struct kdnetd_config told, told_before;
    bool good = copy_rvas(config, &told);
    uv_mutex_lock(&lookup->lock);
    told_before = lookup->told;
    lookup->told = told;
    uv_mutex_unlock(&lookup->lock);
    config_clear(&told_before);
    good = set_places(lookup, config) && good;
    tell_askers(lookup, 0); /* waiting machines may have an answer now */
    return good;
}

struct lookup *lookup_new(uv_loop_t *loop)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup || uv_mutex_init(&lookup->lock) != 0) {
        free(lookup);
        return NULL;
    }
    lookup->loop = loop;
    if (uv_random(NULL, NULL, &lookup->seed, sizeof lookup->seed, 0, NULL) != 0)
        lookup->seed = uv_hrtime();
    config_init(&lookup->told);
    return lookup;
}

void lookup_close(struct lookup *lookup)
{
    if (!lookup)
        return;
    symbols_close(lookup->symbols); /* does not call us any more */
    config_clear(&lookup->told);
    free(lookup->images);
    uv_mutex_destroy(&lookup->lock);
    free(lookup);
}

static void on_news(uv_async_t *news)
{
    struct lookup_asker *asker = news->data;
    asker->came(asker->user);
}

struct lookup_asker *lookup_join(struct lookup *lookup, uv_loop_t *loop, void (*came)(void *user), void *user)
{
    struct lookup_asker *asker = calloc(1, sizeof *asker);
    if (!asker || uv_async_init(loop, &asker->news, on_news) != 0) {
        free(asker);
        return NULL;
    }
    asker->news.data = asker;
    asker->lookup = lookup;
    asker->came = came;
    asker->user = user;
    uv_mutex_lock(&lookup->lock);
    asker->next = lookup->askers;
    lookup->askers = asker;
    uv_mutex_unlock(&lookup->lock);
    return asker;
}

static void on_asker_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void lookup_leave(struct lookup_asker *asker)
{
    if (!asker)
        return;
    struct lookup *lookup = asker->lookup;
    uv_mutex_lock(&lookup->lock);
    struct lookup_asker **at = &lookup->askers;
    while (*at != asker)
        at = &(*at)->next;
    *at = asker->next;
    uv_mutex_unlock(&lookup->lock);
    uv_close((uv_handle_t *)&asker->news, on_asker_closed);
}

/* Not zero; tells keys apart, and does not give them away. */
void lookup_asking(struct lookup_asker *asker, const struct kdnet_key *key)
{
    uint64_t hash = asker->lookup->seed;
    for (size_t i = 0; i < sizeof key->bytes; i += sizeof hash) {
        uint64_t word;
        memcpy(&word, key->bytes + i, sizeof word);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15U;
        hash ^= hash >> 29;
    }
    asker->machine = hash | 1;
}

enum kdnet_rva_answer lookup_find(struct lookup_asker *asker, const struct kdnet_pdb *pdb, const char *symbol,
                                  uint32_t *rva, enum kdnet_source *source)
{
    static const enum kdnet_rva_answer answers[] = {
        [SYMBOLS_FOUND] = KDNET_RVA_FOUND,
        [SYMBOLS_ABSENT] = KDNET_RVA_ABSENT,
        [SYMBOLS_NO_SYMBOLS] = KDNET_RVA_NO_SYMBOLS,
        [SYMBOLS_PENDING] = KDNET_RVA_PENDING,
    };
    struct lookup *lookup = asker->lookup;
    uv_mutex_lock(&lookup->lock);
    enum kdnet_rva_answer answer = rva_find(&lookup->told, pdb, symbol, rva, source);
    if (answer != KDNET_RVA_FOUND && lookup->has_places)
        answer = answers[symbols_find(lookup->symbols, asker->machine, pdb, symbol, rva, source)];
    uv_mutex_unlock(&lookup->lock);
    return answer;
}

void lookup_want(struct lookup_asker *asker, const struct kdnet_pdb *pdb, const char *const *symbols, size_t count)
{
    struct lookup *lookup = asker->lookup;
    const char *unknown[SYMBOL_NAMES_MAX];
    size_t unknown_count = 0;
    uv_mutex_lock(&lookup->lock);
    for (size_t i = 0; lookup->has_places && i < count && unknown_count < SYMBOL_NAMES_MAX; ++i) {
        uint32_t rva;
        enum kdnet_source source;
        if (rva_find(&lookup->told, pdb, symbols[i], &rva, &source) != KDNET_RVA_FOUND)
            unknown[unknown_count++] = symbols[i];
    }
    if (unknown_count > 0)
        symbols_want(lookup->symbols, asker->machine, pdb, unknown, unknown_count);
    uv_mutex_unlock(&lookup->lock);
}

bool lookup_name(struct lookup_asker *asker, const struct kdnet_pdb *pdb, uint32_t rva, char *name, size_t size,
                 uint32_t *offset)
{
    struct lookup *lookup = asker->lookup;
    struct symbol_address address;
    uv_mutex_lock(&lookup->lock);
    bool known = lookup->has_places && symbols_name(lookup->symbols, pdb, rva, &address) == SYMBOLS_FOUND;
    uv_mutex_unlock(&lookup->lock);
    if (!known)
        return false;
    (void)snprintf(name, size, "%s", address.name);
    *offset = address.offset;
    return true;
}

/* With the lock held, as the next two. */
static struct image *find_image(const struct lookup *lookup, const struct kdnet_fingerprint *fingerprint)
{
    for (size_t i = 0; i < lookup->image_count; ++i)
        if (memcmp(&lookup->images[i].fingerprint, fingerprint, sizeof *fingerprint) == 0)
            return &lookup->images[i];
    return NULL;
}

/* Whether the image's symbol file has the fingerprint's symbols at its RVAs. */
static bool is_vouched_for(struct lookup *lookup, const struct image *image, uint64_t machine)
{
    for (size_t i = 0; i < KDNET_FINGERPRINT_SYMBOLS; ++i) {
        enum kdnet_source source;
        uint32_t rva = 0;
        if (!lookup->has_places ||
            symbols_find(lookup->symbols, machine, &image->pdb, kdnet_fingerprint_symbol(i), &rva, &source) !=
                SYMBOLS_FOUND ||
            rva != image->fingerprint.rva[i])
            return false;
    }
    return true;
}

static void say_known_again(const struct kdnet_pdb *pdb)
{
    char guidage[KDNET_GUIDAGE_SIZE];
    struct log_line line;
    log_begin(&line, CONFIG_LOG_DEBUG, "kernel is known again; its identity is not read");
    if (line.off)
        return;
    kdnet_pdb_guidage(pdb, guidage);
    log_text(&line, "guidage", guidage);
    log_end(&line);
}

static bool is_told_by(const struct image *image, uint64_t machine)
{
    return image->told_by[0] == machine || image->told_by[1] == machine;
}

/* Whether an image is believed: a machine may spoil only its own results. */
static bool is_believed(const struct image *image, uint64_t machine)
{
    return !image->doubted && (image->told_by[1] != 0 || is_told_by(image, machine));
}

bool lookup_recall(struct lookup_asker *asker, const struct kdnet_fingerprint *fingerprint, struct kdnet_pdb *pdb)
{
    struct lookup *lookup = asker->lookup;
    uv_mutex_lock(&lookup->lock);
    const struct image *image = find_image(lookup, fingerprint);
    bool known = image && is_believed(image, asker->machine) && is_vouched_for(lookup, image, asker->machine);
    if (known)
        *pdb = image->pdb;
    uv_mutex_unlock(&lookup->lock);
    if (known)
        say_known_again(pdb);
    return known;
}

/* Returns a free place, or the oldest one that a single machine reported, or the oldest. NULL: out of memory. */
static struct image *make_image(struct lookup *lookup)
{
    if (!lookup->images)
        lookup->images = calloc(LOOKUP_IMAGES, sizeof *lookup->images);
    if (!lookup->images)
        return NULL;
    size_t at = lookup->next_image;
    for (size_t i = 0; i < lookup->image_count && lookup->images[at].told_by[1] != 0; ++i)
        at = (at + 1) % LOOKUP_IMAGES;
    lookup->next_image = (at + 1) % LOOKUP_IMAGES;
    if (lookup->image_count < LOOKUP_IMAGES)
        ++lookup->image_count;
    return &lookup->images[at];
}

static bool is_same_pdb(const struct kdnet_pdb *a, const struct kdnet_pdb *b)
{
    return a->age == b->age && memcmp(a->guid, b->guid, sizeof a->guid) == 0;
}

static void add_witness(struct image *image, const struct kdnet_pdb *pdb, uint64_t machine)
{
    if (!is_same_pdb(&image->pdb, pdb))
        image->doubted = true;
    else if (!is_told_by(image, machine) && image->told_by[1] == 0)
        image->told_by[1] = machine;
}

void lookup_remember(struct lookup_asker *asker, const struct kdnet_fingerprint *fingerprint,
                     const struct kdnet_pdb *pdb)
{
    struct lookup *lookup = asker->lookup;
    uv_mutex_lock(&lookup->lock);
    struct image *image = find_image(lookup, fingerprint);
    if (image)
        add_witness(image, pdb, asker->machine);
    else if ((image = make_image(lookup)) != NULL)
        *image = (struct image){.fingerprint = *fingerprint, .pdb = *pdb, .told_by = {asker->machine}};
    uv_mutex_unlock(&lookup->lock);
}

uint64_t lookup_count(struct lookup *lookup)
{
    uv_mutex_lock(&lookup->lock);
    uint64_t count = lookup->lookups;
    uv_mutex_unlock(&lookup->lock);
    return count;
}

void lookup_explain(struct lookup_asker *asker, const struct kdnet_pdb *pdb, const char *symbol, char *out, size_t size)
{
    struct lookup *lookup = asker->lookup;
    uv_mutex_lock(&lookup->lock);
    if (lookup->has_places)
        symbols_explain(lookup->symbols, pdb, symbol, out, size);
    else if (size > 0)
        (void)snprintf(out, size, "no places for symbols are configured (symbols:)");
    uv_mutex_unlock(&lookup->lock);
}
