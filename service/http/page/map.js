// SPDX-License-Identifier: Apache-2.0
// All machines as small squares, those that need a look first. Where there are more machines than places, a square
// stands for several machines of one state, and no state that has a machine is without a square.
import { go } from "/page/main.js";
import { COLOURS, count, el, STATES } from "/page/say.js";

export const ORDER = ["held", "halted", "dumping", "rebooting", "handed_over", "lost", "never_seen", "connected"];
const SMALLEST = 4, HEIGHT = 288;

// The largest squares that all fit; else the smallest ones, each for `each` machines.
function arrange(counts, width) {
  const total = counts.reduce((sum, n) => sum + n, 0);
  for (let size = total > 120 ? 18 : 24; size >= SMALLEST; --size) {
    const columns = Math.floor(width / size);
    if (Math.ceil(total / columns) * size <= HEIGHT) return { size, columns, each: 1 };
  }
  const columns = Math.floor(width / SMALLEST), places = columns * Math.floor(HEIGHT / SMALLEST) - counts.length;
  return { size: SMALLEST, columns, each: Math.ceil(total / places) };
}

export function squares() {
  const canvas = el("canvas", { role: "img" }), tip = el("span", { class: "tip", hidden: true }), note = el("p", { class: "quiet note" });
  let map = null, groups = [], cells = [], layout = null, painted = "";

  function take(next) {
    if (map === next) return;
    map = next;
    painted = "";
    const found = map.states.map(() => []);
    for (let at = 0; at < map.letters.length; ++at) found[map.letters.charCodeAt(at) - 97]?.push(at);
    groups = ORDER.map((name) => ({ name, at: found[map.states.indexOf(name)] || [] })).filter((group) => group.at.length > 0);
    canvas.setAttribute("aria-label", `${count(map.total, "machine")}: ${groups.map((group) => `${group.at.length} ${STATES[group.name][0]}`).join(", ")}`);
  }

  function paint() {
    const width = canvas.parentElement?.clientWidth || 0;
    const now = `${width} ${devicePixelRatio} ${matchMedia("(prefers-color-scheme: dark)").matches}`;
    if (width < 40 || groups.length === 0 || painted === now) return;
    painted = now;
    layout = arrange(groups.map((group) => group.at.length), width);
    const { size, columns, each } = layout, scale = devicePixelRatio || 1, style = getComputedStyle(document.documentElement);
    cells = groups.flatMap((group) => Array.from({ length: Math.ceil(group.at.length / each) }, (_, at) => ({ group, from: at * each })));
    const rows = Math.ceil(cells.length / columns);
    canvas.width = columns * size * scale; canvas.height = rows * size * scale;
    canvas.style.width = `${columns * size}px`; canvas.style.height = `${rows * size}px`;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    let last = null;
    cells.forEach(({ group }, at) => {
      if (group !== last) pen.fillStyle = style.getPropertyValue(COLOURS[group.name]);
      last = group;
      pen.fillRect((at % columns) * size, Math.floor(at / columns) * size, size - (size > 8 ? 2 : 1), size - (size > 8 ? 2 : 1));
    });
    note.textContent = each > 1 ? `A square stands for ${each} machines of one state.` : "";
  }

  function find(event) {
    const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    return layout && x >= 0 && y >= 0 ? cells[Math.floor(y / layout.size) * layout.columns + Math.floor(x / layout.size)] : null;
  }

  canvas.onmousemove = (event) => {
    const cell = find(event);
    tip.hidden = !cell;
    if (!cell) return;
    const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, first = map.names[cell.group.at[cell.from]];
    const more = Math.min(layout.each, cell.group.at.length - cell.from) - 1;
    tip.textContent = `${first}${more > 0 ? ` and ${more} more` : ""}: ${STATES[cell.group.name][0]}`;
    tip.style.left = x > box.width / 2 ? "" : `${x + 12}px`;
    tip.style.right = x > box.width / 2 ? `${canvas.parentElement.clientWidth - x + 12}px` : "";
    tip.style.top = `${event.clientY - box.top - 10}px`;
  };
  canvas.onmouseleave = () => { tip.hidden = true; };
  canvas.onclick = (event) => {
    const cell = find(event);
    if (cell) go(layout.each > 1 ? `/?state=${cell.group.name}` : `/?target=${encodeURIComponent(map.names[cell.group.at[cell.from]])}`);
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  return {
    take, paint,
    show(place) {
      if (!place) return;
      if (canvas.parentElement !== place) place.replaceChildren(canvas, tip, note);
      paint();
    },
  };
}
