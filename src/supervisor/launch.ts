import { join } from "node:path";
import { type AppEnvironment, appEnvironment, rehearsalVariable } from "../process/environment.ts";
import { inRelease, releaseVariable } from "../process/in-release.ts";
import { spawnApp } from "../process/spawn.ts";
import type { Clock } from "../util/time.ts";
import { withListenPid } from "./command.ts";
import { listenEnvironment } from "./environment.ts";
import type { Generation } from "./generation.ts";
import type { Listener } from "./listener.ts";

export interface LaunchOptions extends AppEnvironment {
  readonly command: readonly string[];
}

/** A socket that listens, and where. */
export type Inherited = Pick<Listener, "spec" | "fd">;

interface Run {
  readonly number: number;
  readonly release: string;
  /** On private sockets, which no client reaches. */
  readonly isRehearsal?: boolean;
}

/**
 * Starts one generation in a session of its own, so that it outlives a killed agent and can be signalled as a
 * group. The listeners become descriptors 3, 4, …; output goes where the agent's own goes, untouched. Fails with
 * `start-failed` when the command is missing or can't be executed.
 */
export function launch(
  options: LaunchOptions,
  listeners: readonly Inherited[],
  { isRehearsal, ...run }: Run,
  clock: Clock,
): Generation {
  const specs = listeners.map((listener) => listener.spec);
  const { root } = options;
  const env = appEnvironment(options, {
    ...listenEnvironment(specs, run.number),
    [releaseVariable]: join(root, "releases", run.release),
    ...(isRehearsal === true ? { [rehearsalVariable]: "1" } : {}),
  });
  // `current` leads to another release while one is rehearsed.
  const ownWord = (word: string) => (isRehearsal === true ? inRelease(word, root, run.release) : word);
  const started = spawnApp(
    { ...options, command: options.command.map(ownWord), env },
    {
      argv: (program, args) => withListenPid(program, args, env),
      fds: listeners.map((listener) => listener.fd),
    },
  );
  return { ...run, ...started, startedMs: clock.monotonicMs() };
}
