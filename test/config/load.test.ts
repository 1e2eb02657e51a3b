import { describe, expect, test } from "bun:test";
import { flagsOf } from "../../src/cli/arguments/flags.ts";
import { agentSchemas } from "../../src/config/config.ts";
import type { DriverUrls } from "../../src/config/load.ts";
import { configOf, dewy } from "../cli/support.ts";

const registry = ["--registry", "ghr://Owner_X/repo"];
const server = (...flags: string[]) => [
  "server",
  "--root",
  "/srv/app",
  ...registry,
  ...flags,
  "--",
  "./current/app",
];
const assets = (...flags: string[]) => ["assets", "--root", "/srv/app", ...registry, ...flags];

const commonDefaults = {
  root: "/srv/app",
  registry: "ghr://Owner_X/repo",
  cache: "file://",
  notifiers: [],
  intervalMs: 10_000,
  keep: 7,
  once: false,
  report: true,
  slot: null,
  calver: null,
  schedule: { windows: [], minAgeMs: 0, jitterMs: 0 },
  maxArtifactBytes: 2 ** 31,
  links: [],
  user: null,
  hooks: { before: null, after: null, onFailure: "continue", timeoutMs: 600_000 },
  telemetry: null,
  adminPort: null,
  log: { level: "error", format: "text" },
  cacheDir: null,
} as const;

describe("defaults", () => {
  test("assets", async () => {
    expect(await configOf(assets())).toEqual({ command: "assets", ...commonDefaults });
  });

  test("server", async () => {
    expect(await configOf(server())).toEqual({
      command: "server",
      ...commonDefaults,
      ports: [],
      appCommand: ["./current/app"],
      stopTimeoutMs: 30_000,
      minUptimeMs: 3000,
      health: null,
      rehearse: false,
      replicated: null,
      soakMs: 0,
      killOldDelayMs: 0,
      autoRestartMs: null,
      envDir: null,
    });
  });

  test("the root is the working directory, made absolute", async () => {
    expect((await configOf(["assets", ...registry])).root).toBe(process.cwd());
    expect((await configOf(["assets", ...registry, "--root", "x/../y"])).root).toBe(`${process.cwd()}/y`);
  });
});

describe("every flag has its effect", () => {
  test.each<[string[], object]>([
    [["--cache", "memory"], { cache: "memory://" }],
    [["-c", "file:///var/cache/dewy"], { cache: "file:///var/cache/dewy" }],
    [["--notifier", "slack://a", "--notifier=slack://b"], { notifiers: ["slack://a", "slack://b"] }],
    [["--interval", "1h30m"], { intervalMs: 5_400_000 }],
    [["-i", "30"], { intervalMs: 30_000 }],
    [["--log-level", "WARN"], { log: { level: "warn", format: "text" } }],
    [["-l", "debug", "-f", "json"], { log: { level: "debug", format: "json" } }],
    [["--before-deploy-hook", "echo a"], { hooks: { ...commonDefaults.hooks, before: "echo a" } }],
    [["--after-deploy-hook=-x; y=z"], { hooks: { ...commonDefaults.hooks, after: "-x; y=z" } }],
    [["--hook-failure", "abort"], { hooks: { ...commonDefaults.hooks, onFailure: "abort" } }],
    [["--hook-timeout", "90"], { hooks: { ...commonDefaults.hooks, timeoutMs: 90_000 } }],
    [["--slot", "blue"], { slot: "blue" }],
    [["-s", "blue.1"], { slot: "blue.1" }],
    [["--calver", "YYYY.0M.MICRO"], { calver: "YYYY.0M.MICRO" }],
    [["--keep", "1"], { keep: 1 }],
    [["--once"], { once: true }],
    [["--once=false"], { once: false }],
    [["--no-report"], { report: false }],
    [["--no-report=false"], { report: true }],
    [["--max-artifact-size", "500MB"], { maxArtifactBytes: 500_000_000 }],
    [["--telemetry"], { telemetry: { otlp: null } }],
    [["--telemetry", "--admin-port", "9000"], { telemetry: { otlp: null }, adminPort: 9000 }],
    [["--otlp-endpoint", "c:4317"], { telemetry: { otlp: { host: "c", port: 4317, tls: true } } }],
    [
      ["--otlp-endpoint", "[::1]:4317", "--otlp-insecure"],
      { telemetry: { otlp: { host: "::1", port: 4317, tls: false } } },
    ],
  ])("%j", async (flags, expected) => {
    expect(await configOf(assets(...flags))).toEqual({ command: "assets", ...commonDefaults, ...expected });
    expect(await configOf(server(...flags))).toMatchObject({ command: "server", ...expected });
  });

  test.each<[string[], object]>([
    [
      ["--port", "8001", "-p8000"],
      { ports: [8000, 8001].map((port) => ({ kind: "tcp", host: null, port })) },
    ],
    [["-p=unix:/run/a.sock"], { ports: [{ kind: "unix", path: "/run/a.sock" }] }],
    [["--stop-timeout", "0"], { stopTimeoutMs: 0 }],
    [["--min-uptime", "500ms"], { minUptimeMs: 500 }],
    [
      ["-p", "1", "--health-path", "/up?x=1"],
      {
        health: {
          path: "/up?x=1",
          command: null,
          timeoutMs: 30_000,
          intervalMs: 2000,
          passes: 2,
          threshold: 3,
        },
      },
    ],
    [["--health-cmd", "test -f ok"], { health: { path: null, command: "test -f ok" } }],
    [
      ["--health-cmd=x", "--health-timeout", "9s", "--health-interval", "1s", "--health-passes", "4"],
      { health: { timeoutMs: 9000, intervalMs: 1000, passes: 4 } },
    ],
    [
      ["--health-cmd=x", "--soak", "2m", "--health-threshold", "1"],
      { soakMs: 120_000, health: { threshold: 1 } },
    ],
    [["--health-cmd=x", "-p", "1", "--rehearse"], { rehearse: true }],
  ])("%j", async (flags, expected) => {
    expect(await configOf(server(...flags))).toMatchObject(expected);
  });

  test.each(["server", "assets"] as const)(
    "the schema of %s knows exactly the flags of the table",
    (command) => {
      const inTable = flagsOf(command).map((flag) => flag.name);
      const inSchema = Object.keys(agentSchemas[command].entries).filter((key) => key !== key.toUpperCase());
      expect(inSchema.filter((key) => key !== "appCommand").toSorted()).toEqual(
        inTable.filter((name) => !["help", "version", "config"].includes(name)).toSorted(),
      );
    },
  );
});

