/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/crash/trace.h"
#include "service/platform/platform.h"
#include "service/platform/yield.h"
#include "service/runtime/log.h"
#include "service/worker/forward.h"
#include "service/worker/listener.h"
#include "service/worker/pump.h"
#include "service/worker/route.h"
#include "service/worker/stray.h"
#include "service/worker/send.h"
#include "service/worker/unknown_poke.h"
#include "service/worker/word.h"
#include "service/worker/worker_loop.h"

#include <openssl/rand.h>
#include <string.h>

static int random_bytes(void *user, uint8_t *out, size_t length)
{
    (void)user;
    return length <= INT32_MAX && RAND_bytes(out, (int)length) == 1 ? KDNET_OK : KDNET_ERR_RANDOM;
}

static uint64_t lag(void *user)
{
    (void)user;
    return worker_lag_us();
}

/* Symbols, for the sessions. */

static void asking(void *user, const struct kdnet_key *key)
{
    const struct worker *worker = user;
    if (worker->asker)
        worker->env->symbols->asking(worker->asker, key);
}

/* A stopping service waits for no look-up. */
static enum kdnet_rva_answer find_rva(void *user, const struct kdnet_pdb *pdb, const char *symbol, uint32_t *rva,
                                      enum kdnet_source *source)
{
    const struct worker *worker = user;
    if (!worker->asker)
        return KDNET_RVA_NO_SYMBOLS;
    enum kdnet_rva_answer answer = worker->env->symbols->find(worker->asker, pdb, symbol, rva, source);
    return answer == KDNET_RVA_PENDING && worker->stopping ? KDNET_RVA_NO_SYMBOLS : answer;
}

static void want_rvas(void *user, const struct kdnet_pdb *pdb, const char *const *symbols, size_t count)
{
    const struct worker *worker = user;
    if (worker->asker && !worker->stopping)
        worker->env->symbols->want(worker->asker, pdb, symbols, count);
}

static bool find_name(void *user, const struct kdnet_pdb *pdb, uint32_t rva, char *name, size_t size, uint32_t *offset)
{
    const struct worker *worker = user;
    return worker->asker && !worker->stopping &&
           worker->env->symbols->name(worker->asker, pdb, rva, name, size, offset);
}

static bool recall_image(void *user, const struct kdnet_fingerprint *fingerprint, struct kdnet_pdb *pdb)
{
    const struct worker *worker = user;
    return worker->asker && worker->env->symbols->recall(worker->asker, fingerprint, pdb);
}

static void remember_image(void *user, const struct kdnet_fingerprint *fingerprint, const struct kdnet_pdb *pdb)
{
    const struct worker *worker = user;
    if (worker->asker)
        worker->env->symbols->remember(worker->asker, fingerprint, pdb);
}

/* Without a place for symbols, sessions make no read that serves only a look-up. */
void worker_configure(struct worker *worker, const struct kdnetd_config *config)
{
    struct kdnet_session_shared *shared = &worker->shared;
    bool places = config->symbols.count > 0;
    shared->read_deadline_us = config->read_deadline_ms * 1000;
    admission_configure(&worker->admission, shared->read_deadline_us,
                        platform_can_share() ? 1 : worker->env->worker_count);
    shared->lost_after_us = config->lost_after_ms * 1000;
    shared->dump_for_us = config->dump_for_ms * 1000;
    shared->prints = config->prints;
    shared->break_in_allowed = config->break_in == CONFIG_BREAK_IN_ALLOWED;
    shared->rivals = config->freebind || config->nats.servers.count > 0; /* this is one of several collectors */
    shared->want_rvas = places ? want_rvas : NULL;
    shared->find_name = places ? find_name : NULL;
    shared->recall_image = places ? recall_image : NULL;
    shared->remember_image = places ? remember_image : NULL;
    reads_make(&worker->reads, config);
    shared->reads = &worker->reads;
    shared->trace_cache = config->default_reads ? worker->trace_cache : NULL;
    memcpy(worker->collector, config->collector, sizeof worker->collector);
}

/* The rounds of the loop. */

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* while active, the loop polls the sockets without waiting */
}

/*
 * libuv runs timers before it polls the sockets: after a busy round, answers that are already there would count as
 * late, and their requests would be retransmitted. So deadlines are handled after the sockets of the same round.
 */
static void on_deadline(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    worker->deadline_due = true;
    (void)uv_idle_start(&worker->deadline_idle, on_idle);
}

/* After a stall sockets hold more than a round takes, and answers that are there are not late. */
static bool sockets_come_first(const struct worker *worker, uint64_t now_us)
{
    bool behind = false;
    if (worker_stalled_us() == 0 || now_us - worker_stalled_us() >= WORKER_DRAIN_US)
        return false;
    for (const struct listener *listener = worker->listeners; listener; listener = listener->next)
        behind = behind || listener->behind;
    return behind;
}

static void on_check(uv_check_t *check)
{
    struct worker *worker = check->data;
    uint64_t now_us = worker_now_us();
    worker->idle_us += now_us - worker->waiting_from_us;
    if (!worker->deadline_due || sockets_come_first(worker, now_us))
        return;
    worker->deadline_due = false;
    (void)uv_idle_stop(&worker->deadline_idle);
    pump_expire(worker);
    pump_release(worker);
}

