/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine: a simulated Windows machine that is debugged over KDNET: bytes and time in, bytes out.
 *
 * Implements the target's side of PROTOCOL.md with the library's wire code, and is strict: it refuses whatever a real
 * kernel would refuse. It shares no session logic with kdnetd, so that both cannot have the same mistake. No socket, no
 * clock: tests run thousands of machines in one process on a virtual clock. A machine takes about 3.5 KB.
 *
 * Use: machine_new; then for each datagram machine_receive, for each deadline machine_expire, and after either (and
 * once after machine_new) machine_next_datagram until it returns false.
 *
 * Behaviour of the machine
 *   - It pokes when it starts and every 3 s, halted or not, but not while it dumps or reboots. It takes a response that
 *     echoes one of its last two pokes, with that poke's sequence number. An empty control datagram of the host makes
 *     it
 *     poke at once.
 *   - One packet in flight; it is retransmitted every 500 ms until it is acknowledged, for ever. A RESEND retransmits
 *     it at
 *     once. While it waits for a request or an answer, RESEND or RESET repeat the state change or the question, as a
 *     new
 *     packet. RESET carries the id that it expects next, and is answered with the id of its own pending packet.
 *   - Ids of the host start at 80000000 with each boot of the kernel and go up by 2. A packet that repeats the last id
 *     is
 *     acknowledged and not executed again; one with any other id (strict) is acknowledged and ignored. Only RESET
 *     changes
 *     the expected id: a restarted debugger has to send one.
 *   - While it waits for an ACK, a new packet of the host is answered with RESEND, and taken when it comes again.
 *   - Each break comes from another processor, and a request for a different one is refused.
 *   - While it runs (not halted, nothing unacknowledged, no question) it accepts only repeats and break-ins.
 *
 * Addresses in its kernel: RVAs are equal for every machine and boot, while the base moves. For kdnetd's --rva:
 * MACHINE_GUIDAGE:IopFinalCrashDumpStatus=0x3010.
 */
#ifndef SERVICE_TARGET_MACHINE_H
#define SERVICE_TARGET_MACHINE_H

#include "kdnet/wire/datagram.h"
#include "kdnet/wire/handshake.h"
#include "kdnet/kernel.h"
#include "kdnet/wire/machine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MACHINE_NEVER         UINT64_MAX
#define MACHINE_ANSWER_SIZE   16
#define MACHINE_POKE_US       3000000U
#define MACHINE_RETRANSMIT_US 500000U
#define MACHINE_HOLD_US       3000000U /* a second break counts as ended when it was acknowledged and held so long */

/* The default PDB identity, ntkrnlmp.pdb, in symbol stores' form. */
#define MACHINE_GUIDAGE                                                                                                \
    "4B444E45542D54415247455400000001"                                                                                 \
    "1"

