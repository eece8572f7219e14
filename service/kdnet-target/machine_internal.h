/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_internal: what the files of a simulated machine share.
 *
 *   machine.c       control channel, data channel envelope, timers, output, observers
 *   link.c          KD packets: ids, ACK, RESEND, RESET, send again
 *   path.c          a slow path: datagrams that are under way, or that a machine is too busy to look at
 *   think.c         how long a machine takes over a packet
 *   requests.c      answers to manipulate requests; what a continue does
 *   harm.c          what a host may not do to a machine
 *   halt.c          state changes, questions: what the machine stands still for
 *   memory.c        the kernel image and its data, made up when it is read
 *   stack.c         the stack of a crash in the driver, and the record of its fault
 *   script.c        scripts
 *   scenario.c      the engine that plays them
 *   replay_play.c   plays the script that comes from a capture
 */
#ifndef SERVICE_TARGET_MACHINE_INTERNAL_H
#define SERVICE_TARGET_MACHINE_INTERNAL_H

#include "kdnet/wire/manipulate.h"
#include "kdnet/wire/packet.h"
#include "kdnet/wire/state_change.h"
#include "service/kdnet-target/machine.h"

#define OUTBOX_SIZE        16
#define RECENT_POKES       2
#define PENDING_SIZE       (KDNET_PACKET_HEADER + KDNET_MANIPULATE_SIZE + KDNET_CONTEXT_MAX)
#define PENDING_SIZE_ANY   KDNET_BODY_MAX /* of a replay: whatever the capture has */
#define BREAK_STATUS_CTRL  1U             /* DBG_STATUS_CONTROL_C, …: the argument of DbgBreakPointWithStatus */
#define BREAK_STATUS_FIRST 3U
#define BREAK_STATUS_LAST  4U
#define DUMP_NOT_STARTED   0xffffffffU
#define STATUS_FAULT       0xc0000005U

/* An item to send; its bytes are made when it is fetched. */
enum outbox_kind {
    OUT_POKE,
    OUT_CHECK,
    OUT_CONTROL, /* KD control packet: type and id */
    OUT_PENDING, /* the unacknowledged data packet */
};

struct outbox_item {
    uint8_t kind;
    uint16_t type;
    uint32_t id;
};

/* Reason of a halt. */
enum wait {
    WAIT_NONE,
    WAIT_CONTINUE,
    WAIT_FILE,
    WAIT_PROMPT,
};

/* A state change; its packet is made anew for each transmission. */
enum halt_kind {
    HALT_EXCEPTION,
    HALT_LOAD_SYMBOLS,
    HALT_UNLOAD_ALL,
    HALT_COMMAND, /* command string */
};

struct halt {
    enum halt_kind kind;
    uint16_t processor; /* processor that broke in: it alone answers */
    uint32_t code;
    uint64_t pc;
    uint64_t argument; /* first argument register */
    uint64_t base;     /* of the loaded image */
    uint32_t image_size;
    const char *path;
    bool breakpoint; /* pc is at a breakpoint instruction, which has to be stepped over */
    bool spins;      /* repeats whenever it is continued (second break of a bug check) */
    bool user;       /* of a program: Windows hands it to that program */
    bool stepped;    /* the processor's trace flag is set, in the kernel: a former debugger's */
    uint64_t dr6, dr7;
};

/* Delayed datagrams, oldest first. */
struct path_item;
struct path {
    struct path_item *first, *last;
    unsigned count;
};

struct thought;
struct step;

struct machine {
    struct kdnet_crypto *crypto;
    struct kdnet_keys keys;
    const struct kdnet_machine_layout *layout;
    struct machine_config config;
    struct kdnet_pdb pdb;
    uint64_t random_state;

    /* handshake */
    uint8_t random[KDNET_RANDOM_LENGTH];
    struct {
        bool used;
        uint64_t count; /* the poke counter at the start of its random */
        uint64_t sequence;
    } recent[RECENT_POKES];
    uint64_t control_sequence, next_poke_us;
    bool keyed; /* has a data key */
    uint8_t data_key[KDNET_AES_KEY_LENGTH];
    uint64_t data_sequence; /* last one sent */
    uint64_t host_mark;     /* last one of the host */

