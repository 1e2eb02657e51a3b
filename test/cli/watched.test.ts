import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chownSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Watched } from "../../src/cli/configuration/watched.ts";
import type { OperatorRequest } from "../../src/cli/operator/request.ts";
import { layoutOf } from "../../src/cli/run/layout.ts";
import { DewyError } from "../../src/errors.ts";
import { tempDir } from "../support/temp-dir.ts";
import { dewy } from "./support.ts";

let dir: ReturnType<typeof tempDir>;
beforeEach(() => {
  dir = tempDir();
});
afterEach(() => dir[Symbol.dispose]());

/** A directory of that name, with that configuration file in it. */
function place(name: string, toml: string): string {
  const root = join(dir.path, name);
  mkdirSync(root);
  writeFileSync(join(root, "dewy.toml"), toml);
  return root;
}

interface Checked {
  readonly errors: string;
  /** What was found for `at`, or for the directory of the request. */
  readonly watched: Watched | null;
  readonly request: OperatorRequest | null;
  readonly refusal: DewyError | null;
}

async function check(
  argv: readonly string[],
  env: Record<string, string> = {},
  at?: string,
): Promise<Checked> {
  let request: OperatorRequest | null = null;
  let found: Watched | null = null;
  let refusal: DewyError | null = null;
  const operator = async (given: OperatorRequest, look: (root: string) => Promise<Watched | null>) => {
    request = given;
    found = await look(at ?? given.root ?? "").catch((error) => {
      if (!(error instanceof DewyError)) throw error;
      refusal = error;
      return null;
    });
    return 0;
  };
  const { errors } = await dewy(["check", ...argv], { env, commands: { operator } });
  return { errors: errors.join("\n"), watched: found, request, refusal };
}

