// SPDX-License-Identifier: Apache-2.0
// The API: questions, acts and the stream. A token is asked for when one is needed, and kept for this tab only.

const KEY = "kdnetd-token";
const PATIENCE = 20000;
let askForToken = null; // (detail) => Promise<string or null>
let asking = null, refused = false;

export function onToken(ask) {
  askForToken = ask;
}

// The person wants to be asked again.
export function askAgain() {
  refused = false;
}

function headers(more, token) {
  return token ? { ...more, Authorization: `Bearer ${token}` } : { ...more };
}

export class Problem extends Error {
  constructor(body, status) {
    super(body.detail || body.title || `status ${status}`);
    this.status = status;
    this.body = body;
  }
}

const needsToken = (answer, body) => answer.status === 401 || (answer.status === 403 && /\btoken\b/.test(body.detail || ""));

// Several requests may find at once that a token is needed: one question for all of them. Who does not want to give
// one is not asked again until something is to be done with it.
async function takeToken(used, status, detail, acts) {
  if (sessionStorage.getItem(KEY) !== used) return true;
  if (!askForToken || (refused && !acts)) return false;
  asking ??= askForToken(detail || "A token is needed.").finally(() => { asking = null; });
  const token = await asking;
  refused = !token;
  if (token) sessionStorage.setItem(KEY, token);
  else if (status === 401) sessionStorage.removeItem(KEY);
  return Boolean(token);
}

async function send(path, options) {
  for (;;) {
    const used = sessionStorage.getItem(KEY);
    const answer = await fetch(path, { ...options, headers: headers(options.headers, used), cache: "no-store" });
    if (answer.ok) return answer;
    const body = await answer.json().catch(() => ({}));
    if (needsToken(answer, body) && await takeToken(used, answer.status, body.detail, options.method === "POST")) continue;
    throw new Problem(body, answer.status);
  }
}

// Questions that are under way; a view that is left ends its own, so that those of the next one need not wait.
const underWay = new Set();
export function leave() {
  for (const one of underWay) one.abort();
}

// Reads JSON, with a time limit. `stays`: whichever view is shown.
async function read(path, stays) {
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(new DOMException("kdnetd took too long", "TimeoutError")), PATIENCE);
  if (!stays) underWay.add(ending);
  try {
    return await (await send(path, { signal: ending.signal })).json();
  } finally {
    clearTimeout(timer);
    underWay.delete(ending);
  }
}

export async function get(path, parameters = {}, stays = false) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters))
    for (const one of Array.isArray(value) ? value : [value])
      if (one !== undefined && one !== null && one !== "") query.append(name, one);
  const text = query.toString();
  return read(`/api/v1/${path}${text ? `?${text}` : ""}`, stays);
}

export async function post(path, body) {
  const options = { method: "POST" };
  if (body) {
    options.body = JSON.stringify(body);
    options.headers = { "Content-Type": "application/json" };
  }
  return (await send(`/api/v1/${path}`, options)).json();
}

function parse(block) {
  const event = { id: null, type: "message", data: "" };
  for (const line of block.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon <= 0) continue;
    const name = line.slice(0, colon), value = line.slice(colon + 2);
    if (name === "id") event.id = value;
    else if (name === "event") event.type = value;
    else if (name === "data") event.data += value;
  }
  return event;
}

// EventSource cannot send a token, so the stream is read by hand. Calls back with each event, and with what the
// connection is: "on" or "off".
export async function stream(onEvent, onState) {
  let last = null, wait = 1000;
  for (;;) {
    try {
      const path = `/api/v1/stream${last ? `?after=${encodeURIComponent(last)}` : ""}`;
      const reader = (await send(path, {})).body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      onState("on");
      wait = 1000;
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        text += value;
        const blocks = text.split("\n\n");
        text = blocks.pop();
        for (const block of blocks) {
          const event = parse(block);
          if (event.id) last = event.id;
          if (event.type === "resync") last = null;
          if (event.data) onEvent(event.type, JSON.parse(event.data));
        }
      }
    } catch (error) {
      if (error instanceof Problem && error.status === 401) wait = 30000;
    }
    onState("off");
    await new Promise((done) => setTimeout(done, wait + Math.random() * 500));
    wait = Math.min(wait * 2, 15000);
  }
}