describe("environment", () => {
  test.each<[Record<string, string>, object]>([
    [{ DEWY_CACHEDIR: "/var/cache/app" }, { cacheDir: "/var/cache/app" }],
    [{ DEWY_CACHEDIR: "cache" }, { cacheDir: "/srv/app/cache" }],
    [{ DEWY_CACHEDIR: "" }, { cacheDir: null }],
    [{ KILL_OLD_DELAY: "7" }, { killOldDelayMs: 7000, autoRestartMs: null }],
    [{ ENABLE_AUTO_RESTART: "1" }, { killOldDelayMs: 5000, autoRestartMs: 360_000 }],
    [
      { ENABLE_AUTO_RESTART: "true", KILL_OLD_DELAY: "0" },
      { killOldDelayMs: 0, autoRestartMs: 360_000 },
    ],
    [{ ENABLE_AUTO_RESTART: "1", AUTO_RESTART_INTERVAL: "60" }, { autoRestartMs: 60_000 }],
    [
      { ENABLE_AUTO_RESTART: "0", AUTO_RESTART_INTERVAL: "60" },
      { killOldDelayMs: 0, autoRestartMs: null },
    ],
    [{ ENVDIR: "env" }, { envDir: "/srv/app/env" }],
    [{ PATH: "/bin", INTERVAL: "x", "log-level": "x" }, { intervalMs: 10_000 }],
  ])("%j", async (env, expected) => {
    expect(await configOf(server(), env)).toMatchObject(expected);
  });
});

describe("wrong values, each with what would be right", () => {
  test.each<[string[], string]>([
    [["--interval", "10x"], '--interval "10x" is not a duration; write 10, 10s, 5m or 1h30m'],
    [["--interval", "999ms"], '--interval "999ms" is too short; write 1s or more'],
    [["--interval", "1000h"], '--interval "1000h" is too long; write at most 576h, which is 24 days'],
    [["--hook-timeout", "0"], '--hook-timeout "0" is too short; write 1s or more'],
    [["--keep", "0"], '--keep "0" is not a number from 1; write for example 7'],
    [["--keep", "1.5"], '--keep "1.5" is not a number from 1; write for example 7'],
    [["--log-level", "loud"], '--log-level "loud" is unknown; write debug, info, warn, error'],
    [["--log-format", "xml"], '--log-format "xml" is unknown; write text, json'],
    [["--hook-failure", "stop"], '--hook-failure "stop" is unknown; write continue, abort'],
    [
      ["--max-artifact-size", "1G"],
      '--max-artifact-size "1G" is not a size; write 500MB, 2GiB or a number of bytes',
    ],
    [
      ["--slot", "+blue"],
      '--slot "+blue" cannot be build metadata; write what stands behind the + of the tag: blue for v1.2.3+blue',
    ],
    [
      ["--cache", "disk"],
      '--cache "disk" is not a URL; write for example file, memory or s3://region/bucket/prefix',
    ],
    [
      ["--notifier", "slack:a/s3cret"],
      '--notifier "slack:a/…" is not a URL; write for example slack://channel',
    ],
  ])("%j", async (flags, line) => {
    expect((await dewy(assets(...flags))).errors).toEqual([`Error: ${line}`]);
    expect(await dewy(server(...flags))).toMatchObject({ code: 1, errors: [`Error: ${line}`], ran: null });
  });

  test.each<[Record<string, string>, string]>([
    [{ KILL_OLD_DELAY: "soon" }, 'KILL_OLD_DELAY "soon" is not a duration; write 10, 10s, 5m or 1h30m'],
    [{ ENABLE_AUTO_RESTART: "maybe" }, 'ENABLE_AUTO_RESTART "maybe" is neither true nor false; write 1 or 0'],
    [{ AUTO_RESTART_INTERVAL: "0" }, 'AUTO_RESTART_INTERVAL "0" is too short; write 1s or more'],
  ])("%j", async (env, line) => {
    expect(await dewy(server(), { env })).toMatchObject({ code: 1, errors: [`Error: ${line}`], ran: null });
  });
});

