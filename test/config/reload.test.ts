import { describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import type { LiveSettings } from "../../src/agent/live.ts";
import { DewyError } from "../../src/errors.ts";
import { FileHost } from "./file-host.ts";

const base =
  'registry = "ghr://owner/repo"\napp = ["./current/app"]\nport = 8000\n[env]\nGH_TOKEN = "planted-a"\n';
const line = ["server", "--stop-timeout", "1m", "--keep", "9"];

async function reloaded(host: FileHost, text: string): Promise<LiveSettings> {
  const { start } = await host.start(...line);
  host.write("dewy.toml", text);
  if (start.reload === null) throw new Error("no reload");
  return start.reload();
}

async function refusal(host: FileHost, text: string): Promise<DewyError> {
  const outcome = await reloaded(host, text).catch((error: unknown) => error);
  if (outcome instanceof DewyError) return outcome;
  throw new Error(`not refused: ${JSON.stringify(outcome)}`);
}

describe("a reload", () => {
  test("gives what may change", async () => {
    using host = new FileHost(base);
    const settings = await reloaded(
      host,
      `interval = "1m"\nlog-level = "debug"\nwindow = "Mon 09:00-10:00 UTC"\nmin-age = "1h"\njitter = 5\nsoak = "30s"
       before-deploy-hook = "a"\nafter-deploy-hook = "b"\nhook-failure = "abort"\nhook-timeout = "1m"\n${base}`,
    );
    expect(settings).toMatchObject({
      intervalMs: 60_000,
      logLevel: "debug",
      rules: { windows: [{ text: "Mon 09:00-10:00 UTC" }], minAgeMs: 3_600_000, jitterMs: 5000 },
      soakMs: 30_000,
      hooks: { before: "a", after: "b", onFailure: "abort", timeoutMs: 60_000 },
    });
  });

  test("goes back to the defaults with what was taken out", async () => {
    using host = new FileHost(`interval = "1m"\nwindow = "Mon"\n${base}`);
    expect(await reloaded(host, base)).toMatchObject({ intervalMs: 10_000, rules: { windows: [] } });
  });

  test("leaves what the command line says", async () => {
    using host = new FileHost(base);
    expect((await reloaded(host, `keep = 3\nstop-timeout = 5\n${base}`)).keep).toBe(9);
  });

  test.each<[string, string, string]>([
    ["ports", base.replace("8000", "9000"), "port"],
    ["the registry", base.replace("repo", "other"), "registry"],
    ["the app", base.replace("/app", "/other"), "app"],
    ["a variable", base.replace("planted-a", "planted-b"), "GH_TOKEN"],
    ["a variable that is gone", base.replace(/\[env\][\s\S]*/, ""), "GH_TOKEN"],
    ["a new flag, beside one that may change", `min-uptime = 5\ninterval = 5\n${base}`, "min-uptime"],
    ["several", `cache = "memory"\n${base.replace("8000", "9000")}`, "port, cache"],
  ])("refuses another value of %s, by name", async (_, text, names) => {
    using host = new FileHost(base);
    const { code, message, hint } = await refusal(host, text);
    expect(code).toBe("config-invalid");
    expect(message).toBe(`${names} can't be changed while dewy runs`);
    expect(hint).toContain("restart dewy");
  });

  test.each<[string, string, string]>([
    ["no TOML", "=", "dewy.toml: line 1: "],
    ["a bad value", `interval = "soon"\n${base}`, 'dewy.toml: interval "soon" is not a duration'],
    ["several mistakes", `interval = "soon"\nkep = 3\n${base}`, "there is no key kep; did you mean keep?; "],
    ["windows that never open", `window = "!*"\n${base}`, "leaves no moment"],
  ])("refuses a file with %s", async (_, text, message) => {
    using host = new FileHost(base);
    const error = await refusal(host, text);
    expect(error.code).toBe("config-invalid");
    expect(error.message).toContain(message);
    expect(error.hint).toContain("goes on as before");
  });

  test("refuses when the file is gone", async () => {
    using host = new FileHost(base);
    const { start } = await host.start(...line);
    rmSync(host.path("dewy.toml"));
    await expect(start.reload?.()).rejects.toThrow("dewy.toml does not exist");
  });

  test("reads secrets anew", async () => {
    using host = new FileHost();
    const path = host.write("secret", "planted-1");
    host.write("dewy.toml", base.replace('"planted-a"', `"file:${path}"`));
    const { start } = await host.start(...line);
    expect(await start.reload?.()).toMatchObject({ keep: 9 });
    host.write("secret", "planted-2");
    const error: unknown = await start.reload?.().catch((reason: unknown) => reason);
    expect(String(error)).toContain("GH_TOKEN can't be changed");
    expect(String(error)).not.toContain("planted");
  });

  test("compares with the start, not with the last one", async () => {
    using host = new FileHost(base);
    const { start } = await host.start(...line);
    for (const interval of [5, 6]) {
      host.write("dewy.toml", `interval = ${interval}\n${base}`);
      expect(await start.reload?.()).toMatchObject({ intervalMs: interval * 1000 });
    }
    host.write("dewy.toml", base.replace("8000", "9000"));
    await expect(start.reload?.()).rejects.toThrow("port can't be changed");
    await expect(start.reload?.()).rejects.toThrow("port can't be changed");
  });
});
