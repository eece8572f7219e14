#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The includes of the sources point one way, and check_includes.py finds those that do not."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import check_includes  # noqa: E402

TREE = pathlib.Path(__file__).resolve().parents[2]


class Includes(unittest.TestCase):
    def test_the_tree_is_in_order(self):
        self.assertEqual(check_includes.check(TREE), [])

    def test_each_room_is_known(self):
        rooms = {check_includes.room_of(name) for name in check_includes.sources(TREE)}
        self.assertEqual(rooms - set(check_includes.ARROWS), set())

    def test_each_room_says_what_it_is_for(self):
        readmes = {room: f"{room}/README.md" for room in check_includes.ARROWS}
        readmes["kdnet/include"] = "kdnet/include/kdnet/README.md"
        self.assertEqual([path for path in readmes.values() if not (TREE / path).exists()], [])

    def planted(self, name, include):
        """The complaints when one more include stands in a file."""
        self.assertTrue((TREE / name).exists(), name)
        return check_includes.check(TREE, {name: f'\n#include "{include}"\n'})

    def test_an_include_that_points_up_is_found(self):
        complaints = self.planted("service/net/timers.c", "service/worker/worker.h")
        self.assertIn("service/net/timers.c includes service/worker/worker.h: service/net may not include "
                      "service/worker", complaints)
        self.assertTrue(any(c.startswith("rooms include each other in a circle") for c in complaints), complaints)

    def test_the_library_points_one_way(self):
        for name, include, room, other in (("kdnet/crypto/key.c", "kdnet/wire/packet.h", "kdnet/crypto", "kdnet/wire"),
                                           ("kdnet/base/error.c", "config/config.h", "kdnet/base", "config")):
            self.assertIn(f"{name} includes {include}: {room} may not include {other}", self.planted(name, include))

    def test_a_public_header_does_not_see_a_room(self):
        complaints = self.planted("kdnet/include/kdnet/key.h", "kdnet/crypto/crypto.h")
        self.assertIn("kdnet/include/kdnet/key.h includes kdnet/crypto/crypto.h: kdnet/include may not include "
                      "kdnet/crypto", complaints)

    def test_a_worker_does_not_see_the_server(self):
        self.assertEqual(len(self.planted("service/worker/route.c", "service/server/server.h")), 2)

    def test_a_circle_in_a_room_is_found(self):
        complaints = self.planted("service/worker/send.c", "service/worker/route.h")
        self.assertTrue(any("circle" in c and "service/worker/route" in c for c in complaints), complaints)

    def test_an_internal_header_stays_in_its_room(self):
        complaints = self.planted("service/server/server.c", "service/output/event_log_internal.h")
        self.assertEqual(complaints, ["service/server/server.c includes service/output/event_log_internal.h, which is "
                                      "for service/output alone"])


if __name__ == "__main__":
    unittest.main()
