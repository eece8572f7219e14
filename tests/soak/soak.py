# SPDX-License-Identifier: Apache-2.0
"""Harmless, from outside: each crash gives its result and each machine goes on, whatever the network does.

    soak.py short [CASE]...   a part of it, in a minute
    soak.py long [CASE]...    all of it; nothing without KDNETD_SOAK=1

CASE: only those whose title contains it. One line a case. Environment: KDNETD_SOAK_SEED, KDNETD_SOAK_KEEP=FOLDER
(captures, logs and results stay there).
"""
import os
import sys
import threading
import time

import matrix
import restarts
from network import SEED

SKIPPED = 77
AT_ONCE = {"short": 11, "long": 3}  # in short, they wait more than they do


def run_all(jobs, at_once):
    """Returns what is wrong, a line a case."""
    waiting, wrong, lock = list(jobs), [], threading.Lock()

    def work():
        while True:
            with lock:
                if not waiting:
                    return
                title, job = waiting.pop(0)
            begun = time.monotonic()
            try:
                line, mistakes = job()
            except Exception as error:  # of any kind: the other cases go on
                line, mistakes = "", [f"{type(error).__name__}: {str(error)[:2000]}"]
            with lock:
                print(f"{'FAIL' if mistakes else 'ok':4} {title}: {line}; {time.monotonic() - begun:.0f} s", flush=True)
                for mistake in mistakes[:8]:
                    print(f"       {mistake}", flush=True)
                if mistakes:
                    wrong.append(f"{title}: {len(mistakes)}")

    threads = [threading.Thread(target=work) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def main():
    part, only = (sys.argv[1:2] or ["short"])[0], sys.argv[2:]
    if part == "long" and not os.environ.get("KDNETD_SOAK"):
        print("the long part runs with KDNETD_SOAK=1")
        return SKIPPED
    print(f"seed {SEED}", flush=True)
    begun = time.monotonic()
    first, others = (a + b for a, b in zip(matrix.jobs(part), restarts.jobs(part)))
    chosen = [job for job in others if not only or any(text in job[0] for text in only)]
    wrong = run_all(first, len(first)) + run_all(chosen, AT_ONCE[part])
    print(f"{time.monotonic() - begun:.0f} s; " + (f"wrong: {'; '.join(wrong)}" if wrong else "all well"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
