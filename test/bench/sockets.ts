/**
 * What it costs to find out who took a connection, what listens, and which port is free, on a host with many
 * connections: the kernel's own answers beside its tables in /proc/net, in turns, medians. `bun test/bench/sockets.ts
 * [connections]` as root: all is in a network of its own; the connections are held by processes within their limits.
 */
import { acceptedByTables } from "../../src/health/accepted.ts";
import { PrivatePorts } from "../../src/process-engine/private-ports.ts";
import { acceptedByDiag, type Link, listeningByDiag } from "../../src/util/sock-diag.ts";
import { listeningSockets, readTcpTables } from "../../src/util/socket-table.ts";

const perHolder = 5000;
const rounds = 15;
/** The tables' time over that of the answers. */
const target = 100;
const host = "127.0.0.1";
const socket = { data() {} };
const self = [process.execPath, import.meta.path];

function listen() {
  return Bun.listen({ hostname: host, port: 0, socket });
}

async function hold(count: number): Promise<void> {
  const { port } = listen();
  for (let n = 0; n < count; n++) await Bun.connect({ hostname: host, port, socket });
  process.stdout.write("held\n");
  await new Promise(() => undefined);
}

async function startHolder() {
  const limited = ["/bin/sh", "-c", 'ulimit -n $(ulimit -Hn); exec "$0" "$@"', ...self];
  const child = Bun.spawn([...limited, "hold", String(perHolder)], { stdout: "pipe" });
  const { value } = await child.stdout.getReader().read();
  if (value === undefined) throw new Error("a holder has ended: see the limit of open files");
  return child;
}

async function medians(ways: readonly (() => unknown)[]): Promise<number[]> {
  const times = ways.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [at, way] of ways.entries()) {
      const start = performance.now();
      await way();
      times[at]?.push(performance.now() - start);
    }
  }
  return times.map((each) => each.sort((a, b) => a - b)[rounds >> 1] ?? Number.NaN);
}

async function compare(what: string, tables: () => unknown, answers: () => unknown): Promise<void> {
  const [tablesMs = 0, answersMs = 0] = await medians([tables, answers]);
  const ratio = tablesMs / answersMs;
  console.log(
    `${what}: tables ${tablesMs.toFixed(1)} ms, answers ${answersMs.toFixed(3)} ms, ratio ${ratio.toFixed(0)}`,
  );
  if (!(ratio >= target)) process.exitCode = 1;
}

async function measure(connections: number): Promise<void> {
  const holders = await Promise.all(
    Array.from({ length: Math.ceil(connections / perHolder) }, () => startHolder()),
  );
  const server = listen();
  const links: Link[] = [];
  for (let n = 0; n < 8; n++) {
    const { localPort } = await Bun.connect({ hostname: host, port: server.port, socket });
    links.push({ server: { host, port: server.port }, caller: { host, port: localPort } });
  }
  console.log(`${holders.length * perHolder} connections`);
  await compare(
    "who took each of 8",
    () => acceptedByTables(links),
    () => acceptedByDiag(links),
  );
  await compare("what listens", () => listeningSockets(), listeningByDiag);
  const ports = new PrivatePorts(new Set());
  await compare("a free port", readTcpTables, () => ports.take(new Set()));
  for (const holder of holders) holder.kill("SIGKILL");
  await Promise.all(holders.map(({ exited }) => exited));
  process.exit();
}

const [mode = "50000", count = ""] = process.argv.slice(2);
if (mode === "hold") await hold(Number(count));
else if (mode === "inside") await measure(Number(count));
else {
  const script = 'ip link set lo up && exec "$0" "$@"';
  const inside = ["unshare", "--net", "/bin/sh", "-c", script, ...self, "inside", mode];
  const { exitCode } = Bun.spawnSync(inside, { stdout: "inherit", stderr: "inherit" });
  process.exitCode = exitCode;
}
