#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each message that has an ID of its own in the Event Log occurs in the sources, at the begin of a text, and each message
about a listener has the listener's ID.

usage: check_messages.py TREE
"""
import pathlib
import re
import sys

TEXT = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
ROW = re.compile(r'\{"msg", "([^"]+)", (EVENT_\w+)\}')
LISTENER = re.compile(r"cannot listen|\blistener\b.* (opened|any more)|cannot be received here")


def main():
    tree = pathlib.Path(sys.argv[1])
    rows = ROW.findall((tree / "service/platform/windows/log_line.c").read_text())
    sources = [path for path in (tree / "service").rglob("*.c") if "platform/windows" not in str(path)]
    texts = {text for path in sources for text in TEXT.findall(path.read_text(encoding="utf-8"))}
    wrong = [f"no text of the sources begins with {begin!r} ({event})" for begin, event in rows
             if not any(text.startswith(begin) for text in texts)]
    own = [begin for begin, event in rows if event == "EVENT_LISTENER"]
    wrong += [f"{text!r} is about a listener, and has not its ID (log_line.c)" for text in sorted(texts)
              if LISTENER.match(text) and not any(text.startswith(begin) for begin in own)]
    if len(rows) < 10 or len(texts) < 1000:
        wrong.append(f"only {len(rows)} messages with an ID and {len(texts)} texts were found: this check is out of date")
    print("\n".join(wrong) or f"{len(rows)} messages, {len(texts)} texts")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
