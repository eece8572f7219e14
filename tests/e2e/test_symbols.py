# SPDX-License-Identifier: Apache-2.0
"""Where the status is in a kernel: from symbol tables on disk, while the machine waits, and from what was remembered."""
import json
import signal
import time

import harness

GUID, AGE = "4B444E45542D54415247455400000001", 1
STATUS_RVA = 0x3010
REAL = "22597D0B40394E23936F6A24C6C52D5B1"
DRIVER_GUID = "4B444E45542D5441524745540000000D"
# Where the simulated kernel has what its debugger data and the usual reads name (service/kdnet-target/machine.h).
EVIDENCE = {"KdDebuggerDataBlock": 0x3100, "RtlpBreakWithStatusInstruction": 0x1500, "PsLoadedModuleList": 0x3500,
            "KiBugCheckData": 0x3040, "NtBuildLab": 0x2200, "IopAutoReboot": 0x3020, "CrashdmpInitialized": 0x3024,
            "CrashdmpDumpBlock": 0x3028, "KiBugCheckActive": 0x3030, "KiBugCheckDriver": 0x3038, "NtBuildLabEx": 0x2300,
            "KeBootTime": 0x3070, "KeNumberProcessors": 0x3078}
HERD = 200


class Symbols(harness.Case):
    def table(self, folder, symbols, pdb="ntkrnlmp.pdb", guid=GUID):
        """A symbol table in Volatility's format, of the simulated kernel or its driver."""
        place = folder / pdb
        place.mkdir(parents=True, exist_ok=True)
        text = {"metadata": {"windows": {"pdb": {"GUID": guid, "age": AGE, "database": pdb, "machine_type": 34404}}},
                "symbols": {name: {"address": address} for name, address in symbols.items()},
                "user_types": {}, "enums": {}, "base_types": {}}
        (place / f"{guid}-{AGE}.json").write_text(json.dumps(text))
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

    def test_the_symbol_path_of_windbg_is_taken(self):
        store = self.table(self.place("store"), {"IopFinalCrashDumpStatus": STATUS_RVA})
        daemon = harness.Daemon(self, "--target", "web=1.2.3.4", rva=False, env={"_NT_SYMBOL_PATH": f"/nowhere;srv*{store}"})
        self.assertEqual(self.crash(daemon, 2)[1]["source"]["from"], "isf")
        daemon.stop()

    def test_a_table_without_the_name_is_told_as_such(self):
        store = self.table(self.place("store"), {"KiBugCheckData": 0x3040})
        daemon = self.start("--symbols", store)
        first, last = self.crash(daemon, 2)
        self.assertEqual((first["verdict"], first["reason"], first["source"]["from"]),
                         ("not_started", "symbol_absent", "phase"))
        self.assertEqual((last["verdict"], last["reason"], last["status"]), ("unknown", "symbol_absent", None))
        daemon.stop()

    def test_without_the_name_the_rest_still_tells_of_the_dump(self):
        setup = {"KiBugCheckData": 0x3040, "CrashdmpDumpBlock": 0x3028, "CrashdmpImageBase": 0x3098,
                 "BcpLastProgressDisplayed": 0x30a0}
        daemon = self.start("--symbols", self.table(self.place("store"), setup))
        first, last = self.crash(daemon, 2, "--status", "0", "--cause", "0x1234")
        self.assertEqual({first["bucket"], last["bucket"]}, {"D1 faulty.sys+0x1234@5F3A1B2C"})
        self.assertEqual(first["cause"]["module"]["name"], "faulty.sys")
        self.assertIn("faulty.sys+0x1234", first["stack"])
        self.assertEqual((last["verdict"], last["reason"]), ("unknown", "symbol_absent"))
        self.assertEqual((last["assessment"]["likely"], last["assessment"]["strength"]), ("written", "strong"))
        self.assertEqual(last["evidence"]["dump_progress"], "0x00000064")
        first, last = self.crash(daemon, 4, "--no-dump")[2:]
        self.assertEqual((first["verdict"], first["assessment"]), ("not_started", None))
        self.assertEqual((last["verdict"], last["source"]["from"], last["assessment"]), ("not_started", "dump_block", None))
        last = self.crash(daemon, 6, "--status", "0", "--dump-log")[-1]
        self.assertEqual((last["verdict"], last["source"]["from"], last["dump_log"]), ("written", "dump_log", "found"))
        self.assertEqual(last["evidence"]["dump_log"]["last_line"], "Dump completed successfully.")
        daemon.stop()

    def test_frames_have_the_names_that_tables_on_disk_give(self):
        store = self.table(self.place("store"), {"KiBugCheckData": 0x3040, "KiExample": 0x1600})
        self.table(store, {"FaultyRead": 0x1200}, pdb="faulty.pdb", guid=DRIVER_GUID)
        daemon = self.start("--symbols", store)
        wanted = {"ntoskrnl.exe!KiExample+0x100", "faulty.sys!FaultyRead+0x34"}
        for crashes in range(1, 6):  # nobody waits for names: the next machine has them
            first = self.crash(daemon, 2 * crashes, "--cause", "0x1234")[2 * crashes - 2]
            if wanted <= set(first["stack"]):
                break
        self.assertLessEqual(wanted, set(first["stack"]))
        self.assertEqual(first["cause"]["place"], "faulty.sys!FaultyRead+0x34")
        self.assertEqual(first["cause"]["module"]["pdb"], {"name": "faulty.pdb", "guid": DRIVER_GUID, "age": AGE})
        self.assertEqual(first["bucket"], "D1 faulty.sys+0x1234@5F3A1B2C")  # the same, whatever is known
        daemon.stop()

    def test_a_kernel_without_symbols_is_told_with_what_was_tried(self):
        daemon = self.start("--symbols", self.place("empty"))
        last = self.crash(daemon, 2)[1]
        self.assertEqual((last["verdict"], last["reason"]), ("unknown", "no_symbols"))
        self.assertIn("has no file for this image", last["tried"])
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

    def test_a_changed_line_of_the_cache_file_is_told_and_not_believed(self):
        store = self.table(self.place("store"), {"IopFinalCrashDumpStatus": STATUS_RVA})
        state = self.place("state")
        daemon = self.start("--symbols", store, state=state)
        self.crash(daemon, 2)
        daemon.stop()
        (store / "ntkrnlmp.pdb" / f"{GUID}-{AGE}.json").unlink()
        cache = state / "symbols.cache"
        whole = cache.read_text()
        self.assertIn(f"IopFinalCrashDumpStatus 0x{STATUS_RVA:x} ", whole)
        cut = "".join(" ".join(line.split(" ")[:-1]) + "\n" for line in whole.splitlines())  # as an older kdnetd wrote it
        changed = whole.replace(f"0x{STATUS_RVA:x} ", f"0x{STATUS_RVA ^ 0x40:x} ")
        for text, log in ((changed, "lines are damaged"), (cut, "lines without a checksum")):
            cache.write_text(text)
            daemon = self.start("--symbols", store, state=state)
            last = self.crash(daemon, 2)[1]
            self.assertEqual((last["verdict"], last["reason"]), ("unknown", "no_symbols"))
            daemon.wait_log(log)
            daemon.stop()

    def test_reloads_lose_no_status_of_machines_that_are_read(self):
        store = self.table(self.place("store"), {"IopFinalCrashDumpStatus": STATUS_RVA})
        config = self.file("kdnetd.yaml", f"symbols: [ \"{store}\" ]\ntargets:\n" + "".join(
            f"  - {{ name: t{i}, key: 1.2.3.{i + 1:x} }}\n" for i in range(9)))
        daemon = harness.Daemon(self, "--config", config, rva=False, env={"STATE_DIRECTORY": str(self.place("state"))})
        for round in range(4):
            crowd = [harness.Machines(self, daemon.listen[0], f"1.2.3.{i + 1:x}", "--status", "0xC000007F",
                                      scenario="bugcheck") for i in range(9)]
            for _ in range(3):
                daemon.signal(signal.SIGHUP)
                time.sleep(0.05)
            for machines in crowd:
                machines.wait()
            for i in range(9):
                daemon.wait_event("crash_status", f"t{i}", count=2 * round + 2)
        for i in range(9):
            reasons = {event["reason"] for event in daemon.events(f"t{i}", "crash_status")}
            self.assertNotIn("no_symbols", reasons)
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

    def test_a_crash_is_told_with_its_evidence(self):
        store = self.table(self.place("store"), dict(EVIDENCE, IopFinalCrashDumpStatus=STATUS_RVA))
        self.table(store, {"FaultyState": 0x900}, "faulty.pdb", DRIVER_GUID)
        config = self.file("kdnetd.yaml", "targets: [ { name: web, key: 1.2.3.4 } ]\n"
                           f"symbols: [ \"{store}\" ]\n"
                           "reads:\n- { name: faulty_state, at: faulty!FaultyState }\n"
                           "- { name: nowhere, at: missing!Anything }\n"
                           "- { name: bugcheck_active, at: nt!KiBugCheckActive, as: 1 }\n")
        daemon = harness.Daemon(self, "--config", config, rva=False)
        results = self.crash(daemon, 2)
        for result in results:
            evidence, unknown = result["evidence"], result["evidence_unknown"]
            for name, value in {"auto_reboot": "0x00000001", "dump_initialized": "0x01", "bugcheck_active": "0x01",
                                "bugcheck_driver": "faulty.sys", "boot_time": "0x01DB3C0A12345678", "processors": "0x04",
                                "build_lab_ex": "20348.288.amd64fre.fe_release.210507-1500-ex"}.items():
                self.assertEqual(evidence.get(name), value, (name, result))
            self.assertEqual(unknown["nowhere"], "no_module")
            self.assertEqual(unknown["global_flag"], "symbol_absent")
            self.assertIsNone(result["tried"])
        # A driver's symbols are looked up when it is found; no machine waits for that, so a later break has them.
        for count in range(4, 20, 2):
            if results[-1]["evidence"].get("faulty_state"):
                break
            self.assertEqual(results[-1]["evidence_unknown"]["faulty_state"], "pending")
            results = self.crash(daemon, count)
        self.assertEqual(results[-1]["evidence"]["faulty_state"], "0x0BADF00D")
        daemon.stop()

    def test_a_herd_of_one_kernel_causes_one_look_up(self):
        store = self.table(self.place("store"), dict(EVIDENCE, IopFinalCrashDumpStatus=STATUS_RVA))
        targets = harness.Machines(self, "127.0.0.1:1", "1.2.3.4", "--count", HERD, "--print-targets")
        self.assertEqual(targets.process.wait(harness.PATIENCE), 0)
        self.file("targets", targets.text())
        config = self.file("kdnetd.yaml", f"targets_file: targets\nsymbols: [ \"{store}\" ]\n")
        daemon = harness.Daemon(self, "--config", config, rva=False)
        herd = harness.Machines(self, daemon.listen[0], "1.2.3.4", "--count", HERD, "--status", "0xC000007F",
                                scenario="bugcheck")
        requests = sorted(summary["requests"] for summary in herd.wait())
        results = [event for event in daemon.stop() if event["event"] == "crash_status"]
        self.check_events(results)
        self.assertEqual(len(results), 2 * HERD)
        self.assertEqual({result["evidence"]["bugcheck_driver"] for result in results}, {"faulty.sys"})
        self.assertEqual(sum("msg=\"symbol" in line for line in daemon.log_text().splitlines()), 1, daemon.log_text())
        print(f"\n{HERD} machines: {requests[0]} to {requests[-1]} requests each; a known kernel saves its identity reads")

    def test_symbols_of_a_kernel_are_looked_up_when_it_starts(self):
        store = self.table(self.place("store"), dict(EVIDENCE, IopFinalCrashDumpStatus=STATUS_RVA))
        daemon = self.start("--symbols", store)
        machines = harness.Machines(self, daemon.listen[0], "1.2.3.4", scenario="boot")
        machines.wait()
        daemon.wait_log("symbol found")
        self.assertEqual([event["pdb"]["guid"] for event in daemon.events("web", "kernel")], [GUID])
        self.assertEqual(daemon.events("web", "crash_status"), [])
        daemon.stop()

    def test_a_kernel_that_is_known_again_costs_no_identity_reads(self):
        store = self.table(self.place("store"), dict(EVIDENCE, IopFinalCrashDumpStatus=STATUS_RVA))
        daemon = self.start("--symbols", store, "--log-level", "debug")
        self.crash(daemon, 2)
        self.assertNotIn("known again", daemon.log_text())
        results = self.crash(daemon, 4)
        daemon.wait_log("kernel is known again")
        self.assertEqual([result["status"] for result in results], ["0xFFFFFFFF", "0xC000007F"] * 2)
        self.assertEqual(len({event["pdb"]["guid"] for event in daemon.events("web", "kernel")}), 1)
        daemon.stop()

    def test_a_real_kernels_table_has_no_such_name(self):
        if not (harness.DATA / "isf").is_dir():
            self.skipTest("no real symbol tables at " + str(harness.DATA / "isf"))
        daemon = self.start("--symbols", harness.DATA / "isf")
        self.assertEqual(self.crash(daemon, 2, "--guidage", REAL)[0]["reason"], "symbol_absent")
        daemon.stop()


if __name__ == "__main__":
    harness.main(at_once=4)