/* RVAs in the simulated kernel. */
enum machine_rva {
    MACHINE_RVA_BREAKPOINT = 0x1500,       /* RtlpBreakWithStatusInstruction: int 3, or BRK #F000 */
    MACHINE_RVA_DEBUG_SERVICE = 0x1540,    /* where load symbols stop */
    MACHINE_RVA_DEBUG_DIRECTORY = 0x2000,  /* two entries; the second is CodeView */
    MACHINE_RVA_CODEVIEW = 0x2100,         /* RSDS */
    MACHINE_RVA_BUILD_LAB = 0x2200,        /* NtBuildLab */
    MACHINE_RVA_BUILD_LAB_EX = 0x2300,     /* NtBuildLabEx */
    MACHINE_RVA_FALSE_CODEVIEW = 0x2800,   /* RSDS of another PDB, which the directory of a lying kernel alone names */
    MACHINE_RVA_DUMP_STATUS = 0x3010,      /* IopFinalCrashDumpStatus, u32 */
    MACHINE_RVA_AUTO_REBOOT = 0x3020,      /* IopAutoReboot, u32 */
    MACHINE_RVA_DUMP_INITIALIZED = 0x3024, /* CrashdmpInitialized, u8: 1 */
    MACHINE_RVA_DUMP_BLOCK = 0x3028,       /* CrashdmpDumpBlock, pointer */
    MACHINE_RVA_BUGCHECK_ACTIVE = 0x3030,  /* KiBugCheckActive, u32 */
    MACHINE_RVA_BUGCHECK_DRIVER = 0x3038,  /* KiBugCheckDriver: pointer to a UNICODE_STRING, null until a crash */
    MACHINE_RVA_BUGCHECK_DATA = 0x3040,    /* KiBugCheckData, five pointers */
    MACHINE_RVA_BOOT_TIME = 0x3070,        /* KeBootTime, u64 */
    MACHINE_RVA_PROCESSORS = 0x3078,       /* KeNumberProcessors, u8: 4 */
    MACHINE_RVA_DATA_LIST = 0x3080,        /* DebuggerDataList: LIST_ENTRY64 */
    MACHINE_RVA_DUMP_DRIVER = 0x3098,      /* CrashdmpImageBase, pointer */
    MACHINE_RVA_DUMP_PROGRESS = 0x30a0,    /* BcpLastProgressDisplayed, u32 */
    MACHINE_RVA_FORCE_DISABLED = 0x30a4,   /* ForceDumpDisabled, u32: 0 */
    MACHINE_RVA_ALLOW_DUMP = 0x30a8,       /* AllowCrashDump, u32: 1 */
    MACHINE_RVA_DEBUGGER_DATA = 0x3100,    /* KDDEBUGGER_DATA64, 0x340 bytes */
    MACHINE_RVA_LOADED_MODULES = 0x3500,   /* PsLoadedModuleList: ntoskrnl.exe, then the driver, faulty.sys */
    MACHINE_RVA_BLAMED = 0x3520,           /* the UNICODE_STRING of KiBugCheckDriver */
    MACHINE_RVA_MODULES = 0x3600,          /* entries of PsLoadedModuleList, 0x100 bytes each, with their names */
    MACHINE_RVA_FALSE_DATA = 0x3800,       /* debugger data of a lying kernel */
    MACHINE_RVA_DUMP_AREA = 0x3c00,        /* target of CrashdmpDumpBlock: a pointer to the dump log at offset 48 */
    MACHINE_RVA_END = 0x4000,              /* nothing is mapped from here on */
};

/* RVA of FaultyState, u32, in the driver faulty.sys, whose symbol file is faulty.pdb with this identity. */
#define MACHINE_DRIVER_GUIDAGE                                                                                         \
    "4B444E45542D5441524745540000000D"                                                                                 \
    "1"
#define MACHINE_DRIVER_RVA_STATE 0x900U
#define MACHINE_DRIVER_STATE     0x0badf00dU
#define MACHINE_BOOT_TIME        0x01db3c0a12345678U

#define MACHINE_DRIVER_STAMP 0x5f3a1b2cU /* time stamps of both images; 1 more for each further driver or kernel */
#define MACHINE_KERNEL_STAMP 0x4b444e54U
#define MACHINE_DRIVERS      3U

#define MACHINE_RECORDINGS  8U /* recorded pokes of former boots */
#define MACHINE_THINK_STEPS 8U /* packets over which the time to think grows or shrinks */

/* How a machine's thinking time varies. X(NAME, text) */
#define MACHINE_THINK_MAP(X)                                                                                           \
    X(CONSTANT, "constant")                                                                                            \
    X(AT_CRASH, "crash")      /* none before the bug check, nor after the restart */                                   \
    X(GROWING, "growing")     /* from an eighth, an eighth more with each packet */                                    \
    X(SHRINKING, "shrinking") /* by an eighth with each packet, to none */                                             \
    X(RANDOM, "random")       /* drawn from the seed: from 0 to ms */

#define MACHINE_THINK_ENUM(name, text) MACHINE_THINK_##name,
enum machine_think_change { MACHINE_THINK_MAP(MACHINE_THINK_ENUM) MACHINE_THINK_CHANGES };
#undef MACHINE_THINK_ENUM

