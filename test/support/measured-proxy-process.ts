/**
 * A proxy in a process of its own: `bun measured-proxy-process.ts PORT BACKEND on|off`, with or without telemetry. For
 * each line on its standard input it prints the CPU time it has used, in milliseconds; with telemetry it is collected
 * every second.
 */
import { proxyReadings } from "../../src/cli/readings.ts";
import { proxyObserver } from "../../src/cli/telemetry.ts";
import { silentLog } from "../../src/log.ts";
import { TcpProxy } from "../../src/proxy/tcp-proxy.ts";
import { startTelemetry } from "../../src/telemetry/otel.ts";
import { systemClock } from "../../src/util/time.ts";
import { behind } from "./tcp-proxy.ts";

const [port = 0, backend = 0] = process.argv.slice(2, 4).map(Number);
const telemetry =
  process.argv[4] === "on"
    ? await startTelemetry(
        { otlp: null, version: "v1", resource: {}, env: {} },
        { clock: systemClock, log: silentLog, hurry: new AbortController().signal },
      )
    : null;
const proxy = TcpProxy.open({
  listen: [{ host: "127.0.0.1", port }],
  log: silentLog,
  clock: systemClock,
  ...(telemetry === null ? {} : { observer: proxyObserver(telemetry.metrics, [port]) }),
});
if (telemetry !== null) {
  telemetry.metrics.observe(() => proxyReadings(proxy.stats()));
  setInterval(() => void telemetry.page(), 1000);
}
proxy.admit("a", behind(port, backend));
console.log("ready");
for await (const _ of console) {
  const { user, system } = process.cpuUsage();
  const { connectionsTotal = 0 } = proxy.stats().ports[0] ?? {};
  console.log(JSON.stringify({ cpuMs: (user + system) / 1000, connections: connectionsTotal }));
}
