# SPDX-License-Identifier: Apache-2.0
"""kdnetctl symbols against the files that others make: check_symbols.py PROGRAM.

PE and PDB pairs by clang and lld-link, checked symbol by symbol against llvm-pdbutil; cabinets by gcab; the real symbol
tables in KDNETD_DATA.
"""
import bisect
import functools
import gzip
import http.server
import json
import lzma
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

PROGRAM = sys.argv.pop(1)
ISF = os.path.join(os.environ.get("KDNETD_DATA", "../shared/data"), "isf")
TOOLS = ("clang", "lld-link", "llvm-pdbutil")
MISSING = [tool for tool in TOOLS if not shutil.which(tool)]
STATUS = "IopFinalCrashDumpStatus"
# What is read by default (service/worker/reads.c), and by what a kernel is known again (kdnet/kernel/fingerprint.c).
EVIDENCE = ("IopAutoReboot", "CrashdmpInitialized", "CrashdmpDumpBlock", "CrashdmpImageBase", "KiBugCheckActive",
            "KiBugCheckDriver", "KeBootTime", "KeNumberProcessors", "NtBuildLabEx", "InitSafeBootMode", "NtGlobalFlag",
            "BcpLastProgressDisplayed",
            "KdDebuggerDataBlock", "RtlpBreakWithStatusInstruction", "PsLoadedModuleList", "KiBugCheckData", "NtBuildLab")

SOURCE = """
unsigned long IopFinalCrashDumpStatus = 0xffffffff;
unsigned long long KiBugCheckData[5] = {1};
unsigned IopAutoReboot;
const char NtBuildLab[] = "9600.17085.amd64fre";
static volatile int Hidden = 3;
int KeBugCheckEx(int x) { return x + Hidden; }
int F(void) { return KeBugCheckEx(1) + (int)IopFinalCrashDumpStatus; }
"""


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def run(*arguments, **options):
    environment = {name: value for name, value in os.environ.items() if name != "_NT_SYMBOL_PATH"}
    environment.update(options.pop("env", {}))
    return subprocess.run([PROGRAM, "symbols", *arguments], capture_output=True, text=True, timeout=120, env=environment,
                          **options)


def answers(*arguments, **options):
    """NAME: (answer, source) of each line."""
    result = run(*arguments, **options)
    return {fields[0]: tuple(fields[1:]) for fields in (line.split() for line in result.stdout.splitlines())}


@functools.lru_cache(maxsize=None)
def made_pair(machine, source, name):
    """The two files' contents, made once."""
    with tempfile.TemporaryDirectory(prefix="kdnetd-symbols-") as folder:
        return [pathlib.Path(path).read_bytes() for path in link_pair(folder, machine, source, name)]


def make_pair(folder, machine, source, name="ntkrnlmp"):
    """Makes ntoskrnl.exe and ntkrnlmp.pdb."""
    paths = os.path.join(folder, f"{name}.pdb"), os.path.join(folder, "ntoskrnl.exe")
    for path, content in zip(paths, made_pair(machine, source, name)):
        pathlib.Path(path).write_bytes(content)
    return paths


def link_pair(folder, machine, source, name):
    with open(os.path.join(folder, "x.c"), "w") as file:
        file.write(source)
    subprocess.run(["clang", f"--target={machine}-pc-windows-msvc", "-g", "-gcodeview", "-O0", "-fno-common", "-c", "x.c",
                    "-o", "x.obj"], cwd=folder, check=True)
    subprocess.run(["lld-link", "/debug", "/entry:F", "/subsystem:native", "/nodefaultlib", "/out:ntoskrnl.exe",
                    f"/pdb:{name}.pdb", "x.obj"], cwd=folder, check=True)
    return os.path.join(folder, f"{name}.pdb"), os.path.join(folder, "ntoskrnl.exe")