describe("what an agent would watch", () => {
  test("is by the file of each directory, and not of the one that dewy is called in", async () => {
    const one = place("one", 'registry = "ghr://o/one"\n[env]\nGH_TOKEN = "plantedOne"');
    const two = place("two", 'registry = "ghr://o/two"\n[env]\nGH_TOKEN = "plantedTwo"');
    expect((await check(["--all"], {}, one)).watched).toMatchObject({
      registry: "ghr://o/one",
      env: { GH_TOKEN: "plantedOne" },
    });
    expect((await check(["--all"], {}, two)).watched).toMatchObject({ path: join(two, "dewy.toml") });
    expect((await check(["--all"], {}, dir.path)).watched).toBeNull();
  });

  test.if(process.geteuid?.() === 0)("is not read with --all where it is another user's", async () => {
    const root = place("strange", 'registry = "ghr://o/r"\n[env]\nGITHUB_API_URL = "http://127.0.0.1:1"');
    const { agent } = layoutOf(root);
    mkdirSync(dirname(agent));
    writeFileSync(agent, "{}");
    for (const path of [root, join(root, "dewy.toml"), agent]) {
      chownSync(path, 65_534, 65_534);
      expect((await check(["--all"], {}, root)).refusal).toMatchObject({
        code: "filesystem",
        message: `${path} is another user's: with --all no registry is asked by it`,
        hint: `write dewy check --root ${root}`,
      });
      expect((await check(["--root", root])).watched).not.toBeNull();
      chownSync(path, 0, 0);
    }
    expect((await check(["--all"], {}, root)).watched).not.toBeNull();
  });

  const github = 'registry = "ghr://o/r"';
  test.each<[string, string, string[]]>([
    ["a notifier's secret", `${github}\nnotifier = "slack://\${NOPE}"`, []],
    ["the notifier's variable", `${github}\n[env]\nSLACK_TOKEN = "\${NOPE}"`, []],
    ["a secret file of the telemetry", `${github}\n[env]\nOTEL_EXPORTER_OTLP_HEADERS = "file:/nope"`, []],
    ["a hook", `${github}\nbefore-deploy-hook = "\${NOPE}"`, []],
    ["a credential of another registry", `${github}\n[env]\nAWS_SECRET_ACCESS_KEY = "\${NOPE}"`, []],
    ["the app", `${github}\napp = "./app"`, []],
    ["the registry, where another is named", `registry = "\${NOPE}"`, ["--registry", "ghr://o/r"]],
    [
      "a credential that the other registry has no use for",
      `[env]\nGH_TOKEN = "\${NOPE}"`,
      ["--registry", "file:///srv"],
    ],
  ])("needs no %s", async (_, toml, argv) => {
    const root = place("app", toml);
    const { refusal, errors, watched } = await check(["--root", root, ...argv]);
    expect({ refusal, errors }).toEqual({ refusal: null, errors: "" });
    expect(watched?.registry).toBe(argv[1] ?? "ghr://o/r");
  });

  test.each<[string, string, string[], string]>([
    ["a registry that is not known", `registry = "\${NOPE}"`, [], "registry: "],
    ["a window that is none", `${github}\nwindow = "Mon 25:00-26:00"`, [], "window"],
    ["a credential that is missing", `${github}\n[env]\nGH_TOKEN = "\${NOPE}"`, [], "GH_TOKEN: "],
    ["a credential, whichever the registry", `[env]\nGH_TOKEN = "\${NOPE}"`, [], "GH_TOKEN: "],
    [
      "the proxy",
      `${github}\n[env]\nHTTPS_PROXY = "\${NOPE}"`,
      ["--registry", "file:///srv"],
      "HTTPS_PROXY: ",
    ],
    ["a key that may be a misspelt one", 'registri = "ghr://o/r"', [], "there is no key registri"],
    ["what is no TOML", "nonsense", ["--registry", "file:///srv"], "line 1"],
    ["another root than where it lies", `${github}\nroot = "/srv/other"`, [], "root is /srv/other"],
  ])("is refused for %s", async (_, toml, argv, what) => {
    const root = place("app", toml);
    const { refusal } = await check(["--root", root, ...argv]);
    expect(refusal?.code).toBe("config-invalid");
    expect(refusal?.message).toContain(`${root}/dewy.toml: ${what}`);
  });

  test("takes a credential that the file can't give from the environment", async () => {
    const root = place("app", `${github}\n[env]\nGH_TOKEN = "file:/nope"`);
    const { watched, refusal } = await check(["--root", root], { GH_TOKEN: "plantedOwn" });
    expect(refusal).toBeNull();
    expect(watched?.env["GH_TOKEN"]).toBe("plantedOwn");
  });
});

describe("a file that is named", () => {
  const named = (text: string) => {
    const path = join(dir.path, "named.toml");
    writeFileSync(path, text);
    return path;
  };

  test("is asked by from here, in the directory that it names", async () => {
    const path = named(`root = "/srv/there"\nregistry = "ghr://o/r"`);
    const { request, watched } = await check(["--config", path]);
    expect(request).toMatchObject({ kind: "check", root: "/srv/there", alone: true });
    expect(watched).toMatchObject({ registry: "ghr://o/r", path });
    expect((await check(["--config", path, "--root", "/srv/here"])).request).toMatchObject({
      root: "/srv/here",
    });
    expect((await check([])).request).toMatchObject({ alone: false });
  });

  test("is not there: nothing else is asked instead", async () => {
    const path = join(dir.path, "missing.toml");
    const { errors, request } = await check(["--config", path]);
    expect(errors).toContain(path);
    expect(request).toBeNull();
  });

  test.each([["nonsense"], [`root = "\${NOPE}"\nregistry = "ghr://o/r"`]])(
    "does not say where the agent is: %j",
    async (text) => {
      const path = named(text);
      const { errors, request } = await check(["--config", path]);
      expect(errors).toContain(`Error: ${path}: `);
      expect(request).toBeNull();
    },
  );
});
