import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { flags } from "../../src/cli/arguments/flags.ts";
import { environment } from "../../src/cli/arguments/variables.ts";
import { variableProblem } from "../../src/config/file-variables.ts";
import { configOf } from "../cli/support.ts";
import { FileHost } from "./file-host.ts";

const server = 'registry = "ghr://owner/repo"\napp = ["./current/app", "-v"]\n';
const assets = 'registry = "ghr://owner/repo"\n';

describe("a configuration file", () => {
  test("makes the same configuration as the flags of its keys", async () => {
    using host = new FileHost(`
      command = "server"
      registry = "ghr://owner/repo"
      port = [8000, "127.0.0.1:9000"]
      notifier = ["slack://a", "slack://b"]
      interval = 30
      hook-timeout = 1.5
      stop-timeout = "1m"
      no-report = true
      telemetry = false
      window = ["Mon-Fri 09:00-17:00 Asia/Tokyo", "!2026-12-24..2027-01-02 UTC"]
      min-age = "1h"
      after-deploy-hook = """
        echo one
        echo two"""
      app = ["./current/app", "--port", "8000"]
      [env]
      KILL_OLD_DELAY = 3
      ENABLE_AUTO_RESTART = true
    `);
    const flags = [
      ...[
        "server",
        "--root",
        host.root,
        "--registry",
        "ghr://owner/repo",
        "-p",
        "8000",
        "-p",
        "127.0.0.1:9000",
      ],
      ...["--notifier", "slack://a", "--notifier", "slack://b", "-i", "30", "--hook-timeout", "1.5"],
      ...["--stop-timeout", "1m", "--no-report", "--window", "Mon-Fri 09:00-17:00 Asia/Tokyo"],
      ...["--window", "!2026-12-24..2027-01-02 UTC", "--min-age", "1h"],
      ...[
        "--after-deploy-hook",
        "        echo one\n        echo two",
        "--",
        "./current/app",
        "--port",
        "8000",
      ],
    ];
    const env = { KILL_OLD_DELAY: "3", ENABLE_AUTO_RESTART: "true" };
    expect((await host.start("server")).config).toEqual(await configOf(flags, env));
  });

  test("has the options of docker run for container", async () => {
    using host = new FileHost('registry = "img://host/app"\noptions = ["-e", "MODE=live"]\nport = "80:8080"');
    const flags = ["container", "--root", host.root, "--registry", "img://host/app", "-p", "80:8080"];
    expect((await host.start("container")).config).toEqual(
      await configOf([...flags, "--", "-e", "MODE=live"]),
    );
  });

  test("is read from where --config says, too", async () => {
    using host = new FileHost("nonsense");
    const path = host.write("other.toml", `${assets}keep = 3`);
    expect((await host.start("assets", "--config", path)).config.keep).toBe(3);
  });

  test("need not be there", async () => {
    using host = new FileHost();
    expect((await host.start("assets", "--registry", "ghr://o/r")).start).toMatchObject({ reload: null });
  });

  test("yields to the command line, flag by flag", async () => {
    using host = new FileHost(`${server}interval = 30\nkeep = 3\nport = [1, 2]\ntelemetry = true`);
    const { config } = await host.start(
      "server",
      "-i",
      "5",
      "-p",
      "8000",
      "--telemetry=false",
      "--",
      "./other",
    );
    expect(config).toMatchObject({
      intervalMs: 5000,
      keep: 3,
      ports: [{ port: 8000 }],
      appCommand: ["./other"],
      telemetry: null,
    });
  });

  test("yields to the environment, variable by variable; an empty one is none", async () => {
    using host = new FileHost(
      `${assets}[env]\nDEWY_CACHEDIR = "a"\nGH_TOKEN = "planted-1"\nSLACK_TOKEN = "planted-2"`,
    );
    host.env = { DEWY_CACHEDIR: "/b", SLACK_TOKEN: "" };
    const { config, start } = await host.start("assets");
    expect(config.cacheDir).toBe("/b");
    expect(start.env).toEqual({ DEWY_CACHEDIR: "/b", GH_TOKEN: "planted-1", SLACK_TOKEN: "planted-2" });
    expect([...start.variables.keys()]).toEqual(["GH_TOKEN", "SLACK_TOKEN"]);
  });

  test("gives its variables to the drivers' checks", async () => {
    using host = new FileHost(`${assets}[env]\nGITHUB_API_URL = "https://ghe"`);
    host.checkUrls = (_, env) => [{ message: `asked of ${env["GITHUB_API_URL"]}` }];
    expect(await host.errors("assets")).toEqual(["Error: asked of https://ghe"]);
  });

  test("takes every flag of the agents, and every variable of the help", async () => {
    const agents = flags.filter((flag) =>
      flag.commands.some((name) => /^(server|assets|container)$/.test(name)),
    );
    const names = [...new Set(agents.map(({ name }) => name))];
    const lineOnly = ["config", "help", "version"];
    using host = new FileHost(
      names
        .filter((name) => !lineOnly.includes(name))
        .map((name) => `${name} = []`)
        .join("\n"),
    );
    const errors = (await host.errors("server")).join("\n");
    for (const name of names.filter((each) => !lineOnly.includes(each))) {
      expect(errors).not.toContain(`no key ${name};`);
    }
    const variables = environment.flatMap(
      ({ name, help }) => `${name} ${help}`.match(/\b[A-Z][A-Z_]{4,}\b/g) ?? [],
    );
    const refused = variables.filter((name) => variableProblem(name) !== null && name !== "EXPOSE");
    expect(refused).toEqual(["SSL_CERT_FILE"]);
  });
});

