import { describe, expect, test } from "bun:test";
import { freePort } from "../support/free-port.ts";
import { demoApp } from "../support/host.ts";
import { isAlive, Proxied } from "../support/proxied.ts";
import { until } from "../support/until.ts";

test("a killed agent's processes are adopted by the next one, which serves at once", async () => {
  await using host = new Proxied();
  const first = await host.serving("v1.0.0");
  const before = host.pids;
  const load = host.load({ pauseMs: 20 });
  await until("there is load", () => load.seen().requests > 20);
  await first.stop("SIGKILL");
  await until("the proxy is gone", () => load.seen().failures.length > 0);
  expect(before.filter(isAlive)).toEqual(before);
  const next = host.agent();
  await next.logged("Running replica adopted");
  await host.serves("v1.0.0");
  expect(host.pids).toEqual(before);
  await load.stop();
  host.publishMode("v1.1.0");
  await host.serves("v1.1.0");
  await until("the old ones are gone", () => before.filter(isAlive).length === 0);
  expect(next.errors()).toEqual([]);
}, 120_000);

/** The app of an agent without --proxy that was killed; its next version is published. */
async function leftWithoutProxy(host: Proxied): Promise<number> {
  host.publish("v1.0.0", demoApp("v1.0.0"));
  const first = host.server();
  const left = Number((await host.serves("v1.0.0")).split(" ")[2]);
  await first.logged("Start notification");
  await first.stop("SIGKILL");
  host.publishMode("v1.1.0");
  return left;
}

describe("what another way of serving left running", () => {
  test("without --proxy is stopped before the proxy listens", async () => {
    await using host = new Proxied();
    const left = await leftWithoutProxy(host);
    const next = host.server(["--proxy"]);
    await next.logged("Stopping the app left by an agent without --proxy: it holds the ports");
    await host.serves("v1.1.0");
    await until("it is gone", () => !isAlive(left));
  }, 120_000);

  test("without --proxy hands its listener over to the proxy: nobody is refused", async () => {
    await using host = new Proxied();
    const left = await leftWithoutProxy(host);
    const load = host.load({ fresh: 4 });
    await until("there is load", () => load.seen().requests > 50);
    // It keeps the old app for five seconds after it has stopped accepting.
    const silent = await Bun.connect({
      hostname: "127.0.0.1",
      port: host.port,
      socket: { data: () => undefined },
    });
    const next = host.server(["--proxy"]);
    await until("the new one serves", () => load.seen().answers.has("v1.1.0"));
    await until("the old one is gone", () => !isAlive(left));
    silent.end();
    const { failures, requests } = await load.stop();
    console.log(`taken over: ${requests} requests, ${failures.length} failed`);
    expect(failures).toEqual([]);
    expect(await next.stop()).toBe(0);
    expect(await host.ask()).toBe("");
  }, 120_000);

  test("behind a proxy is stopped by an agent without one", async () => {
    await using host = new Proxied();
    const first = await host.serving("v1.0.0");
    const left = host.pids;
    await first.stop("SIGKILL");
    host.publish("v1.1.0", demoApp("v1.1.0"));
    const next = host.server();
    await host.serves("v1.1.0");
    await until("they are gone", () => left.filter(isAlive).length === 0);
    await next.logged("Stopping a process left by an agent with --proxy");
  }, 120_000);
});

test.each<[string, (host: Proxied) => readonly string[]]>([
  ["assets", (host) => ["assets", ...host.flags()]],
  [
    "containers, even with no engine there",
    (host) => [
      ...["container", "--root", host.root, "--registry", "img://127.0.0.1:1/shop", "--interval", "1s"],
      ...["--port", `${freePort()}:8080`, "--runtime", "docker"],
    ],
  ],
])(
  "what is left behind a proxy is stopped by an agent of %s",
  async (_, args) => {
    await using host = new Proxied();
    const first = await host.serving("v1.0.0");
    const left = host.pids;
    await first.stop("SIGKILL");
    const next = host.start(args(host), { DOCKER_HOST: `unix://${host.scratch}/none.sock` });
    await until("they are gone", () => left.filter(isAlive).length === 0);
    await next.logged("Stopping a process left by an agent with --proxy", { level: "WARN" });
  },
  120_000,
);
