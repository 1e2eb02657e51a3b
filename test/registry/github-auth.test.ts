import { describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { readGithubEnvironment } from "../../src/registry/github/environment.ts";
import { FakeClock } from "../support/clock.ts";
import { c, files, openOn, start } from "./github-fixture.ts";

describe("credentials", () => {
  const app = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });

  test("the asset host sees neither the token nor any other header of ours", async () => {
    await using gh = await start({ private: true });
    gh.publish({ tag: "v1.0.0", files });
    const { registry, source } = openOn(gh);
    const artifact = (await registry.latest(c)).release?.artifact;
    if (!artifact) throw new Error("no artifact");
    await Array.fromAsync((await source.open(artifact, null, c)).chunks);
    const seen = gh.assets.requests.at(-1);
    expect(seen?.status).toBe(200);
    expect(seen?.headers.get("authorization")).toBeNull();
    expect(seen?.headers.get("x-github-api-version")).toBeNull();
    expect(gh.requests.at(-1)?.headers.get("authorization")).toBe("Bearer t");
  });

  test("a GitHub App's token is made once an hour, by the app's key", async () => {
    const clock = new FakeClock();
    const id = { id: "42", installationId: "7" };
    await using gh = await start({
      private: true,
      app: { ...id, publicKey: app.publicKey },
      now: () => clock.now(),
    });
    gh.publish({ tag: "v1.0.0", files });
    const env = {
      GITHUB_APP_ID: "42",
      GITHUB_APP_INSTALLATION_ID: "7",
      GITHUB_APP_PRIVATE_KEY: app.privateKey.replaceAll("\n", "\\n"),
    };
    const { registry } = openOn(gh, env, { clock });
    const minted = () => gh.requests.filter((seen) => seen.path.endsWith("/access_tokens")).length;
    await registry.latest(c);
    await clock.advance(50 * 60_000);
    expect((await registry.latest(c)).release?.tag).toBe("v1.0.0");
    expect(minted()).toBe(1);
    await clock.advance(6 * 60_000);
    await registry.latest(c);
    expect(minted()).toBe(2);
    expect(registry.minIntervalMs()).toBe(0);
  });

  test("a key that is none: config-invalid, without the key", async () => {
    await using gh = await start();
    const env = { GITHUB_APP_ID: "42", GITHUB_APP_INSTALLATION_ID: "7", GITHUB_APP_PRIVATE_KEY: "s3cret" };
    const error = await openOn(gh, env)
      .registry.latest(c)
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "config-invalid" });
    expect(String(error)).not.toContain("s3cret");
  });

  test("a bad token is unauthorized, and not sent again at once", async () => {
    await using gh = await start();
    const { registry } = openOn(gh, { GH_TOKEN: "wrong" });
    await expect(registry.latest(c)).rejects.toMatchObject({
      code: "unauthorized",
      message: expect.stringContaining("Bad credentials"),
    });
    await expect(registry.latest(c)).rejects.toMatchObject({ code: "rate-limited" });
    expect(gh.requests.length).toBe(1);
  });

  const environments: [string, Record<string, string>, unknown][] = [
    ["GH_TOKEN before GITHUB_TOKEN", { GH_TOKEN: "a", GITHUB_TOKEN: "b" }, { credentials: { token: "a" } }],
    ["GITHUB_TOKEN", { GH_TOKEN: "", GITHUB_TOKEN: "b" }, { credentials: { token: "b" } }],
    ["nothing", {}, { credentials: { kind: "none" }, apiUrl: "https://api.github.com", artifact: null }],
    [
      "GITHUB_ENDPOINT",
      { GITHUB_ENDPOINT: "https://ghe.example/api/v3/" },
      { apiUrl: "https://ghe.example/api/v3" },
    ],
    [
      "GITHUB_API_URL before GITHUB_ENDPOINT",
      { GITHUB_API_URL: "https://a.example", GITHUB_ENDPOINT: "https://b.example" },
      { apiUrl: "https://a.example" },
    ],
    [
      "an App before a token",
      {
        GH_TOKEN: "t",
        GITHUB_APP_ID: "1",
        GITHUB_APP_INSTALLATION_ID: "2",
        GITHUB_APP_PRIVATE_KEY_PATH: "/k.pem",
      },
      { credentials: { kind: "app", privateKey: { path: "/k.pem" } } },
    ],
  ];
  test.each(environments)("the environment: %s", (_, env, expected) => {
    expect(readGithubEnvironment(env)).toMatchObject(Object(expected));
  });

  const unusable: [string, Record<string, string>, RegExp][] = [
    ["half an App", { GITHUB_APP_ID: "1", GITHUB_APP_PRIVATE_KEY: "k" }, /INSTALLATION_ID/],
    ["an address that is none", { GITHUB_API_URL: "ghe.example" }, /https:/],
    ["github.com itself", { GITHUB_API_URL: "https://github.com" }, /api\.github\.com/],
    ["a token over plain http", { GITHUB_API_URL: "http://ghe.example/api/v3", GH_TOKEN: "t" }, /https:/],
  ];
  test.each(unusable)("the environment is refused: %s", (_, env, hint) => {
    expect(() => readGithubEnvironment(env)).toThrow(
      expect.objectContaining({ code: "config-invalid", hint: expect.stringMatching(hint) }),
    );
  });
});
