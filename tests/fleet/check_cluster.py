#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Events to three servers of NATS whose leader is killed, then all of them: python3 check_cluster.py FEEDER."""
import sys
import threading
import time
import unittest

import feeding
import nats

COUNT = 3000


class Cluster(feeding.Case):
    def wait_ready(self, servers):
        """Until JetStream has a leader: it answers."""
        client = nats.Client(self, servers[0].port)
        nats.wait_until(lambda: (client.request("$JS.API.INFO", patience=1) or {"error": 1}).get("error") is None, "the servers find no leader")
        return client

    def wait_placing(self, client):
        try:
            nats.wait_until(lambda: nats.is_placing(client), "the servers place no stream of three replicas")
        except AssertionError as error:
            self.skipTest(f"nothing tested: {error}")

    def test_nothing_is_lost_while_the_leader_and_then_all_are_killed(self):
        servers = nats.cluster(self, self.folder)
        client = self.wait_ready(servers)
        self.wait_placing(client)
        feeder = feeding.Feeder(self, [one.url for one in servers])
        feeder.tell(feeding.event(0))
        feeder.wait_delivered(1)
        info = client.info()
        self.assertEqual(info["config"]["num_replicas"], 3)

        def tell():
            for n in range(1, COUNT):
                feeder.tell(feeding.event(n))
                time.sleep(0.001)

        teller = threading.Thread(target=tell)
        teller.start()
        nats.wait_until(lambda: feeder.counts()["delivered"] > COUNT // 10, lambda: feeder.counts())
        leader = next(one for one in servers if one.name == info["cluster"]["leader"])
        leader.kill()
        nats.wait_until(lambda: feeder.counts()["delivered"] > COUNT // 2, lambda: feeder.counts())
        for one in servers:
            one.kill()
        teller.join()
        for one in servers:
            one.start(wait=False)
        for one in servers:
            nats.wait_until(one.listens, f"{one.name} does not listen")
        feeder.wait_delivered(COUNT)
        self.check_ids(self.wait_ready(servers), {feeding.event(n)["id"] for n in range(COUNT)}, "leader killed, then all brokers",
                       feeder)
        self.assertEqual(feeder.counts()["rejected"], 0)


if __name__ == "__main__":
    nats.skip_without_server()
    feeding.FEEDER = sys.argv.pop(1)
    unittest.main(verbosity=2)
