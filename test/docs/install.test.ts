import { expect, test } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { installScripts } from "../support/docs-install.ts";
import { codeSpans, readPage } from "../support/docs-pages.ts";
import { Installation } from "../support/installation.ts";

/** Blocks that are marked `<!-- test: install -->`, against a local release server. */
const mark = "install";
const home = "/home/someone";
const users = [
  ["root", { env: { HOME: "/root" } }],
  ["a user", { user: 1234, env: { HOME: home } }],
] as const;

test.each(users)(
  `the getting started page's ${mark} blocks work for %s, and leave nothing`,
  async (_, as) => {
    await using it = await host();
    const [install, uninstall, ...more] = installScripts("docs/getting-started.md", it.server.url);
    expect(more).toEqual([]);
    const installed = await it.root.sh(`set -eu\n${install}`, as);
    expect(installed.output).toEndWith("\ndewy version: v1.2.3 [abcdef0, 2026-01-01T00:00:00Z]\n");
    expect(installed.code).toBe(0);
    expect(await it.root.sh(`set -eu\n${uninstall}`, as)).toMatchObject({ code: 0 });
    expect([...it.root.names("/usr/local/bin"), ...it.root.names(`${home}/.local/bin`)]).toEqual([]);
  },
  60_000,
);

test(`the README's ${mark} lines put dewy where they say`, async () => {
  await using it = await host();
  const scripts = installScripts("README.md", it.server.url);
  expect(await it.root.sh(`set -eu\n${scripts.join("\n")}`, { env: { HOME: home } })).toMatchObject({
    code: 0,
  });
  expect(await it.version()).toBe("v1.2.3");
  expect(await it.version(`${home}/.local/bin/dewy`)).toBe("v1.2.3");
}, 60_000);

test("the security page has the installer's words about signatures", () => {
  const installer = readFileSync("scripts/install.sh", "utf8");
  const spans = codeSpans(readPage("docs/security.md").prose).filter((span) => span.startsWith("signature:"));
  expect(spans.filter((span) => !installer.includes(span.replace(/ …$/, "")))).toEqual([]);
  expect(spans.length).toBe(2);
});

async function host(): Promise<Installation> {
  const installation = await Installation.open("debian");
  mkdirSync(installation.root.path(home), { recursive: true });
  await installation.root.sh(`chown 1234:1234 ${home}`);
  return installation;
}
