import { describe, expect, test } from "bun:test";
import { shownOptions, shownUrl } from "../../src/cli/configuration/mask.ts";
import { FileHost } from "./file-host.ts";

const file = `
  command = "server"
  registry = "ghr://owner/repo?pre-release=true"
  notifier = ["webhook+https://chat.example/hooks/planted-hook?title=x&key=planted-key"]
  interval = 30
  after-deploy-hook = "curl \${HOOK}"
  app = ["./current/app", "two words"]
  [env]
  GH_TOKEN = "planted-token"
  DEWY_CACHEDIR = "/cache"
  ENVDIR = "\${HOOK}"
`;

async function shown(host: FileHost, ...argv: string[]) {
  const { code, stdout, errors } = await host.run(["config", "show", "--root", host.root, ...argv]);
  return { code, stdout, errors: errors.join("\n") };
}

describe("config show", () => {
  test("shows each value and where it comes from", async () => {
    using host = new FileHost(file);
    host.env = { HOOK: "planted-url", SLACK_TOKEN: "planted-slack", HOME: "/root", DEWY_CACHEDIR: "" };
    const { code, stdout } = await shown(host, "--keep", "3", "--json");
    expect(code).toBe(0);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ command: "server", file: host.path("dewy.toml"), warnings: [] });
    const values = new Map(
      report.settings.map(({ name, value, from }: Record<string, unknown>) => [name, [value, from]]),
    );
    expect(values.get("registry")).toEqual(["ghr://owner/repo?pre-release=true", "file"]);
    expect(values.get("notifier")).toEqual([["webhook+https://chat.example/…?title=x&key=…"], "file"]);
    expect(values.get("interval")).toEqual(["30", "file"]);
    expect(values.get("keep")).toEqual(["3", "flag"]);
    expect(values.get("hook-timeout")).toEqual(["10m", "default"]);
    expect(values.get("once")).toEqual([false, "default"]);
    expect(values.get("port")).toEqual([[], "default"]);
    expect(values.get("slot")).toEqual([null, "default"]);
    expect(values.get("after-deploy-hook")).toEqual(["curl …", "file"]);
    expect(values.get("app")).toEqual([["./current/app", "two words"], "file"]);
    expect(values.has("help") || values.has("config") || values.has("runtime")).toBe(false);
    expect(report.environment).toEqual([
      { name: "DEWY_CACHEDIR", value: "/cache", from: "file" },
      { name: "ENVDIR", value: "…", from: "file" },
      { name: "GH_TOKEN", value: "…", from: "file" },
      { name: "SLACK_TOKEN", value: "…", from: "environment" },
    ]);
    expect(stdout).not.toContain("planted");
  });

  test("is a table for people", async () => {
    using host = new FileHost(file);
    host.env = { HOOK: "planted-url" };
    const { stdout } = await shown(host, "--slot", "blue");
    expect(stdout).toStartWith(`dewy server, file ${host.path("dewy.toml")}\n`);
    for (const row of [
      /^interval +file +30$/m,
      /^slot +flag +blue$/m,
      /^admin-port +default +\(17539\)$/m,
      /^port +default +-$/m,
      /^app +file +\.\/current\/app "two words"$/m,
      /^GH_TOKEN +file +…$/m,
    ]) {
      expect(stdout).toMatch(row);
    }
    expect(stdout).not.toContain("planted");
  });

  test("works without a file", async () => {
    using host = new FileHost();
    const { stdout } = await shown(
      host,
      "assets",
      "--registry",
      "s3://u:planted@eu/b?endpoint=planted&region=eu",
    );
    expect(stdout).toStartWith("dewy assets, without a file\n");
    expect(stdout).toMatch(/^registry +flag +s3:\/\/…@eu\/b\?endpoint=…&region=eu$/m);
  });

  test.each<[string, string | undefined, RegExp[]]>([
    ["without a file", undefined, [/^interval +flag +1m$/m, /^registry +default +-$/m, /^app +default +-$/m]],
    ["with a file that names no app", 'registry = "ghr://o/r"', [/^registry +file +ghr:\/\/o\/r$/m]],
  ])("shows what is set %s, whatever an agent would still lack", async (_, text, rows) => {
    using host = new FileHost(text);
    const { code, stdout, errors } = await shown(host, "server", "--interval", "1m");
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    for (const row of rows) expect(stdout).toMatch(row);
    const wrong = await shown(host, "server", "--interval", "soon", "--registry", "x");
    for (const flag of ["--interval", "--registry"]) expect(wrong.errors).toContain(flag);
    expect(wrong.errors).not.toContain("app");
  });

  test("says what is wrong instead", async () => {
    using host = new FileHost(`${file}\n[foo]`);
    const { code, stdout, errors } = await shown(host);
    expect([code, stdout]).toEqual([1, ""]);
    expect(errors).toContain("there is no key foo");
  });

  test("needs to know which agent it is about", async () => {
    using host = new FileHost();
    expect((await shown(host)).errors).toBe(
      "Error: nobody says which agent it is about; write dewy config show server|assets|container",
    );
    host.write("dewy.toml", 'registry = "ghr://o/r"');
    expect((await shown(host)).errors).toContain(
      'does not say which agent it is for; write command = "server"',
    );
    host.write("dewy.toml", 'command = "sever"');
    expect((await shown(host)).errors).toContain('command is "sever"; write server, assets, container');
  });
});

