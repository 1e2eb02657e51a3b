import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { glibcName, Installation } from "../support/installation.ts";
import { endless } from "../support/release-server.ts";
import { until } from "../support/until.ts";

const bin = "/usr/local/bin";

/** An installer in the middle of its download; ends by kill -9. */
async function start(it: Installation, args: readonly string[] = []): Promise<Bun.Subprocess> {
  it.server.says(glibcName, endless);
  writeFileSync(it.root.path("/tmp/install.sh"), readFileSync("scripts/install.sh"));
  const command = it.root.command(["sh", "/tmp/install.sh", "--base-url", it.server.url, ...args]);
  const run = Bun.spawn(command, { stdio: ["ignore", "ignore", "ignore"] });
  await until("the download", () => it.server.asked.includes(glibcName));
  return run;
}

function stages(it: Installation): string[] {
  return it.root.names(bin).filter((name) => name.startsWith(".dewy-install."));
}

describe("what an installer that was killed left", () => {
  test.each([
    ["the next one", [] as const, [".dewy-installed", "dewy"]],
    ["an uninstallation", ["--uninstall"] as const, []],
  ])("is removed by %s", async (_, args, names) => {
    await using it = await Installation.open("debian");
    const run = await start(it);
    expect(stages(it)).toHaveLength(1);
    run.kill("SIGKILL");
    await run.exited;
    it.server.says(glibcName, null);
    expect(await it.install(args)).toMatchObject({ code: 0 });
    expect(it.root.names(bin)).toEqual(names);
  });

  test("is not what another one, or another user's, works with", async () => {
    await using it = await Installation.open("debian");
    const run = await start(it);
    const working = stages(it);
    await it.root.sh(`mkdir -p /opt/all/bin/.dewy-install.1.mine && chown -R 1234:1234 /opt/all`);
    it.server.says(glibcName, null);
    expect(await it.install()).toMatchObject({ code: 0 });
    expect(stages(it)).toEqual(working);
    expect(await it.install(["--prefix /opt/all"], { user: 1234 })).toMatchObject({ code: 0 });
    expect(it.root.names("/opt/all/bin")).toContain(".dewy-install.1.mine");
    run.kill("SIGKILL");
    await run.exited;
  });

  test("goes after a day though another process has its number by now", async () => {
    await using it = await Installation.open("debian");
    await it.root.sh(`mkdir ${bin}/.dewy-install.1.old && touch -d '2 days ago' ${bin}/.dewy-install.1.old`);
    expect(await it.install()).toMatchObject({ code: 0 });
    expect(stages(it)).toEqual([]);
  });

  test("and can't be removed is named where there is no room", async () => {
    await using it = await Installation.open("debian");
    const left = "/opt/full/bin/.dewy-install.999999999.left";
    mkdirSync(it.root.path("/opt/full"));
    await it.root.mount("/opt/full", "size=48k");
    await it.root.sh(`mkdir -p ${left}/deep && touch ${left}/deep/file && chmod 777 /opt/full/bin`);
    const { code, output } = await it.install(["--prefix /opt/full"], { user: 1234 });
    expect(code).toBe(1);
    expect(output).toContain(`there is no room for `);
    expect(output).toContain(`a killed run left ${left}\n`);
    expect(existsSync(it.root.path(left))).toBe(true);
  });
});
