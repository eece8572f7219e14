/* SPDX-License-Identifier: Apache-2.0 */
/*
 * documents: the options' documentation, made from options.def. Private to config/ and its tests.
 *
 * config_write_help (config.h) writes --help. The other documents are files of the tree: `./dev options` writes them,
 * and a test compares them with the table.
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
