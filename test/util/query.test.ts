import { describe, expect, test } from "bun:test";
import { duration, flag, readQuery, text } from "../../src/util/query.ts";

const spec = { "pre-release": flag, artifact: text, ttl: duration };
const read = (query: string) => readQuery(new URL(`ghr://Owner/repo${query}`), spec);

describe("readQuery", () => {
  test("absent parameters are null", () => {
    expect(read("")).toEqual({ "pre-release": null, artifact: null, ttl: null });
  });

  test("values are parsed", () => {
    expect(read("?pre-release=true&artifact=app%20x.zip&ttl=5m")).toEqual({
      "pre-release": true,
      artifact: "app x.zip",
      ttl: 300_000,
    });
    expect(read("?pre-release=0")).toMatchObject({ "pre-release": false });
  });

  test.each([
    ["?prerelease=true", 'unknown parameter "prerelease"'],
    ["?toString=x", 'unknown parameter "toString"'],
    ["?__proto__=x", 'unknown parameter "__proto__"'],
    ["?artifact=a&artifact=b", '"artifact" is given more than once'],
    ["?artifact=", '"artifact" is empty'],
    ["?pre-release=yes", '"pre-release" is "yes"; write true or false'],
    ["?ttl=soon", '"ttl" is "soon"; write 10, 10s, 5m or 1h30m'],
  ])("%s is refused", (query, message) => {
    expect(() => read(query)).toThrow(message);
  });

  test("everything wrong is told at once, with what is known", () => {
    expect(() => read("?x=1&y=2&ttl=z")).toThrow(/"x".*"y".*"ttl"/);
    expect(() => read("?x=1")).toThrow(
      expect.objectContaining({
        code: "config-invalid",
        hint: "known parameters: pre-release, artifact, ttl",
      }),
    );
  });

  test("what may be a piece of a secret is not shown, and how to write it is said", () => {
    const attempt = (query: string) => () => readQuery(new URL(`redis://h?${query}`), { password: text });
    for (const query of ["password=a&s3cret", "password=a&s3cret=b", "s3cret"]) {
      expect(attempt(query)).toThrow(
        expect.objectContaining({
          message: expect.not.stringContaining("s3cret"),
          hint: "write & in a value as %26; known parameters: password",
        }),
      );
    }
  });

  test("a user and a password in the URL stay out of the message", () => {
    const attempt = () => readQuery(new URL("smtp://me:s3cret@mail.example/a?x=1"), {});
    expect(attempt).toThrow('smtp://mail.example/a: unknown parameter "x"');
  });
});
