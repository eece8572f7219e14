// SPDX-License-Identifier: Apache-2.0
// For the person on duty: what needs a hand, what crashes, how all machines are.
import { get } from "/page/api.js";
import { act, ask, go } from "/page/main.js";
import { ago, bugcheck, COLOURS, count, el, number, span, STATES, time, verdict, why } from "/page/say.js";

const target = (name) => el("a", { href: `/?target=${encodeURIComponent(name)}`, "data-key": `t-${name}` }, name);

function hand(bad, text, detail, ...buttons) {
  return el("li", { class: bad ? "bad" : "" }, el("span", {}, text, detail && el("span", { class: "quiet" }, " ", detail)), buttons);
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

function hands({ status, held, failed }) {
  const rows = [];
  for (const one of held.targets.slice(0, 5))
    rows.push(hand(true, [target(one.name), " is held"], [`since ${ago(one.since).replace(" ago", "")}`, one.held_until && [", until ", time(one.held_until)]],
      el("button", { class: "main", onclick: () => release(one.name) }, "Release")));
  if (held.total > 5) rows.push(hand(true, el("a", { href: "/?state=held" }, `${number(held.total - 5)} more machines are held`)));
  const open = failed.crashes.filter((crash) => !crash.acknowledged);
  for (const crash of open.slice(0, 5))
    rows.push(hand(true, ["The dump of ", target(crash.target), " failed"], [`${bugcheck(crash)}, ${why(crash)}, ${ago(crash.time)}`],
      el("button", { onclick: () => acknowledge(crash) }, "Acknowledge")));
  if (open.length > 5) rows.push(hand(true, el("a", { href: "/?verdict=failed" }, `${number(open.length - 5)} more failed dumps`)));
  for (const one of status.listeners.filter((listener) => !listener.open))
    rows.push(hand(true, `The listener ${one.address} is not open`, "machines that use it wait"));
  for (const one of status.degraded)
    rows.push(hand(false, [`${one.what}${one.name ? ` ${one.name}` : ""}: ${one.why}`], `since ${ago(one.since).replace(" ago", "")}`));
  if (status.configuration.error) rows.push(hand(false, `The last configuration does not count: ${status.configuration.error}`));
  if (status.draining) rows.push(hand(false, "kdnetd is draining: balancers send machines elsewhere"));
  return rows;
}

function calm(status) {
  const all = Object.values(status.targets).reduce((a, b) => a + b, 0);
  const tick = el("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, el("path", { svg: true, d: "M4 12.5 9.5 18 20 6.5" }));
  const text = all === 0 ? "No machine is configured yet. On the collector, kdnetctl keygen makes the lines for one."
    : `Nothing needs a hand. ${count(status.targets.connected, "machine")} of ${number(all)} connected.`;
  return el("p", { class: "calm" }, all === 0 ? null : tick, el("span", {}, text));
}

function groups(buckets) {
  if (!buckets || buckets.length === 0) return null;
  const most = Math.max(...buckets.map((bucket) => bucket.count));
  const colours = { written: "--accent", failed: "--bad", not_started: "--warn", unknown: "--warn" };
  return el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, "Crashes of one kind"), el("span", { class: "quiet" }, "last 24 hours")),
    el("ul", { class: "groups" }, buckets.slice(0, 6).map((bucket) => el("li", {},
      el("b", {}, bucket.bucket), el("span", {}, count(bucket.machines, "machine")),
      el("span", { class: "quiet" }, [count(bucket.count, "crash", "crashes"), ` in ${span(new Date(bucket.last) - new Date(bucket.first))}, last `, time(bucket.last)]), el("span"),
      el("span", { class: "bar", role: "img", "aria-label": Object.entries(bucket.verdicts || {}).map(([name, n]) => `${name} ${n}`).join(", ") },
        Object.entries(bucket.verdicts || {}).map(([name, n]) =>
          n > 0 && el("i", { style: { width: `${100 * n / most}%`, background: `var(${colours[name] || "--quiet"})` } })))))));
}

