# SPDX-License-Identifier: Apache-2.0
"""Functions with prologs of every shape, as C and as assembler, and the images that clang and lld-link make of them."""
import subprocess

BASE = 0x180000000
KEPT = {"x86_64": ["rbx", "rsi", "rdi", "r12", "r13", "r14", "r15"], "aarch64": [f"x{n}" for n in range(19, 29)]}
FLOATS = {"x86_64": [f"xmm{n}" for n in range(6, 16)], "aarch64": [f"d{n}" for n in range(8, 16)]}
SIZES = (8, 24, 100, 128, 136, 240, 520, 2000, 4080, 4096, 5000, 40000, 300000)
FUNCTIONS = 32

HEAD = """
typedef unsigned long long u64;
#define NOINLINE __attribute__((noinline))
NOINLINE u64 use_%(suffix)s(volatile void *at, u64 value) { *(volatile char *)at = (char)value; return value * 3; }
NOINLINE u64 leaf_%(suffix)s(u64 value) { return value ^ 5; }
"""


def c_function(random, machine, suffix, number):
    """One function: what it keeps, how much stack it takes, whether that is known beforehand, where it returns."""
    clobbers = random.sample(KEPT[machine], random.randrange(len(KEPT[machine]) + 1))
    clobbers += random.sample(FLOATS[machine], random.choice((0, 0, 1, 2, 5)))
    dynamic, variadic = random.random() < 0.25, random.random() < 0.2
    size = random.choice((0, *SIZES))
    lines = [f"NOINLINE u64 shape_{suffix}_{number}(u64 a, u64 b, {'...' if variadic else 'u64 c, u64 d'}) {{"]
    if size:
        lines.append(f"  volatile char buffer[{size}]; u64 r = use_{suffix}(buffer, a);")
    else:
        lines.append("  u64 r = a;")
    if dynamic:
        lines.append(f"  r += use_{suffix}(__builtin_alloca((a & 7) * 24 + 8), b);")
    if variadic:
        lines.append("  __builtin_va_list list; __builtin_va_start(list, b); r += __builtin_va_arg(list, u64);")
    if clobbers:
        lines.append('  __asm__ volatile("" ::: %s);' % ", ".join(f'"{name}"' for name in clobbers))
    if random.random() < 0.4:
        lines.append(f"  if (r & 2) return use_{suffix}(&r, b) + 1;")
    if random.random() < 0.3:
        lines.append("  for (volatile int i = 0; i < 2; ++i) r += i;")
    callee = f"shape_{suffix}_{number - 1}" if number and random.random() < 0.3 else f"leaf_{suffix}"
    arguments = "(r, b, 3ull, 4ull)" if callee.startswith("shape") else "(r)"
    lines.append(f"  return {callee}{arguments}{random.choice(('', ' + 1'))};")
    return "\n".join([*lines, "}", ""])


def c_source(random, machine, suffix):
    functions = [c_function(random, machine, suffix, n) for n in range(FUNCTIONS)]
    calls = "".join(f"  for (u64 a = 0; a < 4; ++a) r += shape_{suffix}_{n}(a, r, 9ull, 8ull);\n" for n in range(FUNCTIONS))
    return (HEAD % {"suffix": suffix} + "\n".join(functions) +
            f"\nu64 all_{suffix}(u64 r) {{\n{calls}  return r;\n}}\n")


# --- assembler: what compilers of C rarely make -------------------------------------------------------------------------

