// SPDX-License-Identifier: Apache-2.0
// The driver of a simulated ARM64 machine: four functions that fill a page, each with a prolog of another shape. What their
// frames are like stands in stack.c, too.
.text

.globl chained
.seh_proc chained
chained:
  stp x29, x30, [sp, #-0x30]!
  .seh_save_fplr_x 0x30
  mov x29, sp
  .seh_set_fp
  .seh_endprologue
  .fill 0x400 / 4 - 4, 4, 0xd503201f
  .seh_startepilogue
  ldp x29, x30, [sp], #0x30
  .seh_save_fplr_x 0x30
  .seh_endepilogue
  ret
.seh_endproc

.globl saves
.seh_proc saves
saves:
  stp x19, x20, [sp, #-0x30]!
  .seh_save_regp_x x19, 0x30
  stp x21, x22, [sp, #0x10]
  .seh_save_next
  str x30, [sp, #0x20]
  .seh_save_reg x30, 0x20
  sub sp, sp, #0x40
  .seh_stackalloc 0x40
  .seh_endprologue
  .fill 0x400 / 4 - 9, 4, 0xd503201f
  .seh_startepilogue
  add sp, sp, #0x40
  .seh_stackalloc 0x40
  ldr x30, [sp, #0x20]
  .seh_save_reg x30, 0x20
  ldp x21, x22, [sp, #0x10]
  .seh_save_next
  ldp x19, x20, [sp], #0x30
  .seh_save_regp_x x19, 0x30
  .seh_endepilogue
  ret
.seh_endproc

.globl by_frame
.seh_proc by_frame
by_frame:
  sub sp, sp, #0x280
  .seh_stackalloc 0x280
  stp x29, x30, [sp, #0x10]
  .seh_save_fplr 0x10
  add x29, sp, #0x10
  .seh_add_fp 0x10
  .seh_endprologue
  .fill 0x400 / 4 - 7, 4, 0xd503201f
  .seh_startepilogue
  sub sp, x29, #0x10
  .seh_add_fp 0x10
  ldp x29, x30, [sp, #0x10]
  .seh_save_fplr 0x10
  add sp, sp, #0x280
  .seh_stackalloc 0x280
  .seh_endepilogue
  ret
.seh_endproc

.globl packed
.seh_proc packed
packed:
  stp x19, x20, [sp, #-0x20]!
  .seh_save_r19r20_x 0x20
  str x30, [sp, #0x10]
  .seh_save_reg x30, 0x10
  sub sp, sp, #0x60
  .seh_stackalloc 0x60
  .seh_endprologue
  .fill 0x400 / 4 - 7, 4, 0xd503201f
  .seh_startepilogue
  add sp, sp, #0x60
  .seh_stackalloc 0x60
  ldr x30, [sp, #0x10]
  .seh_save_reg x30, 0x10
  ldp x19, x20, [sp], #0x20
  .seh_save_r19r20_x 0x20
  .seh_endepilogue
  ret
.seh_endproc
