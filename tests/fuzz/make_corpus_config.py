#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the corpus of the configuration's fuzz targets, from scratch."""
from make_corpus import put

KEY = "29p34y6n3wd25.2q4f5zr37e3p3.12z8iq9y7jzb6.2cn6z43dvyrkt"
EVERYTHING = f"""\
listen: [ '192.0.2.7:50001', '[2001:db8::7]:50002' ]
targets:
- {{name: web-1, key: 8.8.8.8, key_old: [{KEY}, 9.9.9.9], address: '192.0.2.7:51111', strict: true, port: 50001}}
- name: web-2
  key: "{KEY[:-1]}1"
  policy: &held {{break: hold, bugcheck_second: reboot, hold_for: 1h}}
- {{name: web-3, key: 3.3.3.3, policy: *held}}
rva: [{{guidage: 3844dbb920174967BE7AA4A2C20430FA2, symbol: nt!IopFinalCrashDumpStatus, rva: 0xC35DE0}}]
symbols: [cache, 'srv*/a*https://symbols.example/']
reads: [{{name: blamed, at: 'nt!KiBugCheckDriver*', as: unicode, when: always, once: true}}]
default_reads: false
events: '-'
policy: {{shutdown: hold, prompt: hold}}
read_deadline: 500ms
lost_after: 10
hold_for: 7d
prints: true
log_level: debug
workers: 3
state: /s
store: none
retain: {{days: 7, size: 1GiB}}
http: none
http_socket: /s/k.sock
http_read: token
http_names: [a.example, b]
break_in: allowed
metrics_targets: true
"""
YAMLS = {
    "everything": EVERYTHING,
    "deep": "targets: " + "[" * 40,
    "deep_block": "- " * 40,
    "anchors": "".join(f"- &a{i} {i}\n" for i in range(60)),
    "bomb": "symbols: [&a [x, x], &b [*a, *a], &c [*b, *b], *c, *c]\n",
    "escapes": 'symbols: ["\\x31\\t\\u00e4", \'it\'\'s\', >-\n  folded\n  text\n]\n',
    "hidden": f"symbols: [HIDDEN0000000000, x]\ntargets: [{{name: a, key: {KEY}}}]\n",
    "tabs": "targets:\n\t- name: a\n",
    "two": "events: a\n---\nevents: b\n",
    "shapes": "listen: {a: b}\ntargets: x\npolicy: [a]\nnothing: 1\nevents:\n",
    "tags": "%TAG ! tag:example,2000:\n---\n!foo events: !!str a\n",
}
TARGETS = {
    "everything": f"# fleet\nweb-1 {KEY}\nweb-2 2.2.2.2 192.0.2.7:51111\r\n\tweb-3 3.3.3.3 2001:db8::7 # rack 4\n"
                  "web-4 4.4.4.4 key_old=5.5.5.5,6.6.6.6 strict=true port=50001\n",
    "swapped": "1.1.1.1 web-1\n",
    "too_much": "a 1.1.1.1 192.0.2.1 more words\n",
    "wrong": "a 1.1.1\nb$ 2.2.2.2\nc 3.3.3.3 host\nd\ne 5.5.5.5 port=0\n",
    "bom": "\ufeffa 1.1.1.1\n",
    "nul": "a 1.1.1.1 1\0.2\n",
    "mistyped": "a 1.1.1.1 strickt=true\nb 2.2.2.2 prot=1 192.0.2.1 keyold=x\nc 3.3.3.3 ort=x rack=b4 address=::1\n",
}


def main():
    for name, text in YAMLS.items():
        put("yaml", name, text.encode())
    for name, text in TARGETS.items():
        put("targets_file", name, text.encode())
    put("targets_file", "utf16", "a 1.1.1.1\n".encode("utf-16"))


if __name__ == "__main__":
    main()
