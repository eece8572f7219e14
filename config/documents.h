/* SPDX-License-Identifier: Apache-2.0 */
/*
 * documents: the options as people read them, made of options.def. Private to config/ and its tests.
 *
 * --help is written by config_write_help (config.h); these are kept in the tree, written anew by `./dev options`, and
 * held to the table by a test.
 */
#ifndef CONFIG_DOCUMENTS_H
#define CONFIG_DOCUMENTS_H

#include <stdio.h>

/* The lists of options of kdnetd.yaml(5) and kdnetd(8), mdoc. */
void config_write_file_manual(FILE *out);
void config_write_command_manual(FILE *out);

/* kdnetd.yaml.example. */
void config_write_example(FILE *out);

#endif
