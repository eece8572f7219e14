# SPDX-License-Identifier: Apache-2.0
"""Operator, accounts and users of NATS as JWTs that a test signs, by openssl; and the configuration of a server that knows them."""
import base64
import json
import pathlib
import subprocess
import tempfile
import time

PREFIX = {"operator": 14 << 3, "account": 0, "user": 20 << 3}
SEED = 18 << 3
PKCS8 = bytes.fromhex("302e020100300506032b657004220420")  # of an Ed25519 key, before its 32 bytes
ALL = {"subs": -1, "data": -1, "payload": -1}
ACCOUNT = {"imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}
JETSTREAM = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}


def checksum(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return crc.to_bytes(2, "little")


def text(data):
    return base64.b32encode(data + checksum(data)).decode().rstrip("=")


def url64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def openssl(*arguments, data=b""):
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


class Key:
    """A pair of keys as NATS writes them."""

    def __init__(self, kind):
        self.kind = kind
        self.private = openssl("genpkey", "-algorithm", "ed25519", "-outform", "DER")[-32:]
        public = openssl("pkey", "-inform", "DER", "-pubout", "-outform", "DER", data=PKCS8 + self.private)[-32:]
        self.public = text(bytes([PREFIX[kind]]) + public)
        self.seed = text(bytes([SEED | PREFIX[kind] >> 5, (PREFIX[kind] & 31) << 3]) + self.private)

    def sign(self, data):
        with tempfile.TemporaryDirectory() as folder:
            key, message = pathlib.Path(folder) / "key", pathlib.Path(folder) / "message"
            key.write_bytes(PKCS8 + self.private)
            message.write_bytes(data)
            return openssl("pkeyutl", "-sign", "-rawin", "-keyform", "DER", "-inkey", str(key), "-in", str(message))

    def claim(self, subject, more=None, ends=None):
        """A JWT of this issuer about another key."""
        claims = {"jti": subject.public, "iat": int(time.time()), "iss": self.public, "name": subject.kind, "sub": subject.public,
                  "nats": {**(more or {}), "type": subject.kind, "version": 2}, **({"exp": int(ends)} if ends else {})}
        signed = ".".join(url64(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "ed25519-nkey"}, claims))
        return f"{signed}.{url64(self.sign(signed.encode()))}"


def account(operator, streams=True):
    key = Key("account")
    return key, operator.claim(key, {"limits": {**ALL, **ACCOUNT, **(JETSTREAM if streams else {})}, "default_permissions": {"pub": {}, "sub": {}}})


def configuration(operator, system, accounts):
    """The lines of a server's configuration."""
    known = "\n".join(f"  {key.public}: {claim}" for key, claim in (system, *accounts))
    return f"operator: {operator.claim(operator)}\nsystem_account: {system[0].public}\nresolver: MEMORY\nresolver_preload {{\n{known}\n}}\n"


def credentials(issuer, ends=None, allow=None):
    """The text of a credentials file of a new user of the account."""
    user = Key("user")
    rights = {"pub": {"allow": allow} if allow else {}, "sub": {}}
    claim = issuer.claim(user, {**rights, **ALL}, ends)
    return (f"-----BEGIN NATS USER JWT-----\n{claim}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n")
