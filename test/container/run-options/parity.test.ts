import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { replicaSpec } from "../../../src/container/plan/replica-spec.ts";
import { parseRunOptions } from "../../../src/container/run-options/parse.ts";
import { runOptionTable } from "../../../src/container/run-options/table.ts";
import {
  comparable,
  createByApi,
  createByCli,
  importBusybox,
  inspect,
  remove,
} from "../../support/docker-cli.ts";
import type { Engine } from "../../support/engine-process.ts";
import { freeSubnet, requirePrograms } from "../../support/engine-process.ts";
import { sharedDocker } from "../../support/engines.ts";
import { tempDir } from "../../support/temp-dir.ts";

const image = "dewy-options:1";
const network = `dewy-options-${process.pid}`;
const source = `dewy-options-source-${process.pid}`;
const volume = `dewy-options-volume-${process.pid}`;
const scratch = tempDir();
const root = scratch.path;
const own = { ...process.env, INHERITED: "from the agent", EMPTY: "" };

let engine: Engine;

beforeAll(async () => {
  requirePrograms(["busybox"], "busybox-static");
  engine = await sharedDocker();
  importBusybox(engine, image, [
    'CMD ["sleep", "600"]',
    'ENTRYPOINT ["/bin/busybox"]',
    "ENV KEPT=image CHANGED=image",
    "EXPOSE 9090",
    "USER 1234:1234",
    "WORKDIR /tmp",
    'HEALTHCHECK --interval=7s CMD ["/bin/true"]',
    "LABEL from=image",
  ]);
  engine.cli("network", "create", "--subnet", `${freeSubnet()}.0/24`, network);
  engine.cli("create", "--name", source, "-v", "/shared", image);
  mkdirSync(join(root, "data"));
  writeFileSync(join(root, "one.env"), '\ufeff# comment\r\n  A=1\n\nB="quoted" \nC=#no comment\r\n');
  writeFileSync(join(root, "two.env"), "A=2\nINHERITED\nEMPTY\nNOWHERE\nLINE=a=b #c\n");
}, 60_000);

afterAll(async () => {
  engine.cli("rm", "-fv", source);
  engine.cli("network", "rm", network);
  engine.cli("volume", "rm", "-f", volume);
  scratch[Symbol.dispose]();
}, 30_000);

/** Each is one command line; together they have every option that dewy takes, but for those that `left` names. */
const lines: readonly (readonly string[])[] = [
  [],
  ["-e", "A=1", "-eB=2", "-e=C=3", "--env", "D=x=y z", "--env=E=", "-e", "CHANGED=here"],
  ["-e", "INHERITED", "-e", "EMPTY", "-e", "KEPT", "-e", "NOWHERE", "-e", "A=1", "-e", "A=2"],
  ["--env-file", "one.env", "--env-file=two.env", "-e", "B=3"],
  ["-l", "a=b", "--label=c", "--label", "d=e=f", "-lg= h ", "--label", "from=here"],
  ["--hostname", "web", "--domainname", "example.test"],
  ["-h", "web.example.test", "-w", "/srv", "-u", "33:33", "--group-add", "44", "--group-add=audio"],
  ["--user=nobody", "--workdir=/tmp/x y"],
  ["--entrypoint", "/bin/sh"],
  ["--entrypoint=/bin/sh", "--init", "--read-only"],
  ["--init=false", "--read-only=false", "--stop-signal", "SIGQUIT", "--stop-timeout", "42"],
  ["--stop-signal=RTMIN+3", "--cap-drop", "net_raw", "--cap-drop=CAP_CHOWN", "--cap-drop", "NET_RAW"],
  ["--cap-drop", "all", "--restart", "always"],
  ["--restart=on-failure:3", "--sysctl", "net.core.somaxconn=1024", "--sysctl=kernel.msgmax=65536"],
  ["--restart", "unless-stopped", "--ipc", "private", "--uts", "host"],
  ["--restart", "on-failure", "--ipc=shareable", "--runtime", "runc", "--platform", "linux/amd64"],
  ["--restart=no", "--ipc", "none", "--platform=amd64", "--oom-score-adj", "-500"],
  ["-v", "/data", "--volume", `${volume}:/vol`, "-v", "./data:/rel:ro,rslave", `-v${root}:/abs:z`],
  ["-v", `${volume}:/a:nocopy`, "-v", `${volume}:/b:ro`, "--volumes-from", `${source}:ro`],
  ["--volume-driver", "local", "--volumes-from", source, "-v", "/anonymous/"],
  ["--tmpfs", "/run:size=1m,mode=1777", "--tmpfs=/plain", "--shm-size", "64m"],
  ["--mount", "type=bind,source=./data,target=/rel,readonly,bind-propagation=rslave,bind-recursive=disabled"],
  ["--mount", `type=bind,src=${root},dst=/abs,ro=false,consistency=cached`],
  ["--mount", `src=${volume},destination=/vol,volume-nocopy,"volume-label=a=b",volume-label=c`],
  [
    "--mount",
    'type=volume,dst=/other,volume-driver=local,volume-opt=type=tmpfs,volume-opt=device=tmpfs,"volume-opt=o=size=1m,uid=1000"',
  ],
  [
    "--mount",
    "type=tmpfs,target=/scratch,tmpfs-size=1.5m,tmpfs-mode=0750",
    "--mount",
    "dst=/anonymous,volume-nocopy=1",
  ],
  ["--add-host", "a:10.0.0.1", "--add-host=b:host-gateway", "--add-host", "c=[::1]", "--add-host=d:::1"],
  [
    "--dns",
    "10.0.0.53",
    "--dns=2001:db8::53",
    "--dns-search",
    "example.test.",
    "--dns-search=.",
    "--dns-option",
    "ndots:2",
  ],
  ["--dns-opt=rotate", "--expose", "7000", "--expose=7001-7003/udp", "--expose", "9090/tcp"],
  ["--network", network, "--network-alias", "web", "--net-alias=app"],
  ["--net", network],
  ["--network=bridge"],
  ["--network", `name=${network},alias=web,alias=app,driver-opt=com.docker.network.endpoint.a=b`],
  ["-m", "64m", "--memory-swap", "128m", "--memory-reservation=32m", "--memory-swappiness", "10"],
  ["-m64m", "--memory-swap=-1", "--oom-kill-disable"],
  ["--memory=1.5g", "--memory-swappiness=-1", "--oom-kill-disable=false", "--pids-limit", "-1"],
  ["--memory", "512MiB", "--cpus", "1.25", "--cpu-shares", "512", "--pids-limit=100"],
  ["--cpus=.5", "-c", "100", "--cpuset-cpus", "0-1", "--cpuset-mems=0"],
  ["--cpu-period", "50000", "--cpu-quota=25000", "--cgroup-parent", "/dewy-options"],
  ["--ulimit", "nofile=2048", "--ulimit=core=0", "--ulimit", "memlock=-1", "--ulimit", "nofile=1024:4096"],
  ["--blkio-weight", "300", "--blkio-weight-device=/dev/null:200"],
  [
    "--device-read-bps",
    "/dev/null:1mb",
    "--device-write-bps=/dev/null:2m",
    "--device-read-iops",
    "/dev/null:10",
  ],
  ["--device-write-iops=/dev/null:20", "--device-read-bps", "/dev/zero:1k"],
  ["--cpu-rt-period", "1000000", "--cpu-rt-runtime=950000"],
  ["--gpus", "all"],
  ["--gpus", '"device=0,GPU-1",driver=nvidia,"capabilities=compute,utility"'],
  ["--gpus=count=2,options=a=b"],
  ["--health-cmd", "wget -q localhost || exit 1", "--health-interval=5s", "--health-timeout", "1m30s"],
  ["--health-retries=4", "--health-start-period", "500ms"],
  ["--health-interval", "0s", "--health-retries", "0"],
  ["--no-healthcheck"],
  ["--no-healthcheck=false"],
  ["--log-driver", "json-file", "--log-opt", "max-size=10m", "--log-opt=max-file=3"],
  ["--log-opt", "labels=a,b"],
  ["--log-driver=none"],
];