describe("a reference", () => {
  test("to a variable stands in any text; two dollars are one", async () => {
    using host = new FileHost(
      `registry = "ghr://\${OWNER}/\${REPO}"\nnotifier = ["slack://\${CHANNEL}"]\nbefore-deploy-hook = "echo $\${DEWY_TAG} $HOME"`,
    );
    host.env = { OWNER: "o", REPO: "r", CHANNEL: "c" };
    expect((await host.start("assets")).config).toMatchObject({
      registry: "ghr://o/r",
      notifiers: ["slack://c"],
      hooks: { before: `echo \${DEWY_TAG} $HOME` },
    });
  });

  test.each(["planted-token", "planted-token\n", "planted-token\r\n"])(
    "to a file is its content: %j",
    async (text) => {
      using host = new FileHost(`${assets}[env]\nGH_TOKEN = "file:\${DIR}/token"`);
      host.env = { DIR: host.root };
      host.write("token", text);
      const { start } = await host.start("assets");
      expect(start.env["GH_TOKEN"]).toBe("planted-token");
      expect(start.warnings).toEqual([]);
    },
  );

  test("to a file of several lines keeps them", async () => {
    using host = new FileHost();
    const path = host.write("key", "planted\nkey\n\n");
    host.write("dewy.toml", `${assets}[env]\nGITHUB_APP_PRIVATE_KEY = "file:${path}"`);
    expect((await host.start("assets")).start.env["GITHUB_APP_PRIVATE_KEY"]).toBe("planted\nkey\n");
  });

  test("is what a secret should be in a file that others can read", async () => {
    using host = new FileHost();
    const secret = host.write("token", "planted-token");
    const variables = `[env]\nGH_TOKEN = "file:${secret}"\nDEWY_CACHEDIR = "x"\n`;
    const path = host.write("dewy.toml", `${assets}${variables}`, 0o644);
    expect((await host.start("assets")).start.warnings).toEqual([]);
    host.write("dewy.toml", `${assets}${variables}SLACK_TOKEN = "planted-slack"`, 0o644);
    expect((await host.start("assets")).start.warnings).toEqual([
      `${path} holds SLACK_TOKEN and can be read by every user of this host`,
    ]);
  });

  test("to a file that its group can read is not warned of", async () => {
    using host = new FileHost();
    const path = host.write("token", "planted-token", 0o640);
    host.write("dewy.toml", `${assets}[env]\nGH_TOKEN = "file:${path}"`);
    expect((await host.start("assets")).start.warnings).toEqual([]);
  });

  test("to a file that others can read is warned of", async () => {
    using host = new FileHost();
    const path = host.write("token", "planted-token", 0o644);
    host.write("dewy.toml", `${assets}[env]\nGH_TOKEN = "file:${path}"`);
    expect((await host.start("assets")).start.warnings).toEqual([
      `${path} can be read by every user of this host`,
    ]);
  });

  test("is not what a URL is", async () => {
    using host = new FileHost('registry = "file:///srv/releases"\ncache = "file"');
    expect((await host.start("assets")).config).toMatchObject({
      registry: "file:///srv/releases",
      cache: "file://",
    });
  });

  test("in what was put in is none", async () => {
    using host = new FileHost(`${assets}slot = "\${SLOT}"`);
    host.env = { SLOT: "file" };
    expect((await host.start("assets")).config.slot).toBe("file");
  });
});

