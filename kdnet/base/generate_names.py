#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes kdnet/base/names_table.c, the names of NTSTATUS values and bug check codes, from the headers of mingw-w64.

Run by hand, after installing Debian's package mingw-w64-common:

    kdnet/base/generate_names.py            write the table
    kdnet/base/generate_names.py --check    exit 1, with a sentence, when the committed table is not what the headers give

What is taken:
  NTSTATUS    ntstatus.h, then every other header that defines a macro as ((NTSTATUS)0x...), in order of path; then the
              STATUS_* and DBG_* of winnt.h, which has them as DWORD; then the HIDP_STATUS_* of hidpi.h (computed).
  bug checks  bugcodes.h, every macro that is ((ULONG)0x...), its message numbers (0x4..., 0x8...) included; then, for
              values that it lacks (it ends at FC and has gaps), DOCUMENTED_BUG_CHECKS below.

Where several names share a value, one is kept: of the earliest source in the order above, the STATUS_* name that is
defined first, or when it has none, the name that is defined first. 0 is STATUS_SUCCESS, whatever the order.

A macro that looks like one of these but cannot be read stops the script: nothing is left out silently.
The output depends on the headers, the package's version and this file alone.
"""

import argparse
import pathlib
import re
import subprocess
import sys

PACKAGE = "mingw-w64-common"
INCLUDE = pathlib.Path("/usr/share/mingw-w64/include")
TABLE = pathlib.Path(__file__).resolve().with_name("names_table.c")
EXIT_DIFFERS = 1
EXIT_USAGE = 2
EXIT_SKIPPED = 77

# An object-like macro: the name is followed by a blank, not by "(".
DEFINE = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]+(.*?)[ \t]*$", re.MULTILINE)
HIDP_VALUE = re.compile(r"\(HIDP_ERROR_CODES \((0x[0-9A-Fa-f]+), ?(0x[0-9A-Fa-f]+|[0-9]+)\)\)")
HIDP_FACILITY = 0x11  # FACILITY_HID_ERROR_CODE; the macro is (SEV << 28) | (FACILITY << 16) | CODE
NOT_STARTED = 0xFFFFFFFF  # "the dump has not started": no NTSTATUS, must stay nameless

# Codes that today's servers stop with and bugcodes.h does not have, from Microsoft's "Bug check code reference". A
# choice, not all of it: left out are live dumps, which stop nothing, and checks of hardware that servers do not have.
DOCUMENTED_BUG_CHECKS = """
    3B SYSTEM_SERVICE_EXCEPTION
    3D INTERRUPT_EXCEPTION_NOT_HANDLED
    7C BUGCODE_NDIS_DRIVER
    98 END_OF_NT_EVALUATION_PERIOD
    9A SYSTEM_LICENSE_VIOLATION
    9C MACHINE_CHECK_EXCEPTION
    9E USER_MODE_HEALTH_MONITOR
    9F DRIVER_POWER_STATE_FAILURE
    A3 ACPI_DRIVER_INTERNAL
    C4 DRIVER_VERIFIER_DETECTED_VIOLATION
    C7 TIMER_OR_DPC_INVALID
    C9 DRIVER_VERIFIER_IOMANAGER_VIOLATION
    CC PAGE_FAULT_IN_FREED_SPECIAL_POOL
    CD PAGE_FAULT_BEYOND_END_OF_ALLOCATION
    D5 DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL
    D6 DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION
    DA SYSTEM_PTE_MISUSE
    DB DRIVER_CORRUPTED_SYSPTES
    DC DRIVER_INVALID_STACK_ACCESS
    DE POOL_CORRUPTION_IN_FILE_AREA
    E6 DRIVER_VERIFIER_DMA_VIOLATION
    ED UNMOUNTABLE_BOOT_VOLUME
    F1 SCSI_VERIFIER_DETECTED_VIOLATION
    F2 HARDWARE_INTERRUPT_STORM
    F5 FLTMGR_FILE_SYSTEM
    F7 DRIVER_OVERRAN_STACK_BUFFER
    FE BUGCODE_USB_DRIVER
    100 LOADER_BLOCK_MISMATCH
    101 CLOCK_WATCHDOG_TIMEOUT
    103 MUP_FILE_SYSTEM
    109 CRITICAL_STRUCTURE_CORRUPTION
    10D WDF_VIOLATION
    10E VIDEO_MEMORY_MANAGEMENT_INTERNAL
    10F RESOURCE_MANAGER_EXCEPTION_NOT_HANDLED
    111 RECURSIVE_NMI
    112 MSRPC_STATE_VIOLATION
    113 VIDEO_DXGKRNL_FATAL_ERROR
    116 VIDEO_TDR_FAILURE
    119 VIDEO_SCHEDULER_INTERNAL_ERROR
    11D EVENT_TRACING_FATAL_ERROR
    120 BITLOCKER_FATAL_ERROR
    121 DRIVER_VIOLATION
    122 WHEA_INTERNAL_ERROR
    124 WHEA_UNCORRECTABLE_ERROR
    126 NETIO_INVALID_POOL_CALLER
    127 PAGE_NOT_ZERO
    12B FAULTY_HARDWARE_CORRUPTED_PAGE
    12E INVALID_MDL_RANGE
    131 INVALID_EXTENDED_PROCESSOR_STATE
    133 DPC_WATCHDOG_VIOLATION
    135 REGISTRY_FILTER_DRIVER_EXCEPTION
    139 KERNEL_SECURITY_CHECK_FAILURE
    13A KERNEL_MODE_HEAP_CORRUPTION
    13D CRITICAL_INITIALIZATION_FAILURE
    143 PROCESSOR_DRIVER_INTERNAL
    144 BUGCODE_USB3_DRIVER
    145 SECURE_BOOT_VIOLATION
    149 REFS_FILE_SYSTEM
    153 KERNEL_LOCK_ENTRY_LEAKED_ON_THREAD_TERMINATION
    154 UNEXPECTED_STORE_EXCEPTION
    157 KERNEL_THREAD_PRIORITY_FLOOR_VIOLATION
    162 KERNEL_AUTO_BOOST_INVALID_LOCK_RELEASE
    178 ELAM_DRIVER_DETECTED_FATAL_ERROR
    17E MICROCODE_REVISION_MISMATCH
    189 BAD_OBJECT_HEADER
    18B SECURE_KERNEL_ERROR
    18C HYPERGUARD_VIOLATION
    18D SECURE_FAULT_UNHANDLED
    18E KERNEL_PARTITION_REFERENCE_VIOLATION
    191 PF_DETECTED_CORRUPTION
    192 KERNEL_AUTO_BOOST_LOCK_ACQUISITION_WITH_RAISED_IRQL
    1CA SYNTHETIC_WATCHDOG_TIMEOUT
    1CF HARDWARE_WATCHDOG_TIMEOUT
    20001 HYPERVISOR_ERROR
    DEADDEAD MANUALLY_INITIATED_CRASH1