function crashRow(crash) {
  return el("tr", {}, el("td", { class: "t" }, el("a", { href: `/?crash=${crash.crash}`, "data-key": `c-${crash.crash}` }, time(crash.time))),
    el("td", {}, target(crash.target)), el("td", {}, bugcheck(crash), crash.bucket && el("span", { class: "why" }, crash.bucket)),
    el("td", {}, verdict(crash.verdict), el("span", { class: "why" }, why(crash))), el("td", { class: "n wide" }, span(crash.dump_ms)));
}

function filters(query) {
  const now = query.get("verdict");
  return el("nav", { class: "filters", "aria-label": "Verdict" }, [[null, "all"], ["failed", "failed"], ["unknown", "unknown"], ["not_started", "not started"], ["written", "written"]]
    .map(([name, text]) => el("a", { href: name ? `/?verdict=${name}` : "/", "aria-current": (name === now) && "true" }, text)));
}

function newest(crashes, query) {
  const body = crashes.crashes.length === 0
    ? el("p", { class: "quiet" }, query.get("verdict") ? "No crash has this verdict." : "No machine has crashed since this store began.")
    : el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, "Time"), el("th", {}, "Machine"), el("th", {}, "What crashed"), el("th", {}, "Dump"), el("th", { class: "n wide" }, "Took"))),
      el("tbody", {}, crashes.crashes.map(crashRow))));
  return el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, "Newest crashes"), el("span", { class: "quiet" }, number(crashes.total)), filters(query)), body);
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
  const total = bins.reduce((sum, bin) => sum + bin.written + bin.other + bin.failed, 0);
  return el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, "Crashes by hour"), el("span", { class: "quiet" }, `${number(total)} in 48 hours${crashes.length === 1000 ? ", newest 1,000 drawn" : ""}`)),
    el("svg", { class: "hours", viewBox: "0 0 480 61", preserveAspectRatio: "none", role: "img", "aria-label": `${total} crashes in 48 hours` }, bars, el("line", { svg: true, x1: 0, x2: 480, y1: 60.5, y2: 60.5 })),
    el("div", { class: "axis" }, el("span", {}, "48 h ago"), el("span", {}, "24 h"), el("span", {}, "now")));
}

// All machines as small squares, those that need a look first.
const ORDER = ["held", "halted", "dumping", "rebooting", "handed_over", "lost", "never_seen", "connected"];
function squares(map, status) {
  const canvas = el("canvas", { role: "img", "aria-label": `${count(map.total, "machine")} by state` }), tip = el("span", { class: "tip", hidden: true });
  const rank = map.states.map((name) => ORDER.indexOf(name));
  const list = Array.from(map.letters, (letter, at) => [letter.charCodeAt(0) - 97, at]).sort((a, b) => rank[a[0]] - rank[b[0]] || a[1] - b[1]);
  let size = 12, columns = 1;
  const paint = () => {
    const width = Math.max(200, canvas.parentElement?.clientWidth || 600), scale = devicePixelRatio || 1;
    size = Math.max(2, Math.min(18, Math.floor(Math.sqrt(width * 260 / Math.max(1, list.length)))));
    columns = Math.max(1, Math.floor(width / size));
    const rows = Math.ceil(list.length / columns), gap = size > 3 ? 1 : size > 2 ? .5 : 0;
    canvas.width = columns * size * scale; canvas.height = Math.max(1, rows) * size * scale;
    canvas.style.width = `${columns * size}px`; canvas.style.height = `${rows * size}px`;
    const pen = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
    const colours = map.states.map((name) => style.getPropertyValue(COLOURS[name]).trim());
    pen.scale(scale, scale);
    list.forEach(([state], at) => {
      pen.fillStyle = colours[state];
      pen.fillRect((at % columns) * size, Math.floor(at / columns) * size, size - gap, size - gap);
    });
  };
  const find = (event) => {
    const box = canvas.getBoundingClientRect();
    return list[Math.floor((event.clientY - box.top) / size) * columns + Math.floor((event.clientX - box.left) / size)];
  };
  canvas.addEventListener("mousemove", (event) => {
    const at = find(event);
    tip.hidden = !at;
    if (!at) return;
    const box = canvas.getBoundingClientRect(), x = event.clientX - box.left;
    tip.textContent = `${map.names[at[1]]}: ${STATES[map.states[at[0]]][0]}`;
    tip.style.left = x > box.width / 2 ? "" : `${x + 12}px`;
    tip.style.right = x > box.width / 2 ? `${box.width - x + 12}px` : "";
    tip.style.top = `${event.clientY - box.top - 10}px`;
  });
  canvas.addEventListener("mouseleave", () => { tip.hidden = true; });
  canvas.addEventListener("click", (event) => { const at = find(event); if (at) go(`/?target=${encodeURIComponent(map.names[at[1]])}`); });
  const legend = el("ul", { class: "legend" }, ORDER.filter((name) => status.targets[name] > 0).map((name) => el("li", {},
    el("a", { href: `/?state=${name}`, title: STATES[name][1] }, el("i", { style: { background: `var(${COLOURS[name]})` } }), STATES[name][0], el("b", {}, number(status.targets[name]))))));
  const card = el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, "Machines"), el("span", { class: "quiet" }, number(map.total)), el("a", { href: "/?view=machines" }, "List")),
    map.total > 0 ? [el("div", { class: "map" }, canvas, tip), legend] : el("p", { class: "quiet" }, "None is configured."));
  return { card, paint };
}