def sections_of(image):
    """VirtualAddress of each section."""
    with open(image, "rb") as file:
        data = file.read()
    pe, = struct.unpack_from("<I", data, 60)
    count, = struct.unpack_from("<H", data, pe + 6)
    optional, = struct.unpack_from("<H", data, pe + 20)
    return [struct.unpack_from("<I", data, pe + 24 + optional + 40 * i + 12)[0] for i in range(count)]


def publics_of(pdb, image):
    """NAME: RVA of each public symbol, by llvm-pdbutil and the image's own headers."""
    text = subprocess.run(["llvm-pdbutil", "dump", "--publics", pdb], capture_output=True, text=True, check=True).stdout
    sections, publics = sections_of(image), {}
    for name, segment, offset in re.findall(r"S_PUB32 \[size = \d+\] `(.*?)`\n.*addr = (\d+):(\d+)", text):
        if 1 <= int(segment) <= len(sections):
            publics[name] = sections[int(segment) - 1] + int(offset)
    return publics


def guidage_of(pdb):
    text = subprocess.run(["llvm-pdbutil", "dump", "--summary", pdb], capture_output=True, text=True, check=True).stdout
    guid = re.search(r"GUID: \{(.*?)\}", text).group(1).replace("-", "")
    return guid + "%X" % int(re.search(r"Age: (\d+)", text).group(1))


