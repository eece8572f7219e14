# SPDX-License-Identifier: Apache-2.0
"""KDNETD_SIGN: what is in the packages is signed by it, or is not; and a hook that fails makes no package."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import zipfile

from wine import TREE, expect, text

PACK = TREE / "service/platform/windows/build.sh"
PROGRAMS = ("kdnetd.exe", "kdnetctl.exe", "kdnet-target.exe")


def make_certificate(folder):
    done = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=kdnetd test",
                           "-addext", "extendedKeyUsage=codeSigning", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
                          capture_output=True, timeout=120)
    expect(done.returncode == 0, "openssl makes a certificate", done)


def make_hook(folder):
    """As docs/windows.md says: a script round osslsigncode, which signs in place."""
    hook = folder / "sign"
    hook.write_text(f'#!/bin/sh -e\nosslsigncode sign -certs "{folder}/cert.pem" -key "{folder}/key.pem" -h sha256 -in "$1" '
                    '-out "$1.signed"\nmv "$1.signed" "$1"\n')
    hook.chmod(0o755)
    return str(hook)


def pack(out, hook=None):
    out.mkdir(exist_ok=True)
    env = {k: v for k, v in os.environ.items() if k != "KDNETD_SIGN"} | ({"KDNETD_SIGN": hook} if hook else {})
    return subprocess.run([PACK, "pack", out], env=env, capture_output=True, timeout=300, stdin=subprocess.DEVNULL)


def made(out):
    return sorted(path.name for path in out.iterdir() if path.suffix in (".zip", ".msi"))


def programs_of(out):
    with zipfile.ZipFile(next(out.glob("*.zip"))) as package:
        return {pathlib.PurePosixPath(name).name: package.read(name) for name in package.namelist() if name.endswith(".exe")}


def verifies(folder, path):
    done = subprocess.run(["osslsigncode", "verify", "-CAfile", folder / "cert.pem", "-in", path], capture_output=True, timeout=60)
    return done.returncode == 0 and b"Succeeded" in done.stdout


def check_signed(folder, hook):
    out = folder / "signed"
    done = pack(out, hook)
    expect(done.returncode == 0 and len(made(out)) == 2, "packages are made with a hook", done)
    expect(verifies(folder, next(out.glob("*.msi"))), "the .msi verifies")
    programs = programs_of(out)
    expect(set(programs) == set(PROGRAMS), "the programs are in the .zip", str(set(programs)))
    for name, content in programs.items():
        path = folder / name
        path.write_bytes(content)
        expect(verifies(folder, path), f"{name} verifies")
        path.write_bytes(content[:4096] + bytes([content[4096] ^ 1]) + content[4097:])
        expect(not verifies(folder, path), f"{name} does not verify when a bit of it is another")


def without_time(program):
    """strip writes the time and a sum into the header."""
    header = int.from_bytes(program[0x3c:0x40], "little")
    changed = bytearray(program)
    for at in (header + 8, header + 24 + 64):
        changed[at:at + 4] = bytes(4)
    return bytes(changed)


def check_unsigned(folder):
    """Without a hook the packages have what was built, and nothing else."""
    out = folder / "unsigned"
    done = pack(out)
    expect(done.returncode == 0 and len(made(out)) == 2, "packages are made without a hook", done)
    expect(not verifies(folder, next(out.glob("*.msi"))), "the .msi has no signature")
    for name, content in programs_of(out).items():
        plain = folder / f"plain-{name}"
        subprocess.run(["x86_64-w64-mingw32-strip", "-o", plain, TREE / "build/windows" / name], check=True, timeout=60)
        expect(without_time(content) == without_time(plain.read_bytes()), f"{name} is what was built")


def check_failing(folder):
    programs_only = folder / "programs-only"
    programs_only.write_text('#!/bin/sh\ncase $1 in *.msi) exit 3 ;; esac\n')
    programs_only.chmod(0o755)
    hooks = {"false": "kdnetd.exe", f"{folder}/no-such-hook": "kdnetd.exe", str(programs_only): ".msi"}
    for number, (hook, name) in enumerate(hooks.items()):
        out = folder / f"failing-{number}"
        done = pack(out, hook)
        said = text(done)
        expect(done.returncode != 0 and made(out) == [], f"a hook that fails makes no package ({hook})", said + str(made(out)))
        expect("KDNETD_SIGN" in said and hook in said and "could not sign" in said and name in said, "it is named", said)


def check_signing(wine):
    for program in ("osslsigncode", "wixl", "zip", "openssl"):
        if not shutil.which(program):
            return f"left out: {program} is not there"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make_certificate(folder)
        check_failing(folder)
        check_unsigned(folder)
        check_signed(folder, make_hook(folder))
    return "signed programs and .msi verify; without a hook they are what was built; a hook that fails makes no package"
