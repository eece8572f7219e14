# SPDX-License-Identifier: Apache-2.0
"""The symbol server client against a server on loopback that behaves as the first part of the path says.

usage: test_server.py DRIVER curl|offline [unittest arguments]
Each case: the result, its deadline, what is in the store, and how often the server was asked, then and again.
"""
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
import unittest

from asking import DAY, OFFLINE, OTHER, PATIENCE, START, Case, Driver
from misbehaving import CABINET, GUIDAGE, NAME, PACKED, PDB, Server, checked, make_pdb


class Anywhere(Case):
    """What needs no server, and so no libcurl."""

    def test_the_store_answers_first(self):
        for name, content in ((NAME, PDB), (PACKED, CABINET)):
            with self.subTest(name):
                shutil.rmtree(self.store, ignore_errors=True)
                path = self.store / NAME / GUIDAGE / name
                path.parent.mkdir(parents=True)
                path.write_bytes(content)
                self.check_ok(self.driver("error").fetch(), name, content)
                self.assertEqual(self.server.files(), [])

    def test_names_that_are_none_are_refused_and_leave_nothing(self):
        driver = self.driver("good")
        names = ["..", "../x.pdb", "a/b.pdb", "a\\b.pdb", ".hidden.pdb", "-x.pdb", "x", "x.", "nt krnl.pdb", "n%74.pdb",
                 "x" * 124 + ".pdb", "ntkrnlm\xf6.pdb"]
        ids = ["..", "../../x", "8E3373D6", GUIDAGE + "/..", GUIDAGE + "G", "8" * 41, "8E3373D6-124E-747F"]
        before = sorted(self.folder.rglob("*"))
        for name, guidage in [(name, GUIDAGE) for name in names] + [(NAME, guidage) for guidage in ids]:
            with self.subTest(name=name, guidage=guidage):
                self.check_not(driver.fetch(name, guidage), "refused", "not the name and GUID")
        self.assertEqual(sorted(self.folder.rglob("*")), before)
        self.assertEqual(self.server.files(), [])

    def test_a_pointer_in_the_store_is_refused(self):
        path = self.store / NAME / GUIDAGE / "file.ptr"
        path.parent.mkdir(parents=True)
        path.write_text("PATH:\\\\server\\share\\x.pdb")
        result, _, reason = self.driver("good").fetch()
        self.assertEqual(result, "refused")
        self.assertIn("file.ptr", reason)
        self.assertEqual(self.server.files(), [])

    def test_urls_that_are_none_are_refused_at_the_start(self):
        for url in ("ftp://x/y", "file:///etc", "http://", "http:///x", "http://u:secret@x/", "http://x/?a",
                    "http://x/ y", "http://" + "x" * 2000):
            with self.subTest(url):
                driver = Driver(directory=self.store, url=url)
                self.assertTrue(driver.first.startswith("init\t\tsymbol server"), driver.first)
                self.assertNotIn("secret", driver.first)
                self.assertEqual(driver.end(), (1, ""))

    def test_a_store_that_cannot_be_made_is_said_at_the_start(self):
        (self.folder / "above").write_text("a file")
        driver = Driver(directory=self.store, url="http://127.0.0.1/x")
        self.assertRegex(driver.first, "cannot be made: .")
        self.assertEqual(driver.end(), (1, ""))

    def test_old_partial_files_go_and_all_others_stay(self):
        partial = self.store / ".kdnetd-partial"
        partial.mkdir(parents=True)
        dead = subprocess.Popen(["true"])
        dead.wait()
        names = [f"{dead.pid}-0badcafe-1", f"{os.getpid()}-0badcafe-1", f"{os.getpid()}-0badcafe-2", "strange", "old"]
        for name in names:
            (partial / name).write_bytes(PDB[:100])
        for name in (names[2], "old"):
            os.utime(partial / name, (START, START))
        self.driver("good")  # another computer that shares the store may have any process: only age tells
        self.assertEqual(self.partials(), sorted([names[0], names[1], "strange"]))

    @unittest.skipUnless(OFFLINE, "this build has libcurl")
    def test_without_libcurl_the_reason_says_so(self):
        self.check_not(self.driver("good").fetch(), "unavailable", "without libcurl")


