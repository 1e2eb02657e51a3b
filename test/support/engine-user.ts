/** A program that talks to an engine until it is killed: `engine-user.ts docker|podman`. Says `ready` when it does. */
import { openRuntime } from "../../src/container/engine/open.ts";
import { silentLog } from "../../src/log.ts";
import { systemClock } from "../../src/util/time.ts";

const kind = process.argv[2] === "podman" ? "podman" : "docker";
const runtime = await openRuntime({ kind, env: process.env }, { log: silentLog, clock: systemClock });
const { version } = await runtime.info({ signal: AbortSignal.timeout(30_000) });
console.log(`ready ${version}`);
await new Promise(() => setInterval(() => undefined, 60_000));
