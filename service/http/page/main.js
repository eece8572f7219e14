// SPDX-License-Identifier: Apache-2.0
// The page: which view the address names, the keyboard, and the stream that keeps views fresh.
import { askAgain, get, leave, onToken, post, Problem, stream } from "/page/api.js";
import { morph } from "/page/morph.js";
import { count, el } from "/page/say.js";
import { overview } from "/page/overview.js";
import { machines } from "/page/machines.js";
import { machine } from "/page/machine.js";

const main = document.getElementById("main");
const dialog = document.getElementById("dialog");
const search = document.getElementById("q");
const notice = document.getElementById("notice");
let view = null, drawn = 0, shownAt = null, collector = "";

// How many things need a hand, in the tab's name.
export function name(needs) {
  document.title = `${needs > 0 ? `(${needs}) ` : ""}${collector ? `${collector} · ` : ""}kdnetd`;
}

export function toast(text) {
  const at = document.getElementById("toast");
  at.textContent = text;
  setTimeout(() => { if (at.textContent === text) at.textContent = ""; }, 6000);
}

// Asks a question in the dialog: resolves to the field's text, or null.
export function ask(title, detail, { label, type = "text", submit, value = "" }) {
  return new Promise((done) => {
    const field = label ? el("input", { type, value, autocomplete: "off", id: "field" }) : null;
    const close = (answer) => { dialog.close(); done(answer); };
    dialog.replaceChildren(el("form", { method: "dialog", onsubmit: (event) => { event.preventDefault(); close(field ? field.value : ""); } },
      el("h2", { id: "dialog-title" }, title), detail && el("p", { class: "quiet" }, detail),
      label && el("label", {}, el("span", {}, label), field),
      el("div", { class: "row" }, el("button", { type: "button", onclick: () => close(null) }, "Cancel"),
        el("button", { class: "main" }, submit))));
    dialog.oncancel = () => done(null);
    dialog.showModal();
  });
}

onToken((detail) => ask("A token is needed", detail, { label: "Token", type: "password", submit: "Use it" }));

// Acts, says what came of it, and draws the view again.
export async function act(path, body, done) {
  try {
    await post(path, body);
    toast(done);
  } catch (error) {
    toast(error instanceof Problem ? error.message : "kdnetd does not answer.");
  }
  draw();
}

export function go(address) {
  history.pushState(null, "", address);
  show();
  scrollTo(0, 0);
  main.focus({ preventScroll: true });
}

function choose(query) {
  if (query.has("crash") || query.has("target")) return machine;
  if (query.get("view") === "machines" || query.has("q") || query.has("state") || query.has("label")) return machines;
  return overview;
}

function again(button) {
  askAgain();
  button.disabled = true;
  draw();
}

// What is shown stays when kdnetd does not answer, with a word on its age.
function fail(error) {
  const answered = error instanceof Problem;
  if (!answered && shownAt) {
    notice.textContent = `kdnetd does not answer. This is how it was at ${shownAt.toLocaleTimeString(undefined, { hourCycle: "h23" })}; the page tries again by itself.`;
    return;
  }
  const text = answered ? error.message : "kdnetd does not answer. The page tries again by itself.";
  const button = el("button", { class: "main", onclick: (event) => again(event.target) }, error.status === 401 ? "Use a token" : "Try again");
  main.replaceChildren(el("section", { class: "card alarm", role: "alert" }, el("h1", {}, answered ? error.body.title || "It did not work" : "No answer"), el("p", {}, text),
    el("div", { class: "actions" }, button, location.search && el("a", { class: "button", href: "/" }, "Overview"))));
}

let pressed = false, waiting = null;
function put(fresh) {
  const nodes = fresh.flat(3).filter(Boolean);
  if (shownAt) morph(main, nodes); else main.replaceChildren(...nodes);
  view.ready?.(main);
}
addEventListener("pointerdown", () => { pressed = true; });
for (const type of ["pointerup", "pointercancel", "blur"])
  addEventListener(type, () => { pressed = false; setTimeout(() => { if (waiting && !pressed) { put(waiting); waiting = null; } }); });