    /* link */
    struct outbox_item outbox[OUTBOX_SIZE];
    size_t outbox_first, outbox_count;
    uint32_t next_id, pending_id, expected_id, last_id;
    bool pending, accepted_any;
    uint64_t pending_sent_us; /* MACHINE_NEVER: not yet */
    size_t pending_length, pending_size;
    uint8_t *pending_body;

    /* how slow it is */
    struct path in, out; /* to the machine, from the machine */
    uint64_t loss_state;
    struct thought
        *thought; /* packets being thought about, oldest first; NULL: none. An alert machine may have several */
    unsigned thoughts;

    /* what it says again and again */
    uint32_t said;       /* so often */
    uint64_t say_us;     /* when next; MACHINE_NEVER: not */
    bool records;        /* its pokes are recorded for replay */
    bool replays;        /* a stranger replays its recordings */
    uint8_t *recordings; /* first poke of each boot, sealed; NULL before the first */
    uint16_t recording_length[MACHINE_RECORDINGS];
    uint32_t recorded_boot;

    /* where the machine stands */
    enum wait wait;
    struct halt halt;
    bool break_in;    /* asked for by the host */
    bool silent;      /* dumps or reboots */
    uint64_t wake_us; /* end of a sleep, dump, reboot; 0: none */
    uint64_t held_us; /* since when a second break is acknowledged; MACHINE_NEVER: none is */
    bool context_set;
    uint8_t context[KDNET_CONTEXT_MAX];
    uint16_t processor; /* of the next break */

    /* what befalls it while it is asked */
    uint32_t trap_after, reset_after; /* after so many requests; 0: never */
    bool nested;                      /* halt is a break inside another, which waits */
    struct halt outer;
    bool deaf;  /* nothing of the host arrives */
    bool taken; /* another host has taken it */

    /* script */
    const struct step *script, *planned; /* current step; first step */
    size_t step;
    bool ended;
    size_t replay_cursor;     /* the reply given last */
    size_t replay_window_end; /* the record that ends the present halt */
    size_t replay_paused;     /* the record before which a pause was made */

    /* the machine itself */
    enum kdnet_who who;
    uint64_t kernel_base, driver_base;
    bool crashed;
    unsigned lies; /* enum lie, bits */
    uint32_t dump_status, final_status;
    struct kdnet_bugcheck bugcheck;
    struct machine_result counts; /* holds only counters and texts */
};

/* machine.c */
uint64_t machine_draw(struct machine *m);
void machine_push(struct machine *m, enum outbox_kind kind, uint16_t type, uint32_t id);
void machine_poke_now(struct machine *m);
/* KDNET is initialised again: no connection, no key, a poke. A fresh boot also forgets ids and changes its random. */
void machine_forget_connection(struct machine *m, bool fresh_boot);
/* Looks at a datagram now. */
void machine_take(struct machine *m, const uint8_t *payload, size_t length, uint64_t now_us);

/* path.c: whether the next datagram is lost. */
bool path_loses(struct machine *m);
/* Returns half of the round trip for a datagram sent now. */
uint64_t path_delay_us(const struct machine *m, uint64_t now_us);
void path_put(struct path *path, const uint8_t *payload, size_t length, uint64_t due_us);
uint64_t path_due(const struct path *path); /* of the oldest; MACHINE_NEVER when there is none */
/* Takes the oldest datagram out; false when it is not due. out: KDNET_DATAGRAM_MAX bytes. */
bool path_take(struct path *path, uint64_t now_us, uint8_t *out, size_t *length);
void path_clear(struct path *path);

/* think.c */
bool think_begin(struct machine *m, const struct kdnet_packet *packet,
                 uint64_t now_us);           /* false: the packet is handled at once */
bool think_is_busy(const struct machine *m); /* whether it hears and sends nothing */
uint64_t think_deadline(const struct machine *m);
void think_expire(struct machine *m, uint64_t now_us);
void think_free(struct machine *m);

