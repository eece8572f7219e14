/* SPDX-License-Identifier: Apache-2.0 */
/* A build without librdkafka: the sink cannot be set up, which is told as its error. */
#include "service/sinks/sink.h"

static struct sink_link *open_link(const struct config_sink *config, const char *collector, const atomic_bool *stop)
{
    (void)config;
    (void)collector;
    (void)stop;
    return NULL;
}

const struct sink_type sink_kafka = {.open = open_link};
