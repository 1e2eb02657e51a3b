/**
 * Supervises an app until it is killed: `bun doomed-agent.ts <options as JSON> <record> <release>`. Prints the
 * app's pid once it runs.
 */
import { silentLog } from "../../src/log.ts";
import { RecordFile } from "../../src/supervisor/record.ts";
import { Supervisor, type SupervisorOptions } from "../../src/supervisor/supervisor.ts";
import { systemClock } from "../../src/util/time.ts";

const [options = "", record = "", release = ""] = process.argv.slice(2);
const c = { signal: new AbortController().signal };
const nothing = () => undefined;
const deps = {
  clock: systemClock,
  log: silentLog,
  record: new RecordFile(record),
  onCrash: nothing,
  onSick: nothing,
  soaking: () => false,
};
const supervisor = await Supervisor.open(JSON.parse(options) as SupervisorOptions, deps, c);
await supervisor.resume(release, c);
if (supervisor.state.kind !== "running") throw new Error(supervisor.state.kind);
process.stdout.write(`${supervisor.state.current.pid}\n`);
setInterval(() => undefined, 60_000);
