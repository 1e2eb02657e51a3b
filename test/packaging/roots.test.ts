import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tempDir } from "../support/temp-dir.ts";

/** Where apt has its packages from, as `apt-get indextargets` tells it. */
const ubuntu = "Ubuntu Ubuntu Packages http://archive.invalid/ubuntu/";
const security = "Debian Debian-Security Packages http://mirror.invalid/debian-security/";
const debian = "Debian Debian Packages http://mirror.invalid/debian/";

/** scripts/roots with a debootstrap that writes down what it is told, and fails. */
async function make(shell: string, targets: string) {
  using directory = tempDir();
  const bin = join(directory.path, "bin");
  mkdirSync(bin);
  const programs = {
    debootstrap: `DEF_MIRROR="http://default.invalid/debian"\necho "$*" >>"${directory.path}/told"; echo planted trouble; exit 3`,
    "apt-get": `printf '%s\\n' '${targets}'`,
  };
  for (const [name, line] of Object.entries(programs))
    writeFileSync(join(bin, name), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  const run = Bun.spawn([shell, "scripts/roots"], {
    env: { PATH: `${bin}:${process.env["PATH"]}`, DEWY_TEST_CACHE: directory.path },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const said = await new Response(run.stderr).text();
  const told = readFileSync(join(directory.path, "told"), "utf8").trimEnd().split("\n");
  return { code: await run.exited, said, told, made: existsSync(join(directory.path, "roots/debian")) };
}

describe("the file systems to test in", () => {
  test.each([["dash"], ["bash"]])("by %s: one that could not be made is none", async (shell) => {
    const { code, said, told, made } = await make(shell, debian);
    expect({ code, made, tries: told.length }).toEqual({ code: 1, made: false, tries: 3 });
    expect(said).toContain("roots: debian could not be made:\nplanted trouble\n");
  });

  test.each<[string, string, string]>([
    ["the host's mirror", `${ubuntu}\n${security}\n${debian}`, "http://mirror.invalid/debian/"],
    ["debootstrap's where the host's can't be told", "", "http://default.invalid/debian"],
    ["debootstrap's on another system", ubuntu, "http://default.invalid/debian"],
  ])("come from %s", async (_, targets, mirror) => {
    expect((await make("sh", targets)).told[0]).toEndWith(` ${mirror}`);
  });
});
