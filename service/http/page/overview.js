// SPDX-License-Identifier: Apache-2.0
// For the person on duty: what needs a hand, what crashes, how all machines are.
import { get } from "/page/api.js";
import { act, ask, name as nameTab, repaint } from "/page/main.js";
import { newestCrashes } from "/page/newest.js";
import { ORDER, squares } from "/page/map.js";
import { ago, breakable, bugcheck, COLOURS, count, el, group as groupText, lasting, number, place, span, STATES, time, verdict, why } from "/page/say.js";

const target = (name) => el("a", { href: `/?target=${encodeURIComponent(name)}`, "data-key": `t-${name}` }, name);

function hand(key, bad, text, detail, button) {
  return el("li", { class: bad ? "bad" : "", "data-key": key }, el("div", {}, text, detail && el("span", { class: "quiet" }, detail)), button);
}

async function acknowledge(crash) {
  const note = await ask("Seen", `The crash of ${crash.target} leaves this list. A note may say what is done about it.`,
    { label: "Note", submit: "Acknowledge" });
  if (note !== null) act(`crashes/${crash.crash}/ack`, { note }, `${crash.target}: acknowledged`);
}

async function release(name) {
  if ((await ask(`Release ${name}?`, "The machine goes on from where it was stopped.", { submit: "Release" })) !== null)
    act(`targets/${name}/release`, null, `${name}: released`);
}

const SHOWN = 5, ASKED = 100;

function heldRows(held) {
  return held.targets.slice(0, SHOWN).map((one) => hand(`held-${one.name}`, true, [target(one.name), " is held"], [lasting(one.since), one.held_until && [", until ", time(one.held_until)]],
    el("button", { class: "main", onclick: () => release(one.name) }, "Release")));
}

function failedRows(open) {
  return open.slice(0, SHOWN).map((crash) => hand(`failed-${crash.crash}`, true, ["The dump of ", target(crash.target), " failed"], [breakable(`${bugcheck(crash)}, ${why(crash)}`), `, ${ago(crash.time)}`],
    el("button", { onclick: () => acknowledge(crash) }, "Acknowledge")));
}

function degradedRows(status) {
  const rows = status.listeners.filter((listener) => !listener.open).map((one) => hand(`l-${one.address}`, true, `The listener ${one.address} is not open`, "machines that use it wait"));
  for (const one of status.degraded)
    rows.push(hand(`d-${one.what}-${one.name}`, false, [el("b", {}, one.what), one.name ? ` ${one.name}: ` : ": ", one.why], lasting(one.since)));
  if (status.configuration.error) rows.push(hand("configuration", false, `The last configuration does not count: ${status.configuration.error}`));
  if (status.draining) rows.push(hand("draining", false, "kdnetd is draining: balancers send machines elsewhere"));
  return rows;
}

// The rows, and how many things they stand for.
function hands({ status, held, failed }) {
  const open = failed.crashes.filter((crash) => !crash.acknowledged), rest = degradedRows(status);
  const more = failed.total > ASKED ? "at least " : "";
  const rows = [...heldRows(held), held.total > SHOWN && hand("held-more", true, el("a", { href: "/?state=held" }, `${count(held.total - SHOWN, "more machine is", "more machines are")} held`)),
    ...failedRows(open), open.length > SHOWN && hand("failed-more", true, el("a", { href: "/?verdict=failed" }, `${more}${count(open.length - SHOWN, "more dump")} failed`)), ...rest];
  return { rows: rows.filter(Boolean), needs: held.total + open.length + rest.length, more };
}

