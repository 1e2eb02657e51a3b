import { FFIType, ptr } from "bun:ffi";
import { checked, lazily, load } from "./libc.ts";

/**
 * Groups and capabilities of the calling thread alone (Linux). libc's own setgroups(3) would change all threads;
 * the system calls beneath it change one.
 */
const { i32, u64, pointer } = FFIType;

const libc = lazily(() =>
  load({
    getgroups: { args: [i32, pointer], returns: i32 },
    syscall: { args: [u64, u64, u64, u64], returns: i32 },
    prctl: { args: [i32, u64, u64, u64, u64], returns: i32 },
  } as const),
);

/** Numbers of the system calls, by <asm/unistd.h>. */
const calls =
  process.arch === "arm64"
    ? { setgroups: 159n, setresgid: 149n, capget: 90n, capset: 91n }
    : { setgroups: 116n, setresgid: 119n, capget: 125n, capset: 126n };

const capabilityVersion3 = 0x20080522;
const CAP_SETGID = 6;
const CAP_SYS_PTRACE = 19n;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_LOWER = 3n;

export function threadGroups(): number[] {
  const count = checked("getgroups", libc().getgroups(0, null));
  const groups = new ArrayBuffer(Math.max(count, 1) * 4);
  const found = checked("getgroups", libc().getgroups(count, ptr(groups)));
  return [...new Uint32Array(groups, 0, found)];
}

export function setThreadGroups(groups: readonly number[]): void {
  const list = new ArrayBuffer(Math.max(groups.length, 1) * 4);
  new Uint32Array(list).set(groups);
  checked("setgroups", libc().syscall(calls.setgroups, BigInt(groups.length), address(list), 0n));
}

/** Real, effective and saved. */
export function setThreadGroup(gid: number): void {
  const id = BigInt(gid);
  checked("setresgid", libc().syscall(calls.setresgid, id, id, id));
}

/** Takes from the thread, or gives back to it, the right to change its groups. */
export function setMayChangeGroups(may: boolean): void {
  const header = new ArrayBuffer(8);
  new DataView(header).setUint32(0, capabilityVersion3, true);
  // Twice three words of 32 bits: effective, permitted, inheritable; the first three hold the low capabilities.
  const data = new ArrayBuffer(24);
  const view = new DataView(data);
  checked("capget", libc().syscall(calls.capget, address(header), address(data), 0n));
  const effective = view.getUint32(0, true);
  const bit = 1 << CAP_SETGID;
  view.setUint32(0, may ? effective | bit : effective & ~bit, true);
  checked("capset", libc().syscall(calls.capset, address(header), address(data), 0n));
}

/**
 * A right to look into other processes that was given to an agent which is not root stays the agent's: what this thread
 * spawns does not inherit it. Without it there is nothing to do, nor on a kernel without ambient capabilities.
 */
export function keepTraceRight(): void {
  if (process.platform === "linux")
    libc().prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_SYS_PTRACE, 0n, 0n);
}

function address(buffer: ArrayBuffer): bigint {
  return BigInt(ptr(buffer));
}
