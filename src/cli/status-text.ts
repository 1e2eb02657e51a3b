import { printable, renderTable } from "./render.ts";
import type { ListedReplica, Status } from "./status.ts";

/** For people: one fact a line, what is wrong right below what runs, and the replicas as a table. */
export function renderStatus(status: Status): string {
  const { root, agent, current, previous, processes, quarantine, containers } = status;
  const lines = [
    fact("Directory", root),
    fact("Agent", agent ?? "not running"),
    fact(
      "Current",
      current === null ? "nothing deployed" : `${current.tag}, since ${current.since} (${current.release})`,
    ),
    ...(previous === null ? [] : [fact("Previous", `${previous.tag} (${previous.release})`)]),
    ...processes.map(({ pid, generation }) => fact("Process", `pid ${pid ?? "?"}, generation ${generation}`)),
    ...replicaLines(status),
    ...quarantine.map(({ tag, at, reason }) => fact("Quarantine", `${tag}, since ${at}: ${reason}`)),
    ...failureLines(status),
  ];
  if (quarantine.length > 0) lines.push(fact("", "`dewy retry` lifts the quarantine"));
  const table = containers.length === 0 ? "" : `\n${replicaTable(containers)}`;
  return `${lines.map(printable).join("\n")}\n${table}`;
}

function replicaLines({ admin, replicas, trouble }: Status): string[] {
  if (admin === null) return [];
  if (admin.problem !== null) return [fact("Replicas", `not known: ${admin.problem}`)];
  return [
    ...(replicas === null ? [] : [fact("Replicas", `${replicas.serving} of ${replicas.wanted} serve`)]),
    ...(trouble === null ? [] : [fact("Trouble", trouble)]),
  ];
}

function failureLines({ failure }: Status): string[] {
  if (failure === null) return [];
  return [
    fact("Failing", `${failure.tag}, ${failure.count} times: ${failure.lastError}`),
    fact("", `next try ${failure.nextTryAt}`),
  ];
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

function fact(name: string, value: string): string {
  return `${name.padEnd(10)} ${value}`;
}
