import { describe, expect, test } from "bun:test";
import { readlinkSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { assetsActivator } from "../../src/activate/assets.ts";
import { ReleaseDirectory } from "../../src/activate/release-dir.ts";
import { FakeClock } from "../support/clock.ts";
import { recordingLog } from "../support/recording.ts";
import { tempDir } from "../support/temp-dir.ts";

const c = { signal: new AbortController().signal };

function make() {
  const dir = tempDir();
  const releases = new ReleaseDirectory(dir.path, new FakeClock());
  const log = recordingLog();
  const stage = () => releases.stage(async () => undefined, c);
  const activator = assetsActivator(releases, log);
  return { root: dir.path, releases, log, stage, activator, [Symbol.dispose]: () => dir[Symbol.dispose]() };
}

describe("activating assets", () => {
  test("switches `current`, then lets the deploy commit", async () => {
    using place = make();
    const release = await place.stage();
    const seen: string[] = [];
    const steps = {
      switched: async () => void seen.push(`switched to ${place.releases.active()}`),
      commit: async () => void seen.push("committed"),
    };
    expect(await place.activator.activate({ tag: "v1", release }, steps, c)).toEqual({ how: "placed" });
    expect(seen).toEqual([`switched to ${release}`, "committed"]);
    expect(place.activator.status()).toEqual({ kind: "serving", release, pid: null });
    expect(place.log.at("info")).toEqual(["Create symlink"]);
  });

  test.each(["switched", "commit"] as const)("a failure in %s puts the old release back", async (where) => {
    using place = make();
    const [one, two] = [await place.stage(), await place.stage()];
    place.releases.switchTo(one);
    await expect(place.activator.activate({ tag: "v2", release: two }, failingIn(where), c)).rejects.toThrow(
      "on purpose",
    );
    expect(place.releases.active()).toBe(one);
  });

  test("a failure on a fresh host leaves no link", async () => {
    using place = make();
    const release = await place.stage();
    const failing = place.activator.activate({ tag: "v1", release }, failingIn("commit"), c);
    await expect(failing).rejects.toThrow();
    expect(place.releases.active()).toBeNull();
    expect(place.activator.status()).toEqual({ kind: "idle" });
  });

  test("a failure puts back a link that was none of ours", async () => {
    using place = make();
    symlinkSync("/opt/by-hand", join(place.root, "current"));
    const release = await place.stage();
    const failing = place.activator.activate({ tag: "v1", release }, failingIn("switched"), c);
    await expect(failing).rejects.toThrow();
    expect(readlinkSync(join(place.root, "current"))).toBe("/opt/by-hand");
  });
});

function failingIn(where: "switched" | "commit") {
  const fail = async () => {
    throw new Error("on purpose");
  };
  const pass = async () => undefined;
  return { switched: where === "switched" ? fail : pass, commit: where === "commit" ? fail : pass };
}
