# SPDX-License-Identifier: Apache-2.0
"""Not in ctest yet: data that no key opens, with the machine's own source address, for a second while the machine is
silent: kdnetd asks it to poke and makes a new session, where nothing should change."""
import unittest

import harness
import test_garbage


class Pending(test_garbage.Garbage):
    def test_old_data_from_the_machines_own_address_changes_nothing(self):
        self.replayed_from_its_own_address(harness.is_data)


def load_tests(loader, tests, pattern):
    return unittest.TestSuite([Pending("test_old_data_from_the_machines_own_address_changes_nothing")])


if __name__ == "__main__":
    harness.main()
