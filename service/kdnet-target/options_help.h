/* SPDX-License-Identifier: Apache-2.0 */
/* options_help: the text of kdnet-target --help. */
#ifndef KDNET_TARGET_OPTIONS_HELP_H
#define KDNET_TARGET_OPTIONS_HELP_H

/* Prints the help to standard output. `count_max`: the most machines. */
void options_print_help(unsigned count_max);

#endif
