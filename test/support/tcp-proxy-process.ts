/**
 * A proxy in a process of its own: `bun tcp-proxy-process.ts PORT BACKEND MAX|default`. For each line on its standard
 * input it prints its state; `hog N` first takes N descriptors, `free` gives them back.
 */
import { closeSync, openSync } from "node:fs";
import { silentLog } from "../../src/log.ts";
import { TcpProxy } from "../../src/proxy/tcp-proxy.ts";
import { systemClock } from "../../src/util/time.ts";
import { behind } from "./tcp-proxy.ts";

const [port = 0, backend = 0] = process.argv.slice(2, 4).map(Number);
const most = process.argv[4] === "default" ? null : Number(process.argv[4]);
const proxy = TcpProxy.open({
  listen: [{ host: "127.0.0.1", port }],
  log: silentLog,
  clock: systemClock,
  maxConnections: most,
});
proxy.admit("a", behind(port, backend));
console.log("ready");
const hogged: number[] = [];
for await (const line of console) {
  const [verb, count] = line.split(" ");
  if (verb === "hog")
    for (let left = Number(count); left > 0; left--) hogged.push(openSync("/dev/null", "r"));
  if (verb === "free") for (const fd of hogged.splice(0)) closeSync(fd);
  const { user, system } = process.cpuUsage();
  const rssBytes = process.memoryUsage.rss();
  console.log(JSON.stringify({ ...proxy.stats(), cpuMs: (user + system) / 1000, rssBytes }));
}
