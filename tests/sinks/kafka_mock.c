/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kafka_mock TOPIC: librdkafka's own mock cluster of three brokers. Its first line of output are their addresses.
 * Commands on standard input, a line each: "down N", "up N" (a broker), "errors N" (so many produce requests are
 * refused), "messages" (each message of the topic, "KEY ID LENGTH" a line, then "end"). Ends with standard input.
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BROKERS    3
#define PARTITIONS 3
#define PRODUCE    0 /* the number of that request in Kafka's protocol */
#define ERRORS_MAX 64
#define QUIET_MS   1500

static rd_kafka_t *new_client(rd_kafka_type_t type, const char *brokers)
{
    char error[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (brokers && (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, error, sizeof error) != RD_KAFKA_CONF_OK ||
                    rd_kafka_conf_set(conf, "group.id", "reader", error, sizeof error) != RD_KAFKA_CONF_OK))
        exit(2);
    (void)rd_kafka_conf_set(conf, "log_level", "2", error, sizeof error);
    rd_kafka_t *client = rd_kafka_new(type, conf, error, sizeof error);
    if (!client) {
        (void)fprintf(stderr, "kafka_mock: %s\n", error);
        exit(2);
    }
    return client;
}

static void print_message(const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers = NULL;
    const void *id = "";
    size_t length = 0;
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
        (void)rd_kafka_header_get_last(headers, "id", &id, &length);
    printf("%.*s %.*s %zu\n", message->key ? (int)message->key_len : 1, message->key ? (const char *)message->key : "-",
           (int)length, (const char *)id, message->len);
}

static void print_messages(const char *brokers, const char *topic)
{
    rd_kafka_t *consumer = new_client(RD_KAFKA_CONSUMER, brokers);
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(PARTITIONS);
    for (int i = 0; i < PARTITIONS; ++i)
        rd_kafka_topic_partition_list_add(all, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    (void)rd_kafka_poll_set_consumer(consumer);
    (void)rd_kafka_assign(consumer, all);
    rd_kafka_topic_partition_list_destroy(all);
    for (rd_kafka_message_t *message; (message = rd_kafka_consumer_poll(consumer, QUIET_MS));) {
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            print_message(message);
        rd_kafka_message_destroy(message);
    }
    (void)rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    printf("end\n");
}

static void refuse(rd_kafka_mock_cluster_t *cluster, int count)
{
    rd_kafka_resp_err_t errors[ERRORS_MAX];
    size_t n = count > 0 && count < ERRORS_MAX ? (size_t)count : ERRORS_MAX;
    for (size_t i = 0; i < n; ++i)
        errors[i] = RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS;
    rd_kafka_mock_push_request_errors_array(cluster, PRODUCE, n, errors);
}

static void obey(rd_kafka_mock_cluster_t *cluster, const char *line, const char *topic)
{
    const char *space = strchr(line, ' ');
    int number = space ? (int)strtol(space + 1, NULL, 10) : 0;
    if (strncmp(line, "down ", 5) == 0)
        (void)rd_kafka_mock_broker_set_down(cluster, number);
    else if (strncmp(line, "up ", 3) == 0)
        (void)rd_kafka_mock_broker_set_up(cluster, number);
    else if (strncmp(line, "errors ", 7) == 0)
        refuse(cluster, number);
    else
        print_messages(rd_kafka_mock_cluster_bootstraps(cluster), topic);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[64];
    if (argc != 2)
        return 2;
    rd_kafka_t *host = new_client(RD_KAFKA_PRODUCER, NULL);
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(host, BROKERS);
    if (!cluster || rd_kafka_mock_topic_create(cluster, argv[1], PARTITIONS, BROKERS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 2;
    printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
    (void)fflush(stdout);
    while (fgets(line, sizeof line, stdin))
        obey(cluster, line, argv[1]);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(host);
    return 0;
}
