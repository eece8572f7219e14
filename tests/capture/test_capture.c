/* SPDX-License-Identifier: Apache-2.0 */
/* A capture's file: what is read of it, what was skipped, and what is no capture. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "kdnet/base/wire.h"
#include "service/capture/capture.h"
#include "service/capture/frame.h"
#include "tests/kdnetctl/frames.h"
#include "tests/capture/links.h"

/* A file of its own, gone after the test. */
struct file {
    char path[32];
    FILE *stream;
};

static void file_open(struct file *file)
{
    strcpy(file->path, "/tmp/kdnetctl-XXXXXX"); /* NOLINT(clang-analyzer-security.insecureAPI.strcpy) */
    int descriptor = mkstemp(file->path);
    assert_true(descriptor >= 0);
    file->stream = fdopen(descriptor, "wb");
    assert_non_null(file->stream);
}

static struct capture *file_read(struct file *file, char error[static CAPTURE_ERROR_SIZE])
{
    (void)fclose(file->stream);
    struct capture *capture = capture_open(file->path, error);
    unlink(file->path);
    return capture;
}

static void each_link_type_leads_to_the_same_datagram(void **state)
{
    (void)state;
    for (size_t i = 0; i < LINKS; ++i) {
        struct file file;
        struct frame frame;
        struct capture_datagram datagram;
        char error[CAPTURE_ERROR_SIZE] = "";
        print_message("%s\n", links[i].name);
        make_frame(&links[i], &frame);
        file_open(&file);
        frames_begin(file.stream, links[i].file_type);
        frames_write(file.stream, &frame, frame.length, 1700000000, 123456);
        frames_write(file.stream, &frame, frame.length, 1700000002, 123455);
        struct capture *capture = file_read(&file, error);
        assert_non_null(capture);
        assert_int_equal(capture_next(capture, &datagram), CAPTURE_DATAGRAM);
        assert_our_datagram(&datagram);
        assert_int_equal(datagram.number, 1);
        assert_true(datagram.time_us == 1700000000123456);
        assert_int_equal(capture_next(capture, &datagram), CAPTURE_DATAGRAM);
        assert_our_datagram(&datagram);
        assert_int_equal(datagram.number, 2);
        assert_int_equal(datagram.relative_us, 1999999);
        assert_int_equal(capture_next(capture, &datagram), CAPTURE_END);
        capture_close(capture);
    }
}

static void file_that_ends_in_a_frame_gives_what_came_before(void **state)
{
    (void)state;
    struct frame frame;
    make_frame(&links[0], &frame);
    for (size_t kept = 0; kept < frame.length; ++kept) {
        struct file file;
        struct capture_datagram datagram;
        char error[CAPTURE_ERROR_SIZE] = "";
        file_open(&file);
        frames_begin(file.stream, ETHERNET);
        frames_write(file.stream, &frame, frame.length, 1, 0);
        frames_write(file.stream, &frame, frame.length, 2, 0);
        (void)fflush(file.stream);
        assert_int_equal(ftruncate(fileno(file.stream), (off_t)(24 + 16 + frame.length + 16 + kept)), 0);
        struct capture *capture = file_read(&file, error);
        assert_non_null(capture);
        assert_int_equal(capture_next(capture, &datagram), CAPTURE_DATAGRAM);
        assert_int_equal(capture_next(capture, &datagram), CAPTURE_CUT);
        assert_non_null(strstr(capture_error(capture), "truncated"));
        capture_close(capture);
    }
}

static void counts_name_what_was_skipped(void **state)
{
    (void)state;
    struct file file;
    struct frame frame;
    struct capture_datagram datagram;
    char error[CAPTURE_ERROR_SIZE] = "";
    make_frame(&links[0], &frame);
    file_open(&file);
    frames_begin(file.stream, ETHERNET);
    frames_write(file.stream, &frame, frame.length, 1, 0);
    frames_write(file.stream, &frame, frame.length - 3, 1, 0);
    frame.bytes[14 + 6] = 0x20;
    frames_write(file.stream, &frame, frame.length, 1, 0);
    frame.bytes[14 + 9] = 6;
    frames_write(file.stream, &frame, frame.length, 1, 0);
    struct capture *capture = file_read(&file, error);
    assert_non_null(capture);
    while (capture_next(capture, &datagram) == CAPTURE_DATAGRAM)
        continue;
    struct capture_counts counts = capture_counts(capture);
    assert_int_equal(counts.frames, 4);
    assert_int_equal(counts.datagrams, 2);
    assert_int_equal(counts.cut, 1);
    assert_int_equal(counts.fragments, 1);
    capture_close(capture);
}

