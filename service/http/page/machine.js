// SPDX-License-Identifier: Apache-2.0
// One machine: what happened in its crash, why the verdict is what it is, what can be done.
import { get } from "/page/api.js";
import { act, ask, name as nameTab } from "/page/main.js";
import { ago, breakable, bugcheck, COLOURS, el, group, place, span, STATES, time, verdict, why } from "/page/say.js";

const PHASES = {
  bugcheck_first: "Bug check: first break", bugcheck_second: "Bug check: last break", shutdown: "Last break before the reboot",
  break: "Stopped to be read", boot: "Stopped while it started",
};

async function confirm(title, detail, submit, path, body, done) {
  if ((await ask(title, detail, { submit })) !== null) act(path, body, done);
}

function buttons(one, crash) {
  const path = `targets/${encodeURIComponent(one.name)}`, list = [];
  if (one.state === "held") {
    list.push(el("button", { class: "main", onclick: () => confirm(`Release ${one.name}?`, "The machine goes on from where it was stopped.", "Release", `${path}/release`, null, `${one.name}: released`) }, "Release"));
    list.push(el("button", { onclick: () => confirm(`Hand ${one.name} to a debugger?`, "kdnetd is silent to it for ten minutes, so that WinDbg at this address can take it.", "Hand over", `${path}/release`, { to_debugger: "10m" }, `${one.name}: handed over`) }, "To a debugger"));
    list.push(el("button", { onclick: () => act(`${path}/read`, null, `${one.name}: is read again`) }, "Read again"));
  }
  if (one.state === "held" || one.state === "halted")
    list.push(el("button", { onclick: () => confirm(`Reboot ${one.name}?`, "What it had in memory is lost; a dump that was not written is not written.", "Reboot", `${path}/reboot`, null, `${one.name}: told to reboot`) }, "Reboot"));
  if (one.state === "handed_over")
    list.push(el("button", { class: "main", onclick: () => act(`${path}/take_back`, null, `${one.name}: taken back`) }, "Take back"));
  if (crash && !crash.acknowledged)
    list.push(el("button", { onclick: async () => {
      const note = await ask("Seen", "The crash leaves the list of what needs a hand.", { label: "Note", submit: "Acknowledge" });
      if (note !== null) act(`crashes/${crash.crash}/ack`, { note }, "Acknowledged");
    } }, "Acknowledge"));
  return list;
}

// Boot, crash, breaks, dump, reboot, with what lies between them.
function line(one, crash) {
  const held = isHeldIn(one, crash) ? crash.phases.at(-1) : null;
  const items = crash.phases.map((phase) => ({ at: phase.time, bad: phase.verdict === "failed", title: PHASES[phase.phase] || phase.phase,
    text: [verdict(phase.verdict), " ", el("span", { class: "quiet" }, [phase.status && `status ${phase.status}`, phase.read_ms !== null && `read in ${span(phase.read_ms)}`,
      phase === held ? "stands still since then" : phase.halted_ms !== null && `stood still for ${span(phase.halted_ms)}`].filter(Boolean).join(", "))] }));
  if (one.last_crash?.crash === crash.crash && ["connected", "rebooting"].includes(one.state) && one.since > (items.at(-1)?.at || ""))
    items.push({ at: one.since, title: one.state === "connected" ? "Started again" : "Starting again", text: null });
  return el("ol", { class: "line" }, items.map((item, at) => el("li", { class: item.bad ? "bad" : "" }, el("div", {}, el("b", {}, item.title), " ", el("span", { class: "quiet" }, time(item.at))), el("div", {}, item.text),
    items[at + 1] && el("div", { class: "gap" }, `${span(new Date(items[at + 1].at) - new Date(item.at))} later`))));
}

// Whether a machine stands still, by its policy, in this crash.
const isHeldIn = (one, crash) => one.state === "held" && one.last_crash?.crash === crash.crash;

function sentences(one, crash) {
  const said = [], last = crash.phases.at(-1);
  const status = crash.status || last?.status;
  if (crash.verdict === "written") said.push(`At its last break the kernel's own word for the dump was ${status || "success"}: the dump was written.`);
  else if (crash.verdict === "failed") said.push(`At its last break the kernel's own word for the dump was ${status || "an error"}: the dump was not written.`);
  else if (crash.verdict === "not_started") said.push("Only the first break was seen, at which no dump has begun. No last break has said more.");
  else said.push(`Whether a dump was written is not known${why(crash) ? `: ${why(crash)}` : ""}.`);
  if (crash.dump_ms !== null) said.push(`It had ${span(crash.dump_ms)} between its first and its last break.`);
  if (isHeldIn(one, crash)) said.push(["It is held, as its policy says: it stands still since ", time(one.since), ", until somebody releases it", one.held_until && [", or until ", time(one.held_until)], "."]);
  else if (crash.halted_ms !== null) said.push(`kdnetd kept it still for ${span(crash.halted_ms)} in all.`);
  if (crash.bucket) said.push(place(crash).startsWith("in ") ? `It crashed ${place(crash)}.` : `Its group is ${group(crash.bucket)}.`);
  if (crash.acknowledged) said.push(`Seen by ${crash.acknowledged.by}${crash.acknowledged.note ? `: ${crash.acknowledged.note}` : ""}.`);
  return el("div", { class: "said" }, said.map((text) => el("p", {}, Array.isArray(text) ? text : breakable(text))));
}