describe("what is wrong is said:", () => {
  const cases: [what: string, text: string, errors: string[]][] = [
    [
      "an unknown key",
      `${assets}log_level = "debug"`,
      ["dewy.toml: there is no key log_level; did you mean log-level?"],
    ],
    [
      "a key far from any",
      `${assets}zzzzzzzzz = 1`,
      [
        "dewy.toml: there is no key zzzzzzzzz; keys are the flags of dewy help, app, options, command and [env]",
      ],
    ],
    ["a key of the line only", `${assets}help = true`, ["dewy.toml: there is no key help; "]],
    [
      "another command's key",
      `${assets}runtime = "podman"`,
      ["dewy.toml: runtime is no key of assets; it belongs to container"],
    ],
    [
      "another command",
      `${assets}command = "server"`,
      ['dewy.toml: command is "server"; run dewy server, or write command = "assets"'],
    ],
    ["an app without use", server, ["dewy.toml: assets runs no app; leave app out"]],
    [
      "options without use",
      `${assets}options = ["-e", "A=b"]`,
      ["dewy.toml: options are those of docker run"],
    ],
    [
      "a text for a switch",
      `${assets}once = "true"`,
      ["dewy.toml: once must be true or false, without quotes; write once = true"],
    ],
    [
      "a switch for a text",
      `${assets}keep = true`,
      ['dewy.toml: keep must be a text or a number; write keep = "N"'],
    ],
    [
      "a list for a text",
      `${assets}keep = [7]`,
      ['dewy.toml: keep must be a single value; write keep = "N"'],
    ],
    [
      "a table for a list",
      `${assets}window = {a = 1}`,
      ["dewy.toml: window must be a text or a number; write window = "],
    ],
    ["no number", `${assets}interval = inf`, ["dewy.toml: interval must be a text or a number"]],
    [
      "a bad value, by its place",
      `${assets}interval = "soon"`,
      ['dewy.toml: interval "soon" is not a duration; write 10, 10s, 5m or 1h30m'],
    ],
    ["an empty text", `${assets}slot = ""`, ["dewy.toml: slot is empty; leave it out"]],
    [
      "another root",
      `${assets}root = "/srv"`,
      ["dewy.toml: root is /srv, which is not where this file was found"],
    ],
    ["no table of variables", `${assets}env = "A=b"`, ["dewy.toml: env must be a table"]],
    [
      "an unknown variable",
      `${assets}[env]\nGH_TOKN = "x"`,
      ["dewy.toml: [env] GH_TOKN is no variable that dewy reads; did you mean GH_TOKEN?"],
    ],
    [
      "a variable that comes too late",
      `${assets}[env]\nSSL_CERT_FILE = "x"`,
      ["dewy.toml: [env] SSL_CERT_FILE is read before the file is"],
    ],
    [
      "a bad variable",
      `${assets}[env]\nDEWY_CACHEDIR = []`,
      ["dewy.toml: DEWY_CACHEDIR must be a single value"],
    ],
    [
      "a missing variable",
      `${assets}slot = "\${NOPE}"`,
      ["dewy.toml: slot: the variable NOPE is not set; set it where dewy is started, or write $${NOPE}"],
    ],
    ["no name of a variable", `${assets}slot = "\${a b}"`, [`dewy.toml: slot: "\${a b}" names no variable`]],
    [
      "a missing secret",
      `${assets}slot = "file:/nope/x"`,
      ["dewy.toml: slot: /nope/x does not exist; make it, or name another file"],
    ],
    ["a relative secret", `${assets}slot = "file:x"`, ['dewy.toml: slot: "file:x" is no absolute path']],
    [
      "a directory as a secret",
      'registry = "file:/usr"',
      ["dewy.toml: registry: /usr is a directory; write file:///usr for a URL"],
    ],
    [
      "a pipe as a secret",
      `${assets}slot = "file:/dev/zero"`,
      ["dewy.toml: slot: /dev/zero is no regular file"],
    ],
    ["a key given twice", `${assets}keep = 1\nkeep = 2`, ["dewy.toml: line 3: Cannot redefine key 'keep'"]],
    ["no TOML", `${assets}\n# here\nkeep = \n`, ["dewy.toml: line 4: Missing value"]],
    ["no TOML in a long value", `${assets}window = [\n"a",\n b\n]\nkeep = 1`, ["dewy.toml: line 2: "]],
    ["no TOML at once", "\n\n=", ["dewy.toml: line 3: "]],
  ];
  test.each(cases)("%s", async (_, text, expected) => {
    using host = new FileHost(text);
    const errors = await host.errors("assets");
    expect(errors).toHaveLength(expected.length);
    for (const [index, error] of expected.entries()) expect(errors[index]).toStartWith(`Error: ${error}`);
  });

  test("all of it at once, the command line's too", async () => {
    using host = new FileHost('registy = "x"\nkeep = "x"\nslot = "a b"\napp = "x"\n[env]\nFOO = 1');
    const errors = (await host.errors("server", "--interval", "soon", "--prot", "1")).join("\n");
    for (const what of [
      "registy",
      "keep",
      "slot",
      "app must be a list",
      "FOO",
      "--interval",
      "--prot",
      "--registry is not set",
    ]) {
      expect(errors).toContain(what);
    }
    expect(errors).not.toContain("no app to run");
  });

  test("a wrong app is not also a missing one", async () => {
    using host = new FileHost(`${assets}app = "./current/app -v"`);
    expect(await host.errors("server")).toEqual([
      'Error: dewy.toml: app must be a list; write app = ["…", "…"]',
    ]);
  });

  test("nothing else when the file can't be read", async () => {
    using host = new FileHost("=");
    expect(await host.errors("server")).toEqual(["Error: dewy.toml: line 1: Expected a key but found '='"]);
  });

  test.each<[string, string | Uint8Array | null, string]>([
    ["is missing", null, "x.toml does not exist; make it, or name another file"],
    ["is no text", new Uint8Array([0xff, 0xfe, 0x41]), "x.toml is no text; write it in UTF-8"],
    ["is too big", `# ${"x".repeat(70_000)}`, "x.toml has more than 64 KiB; name another file"],
  ])("about a file that %s", async (_, text, error) => {
    using host = new FileHost();
    if (text !== null) host.write("x.toml", text);
    expect(await host.errors("assets", "--config", host.path("x.toml"))).toEqual([`Error: ${error}`]);
  });

  test("about a link that leads nowhere", async () => {
    using host = new FileHost();
    symlinkSync("/nope/dewy.toml", host.path("dewy.toml"));
    expect(await host.errors("assets")).toEqual([
      "Error: dewy.toml does not exist; make it, or name another file",
    ]);
  });

  test("about a directory in the file's place", async () => {
    using host = new FileHost();
    mkdirSync(host.path("dewy.toml"));
    expect(await host.errors("assets")).toEqual(["Error: dewy.toml is a directory; name a file"]);
  });
});

