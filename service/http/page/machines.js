// SPDX-License-Identifier: Apache-2.0
// The list of machines: filtered by the address bar, a page at a time as it is scrolled.
import { get } from "/page/api.js";
import { ago, COLOURS, el, number, STATES, time, verdict } from "/page/say.js";

const PAGE = 100;

function row(one) {
  return el("tr", {}, el("td", {}, el("a", { href: `/?target=${encodeURIComponent(one.name)}`, "data-key": `m-${one.name}` }, one.name)),
    el("td", {}, el("span", { class: "state", style: { "--dot": `var(${COLOURS[one.state]})` } }, STATES[one.state][0])),
    el("td", { class: "mono wide" }, one.address || ""), el("td", { class: "t" }, one.last_seen ? ago(one.last_seen) : "never"),
    el("td", {}, one.last_crash ? [verdict(one.last_crash.verdict), el("span", { class: "why" }, time(one.last_crash.time))] : ""),
    el("td", { class: "wide quiet" }, Object.entries(one.labels).map(([key, value]) => [el("a", { class: "chip", href: `/?view=machines&label=${encodeURIComponent(`${key}=${value}`)}` }, `${key}=${value}`), " "])));
}

function filters(query) {
  const state = query.get("state");
  const link = (name) => {
    const next = new URLSearchParams(query);
    next.set("view", "machines");
    if (name) next.set("state", name); else next.delete("state");
    return `/?${next}`;
  };
  return el("nav", { class: "filters", "aria-label": "State" }, [null, ...Object.keys(STATES)].map((name) =>
    el("a", { href: link(name), "aria-current": name === state && "true" }, name ? STATES[name][0] : "all")),
    query.getAll("label").map((label) => {
      const next = new URLSearchParams(query);
      next.delete("label", label);
      return el("a", { href: `/?${next}`, "aria-current": "true", title: "Take this filter away" }, `${label} ×`);
    }));
}

export function machines() {
  let watch = null, shown = PAGE;
  const ask = (query, more) => get("targets", { state: query.getAll("state"), q: query.get("q"), label: query.getAll("label"), ...more });
  return {
    name: "machines",
    wants: (type) => ["connected", "crash_status", "released", "lost", "held", "break_in", "action", "reload"].includes(type),
    async draw(query) {
      const answer = await ask(query, { limit: Math.min(1000, shown) });
      let next = answer.next;
      const body = el("tbody", {}, answer.targets.map(row)), end = el("p", { class: "quiet", "aria-hidden": "true" }, next ? "…" : "");
      watch?.disconnect();
      watch = new IntersectionObserver(async ([seen]) => {
        if (!seen.isIntersecting || !next) return;
        const cursor = next;
        next = null;
        const more = await ask(query, { limit: PAGE, cursor });
        body.append(...more.targets.map(row));
        shown = body.rows.length;
        next = more.next;
        if (!next) end.textContent = "";
        watch.unobserve(end);
        watch.observe(end);
      }, { rootMargin: "600px" });
      watch.observe(end);
      return [el("div", { class: "title" }, el("h1", {}, query.get("q") ? `Machines with “${query.get("q")}”` : "Machines"), el("span", { class: "quiet" }, number(answer.total))), filters(query),
        el("section", { class: "card" }, answer.total === 0 ? el("p", { class: "quiet" }, "No machine matches. Take a filter away, or search for another word.")
          : el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, "Machine"), el("th", {}, "State"), el("th", { class: "wide" }, "Address"), el("th", {}, "Heard"), el("th", {}, "Last crash"), el("th", { class: "wide" }, "Labels"))), body)), end)];
    },
    end: () => watch?.disconnect(),
  };
}