const text = (value) => typeof value === "string" ? value : JSON.stringify(value);

function facts(rows) {
  return el("dl", { class: "facts" }, rows.filter(([, value]) => value !== null && value !== undefined && value !== "" && value.length !== 0).map(([name, value]) => [el("dt", {}, breakable(name)), el("dd", {}, value)]));
}

function history(crashes, shown) {
  return el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, "Its crashes"), el("span", { class: "quiet" }, crashes.length === 20 ? "newest 20" : String(crashes.length))),
    el("table", { class: "rows history" }, el("tbody", {}, crashes.map((crash) => el("tr", { class: crash === shown ? "at" : "", "data-key": crash.crash },
      el("td", { class: "t" }, el("a", { href: `/?crash=${crash.crash}`, "aria-current": crash === shown && "true" }, time(crash.time))), el("td", { class: "what" }, breakable(bugcheck(crash))), el("td", { class: "end" }, verdict(crash.verdict)))))));
}

function crashCards(one, crash) {
  const parameters = crash.bugcheck?.parameters?.join("  ");
  const evidence = Object.entries(crash.evidence || {});
  return [el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, breakable(bugcheck(crash))), verdict(crash.verdict)),
    sentences(one, crash), parameters && el("p", { class: "mono quiet parameters" }, parameters)),
  el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, "What happened")), line(one, crash)),
  crash.stack?.length > 0 && el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, "Stack"), el("span", { class: "quiet" }, crash.cause?.place ? ["the fault at ", breakable(crash.cause.place)] : "of the processor that crashed")),
    el("ol", { class: "mono frames" }, crash.stack.map((frame) => el("li", {}, breakable(frame))))),
  evidence.length > 0 && el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, "Evidence"), el("span", { class: "quiet" }, "as the machine's memory has it")),
    facts(evidence.map(([name, value]) => [name, el("span", { class: "mono" }, text(value))])))];
}

export function machine() {
  let name = null;
  return {
    name: "machine",
    wants: (type, event) => event.target === name && type !== "print",
    async draw(query) {
      const wanted = query.get("crash"), crash = wanted ? await get(`crashes/${encodeURIComponent(wanted)}`) : null;
      nameTab(0);
      name = crash ? crash.target : query.get("target");
      const one = await get(`targets/${encodeURIComponent(name)}`).catch((error) => { if (error.status === 404 && crash) return null; throw error; });
      const machine = one || { name, state: "never_seen", labels: crash.labels, crashes: [crash] };
      const crashes = machine.crashes || [], shown = crash ? crashes.find((other) => other.crash === crash.crash) || crash : crashes[0];
      return [el("div", { class: "title" }, el("h1", {}, name), one ? el("span", { class: "state", style: { "--dot": `var(${COLOURS[machine.state]})` }, title: STATES[machine.state][1] }, STATES[machine.state][0])
        : el("span", { class: "quiet" }, "not configured any more"), machine.stale && el("span", { class: "quiet" }, "as last known, before kdnetd was started"), one && el("div", { class: "actions" }, buttons(machine, shown))),
      el("div", { class: "columns" }, el("div", { class: "stack" }, shown ? crashCards(machine, shown) : el("section", { class: "card" }, el("p", { class: "quiet" }, machine.crashes === null ? "There is no store, so its crashes are not kept." : "It has not crashed since this store began."))),
        el("div", { class: "stack" }, el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, "Machine")), facts([["Address", machine.address], ["Heard", machine.last_seen ? ago(machine.last_seen) : "never"],
          ["In this state", machine.since && ["since ", time(machine.since)]], ["Held until", machine.held_until && time(machine.held_until)], ["Kernel", machine.kernel?.build_lab], ["Processor", machine.kernel?.machine], ["Listener", machine.listener],
          ["KDNET version", machine.version && String(machine.version)], ["Boot", machine.boot && el("span", { class: "mono" }, machine.boot)],
          ["Labels", Object.entries(machine.labels || {}).map(([key, value]) => [el("a", { class: "chip", href: `/?view=machines&label=${encodeURIComponent(`${key}=${value}`)}` }, `${key}=${value}`), " "])]])),
        crashes.length > 0 && history(crashes, shown)))];
    },
  };
}
