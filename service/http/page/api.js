// SPDX-License-Identifier: Apache-2.0
// The API: questions, acts and the stream. A token is asked for when one is needed, and kept for this tab only.

const KEY = "kdnetd-token";
let askForToken = null; // (detail) => Promise<string or null>

export function onToken(ask) {
  askForToken = ask;
}

function headers(more) {
  const token = sessionStorage.getItem(KEY);
  return token ? { ...more, Authorization: `Bearer ${token}` } : { ...more };
}

export class Problem extends Error {
  constructor(body, status) {
    super(body.detail || body.title || `status ${status}`);
    this.status = status;
    this.body = body;
  }
}

async function send(path, options, again = true) {
  const answer = await fetch(path, { ...options, headers: headers(options.headers), cache: "no-store" });
  if (answer.ok) return answer;
  const body = await answer.json().catch(() => ({}));
  if ((answer.status === 401 || answer.status === 403) && again && askForToken) {
    sessionStorage.removeItem(KEY);
    const token = await askForToken(body.detail || "A token is needed.");
    if (token) {
      sessionStorage.setItem(KEY, token);
      return send(path, options, false);
    }
  }
  throw new Problem(body, answer.status);
}

export async function get(path, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters))
    for (const one of Array.isArray(value) ? value : [value])
      if (one !== undefined && one !== null && one !== "") query.append(name, one);
  const text = query.toString();
  return (await send(`/api/v1/${path}${text ? `?${text}` : ""}`, {})).json();
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
