const loopback = ["localhost", "127.0.0.1", "::1", "[::1]"];

/**
 * Keeps what this process sends to its own machine from the proxy that HTTP_PROXY names, as Go's clients do by
 * themselves; Bun's fetch reads the variable at each call.
 */
export function exemptLoopback(env: Record<string, string | undefined>): void {
  const given = env["NO_PROXY"] || env["no_proxy"];
  const exempt = [...(given ? [given] : []), ...loopback].join(",");
  env["NO_PROXY"] = exempt;
  if (env["no_proxy"] !== undefined) env["no_proxy"] = exempt;
}