// Shows what was drawn, as soon as no click is under way.
function present(fresh) {
  if (pressed && shownAt) waiting = fresh;
  else { waiting = null; put(fresh); }
}

async function draw() {
  const turn = ++drawn, query = new URLSearchParams(location.search);
  try {
    const fresh = await view.draw(query, draw);
    if (turn !== drawn) return;
    notice.textContent = "";
    main.setAttribute("aria-busy", "false");
    if (fresh) present(fresh);
    shownAt = new Date();
  } catch (error) {
    if (turn !== drawn) return;
    fail(error);
    if (!(error instanceof Problem || error instanceof TypeError || error.name === "TimeoutError")) console.error(error);
  }
}

function show() {
  const query = new URLSearchParams(location.search);
  view?.end?.();
  leave();
  view = choose(query)();
  shownAt = waiting = null;
  main.setAttribute("aria-busy", "true");
  if (document.activeElement !== search) search.value = query.get("q") || "";
  return draw();
}

addEventListener("popstate", show);
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const url = new URL(link.href);
  if (url.origin !== location.origin || url.pathname !== "/" || url.hash) return;
  event.preventDefault();
  go(url.search ? `/${url.search}` : "/");
});

// What is typed is searched for at once; what is typed meanwhile, as soon as that has its answer.
let searching = false, searchAgain = false;
async function searchNow() {
  searchAgain = searching;
  if (searching) return;
  const query = new URLSearchParams(location.search), was = view;
  if (search.value) query.set("q", search.value); else query.delete("q");
  for (const name of ["target", "crash"]) query.delete(name);
  query.set("view", "machines");
  history.replaceState(null, "", `/?${query}`);
  searching = true;
  await (was?.name === "machines" ? draw() : show());
  searching = false;
  if (searchAgain) searchNow();
}
search.addEventListener("input", searchNow);
document.getElementById("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const rows = main.querySelectorAll("tbody a");
  if (rows.length === 1) rows[0].click(); else rows[0]?.focus();
});

function move(step) {
  const links = [...main.querySelectorAll("tbody tr")].map((row) => row.querySelector("a")).filter(Boolean);
  const at = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  links[Math.max(0, Math.min(links.length - 1, at + step))]?.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
  if (event.target.matches("input, textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const keys = { "/": () => search.focus(), g: () => go("/"), j: () => move(1), k: () => move(-1) };
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});

// Fresh views: four times a second at most, less often where the answers take long, however many events come. A view
// may show an event before that, by what the event itself says: soon after it has come, ten times a second at most.
let painted = 0, paintDue = 0;
function paint() {
  paintDue = 0;
  painted = Date.now();
  if (shownAt) present(view.paint());
}
function paintSoon() {
  paintDue ||= setTimeout(paint, Math.max(0, 100 - (Date.now() - painted)));
}
export function repaint(one) {
  if (one === view && shownAt) paintSoon();
}
let due = 0, begun = 0, cost = 0, busy = false, dirty = false;
async function refresh() {
  due = 0;
  busy = true;
  begun = Date.now();
  await draw();
  cost = Date.now() - begun;
  busy = false;
  if (dirty) soon();
}
function soon() {
  dirty = busy;
  if (!due && !busy) due = setTimeout(refresh, Math.max(50, Math.max(250, 2 * cost) - (Date.now() - begun)));
}
function take(type, event) {
  if (view?.take?.(type, event)) paintSoon();
  if (view?.wants?.(type, event) ?? true) soon();
}
stream(take, (state) => {
  const live = document.getElementById("live");
  live.className = `live ${state}`;
  live.textContent = state === "on" ? "live" : "not connected";
  if (state === "on") soon();
});
setInterval(() => { if (document.visibilityState === "visible" && !dialog.open) soon(); }, 15000);

get("status", {}, true).then((status) => {
  collector = status.collector;
  document.getElementById("collector").textContent = collector;
  document.getElementById("version").textContent = `kdnetd ${status.version}, ${count(status.workers, "worker")}`;
  name(0);
}).catch(() => {});
show();
