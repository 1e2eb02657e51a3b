import { generationVariable, portVariable } from "../process/environment.ts";
import { type ListenSpec, listenName } from "./listen-spec.ts";

/** The first inherited descriptor: 0, 1 and 2 are the standard streams. */
const firstFd = 3;

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
