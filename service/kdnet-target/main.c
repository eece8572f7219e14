/* SPDX-License-Identifier: Apache-2.0 */
/* kdnet-target: simulated Windows machines (DESIGN section 2). */
#include "service/kdnet-target/fleet.h"
#include "service/kdnet-target/options.h"
#include "service/kdnet-target/replay.h"
#include "service/platform/program.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_WELL       0
#define EXIT_NOT_WELL   1
#define EXIT_USAGE      2
#define LOOK_PERIOD_MS  50
#define SIGNAL_COUNT    3
#define ERROR_TEXT_SIZE 1024

struct program {
    uv_loop_t loop;
    uv_signal_t signals[SIGNAL_COUNT];
    uv_timer_t look, end;
    struct fleet *fleet;
    const struct options *options;
};

/* USR1 asks for the summary; INT and TERM end the program. */
static void on_signal(uv_signal_t *signal, int number)
{
    const struct program *program = signal->data;
    if (number == program_signal_summary())
        fleet_print(program->fleet, stdout, program->options->json);
    else
        uv_stop(signal->loop);
}

static void on_end(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void on_look(uv_timer_t *timer)
{
    const struct program *program = timer->data;
    if (fleet_is_ended(program->fleet))
        uv_stop(timer->loop);
}

static void print_targets(const struct options *options)
{
    uint32_t count = options->one_key ? 1 : options->count;
    for (uint32_t i = 0; i < count; ++i) {
        struct kdnet_key key;
        char name[FLEET_NAME_SIZE], text[KDNET_KEY_TEXT_SIZE];
        options_key(options, i, &key);
        kdnet_key_format(&key, text);
        fleet_name(i, name);
        (void)printf("%s %s\n", name, text);
    }
}

static void watch(struct program *program)
{
    const int numbers[SIGNAL_COUNT] = {SIGINT, SIGTERM, program_signal_summary()};
    for (size_t i = 0; i < SIGNAL_COUNT; ++i) {
        uv_signal_init(&program->loop, &program->signals[i]);
        program->signals[i].data = program;
        if (numbers[i] != 0)
            uv_signal_start(&program->signals[i], on_signal, numbers[i]);
    }
    uv_timer_init(&program->loop, &program->look);
    uv_timer_init(&program->loop, &program->end);
    program->look.data = program;
    if (program->options->exit_when_ended)
        uv_timer_start(&program->look, on_look, LOOK_PERIOD_MS, LOOK_PERIOD_MS);
    if (program->options->duration_ms > 0)
        uv_timer_start(&program->end, on_end, program->options->duration_ms, 0);
}

static void close_all(struct program *program)
{
    for (size_t i = 0; i < SIGNAL_COUNT; ++i)
        uv_close((uv_handle_t *)&program->signals[i], NULL);
    uv_close((uv_handle_t *)&program->look, NULL);
    uv_close((uv_handle_t *)&program->end, NULL);
    fleet_close(program->fleet);
    uv_run(&program->loop, UV_RUN_DEFAULT);
}

static int run(const struct options *options, const struct machine_replay *replay)
{
    struct program program = {.options = options};
    if (uv_loop_init(&program.loop) != 0) {
        (void)fputs("kdnet-target: no event loop to be had: out of memory or descriptors\n", stderr);
        return EXIT_NOT_WELL;
    }
    program.fleet = fleet_new(&program.loop, options, replay);
    if (!program.fleet) {
        uv_loop_close(&program.loop);
        return EXIT_USAGE;
    }
    watch(&program);
    uv_run(&program.loop, UV_RUN_DEFAULT);
    fleet_print(program.fleet, stdout, options->json);
    int status = fleet_is_well(program.fleet) ? EXIT_WELL : EXIT_NOT_WELL;
    close_all(&program);
    fleet_free(program.fleet);
    uv_loop_close(&program.loop);
    return status;
}

int main(int argc, char **argv)
{
    struct options options;
    char error[ERROR_TEXT_SIZE];
    struct machine_replay *replay = NULL;
    program_start(&argc, &argv);
    enum options_result parsed = options_parse(&options, argc, argv);
    if (parsed != OPTIONS_RUN)
        return parsed == OPTIONS_HELP ? EXIT_WELL : EXIT_USAGE;
    if (options.print_targets) {
        print_targets(&options);
        return EXIT_WELL;
    }
    if (options.replay) {
        replay = machine_replay_load(options.replay, &options.replay_key, error, sizeof error);
        if (!replay) {
            (void)fprintf(stderr, "kdnet-target: --replay %s\n", error);
            return EXIT_USAGE;
        }
    }
    int status = run(&options, replay);
    machine_replay_free(replay);
    return status;
}
