import { expect, test } from "bun:test";
import { environment } from "../../src/cli/arguments/variables.ts";
import { secretsOf, secretVariables } from "../../src/cli/run/secrets.ts";
import { maskOf } from "../../src/util/mask.ts";

const bare = { registry: "ghr://o/r", cache: "file://", notifiers: [] };

test.each([...secretVariables])("%s is a secret", (name) => {
  expect(secretsOf(bare, { [name]: "value-of-it" })).toContain("value-of-it");
});

test("every variable of the help that is named as one is a secret", () => {
  const named = environment.flatMap(({ name, help }) => `${name} ${help}`.match(/[A-Z_]+/g) ?? []);
  const telling = named.filter((name) => /_(TOKEN|PASSWORD|SECRET|KEY)$/.test(name) && !name.startsWith("_"));
  expect(telling.length).toBeGreaterThan(5);
  expect(telling.filter((name) => !secretVariables.some((known) => known === name))).toEqual([]);
});

test.each([
  ["smtp://h/a@b.c?username=u&password=p%26w-long", "password=p%26w-long or p&w-long"],
  ["webhook+https://hooks.example/T0/B0?k=v", "posts to https://hooks.example/T0/B0?k=v"],
])("what is secret in %s is masked", (url, text) => {
  const shown = maskOf(secretsOf({ ...bare, notifiers: [url] }, {}))(text);
  expect(shown).toContain("…");
  expect(shown).not.toMatch(/w-long|B0/);
});

test("so are the cache's password, a proxy's, and the collector's headers, with and without their word before", () => {
  const env = {
    HTTPS_PROXY: "http://me:proxy-word@proxy:3128",
    OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20header-word,x-key=other-word",
  };
  const mask = maskOf(secretsOf({ ...bare, cache: "redis://:cache-word@h:6379" }, env));
  expect(mask("cache-word proxy-word header-word other-word")).toBe("… … … …");
});
