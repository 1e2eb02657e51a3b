import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { toDewyError } from "../errors.ts";
import { type ListenSpec, listenName } from "./listen-spec.ts";

/** The first inherited descriptor: 0, 1 and 2 are the standard streams. */
const firstFd = 3;

/** Marks a process as a child of the agent in this directory, for an agent that finds it later. */
export const rootVariable = "DEWY_ROOT";
export const generationVariable = "SERVER_STARTER_GENERATION";
export const portVariable = "SERVER_STARTER_PORT";
/** What a supervisor of dewy itself said to dewy is not for the app. */
export const protocolVariables = [
  generationVariable,
  portVariable,
  "LISTEN_FDS",
  "LISTEN_PID",
  "LISTEN_FDNAMES",
  "LISTEN_PIDFDID",
] as const;

/**
 * What a generation finds in its environment: server-starter's protocol (`8000=3;8001=4`), and systemd's
 * (sd_listen_fds(3)), whose LISTEN_PID the launcher adds.
 */
export function listenEnvironment(listen: readonly ListenSpec[], generation: number): Record<string, string> {
  const ports = listen.map((spec, index) => `${listenName(spec)}=${firstFd + index}`);
  const variables: Record<string, string> = { [generationVariable]: String(generation) };
  if (listen.length === 0) return variables;
  return {
    ...variables,
    [portVariable]: ports.join(";"),
    LISTEN_FDS: String(listen.length),
    // A colon separates the names, so none may hold one.
    LISTEN_FDNAMES: listen.map((spec) => listenName(spec).replaceAll(":", "-")).join(":"),
  };
}

/**
 * ENVDIR, read before each start (daemontools' envdir(8)): each file is a variable, its first line the value with
 * trailing blanks removed and NULs turned to newlines; an empty file unsets it.
 */
export function readEnvDir(directory: string): Record<string, string | undefined> {
  try {
    const names = readdirSync(directory).filter((name) => !name.startsWith(".") && !name.includes("="));
    const files = names.filter((name) => statSync(join(directory, name)).isFile());
    return Object.fromEntries(
      files.map((name) => [name, variableFrom(readFileSync(join(directory, name), "utf8"))]),
    );
  } catch (error) {
    throw toDewyError(error, `read ENVDIR ${directory}`);
  }
}

function variableFrom(content: string): string | undefined {
  if (content === "") return undefined;
  const line = content.split("\n", 1)[0] ?? "";
  return line.replace(/[ \t]+$/, "").replaceAll("\0", "\n");
}