struct machine_think {
    uint32_t ms; /* from a packet of the host to its effect: a reply, going on; 0: none */
    enum machine_think_change change;
    bool late_ack; /* the ACK comes then, too; else at once */
    bool alert;    /* the machine listens meanwhile; otherwise packets wait on its network card, and it does not poke */
};

/* A capture's content to replay: machine_replay_new in replay.h. */
struct machine_replay;

struct machine_config {
    struct kdnet_crypto *crypto; /* borrowed for the machine's life; one serves all machines of a thread */
    struct kdnet_key key;
    uint8_t version;            /* KDNET protocol version; 0: 5 */
    enum kdnet_machine machine; /* UNKNOWN: x64 */
    const char *scenario;       /* one of machine_scenario_name; NULL: idle; ignored with a replay */
    uint64_t seed;              /* KASLR bases, randoms, bug check parameters, draw of `mixed` */
    uint64_t run;               /* makes all draws this run's own, but that of `mixed`; 0: the seed's */
    uint64_t start_us;          /* time of the first poke */
    uint32_t delay_ms;          /* from start_us to the scenario, which also waits for a connection */
    uint32_t dump_ms;           /* silence while the dump is written; 0: 300 */
    uint32_t reboot_ms;         /* silence of a reboot; 0: 200 */
    uint32_t status;            /* final dump status */
    bool random_status;         /* draw the status from the seed: 0, FFFFFFFF, C000007F, C0000185, 103 */
    uint32_t bugcheck;          /* code; 0: D1 */
    uint32_t cause;             /* the bug check names the instruction so far in the driver; 0: any address */
    bool no_reboot;             /* automatic reboot is off: bugcheck ends in a second break */
    bool no_dump;               /* no dump is set up: dump block and dump driver are null, the status stays FFFFFFFF */
    bool dump_log;              /* the dump log is in memory; on ARM64 in UTF-16 */
    uint32_t images;            /* images in its list besides the kernel and the driver */
    uint32_t kernel;            /* number of the kernel: each has its own time stamp, symbol file and build string */
    uint32_t driver;            /* which crashes: below MACHINE_DRIVERS */
    bool paged_out;             /* the driver's headers and unwind tables are paged out */
    bool lenient;               /* take host packets of any id */
    struct machine_think think;
    uint32_t loss_percent;     /* of the datagrams, each way */
    uint32_t path_ms;          /* round trip of the path, added to the real one */
    uint32_t path_then_ms;     /* round trip from path_at_ms on */
    uint32_t path_at_ms;       /* since start_us; 0: no change */
    uint32_t rate;             /* repetitions of a scenario's packet a second; 0: 100 */
    uint32_t times;            /* number of repetitions; 0: 100, and a repeated break for ever */
    struct kdnet_address self; /* own address in the pokes */
    struct kdnet_address host;
    const struct kdnet_pdb *pdb;         /* copied; NULL: MACHINE_GUIDAGE */
    const struct machine_replay *replay; /* borrowed; NULL: a scenario */
    uint32_t replay_gap_ms;              /* longest gap of a replay; longer ones of the capture are shortened */
};

enum machine_state {
    MACHINE_RUNNING, /* the script goes on */
    MACHINE_HALTED,  /* halted until the host acts */
    MACHINE_ENDED,   /* the script ended as it should; a held second break is an end, too */
};

/* What the host should have seen of the script; complete from the beginning. */
struct machine_expectation {
    bool crash;    /* a bug check */
    bool first;    /* the first break, with dump status FFFFFFFF; none when nobody is connected, or with code E2 */
    bool shutdown; /* then the unload-all state change, where the status is `status` */
    bool second;   /* a second break, where the status is `status` */
    uint32_t status;
    struct kdnet_bugcheck bugcheck;
    uint32_t breaks;     /* exceptions and unload-alls of the script, i.e. crash_status results */
    bool interrupted;    /* while being asked, the machine restarts or breaks in again */
    bool connects_again; /* handshakes besides the first: refresh, loader to kernel, reboot */
};

