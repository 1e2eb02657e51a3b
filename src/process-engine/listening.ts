import type { EngineListening } from "../replicas/engine.ts";
import { environment, holdersOf, processGroup, processIds } from "../util/procfs.ts";
import { type ListeningSocket, tableAddress, tableAddresses } from "../util/socket-table.ts";

/** What listens on this host; null: there is no /proc. */
export type Sockets = readonly ListeningSocket[] | null;

/** Names a process's copy in its environment, and in that of all it starts. */
export const replicaVariable = "DEWY_REPLICA";

/** `others`: somebody else listens there. */
export type PortHolder = "own" | "others" | "nobody" | "unknown";

/** Who listens on a port of this host: the copy `id`, whose group `pid` leads, or whoever. */
export function holderOf(
  port: number,
  copy: { readonly id: string; readonly pid: number },
  all: Sockets,
): PortHolder {
  const sockets = socketsAt(port, all);
  if (sockets === null) return "unknown";
  if (sockets.length === 0) return "nobody";
  const inodes = sockets.map(({ inode }) => inode);
  const group = processGroup(copy.pid);
  if (holdersOf(inodes, group).length > 0) return "own";
  // A worker in a session of its own, or what the app left behind when it made itself a daemon.
  const others = holdersOf(
    inodes,
    processIds().filter((pid) => !group.includes(pid)),
  );
  if (others.some((pid) => environment(pid).get(replicaVariable) === copy.id)) return "own";
  return others.length > 0 ? "others" : "unknown";
}

export function asListening(holder: PortHolder): EngineListening {
  if (holder === "unknown") return null;
  return holder === "own" ? "its-own" : "not-its-own";
}

/** Where an app that listens on a port is reached: some take `localhost` for ::1 alone, some hear IPv6 only. */
export function loopbacksOf(port: number, all: Sockets): readonly string[] {
  const heard = new Set((socketsAt(port, all) ?? []).map(({ address }) => address));
  const four = fourAddresses.some((address) => heard.has(address));
  const six = [tableAddress("::"), tableAddress("::1")].some((address) => heard.has(address));
  if (heard.has(tableAddress("::")) || (four && six)) return ["127.0.0.1", "::1"];
  return six ? ["::1"] : ["127.0.0.1"];
}

const fourAddresses = ["0.0.0.0", "127.0.0.1"].flatMap(tableAddresses);

/** Those that this host's own loopback leads to. */
function socketsAt(port: number, all: Sockets): Sockets {
  const reached = [...fourAddresses, tableAddress("::"), tableAddress("::1")];
  return all?.filter((socket) => socket.port === port && reached.includes(socket.address)) ?? null;
}
