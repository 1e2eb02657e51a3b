/**
 * Runs as pid 1 of a pid namespace: has an orphan and a child of its own that have both ended, neither of which anybody
 * could take note of yet, lets the reaper look, and prints what came of them. With the argument `no-pidfds` it is where
 * Bun has no pidfd of its children: it prints how long the reaper's rounds would have been, too.
 */
import { reapOrphans } from "../../src/process/reaper.ts";
import { processStat } from "../../src/util/procfs.ts";
import { type Clock, systemClock } from "../../src/util/time.ts";

const rounds = 3;
const hasPidfds = process.argv[2] !== "no-pidfds";
const roundsMs: number[] = [];
let round = 0;
/** Its rounds follow each other without a moment in between in which Bun could look after its own children. */
const clock: Clock = {
  ...systemClock,
  sleep(ms, signal) {
    roundsMs.push(ms);
    if (++round >= rounds) return systemClock.sleep(ms, signal);
    // In a minute Bun has looked after its own.
    return ms < 60_000 ? Promise.resolve() : child.exited.then(() => undefined);
  },
};

const orphan = Number(Bun.spawnSync(["/bin/sh", "-c", "sleep 0.1 >/dev/null & echo $!"]).stdout.toString());
const child = Bun.spawn(["/bin/sh", "-c", "exit 5"]);
for (const pid of [orphan, child.pid]) waitUntilEnded(pid);
{
  using _ = hasPidfds ? reapOrphans(clock) : reapOrphans(clock, () => false);
  while (round < rounds) await (hasPidfds ? Promise.resolve() : Bun.sleep(1));
  const orphanNow = processStat(orphan) === null ? "gone" : "a zombie";
  await child.exited;
  process.stdout.write(JSON.stringify({ orphan: orphanNow, exitCode: child.exitCode, roundMs: roundsMs[0] }));
}

/** Without giving Bun a moment. */
function waitUntilEnded(pid: number): void {
  while ((processStat(pid)?.state ?? "Z") !== "Z")
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
}
