import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { fakeDewy, Installation, original } from "../support/installation.ts";

const bin = "/usr/local/bin";

/** A host with the original, or with what else is called so, at these places. */
async function openWith(...places: string[]): Promise<Installation> {
  const it = await Installation.open("debian");
  for (const place of places) writeFileSync(it.root.path(place), original, { mode: 0o755 });
  return it;
}

describe("of another's dewy the installer", () => {
  test("removes nothing", async () => {
    const units = "/usr/local/lib/systemd/system";
    await using it = await openWith(`${bin}/dewy`, `${bin}/dewy.previous`);
    const wants = "/etc/systemd/system/multi-user.target.wants";
    await it.root.sh(
      `mkdir -p ${units} ${wants} && echo '# by hand' >${units}/dewy.service && ln -s ${units}/dewy.service ${wants}`,
    );
    const { code, output } = await it.install(["--uninstall"]);
    expect(code).toBe(0);
    for (const place of [`${bin}/dewy`, `${bin}/dewy.previous`, `${units}/dewy.service`])
      expect(output).toContain(`left where it is, as this script did not install it: ${place}\n`);
    expect(output).toContain(`there is no dewy in ${bin} that this script installed\n`);
    expect(it.root.names(bin)).toEqual(["dewy", "dewy.previous"]);
    expect(it.root.names(units)).toEqual(["dewy.service"]);
    expect(it.root.names(wants)).toContain("dewy.service");
  });

  test("moves nothing where it never installed anything", async () => {
    await using it = await openWith(`${bin}/dewy.previous`);
    expect(await it.install(["--uninstall"])).toMatchObject({ code: 0 });
    expect(it.root.names(bin)).toEqual(["dewy.previous"]);
  });

  test("keeps the first one over upgrades, and puts it back at its own end", async () => {
    await using it = await openWith(`${bin}/dewy`);
    const first = await it.install();
    expect(first).toMatchObject({ code: 0 });
    expect(first.output).toContain(`the one before is ${bin}/dewy.previous\n`);
    expect(first.output).toContain("agents that run go on with the one before until they are restarted\n");
    it.publish("v1.3.0");
    const second = await it.install();
    expect(second).toMatchObject({ code: 0 });
    expect(second.output).toContain(`${bin}/dewy.previous stays, as this script did not install it\n`);
    expect([await it.version(), await it.version(`${bin}/dewy.previous`)]).toEqual(["v1.3.0", "v9.8.1"]);
    const removal = await it.install(["--uninstall"]);
    expect(removal.output).toContain(`put ${bin}/dewy.previous back as ${bin}/dewy\n`);
    expect(it.root.names(bin)).toEqual(["dewy"]);
    expect(readFileSync(it.root.path(`${bin}/dewy`), "utf8")).toBe(original);
  });

  test("does not overwrite the second where both places are taken", async () => {
    await using it = await openWith(`${bin}/dewy`);
    writeFileSync(it.root.path(`${bin}/dewy.previous`), "the only copy of something else");
    const { code, output } = await it.install();
    expect(code).toBe(1);
    expect(output).toContain(`installed neither ${bin}/dewy nor ${bin}/dewy.previous`);
    expect(output).toEndWith("install: nothing was changed\n");
    expect(it.root.names(bin)).toEqual(["dewy", "dewy.previous"]);
    expect(await it.version()).toBe("v9.8.1");
  });

  test("goes on where a run was killed between its last two steps", async () => {
    await using it = await openWith(`${bin}/dewy`, `${bin}/dewy.previous`);
    expect(await it.install()).toMatchObject({ code: 0 });
    expect([await it.version(), await it.version(`${bin}/dewy.previous`)]).toEqual(["v1.2.3", "v9.8.1"]);
  });

  test("tells its own by what it installed, also when that was moved back by hand", async () => {
    await using it = await openWith();
    await it.install();
    it.publish("v1.3.0");
    await it.install();
    await it.root.sh(`cd ${bin} && mv dewy.previous dewy`);
    const removal = await it.install(["--uninstall"]);
    expect(removal.output).toContain(`removed ${bin}/dewy\n`);
    expect(it.root.names(bin)).toEqual([]);
  });

  test("takes over the very release that it would install", async () => {
    await using it = await openWith();
    writeFileSync(it.root.path(`${bin}/dewy`), fakeDewy("v1.2.3"), { mode: 0o755 });
    expect((await it.install()).output).toContain(`it is in ${bin}/dewy already\n`);
    expect(await it.install(["--uninstall"])).toMatchObject({ code: 0 });
    expect(it.root.names(bin)).toEqual([]);
  });

  test("refuses a directory in the place of the one before", async () => {
    await using it = await openWith();
    await it.install();
    await it.root.sh(`mkdir ${bin}/dewy.previous`);
    it.publish("v1.3.0");
    const { code, output } = await it.install();
    expect(code).toBe(1);
    expect(output).toContain(`${bin}/dewy.previous is a directory; move it away`);
    expect(await it.version()).toBe("v1.2.3");
    expect(it.root.names(`${bin}/dewy.previous`)).toEqual([]);
  });
});
