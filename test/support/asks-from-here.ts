/**
 * Asks, from where it is started, an app that is well, a port where nobody listens and a unix socket that is not there;
 * prints what each showed. First it uses up what its first argument says: `descriptors`, or `ports`, which are those
 * from the second to the third; `no-network`: nothing, and there is no app.
 */
import { closeSync, openSync } from "node:fs";
import { checkHttp } from "../../src/health/http.ts";
import { checkServed } from "../../src/health/served.ts";
import { askOwn } from "../../src/supervisor/probe-own.ts";
import { systemClock } from "../../src/util/time.ts";

const c = { signal: new AbortController().signal };
const socket = { data() {} };
const host = "127.0.0.1";
const ask = { path: "/up", greeting: "" };

function listen(port: number): Bun.TCPSocketListener<undefined> {
  return Bun.listen({ hostname: host, port, socket });
}

/** All that the kernel gives to connections; the range is made small before. */
function takePorts(first: number, last: number): void {
  for (let port = first; port <= last; port++) listen(port);
}

function takeDescriptors(): void {
  try {
    for (;;) openSync("/dev/null", "r");
  } catch {}
}

/** A connection gets the last descriptor: none is left to look who took it. */
async function askWithOne() {
  if (fill !== "descriptors") return null;
  closeSync(spare);
  const target = { address: app, path: "/up", pid: process.pid, others: [process.ppid] };
  return await askOwn(target, 1, 5000, systemClock, c);
}

const spare = openSync("/dev/null", "r");
const [fill = "", first = "0", last = "0"] = process.argv.slice(2);
const nobody = { host, port: 9 };
// A port outside of the range that is to be used up; without a network there is nothing to listen on.
const served = fill === "no-network" ? nobody : listen(fill === "ports" ? 8080 : 0);
if (fill === "ports") takePorts(Number(first), Number(last));
if (fill === "descriptors") takeDescriptors();
const app = { host, port: served.port };
if (fill !== "descriptors") closeSync(spare);
const probes = {
  served: await checkServed(app, { listening: "yes", greeting: "" }, 5000, c),
  refused: await checkHttp(nobody, ask, 5000, c),
  unix: await checkHttp({ unix: "/nowhere/app.sock" }, ask, 5000, c),
  own: await askWithOne(),
};
process.stdout.write(`${JSON.stringify(probes)}\n`, () => process.exit());
