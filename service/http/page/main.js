// SPDX-License-Identifier: Apache-2.0
// The page: which view the address names, the keyboard, and the stream that keeps views fresh.
import { get, onToken, post, Problem, stream } from "/page/api.js";
import { el, number } from "/page/say.js";
import { overview } from "/page/overview.js";
import { machines } from "/page/machines.js";
import { machine } from "/page/machine.js";

const main = document.getElementById("main");
const dialog = document.getElementById("dialog");
const search = document.getElementById("q");
let view = null, drawn = 0;

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
      label && el("label", {}, label, field),
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
}

function choose(query) {
  if (query.has("crash") || query.has("target")) return machine;
  if (query.get("view") === "machines" || query.has("q") || query.has("state") || query.has("label")) return machines;
  return overview;
}

async function draw() {
  const turn = ++drawn, query = new URLSearchParams(location.search);
  try {
    const fresh = await view.draw(query);
    if (turn !== drawn || !fresh) return;
    const at = document.activeElement?.dataset?.key;
    main.replaceChildren(...fresh);
    if (at) main.querySelector(`[data-key="${CSS.escape(at)}"]`)?.focus();
    view.ready?.(main);
  } catch (error) {
    if (turn !== drawn) return;
    const text = error instanceof Problem ? error.message : "kdnetd does not answer. This page tries again.";
    main.replaceChildren(el("p", { class: "alarm", role: "alert" }, text), el("button", { onclick: draw }, "Try again"));
    if (!(error instanceof Problem)) console.error(error);
  }
}

function show() {
  const query = new URLSearchParams(location.search);
  view?.end?.();
  view = choose(query)();
  if (document.activeElement !== search) search.value = query.get("q") || "";
  draw();
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

let typed = 0;
search.addEventListener("input", () => {
  clearTimeout(typed);
  typed = setTimeout(() => {
    const query = new URLSearchParams(location.search), was = view;
    if (search.value) query.set("q", search.value); else query.delete("q");
    for (const name of ["target", "crash"]) query.delete(name);
    query.set("view", "machines");
    history.replaceState(null, "", `/?${query}`);
    if (was?.name === "machines") draw(); else show();
  }, 120);
});
document.getElementById("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const rows = main.querySelectorAll("tbody a");
  if (rows.length === 1) rows[0].click(); else rows[0]?.focus();
});

function move(step) {
  const links = [...main.querySelectorAll("tbody tr a:first-of-type")];
  const at = links.indexOf(document.activeElement);
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

// Fresh views: at most one drawing a second, however many events come.
let due = 0, last = 0;
function soon() {
  if (due) return;
  due = setTimeout(() => { due = 0; last = Date.now(); draw(); }, Math.max(150, 1000 - (Date.now() - last)));
}
stream((type, event) => { if (view?.wants?.(type, event) ?? true) soon(); }, (state) => {
  const live = document.getElementById("live");
  live.className = `live ${state}`;
  live.textContent = state === "on" ? "live" : "not connected";
  if (state === "on") soon();
});
setInterval(() => { if (document.visibilityState === "visible" && !dialog.open) draw(); }, 30000);

get("status").then((status) => {
  document.getElementById("collector").textContent = status.collector;
  document.getElementById("version").textContent = `kdnetd ${status.version}, ${number(status.workers)} workers`;
  document.title = `kdnetd ${status.collector}`;
}).catch(() => {});
show();
