/**
 * Runs as pid 1 of a pid namespace: has an orphan and a child of its own that have both ended, neither of which anybody
 * could take note of yet, lets the reaper look, and prints what came of them.
 */
import { reapOrphans } from "../../src/process/reaper.ts";
import { processStat } from "../../src/util/procfs.ts";
import { type Clock, systemClock } from "../../src/util/time.ts";

const rounds = 3;
let round = 0;
/** Its rounds follow each other without a moment in between in which Bun could look after its own children. */
const clock: Clock = {
  ...systemClock,
  sleep: (ms, signal) => (++round < rounds ? Promise.resolve() : systemClock.sleep(ms, signal)),
};

const orphan = Number(Bun.spawnSync(["/bin/sh", "-c", "sleep 0.1 >/dev/null & echo $!"]).stdout.toString());
const child = Bun.spawn(["/bin/sh", "-c", "exit 5"]);
for (const pid of [orphan, child.pid]) waitUntilEnded(pid);
{
  using _ = reapOrphans(clock);
  while (round < rounds) await Promise.resolve();
  const orphanNow = processStat(orphan) === null ? "gone" : "a zombie";
  await child.exited;
  process.stdout.write(JSON.stringify({ orphan: orphanNow, exitCode: child.exitCode }));
}

/** Without giving Bun a moment. */
function waitUntilEnded(pid: number): void {
  while (processStat(pid)?.state !== "Z") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
}
