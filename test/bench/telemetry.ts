/**
 * What telemetry costs: CPU of proxied connections without it, with a page and with a collector, in turns; an agent's
 * start-up time and memory. `bun test/bench/telemetry.ts [rounds]`, with DEWY_BINARY or dist/dewy-linux-amd64. Exits with
 * 1 when the CPU time is beyond its bound.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Socket } from "bun";
import { dewyBinary } from "../support/dewy.ts";
import { freePort } from "../support/free-port.ts";
import { TestHost } from "../support/host.ts";
import { OtlpReceiver } from "../support/otlp-receiver.ts";
import { until } from "../support/until.ts";

const connections = 10_000;
const atOnce = 50;
const rounds = Number(process.argv[2] ?? 8);
const starts = 9;

/** Of the CPU time with telemetry to that without, at the median. */
const mostRatio = 1.03;

const modes = ["off", "page", "otlp"] as const;
type Mode = (typeof modes)[number];

const medianOf = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

/** A proxy that stays for all rounds, so that compiling its code is in the first ones only. */
async function startProxy(mode: string, backend: number) {
  const port = freePort();
  const script = join(import.meta.dir, "../support/measured-proxy-process.ts");
  const run = [process.execPath, script, `${port}`, `${backend}`, mode];
  const limited = ["/bin/sh", "-c", 'ulimit -n 8192; exec "$@"', "sh", ...run];
  const child = Bun.spawn(limited, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  const lines = linesOf(child.stdout);
  await lines.next();
  return {
    port,
    async state(): Promise<{ cpuMs: number; connections: number }> {
      child.stdin.write("?\n");
      child.stdin.flush();
      return JSON.parse((await lines.next()).value ?? "{}");
    },
    stop: () => child.kill("SIGKILL"),
  };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}

/** Each one connects, says something, hears it back and goes. */
async function load(port: number): Promise<void> {
  let left = connections;
  const worker = async () => {
    while (left-- > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const socket = {
        open: (own: Socket) => void own.write("hello"),
        data: (own: Socket) => void own.end(),
        close: () => resolve(),
      };
      await Bun.connect({ hostname: "127.0.0.1", port, socket });
      await promise;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** Whether it is within its bound. */
async function measureProxy(): Promise<boolean> {
  const data = (socket: Socket, bytes: Uint8Array) => void socket.write(bytes);
  const backend = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data } });
  await using collector = await OtlpReceiver.start();
  const proxies = {
    off: await startProxy("off", backend.port),
    page: await startProxy("on", backend.port),
    otlp: await startProxy(`${collector.port}`, backend.port),
  };
  const cpuMs: Record<Mode, number[]> = { off: [], page: [], otlp: [] };
  const measure = async (mode: Mode) => {
    const { port, state } = proxies[mode];
    const before = await state();
    await load(port);
    const after = await state();
    if (after.connections - before.connections !== connections) throw new Error("not all were proxied");
    return after.cpuMs - before.cpuMs;
  };
  for (const mode of [...modes, ...modes]) await measure(mode);
  for (let round = 0; round < rounds; round++) {
    // Each mode is first, second and last as often as the others.
    const order = [...modes.slice(round % modes.length), ...modes.slice(0, round % modes.length)];
    for (const mode of order) cpuMs[mode].push(await measure(mode));
    const shown = modes.map((mode) => `${mode} ${cpuMs[mode].at(-1)?.toFixed(0)} ms`);
    console.log(`round ${round + 1}: ${shown.join(", ")}`);
  }
  for (const { stop } of Object.values(proxies)) stop();
  backend.stop(true);
  if (collector.exports.length === 0) throw new Error("the collector got nothing");
  return report(cpuMs);
}

function report(cpuMs: Readonly<Record<Mode, readonly number[]>>): boolean {
  console.log(`CPU of ${connections} connections: off ${medianOf(cpuMs.off).toFixed(0)} ms`);
  const medians = (["page", "otlp"] as const).map((mode) => {
    const ratio = medianOf(cpuMs[mode].map((value, round) => value / (cpuMs.off[round] ?? 1)));
    const verdict = ratio > mostRatio ? `more than ${mostRatio}` : "within its bound";
    console.log(
      `${mode} ${medianOf(cpuMs[mode]).toFixed(0)} ms, median of ratios ${ratio.toFixed(3)}: ${verdict}`,
    );
    return ratio;
  });
  return medians.every((ratio) => ratio <= mostRatio);
}

const ways = {
  "without telemetry": () => [],
  "--telemetry": () => ["--telemetry", "--admin-port", `${freePort()}`],
  "--otlp-endpoint": () => [
    "--otlp-endpoint",
    `127.0.0.1:${freePort()}`,
    "--otlp-insecure",
    "--admin-port",
    `${freePort()}`,
  ],
} as const satisfies Record<string, () => string[]>;

/** One check that finds nothing to do, from start to end. */
async function measureStarts(): Promise<void> {
  await using host = new TestHost();
  host.publish("v1.0.0");
  const once = async (flags: readonly string[]) => {
    const from = performance.now();
    const child = Bun.spawn([dewyBinary, "assets", ...host.flags(), "--once", ...flags], {
      stderr: "ignore",
    });
    if ((await child.exited) !== 0) throw new Error("dewy failed");
    return performance.now() - from;
  };
  const times = new Map<string, number[]>(Object.keys(ways).map((name) => [name, []]));
  await once([]);
  for (let round = 0; round < starts; round++) {
    for (const [name, flags] of Object.entries(ways)) times.get(name)?.push(await once(flags()));
  }
  for (const [name, values] of times)
    console.log(`${name.padEnd(18)} one check: ${medianOf(values).toFixed(1)} ms`);
}

async function measureMemory(): Promise<void> {
  for (const [name, flags] of Object.entries(ways)) {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const agent = host.assets(flags());
    await agent.logged("Deploy skipped");
    await until("some checks", () => agent.records.filter(({ msg }) => msg === "Deploy skipped").length >= 5);
    const status = readFileSync(`/proc/${agent.pid}/status`, "utf8");
    const kb = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
    console.log(`${name.padEnd(18)} RSS after five checks: ${(kb / 1024).toFixed(1)} MiB`);
  }
}

const isWithinBound = await measureProxy();
await measureStarts();
await measureMemory();
process.exit(isWithinBound ? 0 : 1);
