# SPDX-License-Identifier: Apache-2.0
"""Where the status is in a kernel: from symbol tables on disk, while the machine waits, and from what was remembered."""
import json
import signal

import harness

GUID, AGE = "4B444E45542D54415247455400000001", 1
STATUS_RVA = 0x3010
REAL = "22597D0B40394E23936F6A24C6C52D5B1"


class Symbols(harness.Case):
    def table(self, folder, symbols):
        """A symbol table in Volatility's format, of the simulated kernel."""
        place = folder / "ntkrnlmp.pdb"
        place.mkdir(parents=True, exist_ok=True)
        text = {"metadata": {"windows": {"pdb": {"GUID": GUID, "age": AGE, "database": "ntkrnlmp.pdb",
                                                 "machine_type": 34404}}},
                "symbols": {name: {"address": address} for name, address in symbols.items()},
                "user_types": {}, "enums": {}, "base_types": {}}
        (place / f"{GUID}-{AGE}.json").write_text(json.dumps(text))
        return folder

    def crash(self, daemon, count, *options):
        """A crash of one machine; returns all results so far, of which there are `count`."""
        machines = harness.Machines(self, daemon.listen[0], "1.2.3.4", "--status", "0xC000007F", *options,
                                    scenario="bugcheck")
        machines.wait()
        daemon.wait_event("crash_status", "web", count=count)
        results = daemon.events("web", "crash_status")
        self.check_events(results)
        return results

    def start(self, *options, state=None):
        env = {"STATE_DIRECTORY": str(state)} if state else None
        return harness.Daemon(self, "--target", "web=1.2.3.4", *options, rva=False, env=env)

    def place(self, name):
        place = self.folder / name
        place.mkdir()
        return place

    def test_a_table_on_disk_tells_where_the_status_is(self):
        store = self.table(self.place("store"), {"IopFinalCrashDumpStatus": STATUS_RVA, "KiBugCheckData": 0x3040})
        daemon = self.start("--symbols", store)
        first, last = self.crash(daemon, 2)
        self.assertEqual((first["status"], first["verdict"], first["source"]["from"]), ("0xFFFFFFFF", "not_started", "isf"))
        self.assertEqual((last["status"], last["verdict"], last["source"]["from"]), ("0xC000007F", "failed", "isf"))
        daemon.stop()

    def test_a_table_without_the_name_is_told_as_such(self):
        store = self.table(self.place("store"), {"KiBugCheckData": 0x3040})
        daemon = self.start("--symbols", store)
        first, last = self.crash(daemon, 2)
        self.assertEqual((first["verdict"], first["reason"], first["source"]["from"]),
                         ("not_started", "symbol_absent", "phase"))
        self.assertEqual((last["verdict"], last["reason"], last["status"]), ("unknown", "symbol_absent", None))
        daemon.stop()

    def test_a_kernel_without_symbols_is_told_with_what_was_tried(self):
        daemon = self.start("--symbols", self.place("empty"))
        last = self.crash(daemon, 2)[1]
        self.assertEqual((last["verdict"], last["reason"]), ("unknown", "no_symbols"))
        self.assertIn("has no file for this image", daemon.log_text())
        daemon.stop()

    def test_what_was_found_is_remembered_after_a_restart(self):
        store = self.table(self.place("store"), {"IopFinalCrashDumpStatus": STATUS_RVA})
        state = self.place("state")
        daemon = self.start("--symbols", store, state=state)
        self.crash(daemon, 2)
        daemon.stop()
        (store / "ntkrnlmp.pdb" / f"{GUID}-{AGE}.json").unlink()
        daemon = self.start("--symbols", store, state=state)
        last = self.crash(daemon, 2)[1]
        self.assertEqual((last["status"], last["source"]["from"]), ("0xC000007F", "isf"))
        daemon.stop()

    def test_the_configuration_goes_before_the_tables(self):
        store = self.table(self.place("store"), {"IopFinalCrashDumpStatus": 0x10})
        daemon = self.start("--symbols", store, "--rva", f"{GUID}{AGE}:IopFinalCrashDumpStatus=0x{STATUS_RVA:X}")
        last = self.crash(daemon, 2)[1]
        self.assertEqual((last["status"], last["source"]["from"]), ("0xC000007F", "rva"))
        daemon.stop()

    def test_a_reload_takes_up_new_places(self):
        store = self.table(self.place("store"), {"IopFinalCrashDumpStatus": STATUS_RVA})
        head = "targets: [ { name: web, key: 1.2.3.4 } ]\n"
        config = self.file("kdnetd.yaml", head)
        daemon = harness.Daemon(self, "--config", config, rva=False)
        self.assertEqual(self.crash(daemon, 2)[1]["reason"], "no_symbols")
        config.write_text(head + f"symbols: [ \"{store}\" ]\n")
        daemon.signal(signal.SIGHUP)
        daemon.wait_log("configuration read again")
        self.assertEqual(self.crash(daemon, 4)[3]["status"], "0xC000007F")
        daemon.stop()

    def test_a_real_kernels_table_has_no_such_name(self):
        if not (harness.DATA / "isf").is_dir():
            self.skipTest("no real symbol tables at " + str(harness.DATA / "isf"))
        daemon = self.start("--symbols", harness.DATA / "isf")
        self.assertEqual(self.crash(daemon, 2, "--guidage", REAL)[0]["reason"], "symbol_absent")
        daemon.stop()


if __name__ == "__main__":
    harness.main()
