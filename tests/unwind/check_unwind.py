# SPDX-License-Identifier: Apache-2.0
"""The unwinder against a second reader: check_unwind.py UNWIND_IMAGE UNWIND_STEPS.

Images that clang and lld-link make for x64 and ARM64, with functions of every prolog shape. What llvm-readobj says of their
unwind data is carried out here, and has to give the caller that our unwinder gives: from the body and from each place of the
prolog. Epilogs are carried out by their instructions, as llvm-objdump reads them. On x64 the image runs besides, and the
stack is unwound at each instruction.
"""
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

import shapes

UNWIND_IMAGE, UNWIND_STEPS = sys.argv[1:3]
IMAGE = 0xFFFFF80012340000
STACK = 0xFFFFB10000000000
MASK = 2**64 - 1
X64 = {name: number for number, name in enumerate("RAX RCX RDX RBX RSP RBP RSI RDI R8 R9 R10 R11 R12 R13 R14 R15".split())}
X64_KEPT = [X64[name] for name in "RBX RBP RSI RDI R12 R13 R14 R15".split()]
FP, LR = 29, 30
NUMBER = r"#(-?\w+)"


def mix(x):
    """What memory holds at an address: unwind_image.c has the same."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


class State:
    """Registers and the words of the stack that were written."""

    def __init__(self, rng, count):
        self.x = [STACK + 0x100000 + 16 * rng.randrange(0x1000) for _ in range(count)]
        self.sp, self.words = STACK + 16 * rng.randrange(0x100), {}

    def copy(self):
        other = State.__new__(State)
        other.x, other.sp, other.words = list(self.x), self.sp, dict(self.words)
        return other

    def load(self, at):
        return self.words.get(at & MASK, mix(at & MASK))


class Questions:
    """What is asked of unwind_image, and what the answers have to be."""

    def __init__(self, image):
        self.image, self.lines, self.expected = image, [], []

    def ask(self, what, pc, exact, state, caller_pc, caller, kept):
        self.lines += [f"w {at:x} {value:x}" for at, value in state.words.items()]
        x = state.x + [0] * (31 - len(state.x))
        self.lines.append(f"q {pc:x} {state.sp:x} {exact:x} " + " ".join(f"{value:x}" for value in x))
        self.expected.append((what, [caller_pc, caller.sp, *(caller.x[n] for n in kept)], kept))

    def wrong(self):
        """Prints what is not as it has to be; returns how much that is."""
        said = subprocess.run([UNWIND_IMAGE, str(self.image)], input="\n".join(self.lines) + "\n", capture_output=True, text=True,
                              check=True, timeout=300).stdout.splitlines()
        assert len(said) == len(self.expected), (len(said), len(self.expected))
        count = 0
        for line, (what, expected, kept) in zip(said, self.expected):
            fields = [int(text, 16) for text in line.split()] if line != "end" else []
            got = fields and [fields[0], fields[1], *(fields[3 + n] for n in kept)]
            if got != expected:
                count += 1
                if count <= 10:
                    print(f"{what}: {line[:40]} ..., expected {[f'{value:x}' for value in expected]}")
        return count


def blocks(text, name):
    """The indented blocks `NAME {` of a dump."""
    return re.findall(rf"^( *){name} \{{\n(.*?)^\1\}}", text, re.M | re.S)


def dump(image):
    return subprocess.run(["llvm-readobj", "--unwind", str(image)], capture_output=True, text=True, check=True).stdout


# --- x64 ----------------------------------------------------------------------------------------------------------------

def x64_undo(codes, state, register, frame_offset, set_already):
    """Carries out unwind codes as the dump words them."""
    base = state.x[X64[register]] - frame_offset if set_already else state.sp
    for name, details in codes:
        number = lambda key: int(re.search(rf"{key}=(\w+)", details).group(1), 0)
        reg = re.search(r"reg=(\w+)", details)
        if name == "PUSH_NONVOL":
            state.x[X64[reg.group(1)]] = state.load(state.sp)
            state.sp += 8
        elif name in ("ALLOC_SMALL", "ALLOC_LARGE"):
            state.sp += number("size")
        elif name == "SET_FPREG":
            state.sp = state.x[X64[register]] - frame_offset
        elif name in ("SAVE_NONVOL", "SAVE_NONVOL_FAR"):
            state.x[X64[reg.group(1)]] = state.load(base + number("offset"))
        else:
            assert name.startswith("SAVE_XMM128"), name
    caller_pc = state.load(state.sp)
    state.sp += 8
    return caller_pc


def check_x64(image, rng):
    questions, functions = Questions(image), 0
    for _, text in blocks(dump(image), "RuntimeFunction"):
        field = lambda name: re.search(rf"{name}: (.*)", text).group(1)
        begin, end = (int(field(name).strip("()"), 16) - shapes.BASE for name in ("StartAddress", "EndAddress"))
        prolog, register = int(field("PrologSize")), field("FrameRegister").split()[0]
        frame_offset = 16 * int(field("FrameOffset"), 0) if register != "-" else 0
        codes = [(int(at, 16), name, details) for at, name, details in re.findall(r"0x(\w\w): (\w+) (.*)", text)]
        functions += 1
        set_at = [at for at, name, _ in codes if name == "SET_FPREG"]
        for offset, exact in [(0, 1), *((at, 1) for at, _, _ in codes), (prolog + rng.randrange(1, end - begin - prolog + 1), 0)]:
            state = State(rng, 16)
            state.x[X64["RSP"]] = state.sp
            caller = state.copy()
            done = [(name, details) for at, name, details in codes if at <= offset]
            is_set = bool(set_at) and set_at[0] <= offset
            caller_pc = x64_undo(done, caller, register, frame_offset, is_set)
            if exact and offset >= prolog:
                continue  # may be an epilog: those are stepped through
            questions.ask(f"x64 {begin:x}+{offset:x}", IMAGE + begin + offset, exact, state, caller_pc, caller, X64_KEPT)
    assert functions > 2 * shapes.FUNCTIONS, functions
    print(f"x64: {functions} functions, {len(questions.expected)} frames by llvm-readobj")
    return questions.wrong()


# --- ARM64 --------------------------------------------------------------------------------------------------------------

def arm64_register(name):
    return {"fp": FP, "lr": LR}.get(name) or (int(name[1:]) if name[0] == "x" else None)


def arm64_do(state, instruction, last_pair):
    """Carries out an instruction of a prolog or epilog; returns the pair that it moved, or None when it is none of those."""
    text = instruction.strip()
    if text in ("save next", "restore next"):
        (first, second), at = last_pair
        text = f"stp x{first + 2}, x{second + 2}, [sp, #{at + 16}]"
    if text == "nop":
        return ()
    if match := re.fullmatch(r"(stp|ldp|str|ldr) ([xdlf]\w+), (?:([xdlf]\w+), )?\[sp(?:, " + NUMBER + r")?\](!?)(?:, " + NUMBER + ")?", text):
        op, first, second, offset, before, after = match.groups()
        registers = [arm64_register(name) for name in (first, second) if name]
        offset, after = int(offset or "0", 0), int(after or "0", 0)
        if before:
            state.sp += offset
        at = state.sp + (0 if before else offset)
        for n, reg in enumerate(registers):
            if reg is not None and op.startswith("st"):
                state.words[at + 8 * n] = state.x[reg]
            elif reg is not None:
                state.x[reg] = state.load(at + 8 * n)
        state.sp += after
        return (registers, 0 if before else offset)
    if match := re.fullmatch(r"(sub|add) sp, (?:sp, )?" + NUMBER + r"(?:, lsl #12)?", text):
        size = int(match.group(2), 0) << (12 if "lsl" in text else 0)
        state.sp += size if match.group(1) == "add" else -size
        return ()
    if match := re.fullmatch(r"(?:mov|add) (?:x29|fp), sp(?:, " + NUMBER + ")?", text):
        state.x[FP] = state.sp + int(match.group(1) or "0", 0)
        return ()
    if match := re.fullmatch(r"(?:mov|sub) sp, (?:x29|fp)(?:, " + NUMBER + ")?", text):
        state.sp = state.x[FP] - int(match.group(1) or "0", 0)
        return ()
    return None


def arm64_code(image):
    """Address: instruction, by llvm-objdump."""
    text = subprocess.run(["llvm-objdump", "-d", "--no-show-raw-insn", str(image)], capture_output=True, text=True, check=True).stdout
    lines = re.findall(r"^([0-9a-f]+):\s+(\S.*?)\s*(?://.*)?$", text, re.M)
    return {int(at, 16): re.sub(r"\s+", " ", instruction) for at, instruction in lines}


def is_of_epilog(instruction):
    restores = re.fullmatch(r"(?:ldp|ldr) (x(?:19|2\d|30)|d(?:8|9|1[0-5])), .*\[sp.*", instruction)
    return bool(restores or re.fullmatch(r"(?:add sp, sp, |mov sp, x29|sub sp, x29, ).*|nop", instruction))


KEPT = list(range(19, 30))


def ask_prolog(questions, rng, begin, operations):
    """From each instruction of the prolog, and from behind it."""
    start = State(rng, 31)
    start.sp += 0x100000
    start.x[LR] = IMAGE + 0x1000 + 4 * rng.randrange(0x100)
    state, pair = start.copy(), None
    for n, operation in enumerate([*operations, None]):
        questions.ask(f"arm64 {begin:x}+{4 * n:x}", IMAGE + begin + 4 * n, 1, state, start.x[LR], start, KEPT)
        if operation is not None:
            moved = arm64_do(state, operation, pair)
            assert moved is not None, operation
            pair = moved or pair
    if operations: # from a call in the body
        questions.ask(f"arm64 {begin:x}, body", IMAGE + begin + 4 * len(operations) + 4, 0, state, start.x[LR], start, KEPT)


def ask_epilogs(questions, rng, code, begin, length, prolog):
    """From each instruction of each epilog: the instructions up to its ret, carried out."""
    count = 0
    for ret in (at for at in range(begin, begin + length, 4) if code.get(shapes.BASE + at) == "ret"):
        first = ret
        while first - 4 >= begin + 4 * prolog and is_of_epilog(code[shapes.BASE + first - 4]):
            first -= 4
        for at in range(first, ret + 4, 4):
            state = State(rng, 31)
            caller = state.copy()
            for instruction in (code[shapes.BASE + a] for a in range(at, ret, 4)):
                assert arm64_do(caller, instruction, None) is not None, instruction
            questions.ask(f"arm64 epilog {at:x} of {begin:x}", IMAGE + at, 1, state, caller.x[LR], caller, KEPT)
            count += 1
    return count


def check_arm64(image, rng):
    questions, code, functions, packed, epilogs = Questions(image), arm64_code(image), 0, 0, 0
    for _, text in blocks(dump(image), "RuntimeFunction"):
        begin = int(re.search(r"Function: (?:\S+ \()?0x(\w+)", text).group(1), 16) - shapes.BASE
        length = int(re.search(r"FunctionLength: (\d+)", text).group(1))
        prolog = re.search(r"Prologue \[\n(.*?)^ *\]", text, re.M | re.S).group(1)
        operations = [line.split(";")[-1].strip() for line in prolog.splitlines()]
        assert operations.pop() == "end", prolog
        operations.reverse()
        functions += 1
        packed += "RegI" in text
        ask_prolog(questions, rng, begin, operations)
        epilogs += ask_epilogs(questions, rng, code, begin, length, len(operations))
    assert functions > 2 * shapes.FUNCTIONS and packed > 5 and epilogs > functions, (functions, packed, epilogs)
    print(f"ARM64: {functions} functions ({packed} packed), {len(questions.expected)} frames, {epilogs} of them in epilogs")
    return questions.wrong()


def main():
    missing = [tool for tool in ("clang", "lld-link", "llvm-readobj", "llvm-objdump") if not shutil.which(tool)]
    if missing:
        print("skipped: not here:", ", ".join(missing))
        return 77
    seed = int(os.environ.get("KDNETD_TEST_SEED", 20160124))
    print(f"random seed {seed} (set KDNETD_TEST_SEED to change it)", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder, rng = pathlib.Path(name), random.Random(seed)
        x64, arm64 = (shapes.make(rng, machine, folder) for machine in ("x86_64", "aarch64"))
        wrong = check_x64(x64, rng) + check_arm64(arm64, rng)
        steps = subprocess.run([UNWIND_STEPS, str(x64)], timeout=600)
        if steps.returncode == 77:
            print("x64: this system does not run it step by step")
        return 1 if wrong or steps.returncode not in (0, 77) else 0


if __name__ == "__main__":
    sys.exit(main())
