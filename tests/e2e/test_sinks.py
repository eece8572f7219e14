# SPDX-License-Identifier: Apache-2.0
"""Events that kdnetd sends on from its store (tests/sinks has the sinks by themselves)."""
import harness


class Sinks(harness.Case):
    def configure(self, text):
        self.file("kdnetd.yaml", "targets: [{name: a, key: 1.2.3.4}]\nhttp: none\nhttp_socket: none\ncollector: c1\n" + text)

    def test_without_a_store_it_is_said_that_nothing_is_sent(self):
        self.configure("store: none\nsinks: [{name: s, type: http, url: 'http://127.0.0.1:9/'}]\n")
        daemon = harness.Daemon(self, "--config", "kdnetd.yaml")
        daemon.wait_log("sinks: there is no store")
        daemon.stop()


if __name__ == "__main__":
    harness.main()