struct machine_result {
    const char *scenario; /* as drawn, for `mixed`; "replay" */
    enum machine_state state;
    uint64_t halted_since_us; /* 0 when not halted */
    uint64_t halted_us;       /* total so far: state changes, file questions, prompts */
    uint64_t longest_halt_us;
    uint64_t kernel_base; /* base of the image that answers now */
    uint32_t dump_status; /* current IopFinalCrashDumpStatus */
    uint32_t boots;       /* 1 at first */
    uint32_t handshakes;  /* responses taken */
    uint32_t pokes;
    uint32_t breaks; /* exception and unload-all state changes made, repeated traps included */
    uint32_t load_symbols;
    uint32_t prints;
    uint32_t questions; /* file I/O and prompts */
    uint32_t answers;
    uint32_t requests; /* manipulate packets done */
    uint32_t continues;
    uint32_t retransmissions;         /* made, because no ACK came in 500 ms */
    uint32_t resent;                  /* made, because the host asked: RESEND, RESET */
    uint32_t host_repeats;            /* data packets of the host that repeat the last id */
    uint32_t host_wrong_ids;          /* data packets with neither that nor the expected id */
    uint32_t stale;                   /* datagrams that did not advance the data sequence: duplicates, reordered */
    uint32_t rejected;                /* datagrams that were not authentic, not for a target, or of another version */
    uint32_t resets;                  /* RESET received */
    uint32_t resends;                 /* RESEND received */
    uint32_t traps_again;             /* continued on a breakpoint without moving the program counter past it */
    uint32_t wrong_processors;        /* requests for another processor than the one that broke in */
    uint32_t released_wrongly;        /* continued with a status or a program counter that harms the machine */
    uint32_t contexts_changed;        /* SetContext with another register changed than must be */
    uint32_t trace_flags;             /* continued with a trace flag */
    uint32_t wrong_dr7;               /* continued with another Dr7 than the state change gave, or had to be cleared */
    uint32_t writes;                  /* requests that write memory, ports, or registers of the machine */
    uint32_t zero_randoms;            /* responses whose host random is all zeros: their key can be guessed */
    char answer[MACHINE_ANSWER_SIZE]; /* to the last prompt, cut */
};

/*
 * config   copied; crypto and replay are borrowed.
 * Returns NULL for an unknown scenario or machine, or without memory.
 */
struct machine *machine_new(const struct machine_config *config);
void machine_free(struct machine *m);

/* Takes any UDP payload. now_us never goes back. */
void machine_receive(struct machine *m, const uint8_t *payload, size_t length, uint64_t now_us);

/* Writes the next datagram to send; false when there is none. KDNET_DATAGRAM_MAX bytes are always enough. */
bool machine_next_datagram(struct machine *m, uint64_t now_us, uint8_t *out, size_t size, size_t *length);

/* When machine_expire is due; MACHINE_NEVER when only a datagram can change anything. */
uint64_t machine_deadline(const struct machine *m);
void machine_expire(struct machine *m, uint64_t now_us);

void machine_result(const struct machine *m, uint64_t now_us, struct machine_result *out);
void machine_expectation(const struct machine *m, struct machine_expectation *out);
bool machine_is_halted(const struct machine *m);

/* Returns how often a host has harmed the machine, in any counted way. */
uint32_t machine_harm(const struct machine_result *result);

/* "constant", …; NULL from the end on. */
const char *machine_think_name(size_t index);

/*
 * Returns the n-th recording: the first poke of one of its boots, as anybody on the path could have recorded. NULL:
 * none.
 */
const uint8_t *machine_recording(const struct machine *m, unsigned n, size_t *length);
bool machine_is_ended(const struct machine *m, uint64_t now_us);

/* Sets the machine's address in its later pokes, after the program moved it to another port. */
void machine_set_address(struct machine *m, const struct kdnet_address *self);

/* "idle", "boot", …; NULL from the end of the list on. */
const char *machine_scenario_name(size_t index);

/* "faulty.sys" and others: the image of a driver. */
const char *machine_driver_name(uint32_t driver);

/* The default PDB identity. */
void machine_default_pdb(struct kdnet_pdb *out);

#endif