/* harm.c: each counts harmful actions. */
void harm_by_continue(struct machine *m, const struct kdnet_manipulate *request);
void harm_by_context(struct machine *m, const uint8_t *given, size_t offset, size_t length);
void harm_by_request(struct machine *m, const struct kdnet_manipulate *request);
void harm_by_response(struct machine *m, const struct kdnet_response *response);
/* Whether the processor traps again: its trace flag, or a hardware breakpoint, is still set. */
bool harm_is_traced(const struct machine *m, const struct kdnet_manipulate *request);
void harm_trace(const struct machine *m, uint8_t *context); /* sets the trace flag in the registers */

/* link.c */
void link_reset(struct machine *m);
void link_send(struct machine *m, uint16_t type, const uint8_t *payload, size_t length);
void link_receive(struct machine *m, const uint8_t *body, size_t length, uint64_t now_us);
void link_connected(struct machine *m);
void link_retransmit(struct machine *m, uint64_t now_us);
uint64_t link_deadline(const struct machine *m);
/* The machine has thought about an accepted packet: executes it. */
void link_thought(struct machine *m, const struct kdnet_packet *packet, uint64_t now_us);

/* requests.c: executes an accepted data packet of the host. */
void requests_do(struct machine *m, const struct kdnet_packet *packet, uint64_t now_us);
void requests_refuse(struct machine *m, struct kdnet_manipulate *request);

/* halt.c */
void halt_begin(struct machine *m, const struct halt *halt, uint64_t now_us);
void halt_question(struct machine *m, enum wait wait, uint64_t now_us);
void halt_send(struct machine *m); /* the state change or question, as a new packet */
void halt_end(struct machine *m, uint64_t now_us);
/* Adds another state change before the first is continued; afterwards the first waits again, silently. */
void halt_nest(struct machine *m, uint64_t now_us);
void halt_break_with_status(struct machine *m, uint32_t status, uint64_t now_us);

/* memory.c: returns how many bytes from address on can be read, at most length. */
size_t memory_read(struct machine *m, uint64_t address, uint8_t *out, size_t length);
void memory_place(struct machine *m);             /* new bases: KASLR */
uint64_t memory_program(const struct machine *m); /* a page of a program's code */
uint64_t memory_address(const struct machine *m, uint32_t rva);
void memory_put_pointer(const struct machine *m, uint8_t *at, uint64_t value);

/* stack.c: a crash in the driver, if configured. */
struct driver_image;
const struct driver_image *stack_driver(const struct machine *m); /* a linked image; NULL: the driver is made up */
bool stack_is_kept(const struct machine *m);
void stack_put_registers(const struct machine *m, uint8_t *context);       /* at a break */
bool stack_fill(const struct machine *m, uint64_t address, uint8_t *page); /* false: not in the stack */
/* The bug check's parameters name the instruction in the driver, and the record of the registers there. */
void stack_blame(struct machine *m);

/* pool.c: further images in the kernel's list, and the dump log. */
uint64_t pool_log(const struct machine *m);                                /* where the log is; 0: there is none */
uint64_t pool_first_image(const struct machine *m, uint64_t without_them); /* entry of the list */
/* Fills a page of the pool; the entry `then` follows the last image. False: the address is outside the pool. */
bool pool_fill(const struct machine *m, uint64_t address, uint8_t *page, uint64_t then);

/* scenario.c */
bool scenario_choose(struct machine *m);
void scenario_run(struct machine *m, uint64_t now_us);
void scenario_reboot(struct machine *m);
void scenario_payload(struct machine *m, uint8_t *out, size_t size, uint16_t *type, size_t *length);
bool scenario_prompt_goes_on(const char *answer);
bool scenario_holds(const struct machine *m);
void scenario_beg(struct machine *m, uint64_t now_us);

/* replay_play.c */
bool replay_run_step(struct machine *m, uint64_t now_us); /* false at the end */
void replay_payload(struct machine *m, uint8_t *out, size_t size, uint16_t *type, size_t *length);
void replay_answer(struct machine *m, const struct kdnet_manipulate *request);
size_t replay_memory(const struct machine_replay *replay, size_t before, uint64_t address, uint8_t *out, size_t length);

#endif
