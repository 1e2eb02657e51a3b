import { describe, expect, test } from "bun:test";
import { parseRepository, type Repository } from "../../src/oci/reference.ts";
import { failureOf } from "./fixture.ts";

function parse(text: string, insecure: boolean | null = null): Repository {
  return parseRepository(new URL(text), insecure);
}

describe("an image's URL", () => {
  test.each<[string, Partial<Repository>]>([
    [
      "img://docker.io/nginx",
      { host: "docker.io", name: "library/nginx", origin: "https://registry-1.docker.io", transport: "tls" },
    ],
    ["docker://index.docker.io/team/app", { host: "docker.io", name: "team/app" }],
    ["img://registry-1.docker.io/app", { host: "docker.io", name: "library/app" }],
    ["img://docker.io:443/app", { host: "docker.io", origin: "https://registry-1.docker.io" }],
    ["img://Docker.IO/nginx/", { host: "docker.io", name: "library/nginx" }],
    ["img://ghcr.io/a/b/c-d_e.f__g", { host: "ghcr.io", name: "a/b/c-d_e.f__g", origin: "https://ghcr.io" }],
    ["img://ghcr.io/one", { name: "one" }],
    ["img://registry:5000/app", { host: "registry:5000", origin: "https://registry:5000" }],
    ["img://[::1]:5000/app", { host: "[::1]:5000", origin: "http://[::1]:5000", transport: "loopback" }],
    ["img://[2001:db8::1]/app", { origin: "https://[2001:db8::1]", transport: "tls" }],
  ])("%s", (url, expected) => {
    expect(parse(url)).toMatchObject(expected);
  });

  test.each<[string, boolean | null, Repository["transport"], string]>([
    ["localhost", null, "loopback", "http://localhost"],
    ["localhost:5000", null, "loopback", "http://localhost:5000"],
    ["127.0.0.1", null, "loopback", "http://127.0.0.1"],
    ["127.9.9.9:5000", null, "loopback", "http://127.9.9.9:5000"],
    ["10.0.0.5:5000", null, "clear-implied", "http://10.0.0.5:5000"],
    ["[2001:db8::1]:5000", null, "clear-implied", "http://[2001:db8::1]:5000"],
    ["10.0.0.5", null, "tls", "https://10.0.0.5"],
    ["10.0.0.5:5000", false, "tls", "https://10.0.0.5:5000"],
    ["localhost:5000", false, "tls", "https://localhost:5000"],
    ["10.0.0.5:5000", true, "clear-asked", "http://10.0.0.5:5000"],
    ["reg.example", true, "clear-asked", "http://reg.example"],
    ["reg.example:5000", null, "tls", "https://reg.example:5000"],
    ["localhost.example:80", null, "tls", "https://localhost.example:80"],
    ["127.0.0.1.example", null, "tls", "https://127.0.0.1.example"],
  ])("%s with insecure %p: %s", (host, insecure, transport, origin) => {
    expect(parse(`img://${host}/app`, insecure)).toMatchObject({ transport, origin });
  });

  test.each<[string, RegExp]>([
    ["img://ghcr.io/app:v1.0.0", /constraint=.*tag=/],
    [`img://ghcr.io/app@sha256:${"0".repeat(64)}`, /constraint=.*tag=/],
    ["img://ghcr.io/Team/App", /lower case/],
    ["img://ghcr.io", /img:\/\/ghcr\.io\/name/],
    ["img://ghcr.io/", /img:\/\/ghcr\.io\/name/],
    ["img://ghcr.io/a//b", /lower-case letters/],
    ["img://ghcr.io/a_-b", /lower-case letters/],
    ["img://ghcr.io/-a", /lower-case letters/],
    ["img://ghcr.io/a%2fb", /lower-case letters/],
    ["img://ghcr.io/a#x", /#/],
    [`img://ghcr.io/${"a".repeat(248)}`, /255 characters/],
    ["img://nginx", /docker\.io\/nginx/],
    // The engine would look for it on Docker Hub.
    ["img://library/nginx", /docker\.io\/library/],
    ["img://-bad.example/app", /ghcr\.io/],
    ["img://user:s3cret@ghcr.io/app", /docker login/],
  ])("%s is refused, with a hint", async (url, hint) => {
    const error = await failureOf(() => parse(url));
    expect(error).toMatchObject({ code: "config-invalid", hint: expect.stringMatching(hint) });
    expect(`${error.message} ${error.hint}`).not.toMatch(/s3cret|user:/);
  });

  test("Docker Hub is never asked in the clear", async () => {
    expect((await failureOf(() => parse("img://docker.io/app", true))).code).toBe("config-invalid");
  });
});