function calm(status) {
  const all = Object.values(status.targets).reduce((a, b) => a + b, 0);
  const tick = el("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, el("path", { svg: true, d: "M4 12.5 9.5 18 20 6.5" }));
  const text = all === 0 ? "No machine is configured yet. On the collector, kdnetctl keygen makes the lines for one."
    : `Nothing needs a hand. ${count(status.targets.connected, "machine")} of ${number(all)} connected.`;
  return el("p", { class: "calm" }, all === 0 ? null : tick, el("span", {}, text));
}

const VERDICT_ORDER = ["written", "failed", "not_started", "unknown"];

function group(bucket, most) {
  const told = VERDICT_ORDER.filter((name) => bucket.verdicts?.[name] > 0);
  const length = new Date(bucket.last) - new Date(bucket.first);
  return el("li", { "data-key": `b-${bucket.bucket}` }, el("b", {}, breakable(groupText(bucket.bucket))), el("span", { class: "n" }, count(bucket.machines, "machine")),
    el("span", { class: "bar", "aria-hidden": "true" }, told.map((name) => el("i", { class: name, style: { width: `${100 * bucket.verdicts[name] / most}%` } }))),
    el("span", { class: "quiet" }, count(bucket.count, "crash", "crashes"), length >= 1000 && ` in ${span(length)}`, ", the last at ", time(bucket.last)),
    el("span", { class: "quiet n" }, told.map((name) => `${number(bucket.verdicts[name])} ${name.replace("_", " ")}`).join(", ")));
}

function groups(buckets) {
  if (!buckets || buckets.length === 0) return null;
  const most = Math.max(...buckets.map((bucket) => bucket.count));
  return el("section", { class: "card", "data-key": "groups" }, el("div", { class: "head" }, el("h2", {}, "Crashes of one kind"), el("span", { class: "quiet" }, "last 24 hours")),
    el("ul", { class: "groups" }, buckets.slice(0, 6).map((bucket) => group(bucket, most))));
}

function crashRow(crash) {
  return el("tr", { "data-key": crash.crash }, el("td", { class: "t" }, el("a", { href: `/?crash=${crash.crash}` }, time(crash.time))),
    el("td", { class: "name" }, target(crash.target)), el("td", { class: "what" }, breakable(bugcheck(crash)), place(crash) && el("span", { class: "why" }, breakable(place(crash)))),
    el("td", { class: "end" }, verdict(crash.verdict), el("span", { class: "why" }, why(crash))), el("td", { class: "n wide" }, span(crash.dump_ms)));
}

function filters(query) {
  const now = query.get("verdict");
  return el("nav", { class: "filters", "aria-label": "Verdict" }, [[null, "all"], ["failed", "failed"], ["unknown", "unknown"], ["not_started", "not started"], ["written", "written"]]
    .map(([name, text]) => el("a", { href: name ? `/?verdict=${name}` : "/", "aria-current": (name === now) && "true" }, text)));
}

function newest(crashes, query, older) {
  const body = crashes.crashes.length === 0
    ? el("p", { class: "quiet" }, query.get("verdict") ? "No crash has this verdict." : "No machine has crashed since this store began.")
    : el("table", { class: "rows crashes" }, el("thead", {}, el("tr", {}, ["Time", "Machine", "What crashed", "Dump"].map((name) => el("th", { scope: "col" }, name)), el("th", { scope: "col", class: "n wide" }, "Took"))),
      el("tbody", {}, crashes.crashes.map(crashRow)));
  return el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, "Newest crashes"), el("span", { class: "quiet" }, number(crashes.total)), filters(query)), body,
    crashes.next && el("button", { class: "plain more", onclick: older }, "Show older crashes"));
}

// Crashes by hour, of the last two days: written at the bottom, what failed on it.
function hours(crashes) {
  const width = 48, now = Date.now(), bins = Array.from({ length: width }, () => ({ written: 0, other: 0, failed: 0 }));
  for (const crash of crashes) {
    const at = width - 1 - Math.floor((now - new Date(crash.time)) / 3600000);
    if (bins[at]) bins[at][crash.verdict === "written" || crash.verdict === "failed" ? crash.verdict : "other"]++;
  }
  const most = Math.max(4, ...bins.map((bin) => bin.written + bin.other + bin.failed));
  const bars = bins.flatMap((bin, at) => {
    let y = 60;
    const rects = ["written", "other", "failed"].filter((name) => bin[name] > 0).map((name) => {
      const height = 58 * bin[name] / most;
      y -= height;
      return el("rect", { svg: true, class: name, x: at * 10 + 1, y, width: 8, height, rx: 1 });
    });
    const total = bin.written + bin.other + bin.failed;
    const title = el("title", { svg: true }, `${width - 1 - at} hours ago: ${count(total, "crash", "crashes")}, ${bin.failed} failed`);
    return [...rects, el("rect", { svg: true, class: "hit", x: at * 10, y: 0, width: 10, height: 60 }, title)];
  });
  const total = bins.reduce((sum, bin) => sum + bin.written + bin.other + bin.failed, 0), peak = Math.max(...bins.map((bin) => bin.written + bin.other + bin.failed));
  if (total === 0) return null;
  return el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, "Crashes by hour"), el("span", { class: "quiet" }, crashes.length === 1000 ? "the newest 1,000 of 48 hours" : `${number(total)} in 48 hours, at most ${number(peak)} in one`)),
    el("svg", { class: "hours", viewBox: "0 0 480 61", preserveAspectRatio: "none", role: "img", "aria-label": `${count(total, "crash", "crashes")} in 48 hours, at most ${number(peak)} in one hour` }, bars, el("line", { svg: true, x1: 0, x2: 480, y1: 60.5, y2: 60.5 })),
    el("div", { class: "axis" }, el("span", {}, "48 h ago"), el("span", {}, "24 h"), el("span", {}, "now")));
}