/* When the loop looks at the clock again, at the latest, though nothing is due. */
static uint64_t next_look(const struct worker *worker, uint64_t now_us)
{
    if (worker->totals.halted > worker->totals.held)
        return now_us + WORKER_LOOK_HALTED_US;
    return worker->totals.connected > 0 ? now_us + WORKER_LOOK_US : TIMERS_NEVER;
}

static uint64_t earlier(uint64_t one_us, uint64_t other_us)
{
    return one_us < other_us ? one_us : other_us;
}

/* Returns how long the loop may sleep. */
static uint64_t arm_deadline(struct worker *worker)
{
    uint64_t now_us = worker_now_us();
    uint64_t deadline_us = earlier(timers_next(&worker->timers), release_gate_deadline(&worker->release_gate));
    deadline_us = earlier(deadline_us, admission_deadline(&worker->admission));
    deadline_us = earlier(deadline_us, next_look(worker, now_us));
    if (deadline_us == TIMERS_NEVER) {
        (void)uv_timer_stop(&worker->deadline_timer);
        return WORKER_CLOCK_ENDLESS;
    }
    uint64_t wait_ms = deadline_us > now_us ? (deadline_us - now_us + 999) / 1000 : 1;
    uv_update_time(&worker->loop);
    (void)uv_timer_start(&worker->deadline_timer, on_deadline, wait_ms, 0);
    return wait_ms * 1000;
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct worker *worker = prepare->data;
    if (worker->index_due)
        worker->index_due = !targets_index(&worker->targets);
    unknown_poke_search(worker);
    pump_admit(worker);
    send_flush(worker);
    listener_wake(worker);
    if (worker->events_added)
        event_log_ring(worker->env->publisher->log);
    worker->events_added = false;
    uint64_t sleep_us = arm_deadline(worker);
    worker->waiting_from_us = worker_now_us();
    worker_will_sleep(sleep_us);
}

/* Waiting machines ask again; others ignore it. */
static void on_symbols(void *user)
{
    struct worker *worker = user;
    uint64_t now_us = worker_now_us();
    for (uint32_t id = 0; id < worker->targets.ids && worker->totals.halted > 0; ++id) {
        struct target *target = targets_row(&worker->targets, id);
        if (!target || !target->halted)
            continue;
        kdnet_session_symbols_came(targets_session(target), now_us);
        pump_target(worker, target, NULL, NULL, now_us);
    }
}

static void on_settled(uv_async_t *settled)
{
    pump_release(settled->data);
}

/* The start. */

static void init_handles(struct worker *worker)
{
    uv_timer_t *timers[] = {&worker->search_timer, &worker->deadline_timer, &worker->rest_timer, &worker->send_timer,
                            &worker->repair_timer};
    uv_idle_t *idles[] = {&worker->search_idle, &worker->deadline_idle, &worker->apply_idle};
    for (size_t i = 0; i < sizeof timers / sizeof timers[0]; ++i) {
        (void)uv_timer_init(&worker->loop, timers[i]);
        timers[i]->data = worker;
    }
    for (size_t i = 0; i < sizeof idles / sizeof idles[0]; ++i) {
        (void)uv_idle_init(&worker->loop, idles[i]);
        idles[i]->data = worker;
    }
    (void)uv_prepare_init(&worker->loop, &worker->prepare);
    (void)uv_check_init(&worker->loop, &worker->check);
    worker->prepare.data = worker;
    worker->check.data = worker;
    (void)uv_prepare_start(&worker->prepare, on_prepare);
    (void)uv_check_start(&worker->check, on_check);
}

static void say_slow_filter(struct worker *worker)
{
    if (worker->number == 0 && kdnet_key_filter_is_slow(worker->shared.crypto))
        log_plain(CONFIG_LOG_WARNING,
                  "this processor's AES instructions gave a wrong answer to a known vector; keys are "
                  "tried on unknown machines in a slower way");
}

static bool init_parts(struct worker *worker)
{
    worker->shared.crypto = kdnet_crypto_new();
    worker->shared.user = worker;
    worker->shared.random = random_bytes;
    worker->shared.lag_us = lag;
    worker->shared.asking = asking;
    worker->shared.find_rva = find_rva;
    worker->shared.away = word_is_away;
    worker->shared.counts = &worker->session_counts;
    worker->shared.layout_cache = &worker->layout_cache;
    worker->trace_cache = kdnet_trace_cache_new(); /* without memory crashes are not traced */
    targets_init(&worker->targets, worker->seed);
    timers_init(&worker->timers);
    release_gate_init(&worker->release_gate);
    forwarding_table_init(&worker->forwarding_table, worker->seed);
    responses_init(&worker->responses, worker->seed);
    source_limit_init(&worker->source_limit, worker->seed);
    bucket_init(&worker->solicits, WORKER_SOLICIT_PER_SECOND, WORKER_SOLICIT_PER_SECOND);
    bucket_init(&worker->strays, STRAY_PER_SECOND, STRAY_PER_SECOND);
    bucket_init(&worker->unknown_strays, STRAY_UNKNOWN_PER_SECOND, STRAY_UNKNOWN_PER_SECOND);
    cpu_budget_init(&worker->cpu_budget, worker_now_us());
    admission_init(&worker->admission);
    const struct worker_env *env = worker->env;
    worker->asker = env->lookup ? env->symbols->join(env->lookup, &worker->loop, on_symbols, worker) : NULL;
    bool search = key_search_init(&worker->key_search, worker->seed);
    if (worker->shared.crypto)
        say_slow_filter(worker);
    return worker->shared.crypto && (worker->asker || !env->lookup) && search;
}

