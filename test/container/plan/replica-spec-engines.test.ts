import { beforeAll, describe, expect, test } from "bun:test";
import { replicaSpec } from "../../../src/container/plan/replica-spec.ts";
import { parseRunOptions } from "../../../src/container/run-options/parse.ts";
import { createByApi, importBusybox, inspect, remove, startByApi } from "../../support/docker-cli.ts";
import type { Engine } from "../../support/engine-process.ts";
import { requirePrograms } from "../../support/engine-process.ts";
import { sharedDocker, sharedPodman } from "../../support/engines.ts";
import { until } from "../../support/until.ts";

const image = "localhost/dewy-replica:1";

/**
 * What both engines must understand of a body; the app prints what it finds of its options. Podman with one ulimit
 * raises those that its settings would lower, which a host with less rights than root's refuses: hence `nproc`.
 */
const args = [
  ...[
    "-e",
    "GREETING=hello",
    "-u",
    "33:44",
    "-w",
    "/tmp",
    "--hostname",
    "web",
    "--tmpfs",
    "/scratch:size=1m",
  ],
  ...["--mount", "type=tmpfs,dst=/more,tmpfs-size=1m", "-v", "/data", "--read-only", "--cap-drop", "NET_RAW"],
  ...[
    "--memory",
    "64m",
    "--pids-limit",
    "50",
    "--ulimit",
    "nofile=512:512",
    "--ulimit",
    "nproc=256",
    "--add-host",
    "db:10.0.0.1",
  ],
  ...[
    "--health-cmd",
    "busybox true",
    "--health-interval",
    "1s",
    "--stop-signal",
    "SIGQUIT",
    "--stop-timeout",
    "3",
  ],
  ...["--restart", "no", "--log-opt", "max-size=1m", "-l", "tier=front", "--shm-size", "1m"],
];
const report = [
  'echo "$GREETING $(hostname) $(id -u):$(id -g) $(pwd) $(ulimit -n)" > /scratch/index.html',
  "grep -c -E ' /(scratch|more) tmpfs' /proc/mounts >> /scratch/index.html",
  "grep -o db /etc/hosts >> /scratch/index.html",
  "exec busybox httpd -f -p 8080 -h /scratch",
].join("; ");

describe.each([
  ["docker", sharedDocker],
  ["podman", sharedPodman],
] as const)("a replica on %s", (_, open) => {
  let engine: Engine;

  beforeAll(async () => {
    requirePrograms(["busybox"], "busybox-static");
    engine = await open();
    importBusybox(engine, image, ['CMD ["/bin/busybox", "false"]', "ENV PATH=/bin"]);
  }, 120_000);

  test("is created and started with its options, and serves on a port of 127.0.0.1", async () => {
    const { options, problems } = parseRunOptions(args);
    expect(problems).toEqual([]);
    const spec = replicaSpec({
      app: "dewy-replica",
      baseName: "dewy-replica",
      options,
      image: { reference: image, user: "", digest: null },
      ports: [{ proxyPort: 8000, appPort: 8080 }],
      command: ["busybox", "sh", "-c", report],
      version: "v1.0.0",
      deployedAt: new Date(),
      replica: 1,
      root: "/",
      agent: { uid: 0, gid: 0 },
      own: {},
    });
    const id = await createByApi(engine, spec);
    try {
      await startByApi(engine, id);
      const { NetworkSettings, Config, HostConfig } = await inspect(engine, id);
      const [published, ...more] = NetworkSettings.Ports["8080/tcp"] ?? [];
      expect(more).toEqual([]);
      expect(published?.HostIp).toBe("127.0.0.1");
      expect(Config["Labels"]).toMatchObject({ "dewy.managed": "true", "dewy.replica": "1", tier: "front" });
      expect(HostConfig).toMatchObject({ Memory: 64 * 2 ** 20, ReadonlyRootfs: true });
      const page = await until("the app serves", () => pageOf(published?.HostPort ?? ""));
      expect(page.split("\n")).toEqual(["hello web 33:44 /tmp 512", "2", "db", ""]);
    } finally {
      await remove(engine, id);
    }
  }, 60_000);
});

async function pageOf(port: string): Promise<string | null> {
  try {
    return await (await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(10_000) })).text();
  } catch {
    return null; // not yet
  }
}
