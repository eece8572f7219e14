# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser: what it shows, that it fits, that it can be read, and what can be done with it."""
import time
import unittest

import browser
import fake
from fake import ACT

SHOTS = fake.BUILD / "screenshots"
WIDTHS = (360, 900, 1600)
HOSTILE = "<img src=x onerror=alert(1)>"

# From now on only the questions that match are answered.
ANSWER_ONLY = """(() => {
  const real = window.fetch;
  window.fetch = (path, options) => /%s/.test(path) ? real(path, options) : new Promise((_, fail) =>
    options.signal?.addEventListener("abort", () => fail(options.signal.reason)));
})()"""

# Elements that are wider than the window.
OVERFLOW = """(() => {
  const width = document.documentElement.clientWidth, wide = [...document.body.querySelectorAll("*")].filter((one) =>
    one.getBoundingClientRect().width > 0 && one.getBoundingClientRect().right > width + 1 && !one.closest(".skip, .hidden, dialog"));
  return wide.slice(0, 3).map((one) => `${one.tagName}.${one.className} ends at ${one.getBoundingClientRect().right}`)
    .concat(document.documentElement.scrollWidth > width ? ["the page scrolls sideways"] : []);
})()"""

# Text whose colour is too near to what lies behind it: WCAG 2, AA.
CONTRAST = """(() => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number), byte = (text) => text.startsWith("color(") ? 255 : 1;
  const colour = (text) => { const [r, g, b, a = 1] = numbers(text.replace("srgb", "")); const by = byte(text); return [r * by, g * by, b * by, a]; };
  const over = (top, below) => [0, 1, 2].map((at) => top[at] * top[3] + below[at] * (1 - top[3])).concat(1);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [.2126, .7152, .0722][at], 0);
  const behind = (one) => one ? over(colour(getComputedStyle(one).backgroundColor), behind(one.parentElement)) : [255, 255, 255, 1];
  const opacity = (one) => one ? getComputedStyle(one).opacity * opacity(one.parentElement) : 1;
  const poor = new Set();
  for (const one of document.querySelectorAll("body *")) {
    if (![...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) || !one.checkVisibility() || one.closest(".hidden, noscript, .skip, :disabled")) continue;
    const style = getComputedStyle(one), ground = behind(one), text = colour(style.color);
    text[3] *= opacity(one);
    const [a, b] = [light(over(text, ground)), light(ground)].sort((x, y) => y - x), ratio = (a + .05) / (b + .05);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) poor.add(`${one.tagName}.${one.className} ${one.textContent.slice(0, 20)}: ${ratio.toFixed(2)}`);
  }
  return [...poor];
})()"""

# What a screen reader needs.
NAMES = """(() => {
  const bad = [], name = (one) => (one.getAttribute("aria-label") || one.title || one.textContent || "").trim();
  const shown = (selector) => [...document.querySelectorAll(selector)].filter((one) => one.checkVisibility());
  for (const one of shown("a, button")) if (!name(one)) bad.push(`no name: ${one.outerHTML.slice(0, 80)}`);
  for (const one of shown("input, select, textarea")) if (!one.labels.length && !one.getAttribute("aria-label")) bad.push(`no label: ${one.outerHTML.slice(0, 80)}`);
  for (const one of shown("svg, canvas, img")) if (one.getAttribute("aria-hidden") !== "true" && !one.getAttribute("aria-label")) bad.push(`drawing without words: ${one.outerHTML.slice(0, 80)}`);
  for (const one of shown("th")) if (!one.scope) bad.push("th without scope");
  for (const one of shown("nav")) if (!one.getAttribute("aria-label")) bad.push("nav without a name");
  if (document.querySelectorAll("h1").length !== 1) bad.push(`${document.querySelectorAll("h1").length} h1`);
  if (!document.documentElement.lang || !document.title) bad.push("no language or title");
  for (const selector of ["header", "main", "footer"]) if (document.querySelectorAll(`body > ${selector}`).length !== 1) bad.push(`not one ${selector}`);
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  if (new Set(ids).size !== ids.length) bad.push("an id comes twice");
  for (const one of document.querySelectorAll("[tabindex]")) if (one.tabIndex > 0) bad.push("tabindex above 0");
  for (const one of document.querySelectorAll("ul > :not(li), ol > :not(li), dl > :not(dt, dd)")) bad.push(`${one.tagName} in a list`);
  return bad;
})()"""


