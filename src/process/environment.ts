import { type User, userEnvironment } from "../util/user.ts";
import { readEnvDir } from "./env-dir.ts";

/** Marks a process as a child of the agent in this directory, for an agent that finds it later. */
export const rootVariable = "DEWY_ROOT";
export const generationVariable = "SERVER_STARTER_GENERATION";
export const portVariable = "SERVER_STARTER_PORT";
/** `1` for a run on private sockets, which no client reaches. */
export const rehearsalVariable = "DEWY_REHEARSAL";
/** Only health commands get it: which process they are about. */
export const checkedVariable = "DEWY_PID";
/** What a supervisor of dewy itself said to dewy is not for the app. */
export const protocolVariables = [
  generationVariable,
  portVariable,
  "LISTEN_FDS",
  "LISTEN_PID",
  "LISTEN_FDNAMES",
  "LISTEN_PIDFDID",
  rehearsalVariable,
  checkedVariable,
] as const;

/** What an app finds in its environment, whoever starts it. */
export interface AppEnvironment {
  /** The agent's own. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A folder of variables (envdir(8)), read at each start; null: none. */
  readonly envDir: string | null;
  /** Whom it runs as; null: as the agent. */
  readonly user: User | null;
  readonly root: string;
}

/** `own`: what the app is told of this start. Fails as the reading of ENVDIR does. */
export function appEnvironment(
  { env, envDir, user, root }: AppEnvironment,
  own: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const merged = {
    ...env,
    ...(user === null ? {} : userEnvironment(user)),
    ...Object.fromEntries(protocolVariables.map((name) => [name, undefined])),
    ...(envDir === null ? {} : readEnvDir(envDir, user)),
    ...own,
    [rootVariable]: root,
  };
  const defined = Object.entries(merged).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return Object.fromEntries(defined);
}