@unittest.skipIf(OFFLINE, "this build has no libcurl")
class Answers(Case):
    def test_a_pdb_comes_into_the_store_and_is_asked_once(self):
        driver = self.driver("good")
        self.check_ok(driver.fetch())
        agent = self.server.asked[0][1]["User-Agent"]
        self.assertRegex(agent, r"^Microsoft-Symbol-Server/10\.0 kdnetd/\d")
        self.assertEqual(self.server.files(), [NAME])
        self.check_ok(driver.fetch())
        self.check_ok(self.driver("error").fetch())
        self.assertEqual(self.server.files(), [])

    def test_a_compressed_file_is_kept_as_it_was_served(self):
        driver = self.driver("packed")
        self.check_ok(driver.fetch(), PACKED, CABINET)
        self.assertEqual(self.server.files(), [NAME, PACKED])
        self.check_ok(driver.fetch(), PACKED, CABINET)
        self.assertEqual(self.server.files(), [])

    def test_the_content_decides_the_name(self):
        self.check_ok(self.driver("cabinet_as_plain").fetch(), PACKED, CABINET)
        shutil.rmtree(self.store)
        self.check_ok(self.driver("pdb_as_packed").fetch())

    def test_a_form_that_is_denied_does_not_hide_the_other(self):
        for behaviour in ("gone_then_packed", "garbage_then_packed"):
            with self.subTest(behaviour):
                self.check_ok(self.driver(behaviour).fetch(), PACKED, CABINET)
                shutil.rmtree(self.store)

    def test_a_slash_after_the_url_is_no_part_of_it(self):
        self.check_ok(self.driver(url=self.server.at("good") + "//").fetch())
        self.assertEqual(self.server.asked[0][0], f"/good/{NAME}/{GUIDAGE}/{NAME}")

    def test_a_404_is_believed_for_a_day_by_later_processes_too(self):
        driver = self.driver("missing")
        answer = driver.fetch()
        self.check_not(answer, "not_found", "404")
        self.assertEqual(self.server.files(), [NAME, PACKED, "file.ptr"])
        self.check_remembered(driver, answer, DAY)
        self.assertEqual(driver.fetch(guidage=OTHER)[0], "not_found")  # the server is not to blame
        self.assertEqual(len(self.server.files()), 3)
        lines = (self.store / ".kdnetd-negative").read_text().splitlines()
        url = self.server.at("missing")
        self.assertEqual(lines, [checked(f"{START} {NAME} {guidage} {url}") for guidage in (GUIDAGE, OTHER)])

        later = self.driver("missing", now=START + DAY - 1)
        self.check_not(later.fetch(), "not_found", "404|no such file.*again in 1 s")
        self.assertEqual(self.server.files(), [])
        self.check_ok(self.driver("good").fetch())  # what one server has not, another may have
        shutil.rmtree(self.store / NAME)
        self.assertEqual(self.server.files(), [NAME])
        later.ask("advance", 1)
        self.check_not(later.fetch(), "not_found", "404")
        self.assertEqual(len(self.server.files()), 3)

    def test_a_clock_that_was_set_back_is_not_believed(self):
        self.driver("missing").fetch()
        self.server.files()
        self.driver("missing", now=START - 100).fetch()
        self.assertEqual(len(self.server.files()), 3)
        driver = self.driver("error")
        driver.fetch()
        driver.ask("advance", -100)
        driver.fetch()
        self.assertEqual(self.server.files(), [NAME, NAME])

    def test_a_pointer_is_refused_and_a_message_is_a_miss(self):
        self.check_not(self.driver("pointer").fetch(), "refused", "file.ptr: points to a path elsewhere")
        self.check_not(self.driver("message").fetch(), "not_found", "404")

    def test_files_of_the_store_that_are_broken_are_replaced(self):
        path = self.store / NAME / GUIDAGE / NAME
        path.parent.mkdir(parents=True)
        path.write_bytes(PDB[:5000])
        self.check_ok(self.driver("good").fetch())

    def test_redirects_are_followed_a_few_times_and_by_http_only(self):
        self.check_ok(self.driver("moved").fetch())
        shutil.rmtree(self.store)
        for behaviour, pattern in (("loop", "redirects"), ("moved_to_file", "not supported|disabled"),
                                   ("moved_to_ftp", "not supported|disabled")):
            with self.subTest(behaviour):
                driver = self.driver(behaviour)
                self.server.files()
                answer = driver.fetch()
                self.check_not(answer, "refused", pattern)
                self.assertLessEqual(len(self.server.files()), 3 * 6)
                self.check_remembered(driver, answer, 10)

    def test_a_proxy_of_the_environment_is_used(self):
        driver = self.driver(url="http://symbols.invalid/good", environment={"http_proxy": self.server.at("")})
        self.check_ok(driver.fetch())
        self.assertEqual(self.server.asked[0][0], f"http://symbols.invalid/good/{NAME}/{GUIDAGE}/{NAME}")


