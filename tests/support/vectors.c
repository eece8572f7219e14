/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/error.h"
#include "kdnet/wire/handshake.h"
#include "kdnet/wire/manipulate.h"
#include "service/capture/pcap_header.h"
#include "tests/support/bytes.h"
#include "tests/support/vectors.h"

#define CAPTURE_FILE "windbg-v4.pcapng"
#define CAPTURE_KEY  "8.8.8.8"

/* Ethernet, IPv4 and UDP: offsets and values; the capture has nothing else. */
enum {
    ETHERNET_TYPE = 12,
    ETHERNET_HEADER = 14,
    IPV4_PROTOCOL = 9,
    UDP_LENGTH = 4,
    UDP_HEADER = 8,
    PROTOCOL_UDP = 17,
};

static struct vectors loaded;

static size_t be16(const uint8_t *p)
{
    return (size_t)p[0] << 8 | p[1];
}

/* The UDP payload of an Ethernet frame; NULL when it carries none. */
static const uint8_t *udp_payload(const uint8_t *frame, size_t length, size_t *payload_length)
{
    if (length < ETHERNET_HEADER + 20 || be16(frame + ETHERNET_TYPE) != 0x0800)
        return NULL;
    const uint8_t *ip = frame + ETHERNET_HEADER;
    size_t left = length - ETHERNET_HEADER, header = (size_t)(ip[0] & 0x0f) * 4;
    if (ip[IPV4_PROTOCOL] != PROTOCOL_UDP || left < header + UDP_HEADER)
        return NULL;
    size_t udp_length = be16(ip + header + UDP_LENGTH);
    if (udp_length < UDP_HEADER || left - header < udp_length)
        return NULL;
    *payload_length = udp_length - UDP_HEADER;
    return ip + header + UDP_HEADER;
}

/* Opens one vector with the control key or the data key, and learns the data key from a response. */
static void open_vector(struct vector *vector, const uint8_t *payload, size_t length,
                        uint8_t data_key[static KDNET_AES_KEY_LENGTH])
{
    uint8_t plain[KDNET_DATAGRAM_MAX];
    uint8_t version, channel;
    vector->payload = bytes_copy(payload, length);
    vector->payload_length = length;
    int error = kdnet_datagram_peek(payload, length, &version, &channel);
    if (error != KDNET_OK)
        fail_msg("frame %u: %s", vector->frame, kdnet_error_text(error));
    memcpy(vector->aes_key, channel == KDNET_CHANNEL_CONTROL ? loaded.keys.control.bytes : data_key,
           sizeof vector->aes_key);
    error = kdnet_datagram_open(loaded.crypto, vector->aes_key, &loaded.keys.hmac, payload, length, plain,
                                &vector->datagram);
    if (error != KDNET_OK)
        fail_msg("frame %u: %s", vector->frame, kdnet_error_text(error));
    vector->datagram.body = bytes_copy(vector->datagram.body, vector->datagram.body_length);
    if (channel == KDNET_CHANNEL_CONTROL && vector->datagram.body_length == KDNET_RESPONSE_LENGTH)
        kdnet_data_key(&loaded.keys.control, vector->datagram.body, data_key);
    if (channel != KDNET_CHANNEL_DATA)
        return;
    if (kdnet_packet_decode(vector->datagram.body, vector->datagram.body_length, &vector->packet) != KDNET_OK)
        return; /* the connection check; tests count the packets */
    vector->is_packet = true;
    vector->packet.payload = bytes_copy(vector->packet.payload, vector->packet.payload_length);
}

static void load(pcap_t *capture)
{
    struct kdnet_key key;
    uint8_t data_key[KDNET_AES_KEY_LENGTH] = {0};
    assert_int_equal(kdnet_key_parse(CAPTURE_KEY, strlen(CAPTURE_KEY), &key, NULL, NULL), KDNET_OK);
    kdnet_keys_init(&loaded.keys, &key);
    loaded.crypto = kdnet_crypto_new();
    assert_non_null(loaded.crypto);
    assert_int_equal(pcap_datalink(capture), DLT_EN10MB);

    struct pcap_pkthdr *told;
    const u_char *bytes;
    for (unsigned frame = 1; pcap_next_ex(capture, &told, &bytes) == 1; ++frame) {
        const struct pcap_header *header = (const void *)told;
        size_t length = 0;
        const uint8_t *payload = udp_payload(bytes, header->caplen, &length);
        if (!payload)
            continue;
        assert_true(loaded.count < VECTORS_MAX);
        struct vector *vector = &loaded.items[loaded.count];
        *vector = (struct vector){.frame = frame};
        open_vector(vector, payload, length, data_key);
        ++loaded.count;
    }
}

