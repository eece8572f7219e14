// SPDX-License-Identifier: Apache-2.0
// The list of machines, filtered by the address bar. Rows are asked for page by page as the list is scrolled; pages far
// from the window are emptied again, so that a list of 100,000 machines stays small.
import { get } from "/page/api.js";
import { morph } from "/page/morph.js";
import { name as nameTab } from "/page/main.js";
import { ago, COLOURS, el, number, STATES, time, verdict } from "/page/say.js";

const PAGE = 100, NEAR = "1500px";
const COLUMNS = [["Machine", "name"], ["State", ""], ["Address", "wide"], ["Heard", ""], ["Last crash", ""], ["Labels", "wide"]];

function labels(one) {
  return Object.entries(one.labels).map(([key, value]) => [el("a", { class: "chip", href: `/?view=machines&label=${encodeURIComponent(`${key}=${value}`)}` }, `${key}=${value}`), " "]);
}

function row(one) {
  return el("tr", { "data-key": one.name }, el("td", { class: "name" }, el("a", { href: `/?target=${encodeURIComponent(one.name)}` }, one.name)),
    el("td", { class: "what" }, el("span", { class: "state", style: { "--dot": `var(${COLOURS[one.state]})` } }, STATES[one.state][0])),
    el("td", { class: "mono wide" }, one.address || ""), el("td", { class: "t" }, ago(one.last_seen)),
    el("td", { class: "end" }, one.last_crash ? [verdict(one.last_crash.verdict), el("span", { class: "why" }, time(one.last_crash.time))] : ""),
    el("td", { class: "wide quiet" }, labels(one)));
}

function stateFilters(query) {
  const chosen = query.getAll("state");
  return [null, ...Object.keys(STATES)].map((name) => {
    const next = new URLSearchParams(query);
    next.set("view", "machines");
    if (name) next.set("state", name); else next.delete("state");
    const is = name ? chosen.includes(name) : chosen.length === 0;
    return el("a", { href: `/?${next}`, "aria-current": is && "true" }, name ? STATES[name][0] : "all");
  });
}

function labelFilters(query) {
  return query.getAll("label").map((label) => {
    const next = new URLSearchParams(query);
    next.set("view", "machines");
    next.delete("label", label);
    return el("a", { href: `/?${next}`, "aria-current": "true", "aria-label": `Take the filter ${label} away` }, `${label} ×`);
  });
}

// Pages of rows in a table: each is a tbody that knows its cursor, and is filled while it is near the window.
function pages(ask) {
  const table = el("table", { class: "rows machines" }, el("thead", {}, el("tr", {}, COLUMNS.map(([name, kind]) => el("th", { scope: "col", class: kind }, name)))));
  const list = [];
  const watch = new IntersectionObserver((seen) => seen.forEach((one) => turn(one.target.page, one.isIntersecting)), { rootMargin: NEAR });

  function add(cursor) {
    const page = { body: el("tbody", {}), cursor, filled: false, near: false, at: list.length };
    page.body.page = page;
    list.push(page);
    table.append(page.body);
    return page;
  }
  function cut(from) {
    for (const page of list.splice(from)) { watch.unobserve(page.body); page.body.remove(); }
  }
  async function fill(page) {
    const answer = await ask({ limit: PAGE, cursor: page.cursor });
    morph(page.body, answer.targets.map(row));
    page.filled = true;
    if (!answer.next) cut(page.at + 1);
    else if (list[page.at + 1]) list[page.at + 1].cursor = answer.next;
    else {
      const next = add(answer.next);
      next.body.append(el("tr", { class: "gap" }, el("td", { colspan: COLUMNS.length }, "…")));
      watch.observe(next.body);
    }
    return answer;
  }
  function turn(page, near) {
    page.near = near;
    if (near && !page.filled) fill(page).catch(() => {});
    else if (!near && page.filled && page.at > 0) {
      const space = el("td", { colspan: COLUMNS.length });
      space.style.height = `${page.body.offsetHeight}px`;
      page.body.replaceChildren(el("tr", { class: "gap" }, space));
      page.filled = false;
    }
  }
  return {
    table,
    async draw() {
      const first = list[0] || add(null), answer = await fill(first);
      await Promise.all(list.slice(1).filter((page) => page.filled && page.near).map(fill));
      return answer.total;
    },
    start: () => list.forEach((page) => watch.observe(page.body)),
    end: () => watch.disconnect(),
  };
}

function none(query) {
  return ["q", "state", "label"].some((name) => query.has(name)) ? "No machine matches. Take a filter away, or search for another word."
    : "No machine is configured yet. On the collector, kdnetctl keygen makes the lines for one.";
}

export function machines() {
  let shown = null, key = null;
  return {
    name: "machines",
    wants: (type) => ["connected", "crash_status", "released", "lost", "held", "break_in", "action", "reload", "removed"].includes(type),
    async draw(query) {
      const asked = { state: query.getAll("state"), q: query.get("q"), label: query.getAll("label") };
      const next = query.toString() === key && shown ? shown : pages((more) => get("targets", { ...asked, ...more }));
      const total = await next.draw();
      if (next !== shown) { shown?.end(); shown = next; key = query.toString(); }
      nameTab(0);
      return [el("div", { class: "title" }, el("h1", {}, query.get("q") ? `Machines with “${query.get("q")}”` : "Machines"), el("span", { class: "quiet", role: "status" }, number(total))),
        el("nav", { class: "filters", "aria-label": "State and labels" }, stateFilters(query), labelFilters(query)),
        el("section", { class: "card list" }, total === 0 ? el("p", { class: "quiet" }, none(query))
          : el("div", { class: "hold", "data-keep": `${key}` }))];
    },
    ready(main) {
      const place = main.querySelector(".hold");
      if (!place || shown.table.parentElement === place) return;
      place.replaceChildren(shown.table);
      shown.start();
    },
    end: () => shown?.end(),
  };
}