def x64_function(random, name):
    """Registers pushed, space, a frame register at any offset, registers moved into the space; each kind of return."""
    pushed = random.sample(["rbx", "rbp", "rsi", "rdi", "r12", "r13", "r14", "r15"], random.randrange(9))
    rest = [reg for reg in ["rbx", "rsi", "rdi", "r12", "r13", "r14", "r15"] if reg not in pushed]
    size = 8 * random.choice((0, 1, 5, 16, 17, 100, 510, 9000, 70000))
    saved = rest[: min(len(rest), size // 8, random.randrange(4))]
    frame = "rbp" in pushed and random.random() < 0.6
    offset = 16 * random.randrange(min(15, size // 16) + 1)
    lines = [f".globl {name}", f".seh_proc {name}", f"{name}:"]
    for reg in pushed:
        lines += [f"  pushq %{reg}", f"  .seh_pushreg %{reg}"]
    if size:
        lines += [f"  subq ${size}, %rsp", f"  .seh_stackalloc {size}"]
    if frame:
        lines += [f"  leaq {offset}(%rsp), %rbp", f"  .seh_setframe %rbp, {offset}"]
    for n, reg in enumerate(saved):
        lines += [f"  movq %{reg}, {8 * n}(%rsp)", f"  .seh_savereg %{reg}, {8 * n}"]
    if size >= 96 and random.random() < 0.5:
        lines += ["  movups %xmm6, 64(%rsp)", "  .seh_savexmm %xmm6, 64"]
    lines.append("  .seh_endprologue")
    lines += [f"  xorq %{reg}, %{reg}" for reg in pushed + saved if reg != "rbp" or not frame]
    lines += ["  nop", "  callq tail_x64", "  nop"]
    lines += [f"  movq {8 * n}(%rsp), %{reg}" for n, reg in enumerate(saved)]
    if frame:
        lines.append(f"  leaq {size - offset}(%rbp), %rsp")
    elif size:
        lines.append(f"  addq ${size}, %rsp")
    lines += [f"  popq %{reg}" for reg in reversed(pushed)]
    lines += [random.choice(("  retq", "  retq", "  rep retq", "  jmp tail_x64")), ".seh_endproc", ""]
    return "\n".join(lines)


def x64_assembler(random):
    names = [f"made_{n}" for n in range(FUNCTIONS)]
    text = ".text\n.globl tail_x64\ntail_x64:\n  nop\n  retq\n"
    text += "\n".join(x64_function(random, name) for name in names)
    calls = "\n".join(f"  callq {name}" for name in names)
    return text + f"""
.globl made
.seh_proc made
made:
  subq $40, %rsp
  .seh_stackalloc 40
  .seh_endprologue
{calls}
  addq $40, %rsp
  retq
.seh_endproc
"""


def arm64_steps(random):
    """(prolog, its directive, epilog) of each instruction."""
    pairs = random.randrange(1, 5)
    size = 16 * pairs + 16 * random.randrange(3)
    steps = []
    if random.random() < 0.8:
        first = f".seh_save_r19r20_x {size}" if random.random() < 0.5 else f".seh_save_regp_x x19, {size}"
        steps.append((f"stp x19, x20, [sp, #-{size}]!", first, f"ldp x19, x20, [sp], #{size}"))
        for n in range(1, pairs):
            a, b, at = 19 + 2 * n, 20 + 2 * n, 16 * n
            code = ".seh_save_next" if random.random() < 0.5 else f".seh_save_regp x{a}, {at}"
            steps.append((f"stp x{a}, x{b}, [sp, #{at}]", code, f"ldp x{a}, x{b}, [sp, #{at}]"))
    if random.random() < 0.3:
        steps.append(("stp d8, d9, [sp, #-64]!", ".seh_save_fregp_x d8, 64", "ldp d8, d9, [sp], #64"))
        steps.append(("stp d10, d11, [sp, #16]", ".seh_save_fregp d10, 16", "ldp d10, d11, [sp, #16]"))
        steps.append(("str d12, [sp, #32]", ".seh_save_freg d12, 32", "ldr d12, [sp, #32]"))
    if random.random() < 0.3:
        steps.append(("str d13, [sp, #-16]!", ".seh_save_freg_x d13, 16", "ldr d13, [sp], #16"))
    kind = random.randrange(4)
    if kind == 0:
        steps.append(("stp x29, x30, [sp, #-32]!", ".seh_save_fplr_x 32", "ldp x29, x30, [sp], #32"))
    elif kind == 1:
        steps.append(("sub sp, sp, #640", ".seh_stackalloc 640", "add sp, sp, #640"))
        steps.append(("stp x29, x30, [sp, #8]", ".seh_save_fplr 8", "ldp x29, x30, [sp, #8]"))
    elif kind == 2:
        steps.append(("sub sp, sp, #64", ".seh_stackalloc 64", "add sp, sp, #64"))
        steps.append(("stp x27, x30, [sp, #16]", ".seh_save_lrpair x27, 16", "ldp x27, x30, [sp, #16]"))
    else:
        steps.append(("str x30, [sp, #-16]!", ".seh_save_reg_x x30, 16", "ldr x30, [sp], #16"))
        steps.append(("str x28, [sp, #8]", ".seh_save_reg x28, 8", "ldr x28, [sp, #8]"))
    if kind < 2:
        steps.append(random.choice((("mov x29, sp", ".seh_set_fp", "mov sp, x29"),
                                    ("add x29, sp, #8", ".seh_add_fp 8", "sub sp, x29, #8"))))
    if random.random() < 0.3:
        steps.append(("nop", ".seh_nop", "nop"))
    if random.random() < 0.5:
        steps.append(("sub sp, sp, #4080", ".seh_stackalloc 4080", "add sp, sp, #4080"))
    return steps


def arm64_canonical(random):
    """The prolog that packed unwind data stands for; its epilog leaves out what saves parameters and sets the frame."""
    ints, floats, link = random.randrange(11), random.choice((0, 0, 2, 3, 4)), random.choice((0, 1, 3))
    ints = 2 if ints == 1 and link == 1 else ints
    homes = random.random() < 0.3
    used = 8 * (ints + (link == 1) + floats) + 64 * homes
    size, steps, at = (used + 15) // 16 * 16, [], 0
    saved = [f"x{19 + n}" for n in range(ints)] + (["x30"] if link == 1 else [])
    saved += [f"d{8 + n}" for n in range(floats)]
    groups = [saved[i : i + 2] for i in range(0, ints, 2)] if ints % 2 == 0 or link != 1 else [
        saved[i : i + 2] for i in range(0, ints + 1, 2)]
    groups += [["x30"]] if link == 1 and ints % 2 == 0 else []
    groups += [[f"d{8 + n}" for n in range(i, min(i + 2, floats))] for i in range(0, floats, 2)]
    if ints % 2 == 1 and link != 1:
        groups[(ints - 1) // 2] = [f"x{18 + ints}"]
    for group in groups:
        names, pair = ", ".join(group), len(group) == 2
        where = (f"[sp, #-{size}]!", f"[sp], #{size}", "_x", size) if not steps else (f"[sp, #{at}]",) * 2 + ("", at)
        if pair and group[1] == "x30":
            if not steps:
                return arm64_canonical(random)
            code = f".seh_save_lrpair {group[0]}, {at}"
        elif not steps and names == "x19, x20" and size <= 248:
            code = f".seh_save_r19r20_x {size}"
        else:
            code = f".seh_save_{'f' if group[0][0] == 'd' else ''}reg{'p' if pair else ''}{where[2]} {group[0]}, {where[3]}"
        steps.append((f"{'stp' if pair else 'str'} {names}, {where[0]}", code, f"{'ldp' if pair else 'ldr'} {names}, {where[1]}"))
        at += 8 * len(group)
    if homes and steps:
        steps += [(f"stp x{2 * n}, x{2 * n + 1}, [sp, #{at + 16 * n}]", ".seh_nop", None) for n in range(4)]
    elif homes:
        return arm64_canonical(random)
    local = 16 * random.randrange(1, 30)
    if link == 3:
        steps.append((f"stp x29, x30, [sp, #-{local}]!", f".seh_save_fplr_x {local}", f"ldp x29, x30, [sp], #{local}"))
        steps.append(("mov x29, sp", ".seh_set_fp", None))
    else:
        steps.append((f"sub sp, sp, #{local}", f".seh_stackalloc {local}", f"add sp, sp, #{local}"))
    return steps


def arm64_assembler(random):
    text = [".text"]
    for n in range(2 * FUNCTIONS):
        canonical = n >= FUNCTIONS
        steps = arm64_canonical(random) if canonical else arm64_steps(random)
        text += [f".globl made_{n}", f".seh_proc made_{n}", f"made_{n}:"]
        for prolog, directive, _ in steps:
            text += [f"  {prolog}", f"  {directive}"]
        text += ["  .seh_endprologue", "  mov x0, x1"]
        for epilog in range(1 if canonical else random.randrange(1, 4)):
            some = steps if epilog == 0 or random.random() < 0.5 else steps[: len(steps) - 1]
            some = [step for step in some if step[2]]
            text += ["  mov x1, x2"] * random.randrange(1, 4) + ["  .seh_startepilogue"]
            for _, directive, instruction in reversed(some):
                text += [f"  {instruction}", f"  {directive}"]
            text += ["  .seh_endepilogue", "  ret"]
        text += [".seh_endproc", ""]
    return "\n".join([*text, ".globl made", "made:", "  ret", ""])


# --- images -------------------------------------------------------------------------------------------------------------

def make(random, machine, folder):
    """Writes FOLDER/MACHINE.dll; its entry point runs all of it."""
    target = ["clang", f"--target={machine}-pc-windows-msvc", "-c"]
    for_c = ["-ffreestanding", "-funwind-tables", "-mno-stack-arg-probe"]
    objects, all_of_it = [], "typedef unsigned long long u64;\nvoid made(void);\n"

    def build(name, text, *options):
        (folder / name).write_text(text)
        objects.append(str(folder / f"{name}.{machine}.obj"))
        subprocess.run([*target, *options, "-o", objects[-1], str(folder / name)], check=True)

    for level in ("O0", "O2"):
        build(f"{machine}_{level}.c", c_source(random, machine, level), f"-{level}", *for_c)
        all_of_it += f"u64 all_{level}(u64 r);\n"
    build(f"{machine}.s", x64_assembler(random) if machine == "x86_64" else arm64_assembler(random))
    build(f"{machine}_run.c", all_of_it + "u64 run(u64 r) { r = all_O0(r) + all_O2(r); made(); return r; }\n", "-O1", *for_c)
    image = folder / f"{machine}.dll"
    fixed = ["/fixed"] if machine == "x86_64" else []
    subprocess.run(["lld-link", "/dll", "/entry:run", "/nodefaultlib", f"/base:{BASE:#x}", *fixed, f"/out:{image}", *objects],
                   check=True)
    return image