function unknown(sources) {
  if (!sources || sources.total === 0) return null;
  return el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, "Unknown machines"), el("span", { class: "quiet" }, number(sources.total))),
    el("ul", { class: "groups" }, sources.unknown.slice(0, 4).map((one) => el("li", {}, el("b", {}, one.address), time(one.last_seen),
      el("span", { class: "quiet" }, one.hint), el("span")))));
}

export function overview() {
  let paint = null, map = null, mapped = 0;
  const resize = () => paint?.();
  addEventListener("resize", resize);
  const missing = (error) => { if (error.status === 503 || error.status === 404) return null; throw error; };
  return {
    name: "overview",
    wants: (type) => type !== "print",
    async draw(query) {
      const [status, held, failed, crashes, recent, buckets, sources] = await Promise.all([get("status"), get("targets", { state: "held", limit: 20 }),
        get("crashes", { verdict: "failed", since: "7d", limit: 100 }).catch(missing), get("crashes", { verdict: query.get("verdict"), limit: 40 }).catch(missing),
        get("crashes", { since: "48h", limit: 1000 }).catch(missing), get("buckets", { since: "24h" }).catch(missing), get("unknown").catch(missing)]);
      const all = Object.values(status.targets).reduce((a, b) => a + b, 0);
      if (!map || Date.now() - mapped > (all > 20000 ? 10000 : 1500)) { map = await get("map"); mapped = Date.now(); }
      const rows = hands({ status, held, failed: failed || { crashes: [] } }), square = squares(map, status);
      paint = square.paint;
      const needs = el("section", { class: "card", "aria-label": "What needs a hand" }, rows.length > 0
        ? [el("div", { class: "head" }, el("h2", {}, "Needs a hand"), el("span", { class: "quiet" }, number(rows.length))), el("ul", { class: "hands" }, rows)] : calm(status));
      return [el("h1", { class: "hidden" }, "Overview"), needs, el("div", { class: "columns" },
        el("div", { class: "stack" }, groups(buckets && buckets.buckets), crashes ? newest(crashes, query) : el("section", { class: "card" }, el("p", { class: "quiet" }, "There is no store, so crashes are not kept: the result file has them."))),
        el("div", { class: "stack" }, square.card, hours(recent ? recent.crashes : []), unknown(sources)))];
    },
    ready: () => paint?.(),
    end: () => removeEventListener("resize", resize),
  };
}
