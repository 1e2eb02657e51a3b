import { DewyError, messageOf, systemCode, toDewyError } from "../errors.ts";
import { processStat } from "../util/procfs.ts";
import type { Clock } from "../util/time.ts";
import { resolveProgram, withListenPid } from "./command.ts";
import { listenEnvironment, protocolVariables, readEnvDir, rootVariable } from "./environment.ts";
import type { Generation } from "./generation.ts";
import type { Listener } from "./listener.ts";

export interface LaunchOptions {
  readonly command: readonly string[];
  /** The app's working directory. */
  readonly root: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A folder of variables (envdir(8)), read at each start; null: none. */
  readonly envDir: string | null;
}

/**
 * Starts one generation in a session of its own, so that it outlives a killed agent and can be signalled as a
 * group. The listeners become descriptors 3, 4, …; output goes where the agent's own goes, untouched. Fails with
 * `start-failed` when the command is missing or can't be executed.
 */
export function launch(
  options: LaunchOptions,
  listeners: readonly Listener[],
  run: { number: number; release: string },
  clock: Clock,
): Generation {
  const env = generationEnvironment(options, listeners, run.number);
  const program = resolveProgram(options.command, options.root, env["PATH"]);
  const command = withListenPid(program, options.command.slice(1), env);
  try {
    const child = Bun.spawn([...command], {
      cwd: options.root,
      env,
      detached: true,
      stdio: ["ignore", "inherit", "inherit", ...listeners.map((listener) => listener.fd)],
    });
    return {
      ...run,
      pid: child.pid,
      leadsGroup: true,
      startTicks: processStat(child.pid)?.startTicks ?? 0,
      startedMs: clock.monotonicMs(),
      exited: child.exited.then(() => ({
        code: child.exitCode,
        signal: child.signalCode?.toString() ?? null,
      })),
    };
  } catch (error) {
    throw startError(options.command[0] ?? "", error);
  }
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

function generationEnvironment(
  options: LaunchOptions,
  listeners: readonly Listener[],
  number: number,
): Record<string, string> {
  const merged = {
    ...options.env,
    ...Object.fromEntries(protocolVariables.map((name) => [name, undefined])),
    ...(options.envDir === null ? {} : readEnvDir(options.envDir)),
    ...listenEnvironment(
      listeners.map((listener) => listener.spec),
      number,
    ),
    [rootVariable]: options.root,
  };
  const defined = Object.entries(merged).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return Object.fromEntries(defined);
}
