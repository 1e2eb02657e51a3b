/**
 * A proxy in a process of its own: `bun measured-proxy-process.ts PORT BACKEND off|on|COLLECTOR`, without telemetry, with
 * a page that is collected every second, or sending to a collector's port every second. For each line on its standard
 * input it prints the CPU time it has used, in milliseconds.
 */
import { proxyReadings } from "../../src/cli/measure/readings.ts";
import { proxyObserver } from "../../src/cli/measure/telemetry.ts";
import { silentLog } from "../../src/log.ts";
import { TcpProxy } from "../../src/proxy/tcp-proxy.ts";
import { startTelemetry } from "../../src/telemetry/otel.ts";
import { systemClock } from "../../src/util/time.ts";
import { behind } from "./tcp-proxy.ts";

const [port = 0, backend = 0] = process.argv.slice(2, 4).map(Number);
const mode = process.argv[4] ?? "off";
const otlp = /^\d+$/.test(mode) ? { host: "127.0.0.1", port: Number(mode), tls: false } : null;
const telemetry =
  mode === "off"
    ? null
    : await startTelemetry(
        { otlp, version: "v1", resource: {}, env: { OTEL_METRIC_EXPORT_INTERVAL: "1000" } },
        { clock: systemClock, log: silentLog, hurry: new AbortController().signal },
      );
const proxy = TcpProxy.open({
  listen: [{ host: "127.0.0.1", port }],
  log: silentLog,
  clock: systemClock,
  ...(telemetry === null ? {} : { observer: proxyObserver(telemetry.metrics, [port]) }),
});
if (telemetry !== null) {
  telemetry.metrics.observe(() => proxyReadings(proxy.stats()));
  if (otlp === null) setInterval(() => void telemetry.page(), 1000);
}
proxy.admit("a", behind(port, backend));
console.log("ready");
for await (const _ of console) {
  const { user, system } = process.cpuUsage();
  const { connectionsTotal = 0 } = proxy.stats().ports[0] ?? {};
  console.log(JSON.stringify({ cpuMs: (user + system) / 1000, connections: connectionsTotal }));
}
