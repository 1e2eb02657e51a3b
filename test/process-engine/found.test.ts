import { expect, test } from "bun:test";
import { findProcesses } from "../../src/process-engine/found.ts";
import { replicaVariable } from "../../src/process-engine/listening.ts";
import { commandName, processUser } from "../../src/util/procfs.ts";
import { tempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";

const nobody = { uid: 65_534, gid: 65_534, groups: [65_534], name: "nobody", home: "/" };

test("what bears an app's marks is a copy of it only where the app's user, or the agent's own, runs it", async () => {
  using dir = tempDir();
  const root = dir.path;
  const marks = { PATH: process.env["PATH"], DEWY_ROOT: root, [replicaVariable]: "made-up" };
  const as = ["setpriv", `--reuid=${nobody.uid}`, `--regid=${nobody.gid}`, "--clear-groups"];
  const stranger = Bun.spawn([...as, "sleep", "1000"], { env: marks, detached: true });
  const { pid } = stranger;
  await until(
    "it is the other user's",
    () => commandName(pid) === "sleep" && processUser(pid) === nobody.uid,
  );
  const found = (user: typeof nobody | null) =>
    findProcesses({ app: "app", root, user }, []).map((each) => each.pid);
  expect(found(null)).toEqual([]);
  expect(found({ ...nobody, uid: 54_321 })).toEqual([]);
  expect(found(nobody)).toEqual([pid]);
  stranger.kill();
  await stranger.exited;
});
