import { describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { dewyBinary } from "../support/dewy.ts";
import { tempDir } from "../support/temp-dir.ts";
import { dropIns, units } from "../support/unit-text.ts";

const directory = "packaging/systemd";

/** Of `systemd-analyze security`, from 0 to 10; a unit without any of the options that it looks for has more than 9. */
const mostExposure = 3;

function analyze(...args: string[]): { code: number; output: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["systemd-analyze", ...args]);
  return { code: exitCode, output: `${stdout}${stderr}` };
}

describe.each(units)("%s", (unit) => {
  const changes = [...dropIns(unit)];

  test.each([["as it is", ""], ...changes])("is right in systemd's eyes: %s", (_, change) => {
    using dir = tempDir();
    const path = join(dir.path, unit);
    // The binary may not be installed here.
    const here = (text: string) => text.replaceAll("/usr/local/bin/dewy", dewyBinary);
    writeFileSync(path, here(readFileSync(join(directory, unit), "utf8")));
    mkdirSync(`${path}.d`);
    writeFileSync(join(`${path}.d`, "override.conf"), here(change));
    const { code, output } = analyze("verify", "--man=no", path.replace("@.", "@shop."));
    const complaints = output.split("\n").filter((line) => line.includes(dir.path) || line.includes("@shop"));
    expect(complaints).toEqual([]);
    expect(code).toBe(0);
  });

  test("names changes for what it does not do as it is", () => {
    expect(changes.map(([about]) => about.split(" ").slice(0, 6).join(" "))).toEqual([
      "For `dewy assets`:",
      "For `dewy container` on Docker (that",
      "For `dewy container` on root's Podman,",
      "For an app that runs as",
      "For an app in another directory,",
      "For a unix socket elsewhere than",
    ]);
  });

  test(`has an exposure of ${mostExposure} at most`, () => {
    using dir = tempDir();
    const path = join(dir.path, unit.replace("@.", "@shop."));
    copyFileSync(join(directory, unit), path);
    const { code, output } = analyze(
      "security",
      "--offline=yes",
      `--threshold=${mostExposure * 10}`,
      "--no-pager",
      path,
    );
    expect(output).toContain("Overall exposure level");
    expect(code).toBe(0);
  });

  test("starts what the installer puts there", () => {
    const text = readFileSync(join(directory, unit), "utf8");
    const programs = [...text.matchAll(/^Exec\w+=(\S+)/gm)].map((match) => match[1]);
    expect(programs).toEqual(["/usr/local/bin/dewy", "/usr/local/bin/dewy"]);
  });
});

test("the user that they name is made by the file beside them", () => {
  using dir = tempDir();
  mkdirSync(join(dir.path, "etc"));
  const file = resolve(directory, "dewy.sysusers.conf");
  const { exitCode, stderr } = Bun.spawnSync(["systemd-sysusers", `--root=${dir.path}`, file]);
  expect({ exitCode, said: `${stderr}` }).toMatchObject({ exitCode: 0 });
  const users = readFileSync(join(dir.path, "etc/passwd"), "utf8");
  expect(users).toMatch(/^dewy:x:\d+:\d+:Dewy deploy agent:\/var\/lib\/dewy:\/usr\/sbin\/nologin$/m);
});

test("the units differ in their names alone", () => {
  const [one = "", several = ""] = units.map((unit) => readFileSync(join(directory, unit), "utf8"));
  const section = (text: string) => text.slice(text.indexOf("\n[Service]\n", text.indexOf("\n[Unit]\n")));
  const asOne = section(several).replaceAll("/etc/dewy/%i.", "/etc/dewy/dewy.").replaceAll("dewy-%i", "dewy");
  expect(asOne).toBe(section(one));
  const [ofOne = new Map(), ofSeveral = new Map()] = units.map(dropIns);
  const contents = [...ofSeveral.values()].map((text) => text.replaceAll("%i.", "dewy."));
  expect(contents).toEqual([...ofOne.values()]);
});
