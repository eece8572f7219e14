// SPDX-License-Identifier: Apache-2.0
// Words and elements. Text of machines becomes text nodes, never markup.

export function el(name, attributes = {}, ...children) {
  const element = name === "svg" || attributes.svg
    ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "svg" || value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element[key] = value;
    else if (key === "style") for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
    else element.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat(3))
    if (child !== null && child !== undefined && child !== false) element.append(child);
  return element;
}

const numbers = new Intl.NumberFormat("en");
export const number = (n) => numbers.format(n);
export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
export function time(text) {
  const date = new Date(text), today = new Date().toDateString() === date.toDateString();
  return el("time", { datetime: text, title: text }, today ? clock.format(date) : `${day.format(date)} ${clock.format(date)}`);
}

export function span(ms) {
  if (ms === null || ms === undefined) return "";
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  const s = Math.round(ms / 1000);
  if (s < 100) return `${(ms / 1000).toFixed(s < 10 ? 1 : 0)} s`;
  if (s < 6000) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return s < 172800 ? `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min` : `${Math.floor(s / 86400)} days`;
}

const past = (text) => Math.max(0, Date.now() - new Date(text));

/* A machine that is connected is heard every few seconds. */
export function ago(text) {
  if (!text) return "never";
  return past(text) < 10000 ? "just now" : `${span(past(text))} ago`;
}

export const lasting = (text) => `for ${span(past(text))}`;

/* A long name may be broken behind its underscores. */
export const breakable = (text) => text.split(/(?<=[_!+@\\/])/).flatMap((part, at) => at > 0 ? [el("wbr"), part] : [part]);

export const STATES = {
  held: ["held", "stopped and waiting for a hand"], halted: ["halted", "being read"],
  dumping: ["dumping", "writing its crash dump"], rebooting: ["rebooting", "starting again"],
  handed_over: ["handed over", "left to a debugger"], lost: ["lost", "not heard any more"],
  connected: ["connected", "running"], never_seen: ["never seen", "configured, and not heard yet"],
};
export const COLOURS = {
  held: "--s-held", halted: "--s-halted", dumping: "--s-dumping", rebooting: "--s-rebooting", handed_over: "--s-handed",
  lost: "--s-lost", connected: "--s-connected", never_seen: "--s-never",
};

const VERDICTS = { written: "written", failed: "failed", not_started: "not started", unknown: "unknown" };
export const verdict = (name) => el("span", { class: `verdict ${name in VERDICTS ? name : ""}` }, VERDICTS[name] || name || "none yet");

/* A group in words: "D1 in driver.sys+0x1234" of "D1 driver.sys+0x1234@5F3A1B2C", "D1, build 20348" of "D1 build 20348". */
export const group = (bucket) => bucket.replace(/@[0-9A-F]{8}$/, "").replace(/^([0-9A-F]+) build /, "$1, build ").replace(/^([0-9A-F]+) (?!in |build )/, "$1 in ");

/* Of a crash's group what its bug check does not say already: "in driver.sys+0x1234". */
export const place = (crash) => group(crash.bucket || "").replace(/^[0-9A-F]+,? /, "").replace(/^build .*/, "");

export function bugcheck(crash) {
  const bug = crash.bugcheck;
  if (!bug) return "a break without a bug check";
  return `${bug.code.replace(/^0x0*/, "")} ${bug.name || ""}`.trim();
}

const REASONS = {
  symbol_absent: "its symbols do not have the status", no_symbols: "no symbols of its kernel were found",
  unreadable: "its memory could not be read", no_kernel: "a boot loader answered", timeout: "the read took too long",
  lost: "the machine fell silent", overloaded: "its turn did not come in time",
};
const reason = (of) => REASONS[of.reason] || of.reason || "";

/* "probably written: the screen showed 100 percent" */
function assessed({ likely, strength, because }) {
  const how = strength === "strong" ? "probably" : "perhaps";
  return `${how} ${VERDICTS[likely] || likely}${because.length ? `: ${because.join(", ")}` : ""}`;
}

function notStarted(crash) {
  const last = (crash.phases || []).filter((phase) => phase.phase === "bugcheck_second" || phase.phase === "shutdown").at(-1);
  if (!last) return "no last break was seen";
  return last.verdict === "not_started" ? "the machine never began its dump" : `at the last break not known: ${reason(last)}`;
}

export function why(crash) {
  if (crash.verdict === "failed") return `status ${crash.status || "not known"}`;
  if (crash.assessment && crash.assessment.likely) return assessed(crash.assessment);
  if (crash.verdict === "unknown") return reason(crash);
  if (crash.verdict === "not_started") return notStarted(crash);
  return "";
}
