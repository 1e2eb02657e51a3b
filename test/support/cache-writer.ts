/** Tries to create `key` in the file cache at `directory` and answers on stdout whether it won. */
import { openFileCache } from "../../src/cache/file.ts";

const [directory = "", key = "", rounds = "1"] = process.argv.slice(2);
const cache = openFileCache(directory);
const c = { signal: new AbortController().signal };
const won: string[] = [];
for (let round = 0; round < Number(rounds); round++) {
  const name = `${key}-${round}`;
  const body = new TextEncoder().encode(`${process.pid}`);
  if ((await cache.compareAndSwap(name, body, null, c)) !== null) won.push(name);
}
process.stdout.write(JSON.stringify(won));