const struct vectors *vectors_or_skip(void)
{
    if (loaded.count > 0)
        return &loaded;
    const char *folder = getenv("KDNETD_DATA");
    char path[4096], error[PCAP_ERRBUF_SIZE];
    int written = snprintf(path, sizeof path, "%s/%s", folder ? folder : ".", CAPTURE_FILE);
    assert_in_range(written, 1, sizeof path - 1);
    FILE *file = fopen(path, "rb");
    if (!file) {
        print_message("skipped: no real data at %s%s\n", path, folder ? "" : " (KDNETD_DATA is not set)");
        skip();
        return NULL;
    }
    pcap_t *capture = pcap_fopen_offline(file, error); /* takes the file */
    if (!capture)
        fail_msg("%s: %s", path, error);
    load(capture);
    pcap_close(capture);
    assert_true(loaded.count > 0);
    return &loaded;
}

const struct vector *vectors_frame(const struct vectors *vectors, unsigned frame)
{
    for (size_t i = 0; i < vectors->count; ++i)
        if (vectors->items[i].frame == frame)
            return &vectors->items[i];
    fail_msg("the capture has no frame %u", frame);
    return NULL;
}

const struct kdnet_packet *vectors_packet(const struct vectors *vectors, unsigned frame, uint16_t type)
{
    const struct vector *vector = vectors_frame(vectors, frame);
    assert_true(vector->is_packet);
    assert_int_equal(vector->packet.type, type);
    return &vector->packet;
}

/* Copies what a reply shows of the range; marks it in `shown`. */
static void merge(const struct kdnet_manipulate *reply, uint64_t address, uint8_t *out, bool *shown, size_t length)
{
    for (size_t i = 0; i < reply->data_length && i < reply->u.memory.actual; ++i) {
        uint64_t at = reply->u.memory.address + i - address;
        if (at < length) {
            out[at] = reply->data[i];
            shown[at] = true;
        }
    }
}

size_t vectors_memory(const struct vectors *vectors, unsigned before_frame, uint64_t address, uint8_t *out,
                      size_t length)
{
    bool *shown = calloc(length + 1, sizeof *shown);
    assert_non_null(shown);
    for (size_t i = 0; i < vectors->count && vectors->items[i].frame < before_frame; ++i) {
        const struct vector *vector = &vectors->items[i];
        struct kdnet_manipulate reply;
        if (vector->datagram.from_host || !vector->is_packet || vector->packet.type != KDNET_PACKET_MANIPULATE)
            continue;
        assert_int_equal(kdnet_manipulate_decode(vector->packet.payload, vector->packet.payload_length, &reply),
                         KDNET_OK);
        if (reply.api == KDNET_API_READ_VIRTUAL_MEMORY && reply.return_status == 0)
            merge(&reply, address, out, shown, length);
    }
    size_t count = 0;
    for (size_t i = 0; i < length; ++i)
        count += shown[i];
    free(shown);
    return count;
}

static void goes_round(const struct vector *vector, vectors_recode *recode)
{
    const struct kdnet_packet *packet = &vector->packet;
    uint8_t out[KDNET_PACKET_PAYLOAD_MAX];
    size_t length = 0;
    int error = recode(packet->payload, packet->payload_length, out, sizeof out, &length);
    if (error != KDNET_OK)
        fail_msg("frame %u: %s", vector->frame, kdnet_error_text(error));
    if (length != packet->payload_length || memcmp(out, packet->payload, length) != 0)
        fail_msg("frame %u does not come out as it went in", vector->frame);
    length = 12345;
    assert_int_equal(recode(packet->payload, packet->payload_length, out, packet->payload_length - 1, &length),
                     KDNET_ERR_SPACE);
    assert_int_equal(length, 12345);
}

size_t vectors_each_payload_goes_round(const struct vectors *vectors, uint16_t type, vectors_recode *recode)
{
    size_t count = 0;
    for (size_t i = 0; i < vectors->count; ++i) {
        const struct vector *vector = &vectors->items[i];
        if (!vector->is_packet || vector->packet.type != type)
            continue;
        goes_round(vector, recode);
        ++count;
    }
    return count;
}