"""


class HeaderError(Exception):
    pass


def defines(path):
    """The object-like macros of a header, as (name, text), without comments and continuations."""
    text = path.read_text(encoding="latin-1").replace("\\\n", " ")
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
    text = re.sub(r"//[^\n]*", "", text)
    return DEFINE.findall(text)


def cast_value(path, name, text, type_name):
    """The value of ((type_name)0x...), or None when the macro has no such cast."""
    if not re.search(r"(?<!\w)\(\s*" + type_name + r"\s*\)", text):
        return None
    match = re.fullmatch(r"\(*\s*\(\s*" + type_name + r"\s*\)\s*\(?\s*(0[xX][0-9A-Fa-f]+|[0-9]+)[uUlL]*\s*\)*", text)
    if not match:
        raise HeaderError(f"{path}: cannot read the value of {name}: {text}; teach this script its form")
    return int(match.group(1), 0)


def cast_names(path, type_name, prefixes=("",)):
    found = []
    for name, text in defines(path):
        value = cast_value(path, name, text, type_name) if name.startswith(prefixes) else None
        if value is not None:
            found.append((value, name))
    return found


def hidp_names(path):
    found = []
    for name, text in defines(path):
        if not name.startswith("HIDP_STATUS_") or text.startswith("HIDP_STATUS_"):
            continue
        match = HIDP_VALUE.fullmatch(text)
        if not match:
            raise HeaderError(f"{path}: cannot read the value of {name}: {text}; teach this script its form")
        found.append((int(match.group(1), 0) << 28 | HIDP_FACILITY << 16 | int(match.group(2), 0), name))
    return found


def merge(sources):
    """One name a value, by the rule in the text at the top; sorted by value."""
    table = {}
    for source in sources:
        first = {}
        for value, name in source:
            kept = first.setdefault(value, name)
            if name.startswith("STATUS_") and not kept.startswith("STATUS_"):
                first[value] = name
        for value, name in first.items():
            table.setdefault(value, name)
    return table


def status_names(include):
    main = include / "ntstatus.h"
    others = sorted(path for path in include.rglob("*.h") if path != main)
    sources = [cast_names(main, "NTSTATUS")]
    sources += [cast_names(path, "NTSTATUS") for path in others]
    sources.append(cast_names(include / "winnt.h", "DWORD", ("STATUS_", "DBG_")))
    sources.append(hidp_names(include / "hidpi.h"))
    table = merge(sources)
    table[0] = "STATUS_SUCCESS"
    if NOT_STARTED in table:
        raise HeaderError(f"a header gives FFFFFFFF the name {table[NOT_STARTED]}; here it means 'not started'")
    return table


def bugcheck_names(include):
    documented = [line.split() for line in DOCUMENTED_BUG_CHECKS.split("\n") if line.strip()]
    return merge([cast_names(include / "bugcodes.h", "ULONG"), [(int(code, 16), name) for code, name in documented]])


def render_table(symbol, table):
    if not table or max(table) > 0xFFFFFFFF:
        raise HeaderError(f"{symbol}: the headers gave no values, or one of more than 32 bits")
    lines = [f"const struct kdnet_name {symbol}[] = {{"]
    lines += [f'    {{0x{value:08X}, "{table[value]}"}},' for value in sorted(table)]
    lines += ["};", f"const size_t {symbol[:-1]}_count = sizeof {symbol} / sizeof {symbol}[0];"]
    return lines


def render(include, version):
    return "\n".join([
        "/* SPDX-License-Identifier: Apache-2.0 */",
        "/*",
        f" * Generated by kdnet/base/generate_names.py from {PACKAGE} {version}; do not edit.",
        " * Some newer bug checks, which the package lacks, are from Microsoft's documentation: the script lists them.",
        " *",
        " * Licence: these are names and numbers only; the mingw-w64 headers that they come from are in the public",
        " * domain or under the Zope Public License 2.1 (see the package's copyright file).",
        " */",
        '#include "kdnet/base/names.h"',
        "",
        "/* clang-format off */",
        *render_table("kdnet_status_names", status_names(include)),
        "",
        *render_table("kdnet_bugcheck_names", bugcheck_names(include)),
        "/* clang-format on */",
        "",
    ])


def installed_version():
    try:
        query = ["dpkg-query", "--show", "--showformat=${Version}", PACKAGE]
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip() or None
    except (OSError, subprocess.CalledProcessError):
        return None


def committed_version(text):
    match = re.search(rf" from {PACKAGE} (\S+); do not edit", text)
    return match.group(1) if match else None


def check(include, output, version, same_version):
    committed = output.read_text(encoding="utf-8") if output.exists() else ""
    theirs = committed_version(committed)
    if same_version and version != theirs:
        print(f"skipped: the table was made from {PACKAGE} {theirs}, installed is {version}")
        return EXIT_SKIPPED
    if committed != render(include, theirs or "?"):
        print(f"{output.name} (made from {PACKAGE} {theirs}) is not what the headers in {include} ({version}) give: "
              f"run kdnet/{pathlib.Path(__file__).name} and commit the result", file=sys.stderr)
        return EXIT_DIFFERS
    return 0


def parse_arguments():
    parser = argparse.ArgumentParser(description="Generate the table of NTSTATUS and bug check names.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the committed table differs")
    parser.add_argument("--same-version", action="store_true",
                        help=f"with --check: exit {EXIT_SKIPPED} when another version of the package is installed")
    parser.add_argument("--include", type=pathlib.Path, default=INCLUDE, help="folder of the headers (%(default)s)")
    parser.add_argument("--output", type=pathlib.Path, default=TABLE, help="the table (beside this script)")
    parser.add_argument("--package-version", help="version to name in the table (default: what dpkg has installed)")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    version = arguments.package_version or installed_version()
    try:
        if arguments.check:
            return check(arguments.include, arguments.output, version, arguments.same_version)
        if not version:
            print(f"{PACKAGE} is not installed: install it, or give its version (--package-version)", file=sys.stderr)
            return EXIT_USAGE
        arguments.output.write_text(render(arguments.include, version), encoding="utf-8", newline="\n")
    except OSError as error:
        print(f"{error.filename}: {error.strerror}; install {PACKAGE}, or give its folder (--include)", file=sys.stderr)
        return EXIT_USAGE
    except HeaderError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    return 0


if __name__ == "__main__":
    sys.exit(main())