describe("what the drivers say about the URLs", () => {
  const problem = { message: 'unknown scheme "ftp"', hint: "known: ghr, file" };

  test("joins the other errors", async () => {
    const checkUrls = async () => [problem];
    expect(await dewy(assets("--keep", "0"), { commands: { checkUrls } })).toMatchObject({
      code: 1,
      ran: null,
      errors: [
        'Error: --keep "0" is not a number from 1; write for example 7',
        'Error: unknown scheme "ftp"; known: ghr, file',
      ],
    });
  });

  test("is refused even when all else is right", async () => {
    expect(await dewy(assets(), { commands: { checkUrls: () => [problem] } })).toMatchObject({
      code: 1,
      ran: null,
    });
  });

  test("they see only what is a URL, also when the rest is wrong", async () => {
    const seen: DriverUrls[] = [];
    const checkUrls = (urls: DriverUrls) => {
      seen.push(urls);
      return [];
    };
    const flags = ["--cache", "memory", "--notifier", "x", "--notifier", "slack://a", "--calver", "nope"];
    await dewy(assets(...flags), { commands: { checkUrls } });
    await dewy(["assets", "--registry", "nope", "--cache", "nope", "--calver", "YYYY.MM"], {
      commands: { checkUrls },
    });
    expect(seen).toEqual([
      {
        registry: "ghr://Owner_X/repo",
        cache: "memory://",
        notifiers: ["slack://a"],
        calver: null,
        images: false,
      },
      { registry: null, cache: null, notifiers: [], calver: "YYYY.MM", images: false },
    ]);
  });
});

describe("container", () => {
  const container = (...flags: string[]) => ["container", "--registry", "img://ghcr.io/owner/app", ...flags];

  test("has its defaults", async () => {
    expect(await configOf(container())).toMatchObject({
      command: "container",
      name: null,
      runtime: "docker",
      replicas: 1,
      cmd: [],
      health: { path: null, timeoutMs: 30_000, intervalMs: 10_000, threshold: 3 },
      drainMs: 30_000,
      stopTimeoutMs: 10_000,
      leaveRunning: false,
      ports: [{ host: null, proxyPort: 8000, containerPort: null }],
      proxyIdleTimeoutMs: 300_000,
      maxConnections: null,
      proxyProtocol: null,
      adminPort: 17_539,
      telemetry: null,
      keep: 7,
    });
  });

  test("takes its flags, and the options of docker run behind --", async () => {
    const flags = ["-n", "shop", "-p", "80", "--container-port", "8080", "--cmd", "serve", "--cmd=-v"];
    const config = await configOf([...container(...flags, "--proxy-protocol", "v2"), "--", "-e", "A=1"]);
    expect(config).toMatchObject({
      name: "shop",
      ports: [{ host: null, proxyPort: 80, containerPort: 8080 }],
      cmd: ["serve", "-v"],
      proxyProtocol: "v2",
      runOptions: { environment: { env: ["A=1"] } },
    });
  });

  test("says everything that is wrong at once", async () => {
    const flags = ["-p", "x", "--replicas", "0", "--health-path", "up", "--runtime", "rkt", "--name", "-"];
    const { code, errors } = await dewy([...container(...flags), "--", "-it", "--privileged"]);
    expect(code).toBe(1);
    for (const about of [
      "--port",
      "--replicas",
      "--health-path",
      "--runtime",
      "--name",
      "-i ",
      "-t ",
      "--priv",
    ]) {
      expect(errors.join("\n")).toContain(`Error: ${about}`);
    }
  });
});