/* A compressed capture of two datagrams; so many bytes are cut off, or its check is spoilt. */
static struct capture *read_packed(size_t cut, bool spoilt)
{
    struct file plain, packed;
    struct frame frame;
    uint8_t bytes[1024];
    char error[CAPTURE_ERROR_SIZE] = "", path[48], command[96];
    make_frame(&links[0], &frame);
    file_open(&plain);
    frames_begin(plain.stream, ETHERNET);
    frames_write(plain.stream, &frame, frame.length, 1, 0);
    frames_write(plain.stream, &frame, frame.length, 2, 0);
    assert_int_equal(fclose(plain.stream), 0);
    (void)snprintf(command, sizeof command, "gzip -n %s", plain.path);
    (void)snprintf(path, sizeof path, "%s.gz", plain.path);
    if (system(command) != 0) { /* NOLINT(cert-env33-c) */
        unlink(plain.path);
        skip();
    }
    FILE *from = fopen(path, "rb");
    assert_non_null(from);
    size_t length = fread(bytes, 1, sizeof bytes, from);
    assert_int_equal(fclose(from), 0);
    unlink(path);
    assert_in_range(length, 40, sizeof bytes - 1);
    bytes[length - 8] ^= spoilt;
    file_open(&packed);
    assert_int_equal(fwrite(bytes, 1, length - cut, packed.stream), length - cut);
    struct capture *capture = file_read(&packed, error);
    if (!capture && strstr(error, "this build reads none"))
        skip();
    assert_non_null(capture);
    return capture;
}

static void a_compressed_capture_gives_what_could_be_unpacked(void **state)
{
    struct capture_datagram datagram;
    (void)state;
    struct capture *capture = read_packed(0, false);
    assert_int_equal(capture_next(capture, &datagram), CAPTURE_DATAGRAM);
    assert_int_equal(capture_next(capture, &datagram), CAPTURE_DATAGRAM);
    assert_int_equal(capture_next(capture, &datagram), CAPTURE_END);
    assert_null(capture_other_link(capture));
    capture_close(capture);
    capture = read_packed(4, false); /* all is there but its check */
    assert_int_equal(capture_next(capture, &datagram), CAPTURE_DATAGRAM);
    assert_int_equal(capture_next(capture, &datagram), CAPTURE_DATAGRAM);
    assert_int_equal(capture_next(capture, &datagram), CAPTURE_CUT);
    assert_non_null(strstr(capture_error(capture), "the gzip file is cut"));
    capture_close(capture);
    capture = read_packed(0, true); /* its check is another's */
    assert_int_equal(capture_next(capture, &datagram), CAPTURE_DATAGRAM);
    assert_int_equal(capture_next(capture, &datagram), CAPTURE_DATAGRAM);
    assert_int_equal(capture_next(capture, &datagram), CAPTURE_CUT);
    assert_non_null(strstr(capture_error(capture), "the gzip file is damaged"));
    capture_close(capture);
}

static void what_is_no_capture_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
    } files[] = {{"", 0}, {"MDBG", 4}, {"this is a text and no capture at all", 36}, {"\xd4\xc3\xb2\xa1\x02\x00", 6}};
    char error[CAPTURE_ERROR_SIZE];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; ++i) {
        struct file file;
        file_open(&file);
        (void)fwrite(files[i].bytes, 1, files[i].length, file.stream);
        assert_null(file_read(&file, error));
        assert_non_null(strstr(error, file.path));
    }
    assert_null(capture_open("/nowhere/at/all.pcap", error));
    assert_non_null(strstr(error, "/nowhere/at/all.pcap: No such file"));
}

static void link_type_that_is_not_known_is_refused_with_a_remedy(void **state)
{
    (void)state;
    struct file file;
    char error[CAPTURE_ERROR_SIZE];
    file_open(&file);
    frames_begin(file.stream, 105); /* IEEE 802.11 */
    assert_null(file_read(&file, error));
    assert_non_null(strstr(error, "IEEE802_11"));
    assert_non_null(strstr(error, "capture on Ethernet"));
}

static void absurd_times_become_possible_ones(void **state)
{
    (void)state;
    struct file file;
    struct frame frame;
    struct capture_datagram datagram;
    char error[CAPTURE_ERROR_SIZE];
    make_frame(&links[0], &frame);
    file_open(&file);
    frames_begin(file.stream, ETHERNET);
    frames_write(file.stream, &frame, frame.length, UINT32_MAX, UINT32_MAX);
    struct capture *capture = file_read(&file, error);
    assert_non_null(capture);
    assert_int_equal(capture_next(capture, &datagram), CAPTURE_DATAGRAM);
    assert_true(datagram.time_us >= 0 && datagram.time_us / 1000000 <= 253402300799);
    capture_close(capture);
}

static void years_after_2038_are_read(void **state)
{
    (void)state;
    struct file file;
    struct frame frame;
    struct capture_datagram datagram;
    char error[CAPTURE_ERROR_SIZE];
    make_frame(&links[0], &frame);
    file_open(&file);
    frames_begin(file.stream, ETHERNET);
    frames_write(file.stream, &frame, frame.length, 4000000000U, 123456);
    struct capture *capture = file_read(&file, error);
    assert_non_null(capture);
    assert_int_equal(capture_next(capture, &datagram), CAPTURE_DATAGRAM);
    assert_true(datagram.time_us == 4000000000123456);
    capture_close(capture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_link_type_leads_to_the_same_datagram),
        cmocka_unit_test(file_that_ends_in_a_frame_gives_what_came_before),
        cmocka_unit_test(counts_name_what_was_skipped),
        cmocka_unit_test(a_compressed_capture_gives_what_could_be_unpacked),
        cmocka_unit_test(what_is_no_capture_is_refused_by_name),
        cmocka_unit_test(link_type_that_is_not_known_is_refused_with_a_remedy),
        cmocka_unit_test(years_after_2038_are_read),
        cmocka_unit_test(absurd_times_become_possible_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
