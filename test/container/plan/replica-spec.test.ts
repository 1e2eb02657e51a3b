import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type ReplicaRequest,
  replicaSpec,
  usesHealthcheck,
} from "../../../src/container/plan/replica-spec.ts";
import { parseRunOptions, type RunOptions } from "../../../src/container/run-options/parse.ts";
import {
  containerName,
  labelsOfApp,
  nameFromRepository,
  readLabels,
  writeLabels,
} from "../../../src/replicas/labels.ts";
import { tempDir } from "../../support/temp-dir.ts";

function parsed(...args: string[]): RunOptions {
  const { options, problems } = parseRunOptions(args);
  expect(problems).toEqual([]);
  return options;
}

const digest = `sha256:${"a".repeat(64)}`;
const plain: ReplicaRequest = {
  app: "shop",
  baseName: "shop",
  options: parsed(),
  image: { reference: "registry.test/acme/shop@sha256:1", user: "app", digest },
  ports: [{ proxyPort: 8000, appPort: 8080 }],
  command: [],
  version: "v1.2.3",
  deployedAt: new Date("2026-11-21T09:36:40.789Z"),
  replica: 2,
  root: "/srv/shop",
  agent: { uid: 0, gid: 0 },
  own: {},
};

describe("the spec of a replica", () => {
  test("without options is the image, its name, labels and ports", () => {
    const { body, ...rest } = replicaSpec(plain);
    expect(rest).toEqual({ name: "shop-1795253800-2", platform: null, rootByDefault: false });
    expect(body).toEqual({
      Image: "registry.test/acme/shop@sha256:1",
      Labels: {
        "dewy.managed": "true",
        "dewy.app": "shop",
        "dewy.deployed_at": "2026-11-21T09:36:40Z",
        "dewy.replica": "2",
        "dewy.version": "v1.2.3",
        "dewy.root": "/srv/shop",
        "dewy.options": expect.stringMatching(/^[0-9a-f]{12}$/),
        "dewy.digest": digest,
      },
      ExposedPorts: { "8080/tcp": {} },
      HostConfig: { PortBindings: { "8080/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }] } },
    });
  });

  test.each<[string, Partial<ReplicaRequest>, object]>([
    ["a name of the operator's", { options: parsed("--name", "web") }, { name: "web-1795253800-2" }],
    ["a platform", { options: parsed("--platform", "arm64") }, { platform: "linux/arm64" }],
    ["a command", { command: ["serve", "-x"] }, { body: { Cmd: ["serve", "-x"] } }],
    ["labels", { options: parsed("-l", "a=b") }, { body: { Labels: { a: "b", "dewy.app": "shop" } } }],
    [
      "more exposed ports",
      { options: parsed("--expose", "9090") },
      { body: { ExposedPorts: { "8080/tcp": {}, "9090/tcp": {} } } },
    ],
    ["a user", { options: parsed("-u", "33") }, { body: { User: "33" }, rootByDefault: false }],
    [
      "the agent's user for an image of root",
      { image: { ...plain.image, user: "" }, agent: { uid: 5, gid: 6 } },
      { body: { User: "5:6" } },
    ],
    ["root by default", { image: { ...plain.image, user: "" } }, { rootByDefault: true }],
    [
      "a relative bind",
      { options: parsed("-v", "./data:/d:ro", "-v", "..:/up", "-v", "vol:/v") },
      { body: { HostConfig: { Binds: ["/srv/shop/data:/d:ro", "/srv:/up", "vol:/v"] } } },
    ],
    [
      "a relative bind mount",
      { options: parsed("--mount", "type=bind,src=./data,dst=/d") },
      { body: { HostConfig: { Mounts: [{ Type: "bind", Source: "/srv/shop/data", Target: "/d" }] } } },
    ],
    [
      "variables",
      { options: parsed("-e", "A=1", "-e", "B", "-e", "C", "-e", "A=2"), own: { B: "b" } },
      { body: { Env: ["A=2", "B=b", "C"] } },
    ],
  ])("with %s", (_, change, expected) => {
    expect(replicaSpec({ ...plain, ...change })).toMatchObject(expected);
  });

  test("is the same each time", () => {
    const options = parsed("-e", "A=1", "-v", "./d:/d", "--ulimit", "nofile=10", "--network", "a");
    expect(replicaSpec({ ...plain, options })).toEqual(replicaSpec({ ...plain, options }));
  });

  test("names a root with a colon as what keeps --volume from it", () => {
    const make = () => replicaSpec({ ...plain, options: parsed("-v", "./d:/d"), root: "/srv/a:b" });
    expect(make).toThrow(
      expect.objectContaining({
        code: "config-invalid",
        hint: "write --mount type=bind,source=./d,target=/d",
      }),
    );
  });
});

describe("the engine watches a container's health", () => {
  test.each<[string, boolean, string[], boolean]>([
    ["as the image says", true, [], true],
    ["not, as the image says", false, ["--health-interval", "5s"], false],
    ["by the operator's command", false, ["--health-cmd", "true"], true],
    ["not where the operator says so", true, ["--no-healthcheck"], false],
  ])("%s", (_, hasHealthcheck, args, watches) => {
    expect(usesHealthcheck({ hasHealthcheck }, parsed(...args))).toBe(watches);
  });
});

describe("--env-file", () => {
  function withFile(content: string | Uint8Array, ...more: string[]) {
    using dir = tempDir();
    writeFileSync(join(dir.path, "app.env"), content);
    const options = parsed("--env-file", "app.env", ...more);
    return replicaSpec({ ...plain, options, root: dir.path, own: { OWN: "mine", EMPTY: "" } }).body.Env;
  }

  test.each<[string, string, string[] | undefined]>([
    ["lines of KEY=value", "A=1\nB=2", ["A=1", "B=2"]],
    ["comments and empty lines", "#x\n\n  # y\n A=1\n", ["A=1"]],
    ["quotes, blanks and # as they are", 'A="x" # no\nB= y \n', ['A="x" # no', "B= y "]],
    ["Windows' line ends and a BOM", "\ufeffA=1\r\nB=2\r\n", ["A=1", "B=2"]],
    ["a key alone: dewy's own value", "OWN\nEMPTY\nNOBODYS", ["OWN=mine", "EMPTY="]],
    ["nothing", "", undefined],
  ])("reads %s", (_, content, env) => {
    expect(withFile(content)).toEqual(env);
  });

  test("yields to --env", () => {
    expect(withFile("A=1\nB=2", "-e", "A=3")).toEqual(["A=3", "B=2"]);
  });

  test.each<[string, string | Uint8Array, string]>([
    ["a value without a name", "A=1\n=hunter2", "line 2: a value without a variable's name"],
    ["a blank in a name", "A B=hunter2", "line 1: the variable's name holds a blank"],
    ["a NUL", "A=hunter2\0", "line 1: a NUL character"],
    ["bytes that are no text", new Uint8Array([0x41, 0x3d, 0xff]), "not UTF-8 text"],
    ["more than any environment", "A".repeat(5 * 2 ** 20), "too large"],
  ])("refuses %s, and shows no value", (_, content, message) => {
    const read = () => withFile(content);
    expect(read).toThrow(message);
    expect(read).toThrow(expect.objectContaining({ code: "config-invalid" }));
    expect(read).not.toThrow("hunter2");
  });

  test("is read anew for each spec", () => {
    using dir = tempDir();
    const path = join(dir.path, "app.env");
    const request = { ...plain, options: parsed("--env-file", path) };
    writeFileSync(path, "A=1");
    const before = replicaSpec(request).body;
    writeFileSync(path, "A=2");
    const after = replicaSpec(request).body;
    expect([before.Env, after.Env]).toEqual([["A=1"], ["A=2"]]);
    expect(after.Labels).toEqual(before.Labels);
  });

  test.each([
    ["missing", () => {}],
    ["a directory", (path: string) => void mkdirSync(path)],
    ["a pipe, which nobody may write to", (path: string) => void Bun.spawnSync(["mkfifo", path])],
  ])("is a clear error where it is %s", (_, make) => {
    using dir = tempDir();
    const path = join(dir.path, "app.env");
    make(path);
    const read = () => replicaSpec({ ...plain, options: parsed("--env-file", path) });
    expect(read).toThrow(expect.objectContaining({ code: "config-invalid" }));
    expect(read).toThrow(`--env-file ${path}`);
  });
});

describe("labels", () => {
  const written = {
    app: "shop",
    version: "v1.2.3",
    deployedAt: new Date("2026-11-21T09:36:40Z"),
    replica: 0,
    root: "/srv/shop",
    options: "0123456789ab",
    digest,
  };

  test("are read as they were written", () => {
    expect(readLabels(writeLabels(written))).toEqual(written);
    expect(readLabels(writeLabels({ ...written, digest: null }))).toEqual({ ...written, digest: null });
  });

  test("of the original's containers lack what is new", () => {
    const original = {
      "dewy.managed": "true",
      "dewy.app": "shop",
      "dewy.deployed_at": "2025-01-15T10:30:00+09:00",
      "dewy.replica": "1",
      "dewy.version": "v1.0.0",
    };
    expect(readLabels(original)).toEqual({
      app: "shop",
      version: "v1.0.0",
      deployedAt: new Date("2025-01-15T01:30:00Z"),
      replica: 1,
      root: null,
      options: null,
      digest: null,
    });
  });

  test("that are damaged are not there", () => {
    const damaged = {
      "dewy.managed": "true",
      "dewy.deployed_at": "soon",
      "dewy.replica": "-1",
      "dewy.app": "",
    };
    const nothing = { app: null, version: null, deployedAt: null, replica: null };
    expect(readLabels(damaged)).toEqual({ ...nothing, root: null, options: null, digest: null });
  });

  test.each([[{}], [{ "dewy.app": "shop" }], [{ "dewy.managed": "false" }]])("of others: %j", (labels) => {
    expect(readLabels(labels)).toBeNull();
  });

  test("find an app's containers, those of the original too", () => {
    expect(writeLabels(written)).toMatchObject(labelsOfApp("shop"));
  });
});

describe("a container's name", () => {
  test("is <base>-<unix time>-<replica>", () => {
    expect(containerName("shop", new Date(1_700_000_000_999), 3)).toBe("shop-1700000000-3");
  });

  test.each([
    ["ghcr.io/acme/shop", "shop"],
    ["localhost:5000/my_app.web-1", "my_app.web-1"],
    ["127.0.0.1:5055/a/__odd--name", "odd--name"],
    ["host/päckchen", "p-ckchen"],
    ["host/___", "app"],
    ["", "app"],
  ])("of %s begins with %s", (repository, name) => {
    expect(nameFromRepository(repository)).toBe(name);
    expect(name).toMatch(/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/);
  });
});
