/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target where there is no fuzzer: replay CORPUS-FOLDER ROUNDS. Each file of the corpus, then ROUNDS seeded
 * mutations of them. An input is a heap block of exactly its size.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/support/bytes.h"
#include "tests/support/random.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX  8192
#define CORPUS_MAX 256

struct input {
    uint8_t bytes[INPUT_MAX];
    size_t length;
};

static struct input corpus[CORPUS_MAX];
static size_t corpus_count;

static void run(const uint8_t *bytes, size_t length)
{
    uint8_t *copy = bytes_copy(bytes, length);
    (void)LLVMFuzzerTestOneInput(copy, length);
    free(copy);
}

static int read_input(const char *folder, const char *name)
{
    char path[4096];
    if (name[0] == '.' || corpus_count == CORPUS_MAX)
        return 0;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
        return -1;
    FILE *file = fopen(path, "rb");
    if (!file)
        return -1;
    struct input *input = &corpus[corpus_count++];
    input->length = fread(input->bytes, 1, sizeof input->bytes, file);
    return fclose(file);
}

static int by_content(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct input));
}

static int read_corpus(const char *folder)
{
    DIR *directory = opendir(folder);
    if (!directory)
        return -1;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (read_input(folder, entry->d_name) != 0)
            (void)fprintf(stderr, "%s/%s cannot be read\n", folder, entry->d_name);
    closedir(directory);
    qsort(corpus, corpus_count, sizeof corpus[0], by_content); /* readdir has no order; mutations need one */
    return 0;
}

/* Changes a few bytes, and now and then the length. */
static void mutate(struct test_random *random, struct input *input)
{
    static const uint8_t edges[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    if (test_random_below(random, 4) == 0)
        input->length = test_random_below(random, input->length + 1);
    else if (test_random_below(random, 4) == 0 && input->length < INPUT_MAX - 64)
        input->length += test_random_below(random, 64);
    for (size_t n = test_random_below(random, 8); n > 0 && input->length > 0; --n) {
        uint8_t *at = &input->bytes[test_random_below(random, input->length)];
        *at = test_random_below(random, 2) == 0 ? edges[test_random_below(random, sizeof edges)]
                                                : (uint8_t)test_random_next(random);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3 || read_corpus(argv[1]) != 0 || corpus_count == 0) {
        (void)fprintf(stderr, "usage: %s CORPUS-FOLDER ROUNDS; the folder must have files\n", argv[0]);
        return 2;
    }
    unsigned long rounds = strtoul(argv[2], NULL, 10);
    struct test_random random;
    test_random_init(&random);
    for (size_t i = 0; i < corpus_count; ++i)
        run(corpus[i].bytes, corpus[i].length);
    for (unsigned long i = 0; i < rounds; ++i) {
        struct input input = corpus[test_random_below(&random, corpus_count)];
        mutate(&random, &input);
        run(input.bytes, input.length);
    }
    printf("%zu files and %lu mutations of them\n", corpus_count, rounds);
    return 0;
}