test.each([
  "slot",
  "keep",
  "interval",
  "window",
  "registry",
  "cache",
  "notifier",
  "log-level",
  "calver",
  "hook-failure",
])("a secret that does not fit %s is not told", async (key) => {
  using host = new FileHost();
  const path = host.write("secret", "planted secret, that fits nowhere\n");
  host.env = { PLANTED: "planted secret, that fits nowhere" };
  for (const value of [`file:${path}`, `\${PLANTED}`, `x\${PLANTED}x`]) {
    host.write("dewy.toml", `${key === "registry" ? "" : assets}${key} = "${value}"`);
    const errors = (await host.errors("assets")).join("\n");
    expect(errors).toContain(key);
    expect(errors).not.toContain("planted secret");
  }
});

test("the file of the README is fine", async () => {
  const [, example = ""] = /```toml\n([\s\S]*?)```/.exec(readFileSync("README.md", "utf8")) ?? [];
  using host = new FileHost(example.replace("/run/secrets", `\${CREDENTIALS_DIRECTORY}`));
  host.env = { SITE: "x", CREDENTIALS_DIRECTORY: host.root };
  for (const name of ["gh", "slack"]) host.write(name, "planted");
  const { config } = await host.start("server");
  expect(config).toMatchObject({
    registry: "ghr://owner/repo",
    intervalMs: 30_000,
    hooks: { after: `./warm-up x \${DEWY_TAG}` },
    schedule: { windows: [{ zone: "Asia/Tokyo" }] },
  });
});