/** What this engine and its machine can't be asked, and why. */
const left: Readonly<Record<string, string>> = {
  name: "two containers can't have one",
  annotation: "needs API 1.43",
  "health-start-interval": "needs API 1.44",
  "storage-opt": "needs a storage driver with quotas",
};

describe("a container of the API has what `docker create` gives it from the same options", () => {
  test.each(lines.map((line) => [line.join(" "), line] as const))("%s", async (_, line) => {
    await expectTwins(line, []);
  });

  test("--entrypoint= with a command", async () => {
    await expectTwins(["--entrypoint="], ["/bin/sh", "-c", "sleep 1"]);
  });

  test("a command of its own", async () => {
    await expectTwins(["-e", "A=1"], ["sleep", "1"]);
  });

  test("of the options that dewy takes none is left untried", () => {
    const tried = new Set(lines.flat().flatMap(optionNames));
    const untried = runOptionTable
      .filter(({ rule, name, short }) => "set" in rule && !tried.has(name) && !tried.has(short ?? name))
      .map(({ name }) => name);
    expect(untried).toEqual(Object.keys(left).sort((a, b) => untried.indexOf(a) - untried.indexOf(b)));
  });
});

/** `--env=E=` → env, `-eA=1` → e. */
function optionNames(token: string): string[] {
  const match = /^--([a-z][a-z0-9-]*)|^-([a-zA-Z])/.exec(token);
  return match === null ? [] : [match[1] ?? match[2] ?? ""];
}

async function expectTwins(line: readonly string[], command: readonly string[]): Promise<void> {
  const { options, problems } = parseRunOptions(line);
  expect(problems).toEqual([]);
  const spec = replicaSpec({
    app: "twins",
    baseName: "dewy-options-twin",
    options,
    image: { reference: image, user: "1234:1234", digest: null },
    // Published ports differ on purpose.
    ports: [],
    command,
    version: "v1.0.0",
    deployedAt: new Date(),
    replica: 1,
    root,
    agent: { uid: 0, gid: 0 },
    own,
  });
  const theirs = await createByCli(engine, [...line, image, ...command], { cwd: root, env: own });
  try {
    const ours = await createByApi(engine, spec);
    try {
      const [expected, found] = await Promise.all([inspect(engine, theirs), inspect(engine, ours)]);
      expect(comparable(found)).toEqual(comparable(expected));
    } finally {
      await remove(engine, ours);
    }
  } finally {
    await remove(engine, theirs);
  }
}

describe("the table of options", () => {
  const help = Bun.spawnSync(["docker", "run", "--help"], { env: { ...process.env, COLUMNS: "200" } });
  const rows = [
    ...help.stdout.toString().matchAll(/^ {2}(?:-(\w), | {4})--([a-z0-9-]+)(?: (\S+))?(?: {2,}|$)/gm),
  ];

  test("is compared with a help that was understood", () => {
    expect(rows.length).toBeGreaterThan(90);
  });

  test.each(rows.map(([, short, name = "", type]) => [name, short, type] as const))(
    "has --%s of `docker run --help`, with its short form and its kind",
    (name, short, type) => {
      const spec = runOptionTable.find((each) => each.name === name);
      expect(spec?.short).toBe(short);
      expect(spec?.kind).toBe(type === undefined ? "switch" : "value");
    },
  );
});
