/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnet-target/options_help.h"
#include "service/kdnet-target/machine.h"

#include <stdio.h>

void options_print_help(unsigned count_max)
{
    (void)printf(
        "Usage: kdnet-target --host ADDR:PORT --key w.x.y.z [OPTION]...\n"
        "Simulated Windows machines that are debugged over KDNET: for tests, demos and load.\n"
        "\n"
        "  --host ADDR:PORT     where kdnetd listens; an IPv6 address goes into brackets\n"
        "  --key w.x.y.z        the machine's key\n"
        "  --bind ADDR:PORT     the machine's own address; machine i takes PORT + i (port 0: any)\n"
        "  --count N            machines, up to %u; machine i, from 0, has the key w.x.y.(z + i), and on IPv4\n"
        "                       loopback an address 127.1.x.y of its own\n"
        "  --one-key            all machines have the same key\n"
        "  --print-targets      print the machines' names and keys, one a line, for a targets file of kdnetd; then\n"
        "                       end\n",
        count_max);
    (void)printf("  --scenario NAME      what happens:");
    for (size_t i = 0; machine_scenario_name(i); ++i)
        (void)printf(" %s", machine_scenario_name(i));
    (void)printf(
        "\n"
        "                       (default idle; mixed: each machine draws one of the others)\n"
        "  --status 0xN         what the dump status becomes (default 0; mixed: drawn)\n"
        "  --bugcheck 0xN       the bug check code (default 0xD1)\n"
        "  --cause 0xN          the bug check names the instruction at faulty.sys+0xN, and so does the stack\n"
        "  --no-reboot          automatic reboot is off: a bug check ends in a second break (as bugcheck-hold)\n"
        "  --no-dump            no dump is set up: its block and its driver are null, the status stays FFFFFFFF\n"
        "  --dump-log           the log of the dump is in the machine's memory\n"
        "  --images N           images in the kernel's list besides kernel and driver, up to 1000 (default 0)\n"
        "  --dump-ms N          silence while the dump is written (default 300)\n"
        "  --reboot-ms N        silence of a reboot (default 200)\n"
        "  --new-port           a machine comes back from a reboot with another source port\n"
        "  --machine NAME       x64 (default), x86, arm64\n"
        "  --protocol N         KDNET protocol version 2 to 5 (default 5; of a replay: the capture's)\n"
        "  --guidage HEX        GUID and age of the kernel's ntkrnlmp.pdb\n"
        "                       (default " MACHINE_GUIDAGE ")\n"
        "  --seed N             draw kernel bases, bug check parameters and random numbers from N; to kdnetd a\n"
        "                       later run with it is a recording (default: each run draws anew)\n"
        "  --lenient            take host packets of any id, not only the expected one\n"
        "  --delay-ms N         the scenario starts so long after the program, or when connected (default 0)\n"
        "  --spread-ms N        the machines start over this time (default 0)\n"
        "  --think N            the machine thinks so many ms about each packet that it accepts (default 0)\n"
        "  --think-profile NAME constant (default), crash (only from the crash on), growing, shrinking, random\n"
        "  --ack early|late     when it acknowledges such a packet: at once (default), or when it has thought\n"
        "  --alert              it listens and pokes while it thinks; else what comes waits until it has thought\n"
        "  --loss N             so many of 100 datagrams are lost, each way, drawn from the seed (default 0)\n"
        "  --path-ms N          round trip of the path, ms (default 0: as the network is)\n"
        "  --path-then-ms N     the same after --path-at-ms\n"
        "  --path-at-ms N       when the path changes, ms after the start\n"
        "  --rate N             what a storm repeats in a second (default 100)\n"
        "  --times N            how often in all (default 100; repeat-break and bugcheck-hold: for ever)\n"
        "  --exit               end when all scripts have ended; otherwise stay\n"
        "  --duration-ms N      end after this time in any case\n"
        "  --replay CAPTURE     play the target's side of a capture (pcap, pcapng)\n"
        "  --replay-key w.x.y.z the key that the captured machine had\n"
        "  --replay-gap-ms N    cut longer pauses of the capture to this (default 10)\n"
        "  --json               the summary at the end as JSON, a machine a line\n"
        "  --help, --version    this text; the version of this program (--version N means --protocol N)\n"
        "\n"
        "The simulated kernel has nt!IopFinalCrashDumpStatus at RVA 0x%X. For kdnetd:\n"
        "  --rva " MACHINE_GUIDAGE ":IopFinalCrashDumpStatus=0x%X\n"
        "\n"
        "Exit status: 0 every script ended as it should; 1 a machine is left halted, harmed, or not done;\n"
        "2 the command line is wrong, or an address cannot be used.\n",
        MACHINE_RVA_DUMP_STATUS, MACHINE_RVA_DUMP_STATUS);
}
