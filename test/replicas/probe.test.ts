import { expect, test } from "bun:test";
import { containerWords } from "../../src/container/words.ts";
import type { Instance } from "../../src/replicas/engine.ts";
import { probe } from "../../src/replicas/probe.ts";
import { type Behaviour, FakeApp } from "../support/fake-app.ts";
import { newContainer, newImage } from "../support/memory-container.ts";
import { MemoryRuntime } from "../support/memory-runtime.ts";
import { c, deployment } from "./replica-set-host.ts";

type Healthcheck = Instance["health"];

test.each<[string, string | null, Healthcheck, readonly [Behaviour, Behaviour], RegExp | null]>([
  ["answers well on the first port and serves the second", "/up", "none", ["serve", "mute"], null],
  [
    "answers well and does not listen on the second",
    "/up",
    "none",
    ["serve", "refuse"],
    /connection refused/,
  ],
  ["answers well and its second is only Docker's proxy", "/up", "none", ["serve", "close"], /does not serve/],
  ["answers badly and serves the second", "/up", "none", [503, "serve"], /: 503$/],
  ["answers well, whatever its HEALTHCHECK says", "/up", "unhealthy", ["serve", "serve"], null],
  ["serves both", null, "none", ["mute", "mute"], null],
  ["does not listen on the second", null, "none", ["serve", "refuse"], /connection refused/],
  ["says that it is healthy", null, "healthy", ["serve", "serve"], null],
  ["says so and does not listen on the second", null, "healthy", ["serve", "refuse"], /connection refused/],
  ["says that it is not", null, "unhealthy", ["serve", "serve"], /^the HEALTHCHECK says unhealthy$/],
])("of several ports: one that %s, health path %p", async (_, path, health, [first, second], sick) => {
  await using runtime = new MemoryRuntime();
  using stack = new DisposableStack();
  const apps = [first, second].map((behaviour) => {
    const app = new FakeApp("web", [8080], behaviour);
    stack.defer(() => app.stop());
    return { host: "127.0.0.1", port: app.published[0]?.hostPort ?? 0 };
  });
  const ports = [
    { proxyPort: 8000, appPort: 8080 },
    { proxyPort: 9000, appPort: 9090 },
  ];
  const spec = deployment(runtime, "v1", "serve", { ports }).makeSpec(0);
  const instance = { ...newContainer("c1", spec, newImage("shop:v1", {})), health };
  const addresses = new Map(ports.map(({ proxyPort }, index) => [proxyPort, apps.slice(index, index + 1)]));
  const engine = { words: containerWords, listening: async () => null };
  const target = { instance, addresses, ports, usesHealthcheck: health !== "none", engine };
  const probed = await probe(target, { path, timeoutMs: 5000, greeting: "" }, c);
  expect(probed.ok).toBe(sick === null);
  if (sick !== null) expect(probed.seen).toMatch(sick);
});