class Page(fake.Case):
    @classmethod
    def setUpClass(cls):
        cls.browser = browser.Browser()
        cls.addClassCleanup(cls.browser.close)

    def tearDown(self):
        self.browser.go("about:blank")  # the page would go on asking a server that has ended
        super().tearDown()

    def open(self, server, path="/", ready="main > .card, main > .title"):
        self.browser.errors()
        self.browser.go(f"http://127.0.0.1:{server.port}{path}")
        self.browser.wait(f"location.port === '{server.port}' && document.querySelector('{ready}')", path)

    def click(self, selector, text=None):
        one = f"[...document.querySelectorAll('{selector}')].find((one) => one.textContent.includes('{text or ''}'))"
        self.browser.wait(one, f"{selector} {text}")
        self.browser.run(f"{one}.click()")

    def text(self, selector="main"):
        return self.browser.run(f"document.querySelector('{selector}').innerText")

    def answer(self, text, title):
        self.browser.wait(f"document.querySelector('dialog[open] h2')?.textContent.startsWith('{title}')", title)
        if text:
            self.browser.type(text)
            self.browser.key("Enter")
        else:
            self.click("dialog button.main")

    def check_looks(self, name, light=WIDTHS, dark=WIDTHS):
        for theme, widths in (("light", light), ("dark", dark)):
            for width in widths:
                self.browser.look(width, theme=theme)
                self.browser.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
                what = f"{name}, {width} px, {theme}"
                self.assertEqual(self.browser.run(OVERFLOW), [], what)
                self.assertEqual(self.browser.run(CONTRAST), [], what)
                self.browser.shoot(SHOTS / f"page-{name}-{width}-{theme}.png")
            self.assertNotRegex(self.text(), r"\[object|undefined|NaN", name)
            self.assertEqual(self.browser.run(NAMES), [], name)
        self.assertEqual([text for text in self.browser.errors() if "status of 503" not in text or name != "no-store"], [])

    def test_views_fit_and_can_be_read(self):
        server = self.fake("--targets", 12, "--scene", "hostile")
        self.browser.look(1600, motion="reduce")
        for name, path, ready in (("overview", "/", ".crashes"), ("list", "/?view=machines", ".machines tr"),
                                  ("machine", "/?target=db-01", ".facts"), ("crash", "/?crash=0000000000000002", ".line")):
            self.open(server, path, ready)
            self.check_looks(name)
            self.assertEqual(self.browser.run("document.querySelectorAll('main img').length"), 0)
            self.browser.wait("document.getElementById('collector').textContent === 'fake' && document.getElementById('version').textContent", "who it is")
            self.assertIn(HOSTILE, self.text())

    def test_a_time_of_another_day_has_its_day(self):
        """The machine is held since 15 and a half hours: since this morning in the evening, since yesterday in the morning."""
        server = self.fake("--targets", 12)
        self.addCleanup(self.browser.call, "Emulation.setTimezoneOverride", timezoneId="")
        for hour, since in ((20, r"0[45]:\d\d:\d\d"), (8, r"[A-Z][a-z]{2} \d{1,2} 1[67]:\d\d:\d\d")):
            self.browser.live_at(hour)
            self.open(server, "/?target=db-01", ".facts")
            self.assertRegex(self.text(), f"stands still since {since}, until somebody")

    def test_storm_and_emptiness(self):
        for name, options in (("storm", ("--targets", 3000, "--crashes", 2000, "--scene", "storm")),
                              ("empty", ("--targets", 0, "--crashes", 0)), ("no-store", ("--no-store",))):
            server = self.fake(*options)
            self.browser.look(1600, motion="reduce")
            self.open(server, "/", "main .card")
            self.check_looks(name)

    def test_hundred_thousand_machines(self):
        server = self.fake("--targets", 100000)
        self.browser.look(900)
        begun = time.monotonic()
        self.open(server, "/", ".map canvas")
        print(f"overview of 100,000 machines: {time.monotonic() - begun:.2f} s", flush=True)
        self.assertLess(self.browser.run("document.querySelector('.map').offsetHeight"), 400)
        self.check_looks("100000")
        self.browser.look(900)
        self.open(server, "/?view=machines", ".machines td.name")
        for page in range(2, 10):
            self.browser.run("scrollTo(0, document.body.scrollHeight)")
            self.browser.wait(f"document.querySelectorAll('.machines tbody').length > {page}", f"page {page}")
        self.assertLess(self.browser.run("document.querySelectorAll('.machines tr').length"), 900)
        self.browser.run("scrollTo(0, 0)")
        self.browser.wait("document.querySelector('.machines td.name').textContent === 'db-000000' && scrollY === 0", "the first row")
        self.browser.key("/")
        begun, busy, served = time.monotonic(), self.browser.cpu_s(), server.cpu_s()
        self.browser.type("web-019000")
        self.browser.wait("document.querySelectorAll('.machines td.name').length === 1", "the one that was searched for")
        print(f"search in 100,000 machines: {time.monotonic() - begun:.2f} s; processor time: browser {self.browser.cpu_s() - busy:.2f} s,"
              f" server {server.cpu_s() - served:.2f} s", flush=True)
        self.assertEqual(self.browser.errors(), [])

    def test_a_crash_appears_by_itself(self):
        server = self.fake("--targets", 12)
        self.browser.look(1600)
        self.open(server, "/", ".crashes")
        self.browser.wait("document.getElementById('live').textContent === 'live'", "the stream")
        self.browser.run("window.rows = [...document.querySelectorAll('.crashes tbody tr')]; rows[0].querySelector('a').focus()")
        begun, busy = time.monotonic(), self.browser.cpu_s()
        server.tell("crash")
        self.browser.wait("document.querySelector('.crashes tbody tr') !== rows[0]", "the crash")
        print(f"a crash is on the page after {time.monotonic() - begun:.2f} s; processor time: browser {self.browser.cpu_s() - busy:.2f} s", flush=True)
        # What was there stays: focus too.
        self.assertTrue(self.browser.run("document.querySelectorAll('.crashes tbody tr')[1] === rows[0]"))
        self.assertTrue(self.browser.run("rows[0].contains(document.activeElement)"))

    def test_a_crash_is_shown_by_its_event_alone(self):
        """Whatever else is slow: no question is answered after the page is there."""
        server = self.fake("--targets", 12)
        self.browser.look(1600)
        self.open(server, "/", ".crashes")
        self.browser.wait("document.getElementById('live').textContent === 'live'", "the stream")
        self.browser.run(ANSWER_ONLY % "nothing")
        self.browser.run("window.first = document.querySelector('.crashes tbody tr')")
        for _ in range(2):
            server.tell("crash")
            self.browser.wait("document.querySelector('.crashes tbody tr') !== first", "the crash")
            self.browser.run("first = document.querySelector('.crashes tbody tr')")
        told = self.browser.run("first.querySelector('.what').innerText")
        self.assertIn("DPC_WATCHDOG_VIOLATION", told)
        self.open(server, "/", ".crashes")
        self.assertEqual(self.browser.run("document.querySelector('.crashes tbody tr .what').innerText"), told)

    def test_a_search_waits_for_nothing_that_was_asked_before(self):
        server = self.fake("--targets", 1000)
        self.open(server, "/", ".crashes")
        self.browser.run(ANSWER_ONLY % "targets[?].*q=")
        self.browser.run("dispatchEvent(new Event('popstate'))")
        self.browser.key("/")
        for part in ("web-", "000", "1", "50"):
            self.browser.type(part)
        self.browser.wait("document.querySelectorAll('.machines td.name').length === 1", "the one that was searched for")
        self.assertEqual(self.browser.run("location.search"), "?q=web-000150&view=machines")
        self.assertEqual(self.browser.errors(), [])

    def test_release_with_a_token(self):
        server = self.fake("--targets", 12, "--tokens", self.tokens())
        self.open(server, "/", ".hands button")
        self.click(".hands button", "Release")
        self.browser.key("Escape")
        self.browser.wait("!document.querySelector('dialog').open", "no dialog")
        self.click(".hands button", "Release")
        self.answer(None, "Release db-01?")
        self.answer("wrong", "A token is needed")
        self.browser.wait("document.querySelector('dialog p')?.textContent.includes('no such token')", "the problem")
        self.answer(ACT, "A token is needed")
        self.browser.wait("document.getElementById('toast').textContent === 'db-01: released'", "the toast")
        self.open(server, "/?target=db-02", ".facts")
        self.click("button", "Acknowledge")
        self.browser.key("Escape")

    def test_reading_with_a_token_asks_once(self):
        server = self.fake("--targets", 12, "--tokens", self.tokens(), "--read", "token")
        self.open(server, "/", "dialog[open]")
        self.browser.key("Escape")
        self.browser.wait("document.querySelector('main .alarm')", "what is wrong")
        self.assertFalse(self.browser.run("document.querySelector('dialog').open"))
        self.click("main button", "Use a token")
        self.answer(fake.READ, "A token is needed")
        self.browser.wait("document.querySelector('.crashes')", "the overview")

    def test_keyboard(self):
        server = self.fake("--targets", 12)
        self.browser.look(1600)
        self.open(server, "/", ".crashes")
        self.browser.key("Tab")
        self.assertEqual(self.browser.run("document.activeElement.className"), "skip")
        self.browser.key("/")
        self.assertEqual(self.browser.run("document.activeElement.id"), "q")
        self.browser.key("Escape")
        self.browser.key("j")
        self.browser.key("j")
        self.assertEqual(self.browser.run("[...document.querySelectorAll('.crashes tbody tr')].findIndex((row) => row.contains(document.activeElement))"), 1)
        self.browser.key("Enter")
        self.browser.wait("location.search.startsWith('?crash=') && document.querySelector('.facts')", "the crash")
        self.browser.key("g")
        self.browser.wait("location.search === '' && document.querySelector('.crashes')", "the overview")

    def test_server_gone(self):
        server = self.fake("--targets", 12)
        self.open(server, "/", ".crashes")
        self.browser.wait("document.getElementById('live').textContent === 'live'", "the stream")
        server.close()
        self.browser.wait("document.getElementById('live').textContent === 'not connected'", "the word")
        self.click(".filters a", "failed")
        self.browser.wait("document.querySelector('main .alarm') || document.getElementById('notice').textContent", "a word on it")


def main():
    if not browser.PROGRAM:
        print("nothing tested: chromium is not installed")
        return
    try:
        browser.Browser().close()
    except (browser.Gone, OSError) as error:
        print(f"nothing tested: chromium does not start here: {error}")
        return
    unittest.main()


main()
