import { spawnAs } from "./spawn-as.ts";
import type { User } from "./user.ts";

/** What an operator has run by `/bin/sh -c`. */
export interface ShellCommand {
  readonly command: string;
  /** Its working directory. */
  readonly root: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whom it runs as; null: as the agent. */
  readonly user: User | null;
}

/** In a process group of its own, so that all of it can be killed. Throws what Bun.spawn throws. */
export function spawnShell(
  { command, root, env, user }: ShellCommand,
  output: readonly ["ignore" | "inherit" | number, "ignore" | "inherit" | number],
) {
  return spawnAs(user, (ids) =>
    Bun.spawn(["/bin/sh", "-c", command], {
      cwd: root,
      env: { ...env },
      detached: true,
      stdio: ["ignore", ...output],
      ...ids,
    }),
  );
}

export function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // ESRCH: nothing is left of it
  }
}