static void handle_stop(struct message *message, void *owner)
{
    (void)message;
    worker_stop(owner);
}

static void handle_finish(struct message *message, void *owner)
{
    (void)message;
    worker_finish(owner);
}

bool worker_init(struct worker *worker, const struct worker_env *env, unsigned number)
{
    worker->env = env;
    worker->number = number;
    worker->seed = env->seed;
    worker->forwarded = route_forwarded;
    worker->started_us = worker_now_us();
    worker->stop_message.handle = handle_stop;
    worker->finish_message.handle = handle_finish;
    if (uv_loop_init(&worker->loop) != 0)
        return false;
    if (mailbox_init(&worker->mailbox, &worker->loop, worker) != 0) {
        (void)uv_loop_close(&worker->loop);
        return false;
    }
    init_handles(worker);
    worker->handles_ready = true;
    if (uv_async_init(&worker->loop, &worker->settled, on_settled) != 0)
        return false;
    worker->settled.data = worker;
    worker->settled_ready = true;
    return init_parts(worker);
}

static void run(void *user)
{
    struct worker *worker = user;
    uv_sem_wait(&worker->begin);
    platform_begin_soon();
    (void)uv_run(&worker->loop, UV_RUN_DEFAULT);
}

int worker_start(struct worker *worker)
{
    int error = uv_sem_init(&worker->begin, 0);
    if (error != 0)
        return error;
    error = uv_thread_create(&worker->thread, run, worker);
    worker->parked = error == 0;
    if (error != 0)
        uv_sem_destroy(&worker->begin);
    return error;
}

void worker_run(struct worker *worker)
{
    if (worker->parked)
        uv_sem_post(&worker->begin);
    worker->parked = false;
}

void worker_stop(struct worker *worker)
{
    uint64_t now_us = worker_now_us();
    worker->stopping = true;
    if (worker->shared.read_deadline_us <= WORKER_STOP_READ_US)
        return;
    worker->shared.read_deadline_us = WORKER_STOP_READ_US;
    for (uint32_t id = 0; id < worker->targets.ids && worker->totals.halted > 0; ++id) {
        struct target *target = targets_row(&worker->targets, id);
        if (!target || !target->halted)
            continue;
        kdnet_session_end_read(targets_session(target), now_us + WORKER_STOP_READ_US);
        pump_target(worker, target, NULL, NULL, now_us);
    }
}

/* The end. */

void worker_finish(struct worker *worker)
{
    uv_handle_t *handles[] = {
        (uv_handle_t *)&worker->prepare,        (uv_handle_t *)&worker->check,
        (uv_handle_t *)&worker->search_idle,    (uv_handle_t *)&worker->deadline_idle,
        (uv_handle_t *)&worker->apply_idle,     (uv_handle_t *)&worker->search_timer,
        (uv_handle_t *)&worker->deadline_timer, (uv_handle_t *)&worker->rest_timer,
        (uv_handle_t *)&worker->send_timer,     (uv_handle_t *)&worker->repair_timer,
    };
    if (worker->finished || !worker->handles_ready)
        return;
    worker->finished = true;
    while (worker->listeners)
        listener_close(worker->listeners);
    for (size_t i = 0; i < sizeof handles / sizeof handles[0]; ++i)
        uv_close(handles[i], NULL);
    if (worker->settled_ready)
        uv_close((uv_handle_t *)&worker->settled, NULL);
    if (worker->asker)
        worker->env->symbols->leave(worker->asker);
    worker->asker = NULL;
    mailbox_close(&worker->mailbox);
}

/* Rows in its mailbox come into its table, and are freed with the others. */
void worker_clear(struct worker *worker, bool started)
{
    if (!worker->handles_ready)
        return;
    worker_finish(worker);
    if (!started)
        (void)uv_run(&worker->loop, UV_RUN_DEFAULT);
    targets_clear(&worker->targets);
    timers_clear(&worker->timers);
    admission_clear(&worker->admission);
    kdnet_trace_cache_free(worker->trace_cache);
    key_search_clear(&worker->key_search);
    release_gate_clear(&worker->release_gate);
    losses_clear(&worker->losses);
    forwarding_table_clear(&worker->forwarding_table);
    responses_clear(&worker->responses);
    forward_clear(worker);
    kdnet_crypto_free(worker->shared.crypto);
    mailbox_clear(&worker->mailbox);
    if (started)
        uv_sem_destroy(&worker->begin);
    (void)uv_loop_close(&worker->loop);
}
