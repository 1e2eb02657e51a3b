import { readFileSync } from "node:fs";

/** Of a Bun socket or listener, whose types leave it out; null: it is closed. */
export function descriptorOf(socket: object): number | null {
  return "fd" in socket && typeof socket.fd === "number" && socket.fd >= 0 ? socket.fd : null;
}

/** How many descriptors this process may have open (proc_pid_limits(5)); null where it can't be told. */
export function descriptorLimit(): number | null {
  try {
    const line = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync("/proc/self/limits", "utf8"));
    return line === null || line[1] === "unlimited" ? null : Number(line[1]);
  } catch {
    return null; // no /proc on this platform
  }
}
