/** Tries to create `key` in the cache in `directory` and answers on stdout whether it won. */
import { openObjectCache } from "../../src/cache/object.ts";
import { silentLog } from "../../src/log.ts";
import { openLocalStore } from "../../src/store/local.ts";

const [directory = "", key = "", rounds = "1"] = process.argv.slice(2);
const cache = openObjectCache(openLocalStore(directory), { log: silentLog });
const c = { signal: new AbortController().signal };
const won: string[] = [];
for (let round = 0; round < Number(rounds); round++) {
  const name = `${key}-${round}`;
  const body = new TextEncoder().encode(`${process.pid}`);
  if ((await cache.compareAndSwap(name, body, null, c)) !== null) won.push(name);
}
process.stdout.write(JSON.stringify(won));
