/** Names in an environment that a shell would drop; with one of them an app gets no LISTEN_PID. */
export function unspellable(env: Readonly<Record<string, string | undefined>>): string[] {
  return Object.keys(env).filter((name) => !variableName.test(name));
}

const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * systemd's protocol wants the app's own pid in LISTEN_PID, which only the process itself knows before exec. A
 * shell keeps the pid and the descriptors across its exec, but drops variables whose names it can't spell: with
 * one of those in the environment the app is started directly, and goes by server-starter's protocol.
 */
export function withListenPid(
  program: string,
  args: readonly string[],
  env: Record<string, string>,
): readonly string[] {
  const plain = [program, ...args];
  const wanted = env["LISTEN_FDS"] !== undefined && unspellable(env).length === 0;
  return wanted && Bun.which("/bin/sh") !== null
    ? ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$0" "$@"', ...plain]
    : plain;
}
