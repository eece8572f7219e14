# SPDX-License-Identifier: Apache-2.0
"""What a fault cost: a line of JSON for each into the file $KDNETD_FLEET_REPORT, where play.py reads it; a line for people, too."""
import datetime
import json
import os
import sys


def tell(fault, lost=None, doubled=None, halt_ms=None, gap_ms=None, **more):
    """lost: results or events that the stream lacks; doubled: ids that it has more than once; halt_ms: how long the machine
    stood still that stood longest; gap_ms: the longest time from an event to its place in the stream. None: this fault has none."""
    row = {"fault": fault, "lost": lost, "doubled": doubled, "halt_ms": halt_ms, "gap_ms": gap_ms, **more}
    words = ", ".join(f"{name} {value}" for name, value in row.items() if name != "fault" and value is not None)
    sys.stderr.write(f"{fault}: {words}\n")
    if os.environ.get("KDNETD_FLEET_REPORT"):
        with open(os.environ["KDNETD_FLEET_REPORT"], "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def seconds(text):
    """RFC 3339 in UTC, with as many digits as a writer likes (nats-server: nine), in seconds since 1970."""
    whole, _, rest = text.rstrip("Z").partition(".")
    moment = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc)
    return moment.timestamp() + float(f"0.{rest or 0}")


def gap_ms(taken, told):
    """taken: the first time of each id in the stream; told: when each event was; both in seconds by id."""
    return round(1000 * max((taken[id] - told[id] for id in told if id in taken), default=0))
