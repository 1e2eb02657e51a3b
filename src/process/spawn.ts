import { DewyError, messageOf, systemCode, toDewyError } from "../errors.ts";
import { processStat } from "../util/procfs.ts";
import { spawnAs } from "../util/spawn-as.ts";
import type { User } from "../util/user.ts";
import type { Exit, ProcessTarget } from "./process.ts";
import { resolveProgram } from "./program.ts";

const askingMs = 5000;

/** What the operator wants to run. */
export interface AppProcess {
  readonly command: readonly string[];
  /** Its working directory. */
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
  /** Whom it runs as; null: as the agent. */
  readonly user: User | null;
}

/** How it is to be run. */
export interface SpawnHow {
  /** What is executed for the program and its arguments. */
  readonly argv?: (program: string, args: readonly string[]) => readonly string[];
  /** They become its descriptors 3, 4, … */
  readonly fds?: readonly number[];
}

export interface SpawnedProcess extends ProcessTarget {
  readonly exited: Promise<Exit>;
}

/**
 * Starts the app in a session of its own, so that it outlives a killed agent and can be signalled as a group; output
 * goes where the agent's own goes, untouched. Fails with `start-failed` when the command is missing or can't be
 * executed.
 */
export function spawnApp(app: AppProcess, { argv, fds = [] }: SpawnHow): SpawnedProcess {
  const { command, root, env, user } = app;
  const program = resolveProgram(command, root, env["PATH"]);
  checkMayRun(app, program);
  const args = command.slice(1);
  try {
    const child = spawnAs(user, (ids) =>
      Bun.spawn([...(argv?.(program, args) ?? [program, ...args])], {
        cwd: root,
        env,
        detached: true,
        stdio: ["ignore", "inherit", "inherit", ...fds],
        ...ids,
      }),
    );
    return {
      pid: child.pid,
      leadsGroup: true,
      root,
      startTicks: processStat(child.pid)?.startTicks ?? 0,
      exited: child.exited.then(() => ({
        code: child.exitCode,
        signal: child.signalCode?.toString() ?? null,
      })),
    };
  } catch (error) {
    throw startError(command[0] ?? "", error);
  }
}

/**
 * Root may run what the app's user may not. Behind the shell that tells LISTEN_PID it would only be an exit code,
 * so whoever is to run it is asked before.
 */
function checkMayRun({ user, command, env }: AppProcess, program: string): void {
  if (user === null || Bun.which("/bin/sh") === null) return;
  const { exitCode } = spawnAs(user, (ids) =>
    Bun.spawnSync(["/bin/sh", "-c", 'test -x "$0"', program], {
      env: { PATH: env["PATH"] },
      stdio: ["ignore", "ignore", "ignore"],
      timeout: askingMs,
      ...ids,
    }),
  );
  if (exitCode !== 1) return;
  throw new DewyError("start-failed", `user ${user.name ?? user.uid} may not execute ${command[0] ?? ""}`, {
    hint: "the file and every directory above it must be open to that user; releases keep their archive's modes",
  });
}

/** The program is there and executable by now: what the kernel still has against it is the release's fault. */
function startError(name: string, error: unknown): DewyError {
  if (!["ENOENT", "ENOEXEC", "EACCES", "ENOTDIR", "ELOOP"].includes(systemCode(error) ?? "")) {
    return toDewyError(error, `start ${name}`);
  }
  return new DewyError("start-failed", `command can't be executed: ${name}: ${messageOf(error)}`, {
    cause: error,
    hint: "check the script's first line (#!) and that the program was built for this machine",
  });
}
