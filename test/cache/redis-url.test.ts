import { describe, expect, test } from "bun:test";
import { hostOf, readRedisUrl, redisParams } from "../../src/cache/redis/url.ts";
import { readQuery } from "../../src/util/query.ts";

const read = (text: string, env: Record<string, string> = {}) => {
  const url = new URL(text);
  return readRedisUrl(url, readQuery(url, redisParams), env);
};

describe("a redis URL", () => {
  test("has defaults for all but the host", () => {
    expect(read("redis://cache.example")).toEqual({
      tls: false,
      hostname: "cache.example",
      port: 6379,
      username: null,
      password: null,
      database: 0,
      prefix: "dewy",
      ttlMs: null,
    });
  });

  test("says everything", () => {
    expect(read("rediss://me:p%40ss%2F%3A%C3%B6@10.0.0.1:6380/15?prefix=apps/shop&ttl=720h")).toEqual({
      tls: true,
      hostname: "10.0.0.1",
      port: 6380,
      username: "me",
      password: "p@ss/:ö",
      database: 15,
      prefix: "apps/shop",
      ttlMs: 720 * 3_600_000,
    });
  });

  test.each([
    ["redis://:own@h", { REDIS_PASSWORD: "other" }, { username: null, password: "own" }],
    ["redis://h", { REDIS_PASSWORD: "s3cret" }, { username: null, password: "s3cret" }],
    ["redis://me@h", { REDIS_PASSWORD: "s3cret" }, { username: "me", password: "s3cret" }],
    ["redis://h", { REDIS_PASSWORD: "" }, { username: null, password: null }],
  ])("%s with %o: its password", (url, env, expected) => {
    expect(read(url, env)).toMatchObject(expected);
  });

  test.each([
    ["redis://[::1]:6380/", "[::1]:6380", "::1"],
    ["redis://h/", "h:6379", "h"],
  ])("%s is at %s", (url, host, hostname) => {
    const options = read(url);
    expect(options.hostname).toBe(hostname);
    expect(hostOf(options)).toBe(host);
  });

  test.each([
    ["redis:///0", "names no Redis server"],
    ["redis://h#x", "names no Redis server"],
    ["redis://me@h", "a user without a password"],
    ["redis://:%zz@h", "not percent-encoded"],
    ["redis://h/name", "is not a number"],
    ["redis://h/-1", "is not a number"],
    ["redis://h/1/2", "is not a number"],
    ["redis://h/123456", "is not a number"],
    ["redis://h?prefix=a*", "prefix= is not a prefix"],
    ["redis://h?prefix=a%20b", "prefix= is not a prefix"],
    [`redis://h?prefix=${"p".repeat(201)}`, "prefix= is not a prefix"],
    ["redis://h?prefix=", '"prefix" is empty'],
    ["redis://h?ttl=59s", "less than a minute"],
    ["redis://h?ttl=0", "less than a minute"],
    ["redis://h?ttl=soon", '"ttl" is "soon"'],
    ["redis://h?db=1", 'unknown parameter "db"'],
  ])("%s is refused", (url, message) => {
    const hint = expect.stringMatching(/./);
    expect(() => read(url)).toThrow(expect.objectContaining({ code: "config-invalid", hint }));
    expect(() => read(url)).toThrow(message);
  });

  test.each(["redis://me:s3cret@h/x", "redis://:s3cret%zz@h", "redis://:s3cret@h?nothing=1"])(
    "%s is refused without its password",
    (url) => {
      expect(() => read(url)).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining("s3cret") }),
      );
    },
  );
});
