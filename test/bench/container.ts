/** What a container agent holds: idle, with 5,000 idle connections, and with 2 GiB on their way to a stalled reader. */
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { ContainerHost } from "../support/container-host.ts";
import { startDocker } from "../support/engines.ts";
import { memoryKiB, memoryOf } from "../support/memory.ts";
import { startOciRegistry } from "../support/oci-registry.ts";
import { until } from "../support/until.ts";

const pairs = 5000;
const gib2 = 2048;

await using registry = await startOciRegistry();
await using engine = await startDocker();
await using host = new ContainerHost(engine, registry);
await host.publish("v1.0.0");
const options = ["--ulimit", "nofile=20000:20000"];
const everyTenSeconds = ["--interval", "10s", "--health-interval", "10s"];
const agent = host.agent(["--replicas", "3", "--log-level", "info", ...everyTenSeconds], options);
await agent.logged("Deployment completed successfully");
const cpuOf = (pid: number) => {
  const [user, system] =
    readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ").slice(11, 13) ?? [];
  return (Number(user) + Number(system)) / 100;
};

const cpuBefore = cpuOf(agent.pid);
await Bun.sleep(60_000);
console.log(`idle, 3 replicas, a minute at the default intervals: ${memoryOf(agent.pid)}`);
console.log(`  CPU ${(cpuOf(agent.pid) - cpuBefore).toFixed(2)} s in 60 s`);

const idleKiB = memoryKiB(agent.pid, "VmRSS");
const sockets: Socket[] = [];
for (let opened = 0; opened < pairs; opened += 100) {
  sockets.push(...(await Promise.all(Array.from({ length: 100 }, open))));
}
await until("the proxy has them all", async () => {
  const { containers } = (await (
    await fetch(`http://127.0.0.1:${host.adminPort}/api/containers`)
  ).json()) as { containers: { connections: number }[] };
  return containers.reduce((sum, each) => sum + each.connections, 0) >= pairs;
});
await Bun.sleep(2000);
const withPairsKiB = memoryKiB(agent.pid, "VmRSS");
console.log(`${pairs} idle connections: ${memoryOf(agent.pid)}`);
console.log(`  ${((withPairsKiB - idleKiB) / pairs).toFixed(1)} KiB a connection`);
for (const socket of sockets) socket.destroy();

const reader = await open();
let received = 0;
reader.on("data", (chunk) => {
  received += chunk.length;
  if (received < 100) reader.pause();
});
reader.write(`GET /stream?mib=${gib2} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n`);
reader.pause();
await Bun.sleep(5000);
console.log(`2 GiB to a reader that has stalled: ${memoryOf(agent.pid)}`);
const startedMs = performance.now();
const ended = new Promise((resolve) => reader.on("end", resolve));
reader.removeAllListeners("data");
reader.on("data", (chunk) => {
  received += chunk.length;
});
reader.resume();
await ended;
const seconds = (performance.now() - startedMs) / 1000;
console.log(
  `  resumed: ${Math.round(received / 2 ** 20)} MiB in ${seconds.toFixed(1)} s; ${memoryOf(agent.pid)}`,
);

function open(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: host.port, host: "127.0.0.1" });
    socket.once("error", reject);
    socket.once("connect", () => resolve(socket));
  });
}
