const loopback = ["localhost", "127.0.0.1", "::1", "[::1]"];
/** Where AWS, its containers and Google give out a machine's credentials; only the machine itself reaches them. */
const metadata = ["169.254.169.254", "169.254.170.2", "169.254.170.23", "metadata.google.internal"];

/**
 * Keeps what this process asks of its own machine from the proxy that HTTP_PROXY names, as Go's clients do by
 * themselves; Bun's fetch reads the variable at each call.
 */
export function exemptOwnMachine(env: Record<string, string | undefined>): void {
  const given = env["NO_PROXY"] || env["no_proxy"];
  const exempt = [...(given ? [given] : []), ...loopback, ...metadata].join(",");
  env["NO_PROXY"] = exempt;
  if (env["no_proxy"] !== undefined) env["no_proxy"] = exempt;
}
