# SPDX-License-Identifier: Apache-2.0
"""kdnetctl as its users run it: check_kdnetctl.py PROGRAM. The real capture is read from KDNETD_DATA."""
import gzip
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import unittest

PROGRAM = sys.argv.pop(1)
CAPTURE = os.path.join(os.environ.get("KDNETD_DATA", "../shared/data"), "windbg-v4.pcapng")
SUMMARY = {"summary": {"datagrams": 955, "verified": 955, "rejected": 0, "pokes": 427, "responses": 1,
                       "target_data": 265, "host_data": 262}}
needs_capture = unittest.skipUnless(os.path.exists(CAPTURE), f"{CAPTURE} is not there")


def run(*arguments, **options):
    options.setdefault("capture_output", True)
    return subprocess.run([PROGRAM, *arguments], timeout=120, **options)


def decode(*arguments, **options):
    result = run("decode", "--json", *arguments, **options)
    return result, [json.loads(line) for line in result.stdout.decode().splitlines()]


def contents(path):
    with open(path, "rb") as file:
        return file.read()


def frames_of(path):
    """Time in microseconds and bytes of each frame of a little-endian pcapng file."""
    data, at, frames = contents(path), 0, []
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if kind == 6:
            _, high, low, captured, _ = struct.unpack_from("<IIIII", data, at + 8)
            frames.append((high << 32 | low, data[at + 28:at + 28 + captured]))
        at += length
    return frames


def checksum_free_ipv6(ipv4, extension=b""):
    """The same datagram over IPv6: addresses 2001:db8::/96 and the old ones."""
    header = (ipv4[0] & 15) * 4
    udp = ipv4[header:struct.unpack_from(">H", ipv4, 2)[0]]
    prefix = bytes.fromhex("20010db80000000000000000")
    first = 0 if extension else 17
    return (struct.pack(">IHBB", 6 << 28, len(extension) + len(udp), first, 64) + prefix + ipv4[12:16] + prefix +
            ipv4[16:20] + extension + udp)


# Link type, and what becomes of an Ethernet frame with IPv4 in it.
WRAPPINGS = {
    "ethernet": (1, lambda f: f),
    "vlan": (1, lambda f: f[:12] + bytes.fromhex("81000064") + f[12:]),
    "qinq": (1, lambda f: f[:12] + bytes.fromhex("88a8000181000064") + f[12:]),
    "cooked v1": (113, lambda f: bytes.fromhex("00000001000602000000000100000800") + f[14:]),
    "cooked v2": (276, lambda f: bytes.fromhex("0800000000000002000100060200000000010000") + f[14:]),
    "raw": (101, lambda f: f[14:]),
    "null": (0, lambda f: bytes.fromhex("02000000") + f[14:]),
    "loop": (108, lambda f: bytes.fromhex("00000002") + f[14:]),
    "ipv4 options": (101, lambda f: bytes([0x46]) + f[15:16] + struct.pack(
        ">H", struct.unpack_from(">H", f, 16)[0] + 4) + f[18:34] + b"\1\1\1\0" + f[34:]),
    "ipv6": (1, lambda f: f[:12] + b"\x86\xdd" + checksum_free_ipv6(f[14:])),
    "ipv6 extensions": (101, lambda f: checksum_free_ipv6(
        f[14:], bytes.fromhex("3c00000000000000" + "1100000000000000"))),
}