function machinesCard(map, status) {
  const total = map ? map.total : Object.values(status.targets).reduce((sum, n) => sum + n, 0);
  const legend = el("ul", { class: "legend" }, ORDER.filter((name) => status.targets[name] > 0).map((name) => el("li", {},
    el("a", { href: `/?state=${name}`, title: STATES[name][1] }, el("i", { style: { background: `var(${COLOURS[name]})` } }), STATES[name][0], " ", el("b", {}, number(status.targets[name]))))));
  return el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, "Machines"), el("span", { class: "quiet" }, number(total)), total > 0 && el("a", { href: "/?view=machines" }, "List")),
    total > 0 ? [el("div", { class: "map", "data-keep": "map" }), legend] : el("p", { class: "quiet" }, "None is configured."));
}

function unknownCard(sources) {
  if (!sources || sources.total === 0) return null;
  return el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, "Unknown machines"), el("span", { class: "quiet" }, number(sources.total))),
    el("ul", { class: "groups" }, sources.unknown.slice(0, 4).map((one) => el("li", {}, el("b", {}, one.address), el("span", { class: "n quiet" }, time(one.last_seen)),
      el("span", { class: "quiet all" }, one.hint)))));
}

// What costs much is asked for less often, a twentieth of the time at most. Nothing waits for it for long: it is shown
// when it comes.
function paced(read, least, fresh) {
  const one = { value: null, due: 0, renew: null };
  const ask = async () => {
    const begun = Date.now();
    one.due = Infinity;
    try {
      one.value = await read();
      fresh();
    } finally {
      one.due = Date.now() + Math.max(least, 20 * (Date.now() - begun));
    }
  };
  one.renew = () => Date.now() < one.due ? null : ask().catch(() => {});
  return one;
}

const FIRST = 150; // ms that the first view waits for it, so that it seldom moves
const soonest = (answers) => Promise.race([Promise.all(answers), new Promise((done) => setTimeout(done, FIRST))]);

export function overview() {
  const missing = (error) => { if (error.status === 503 || error.status === 404) return null; throw error; };
  const drawing = squares(), resize = () => drawing.paint(), fresh = () => repaint(view);
  const recent = paced(() => get("crashes", { since: "48h", limit: 1000 }).catch(missing), 2000, fresh), map = paced(() => get("map"), 400, fresh);
  const buckets = paced(() => get("buckets", { since: "24h" }).catch(missing), 400, fresh), unknown = paced(() => get("unknown").catch(missing), 400, fresh);
  const list = newestCrashes();
  let asked = innerWidth < 1050 ? 12 : 30, again = null, now = null;
  addEventListener("resize", resize);
  const older = () => { asked = Math.min(1000, asked * 4); again(); };

  function paint() {
    const { query, status, held, failed } = now, crashes = list.shown(query.get("verdict"), asked);
    const { rows, needs, more } = hands({ status, held, failed: failed || { crashes: [], total: 0 } });
    if (map.value) drawing.take(map.value);
    nameTab(needs);
    const top = el("section", { class: `card ${rows.some((row) => row.classList.contains("bad")) ? "bad" : rows.length > 0 ? "warn" : ""}`, "aria-label": "What needs a hand" }, rows.length > 0
      ? [el("div", { class: "head" }, el("h2", {}, "Needs a hand"), el("span", { class: "quiet" }, `${more}${number(needs)}`)), el("ul", { class: "hands" }, rows)] : calm(status));
    return [el("h1", { class: "hidden" }, "Overview"), top, el("div", { class: "columns" },
      el("div", { class: "stack" }, groups(buckets.value && buckets.value.buckets), crashes ? newest(crashes, query, older) : el("section", { class: "card" }, el("p", { class: "quiet" }, "There is no store, so crashes are not kept: the result file has them."))),
      el("div", { class: "stack" }, machinesCard(map.value, status), hours(recent.value ? recent.value.crashes : []), unknownCard(unknown.value)))];
  }

  const view = {
    name: "overview",
    wants: (type) => type !== "print",
    take: (type, event) => now !== null && list.take(type, event),
    paint,
    async draw(query, redraw) {
      again = redraw;
      const begun = list.begin();
      const [status, held, failed, crashes] = await Promise.all([get("status"), get("targets", { state: "held", limit: 20 }),
        get("crashes", { verdict: "failed", since: "7d", limit: ASKED }).catch(missing), get("crashes", { verdict: query.get("verdict"), limit: asked }).catch(missing),
        soonest([recent, buckets, unknown, map].map((one) => one.renew()))]);
      list.know(crashes, begun);
      now = { query, status, held, failed };
      return paint();
    },
    ready: (main) => drawing.show(main.querySelector(".map")),
    end: () => removeEventListener("resize", resize),
  };
  return view;
}