@unittest.skipIf(OFFLINE, "this build has no libcurl")
class Failures(Case):
    def check_failure(self, behaviour, result, pattern, deadline, asked, seconds=10, **settings):
        driver = self.driver(behaviour, **settings)
        answer = driver.fetch(deadline=deadline)
        self.check_not(answer, result, pattern)
        self.assertEqual(self.server.files(), asked)
        self.check_remembered(driver, answer, seconds)
        return driver

    def test_a_server_error_is_asked_again_after_a_while(self):
        driver = self.check_failure("error", "unavailable", "answered 500", 5, [NAME])
        for wait in (10, 20, 40, 80, 160, 320, 600, 600):
            with self.subTest(wait=wait):
                driver.ask("advance", wait - 1)
                self.assertRegex(driver.fetch()[2], "again in 1 s")
                self.assertEqual(self.server.files(), [])
                driver.ask("advance", 1)
                driver.fetch()
                self.assertEqual(self.server.files(), [NAME])

    def test_a_busy_server_says_how_long(self):
        self.check_failure("busy", "unavailable", "answered 503", 5, [NAME], seconds=120)

    def test_a_server_that_cannot_be_reached_is_left_alone_for_all_its_files(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            driver = Driver(directory=self.store, url=f"http://127.0.0.1:{free.getsockname()[1]}")
            self.assertEqual(driver.fetch()[0], "unavailable")
            result, _, reason = driver.fetch(guidage=OTHER)
        self.assertEqual(result, "unavailable")
        self.assertIn(GUIDAGE, reason)
        self.assertIn("asked again in 10 s", reason)

    def test_a_file_that_fails_takes_no_other_along(self):
        driver = self.check_failure("error", "unavailable", "500", 5, [NAME])
        self.assertEqual(driver.fetch(guidage=OTHER)[0], "unavailable")
        self.assertEqual(self.server.files(), [NAME])  # it was asked

    def test_one_bad_file_does_not_take_the_others_along(self):
        driver = self.driver("once_broken")
        driver.fetch()
        driver.ask("advance", 10)
        driver.fetch()
        self.assertEqual(self.server.files(), [NAME, NAME])
        self.check_ok(driver.fetch(guidage=OTHER), guidage=OTHER)
        driver.ask("advance", 20)
        driver.fetch()
        driver.ask("advance", 10)  # the file's third failure: 40 s
        self.server.files()
        self.assertRegex(driver.fetch()[2], "again in 30 s")
        self.assertEqual(self.server.files(), [])
        self.check_ok(driver.fetch(guidage="0" * 33), guidage="0" * 33)

    def test_forbidden_is_refused_for_this_file_only(self):
        driver = self.check_failure("forbidden", "refused", "answered 403", 5, [NAME, PACKED, "file.ptr"])
        driver.fetch(guidage=OTHER)
        self.assertEqual(len(self.server.files()), 3)

    def test_a_slow_server_is_given_up(self):
        self.check_failure("drip", "unavailable", "too slow", 6, [NAME], low_speed_seconds=1)

    def test_a_fetch_ends_in_its_time(self):
        self.check_failure("drip", "unavailable", "(?i)timed? ?out", 4, [NAME], total_timeout_ms=1500)
        self.server.files()
        shutil.rmtree(self.store)
        self.check_failure("silence", "unavailable", "(?i)timed? ?out", 4, [NAME], total_timeout_ms=1000)

    def test_half_a_file_is_no_file(self):
        self.check_failure("half", "unavailable", r"ended after \d+ bytes, before the whole file", 5, [NAME])
        self.check_failure("half_unannounced", "unavailable", f"ended after {len(PDB) // 2} bytes", 5, [NAME])
        self.check_failure("half_cabinet", "unavailable", "ended after", 5, [NAME, PACKED])
        self.check_failure("almost", "unavailable", "no whole PDB", 5, [NAME])

    def test_garbage_is_refused(self):
        all_forms = [NAME, PACKED, "file.ptr"]
        self.check_failure("garbage", "refused", f"{NAME}: .*neither a PDB nor a cabinet", 5, all_forms)
        self.check_failure("empty", "refused", "after 0 bytes", 5, all_forms)

    def test_a_flood_is_stopped_before_it_costs(self):
        self.check_failure("huge", "refused", "larger than the size limit of 536870912", 6, [NAME, PACKED, "file.ptr"])
        self.check_failure("zeros", "refused", "neither a PDB nor a cabinet", 6, [NAME, PACKED, "file.ptr"])
        self.server.sent = 0
        self.check_failure("endless", "refused", "larger than the size limit of 3000000 bytes", 8,
                           [NAME, PACKED, "file.ptr"], size_limit=3000000)
        self.assertLess(self.server.sent, 60 << 20)  # what the sockets swallowed besides

    def test_nobody_listens(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{unused.getsockname()[1]}/x"
            driver = self.driver(url=url)
            answer = driver.fetch()
            self.check_not(answer, "unavailable", "(?i)connect")
            self.check_remembered(driver, answer, 10)

    def test_a_store_that_cannot_be_written_is_said(self):
        driver = self.driver("good")
        (self.store / ".kdnetd-partial").write_text("in the way")
        self.check_not(driver.fetch(), "unavailable", "cannot write to the store .*: .")
        (self.store / ".kdnetd-partial").unlink()
        self.check_ok(driver.fetch(guidage=OTHER), guidage=OTHER)  # not the server's fault

    def test_no_part_of_a_file_is_ever_seen(self):
        driver = self.driver("drip")
        driver.tell("start", NAME, GUIDAGE)
        self.wait_for_partial()
        self.assertEqual(self.stored(), [])
        driver.process.kill()
        driver.process.communicate()
        self.assertEqual(len(self.partials()), 1)
        for partial in (self.store / ".kdnetd-partial").iterdir():
            os.utime(partial, (START, START))
        self.driver("good")  # a start a day later removes it
        self.assertEqual(self.partials(), [])

    def wait_for_partial(self):
        deadline = time.monotonic() + PATIENCE
        while not self.partials():
            self.assertLess(time.monotonic(), deadline, "no download began")
            time.sleep(0.02)

    def test_stop_ends_a_download_soon_and_asks_no_more(self):
        driver = self.driver("drip")
        driver.tell("start", NAME, GUIDAGE)
        self.wait_for_partial()
        self.assertEqual(driver.ask("stop"), "ok")
        self.check_not(driver.ask("join", deadline=4).split("\t"), "unavailable", "abort")
        self.server.files()
        self.check_not(driver.fetch(guidage=OTHER), "unavailable", "stopping")
        self.assertEqual(self.server.files(), [])


@unittest.skipIf("KDNETD_DEAF" not in os.environ, "this libcurl waits for its threads")
class Names(Case):
    """The server's name is searched for, and the search never ends."""

    def driver(self, **settings):
        deaf = {"LD_PRELOAD": os.environ["KDNETD_DEAF"],
                "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "detect_leaks=1") + ":verify_asan_link_order=0"}
        return super().driver(url="http://symbols.example.net", environment=deaf, **settings)

    def test_time_is_over(self):
        self.check_not(self.driver(total_timeout_ms=1000).fetch(), "unavailable", "symbols.example.net")

    def test_stop(self):
        driver = self.driver()
        driver.tell("start", NAME, GUIDAGE)
        self.assertEqual(driver.ask("stop"), "ok")
        self.check_not(driver.ask("join").split("\t"), "unavailable", "abort|stopping")


@unittest.skipIf(OFFLINE, "this build has no libcurl")
class Threads(Case):
    def many(self, driver, count=32):
        driver.tell("many", count, NAME, GUIDAGE)
        return [driver.line(PATIENCE).split("\t") for _ in range(count)]

    def test_one_file_is_downloaded_once_for_all(self):
        for answer in self.many(self.driver("late")):
            self.check_ok(answer)
        self.assertEqual(self.server.files(), [NAME])

    def test_one_miss_serves_all(self):
        for answer in self.many(self.driver("late_missing")):
            self.check_not(answer, "not_found", "no such file")
        self.assertEqual(self.server.files(), [NAME, PACKED, "file.ptr"])


@unittest.skipIf(OFFLINE, "this build has no libcurl")
class NegativeFile(Case):
    def test_it_is_cleaned_and_bounded(self):
        url = self.server.at("good")
        self.store.mkdir(parents=True)
        file = self.store / ".kdnetd-negative"
        good = checked(f"{START - 10} {NAME} {GUIDAGE} {url}")
        other = checked(f"{START - 10} {NAME} {GUIDAGE} http://other/")
        bad = ["", "x", f"{START - DAY} {NAME} {OTHER} {url}", f"{START + 5} {NAME} {OTHER} {url}",
               f"{START - 9} ../x.pdb {OTHER} {url}", f"{START - 9}x {NAME} {OTHER} {url}",
               f"{START - 9} {NAME} {OTHER}",
               f"99999999999999999999 {NAME} {OTHER} {url}", f"{START - 9} {NAME} {OTHER} {url} more",
               f"{START - 9} {NAME} {OTHER} http://{'x' * 100000}", "\0" * 1000]
        bad = [checked(line) for line in bad] + [f"{START - 10} {NAME} {OTHER} {url}",
                                                 good.replace(GUIDAGE, OTHER)]  # an old one; a changed one
        file.write_text("\n".join(bad[:5] + [other, good] + bad[5:]) + "\n")
        driver = self.driver("good")
        self.assertEqual(file.read_text().splitlines(), [other, good])
        self.check_not(driver.fetch(), "not_found", f"{GUIDAGE}: the server has no such file.*again in {DAY - 10} s")
        self.assertEqual(self.server.files(), [])
        self.check_ok(driver.fetch(guidage=OTHER), guidage=OTHER)

        lines = [checked(f"{START - 20000 + i} {NAME} {i:033X} {url}") for i in range(20000)]
        file.write_text("\n".join(lines) + "\n")
        driver = self.driver("good")
        kept = file.read_text().splitlines()
        self.assertLess(file.stat().st_size, 1 << 20)
        self.assertEqual(kept, lines[-len(kept):])
        self.server.files()
        self.assertEqual(driver.fetch(guidage=f"{19999:033X}")[0], "not_found")
        self.assertEqual(self.server.files(), [])
        self.check_ok(driver.fetch(guidage=f"{0:033X}"), guidage=f"{0:033X}")


@unittest.skipIf(OFFLINE, "this build has no libcurl")
@unittest.skipIf(shutil.which("openssl") is None, "openssl is not there to make a certificate")
class Https(Case):
    def setUp(self):
        super().setUp()
        self.certificate = self.folder / "certificate.pem"
        key = self.folder / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-keyout", key, "-out", self.certificate, "-days", "2", "-subj", "/CN=test",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.plain = self.server
        self.server = Server(context)
        self.server.downgrade = self.plain.at("").rstrip("/")
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def test_a_certificate_of_nobody_is_refused(self):
        driver = self.driver("good")
        answer = driver.fetch()
        self.check_not(answer, "refused", "certificate.*CA file")
        self.check_remembered(driver, answer, 10)
        self.assertEqual(driver.fetch(guidage=OTHER)[0], "refused")

    def test_the_ca_file_makes_it_good(self):
        self.check_ok(self.driver("good", ca_file=self.certificate).fetch())

    def test_a_redirect_does_not_lead_out_of_https(self):
        self.check_not(self.driver("moved_down", ca_file=self.certificate).fetch(), "refused", "not supported|disabled")
        self.assertEqual(self.plain.files(), [])


NGINX = os.environ.get("KDNETD_NGINX") or shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
NGINX_CONFIGURATION = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log {folder}/access.log; client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; root {folder}/share; gzip on; gzip_types *; }}
}}
"""


@unittest.skipIf(OFFLINE, "this build has no libcurl")
@unittest.skipIf(NGINX is None, "nginx is not there")
class Nginx(Case):
    """A store as others share it, behind a real server."""

    def setUp(self):
        super().setUp()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        configuration = self.folder / "nginx.conf"
        configuration.write_text(NGINX_CONFIGURATION.format(folder=self.folder, port=port))
        self.url = f"http://127.0.0.1:{port}/"
        self.nginx = subprocess.Popen([NGINX, "-c", configuration, "-e", self.folder / "error.log"],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.nginx.wait)
        self.addCleanup(self.nginx.kill)
        deadline = time.monotonic() + PATIENCE
        while not self.listens(port):
            self.assertIsNone(self.nginx.poll(), "nginx ended")
            self.assertLess(time.monotonic(), deadline, "nginx does not listen")
            time.sleep(0.05)

    @staticmethod
    def listens(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def share(self, guidage, name, content):
        path = self.folder / "share" / NAME / guidage / name
        path.parent.mkdir(parents=True)
        path.write_bytes(content)

    def check_requests(self, count):
        """A line of the log comes a moment after the answer."""
        deadline = time.monotonic() + PATIENCE
        log = self.folder / "access.log"
        while len(log.read_text().splitlines()) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual(len(log.read_text().splitlines()), count)

    def test_it_serves_both_forms_and_misses(self):
        large = make_pdb(blocks=8192)
        self.share(GUIDAGE, PACKED, CABINET)
        self.share(OTHER, NAME, large)
        driver = self.driver(url=self.url)
        for _ in range(2):
            self.check_ok(driver.fetch(), PACKED, CABINET)
            self.check_ok(driver.fetch(guidage=OTHER), content=large, guidage=OTHER)
            self.assertEqual(driver.fetch(guidage="0" * 33)[0], "not_found")
            self.check_requests(2 + 1 + 3)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2)