class Decode(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def write(self, data, name="test.pcap"):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def pcap(self, link_type, frames, snap=None, order="<"):
        parts = [struct.pack(order + "IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, link_type)]
        for time, frame in frames:
            kept = frame[:snap]
            parts.append(struct.pack(order + "IIII", time // 1000000, time % 1000000, len(kept), len(frame)) + kept)
        return self.write(b"".join(parts))

    @needs_capture
    def test_real_capture_gives_its_counts(self):
        result, lines = decode("--key", "8.8.8.8", CAPTURE)
        self.assertEqual(result.returncode, 0)
        self.assertEqual(result.stderr, b"")
        self.assertEqual(lines[-1], SUMMARY)
        self.assertEqual(len(lines), 956)
        self.assertTrue(all(line["verified"] for line in lines[:-1]))
        self.assertEqual([line["number"] for line in lines[:-1]], list(range(1, 956)))
        self.assertEqual(lines[0]["time"], "2016-01-24T10:36:11.474228Z")

    @needs_capture
    def test_real_capture_is_decoded_to_the_field(self):
        _, lines = decode("--key", "8.8.8.8", CAPTURE)
        frame = {line["number"]: line for line in lines[:-1]}
        self.assertEqual((frame[1]["kind"], frame[2]["kind"], frame[3]["kind"]),
                         ("poke", "response", "connection_check"))
        self.assertEqual(frame[12]["manipulate"]["version"]["who"], "boot")
        self.assertEqual(frame[12]["manipulate"]["version"]["build"], 10586)
        self.assertEqual(frame[378]["state_change"]["exception"]["name"], "STATUS_BREAKPOINT")
        self.assertEqual(frame[942]["manipulate"]["context"]["program_counter"], "0x00000000009cf07f")
        self.assertTrue(frame[952]["state_change"]["load_symbols"]["shutdown"])
        self.assertEqual(frame[954]["manipulate"]["continue_status_name"], "DBG_CONTINUE")
        self.assertEqual(frame[236]["file_io"]["path"], "\\Windows\\system32\\en-GB\\winload.efi.MUI")
        self.assertEqual(frame[238]["file_io"]["status_name"], "STATUS_NO_SUCH_FILE")

    @needs_capture
    def test_text_is_the_default_and_ends_with_a_summary(self):
        result = run("decode", "--key", "8.8.8.8", CAPTURE)
        lines = result.stdout.decode().splitlines()
        self.assertEqual(result.returncode, 0)
        self.assertIn("955 verified", lines[-1])
        self.assertIn("HALTED: exception 0x80000003 STATUS_BREAKPOINT", lines[377])
        self.assertEqual(result.stdout, run("decode", "--text", "--key", "8.8.8.8", CAPTURE).stdout)

    @needs_capture
    def test_wrong_key_fails_and_says_what_to_check(self):
        result, lines = decode("--key", "8.8.8.9", CAPTURE)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(lines[-1]["summary"]["verified"], 0)
        self.assertEqual(lines[-1]["summary"]["rejected"], 955)
        self.assertIn(b"check the key", result.stderr)
        self.assertIn(b"bcdedit /dbgsettings", result.stderr)
        self.assertNotIn(b"8.8.8.9", result.stderr)

    @needs_capture
    def test_no_key_shows_headers_only(self):
        result, lines = decode(CAPTURE)
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"add --key", result.stderr)
        self.assertTrue(all(line["reason"] == "no key" and line["version"] == 4 for line in lines[:-1]))

    @needs_capture
    def test_the_right_one_of_many_keys_is_found(self):
        keys = []
        for i in range(50):
            keys += ["--key", f"1.2.3.{i}"]
        result, lines = decode(*keys, "--key", "8.8.8.8", "--key", "z.z.z.z", CAPTURE)
        self.assertEqual(result.returncode, 0)
        self.assertEqual(lines[-1], SUMMARY)
        self.assertTrue(all(line["key"] == 51 for line in lines[:-1]))

    @needs_capture
    def test_every_wrapping_decodes_to_the_same(self):
        frames = frames_of(CAPTURE)
        _, expected = decode("--key", "8.8.8.8", CAPTURE)
        for name, (link_type, wrap) in WRAPPINGS.items():
            with self.subTest(name):
                path = self.pcap(link_type, [(time, wrap(frame)) for time, frame in frames])
                result, lines = decode("--key", "8.8.8.8", path)
                self.assertEqual(result.returncode, 0)
                if name.startswith("ipv6"):
                    self.assertEqual(lines[0]["from"], "[2001:db8::c0a8:248]:51111")
                    for line in lines[:-1] + expected[:-1]:
                        line["from"] = line["to"] = None
                    self.assertEqual(lines, expected)
                    _, expected = decode("--key", "8.8.8.8", CAPTURE)
                else:
                    self.assertEqual(lines, expected)

    @needs_capture
    def test_big_endian_capture_and_standard_input(self):
        path = self.pcap(1, frames_of(CAPTURE), order=">")
        with open(path, "rb") as file:
            _, lines = decode("--key", "8.8.8.8", "-", stdin=file)
        self.assertEqual(lines[-1], SUMMARY)

    @needs_capture
    def test_data_without_its_handshake_is_explained(self):
        control = 42 + 5  # the channel byte, after Ethernet, IPv4 and UDP
        frames = [frame for frame in frames_of(CAPTURE) if frame[1][control] == 0]
        result, lines = decode("--key", "8.8.8.8", self.pcap(1, frames))
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"only data datagrams (527)", result.stderr)
        self.assertIn(b"handshake", result.stderr)
        frames = [frame for frame in frames_of(CAPTURE) if frame[1][control] == 0 or len(frame[1]) == 416]
        result, lines = decode("--key", "8.8.8.8", self.pcap(1, frames))
        self.assertEqual(result.returncode, 0)
        self.assertEqual(lines[-1]["summary"]["pokes"], 427)
        self.assertIn(b"527 data datagrams stay closed", result.stderr)

    @needs_capture
    def test_machines_whose_key_was_not_given_are_told_of(self):
        frames = frames_of(CAPTURE)
        other = bytearray(frames[0][1])
        other[-1] ^= 1  # a poke that no key opens
        result, lines = decode("--key", "8.8.8.8", self.pcap(1, frames + [(frames[-1][0], bytes(other))]))
        self.assertEqual(result.returncode, 0)
        self.assertEqual(lines[-1]["summary"]["rejected"], 1)
        self.assertEqual(lines[-2]["reason"], "wrong key or damaged")
        self.assertIn(b"1 control datagrams opened with none of the keys", result.stderr)

    @needs_capture
    def test_snapshot_length_is_blamed(self):
        result, lines = decode("--key", "8.8.8.8", self.pcap(1, frames_of(CAPTURE), snap=68))
        self.assertEqual(result.returncode, 1)
        self.assertEqual(lines[-1]["summary"]["datagrams"], 955)
        self.assertIn(b"snapshot length", result.stderr)

    @needs_capture
    def test_cut_capture_gives_what_is_there(self):
        whole = contents(CAPTURE)
        for length in (1500, 20001, 150000, len(whole) - 300):
            with self.subTest(length):
                result, lines = decode("--key", "8.8.8.8", self.write(whole[:length]))
                self.assertEqual(result.returncode, 0)
                self.assertGreater(lines[-1]["summary"]["verified"], 0)
                self.assertEqual(lines[-1]["summary"]["verified"], len(lines) - 1)
                self.assertIn(b"cut or damaged after frame", result.stderr)

    @needs_capture
    def test_capture_that_is_compressed(self):
        whole = contents(CAPTURE)
        packed = gzip.compress(whole[:40000]) + gzip.compress(whole[40000:])
        result, lines = decode("--key", "8.8.8.8", self.write(packed, "test.pcapng.gz"))
        if b"this build reads none" in result.stderr:
            self.skipTest("built without zlib")
        self.assertEqual((result.returncode, lines[-1]), (0, SUMMARY))
        result, lines = decode("--key", "8.8.8.8", self.write(packed[:len(packed) // 2], "test.pcapng.gz"))
        self.assertEqual(result.returncode, 0)
        self.assertIn(b"cut or damaged after frame", result.stderr)
        self.assertIn(b"gzip file is cut", result.stderr)
        shell = subprocess.run([PROGRAM, "decode", "--key", "8.8.8.8", "-"], input=packed, capture_output=True, timeout=60)
        self.assertIn(b"955 verified", shell.stdout)

    @needs_capture
    def test_reader_that_goes_away_is_no_noise(self):
        for mode in ("--text", "--json"):
            shell = subprocess.run(f'"{PROGRAM}" decode {mode} --key 8.8.8.8 "{CAPTURE}" | head -1', shell=True,
                                   capture_output=True, timeout=60)
            self.assertEqual(shell.stdout.count(b"\n"), 1)
            self.assertEqual(shell.stderr, b"")

    def test_what_is_no_capture_fails(self):
        for data in (b"", b"garbage " * 100, bytes.fromhex("d4c3b2a1"), bytes.fromhex("0a0d0d0a") + b"\xff" * 60):
            result = run("decode", "--key", "1.2.3.4", self.write(data))
            self.assertEqual(result.returncode, 1)
            self.assertIn(b"test.pcap", result.stderr)
        self.assertEqual(run("decode", self.folder + "/absent.pcap").returncode, 1)

    def test_capture_without_kdnet_says_so(self):
        result, lines = decode("--key", "1.2.3.4", self.pcap(1, [(0, b"\0" * 60)]))
        self.assertEqual(result.returncode, 1)
        self.assertEqual(lines, [{"summary": dict.fromkeys(SUMMARY["summary"], 0)}])
        self.assertIn(b"no KDNET datagram among 1 frames", result.stderr)

    def test_mistakes_of_use(self):
        for arguments, hint in (((), b"which capture"), (("--key",), b"needs a value"),
                                (("--kye", "1.2.3.4", "x"), b"did you mean --key"), (("--json=1", "x"), b"no value"),
                                (("--key", "1.2.3", "x"), b"not four parts"), (("a", "b"), b"one too many"),
                                (("--key", "1.2.3.!", "x"), b"at part 4"), (("-x", "f"), b"unknown option")):
            with self.subTest(arguments):
                result = run("decode", *arguments)
                self.assertEqual(result.returncode, 2)
                self.assertIn(hint, result.stderr)
                self.assertEqual(result.stdout, b"")


class Program(unittest.TestCase):
    def test_help_and_version(self):
        for arguments in (("--help",), ("help",), ("help", "decode"), ("decode", "--help"), ("check", "--help"),
                          ("keygen", "-h")):
            result = run(*arguments)
            self.assertEqual((result.returncode, result.stderr), (0, b""))
            self.assertIn(b"Usage: kdnetctl", result.stdout)
        self.assertRegex(run("--version").stdout, rb"^kdnetctl \d+\.\d+\.\d+\n$")

    def test_unknown_command_or_option_is_told_with_a_hint(self):
        for word, hint in (("decoed", b"did you mean decode?"), ("frobnicate", b"kdnetctl --help"),
                           ("--frobnicate", b"unknown option"), ("\x1b[2J", b"\\x1b[2J")):
            result = run(word)
            self.assertEqual((result.returncode, result.stdout), (2, b""))
            self.assertIn(hint, result.stderr)
        self.assertEqual(run().returncode, 2)


class Keygen(unittest.TestCase):
    def test_key_goes_through_check_and_is_fresh(self):
        seen = set()
        for _ in range(20):
            text = run("keygen", "web-17", "--host-ip", "192.0.2.1", "--port", "50001").stdout.decode()
            key = re.search(r"^bcdedit /dbgsettings net hostip:192\.0\.2\.1 port:50001 key:(\S+)$", text, re.M)[1]
            self.assertIn("bcdedit /debug on\n", text)
            self.assertIn(f"\nweb-17 {key}\n", text)
            parts = key.split(".")
            self.assertEqual(len(parts), 4)
            self.assertTrue(all(0 <= int(part, 36) < 2**64 and len(part) <= 13 for part in parts))
            seen.add(key)
        self.assertEqual(len(seen), 20)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "kdnetd.yaml")
            lines = re.search(r"^targets:\n  - name: web-17\n    key: \S+\n", text, re.M)[0]
            with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write('listen:\n  - "0.0.0.0:50001"\n' + lines)
            result = run("check", path)
            self.assertEqual((result.returncode, result.stderr), (0, b""))
            self.assertIn(b"good, with 1 target", result.stdout)

    def test_ipv6_host_has_its_own_word(self):
        text = run("keygen", "web-17", "--host-ip", "2001:db8::1").stdout.decode()
        self.assertIn("net hostipv6:2001:db8::1 port:50000 key:", text)

    def test_ipv4_host_in_the_form_of_ipv6_is_ipv4(self):
        text = run("keygen", "web-17", "--host-ip", "::ffff:192.0.2.1").stdout.decode()
        self.assertIn("net hostip:192.0.2.1 port:50000 key:", text)
        self.assertEqual(run("keygen", "web-17", "--host-ip", "::ffff:0.0.0.0").returncode, 2)

    def test_text_says_what_is_in_the_way_and_how_to_undo(self):
        text = run("keygen", "web-17", "--host-ip", "192.0.2.1").stdout.decode()
        for word in ("BitLocker", "Secure Boot", "kdnet.exe", "static address", "Hyper-V", "Get-NetAdapterHardwareInfo",
                     "busparams", "nodhcp", "noumex", "bcdedit /debug off"):
            self.assertIn(word, text)

    def test_options_of_the_machine(self):
        text = run("keygen", "web-17", "--host-ip", "192.0.2.1", "--busparams", "0.25.0", "--nodhcp", "--noumex").stdout.decode()
        self.assertRegex(text, r"(?m)^bcdedit /dbgsettings net hostip:192\.0\.2\.1 port:50000 key:\S+ nodhcp /noumex$")
        self.assertRegex(text, r'(?m)^bcdedit /set "\{dbgsettings\}" busparams 0\.25\.0$')

    def test_script_has_the_key_and_the_configuration_is_beside_it(self):
        result = run("keygen", "web-17", "--host-ip", "192.0.2.1", "--busparams", "255.31.7", "--noumex", "--ps1")
        script, lines = result.stdout.decode(), result.stderr.decode()
        key = re.search(r"(?m)^    key: (\S+)$", lines)[1]
        self.assertIn(f"$Key = '{key}'\n", script)
        self.assertIn("$BusParams = '255.31.7'\n$Further = @('/noumex')\n", script)
        self.assertIn("param([switch]$Apply, [switch]$Undo)", script)
        self.assertTrue(script.isascii())
        for pair in ("()", "{}", "[]"):
            self.assertEqual(script.count(pair[0]), script.count(pair[1]), pair)
        self.assertEqual(re.sub(r"(?m)#.*$|\"[^\"\n]*\"", "", script).count("'") % 2, 0)

    def test_port_that_windows_may_refuse_is_warned_of(self):
        result = run("keygen", "web-17", "--host-ip", "192.0.2.1", "--port", "5364")
        self.assertEqual(result.returncode, 0)
        self.assertIn(b"49152", result.stderr)

    def test_mistakes_of_use(self):
        good = ["web-17", "--host-ip", "192.0.2.1"]
        for arguments in ([], ["web-17"], ["web 17"] + good[1:], ["a=b"] + good[1:], ["x" * 65] + good[1:],
                          good + ["--port", "0"], good + ["--port", "65536"], good + ["--port", "5o"], good + ["more"],
                          ["web-17", "--host-ip", "kdnetd.example"], ["web-17", "--host-ip", "0.0.0.0"],
                          ["web-17", "--host-ip", "::"], good + ["--busparams", "0.25"],
                          good + ["--busparams", "0.25.0.1"], good + ["--busparams", "256.0.0"],
                          good + ["--busparams", "0.32.0"], good + ["--busparams", "0.0.8"],
                          good + ["--busparams", "a.0.0"], good + ["--busparams", ".0.0"], good + ["--nodhcp=1"],
                          good + ["--busparams", "1.2.3'"], ["web-17", "--host-ip", "224.0.0.1"]):
            with self.subTest(arguments):
                result = run("keygen", *arguments)
                self.assertEqual((result.returncode, result.stdout), (2, b""))
                self.assertTrue(result.stderr.startswith(b"kdnetctl keygen: "))


class Check(unittest.TestCase):
    def test_mistakes_are_named_by_line(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "kdnetd.yaml")
            with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write("targets:\n  - name: web-17\n    key: 1.2.3\n")
            result = run("check", path)
            self.assertEqual((result.returncode, result.stdout), (2, b""))
            self.assertIn(b"kdnetd.yaml:3:", result.stderr)
            self.assertEqual(run("check", path + ".absent").returncode, 2)
        self.assertEqual(run("check").returncode, 2)


if __name__ == "__main__":
    unittest.main()
