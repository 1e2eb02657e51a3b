import { type Fact, renderFacts } from "./facts.ts";
import { renderTable } from "./render.ts";
import { renderMoment, withLocalTimes } from "./render-time.ts";
import type { Paint, Screen } from "./screen.ts";
import type { Status } from "./status.ts";
import { type ListedReplica, servingText } from "./status-replicas.ts";

/** For people: how it is comes first, then one fact a line, what is wrong last, and the replicas as a table. */
export function renderStatus(status: Status, screen: Pick<Screen, "columns" | "colour">, now: Date): string {
  const facts = [
    stateFact(status),
    ...placeFacts(status, now),
    ...releaseFacts(status, now),
    ...appFacts(status),
    ...pollFacts(status, now),
    ...reasonFacts(status, now),
    ...strandedFacts(status, now),
    ...troubleFacts(status, now),
    ...notifierFacts(status),
  ].map((fact) => ({ ...fact, value: withLocalTimes(fact.value, now) }));
  const { containers } = status;
  const table = containers.length === 0 ? "" : `\n${replicaTable(containers)}`;
  return `${renderFacts(facts, screen)}${table}`;
}

function stateFact({ health, app, current, command }: Status): Fact {
  const tag = current?.tag ?? null;
  const fact = (value: string, paint: Paint): Fact => ({ name: "State", value, paint });
  switch (health) {
    case "no-agent":
      return fact(`NO AGENT runs here; ${tag ?? "nothing"} was deployed last`, "red");
    case "silent":
      return fact("THE AGENT DOES NOT ANSWER; what follows is from disk", "red");
    case "down":
      return fact(`DOWN: ${app?.kind === "down" ? app.reason : "the app does not run"}`, "red");
    case "well":
      break;
  }
  if (app?.kind === "starting") return fact(`starting ${tag ?? "the app"}`, "yellow");
  if (tag === null) return fact("nothing is deployed yet", "yellow");
  if (app?.kind !== "serving") return fact(`${tag} is in place`, "green");
  const { replicas, inRotation } = app;
  const few = replicas !== null && inRotation !== null && inRotation < replicas;
  if (few) return fact(`serving ${tag} with ${inRotation} of ${replicas} replicas`, "yellow");
  return fact(command === "assets" ? `${tag} is in place` : `serving ${tag}`, "green");
}

function placeFacts({ root, agent, command, version, startedAt, problem }: Status, now: Date): Fact[] {
  const pid = /^pid \d+/.exec(agent ?? "")?.[0] ?? "";
  const own = [`dewy ${command} ${version}`, pid, `since ${renderMoment(startedAt ?? "", now)}`];
  return [
    { name: "Directory", value: root },
    { name: "Agent", value: version === null ? (agent ?? "not running") : own.join(", ") },
    ...(problem === null ? [] : [{ name: "", value: problem, paint: "red" } as const]),
  ];
}

function releaseFacts({ current, previous, soakUntil }: Status, now: Date): Fact[] {
  const facts: Fact[] = [
    {
      name: "Current",
      value:
        current === null
          ? "nothing deployed"
          : `${current.tag} (${current.release}), since ${renderMoment(current.since, now)}`,
    },
  ];
  if (previous !== null) facts.push({ name: "Previous", value: `${previous.tag} (${previous.release})` });
  if (soakUntil !== null && new Date(soakUntil) > now) {
    facts.push({
      name: "Soak",
      value: `on probation until ${renderMoment(soakUntil, now)}`,
      paint: "yellow",
    });
  }
  return facts;
}

function appFacts({ app, processes, admin, replicas, trouble }: Status): Fact[] {
  const facts: Fact[] = [];
  if (app?.kind === "serving" && app.pid !== null) {
    const generation = app.generation === null ? "" : `, generation ${app.generation}`;
    facts.push({ name: "Process", value: `pid ${app.pid}${generation}` });
  } else {
    for (const { pid, generation } of processes) {
      facts.push({ name: "Process", value: `pid ${pid ?? "?"}, generation ${generation}` });
    }
  }
  if (admin === null) return facts;
  if (admin.problem !== null) return [...facts, { name: "Replicas", value: `not known: ${admin.problem}` }];
  if (replicas !== null) {
    facts.push({ name: "Replicas", value: servingText(replicas) });
  }
  if (trouble !== null) facts.push({ name: "Trouble", value: trouble, paint: "red" });
  return facts;
}

