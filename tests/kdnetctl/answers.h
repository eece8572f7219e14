/* SPDX-License-Identifier: Apache-2.0 */
/* answers: what a kdnetd that is made up says to each path; the first row whose path begins the asked one counts. */
#ifndef TESTS_KDNETCTL_ANSWERS_H
#define TESTS_KDNETCTL_ANSWERS_H

#define BEFORE     "2025-11-26T07:59:00.000000Z"
#define CRASH_NAME "15519032be73d58a"

#define TARGET                                                                                                         \
    "{\"name\":\"web-1\",\"state\":\"held\",\"since\":\"" BEFORE "\",\"held_until\":\"" BEFORE "\",\"address\":"       \
    "\"192.0.2.7:51111\",\"version\":5,\"last_seen\":\"" BEFORE "\",\"kernel\":{\"build_lab\":\"20348.288\"},"         \
    "\"listener\":\"0.0.0.0:50000\",\"worker\":0,\"last_crash\":{\"crash\":\"" CRASH_NAME "\",\"verdict\":"            \
    "\"written\"},\"labels\":{\"rack\":\"b4\"},\"stale\":true}"
#define CRASH                                                                                                          \
    "{\"crash\":\"" CRASH_NAME "\",\"target\":\"web-1\",\"time\":\"" BEFORE                                            \
    "\",\"bugcheck\":{\"code\":\"0x000000D1\","                                                                        \
    "\"name\":\"DRIVER_IRQL_NOT_LESS_OR_EQUAL\",\"parameters\":[\"0x1\",\"0x2\"]},\"verdict\":\"unknown\",\"reason\":" \
    "\"no_symbols\",\"status\":null,\"assessment\":{\"likely\":\"written\",\"strength\":\"strong\",\"because\":"       \
    "[\"the disk was written\"]},\"bucket\":\"D1 nic.sys+0x12@5F3A1B2C\",\"cause\":{\"place\":\"nic.sys+0x12\","       \
    "\"module\":{\"name\":\"nic.sys\",\"base\":\"0x1000\",\"size\":4096,\"stamp\":\"5F3A1B2C\"}},\"stack\":"           \
    "[\"nic.sys+0x12\"],\"phases\":[{\"time\":\"" BEFORE "\",\"phase\":\"shutdown\",\"verdict\":\"unknown\","          \
    "\"reason\":\"no_symbols\",\"read_ms\":0.4,\"halted_ms\":1.1}],\"dump_ms\":5012.25,\"halted_ms\":2.5,"             \
    "\"labels\":{\"rack\":\"b4\"},\"evidence\":{\"dump_block\":\"0xFFFF9A8F1C2D3000\"}}"
#define SHUTDOWN                                                                                                       \
    "{\"crash\":\"2551903200000000\",\"target\":\"web-2\",\"time\":\"" BEFORE "\",\"bugcheck\":{\"name\":\"none\"},"   \
    "\"verdict\":\"written\",\"cause\":{\"module\":{\"name\":\"a.sys\",\"pdb\":{\"name\":\"a.pdb\",\"guid\":\"1\","    \
    "\"age\":1}}}}"
#define STATUS                                                                                                         \
    "{\"version\":\"0.2.0\",\"collector\":\"c1\",\"started\":\"" BEFORE "\",\"uptime_seconds\":60,\"workers\":2,"      \
    "\"listeners\":[{\"address\":\"0.0.0.0:50000\",\"open\":true,\"heard_at\":\"" BEFORE "\"}],\"targets\":"           \
    "{\"held\":1},\"sinks\":[{\"name\":\"nats\",\"type\":\"nats\",\"delivered\":3,\"last_error\":\"x\"}],\"store\":"   \
    "{\"path\":\"/var/lib/kdnetd/kdnetd.db\",\"state\":\"ok\",\"events\":5,\"bytes\":4096},\"degraded\":"              \
    "[{\"what\":\"sink\",\"name\":\"nats\",\"why\":\"cannot open the file x.creds\",\"since\":\"" BEFORE "\"},"        \
    "{\"what\":\"sink\",\"name\":\"soc\",\"why\":\"full\"},{\"what\":\"sink\",\"name\":\"nats\",\"why\":\"slow\"}]}"
#define PROBLEM "{\"type\":\"urn:kdnetd:problem:not-found\",\"title\":\"not found\",\"detail\":\"nothing is here\"}"

static const struct {
    const char *path;
    long status;
    const char *text;
} answers[] = {
    {"/healthz", 200, "\"ok\""},
    {"/readyz", 503, "\"draining\""},
    {"/api/v1/status", 200, STATUS},
    {"/api/v1/unknown", 200,
     "{\"unknown\":[{\"address\":\"192.0.2.9\",\"count\":3,\"version\":5,\"first\":\"" BEFORE "\",\"last\":\"" BEFORE
     "\",\"hint\":\"a key that no target has\",\"remedy\":\"kdnetctl keygen\"}]}"},
    {"/api/v1/buckets", 200,
     "{\"buckets\":[{\"bucket\":\"D1 nic.sys+0x12\",\"count\":2,\"machines\":1,\"first\":\"" BEFORE "\",\"last\":"
     "\"" BEFORE "\",\"verdicts\":{\"written\":2}}]}"},
    {"/api/v1/reload", 200, "{\"ok\":true}"},
    {"/api/v1/drain", 200, "{\"draining\":true,\"halted\":1,\"held\":2,\"heard_last_10s\":3}"},
    {"/api/v1/targets/web-1/", 202, "{\"id\":\"c1-0-1\"}"},
    {"/api/v1/targets/web-1", 200, TARGET},
    {"/api/v1/targets/", 404, PROBLEM},
    {"/api/v1/targets", 200, "{\"total\":3,\"targets\":[" TARGET "," TARGET "]}"},
    {"/api/v1/crashes/" CRASH_NAME "/ack", 200, "{}"},
    {"/api/v1/crashes/" CRASH_NAME, 200, CRASH},
    {"/api/v1/crashes/", 200, SHUTDOWN},
    {"/api/v1/crashes?limit=1&", 200, "{\"total\":0,\"crashes\":[]}"},
    {"/api/v1/crashes", 200, "{\"total\":2,\"crashes\":[" CRASH "," SHUTDOWN "]}"},
    {"/api/v1/sinks/nats/republish", 202, "{\"ok\":true}"},
};
#define ANSWERS (sizeof answers / sizeof answers[0])

#endif
