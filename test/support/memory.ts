import { readFileSync } from "node:fs";

/** A process's memory in words (proc_pid_status(5)). */
export function memoryOf(pid: number): string {
  const mib = (name: MemoryField) => Math.round(memoryKiB(pid, name) / 1024);
  return `${mib("VmRSS")} MiB resident (${mib("RssAnon")} of its own, ${mib("RssFile")} program text shared with the page cache), peak ${mib("VmHWM")} MiB`;
}

type MemoryField = "VmRSS" | "VmHWM" | "RssAnon" | "RssFile";

export function memoryKiB(pid: number, name: MemoryField): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]);
}
