/** Where the service manager (systemd, or who speaks its protocol, sd_notify(3)) listens for what this process says. */
export interface ManagerAddress {
  /** A path, or a name in the abstract namespace that begins with `@`. */
  readonly socket: string;
  /** It ends this process when it hears nothing for so long; null: it does not. */
  readonly watchdogMs: number | null;
}

const variables = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] as const;

/**
 * Reads the variables and takes them out of `env`: what the app or a hook said to the service manager would be taken
 * for the agent's word. null: nobody listens.
 */
export function takeManagerAddress(
  env: Record<string, string | undefined>,
  pid: number,
): ManagerAddress | null {
  const [socket, watchdogUsec, watchdogPid] = variables.map((name) => env[name] ?? "");
  for (const name of variables) delete env[name];
  // Others (vsock:…) are for virtual machines.
  if (socket === undefined || !/^[/@]./.test(socket)) return null;
  const isMeant = watchdogPid === "" || Number(watchdogPid) === pid;
  const watchdogMs = Number(watchdogUsec) / 1000;
  return { socket, watchdogMs: isMeant && watchdogMs > 0 ? watchdogMs : null };
}
