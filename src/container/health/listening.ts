import { readFileSync } from "node:fs";
import { type Listening, listeningOn } from "../../health/listening.ts";
import { listeningSockets } from "../../util/socket-table.ts";

/**
 * Looks into the network of a container through its main process. A pid of another pid namespace (a remote engine, an
 * agent in a container itself) could name any process here: its control group must name the container.
 */
export function containerListens(container: { id: string; pid: number | null }, port: number): Listening {
  const { id, pid } = container;
  if (pid === null) return null;
  try {
    if (id === "" || !readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(id)) return null;
    return listeningOn(listeningSockets(pid), port);
  } catch {
    return null; // it has ended, or there is no /proc
  }
}
