/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manipulate: requests to a halted target and their replies (KD packet type 2).
 *
 * Uses error, wire, machine. Protocol: PROTOCOL.md sections 5 and 6 [cap, sym]. Request and reply share one 56-byte
 * structure; data follow it.
 */
#ifndef KDNET_MANIPULATE_H
#define KDNET_MANIPULATE_H

#include "kdnet/wire/machine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_MANIPULATE_SIZE 56
#define KDNET_READ_MAX        1024 /* a data datagram carries about 1 KiB of memory; longer reads come short [w11] */

/* X(NAME, number, text): the DbgKd…Api numbers of the public windbgkd.h lineage [ros]. */
#define KDNET_API_MAP(X)                                                                                               \
    X(READ_VIRTUAL_MEMORY, 0x3130, "ReadVirtualMemory")                                                                \
    X(WRITE_VIRTUAL_MEMORY, 0x3131, "WriteVirtualMemory")                                                              \
    X(GET_CONTEXT, 0x3132, "GetContext")                                                                               \
    X(SET_CONTEXT, 0x3133, "SetContext")                                                                               \
    X(WRITE_BREAK_POINT, 0x3134, "WriteBreakPoint")                                                                    \
    X(RESTORE_BREAK_POINT, 0x3135, "RestoreBreakPoint")                                                                \
    X(CONTINUE, 0x3136, "Continue")                                                                                    \
    X(READ_CONTROL_SPACE, 0x3137, "ReadControlSpace")                                                                  \
    X(WRITE_CONTROL_SPACE, 0x3138, "WriteControlSpace")                                                                \
    X(READ_IO_SPACE, 0x3139, "ReadIoSpace")                                                                            \
    X(WRITE_IO_SPACE, 0x313a, "WriteIoSpace")                                                                          \
    X(REBOOT, 0x313b, "Reboot")                                                                                        \
    X(CONTINUE2, 0x313c, "Continue2")                                                                                  \
    X(READ_PHYSICAL_MEMORY, 0x313d, "ReadPhysicalMemory")                                                              \
    X(WRITE_PHYSICAL_MEMORY, 0x313e, "WritePhysicalMemory")                                                            \
    X(QUERY_SPECIAL_CALLS, 0x313f, "QuerySpecialCalls")                                                                \
    X(SET_SPECIAL_CALL, 0x3140, "SetSpecialCall")                                                                      \
    X(CLEAR_SPECIAL_CALLS, 0x3141, "ClearSpecialCalls")                                                                \
    X(SET_INTERNAL_BREAK_POINT, 0x3142, "SetInternalBreakPoint")                                                       \
    X(GET_INTERNAL_BREAK_POINT, 0x3143, "GetInternalBreakPoint")                                                       \
    X(READ_IO_SPACE_EXTENDED, 0x3144, "ReadIoSpaceExtended")                                                           \
    X(WRITE_IO_SPACE_EXTENDED, 0x3145, "WriteIoSpaceExtended")                                                         \
    X(GET_VERSION, 0x3146, "GetVersion")                                                                               \
    X(WRITE_BREAK_POINT_EX, 0x3147, "WriteBreakPointEx")                                                               \
    X(RESTORE_BREAK_POINT_EX, 0x3148, "RestoreBreakPointEx")                                                           \
    X(CAUSE_BUG_CHECK, 0x3149, "CauseBugCheck")                                                                        \
    X(SWITCH_PROCESSOR, 0x3150, "SwitchProcessor")                                                                     \
    X(PAGE_IN, 0x3151, "PageIn")                                                                                       \
    X(READ_MSR, 0x3152, "ReadMachineSpecificRegister")                                                                 \
    X(WRITE_MSR, 0x3153, "WriteMachineSpecificRegister")                                                               \
    X(SEARCH_MEMORY, 0x3156, "SearchMemory")                                                                           \
    X(GET_BUS_DATA, 0x3157, "GetBusData")                                                                              \
    X(SET_BUS_DATA, 0x3158, "SetBusData")                                                                              \
    X(CHECK_LOW_MEMORY, 0x3159, "CheckLowMemory")                                                                      \
    X(CLEAR_ALL_INTERNAL_BREAKPOINTS, 0x315a, "ClearAllInternalBreakpoints")                                           \
    X(FILL_MEMORY, 0x315b, "FillMemory")                                                                               \
    X(QUERY_MEMORY, 0x315c, "QueryMemory")                                                                             \
    X(SWITCH_PARTITION, 0x315d, "SwitchPartition")                                                                     \
    X(WRITE_CUSTOM_BREAKPOINT, 0x315e, "WriteCustomBreakpoint")                                                        \
    X(GET_CONTEXT_EX, 0x315f, "GetContextEx")                                                                          \
    X(SET_CONTEXT_EX, 0x3160, "SetContextEx")

