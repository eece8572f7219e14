// SPDX-License-Identifier: Apache-2.0
// The newest crashes: those of the last answer, and what events have told since it was asked for. An event of a crash is
// shown before any question about it has an answer.

// As the store has it: a verdict that is worth more stays.
const WORTH = { written: 2, failed: 2, not_started: 1 };
const worth = (verdict) => WORTH[verdict] || 0;

function join(crash, event) {
  const better = worth(event.verdict) >= worth(crash.verdict);
  const { verdict, reason, status, assessment } = better ? event : crash;
  return { ...crash, verdict, reason, status, assessment, bugcheck: event.bugcheck || crash.bugcheck, bucket: event.bucket || crash.bucket,
    phases: [...(crash.phases || []).filter((phase) => phase.id !== event.id), event], dump_ms: event.since_first_ms || crash.dump_ms };
}

const made = (event) => ({ ...event, phases: [event], dump_ms: event.since_first_ms || null, acknowledged: null });

export function newestCrashes() {
  let known = null, told = [], clock = 0;
  return {
    // A number for `know`: what is told later may not be in the answer.
    begin: () => clock,
    know(crashes, begun) {
      known = crashes;
      told = told.filter((one) => one.at > begun);
    },
    // Whether there is something to be shown.
    take(type, event) {
      if (type !== "crash_status" || !event.crash || !known) return false;
      told.push({ at: ++clock, event });
      if (told.length > 1000) told.shift();
      return true;
    },
    shown(verdict, most) {
      if (!known) return null;
      const all = new Map(known.crashes.map((crash) => [crash.crash, crash]));
      let more = 0;
      for (const { event } of told) {
        const crash = all.get(event.crash);
        if (!crash && event.phase === "bugcheck_first") more += 1;
        all.set(event.crash, crash ? join(crash, event) : made(event));
      }
      const crashes = [...all.values()].filter((crash) => !verdict || crash.verdict === verdict)
        .sort((a, b) => b.time < a.time ? -1 : b.time > a.time ? 1 : 0).slice(0, most);
      return { ...known, crashes, total: known.total + (verdict ? 0 : more) };
    },
  };
}
