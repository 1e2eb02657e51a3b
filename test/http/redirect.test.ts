import { expect, test } from "bun:test";
import { nextHop } from "../../src/http/redirect.ts";

const hop = {
  url: new URL("https://api.example/x"),
  method: "GET",
  headers: new Headers({ Authorization: "Bearer s3cret" }),
  body: undefined,
};

test("from https to http is refused, even on the same host", () => {
  expect(() => nextHop(hop, 302, "http://api.example/y", "ask")).toThrow("redirects from https to http");
});

test.each([
  ["https://api.example:8443/y", null],
  ["https://other.example/y", null],
  ["https://api.example.evil.example/y", null],
  ["https://api.example/y", "Bearer s3cret"],
  ["//api.example/y", "Bearer s3cret"],
])("%s gets %p", (location, authorization) => {
  expect(nextHop(hop, 302, location, "ask").headers.get("authorization")).toBe(authorization);
});

test.each(["file:///etc/passwd", "data:text/plain,x", "ftp://other.example/y", "https://", ""])(
  "a redirect to %p is refused",
  (location) => {
    const path = location === "" ? null : location;
    expect(() => nextHop(hop, 302, path, "ask")).toThrow(/redirects to (a|nowhere)/);
  },
);
