# SPDX-License-Identifier: Apache-2.0
# The driver of a simulated x64 machine: four functions that fill a page, each with a prolog of another shape. What their
# frames are like stands in stack.c, too.
.text

.globl plain
.seh_proc plain
plain:
  subq $0x28, %rsp
  .seh_stackalloc 0x28
  .seh_endprologue
  .org plain + 0x3f0, 0x90
  addq $0x28, %rsp
  retq
  .org plain + 0x400, 0xcc
.seh_endproc

.globl pushes
.seh_proc pushes
pushes:
  pushq %rbx
  .seh_pushreg %rbx
  pushq %rsi
  .seh_pushreg %rsi
  subq $0x48, %rsp
  .seh_stackalloc 0x48
  .seh_endprologue
  .org pushes + 0x3f0, 0x90
  addq $0x48, %rsp
  popq %rsi
  popq %rbx
  retq
  .org pushes + 0x400, 0xcc
.seh_endproc

.globl by_frame
.seh_proc by_frame
by_frame:
  pushq %rbp
  .seh_pushreg %rbp
  subq $0x80, %rsp
  .seh_stackalloc 0x80
  leaq 0x60(%rsp), %rbp
  .seh_setframe %rbp, 0x60
  .seh_endprologue
  .org by_frame + 0x3e0, 0x90
  leaq 0x20(%rbp), %rsp
  popq %rbp
  retq
  .org by_frame + 0x400, 0xcc
.seh_endproc

.globl large
.seh_proc large
large:
  pushq %rdi
  .seh_pushreg %rdi
  subq $0x208, %rsp
  .seh_stackalloc 0x208
  movq %rbx, 0x40(%rsp)
  .seh_savereg %rbx, 0x40
  movups %xmm6, 0x50(%rsp)
  .seh_savexmm %xmm6, 0x50
  .seh_endprologue
  .org large + 0x3e0, 0x90
  movq 0x40(%rsp), %rbx
  addq $0x208, %rsp
  popq %rdi
  retq
  .org large + 0x400, 0xcc
.seh_endproc
