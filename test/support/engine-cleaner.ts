/**
 * A program of its own, so that an engine ends with the test process however that ends: it is started when standard
 * input closes, ends every process whose command line holds the engine's directory and their children (containers),
 * and removes mounts, links and the directory.
 */
import { readdirSync, readFileSync, rmSync } from "node:fs";

export interface CleaningPlan {
  /** The engine's own directory, with a name nothing else has. */
  readonly directory: string;
  readonly links: readonly string[];
  /** Removes the containers while the engine can still do it properly; its failure is no matter. */
  readonly removeContainers: readonly string[] | null;
  readonly env: Readonly<Record<string, string>>;
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

if (import.meta.main) await clean(JSON.parse(process.argv[2] ?? "null"));

async function clean(plan: CleaningPlan): Promise<void> {
  const { removeContainers: remove, env } = plan;
  if (remove !== null) Bun.spawnSync([...remove], { env: { ...process.env, ...env }, timeout: 20_000 });
  const owned = new Set<number>();
  await end(plan.directory, owned, "SIGTERM", 3000);
  if (!(await end(plan.directory, owned, "SIGKILL", 10_000))) throw new Error("its processes do not end");
  for (const mount of mountsBelow(plan.directory)) Bun.spawnSync(["umount", "--lazy", mount]);
  for (const link of plan.links) Bun.spawnSync(["ip", "link", "delete", link], { stderr: "ignore" });
  rmSync(plan.directory, { recursive: true, force: true });
}

/** Sends the signal to what is there and comes up, until nothing is left; false: some is, after `limitMs`. */
async function end(
  directory: string,
  owned: Set<number>,
  signal: "SIGTERM" | "SIGKILL",
  limitMs: number,
): Promise<boolean> {
  const told = new Set<number>();
  const deadline = performance.now() + limitMs;
  for (;;) {
    const alive = ownProcesses(directory, owned);
    if (alive.length === 0) return true;
    if (performance.now() > deadline) return false;
    for (const { pid, command } of alive) {
      // A shim that is asked to end leaves its container behind; it goes when its engine removes that.
      if (told.has(pid) || (signal === "SIGTERM" && !/^(dockerd|podman)\b/.test(command))) continue;
      told.add(pid);
      try {
        process.kill(pid, signal);
      } catch {
        // It has ended by itself.
      }
    }
    await Bun.sleep(20);
  }
}

/** `owned` remembers children whose parent has gone meanwhile. */
function ownProcesses(directory: string, owned: Set<number>): Process[] {
  const all = processes().filter(({ pid }) => pid !== process.pid);
  for (const { pid } of all.filter(({ command }) => command.includes(directory))) owned.add(pid);
  for (let before = -1; before !== owned.size; ) {
    before = owned.size;
    for (const { pid, parent } of all) if (owned.has(parent)) owned.add(pid);
  }
  return all.filter(({ pid }) => owned.has(pid));
}

function processes(): Process[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      // The name in brackets may hold anything: count from its end.
      const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return state === "Z" ? [] : [{ pid: Number(pid), parent: Number(parent), command }];
    } catch {
      return []; // ended meanwhile
    }
  });
}

/** The deepest first. */
function mountsBelow(directory: string): string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const paths = lines.map((line) => line.split(" ")[4] ?? "");
  return paths.filter((path) => path.startsWith(`${directory}/`)).reverse();
}
