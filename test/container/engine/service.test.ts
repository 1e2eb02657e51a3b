import { afterEach, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { openRuntime } from "../../../src/container/engine/open.ts";
import { systemClock } from "../../../src/util/time.ts";
import { failureOf } from "../../support/engine-failure.ts";
import { privatePodman } from "../../support/podman-private.ts";
import { recordingLog } from "../../support/recording.ts";
import { until } from "../../support/until.ts";

const never = { signal: new AbortController().signal };
const timeoutMs = 60_000;
const systemSocket = "/run/podman/podman.sock";
let opened: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of opened) await each[Symbol.asyncDispose]();
  opened = [];
}, timeoutMs);

async function open(env: Readonly<Record<string, string>>) {
  const log = recordingLog();
  const runtime = await openRuntime({ kind: "podman", env }, { log, clock: systemClock });
  opened.unshift(runtime);
  return { runtime, log };
}

async function podman() {
  // With it there, no service of our own would be needed.
  if (existsSync(systemSocket))
    throw new Error(`${systemSocket} is there: these tests need a host without it`);
  const made = await privatePodman();
  opened.push(made);
  return made;
}

test(
  "Podman's service is started when it is needed, once, and again when it died",
  async () => {
    const { directory, env } = await podman();
    const { runtime, log } = await open(env);
    expect(servicesOf(directory)).toEqual([]);
    const [info] = await Promise.all([
      runtime.info(never),
      runtime.list({}, never),
      runtime.images("x", never),
    ]);
    expect(info.name).toBe("podman");
    const [first, ...others] = servicesOf(directory);
    expect(others).toEqual([]);
    process.kill(first ?? 0, "SIGKILL");
    // Its sockets are closed only after its command line is.
    await until("it is gone", () => !existsSync(`/proc/${first}`));
    expect(await runtime.list({}, never)).toEqual([]);
    expect(servicesOf(directory)).toHaveLength(1);
    expect(log.at("info")).toEqual(["Starting Podman's API service", "Starting Podman's API service"]);
    await runtime[Symbol.asyncDispose]();
    expect(servicesOf(directory)).toEqual([]);
    expect(readdirSync(`${directory}/user`).filter((name) => name.startsWith("dewy-"))).toEqual([]);
    expect((await failureOf(runtime.list({}, never))).code).toBe("stopped");
  },
  timeoutMs,
);

test(
  "Podman's service ends with dewy, however that ends",
  async () => {
    const { directory, env } = await podman();
    const program = `${import.meta.dir}/../../support/engine-user.ts`;
    const user = Bun.spawn([process.execPath, program, "podman"], {
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const { value } = await user.stdout.getReader().read();
    expect(new TextDecoder().decode(value)).toStartWith("ready ");
    expect(servicesOf(directory)).toHaveLength(1);
    user.kill("SIGKILL");
    await until("the service is gone", () => servicesOf(directory).length === 0);
  },
  timeoutMs,
);

test("a host without Podman is told so, and one where it can't start", async () => {
  const { directory, env } = await podman();
  const none = await open({ ...env, PATH: "/nowhere" });
  expect(await failureOf(none.runtime.list({}, never))).toMatchObject({
    code: "engine-unreachable",
    hint: expect.stringContaining("install podman"),
  });
  const broken = await open({ ...env, CONTAINERS_CONF: `${directory}/no-such.conf` });
  expect(await failureOf(broken.runtime.list({}, never))).toMatchObject({
    code: "engine-unreachable",
    message: expect.stringContaining("no-such.conf"),
  });
});

/** Pids of `podman system service` on this directory. */
function servicesOf(directory: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
        return /^\S*podman\0system\0service/.test(command) && command.includes(directory);
      } catch {
        return false; // ended meanwhile
      }
    })
    .map(Number);
}