#define KDNET_API_ENUM(name, number, text) KDNET_API_##name = (number),
enum kdnet_api { KDNET_API_MAP(KDNET_API_ENUM) };
#undef KDNET_API_ENUM

enum kdnet_continue_status {
    KDNET_DBG_EXCEPTION_HANDLED = 0x00010001,
    KDNET_DBG_CONTINUE = 0x00010002,
};
#define KDNET_DBG_EXCEPTION_NOT_HANDLED 0x80010001U
#define KDNET_STATUS_PENDING            0x00000103U /* what WinDbg puts into ReturnStatus of a request [cap] */
#define KDNET_STATUS_UNSUCCESSFUL       0xc0000001U

/* DBGKD_GET_VERSION64. */
struct kdnet_version {
    uint16_t major; /* high byte: who answers; low byte: F free, C checked build */
    uint16_t minor; /* build number */
    uint8_t protocol;
    uint8_t kd_secondary;
    uint16_t flags;
    uint16_t machine; /* enum kdnet_machine, or something else */
    uint8_t max_packet_type, max_state_change, max_manipulate, simulation;
    uint64_t kernel_base;        /* KernBase */
    uint64_t loaded_module_list; /* PsLoadedModuleList */
    uint64_t debugger_data_list; /* DebuggerDataList; 0 in the boot loader [cap] */
};

struct kdnet_manipulate {
    uint32_t api; /* enum kdnet_api, or something else */
    uint16_t processor_level;
    uint16_t processor;
    uint32_t return_status; /* NTSTATUS of a reply */
    union {
        struct {
            uint64_t address;
            uint32_t count;  /* TransferCount: asked for */
            uint32_t actual; /* ActualBytesRead: given */
        } memory;            /* ReadVirtualMemory, WriteVirtualMemory */
        struct kdnet_version version;
        struct {
            uint32_t offset, count, copied;
        } context_ex; /* GetContextEx, SetContextEx */
        struct {
            uint32_t flags;
        } set_context;
        struct {
            uint32_t status;
        } go_on; /* Continue, Continue2 */
    } u;
    const uint8_t *data; /* what follows the structure; borrowed */
    size_t data_length;
    uint8_t raw[KDNET_MANIPULATE_SIZE]; /* as received: unused bytes are stack garbage */
};

/* Reads the payload of a manipulate packet. Returns KDNET_OK or KDNET_ERR_SHORT. An unknown API is not an error; u is
 * then all zero. */
int kdnet_manipulate_decode(const uint8_t *payload, size_t length, struct kdnet_manipulate *out);

/* Writes raw, all known fields over it, and the data. Returns KDNET_OK or KDNET_ERR_SPACE. */
int kdnet_manipulate_encode(const struct kdnet_manipulate *manipulate, uint8_t *out, size_t size, size_t *length);

/*
 * Makes a Continue2 request: status and the control set of the machine: no trace, Dr7 as the control report gave it,
 * and CurrentSymbolStart 1, CurrentSymbolEnd 0 [cap frame 234]. For a machine that is not known it is a plain Continue,
 * which has only the status.
 */
void kdnet_manipulate_continue(struct kdnet_manipulate *out, enum kdnet_machine machine, uint32_t status, uint64_t dr7);

/* "ReadVirtualMemory", …; NULL when unknown. */
const char *kdnet_api_name(uint32_t api);

#endif
