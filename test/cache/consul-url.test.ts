import { describe, expect, test } from "bun:test";
import { consulParams, readConsulUrl } from "../../src/cache/consul/url.ts";
import { readQuery } from "../../src/util/query.ts";

const read = (text: string, env: Record<string, string> = {}) => {
  const url = new URL(text);
  return readConsulUrl(url, readQuery(url, consulParams), env);
};

describe("a consul URL", () => {
  test("has defaults for all but the host", () => {
    expect(read("consul://127.0.0.1")).toEqual({
      origin: "http://127.0.0.1:8500",
      prefix: "dewy",
      token: null,
      datacenter: null,
      maxArtifactBytes: 16 * 2 ** 20,
    });
  });

  test("says everything", () => {
    const query = "token=s3cret&dc=eu-1&tls=true&max-artifact=32MiB";
    expect(read(`consul://c.example:8600/apps/shop/?${query}`, { CONSUL_HTTP_TOKEN: "other" })).toMatchObject(
      {
        origin: "https://c.example:8600",
        prefix: "apps/shop",
        token: "s3cret",
        datacenter: "eu-1",
        maxArtifactBytes: 32 * 2 ** 20,
      },
    );
  });

  test.each([
    ["consul://h?tls=true", "https://h:8501"],
    ["consul://h?tls=false", "http://h:8500"],
    ["consul://[::1]/x", "http://[::1]:8500"],
  ])("%s is at %s", (url, origin) => {
    expect(read(url).origin).toBe(origin);
  });

  test("has its token from CONSUL_HTTP_TOKEN where it has none itself", () => {
    expect(read("consul://h", { CONSUL_HTTP_TOKEN: "s3cret" }).token).toBe("s3cret");
    expect(read("consul://h", { CONSUL_HTTP_TOKEN: "" }).token).toBeNull();
  });

  test.each([
    ["consul:///prefix", "does not name a Consul agent"],
    ["consul://user@h/x", "does not name a Consul agent"],
    ["consul://h/x#y", "does not name a Consul agent"],
    ["consul://h/a//b", "is not a prefix"],
    ["consul://h/a%20b", "is not a prefix"],
    ["consul://h/a/.../b", "is not a prefix"],
    [`consul://h/${"p".repeat(201)}`, "is not a prefix"],
    ["consul://h/x?token=a%0Ab", "characters that no token has"],
    ["consul://h/x?max-artifact=large", '"max-artifact" is "large"; write 500MB'],
    ["consul://h/x?max-artifact=0", '"max-artifact" is "0"'],
    ["consul://h/x?tls=yes", '"tls" is "yes"'],
    ["consul://h/x?stale=1", 'unknown parameter "stale"'],
  ])("%s is refused", (url, message) => {
    const hint = expect.stringMatching(/./);
    expect(() => read(url)).toThrow(expect.objectContaining({ code: "config-invalid", hint }));
    expect(() => read(url)).toThrow(message);
  });

  test("is refused without its token", () => {
    for (const url of [
      "consul://h/a%20b?token=s3cret",
      "consul://h?token=s3cret%20",
      "consul://h?x&token=s3cret",
    ]) {
      expect(() => read(url)).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining("s3cret") }),
      );
    }
  });
});
