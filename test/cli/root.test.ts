import { describe, expect, test } from "bun:test";
import { renderTime } from "../../src/cli/operator/render.ts";
import { DewyError } from "../../src/errors.ts";
import { dewy } from "./support.ts";

const assets = ["assets", "--registry", "ghr://owner/repo"];

describe("commands", () => {
  test.each<[string[], string, object | string]>([
    [["status"], "operator", { kind: "status", root: process.cwd(), json: false }],
    [
      ["status", "--json", "--root", "/srv/app"],
      "operator",
      { kind: "status", root: "/srv/app", json: true },
    ],
    [["--root=/srv/app", "retry"], "operator", { order: { kind: "retry" }, root: "/srv/app" }],
    [["completion", "bash"], "completion", "bash"],
    [assets, "assets", { command: "assets", registry: "ghr://owner/repo" }],
    [["-l", "info", ...assets], "assets", { log: { level: "info", format: "text" } }],
    [["server", "--registry", "ghr://o/r", "./app"], "server", { command: "server", appCommand: ["./app"] }],
    [["server", "--registry", "ghr://o/r", "--once"], "server", { once: true, appCommand: [] }],
  ])("%j", async (argv, command, options) => {
    const { code, errors, ran } = await dewy(argv);
    expect({ code, errors }).toEqual({ code: 0, errors: [] });
    expect(ran).toEqual({
      command,
      options: typeof options === "string" ? options : expect.objectContaining(options),
    });
  });

  test("their exit code is dewy's", async () => {
    expect(await dewy(assets, { commands: { agent: async () => 3 } })).toMatchObject({
      code: 3,
      errors: [],
    });
    expect(await dewy(["status"], { commands: { operator: async () => 2 } })).toMatchObject({ code: 2 });
  });
});

describe("wrong calls exit 1 before anything runs", () => {
  test.each<[string[], string[]]>([
    [["assets"], ["Error: --registry is not set"]],
    [
      [
        "server",
        "--registry",
        "ghr://o/r",
        "--min-age",
        "9999h",
        "--jitter",
        "9999h",
        "--soak",
        "9999h",
        "./app",
      ],
      ["min-age", "jitter", "soak"].map(
        (flag) => `Error: --${flag} "9999h" is too long; write at most 576h, which is 24 days`,
      ),
    ],
    [["stat\u001b[31mus"], ['Error: unknown command "stat\\u001b[31mus"; `dewy help` names the commands']],
    [["assets", "--registry"], ["Error: --registry needs a value; write --registry URL"]],
    [
      ["server", "--registry", "ghr://o/r"],
      ["Error: server has no app to run; write its command last: dewy server … -- ./current/myapp"],
    ],
    [
      ["server", "./app", "--registry", "ghr://o/r"],
      ["Error: --registry is not set; write it before the app's command ./app"],
    ],
    [["status", "--jsno"], ["Error: unknown flag --jsno; did you mean --json?"]],
    [["nope"], ['Error: unknown command "nope"; `dewy help` names the commands']],
    [["--version", "-f", "xml"], ['Error: --log-format "xml" is unknown; write text, json']],
    [
      ["server", "--regsitry", "ghr://o/r", "./app"],
      ["Error: unknown flag --regsitry; did you mean --registry?", "Error: --registry is not set"],
    ],
    [
      ["server", "--registry", "ghr://o/r", "--bogus", "./app"],
      ["Error: unknown flag --bogus; see dewy help"],
    ],
  ])("%j", async (argv, errors) => {
    expect(await dewy(argv)).toEqual({ code: 1, stdout: "", errors, ran: null });
  });

  test("what was written is not repeated by the page", async () => {
    const { errors } = await dewy([...assets, "--interval", "x".repeat(2000) + "y".repeat(2000)]);
    expect(errors).toEqual([
      `Error: --interval "${"x".repeat(80)}…${"y".repeat(80)}" is not a duration; write 10, 10s, 5m or 1h30m`,
    ]);
  });

  test("all errors at once: arguments, values, environment", async () => {
    const argv = [
      "-x",
      "server",
      "-i",
      "10x",
      "-p",
      "0,70000",
      "--keep",
      "1",
      "--keep",
      "2",
      "--json",
      "--hook-failure",
      "a",
    ];
    const { code, errors, ran } = await dewy(argv, { env: { KILL_OLD_DELAY: "x" } });
    expect({ code, ran }).toEqual({ code: 1, ran: null });
    expect(errors.map((line) => line.split(/[;"]/)[0]?.trim())).toEqual([
      "Error: unknown flag -x",
      "Error: --keep is given more than once",
      "Error: --json is no flag of server",
      "Error: --registry is not set",
      "Error: --interval",
      "Error: --hook-failure",
      "Error: --port",
      "Error: --port",
      "Error: KILL_OLD_DELAY",
    ]);
  });
});

describe("what a command throws", () => {
  const failing = (error: unknown) => ({ commands: { agent: () => Promise.reject(error) } });

  test("a DewyError: what failed, what to do, and the exit code of its class", async () => {
    const error = new DewyError("filesystem", "cannot write\n/srv/app", { hint: "make it writable" });
    expect(await dewy(assets, failing(error))).toMatchObject({
      code: 3,
      errors: ["Error: cannot write /srv/app", "Hint: make it writable"],
    });
  });

  test("its times are those of who reads it", async () => {
    const at = "2026-01-02T03:04:05.000Z";
    const error = new DewyError("rate-limited", `not before ${at}`, { hint: `wait until ${at}` });
    const now = () => new Date("2026-01-02T03:03:05Z");
    const { errors } = await dewy(assets, { ...failing(error), now });
    const local = `${renderTime(new Date(at))} (in 1m)`;
    expect(errors).toEqual([`Error: not before ${local}`, `Hint: wait until ${local}`]);
  });

  test.each([[new Error("boom\nat x")], ["boom at x"]])(
    "anything else is one line and exit 4",
    async (thrown) => {
      expect(await dewy(assets, failing(thrown))).toMatchObject({ code: 4, errors: ["Error: boom at x"] });
    },
  );

  test("a stack only at level debug", async () => {
    const { code, errors } = await dewy([...assets, "-l", "DEBUG"], failing(new Error("boom")));
    expect(code).toBe(4);
    expect(errors.slice(1).join("\n")).toContain("root.test.ts");
  });
});

describe("dewy --version", () => {
  const now = () => new Date("2026-01-02T03:04:05.600Z");

  test("in text", async () => {
    const { code, stdout } = await dewy(["--version"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^dewy version: v\d+\.\d+\.\d+ \[none, unknown\]\n$/);
  });

  test("as one JSON record", async () => {
    const { stdout } = await dewy(["--log-format", "json", "-v"], { now });
    expect(JSON.parse(stdout)).toEqual({
      time: expect.stringMatching(/^2026-01-0\dT\d\d:\d\d:05\.6/),
      level: "INFO",
      msg: "dewy version",
      version: expect.stringMatching(/^v\d/),
      commit: "none",
      date: "unknown",
    });
    expect(stdout.endsWith("}\n")).toBe(true);
  });
});
