import { expect, test } from "bun:test";
import { type Challenge, parseChallenge } from "../../src/oci/challenge.ts";

const bearer = { scheme: "bearer", realm: "https://auth.example/token", service: "reg", scopes: [] } as const;

test.each<[string, Challenge | null]>([
  ['Bearer realm="https://auth.example/token",service="reg"', bearer],
  ['bearer REALM="https://auth.example/token" , Service="reg"', bearer],
  [
    'Bearer realm="https://auth.example/token",service="reg",scope="repository:a/b:pull,push"',
    { ...bearer, scopes: ["repository:a/b:pull,push"] },
  ],
  [
    'Bearer realm="https://auth.example/token",service="reg",scope="repository:a:pull repository:b:pull,delete"',
    { ...bearer, scopes: ["repository:a:pull", "repository:b:pull,delete"] },
  ],
  [
    'Bearer realm="https://auth.example/token",scope="repository:a:pull",error="invalid_token"',
    { ...bearer, service: null, scopes: ["repository:a:pull"] },
  ],
  ["Bearer realm=https://x/t,service=reg", { ...bearer, realm: "https://x/t" }],
  ['Bearer realm="a \\"quoted\\", b",service=s', { ...bearer, realm: 'a "quoted", b', service: "s" }],
  ['Basic realm="reg, Bearer"', { scheme: "basic" }],
  ["Basic", { scheme: "basic" }],
  ['Basic realm="reg", Bearer realm="https://auth.example/token",service="reg"', bearer],
  ['Bearer realm="https://auth.example/token",service="reg", Basic realm="reg"', bearer],
  ["Negotiate abc==, Basic realm=x", { scheme: "basic" }],
  ["Negotiate", null],
  ['Bearer service="reg"', null],
  ["", null],
  ['Bearer realm="never closed', null],
])("%s", (header, expected) => {
  expect(parseChallenge(header)).toEqual(expected);
});

test("a missing header is no challenge, and a hostile one takes no time", () => {
  expect(parseChallenge(null)).toBeNull();
  const started = performance.now();
  parseChallenge(`Bearer realm="${"\\".repeat(1_000_000)}`);
  parseChallenge("a ".repeat(1_000_000));
  // Not in proportion to the square of its length, that is.
  expect(performance.now() - started).toBeLessThan(20_000);
});