describe("config check", () => {
  const check = (host: FileHost, ...argv: string[]) =>
    host.run(["config", "check", "--root", host.root, ...argv]);

  test("says what an agent would still lack", async () => {
    using host = new FileHost('command = "server"');
    const { code, errors } = await check(host);
    expect(code).toBe(1);
    for (const what of ["--registry is not set", "server has no app to run"])
      expect(errors.join("\n")).toContain(what);
  });

  test("says that a file is fine", async () => {
    using host = new FileHost(file);
    host.env = { HOOK: "x" };
    const path = host.path("dewy.toml");
    expect(await check(host)).toMatchObject({
      code: 0,
      stdout: `${path} is fine for dewy server\n`,
      errors: [],
      ran: null,
    });
    expect(JSON.parse((await check(host, "--json")).stdout)).toEqual({
      file: path,
      command: "server",
      warnings: [],
    });
  });

  test("says all that is wrong", async () => {
    using host = new FileHost(file.replace("30", '"soon"').replace("GH_TOKEN", "FOO"));
    const { code, stdout, errors } = await check(host);
    expect([code, stdout]).toEqual([1, ""]);
    for (const what of ["soon", "FOO", "HOOK"]) expect(errors.join("\n")).toContain(what);
  });

  test("warns of a secret that others can read", async () => {
    using host = new FileHost();
    const path = host.write("token", "planted-token", 0o644);
    host.write("dewy.toml", file.replace('"planted-token"', `"file:${path}"`));
    host.env = { HOOK: "x" };
    expect((await check(host)).stdout).toStartWith(
      `Warning: ${path} can be read by every user of this host\n`,
    );
  });

  test("needs a file", async () => {
    using host = new FileHost();
    expect((await check(host)).errors).toEqual([
      `Error: there is no dewy.toml in ${host.root}; write one, or name a file with --config`,
    ]);
  });

  test.each([
    [["config"], "write dewy config check, or dewy config show"],
    [["config", "chek"], 'unknown command "config"'],
    [["config", "check", "sever"], "write server, assets, container"],
    [["config", "check", "--until", "5"], "--until is no flag of config check"],
  ])("%j is refused", async (argv, error) => {
    using host = new FileHost();
    const { code, errors } = await host.run(argv);
    expect(code).toBe(1);
    expect(errors.join("\n")).toContain(error);
  });
});

test.each([
  ["file", false, "file"],
  ["file:///srv/x", false, "file:///srv/x"],
  ["redis://:planted@host:6379/0", false, "redis://…@host:6379/0"],
  ["redis://a:plan@ted@host", false, "redis://…@host"],
  ["slack://channel?title=x&token=planted", true, "slack://channel?title=x&token=…"],
  ["webhook+https://host/planted", true, "webhook+https://host/…"],
  ["ghr://o/r#planted", false, "ghr://o/r#…"],
  ["s3://eu/b?flag&x=planted=planted", false, "s3://eu/b?…&x=…"],
])("the URL %s is shown without its secrets", (url, secretPath, shown) => {
  expect(shownUrl(url, secretPath)).toBe(shown);
});

test("options of docker run are shown without the container's variables", () => {
  const options = [
    "-e",
    "A=planted",
    "-eB=planted",
    "--env",
    "C=planted=x",
    "--env=D=planted",
    "-v",
    "a=b",
    "-e",
    "E",
  ];
  expect(shownOptions(options)).toEqual([
    "-e",
    "A=…",
    "-eB=…",
    "--env",
    "C=…",
    "--env=D=…",
    "-v",
    "a=b",
    "-e",
    "E",
  ]);
});
