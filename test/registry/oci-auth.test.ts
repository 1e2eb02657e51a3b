import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { c, failureOf, openOn } from "../oci/fixture.ts";
import { pushImage } from "../support/oci-image.ts";
import { type OciRegistry, type OciRegistryOptions, startOciRegistry } from "../support/oci-registry.ts";
import { tempDir } from "../support/temp-dir.ts";

const name = "team/app";
const right = { DOCKER_USERNAME: "user", DOCKER_PASSWORD: "s3cret" };
const wrong = { ...right, DOCKER_PASSWORD: "wr0ng" };

async function withImage(options: OciRegistryOptions): Promise<OciRegistry> {
  const registry = await startOciRegistry(options);
  await pushImage(registry, name, "v1.0.0", { files: [{ path: "a", content: "x" }] });
  return registry;
}

const kinds: [string, OciRegistryOptions][] = [
  ["htpasswd", { htpasswd: { username: "user", password: "s3cret" } }],
  ["tokens", { token: { users: { user: "s3cret" } } }],
];

describe.each(kinds)("a real registry with %s", (_, options) => {
  test("answers who has a login, tags, digest, manifest and configuration", async () => {
    await using registry = await withImage(options);
    const { registry: opened, images } = openOn(registry.host, { name, env: right });
    for (let poll = 0; poll < 3; poll++) expect((await opened.latest(c)).release?.tag).toBe("v1.0.0");
    expect((await images.resolve("v1.0.0", null, c)).sizeBytes).toBeGreaterThan(0);
    expect(await images.credentials(c)).toEqual({ kind: "password", username: "user", password: "s3cret" });
  });

  test.each<[string, Readonly<Record<string, string>>]>([
    ["nobody", {}],
    ["a wrong password", wrong],
  ])("refuses %s with a hint and without the password", async (_, env) => {
    await using registry = await withImage(options);
    const error = await failureOf(openOn(registry.host, { name, env }).registry.latest(c));
    expect(error).toMatchObject({ code: "unauthorized", blame: "environment", hint: expect.any(String) });
    expect(`${error.message} ${error.hint}`).not.toContain("wr0ng");
  });
});

describe("a real registry with tokens", () => {
  test("gives one for all of a poll, and lets nobody pull what is public", async () => {
    await using registry = await withImage({ token: { users: {}, anonymousPull: true } });
    const { registry: opened, images } = openOn(registry.host, { name });
    for (let poll = 0; poll < 3; poll++) expect((await opened.latest(c)).release?.tag).toBe("v1.0.0");
    expect(registry.tokens?.host.requests).toHaveLength(1);
    expect(await images.credentials(c)).toBeNull();
  });

  test("takes an identity token", async () => {
    using home = tempDir();
    await using registry = await withImage({ token: { users: {}, identityTokens: { "id-1": "user" } } });
    const auths = { [registry.host]: { identitytoken: "id-1" } };
    writeFileSync(join(home.path, "config.json"), JSON.stringify({ auths }));
    const { registry: opened, images } = openOn(registry.host, { name, env: { DOCKER_CONFIG: home.path } });
    expect((await opened.latest(c)).release?.tag).toBe("v1.0.0");
    expect(registry.tokens?.host.requests.map(({ method }) => method)).toEqual(["POST"]);
    expect(await images.credentials(c)).toEqual({ kind: "identity-token", token: "id-1" });
  });
});
