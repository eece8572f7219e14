/* SPDX-License-Identifier: Apache-2.0 */
#include "service/sinks/files.h"
#include "kdnet/base/hash.h"

#include <uv.h>

static uint64_t add(uint64_t sum, uint64_t value)
{
    return kdnet_hash(sum, &value, sizeof value);
}

static uint64_t add_time(uint64_t sum, const uv_timespec_t *time)
{
    return add(add(sum, (uint64_t)time->tv_sec), (uint64_t)time->tv_nsec);
}

static uint64_t add_file(uint64_t sum, const char *path)
{
    uv_fs_t request;
    if (!path)
        return sum;
    int error = uv_fs_stat(NULL, &request, path, NULL);
    const uv_stat_t *state = &request.statbuf;
    if (error == 0)
        sum = add_time(add_time(add(add(sum, state->st_ino), state->st_size), &state->st_mtim), &state->st_ctim);
    uv_fs_req_cleanup(&request);
    return add(sum, (uint64_t)(int64_t)error);
}

uint64_t files_stamp(const struct config_sink *config)
{
    const struct config_nats *nats = &config->nats;
    const char *const paths[] = {config->token_file, config->ca_file, config->properties_file,
                                 nats->credentials,  nats->tls_ca,    nats->tls_cert,
                                 nats->tls_key};
    uint64_t sum = KDNET_HASH_START;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; ++i)
        sum = add_file(sum, paths[i]);
    return sum;
}