function pollFacts({ lastPoll, nextPollAt, busy, health }: Status, now: Date): Fact[] {
  if (health === "no-agent" || health === "silent") return [];
  const facts: Fact[] = [];
  if (lastPoll === null) facts.push({ name: "Last poll", value: "none yet" });
  else {
    const { at, ok, newest } = lastPoll;
    const found = newest === null ? "no release" : `${newest} is the newest`;
    facts.push({
      name: "Last poll",
      value: `${renderMoment(at, now)}: ${ok ? found : "it failed"}`,
      paint: ok ? null : "yellow",
    });
  }
  if (nextPollAt !== null) facts.push({ name: "Next poll", value: renderMoment(nextPollAt, now) });
  if (busy !== null) {
    const step = busy.step === null ? "" : `: ${busy.step}`;
    facts.push({ name: "Busy", value: `${busy.with}${step}; since ${renderMoment(busy.since, now)}` });
  }
  return facts;
}

/** Why the newest release does not run. */
function reasonFacts({ hold, waiting, quarantine }: Status, now: Date): Fact[] {
  const facts: Fact[] = [];
  if (hold !== null) {
    const { since, until, reason, left } = hold;
    const end = until === null ? "" : ` until ${renderMoment(until, now)}`;
    const why =
      left === null ? "by an operator" : `after a rollback, until a release newer than ${left} comes`;
    const said = reason === null ? "" : `: ${reason}`;
    facts.push({
      name: "Held",
      value: `${why}${end}${said}; since ${renderMoment(since, now)}`,
      paint: "yellow",
    });
    facts.push({ name: "", value: "`dewy resume` ends the hold", paint: "dim" });
  }
  // A hold or the quarantine is why it waits, then.
  const isSaid = hold !== null || quarantine.some(({ tag }) => tag === waiting?.tag);
  if (waiting !== null && !isSaid) {
    const until = waiting.until === null ? "" : `; until ${renderMoment(waiting.until, now)}`;
    facts.push({ name: "Waiting", value: `${waiting.reason}${until}`, paint: "yellow" });
  }
  return facts;
}

/** Its release should be left, and can't be. */
function strandedFacts({ stranded }: Status, now: Date): Fact[] {
  if (stranded === null) return [];
  const { reason, why, hint, at } = stranded;
  return [
    { name: "Stranded", value: `to be left since ${renderMoment(at, now)}: ${reason}`, paint: "red" },
    { name: "", value: `it can't be: ${why}`, paint: "red" },
    { name: "", value: hint, paint: "dim" },
  ];
}

function troubleFacts({ quarantine, failure, lastError }: Status, now: Date): Fact[] {
  const facts: Fact[] = quarantine.map(({ tag, at, reason }) => ({
    name: "Quarantine",
    value: `${tag}, since ${renderMoment(at, now)}: ${reason}`,
    paint: "yellow",
  }));
  if (quarantine.length > 0) {
    facts.push({ name: "", value: "`dewy retry` lifts the quarantine", paint: "dim" });
  }
  if (failure !== null) {
    const { tag, count, lastError: why, nextTryAt } = failure;
    const times = count === 1 ? "once" : `${count} times`;
    facts.push({ name: "Failing", value: `${tag}, ${times}: ${why}`, paint: "yellow" });
    facts.push({ name: "", value: `next try ${renderMoment(nextTryAt, now)}` });
  }
  const isSaid = [failure?.lastError, ...quarantine.map(({ reason }) => reason)].includes(lastError?.message);
  if (lastError !== null && !isSaid) {
    facts.push({ name: "Last error", value: `${renderMoment(lastError.at, now)}: ${lastError.message}` });
  }
  return facts;
}

/** Whoever is told everything in time is not worth a line. */
function notifierFacts({ notifiers }: Status): Fact[] {
  const late = notifiers.filter(({ waiting, problem }) => waiting > 0 || problem !== null);
  return late.map(({ name, waiting, problem }) => {
    const waits = waiting === 1 ? "1 notice waits" : `${waiting} notices wait`;
    const value = `${name}: ${waits}${problem === null ? "" : `: ${problem}`}`;
    return { name: "Notifier", value, paint: problem === null ? null : "yellow" };
  });
}

function replicaTable(containers: readonly ListedReplica[]): string {
  const rows = containers.map(({ name, version, state, address, connections, seen }) => [
    name,
    version ?? "",
    state ?? "",
    address ?? "",
    `${connections ?? ""}`,
    seen ?? "",
  ]);
  return renderTable(["NAME", "VERSION", "STATE", "ADDRESS", "CONNECTIONS", "LAST CHECK"], rows);
}