@unittest.skipIf(MISSING, f"not installed: {', '.join(MISSING)} (packages clang, lld, llvm): no PDBs can be made")
class Pairs(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kdnetd-symbols-")
        self.addCleanup(shutil.rmtree, self.folder)

    def store(self, pdb, *parts):
        path = os.path.join(self.folder, "store", *parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copy(pdb, path)
        return os.path.join(self.folder, "store")

    def check_every_public(self, pdb, image):
        publics = publics_of(pdb, image)
        self.assertIn(STATUS, {name.lstrip("_") for name in publics})
        names = sorted(publics)
        for start in range(0, len(names), 20000):
            part = names[start:start + 20000]
            result = answers(pdb, *part)
            self.assertEqual(result, {name: (f"0x{publics[name]:x}", "pdb") for name in part})
        return publics

    def test_every_public_symbol_is_where_llvm_says_on_each_machine(self):
        for machine in ("x86_64", "i686", "aarch64"):
            with self.subTest(machine=machine):
                pdb, image = make_pair(self.folder, machine, SOURCE)
                publics = self.check_every_public(pdb, image)
                data = answers(pdb, STATUS, "nt!" + STATUS, "NotThere", "Hidden")
                expected = publics.get(STATUS, publics.get("_" + STATUS))
                self.assertEqual(data[STATUS], (f"0x{expected:x}", "pdb"))
                self.assertEqual(data["nt!" + STATUS], data[STATUS])
                self.assertEqual(data["NotThere"], ("absent", "pdb"))
                self.assertEqual(data["Hidden"][1], "pdb")
                self.assertTrue(data["Hidden"][0].startswith("0x"))  # private symbols know static variables

    def test_every_address_has_the_name_that_llvm_says_on_each_machine(self):
        for machine in ("x86_64", "i686", "aarch64"):
            with self.subTest(machine=machine):
                pdb, image = make_pair(self.folder, machine, SOURCE)
                publics = publics_of(pdb, image)
                at = {f"0x{rva + off:x}": (name, off) for name, rva in publics.items() for off in (0, 1)
                      if off == 0 or rva + off not in publics.values()}
                result = answers(pdb, *(word for address in list(at)[:32] for word in ("--at", address)))
                for address, (name, off) in list(at.items())[:32]:
                    names = [other for other, rva in publics.items() if rva == publics[name]]
                    self.assertEqual(result[address], (address, f"{min(names)}+0x{off:x}", "pdb"))
                text = f"nt!{name}+1"
                self.assertEqual(answers(pdb, "--at", text, "--base", "0")[text][1].split("+")[1], "0x1")
                self.assertEqual(answers(pdb, "--at", "f0000000")["f0000000"][1], "absent")
                self.assertEqual(answers(pdb, "--base", "0xfffff80000000000", "--at", "0xfffff800f0000000"),
                                 {"0xfffff800f0000000": ("0xf0000000", "absent", "pdb")})

    def test_x86_names_carry_an_underscore(self):
        pdb, image = make_pair(self.folder, "i686", SOURCE)
        self.assertIn("_" + STATUS, publics_of(pdb, image))
        self.assertEqual(answers(pdb, "_" + STATUS)["_" + STATUS], answers(pdb, STATUS)[STATUS])

    def test_forty_thousand_symbols(self):
        source = SOURCE + "".join(f"int Variable{i:05} = {i};\n" for i in range(40000))
        pdb, image = make_pair(self.folder, "x86_64", source)
        publics = self.check_every_public(pdb, image)
        self.assertGreaterEqual(len(publics), 40000)
        self.assertEqual(answers(pdb, "Variable39999")["Variable39999"][0], f"0x{publics['Variable39999']:x}")
        self.assertEqual(answers(pdb, "Variable40000")["Variable40000"][0], "absent")

    def test_image_leads_to_its_symbols(self):
        for machine in ("x86_64", "i686", "aarch64"):
            pdb, image = make_pair(self.folder, machine, SOURCE)
            guidage = guidage_of(pdb)
            store = self.store(pdb, "ntkrnlmp.pdb", guidage, "ntkrnlmp.pdb")
            direct = answers(pdb, STATUS)
            self.assertEqual(answers("--symbols", store, image, STATUS), direct)
            self.assertEqual(answers("--symbols", "srv*" + store, "ntkrnlmp.pdb/" + guidage, STATUS), direct)
            self.assertEqual(answers(guidage.lower(), STATUS, env={"_NT_SYMBOL_PATH": "/nowhere;srv*" + store}), direct)

    def test_symbols_are_fetched_from_a_server_once(self):
        pdb, image = make_pair(self.folder, "x86_64", SOURCE)
        store = self.store(pdb, "ntkrnlmp.pdb", guidage_of(pdb), "ntkrnlmp.pdb")
        handler = functools.partial(QuietHandler, directory=store)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            local = os.path.join(self.folder, "local")
            place = f"srv*{local}*http://127.0.0.1:{server.server_address[1]}"
            result = run("--symbols", place, image, STATUS)
            server.shutdown()
        if "without libcurl" in result.stderr or "libcurl was missing" in result.stderr:
            self.skipTest("this build asks no symbol servers")
        self.assertEqual(result.returncode, 0, result.stderr)
        told = {name: (rva, "pdb_http") for name, (rva, _) in answers(pdb, STATUS).items()}
        self.assertEqual(answers("--symbols", place, image, STATUS), told)  # nobody serves any more
        self.assertEqual(answers("--symbols", local, image, STATUS), told)

    def test_symbols_of_another_build_prove_nothing(self):
        pdb, _ = make_pair(self.folder, "x86_64", SOURCE)
        guidage = guidage_of(pdb)
        wrong = "0" * 32 + "1"
        store = self.store(pdb, "ntkrnlmp.pdb", wrong, "ntkrnlmp.pdb")
        result = run("--symbols", store, wrong, STATUS)
        self.assertEqual((result.returncode, result.stdout), (1, STATUS + " no_symbols\n"))
        self.assertIn("it is of another image, " + guidage, result.stderr)

    @unittest.skipUnless(shutil.which("gcab"), "gcab is not installed: no cabinets can be made")
    def test_compressed_file_of_gcab(self):
        pdb, _ = make_pair(self.folder, "x86_64", SOURCE)
        for flags in ((), ("--zip",)):
            packed = os.path.join(self.folder, "ntkrnlmp.pd_")
            subprocess.run(["gcab", *flags, "-c", packed, "ntkrnlmp.pdb"], cwd=self.folder, check=True)
            if "libmspack was missing" in run(packed, STATUS).stderr:
                self.skipTest("this build reads no cabinets")
            store = self.store(packed, "ntkrnlmp.pdb", guidage_of(pdb), "ntkrnlmp.pd_")
            self.assertEqual(answers("--symbols", store, guidage_of(pdb), STATUS), answers(pdb, STATUS))
            self.assertEqual(answers(packed, STATUS), answers(pdb, STATUS))
            os.remove(packed)

    def test_damaged_files_are_answered_with_a_reason(self):
        pdb, _ = make_pair(self.folder, "x86_64", SOURCE)
        with open(pdb, "rb") as file:
            whole = file.read()
        seed = random.Random(7)
        for round_ in range(60):
            damaged = bytearray(whole)
            for _ in range(seed.randrange(1, 30)):
                at = seed.choice((seed.randrange(len(whole)), seed.randrange(4096), len(whole) - 1 - seed.randrange(8192)))
                damaged[at] = seed.choice((0, 1, 0x7f, 0x80, 0xff, seed.randrange(256)))
            if round_ % 3 == 0:
                damaged = damaged[:seed.randrange(len(damaged))]
            with open(pdb, "wb") as file:
                file.write(damaged)
            result = run(pdb, STATUS, "NotThere")
            self.assertIn(result.returncode, (0, 1))
            self.assertNotIn("Sanitizer", result.stderr)
            self.assertNotIn("runtime error", result.stderr)


@unittest.skipUnless(os.path.isdir(ISF), f"{ISF} is not there")
class RealTables(unittest.TestCase):
    def setUp(self):
        if "liblzma was missing" in run(self.files()[0], "x").stderr:
            self.skipTest("this build reads no .xz")

    @staticmethod
    def files():
        folder = os.path.join(ISF, "ntkrnlmp.pdb")
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]

    @staticmethod
    @functools.lru_cache(maxsize=None)
    def text_of(path):
        with lzma.open(path, "rt") as file:
            return file.read()

    @staticmethod
    @functools.lru_cache(maxsize=None)
    def answers_of(guidage):
        """All that is asked here of a kernel, once: each time its whole table is unpacked."""
        return answers("--symbols", ISF, guidage, STATUS, *EVIDENCE)

    def test_names_of_six_kernels(self):
        names = ["KiBugCheckData", "KdDebuggerDataBlock", "RtlpBreakWithStatusInstruction"]
        known = {"22597D0B40394E23936F6A24C6C52D5B1": ["0x2cc940", "0x292530", "0x148710"],
                 "C2EADB24A615E9472CE47C8ADD31F1301": ["0xc35de0", "0xc00a30", "0x41e600"]}
        self.assertEqual(len(self.files()), 6)
        for path in self.files():
            guidage = os.path.basename(path).split(".")[0].replace("-", "")
            text = self.text_of(path)
            result = self.answers_of(guidage)
            for name in names:
                address = int(re.search(r'^    "%s": \{\s*"address": (\d+)' % name, text, re.M).group(1))
                self.assertEqual(result[name], (f"0x{address:x}", "isf"))
            self.assertEqual([result[name][0] for name in names], known.get(guidage, [result[name][0] for name in names]))
            self.assertEqual(result[STATUS], ("absent", "isf"))

    def test_addresses_in_six_kernels_have_names(self):
        for path in self.files():
            guidage = os.path.basename(path).split(".")[0].replace("-", "")
            symbols = json.loads(self.text_of(path))["symbols"]
            by_address = {}
            for name, symbol in symbols.items():
                by_address.setdefault(symbol["address"], []).append(name)
            order = sorted(by_address)
            wanted = {}
            for name in ("KeBugCheckEx", "KiPageFault", "IofCallDriver", "PspSystemThreadStartup", "KiStartSystemThread"):
                if name in symbols:
                    wanted[symbols[name]["address"] + 5] = None
            for rva in random.Random(path).sample(range(order[0], order[-1]), 24):
                wanted[rva] = None
            result = answers("--symbols", ISF, guidage, *(word for rva in wanted for word in ("--at", f"0x{rva:x}")))
            for rva in wanted:
                nearest = order[bisect.bisect_right(order, rva) - 1]
                best = min(by_address[nearest], key=lambda name: (name[0] == "?", name))[:127]
                expected = (f"0x{rva:x}", f"{best}+0x{rva - nearest:x}", "isf")
                self.assertEqual(result[f"0x{rva:x}"], expected if rva - nearest < 1 << 20 else expected[:1] + ("absent", "isf"))

    def test_evidence_and_prints_are_in_every_kernel(self):
        for path in self.files():
            guidage = os.path.basename(path).split(".")[0].replace("-", "")
            result = self.answers_of(guidage)
            self.assertEqual([name for name in EVIDENCE if result[name][0] in ("absent", "no_symbols")], [], guidage)

    def test_other_compressions_say_the_same(self):
        path = self.files()[0]
        guidage = os.path.basename(path).split(".")[0]
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(os.path.join(folder, "ntkrnlmp.pdb"))
            data = lzma.open(path).read()
            for ending, content in ((".json", data), (".json.gz", gzip.compress(data))):
                if ending == ".json.gz" and "zlib was missing" in run(path, "x").stderr:
                    continue
                copy = os.path.join(folder, "ntkrnlmp.pdb", guidage + ending)
                with open(copy, "wb") as file:
                    file.write(content)
                expected = answers(path, "KiBugCheckData", STATUS)
                self.assertEqual(answers("--symbols", folder, guidage.replace("-", ""), "KiBugCheckData", STATUS), expected)
                os.remove(copy)
            copy = os.path.join(folder, "ntkrnlmp.pdb", guidage + ".json.xz")
            shutil.copy(path, copy)
            os.truncate(copy, os.path.getsize(copy) // 2)
            result = run("--symbols", folder, guidage.replace("-", ""), "KiBugCheckData")
            self.assertEqual(result.stdout, "KiBugCheckData no_symbols\n")
            self.assertIn("damaged or cut short", result.stderr)


class Usage(unittest.TestCase):
    def test_misuse_is_told(self):
        for arguments in ((), ("x",), ("--at", "1"), ("--base", "x", "--at", "1", __file__), ("--symbols", "/tmp", "neither", "Name"), ("--nonsense",),
                          ("--symbols", "srv*http://x", "0" * 33, "Name"), ("0" * 33, "Name"),
                          ("--symbols", "/tmp", "../x.pdb/" + "0" * 33, "Name")):
            result = run(*arguments)
            self.assertEqual((result.returncode, result.stdout), (2, ""), arguments)
            self.assertTrue(result.stderr.startswith("kdnetctl symbols: "))

    def test_zeros_and_garbage_are_no_symbols(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x.pdb")
            for content in (b"", b"\0" * 100, b"\0" * (1 << 20), b"MSCF" + b"\0" * 100, b"\x1f\x8b" + b"\0" * 100,
                            b"\xfd7zXZ\0" + b"\0" * 100, b"{" * 100000, b"MZ" + b"\0" * 2000,
                            b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0" + b"\xff" * 500):
                with open(path, "wb") as file:
                    file.write(content)
                result = run(path, "Name")
                self.assertEqual(result.returncode, 1)
                self.assertIn(path, result.stderr)
            with open(path, "wb") as file:
                file.truncate(2 << 30)
            self.assertEqual(run(path, "Name").returncode, 1)

    def test_places_without_files_say_what_was_tried(self):
        result = run("--symbols", "/nowhere", "0" * 32 + "1", "Name")
        self.assertEqual((result.returncode, result.stdout), (1, "Name no_symbols\n"))
        self.assertIn("/nowhere: no such folder", result.stderr)

    def test_help(self):
        result = run("--help")
        self.assertEqual(result.returncode, 0)
        self.assertIn("_NT_SYMBOL_PATH", result.stdout)


if __name__ == "__main__":
    unittest.main()
